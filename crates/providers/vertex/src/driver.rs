//! The order of the calls that create, change and delete an endpoint.

use std::sync::Arc;

use async_trait::async_trait;
use roadstead_api::v1alpha1::ExternalId;
use roadstead_google::GoogleCredentials;
use roadstead_provider::address::Reach;
use roadstead_provider::{Capabilities, Claim, ErrorClass, Present, ProviderError, Redacted, Removal, Wanted};
use roadstead_rest::{
    BaseUrlError, EndpointOwnership, ManagedService, RestFailure, ServiceContext, created_concurrently, invalid_key,
    wait_for,
};

use crate::calls::{VERTEX_AI, VertexCalls};
use crate::claim;
use crate::failure;
use crate::form::{VertexForm, form, key_in};
use crate::observed;
use crate::ownership;
use crate::place::{ProjectAccess, VertexPlace, capabilities};
use crate::state::{VertexReading, VertexStep, failed_change, is_at_rest};
use crate::wire::{OperationView, VertexView, id_of};

/// Vertex AI in one project and location.
pub struct VertexAi {
    place: VertexPlace,
    context: ServiceContext,
    credentials: Arc<GoogleCredentials>,
    /// Its calls.
    pub(crate) calls: VertexCalls,
}

impl VertexAi {
    /// The service; nothing is asked before it is used.
    ///
    /// # Errors
    /// `Invalid` where the location cannot be one.
    pub fn new(access: ProjectAccess) -> Result<Self, ProviderError> {
        let location = access.place.location.clone();
        let invalid =
            |error: BaseUrlError| ProviderError::new(ErrorClass::Invalid, format!("location {location}: {error}"));
        let credentials = Arc::new(VertexCalls::credentials(&access).map_err(invalid)?);
        let calls = VertexCalls::new(&access, &credentials).map_err(invalid)?;
        Ok(Self { place: access.place, context: access.context, credentials, calls })
    }

    /// Operations of an endpoint; none of one that is at rest.
    async fn operations(&self, view: &VertexView, form: &VertexForm) -> Result<Vec<OperationView>, ProviderError> {
        if is_at_rest(view, form) { Ok(Vec::new()) } else { self.calls.operations(id_of(&view.name)).await }
    }

