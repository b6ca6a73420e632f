//! The order of the calls that create, change and delete an endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use roadstead_api::v1alpha1::{ExternalId, names};
use roadstead_azure::{ArmChange, ArmOperationError, marks};
use roadstead_provider::address::Reach;
use roadstead_provider::{Capabilities, Claim, ErrorClass, Present, ProviderError, Redacted, Removal, Wanted};
use roadstead_rest::{
    BaseUrlError, EndpointOwnership, ManagedService, RestFailure, ServiceContext, created_concurrently, invalid_key,
    wait_for,
};

use crate::calls::{AZURE_ML, AzureMlCalls};
use crate::claim;
use crate::form::{OnlineForm, form};
use crate::observed;
use crate::ownership;
use crate::place::{AzureMlPlace, WorkspaceAccess, capabilities};
use crate::state::{OnlineReading, OnlineStep, failed_change};
use crate::wire::{OnlineDeploymentView, OnlineView, WorkspaceView};

/// Azure Machine Learning in one workspace.
pub struct AzureMl {
    place: AzureMlPlace,
    context: ServiceContext,
    /// Its calls.
    pub(crate) calls: AzureMlCalls,
    /// Operations of the latest changes of deployments, by endpoint.
    changes: Mutex<BTreeMap<String, String>>,
    /// Endpoints that are not at rest: a list shows nothing of their deployments.
    restless: Mutex<BTreeSet<String>>,
}

/// Everything beside an endpoint that shows its state.
struct OnlineParts {
    deployments: Vec<OnlineDeploymentView>,
    cause: Option<ArmOperationError>,
    key_is_set: bool,
}

impl AzureMl {
    /// The service; nothing is asked before it is used.
    ///
    /// # Errors
    /// `Invalid` where an address is none.
    pub fn new(access: WorkspaceAccess) -> Result<Self, ProviderError> {
        let invalid = |error: BaseUrlError| ProviderError::new(ErrorClass::Invalid, format!("address: {error}"));
        let calls = AzureMlCalls::new(&access).map_err(invalid)?;
        Ok(Self {
            place: access.place,
            context: access.context,
            calls,
            changes: Mutex::default(),
            restless: Mutex::default(),
        })
    }

    fn changes(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names of the endpoints that are not at rest.
    pub(crate) fn restless(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.restless.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading<'a>(&self, view: &'a OnlineView, parts: &'a OnlineParts, form: &'a OnlineForm) -> OnlineReading<'a> {
        let OnlineParts { deployments, cause, key_is_set } = parts;
        OnlineReading {
            view,
            deployments,
            form,
            cause: cause.as_ref(),
            key_is_set: *key_is_set,
            now: self.context.now(),
        }
    }

    /// Reads everything beside an endpoint that shows its state.
    async fn parts(&self, view: &OnlineView, form: &OnlineForm) -> Result<OnlineParts, ProviderError> {
        let deployments = self.calls.deployments(&form.name).await?;
        let cause = self.cause(form, &deployments).await?;
        let mut parts = OnlineParts { deployments, cause, key_is_set: false };
        if self.reading(view, &parts, form).asks_for_key() {
            parts.key_is_set = self.calls.key(&form.name).await?.primary_key == form.key.expose();
        }
        Ok(parts)
    }

    /// Cause of the failure of the wanted deployment, as far as its operation is known.
    async fn cause(
        &self,
        form: &OnlineForm,
        deployments: &[OnlineDeploymentView],
    ) -> Result<Option<ArmOperationError>, ProviderError> {
        let wanted = deployments.iter().find(|known| known.name == form.deployment_name);
        if wanted.is_none_or(|known| known.properties.provisioning_state != "Failed") {
            return Ok(None);
        }
        let Some(path) = self.changes().get(&form.name).cloned() else { return Ok(None) };
        Ok(self.calls.operation(&path).await?.and_then(|operation| operation.error))
    }

    /// Keeps the address of a change's operation, which has the cause of its failure.
    fn began(&self, name: &str, change: ArmChange) {
        match change.operation {
            Some(path) => drop(self.changes().insert(name.to_owned(), path)),
            None => drop(self.changes().remove(name)),
        }
    }

    /// Takes the step that is due, and returns it.
    async fn take_step(&self, view: &OnlineView, form: &OnlineForm) -> Result<OnlineStep, ProviderError> {
        let parts = self.parts(view, form).await?;
        let reading = self.reading(view, &parts, form);
        let names = [form.name.as_str(), form.deployment_name.as_str()];
        let step = reading.due();
        let result = match &step {
            OnlineStep::Nothing => Ok(()),
            OnlineStep::Repair if parts.deployments.is_empty() => self.calls.put(names[0], &form.creation()).await,
            OnlineStep::Repair | OnlineStep::Shift => {
                self.calls.put(names[0], &form.with_traffic(reading.tags_with_former_key())).await
            }
            OnlineStep::Deploy => {
                self.calls.register(&form.environment, &form.version).await?;
                self.calls.deploy(names, &form.deployment).await.map(|change| self.began(names[0], change))
            }
            OnlineStep::Scale => {
                let scaled = self.calls.scale(names, form.replicas, &form.deployment.tags).await;
                scaled.map(|change| self.began(names[0], change))
            }
            OnlineStep::Retire(former) => self.calls.retire([names[0], former]).await,
            OnlineStep::SetKey => self.calls.set_key(names[0], form.key.expose()).await,
            OnlineStep::Tag => self.calls.tag(names[0], &reading.tags()).await,
            OnlineStep::Wait => {
                let message =
                    format!("endpoint {} cannot be changed while an operation of Azure ML is under way", names[0]);
                return Err(ProviderError::new(ErrorClass::Transient, message));
            }
            OnlineStep::Failed(error) => {
                let (class, message) = failed_change(error);
                return Err(ProviderError::new(class, message));
            }
        };
        result.map_err(passing)?;
        Ok(step)
    }

