//! The driver: the order of the calls.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use kube::ResourceExt;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{ExternalId, InferenceEndpoint};
use roadstead_google::GoogleCredentials;
use roadstead_model::{self as model, Timestamp};
use roadstead_provider::address::Reach;
use roadstead_provider::probe::{self, Credential, Probe, ProbeAnswer};
use roadstead_provider::{
    Capabilities, Claim, ErrorClass, Inventory, Listener, NewestInventory, Observation, ProviderError, Redacted,
    Removal, Site, Wanted, Workload,
};
use roadstead_rest::{BaseUrlError, PlaceListing, RestFailure};

use crate::calls::VertexCalls;
use crate::claim;
use crate::failure;
use crate::form::{VertexForm, form, key_in};
use crate::listing::{INTERVAL, LocationEndpoints};
use crate::observed::{self, UID, external_id};
use crate::ownership::{self, EndpointMark};
use crate::place::{ProjectAccess, capabilities};
use crate::state::{VertexReading, VertexStep, failed_change, is_at_rest};
use crate::wait::wait_for;
use crate::wire::{OperationView, VertexView, id_of};

/// The driver of one project in one location.
pub struct VertexAi {
    access: ProjectAccess,
    credentials: Arc<GoogleCredentials>,
    calls: Arc<VertexCalls>,
    site: RwLock<String>,
    known: Arc<NewestInventory>,
    interval: Duration,
    listing: Mutex<Option<PlaceListing>>,
}

/// The existing endpoint beside the wanted one.
enum VertexSurvey {
    Absent(Box<VertexForm>),
    Foreign(ProviderError),
    Ours(Box<VertexView>, Box<VertexForm>, Vec<OperationView>),
}

impl VertexAi {
    /// A driver; nothing is asked before it is used.
    ///
    /// # Errors
    /// `Invalid` where the location cannot be one.
    pub fn new(access: ProjectAccess) -> Result<Self, ProviderError> {
        let location = access.place.location.clone();
        let invalid =
            |error: BaseUrlError| ProviderError::new(ErrorClass::Invalid, format!("location {location}: {error}"));
        let credentials = Arc::new(VertexCalls::credentials(&access).map_err(invalid)?);
        let calls = Arc::new(VertexCalls::new(&access, &credentials).map_err(invalid)?);
        let (site, known, listing) = (RwLock::default(), Arc::default(), Mutex::default());
        Ok(Self { access, credentials, calls, site, known, interval: INTERVAL, listing })
    }