    fn reading<'a>(
        &self,
        view: &'a VertexView,
        operations: &'a [OperationView],
        form: &'a VertexForm,
    ) -> VertexReading<'a> {
        VertexReading { view, operations, form, now: self.context.now() }
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
            let ended = wait_for(Self::TITLE, &format!("model {name}"), ended).await?;
            if let Some(error) = ended.error {
                let message = format!("Vertex AI did not take the model with its image: {}", error.message);
                return Err(ProviderError::new(failure::late(&error).0, message));
            }
        }
        let model = wait_for(Self::TITLE, &format!("model {name}"), || self.calls.model(name)).await?;
        if ownership::has(&model.labels, &form.upload.model.labels) {
            return Ok(());
        }
        let message = format!("the name of model {name} is taken by one that is not this endpoint's; delete it");
        Err(ProviderError::new(ErrorClass::Conflict, message))
    }

    /// Deploys the wanted form. The label that tells of the attempt is set before it.
    async fn deploy(&self, reading: &VertexReading<'_>) -> Result<(), ProviderError> {
        let (view, form) = (reading.view, reading.form);
        let name = id_of(&view.name);
        self.upload(form).await?;
        self.calls.label(name, &reading.labels_of_attempt()).await?;
        self.calls.deploy(name, &form.deployment).await
    }

    /// Deletes the models of an endpoint but these; returns how many were there.
    async fn clean(&self, endpoint: &str, namespace: &str, without: &[&str]) -> Result<usize, ProviderError> {
        let labels = ownership::model_of(&self.context.install_id, namespace, endpoint);
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
impl ManagedService for VertexAi {
    const NAME: &'static str = VERTEX_AI.name;
    const TITLE: &'static str = VERTEX_AI.title;
    type View = VertexView;
    type Form = VertexForm;

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn install_id(&self) -> &str {
        &self.context.install_id
    }

    fn reach(&self) -> Reach {
        self.place.reach()
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        Ok(self.place.identity_of(&self.calls.project_number().await?))
    }

    async fn claim(&self, _: &str, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        claim::claim(&self.calls, &self.context.install_id, hub_uid, takeover).await
    }

    async fn token(&self) -> Result<Option<Redacted>, ProviderError> {
        self.credentials.token().await.map(Some)
    }

    fn form(&self, wanted: &Wanted) -> Result<VertexForm, ProviderError> {
        form(&self.place, &self.context.install_id, wanted)
    }

    async fn find(&self, name: &str) -> Result<Option<VertexView>, ProviderError> {
        self.calls.endpoint(name).await
    }

    fn ownership(view: &VertexView) -> EndpointOwnership {
        EndpointOwnership {
            name: id_of(&view.name).to_owned(),
            uid: ownership::uid(view),
            owner: ownership::owner(&view.labels),
        }
    }

    fn is_of(view: &VertexView, form: &VertexForm) -> bool {
        form.mark.is_on(view)
    }

    async fn present(
        &self,
        wanted: &Wanted,
        view: &VertexView,
        form: &VertexForm,
        external_id: ExternalId,
    ) -> Result<Present, ProviderError> {
        let operations = self.operations(view, form).await?;
        Ok(observed::present(&self.place, wanted, &self.reading(view, &operations, form), external_id))
    }

    /// Only the deployment of the model costs anything, and it comes last.
    async fn create(&self, form: &VertexForm) -> Result<VertexView, ProviderError> {
        let name = &form.endpoint.display_name;
        // Both take a while: the model is uploaded while the endpoint is made.
        let _ = self.begin_upload(form).await?;
        self.calls.create(name, &form.endpoint).await?;
        let view = wait_for(Self::TITLE, &format!("endpoint {name}"), || self.calls.endpoint(name)).await?;
        if !form.mark.is_on(&view) {
            return Err(created_concurrently(name));
        }
        match self.deploy(&self.reading(&view, &[], form)).await {
            // The endpoint is there, and the core asks again.
            Err(error) if error.class == ErrorClass::Transient => tracing::debug!(%error, "not deployed yet"),
            result => result?,
        }
        Ok(view)
    }

    async fn correct(&self, view: &VertexView, form: &VertexForm) -> Result<(), ProviderError> {
        let operations = self.operations(view, form).await?;
        let reading = self.reading(view, &operations, form);
        let name = id_of(&view.name);
        match reading.due() {
            VertexStep::Nothing => Ok(()),
            VertexStep::Deploy => {
                let used: Vec<&str> = view.deployed_models.iter().map(|deployed| id_of(&deployed.model)).collect();
                self.clean(name, &form.mark.tags.namespace, &[used, vec![form.model.as_str()]].concat()).await?;
                self.deploy(&reading).await
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
        self.delete_parts(name, ownership::get(&view.labels, ownership::NAMESPACE)).await
    }

    /// The models of an endpoint.
    async fn delete_parts(&self, name: &str, namespace: &str) -> Result<Removal, ProviderError> {
        Ok(match self.clean(name, namespace, &[]).await? {
            0 => Removal::Gone,
            left => Removal::InProgress { message: format!("Vertex AI is deleting {left} models of endpoint {name}") },
        })
    }

    async fn key(&self, view: &VertexView) -> Result<Option<Redacted>, ProviderError> {
        let name = id_of(&view.name);
        let namespace = ownership::get(&view.labels, ownership::NAMESPACE);
        let models = self.calls.models(&ownership::model_of(&self.context.install_id, namespace, name)).await?;
        let deployed = |name: &str| view.deployed_models.iter().any(|known| id_of(&known.model) == name);
        // The model in force knows it best; before the first deployment, the one that was uploaded does.
        let Some(model) = models.iter().max_by_key(|model| deployed(id_of(&model.name))) else { return Ok(None) };
        let key = key_in(model).ok_or_else(|| invalid_key(Self::TITLE, name))?;
        Ok(Some(Redacted::new(key.to_owned())))
    }
}
