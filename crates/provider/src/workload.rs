//! Requests of the core to a place about one endpoint: to observe, ensure and remove it.

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use roadstead_api::v1alpha1::{ExternalId, InferenceEndpoint};
use roadstead_model as model;

use crate::probe::{Probe, ProbeWay};
use crate::{ErrorClass, Provider, ProviderError, Redacted, Wanted};

/// The endpoints at a place.
///
/// The calls are few and look at levels rather than steps, so that clusters and managed services fit alike: a service that
/// creates by an operation returns it in the handle of [`ensure`](Self::ensure), which the core persists before it waits,
/// and answers [`observe`](Self::observe) with [`Progress::Starting`] for as long as the operation takes. A refusal that
/// arrives late (no capacity, quota) comes as [`Present::trouble`] with its class.
#[async_trait]
pub trait Workload: Send + Sync {
    /// Reads the state of the wanted endpoint.
    ///
    /// # Errors
    /// Any [`ProviderError`]; an endpoint that is not there is [`Observation::Absent`].
    async fn observe(&self, wanted: &Wanted) -> Result<Observation, ProviderError>;

    /// Creates the endpoint or puts right what differs, and returns what identifies it from now on. Asking twice makes
    /// nothing twice.
    ///
    /// # Errors
    /// Any [`ProviderError`]; `Conflict` where something that is not ours has the name.
    async fn ensure(&self, wanted: &Wanted) -> Result<ExternalId, ProviderError>;

    /// Removes the endpoint; called until it answers [`Removal::Gone`].
    ///
    /// # Errors
    /// Any [`ProviderError`].
    async fn remove(&self, endpoint: &InferenceEndpoint) -> Result<Removal, ProviderError>;

    /// Removes something that the inventory showed and that no record names, if it is still the very thing that was
    /// found; called until it answers [`Removal::Gone`].
    ///
    /// A removal that is cut off half-way leaves the thing to be found again.
    ///
    /// # Errors
    /// `Conflict` where the name belongs to another thing now, else any [`ProviderError`].
    async fn remove_found(&self, found: &model::Found) -> Result<Removal, ProviderError>;

    /// True if the place itself issues the keys of its endpoints, each once and only for an endpoint that exists.
    fn issues_keys(&self) -> bool {
        false
    }

    /// The API key of an endpoint that exists there already; `None` if there is none. A place that issues keys issues one, and a
    /// former one stays valid beside it.
    ///
    /// # Errors
    /// `Invalid` if what is there is not a key of ours, else any [`ProviderError`].
    async fn api_key(&self, endpoint: &str) -> Result<Option<Redacted>, ProviderError>;
}

/// State of one endpoint as its place shows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// Nothing of that name is there.
    Absent,
    /// Something of that name is there that is not ours: it is reported, never touched.
    Foreign {
        /// A sentence that names it.
        message: String,
    },
    /// The endpoint is there.
    Present(Box<Present>),
}

/// An endpoint as its place shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Present {
    /// Nothing is left to be created or changed.
    pub in_sync: bool,
    /// The due change ends the last ready replica before another one is ready.
    pub interrupts: bool,
    /// The fields that the place itself changes in what it is asked for, which is accepted: names, without values.
    pub changed_by_admission: Vec<String>,
    /// Identity of the endpoint there.
    pub external_id: ExternalId,
    /// Hash of the resolved template that is in force there.
    pub template_hash: String,
    /// Digest of the rendered template that is in force there.
    pub template_digest: String,
    /// Replicas that exist.
    pub replicas: i32,
    /// Replicas that pass the place's own checks.
    pub ready_replicas: i32,
    /// The address that clients use, once there is one.
    pub url: Option<String>,
    /// The way to ask it whether it answers, once it has an address.
    pub probe: Option<Probe>,
    /// Progress of the endpoint.
    pub progress: Progress,
    /// The most telling thing that is wrong, if anything is.
    pub trouble: Option<Trouble>,
}

impl Present {
    /// True if the gateways ask the endpoint, and the operator does not.
    #[must_use]
    pub fn is_asked_by_gateways(&self) -> bool {
        self.probe.as_ref().is_some_and(|probe| probe.way == ProbeWay::Gateways)
    }
}

/// Progress of an endpoint at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is being created or changed; not all replicas are of the newest form yet.
    Starting {
        /// A sentence that names what it waits for.
        message: String,
    },
    /// All replicas are of the newest form and pass the place's own checks.
    Serving,
}

/// Something is wrong with an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Kind of trouble: decides how long it is tolerated.
    pub kind: TroubleKind,
    /// Class of failure: decides what is done about it.
    pub class: ErrorClass,
    /// A CamelCase reason for the condition, in the driver's own words.
    pub reason: &'static str,
    /// A sentence for people; bounded and without secrets.
    pub message: String,
    /// Since when, where the place says so.
    pub since: Option<Time>,
}

/// Tolerance for a trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TroubleKind {
    /// There is no room, and some may be added: borne for as long as its offer may take to add it.
    AwaitsRoom,
    /// The place lets no replica be made: borne by a newcomer for a short while.
    Refused,
    /// Anything else: its class decides at once.
    Plain,
}

/// Progress of a removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// The place has confirmed that nothing is left.
    Gone,
    /// Asked for; not confirmed yet.
    InProgress {
        /// A sentence that names what is left.
        message: String,
    },
}

/// Takes one step of removing an endpoint from the place with the identity `pinned`, where it was made.
///
/// # Errors
/// Any [`ProviderError`]; `Transient` where the place that says that it is gone turns out to be another one.
pub async fn remove_from(
    provider: &dyn Provider,
    endpoint: &InferenceEndpoint,
    pinned: &str,
) -> Result<Removal, ProviderError> {
    let removal = provider.remove(endpoint).await?;
    // The identity is asked for after the answer: an address may lead elsewhere from one moment to the next.
    if removal == Removal::Gone && provider.identity().await? != pinned {
        let message = "deletion reported by a different place than the one where the endpoint was created; ignored";
        return Err(ProviderError::new(ErrorClass::Transient, message));
    }
    Ok(removal)
}