    /// The same with another interval between two listings.
    #[must_use]
    pub fn listing_every(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    fn site(&self) -> String {
        self.site.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn now(&self) -> Timestamp {
        planning::now(self.access.clock.wall())
    }

    /// The endpoint of this name, of any installation.
    async fn find(&self, name: &str) -> Result<Option<VertexView>, ProviderError> {
        let Some(view) = self.calls.endpoint(name).await? else { return Ok(None) };
        if ownership::is_called(&view, name) {
            return Ok(Some(view));
        }
        let message = format!("Vertex AI answers for endpoint {name} with another name or without a creation time");
        Err(ProviderError::new(ErrorClass::Transient, message))
    }

    /// Compares the existing endpoint with the wanted one.
    async fn survey(&self, wanted: &Wanted) -> Result<VertexSurvey, ProviderError> {
        let form = Box::new(form(&self.access.place, &self.access.install_id, wanted)?);
        let name = wanted.endpoint.name_any();
        let Some(view) = self.find(&name).await? else { return Ok(VertexSurvey::Absent(form)) };
        if !form.mark.is_on(&view) {
            return Ok(VertexSurvey::Foreign(self.foreign(&view)));
        }
        let operations = if is_at_rest(&view, &form) { Vec::new() } else { self.calls.operations(&name).await? };
        Ok(VertexSurvey::Ours(Box::new(view), form, operations))
    }

    /// The error for something that has an endpoint's name and is not labelled as that endpoint.
    fn foreign(&self, view: &VertexView) -> ProviderError {
        let (name, owner, ours) = (id_of(&view.name), ownership::owner(&view.labels), &self.access.install_id);
        let message = format!(
            "endpoint {name} in Vertex AI {owner}; this operator is {ours:?}. The operator does not change it: delete it there, \
             or recreate it under another name"
        );
        ProviderError::new(ErrorClass::Conflict, message)
    }

    /// Begins to upload the model of a form, which costs nothing. What exists already was made by a former try.
    async fn begin_upload(&self, form: &VertexForm) -> Result<Option<OperationView>, ProviderError> {
        match self.calls.model(&form.model).await? {
            Some(_) => Ok(None),
            None => self.calls.upload(&form.upload).await,
        }
    }

    /// Uploads the model of a form, and waits for it.
    async fn upload(&self, form: &VertexForm) -> Result<(), ProviderError> {
        let name = &form.model;
        if let Some(begun) = self.begin_upload(form).await? {
            let id = id_of(&begun.name);
            let ended = async || Ok(self.calls.operation(name, id).await?.filter(|operation| operation.done));
            let ended = wait_for(&format!("model {name}"), ended).await?;
            if let Some(error) = ended.error {
                let message = format!("Vertex AI did not take the model with its image: {}", error.message);
                return Err(ProviderError::new(failure::late(&error).0, message));
            }
        }
        let model = wait_for(&format!("model {name}"), || self.calls.model(name)).await?;
        if ownership::has(&model.labels, &form.upload.model.labels) {
            return Ok(());
        }
        let message = format!("the name of model {name} is taken by one that is not this endpoint's; delete it");
        Err(ProviderError::new(ErrorClass::Conflict, message))
    }

    /// Creates an endpoint and deploys its model: only the last call costs anything.
    async fn create(&self, form: &VertexForm) -> Result<VertexView, ProviderError> {
        let name = &form.endpoint.display_name;
        // Both take a while: the model is uploaded while the endpoint is made.
        let _ = self.begin_upload(form).await?;
        self.calls.create(name, &form.endpoint).await?;
        let view = wait_for(&format!("endpoint {name}"), || self.find(name)).await?;
        // It may be another one's: the next observation says so.
        if !form.mark.is_on(&view) {
            return Err(self.foreign(&view));
        }
        let reading = VertexReading { view: &view, operations: &[], form, now: self.now() };
        match self.deploy(&reading).await {
            // The endpoint is there, and the core asks again.
            Err(error) if error.class == ErrorClass::Transient => tracing::debug!(%error, "not deployed yet"),
            result => result?,
        }
        Ok(view)
    }

    /// Deploys the wanted form. The label that tells of the attempt is set before it.
    async fn deploy(&self, reading: &VertexReading<'_>) -> Result<(), ProviderError> {
        let (view, form) = (reading.view, reading.form);
        let name = id_of(&view.name);
        self.upload(form).await?;
        self.calls.label(name, &reading.labels_of_attempt()).await?;
        self.calls.deploy(name, &form.deployment).await
    }

    /// Takes the step that is due.
    async fn take_step(&self, reading: &VertexReading<'_>) -> Result<(), ProviderError> {
        let (view, form) = (reading.view, reading.form);
        let name = id_of(&view.name);
        match reading.due() {
            VertexStep::Nothing => Ok(()),
            VertexStep::Deploy => {
                let used: Vec<&str> = view.deployed_models.iter().map(|deployed| id_of(&deployed.model)).collect();
                self.clean(name, &form.mark.tags.namespace, &[used, vec![form.model.as_str()]].concat()).await?;
                self.deploy(reading).await
            }
            VertexStep::Scale => {
                self.calls.label(name, &reading.labels_of_attempt()).await?;
                self.calls.scale(name, &form.deployment.deployed_model.id, form.replicas).await
            }
            VertexStep::Retire(id) => Ok(self.calls.undeploy(name, &id).await?),
            VertexStep::Label => self.calls.label(name, &reading.labels()).await,
            VertexStep::Wait => {
                let message = format!("endpoint {name} cannot be changed while an operation of Vertex AI is under way");
                Err(ProviderError::new(ErrorClass::Transient, message))
            }
            VertexStep::Failed(error) => {
                let (class, message) = failed_change(&error);
                Err(ProviderError::new(class, message))
            }
        }
    }

    /// Deletes the models of an endpoint but these; returns how many were there.
    async fn clean(&self, endpoint: &str, namespace: &str, without: &[&str]) -> Result<usize, ProviderError> {
        let labels = ownership::model_of(&self.access.install_id, namespace, endpoint);
        let models = self.calls.models(&labels).await?;
        let leftover: Vec<&str> =
            models.iter().map(|model| id_of(&model.name)).filter(|name| !without.contains(name)).collect();
        for name in &leftover {
            match self.calls.delete_model(name).await {
                // The service may hold a model for some time after its undeployment.
                Err(failure) if is_in_use(&failure) => {}
                result => result?,
            }
        }
        Ok(leftover.len())
    }

    /// One step of deleting exactly this endpoint, and then everything that belongs to it.
    async fn delete(&self, view: &VertexView) -> Result<Removal, ProviderError> {
        let name = id_of(&view.name);
        let waits = |message: String| Ok(Removal::InProgress { message });
        if let Some(deployed) = last_to_serve(view) {
            return match self.calls.undeploy(name, &deployed).await {
                Ok(()) => waits(format!("Vertex AI is undeploying the model of endpoint {name}")),
                Err(failure) if is_in_use(&failure) => {
                    waits(format!("endpoint {name} waits for an operation of Vertex AI to end"))
                }
                Err(failure) => Err(failure.into()),
            };
        }
        match self.calls.delete_endpoint(name).await {
            Err(failure) if is_in_use(&failure) => {
                return waits(format!(
                    "Vertex AI is still deploying a model to endpoint {name}, which it cannot delete yet"
                ));
            }
            result => result?,
        }
        if self.calls.endpoint(name).await?.is_some() {
            return waits(format!("Vertex AI is deleting endpoint {name}"));
        }
        self.sweep(name, ownership::get(&view.labels, ownership::NAMESPACE)).await
    }

    /// Deletes the models of an endpoint that is gone.
    async fn sweep(&self, name: &str, namespace: &str) -> Result<Removal, ProviderError> {
        Ok(match self.clean(name, namespace, &[]).await? {
            0 => Removal::Gone,
            left => Removal::InProgress { message: format!("Vertex AI is deleting {left} models of endpoint {name}") },
        })
    }

    fn is_tagged(&self, view: &VertexView, namespace: &str) -> bool {
        ownership::is_tagged(&view.labels, &self.access.install_id, namespace)
    }
}

/// True if the service says that something is in use.
fn is_in_use(failure: &RestFailure) -> bool {
    failure.code() == "FAILED_PRECONDITION"
}

/// The deployed model to be undeployed next: one without traffic, while there is one.
fn last_to_serve(view: &VertexView) -> Option<String> {
    let traffic = |id: &String| view.traffic_split.get(id).copied().unwrap_or(0);
    let ids = view.deployed_models.iter().map(|deployed| &deployed.id);
    ids.min_by_key(|id| traffic(id)).cloned()
}

#[async_trait]
impl Site for VertexAi {
    fn name(&self) -> &'static str {
        "vertexai"
    }

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        let identity = self.access.place.identity_of(&self.calls.project_number().await?);
        identity.clone_into(&mut self.site.write().unwrap_or_else(PoisonError::into_inner));
        Ok(identity)
    }