    /// Takes the next step too, if the service ends a short operation within ten seconds.
    async fn go_on(&self, form: &OnlineForm) -> Result<(), ProviderError> {
        let ended = async || {
            let Some(view) = self.calls.endpoint(&form.name).await? else { return Ok(None) };
            let deployments = self.calls.deployments(&form.name).await?;
            let parts = OnlineParts { deployments, cause: None, key_is_set: false };
            Ok((!self.reading(&view, &parts, form).is_changing()).then_some(view))
        };
        let ended = wait_for(Self::TITLE, &format!("endpoint {}", form.name), ended).await;
        let next = match ended {
            Ok(view) => self.take_step(&view, form).await.map(drop),
            Err(error) => Err(error),
        };
        match next {
            // The step before is taken, and the core asks again.
            Err(error) if error.class == ErrorClass::Transient => {
                tracing::debug!(%error, "another step is left");
                Ok(())
            }
            result => result,
        }
    }
}

/// A change that another one keeps out passes by itself.
fn passing(failure: RestFailure) -> RestFailure {
    if failure.error.class == ErrorClass::Conflict { failure.of_class(ErrorClass::Transient) } else { failure }
}

/// The name of a region without the spaces and capitals that Azure's portal shows.
fn plain(region: &str) -> String {
    region.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

#[async_trait]
impl ManagedService for AzureMl {
    const NAME: &'static str = AZURE_ML.name;
    const TITLE: &'static str = AZURE_ML.title;
    type View = OnlineView;
    type Form = OnlineForm;

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
        let WorkspaceView { location, properties } = self.calls.workspace().await?;
        let AzureMlPlace { workspace, region, .. } = &self.place;
        if plain(&location) != plain(region) {
            let message = format!(
                "workspace {workspace} is in {location}, and spec.region is {region}: create a target with {location}"
            );
            return Err(ProviderError::new(ErrorClass::Invalid, message));
        }
        if names::is_uid(&properties.workspace_id) {
            return Ok(properties.workspace_id);
        }
        let message = format!("Azure ML answers for workspace {workspace} without an id");
        Err(ProviderError::new(ErrorClass::Transient, message))
    }

    async fn claim(&self, _: &str, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        claim::claim(&self.calls, &self.context.install_id, hub_uid, takeover).await
    }

    fn form(&self, wanted: &Wanted) -> Result<OnlineForm, ProviderError> {
        form(&self.place, &self.context.install_id, wanted)
    }

    async fn find(&self, name: &str) -> Result<Option<OnlineView>, ProviderError> {
        self.calls.endpoint(name).await
    }

    fn ownership(view: &OnlineView) -> EndpointOwnership {
        EndpointOwnership { name: view.name.clone(), uid: ownership::uid(view), owner: marks::owner(&view.tags) }
    }

    fn is_of(view: &OnlineView, form: &OnlineForm) -> bool {
        form.mark.is_on(&view.tags)
    }

    async fn present(
        &self,
        wanted: &Wanted,
        view: &OnlineView,
        form: &OnlineForm,
        external_id: ExternalId,
    ) -> Result<Present, ProviderError> {
        let parts = self.parts(view, form).await?;
        let reading = self.reading(view, &parts, form);
        if reading.is_at_rest() {
            self.restless().remove(&form.name);
        } else {
            self.restless().insert(form.name.clone());
        }
        Ok(observed::present(&self.place, wanted, &reading, external_id))
    }

    /// Creates the endpoint, which costs nothing. Its deployment follows once it exists.
    async fn create(&self, form: &OnlineForm) -> Result<OnlineView, ProviderError> {
        let name = &form.name;
        match self.calls.create(name, &form.creation()).await {
            // Something has the name by now: a former try has made it, or somebody else.
            Err(failure) if failure.error.class == ErrorClass::Conflict => {}
            result => result?,
        }
        let view = wait_for(Self::TITLE, &format!("endpoint {name}"), || self.calls.endpoint(name)).await?;
        if !form.mark.is_on(&view.tags) {
            return Err(created_concurrently(name));
        }
        self.go_on(form).await?;
        Ok(view)
    }

    async fn correct(&self, view: &OnlineView, form: &OnlineForm) -> Result<(), ProviderError> {
        match self.take_step(view, form).await? {
            // These take a while, and the list shows when they have ended.
            OnlineStep::Nothing | OnlineStep::Deploy | OnlineStep::Scale => Ok(()),
            _ => self.go_on(form).await,
        }
    }

    /// Azure ML deletes the deployments with their endpoint.
    async fn delete(&self, view: &OnlineView) -> Result<Removal, ProviderError> {
        let name = &view.name;
        if view.properties.provisioning_state != "Deleting" {
            match self.calls.delete(name).await {
                Err(failure) if failure.error.class == ErrorClass::Conflict => {
                    let message = format!("endpoint {name} waits for an operation of Azure ML to end");
                    return Ok(Removal::InProgress { message });
                }
                result => result?,
            }
        }
        if self.calls.endpoint(name).await?.is_some() {
            return Ok(Removal::InProgress { message: format!("Azure ML is deleting endpoint {name}") });
        }
        self.changes().remove(name);
        self.restless().remove(name);
        Ok(Removal::Gone)
    }

    async fn key(&self, view: &OnlineView) -> Result<Option<Redacted>, ProviderError> {
        let key = self.calls.key(&view.name).await?.primary_key;
        if names::is_api_key(&key) { Ok(Some(Redacted::new(key))) } else { Err(invalid_key(Self::TITLE, &view.name)) }
    }
}
