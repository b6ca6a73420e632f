//! What every place that serves models must be able to do, and how its failures are told apart.
//!
//! A driver knows one provider and nothing of placement; the core knows no provider by name. The calls are few and
//! level-based so that clusters and managed services fit alike: a service that creates asynchronously answers
//! [`Provider::observe`] with [`Progress::Starting`] for as long as it takes, and a refusal that arrives late (no
//! capacity, quota) comes as [`Present::trouble`] with its class.

pub mod address;
pub mod discreet;
pub mod error;
pub mod probe;
pub mod record;
pub mod template_hash;
mod wanted;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use roadstead_model as model;

use crate::address::Reach;
pub use error::{ErrorClass, ProviderError};
use roadstead_api::v1alpha1::{ExternalId, InferenceEndpoint};
pub use wanted::{Redacted, Secret, SecretData, Wanted};

/// What a provider shows of one endpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// Nothing of that name is there.
    Absent,
    /// Something of that name is there that is not ours: it is reported, never touched.
    Foreign {
        /// What was found, in a sentence.
        message: String,
    },
    /// The endpoint is there.
    Present(Box<Present>),
}

/// An endpoint as the provider shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Present {
    /// Nothing is left to be created or changed.
    pub in_sync: bool,
    /// The fields that the place itself changes in what it is asked for, which is accepted: names, without values.
    pub changed_by_admission: Vec<String>,
    /// What identifies the endpoint at the provider.
    pub external_id: ExternalId,
    /// Hash of the resolved template that is in force there.
    pub template_hash: String,
    /// Digest of the rendered template that is in force there.
    pub template_digest: String,
    /// Replicas that exist.
    pub replicas: i32,
    /// Replicas that pass the provider's own checks.
    pub ready_replicas: i32,
    /// The address that clients use, once there is one.
    pub url: Option<String>,
    /// How far the endpoint is.
    pub progress: Progress,
    /// The most telling thing that is wrong, if anything is.
    pub trouble: Option<Trouble>,
}

/// How far an endpoint is at its provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is being created or changed; not all replicas are of the newest form yet.
    Starting {
        /// What it waits for, in a sentence.
        message: String,
    },
    /// All replicas are of the newest form and pass the provider's own checks.
    Serving,
}

/// Something is wrong with an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What kind of trouble: decides what is done about it.
    pub class: ErrorClass,
    /// A CamelCase reason for the condition.
    pub reason: &'static str,
    /// A sentence for people; bounded and without secrets.
    pub message: String,
    /// Since when, where the provider says so.
    pub since: Option<Time>,
}

impl Trouble {
    /// The reason where no node has room. The core tells it as `CapacityExhausted` or `InsufficientCapacity`, after
    /// what the endpoint was before.
    pub const UNSCHEDULABLE: &str = "Unschedulable";
}

/// Whether an endpoint is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// The provider has confirmed that nothing is left.
    Gone,
    /// Asked for; not confirmed yet.
    InProgress {
        /// What is still there, in a sentence.
        message: String,
    },
}

/// What is known of a target's capacity and of our endpoints there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The nodes, where the provider has such a thing.
    pub nodes: Option<Vec<model::Node>>,
    /// Pods that are bound to nodes, by endpoint and node.
    pub bound: BTreeMap<String, BTreeMap<String, u32>>,
    /// Every endpoint there that carries our install id.
    pub found: Vec<model::Found>,
}

/// What a provider reports by itself, so that nobody has to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderEvent {
    /// [`Provider::facts`] has something new.
    Facts,
    /// The endpoint of this name changed there.
    Endpoint(String),
}

/// Where a provider reports to.
pub type Listener = Arc<dyn Fn(ProviderEvent) + Send + Sync>;

/// Who a place belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// This hub.
    Ours,
    /// Another hub that uses the same install id.
    Other {
        /// The UID of that hub's `kube-system` namespace.
        hub_uid: String,
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
        let message = "the place that says that it is gone is not the one where it was made; nothing is read as gone";
        return Err(ProviderError::new(ErrorClass::Transient, message));
    }
    Ok(removal)
}

/// One place that serves models: a cluster, or one (provider, account, region).
#[async_trait]
pub trait Provider: Send + Sync {
    /// The provider's name for metrics; a small fixed set.
    fn name(&self) -> &'static str;

    /// The identity of the place, such as the UID of a cluster's `kube-system` namespace.
    ///
    /// # Errors
    /// Any [`ProviderError`]; `Unauthorized` means that the credentials are refused.
    async fn identity(&self) -> Result<String, ProviderError>;

    /// Claims the place for the hub `hub_uid`, taking it over from `takeover` if that hub holds it.
    ///
    /// # Errors
    /// Any [`ProviderError`].
    async fn claim(&self, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError>;

    /// Begins to watch the place: from now on [`facts`](Self::facts) are kept, and `listener` is told of news. A place
    /// that is watched already goes on as before.
    fn watch(&self, listener: Listener);

    /// The newest facts; `None` until everything has been listed once.
    fn facts(&self) -> Option<Arc<Facts>>;

    /// Where the addresses of its endpoints may lead: `usual`, unless it is not the place that names their hosts.
    fn reach(&self, usual: Reach) -> Reach {
        usual
    }

    /// What is there of the wanted endpoint.
    ///
    /// # Errors
    /// Any [`ProviderError`]; an endpoint that is not there is [`Observation::Absent`].
    async fn observe(&self, wanted: &Wanted) -> Result<Observation, ProviderError>;

    /// Creates the endpoint or puts right what differs. Asking twice makes nothing twice.
    ///
    /// # Errors
    /// Any [`ProviderError`]; `Conflict` where something that is not ours has the name.
    async fn apply(&self, wanted: &Wanted) -> Result<(), ProviderError>;

    /// Removes the endpoint; called until it answers [`Removal::Gone`].
    ///
    /// # Errors
    /// Any [`ProviderError`].
    async fn remove(&self, endpoint: &InferenceEndpoint) -> Result<Removal, ProviderError>;

    /// Removes something that [`facts`](Self::facts) showed and that no record names, if it is still the very thing that
    /// was found; called until it answers [`Removal::Gone`].
    ///
    /// A removal that is cut off half-way leaves the thing to be found again.
    ///
    /// # Errors
    /// `Conflict` where the name belongs to another thing now, else any [`ProviderError`].
    async fn remove_found(&self, found: &model::Found) -> Result<Removal, ProviderError>;

    /// The API key of an endpoint that exists there already; `None` if there is none.
    ///
    /// # Errors
    /// `Invalid` if what is there is not a key of ours, else any [`ProviderError`].
    async fn api_key(&self, endpoint: &str) -> Result<Option<Redacted>, ProviderError>;
}