    async fn claim(&self, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        claim::claim(&self.calls, &self.access.install_id, hub_uid, takeover).await
    }

    fn watch(&self, listener: Listener) {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if listing.is_none() {
            let (calls, install_id) = (Arc::clone(&self.calls), self.access.install_id.clone());
            let place = LocationEndpoints { calls, install_id };
            let known = Arc::clone(&self.known);
            *listing = Some(PlaceListing::start("listing of Vertex AI", place, self.interval, known, listener));
        }
    }

    fn inventory(&self) -> Option<Arc<Inventory>> {
        self.known.get()
    }

    fn reach(&self) -> Reach {
        self.access.place.reach()
    }

    async fn ask(&self, asked: &Probe) -> ProbeAnswer {
        match self.credentials.token().await {
            Ok(token) => {
                let asked = Probe { credential: Credential::bearer(token), ..asked.clone() };
                probe::ask(&asked, self.reach()).await
            }
            // Says nothing about the endpoint.
            Err(error) => ProbeAnswer::NotPermitted { message: error.message },
        }
    }
}

#[async_trait]
impl Workload for VertexAi {
    async fn observe(&self, wanted: &Wanted) -> Result<Observation, ProviderError> {
        Ok(match self.survey(wanted).await? {
            VertexSurvey::Absent(_) => Observation::Absent,
            VertexSurvey::Foreign(error) => Observation::Foreign { message: error.message },
            VertexSurvey::Ours(view, form, operations) => {
                let reading = VertexReading { view: &view, operations: &operations, form: &form, now: self.now() };
                let present = observed::present(&self.access.place, &self.site(), wanted, &reading);
                Observation::Present(Box::new(present))
            }
        })
    }

    async fn ensure(&self, wanted: &Wanted) -> Result<ExternalId, ProviderError> {
        let view = match self.survey(wanted).await? {
            VertexSurvey::Foreign(error) => return Err(error),
            VertexSurvey::Absent(form) => self.create(&form).await?,
            VertexSurvey::Ours(view, form, operations) => {
                let reading = VertexReading { view: &view, operations: &operations, form: &form, now: self.now() };
                self.take_step(&reading).await?;
                *view
            }
        };
        Ok(external_id(&self.site(), &view))
    }

    async fn remove(&self, endpoint: &InferenceEndpoint) -> Result<Removal, ProviderError> {
        let name = endpoint.name_any();
        let namespace = endpoint.namespace().unwrap_or_default();
        let made = endpoint.external_id().and_then(|id| id.get(UID));
        let removal = match self.find(&name).await? {
            Some(view) if self.is_tagged(&view, &namespace) => self.delete(&view).await?,
            // The created endpoint still exists, or cannot be excluded.
            Some(view) if made.is_none_or(|uid| uid == ownership::uid(&view)) => return Err(self.foreign(&view)),
            Some(_) | None => self.sweep(&name, &namespace).await?,
        };
        if removal == Removal::Gone {
            self.known.removed(&name);
        }
        Ok(removal)
    }

    async fn remove_found(&self, found: &model::Found) -> Result<Removal, ProviderError> {
        let (name, namespace) = (&found.name, &found.deployment.namespace);
        let Some(view) = self.find(name).await? else { return self.sweep(name, namespace).await };
        if !self.is_tagged(&view, namespace) {
            return Err(self.foreign(&view));
        }
        let mark = EndpointMark::read(&view.labels);
        let same =
            mark.is_some_and(|mark| mark.tags.deployment == found.deployment.name) && ownership::uid(&view) == found.id;
        if !same {
            let message = format!(
                "endpoint {name} in Vertex AI has changed since it was listed; the operator does not delete it"
            );
            return Err(ProviderError::new(ErrorClass::Conflict, message));
        }
        self.delete(&view).await
    }

    async fn api_key(&self, endpoint: &str) -> Result<Option<Redacted>, ProviderError> {
        let Some(view) = self.find(endpoint).await? else { return Ok(None) };
        if ownership::get(&view.labels, ownership::INSTALL_ID) != self.access.install_id {
            return Err(self.foreign(&view));
        }
        let namespace = ownership::get(&view.labels, ownership::NAMESPACE);
        let models = self.calls.models(&ownership::model_of(&self.access.install_id, namespace, endpoint)).await?;
        let deployed = |name: &str| view.deployed_models.iter().any(|known| id_of(&known.model) == name);
        // The model in force knows it best; before the first deployment, the one that was uploaded does.
        let Some(model) = models.iter().max_by_key(|model| deployed(id_of(&model.name))) else { return Ok(None) };
        let key = key_in(model).ok_or_else(|| {
            let message = format!("endpoint {endpoint} has no valid API key; delete it in Vertex AI");
            ProviderError::new(ErrorClass::Invalid, message)
        })?;
        Ok(Some(Redacted::new(key.to_owned())))
    }
}
