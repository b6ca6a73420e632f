//! The driver of one place: the order of the calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use async_trait::async_trait;
use roadstead_api::v1alpha1::{ExternalId, reasons};
use roadstead_provider::address::Reach;
use roadstead_provider::tags::EndpointTags;
use roadstead_provider::{
    Capabilities, Claim, ErrorClass, Present, ProviderError, Redacted, Removal, Trouble, TroubleKind, Wanted,
};
use roadstead_rest::{
    Bearer, EndpointOwner, EndpointOwnership, ManagedService, RestAnswer, RestCall, RestClient, RestFailure,
    ServiceContext, ServiceRoute, StatedTerms, Transport, created_concurrently,
};
use serde_json::json;

use crate::archive::archive;
use crate::claim::Claimant;
use crate::form::{BasetenForm, SOURCE};
use crate::keys;
use crate::labels::DeploymentLabels;
use crate::models::Records;
use crate::place::{BasetenAccess, BasetenAddresses, BasetenPlace, id};
use crate::service::{self, DeploymentCalls, NAME, PROFILE, TITLE, TeamCalls, class_of_text};
use crate::state::{FoundModel, LatestPush, ModelStep};
use crate::upload::upload;
use crate::vault;
use crate::wire::{
    BasetenModel, CreatedModel, DeploymentLogLine, DeploymentPhase, DeploymentView, Deployments, Logs, Models,
    Prepared, Team, Teams,
};

/// Baseten in one team and region.
pub struct Baseten {
    /// The management API.
    pub(crate) client: RestClient,
    /// Prices.
    pub(crate) terms: StatedTerms,
    /// Records of deployments.
    pub(crate) records: Records,
    addresses: BasetenAddresses,
    place: BasetenPlace,
    transport: Transport,
    reach: Reach,
    context: ServiceContext,
    team: RwLock<Option<Team>>,
    /// Ids of models by name, as far as they were seen: a name alone is looked up in a list of everything.
    ids: Mutex<BTreeMap<String, String>>,
    /// The latest push for each model, by name.
    pushes: Mutex<BTreeMap<String, LatestPush>>,
}

impl Baseten {
    /// The service; nothing is asked before it is used.
    #[must_use]
    pub fn new(access: BasetenAccess) -> Self {
        let BasetenAccess { addresses, place, key, reach, context } = access;
        let transport = Transport::new(ServiceRoute { authorities: String::new(), reach });
        let client = context.client(PROFILE, addresses.management.clone(), &transport, Arc::new(Bearer::new(key)));
        let terms = StatedTerms::new(TITLE, context.clock);
        let (records, team, ids, pushes) = (Records::default(), RwLock::default(), Mutex::default(), Mutex::default());
        Self { client, terms, records, addresses, place, transport, reach, context, team, ids, pushes }
    }

    /// The team of this place.
    pub(crate) async fn team(&self) -> Result<Team, ProviderError> {
        let known = self.team.read().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(known) => Ok(known),
            None => self.ask_team().await,
        }
    }

    async fn ask_team(&self) -> Result<Team, ProviderError> {
        let Teams { teams } = self.client.call(service::teams()).await?.json()?;
        let wanted = |team: &&Team| match &self.place.team {
            Some(name) => team.name == *name,
            None => team.default,
        };
        let found = teams.iter().find(wanted).or(teams.first().filter(|_| self.place.team.is_none())).cloned();
        let team = found.ok_or_else(|| {
            let name = self.place.team.as_deref().unwrap_or("default");
            ProviderError::new(ErrorClass::Unauthorized, format!("the API key is not one of team {name:?} at {TITLE}"))
        })?;
        id(&team.id)?;
        // The team of the first answer is that of the place: another one later is another place.
        self.team.write().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| team.clone());
        Ok(team)
    }

    fn known(&self, name: &str) -> Option<String> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The model of this name: by its id where that is known, else in the list of all.
    async fn model(&self, name: &str) -> Result<Option<BasetenModel>, ProviderError> {
        if let Some(known) = self.known(name) {
            if let Some(model) = self.by_id(name, &known).await? {
                return Ok(Some(model));
            }
            self.ids.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        }
        let Some(model) = self.by_name(name).await? else { return Ok(None) };
        self.seen(&model)?;
        Ok(Some(model))
    }

    fn seen(&self, model: &BasetenModel) -> Result<(), ProviderError> {
        id(&model.id)?;
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).insert(model.name.clone(), model.id.clone());
        Ok(())
    }

    fn pushes(&self) -> MutexGuard<'_, BTreeMap<String, LatestPush>> {
        self.pushes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the call that pushes a form. A push whose answer is lost may have been accepted, too.
    async fn push(&self, form: &BasetenForm, call: RestCall) -> Result<RestAnswer, RestFailure> {
        self.pushes().insert(form.name.clone(), LatestPush::of(form, self.context.now()));
        let answer = self.client.call(call).await;
        let is_refused = |failure: &RestFailure| failure.status.is_some_and(|status| status.is_client_error());
        if answer.as_ref().is_err_and(is_refused) {
            self.pushes().remove(&form.name);
        }
        answer
    }

    /// Waits for a push that the list of the model's deployments does not show yet.
    fn expect_push(&self, name: &str, listed: &[DeploymentView]) -> Result<(), ProviderError> {
        let mut pushes = self.pushes();
        match pushes.get(name) {
            Some(push) if push.may_be_missing(listed, self.context.now()) => {
                let message = format!("the newest deployment of model {name} is not listed yet");
                Err(ProviderError::new(ErrorClass::Transient, message))
            }
            _ => {
                pushes.remove(name);
                Ok(())
            }
        }
    }

    async fn by_id(&self, name: &str, model: &str) -> Result<Option<BasetenModel>, ProviderError> {
        match self.client.call(service::get(model)).await {
            Ok(answer) => Ok(Some(answer.json::<BasetenModel>()?).filter(|model| model.name == name)),
            Err(failure) if failure.error.class == ErrorClass::NotFound => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The model of this name, that of the team first. The driver knows the team by its former name after a renaming: a billed model
    /// must not look removed then.
    async fn by_name(&self, name: &str) -> Result<Option<BasetenModel>, ProviderError> {
        let team = self.team().await?;
        let Models { models } = self.client.call(service::find()).await?.json()?;
        let of_name = models.into_iter().filter(|model| model.name == name);
        Ok(of_name.max_by_key(|model| model.team_name == team.name))
    }

    /// Uploads the archive of a form; returns its key at the store.
    async fn upload(&self, form: &BasetenForm, of: (&str, &str)) -> Result<String, ProviderError> {
        let team = self.team().await?;
        vault::keep(&self.client, &team.id, &form.secrets).await?;
        let body = json!({"deployment": form.payload(), of.0: of.1});
        let prepared: Prepared =
            self.client.call(service::prepare(&body)?).await.map_err(|failure| taken(form, failure.into()))?.json()?;
        let bytes = archive(form.config().as_bytes()).map_err(|error| ProviderError::new(ErrorClass::Bug, error))?;
        upload(&self.context, self.addresses.stand_in.as_ref(), &self.transport, prepared, bytes).await
    }

    async fn take(&self, found: &FoundModel, form: &BasetenForm, step: ModelStep<'_>) -> Result<(), ProviderError> {
        let model = &found.model.id;
        let of = |deployment: &DeploymentView| deployment.id.clone();
        let (id, step) = match step {
            ModelStep::Deploy => {
                self.expect_push(&form.name, &found.deployments)?;
                let key = self.upload(form, ("model_id", model)).await?;
                let source = json!({"kind": "model_archive", "s3_key": key, "deployment": form.payload()});
                self.push(form, service::deploy(model, &json!({"source": source}))?).await?;
                return Ok(());
            }
            ModelStep::Scale(one) | ModelStep::Activate(one) | ModelStep::Deactivate(one) | ModelStep::Delete(one) => {
                (of(one), step)
            }
        };
        let calls = DeploymentCalls { model, deployment: &id };
        let call = match step {
            ModelStep::Scale(_) => calls.scale(&form.scaling())?,
            ModelStep::Activate(_) => calls.activate(),
            ModelStep::Deactivate(_) => calls.deactivate(),
            ModelStep::Delete(_) | ModelStep::Deploy => calls.delete(),
        };
        match self.client.call(call).await {
            // It was deleted already.
            Err(failure) if failure.error.class == ErrorClass::NotFound => Ok(()),
            answer => answer.map(drop).map_err(Into::into),
        }
    }

    /// Trouble of a deployment that has failed, with the last words of its logs.
    async fn trouble(&self, found: &FoundModel, failed: &DeploymentView) -> Result<Trouble, ProviderError> {
        let calls = DeploymentCalls { model: &found.model.id, deployment: &failed.id };
        let Logs { logs } = self.client.call(calls.logs()).await?.json()?;
        let is_error = |line: &&DeploymentLogLine| line.level.as_deref() == Some("ERROR");
        let said = logs.iter().rfind(is_error).or(logs.last()).map_or("", |line| line.message.trim());
        let (class, reason) = match class_of_text(said) {
            Some(ErrorClass::QuotaExceeded) => (ErrorClass::QuotaExceeded, reasons::QUOTA_EXCEEDED),
            Some(ErrorClass::CapacityExhausted) => (ErrorClass::CapacityExhausted, reasons::CAPACITY_EXHAUSTED),
            _ => (ErrorClass::Transient, reasons::CRASH_LOOP),
        };
        let message = if said.is_empty() {
            format!("{TITLE}: {}; see the logs of the deployment there", failed.status)
        } else {
            format!("{TITLE}: {}: {said}", failed.status)
        };
        let message = ProviderError::new(class, message).message;
        Ok(Trouble { kind: TroubleKind::Plain, class, reason, message, since: None })
    }

    /// Revokes the keys and deletes the secrets of an endpoint whose model is gone.
    async fn clear(&self, name: &str) -> Result<Removal, ProviderError> {
        let team = self.team().await?;
        keys::revoke_all(&self.client, name).await?;
        vault::empty(&self.client, &team.id, name).await?;
        Ok(Removal::Gone)
    }
}

/// A taken name was free when it was read: the next observation says who has it.
fn taken(form: &BasetenForm, error: ProviderError) -> ProviderError {
    if error.class != ErrorClass::Conflict {
        return error;
    }
    created_concurrently(&form.name)
}

#[async_trait]
impl ManagedService for Baseten {
    const NAME: &'static str = NAME;
    const TITLE: &'static str = TITLE;
    const ISSUES_KEYS: bool = true;
    type View = FoundModel;
    type Form = BasetenForm;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            engines: Some([String::from("vllm")].into()),
            sources: Some([SOURCE.to_owned()].into()),
            whole_instances: true,
            ..Capabilities::default()
        }
    }

    fn install_id(&self) -> &str {
        &self.context.install_id
    }

    fn reach(&self) -> Reach {
        self.reach
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        Ok(format!("{}.{}", self.ask_team().await?.id, self.place.region))
    }

    async fn claim(&self, _: &str, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        let team = self.team().await?;
        let claimant = Claimant { client: &self.client, team: &team.id, install_id: self.install_id() };
        claimant.claim(hub_uid, takeover).await
    }

    fn form(&self, wanted: &Wanted) -> Result<BasetenForm, ProviderError> {
        BasetenForm::of(wanted, self.install_id(), &self.place.region)
    }

    async fn find(&self, name: &str) -> Result<Option<FoundModel>, ProviderError> {
        let Some(model) = self.model(name).await? else { return Ok(None) };
        let Deployments { mut deployments } = match self.client.call(service::deployments(&model.id)).await {
            Ok(answer) => answer.json()?,
            Err(failure) if failure.error.class == ErrorClass::NotFound => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        deployments.sort_by(|one, other| (&one.created_at, &one.id).cmp(&(&other.created_at, &other.id)));
        for deployment in &deployments {
            id(&deployment.id)?;
        }
        if !deployments.iter().any(|one| DeploymentLabels::of(one).is_some()) {
            // Without one the model would look like somebody else's.
            self.expect_push(name, &deployments)?;
        }
        Ok(Some(FoundModel { model, deployments }))
    }

    fn ownership(view: &FoundModel) -> EndpointOwnership {
        let owner = view.labels().map(|DeploymentLabels { owner, .. }| {
            let EndpointTags { install_id, namespace, deployment, .. } = owner;
            EndpointOwner { install_id, namespace, deployment }
        });
        EndpointOwnership { name: view.model.name.clone(), uid: view.model.id.clone(), owner }
    }

    fn is_of(view: &FoundModel, form: &BasetenForm) -> bool {
        view.labels().is_some_and(|labels| labels.owner.is_same_endpoint(&form.labels.owner))
    }

    async fn present(
        &self,
        wanted: &Wanted,
        view: &FoundModel,
        form: &BasetenForm,
        external_id: ExternalId,
    ) -> Result<Present, ProviderError> {
        let mut present = view.present(form, wanted, external_id, self.addresses.url(&view.model.id));
        if let Some(failed) = view.wanted(form).filter(|one| one.phase() == DeploymentPhase::Failed) {
            present.trouble = Some(self.trouble(view, failed).await?);
        }
        Ok(present)
    }

    async fn create(&self, form: &BasetenForm) -> Result<FoundModel, ProviderError> {
        let key = self.upload(form, ("name", &form.name)).await?;
        let team = self.team().await?;
        let source = json!({"kind": "model_archive", "name": form.name, "s3_key": key, "deployment": form.payload()});
        let call = TeamCalls(&team.id).create(&json!({"source": source}))?;
        let answer = self.push(form, call).await.map_err(|failure| taken(form, failure.into()))?;
        let CreatedModel { model } = answer.json()?;
        self.seen(&model)?;
        Ok(FoundModel { model, deployments: Vec::new() })
    }

    async fn correct(&self, view: &FoundModel, form: &BasetenForm) -> Result<(), ProviderError> {
        match view.step(form) {
            Some(step) => self.take(view, form, step).await,
            None => Ok(()),
        }
    }

    /// Deletes a model; then what was made for it, which is useless without it.
    async fn delete(&self, view: &FoundModel) -> Result<Removal, ProviderError> {
        let BasetenModel { id, name, .. } = &view.model;
        match self.client.call(service::delete(id)).await {
            Err(failure) if failure.error.class != ErrorClass::NotFound => return Err(failure.into()),
            _ => {}
        }
        if self.by_id(name, id).await?.is_some() {
            return Ok(Removal::InProgress { message: format!("model {name} is being deleted") });
        }
        self.pushes().remove(name);
        self.clear(name).await
    }

    async fn delete_parts(&self, name: &str, _: &str) -> Result<Removal, ProviderError> {
        // What is called as a model belongs to it, whoever made it.
        if self.model(name).await?.is_some() { Ok(Removal::Gone) } else { self.clear(name).await }
    }

    async fn key(&self, view: &FoundModel) -> Result<Option<Redacted>, ProviderError> {
        let BasetenModel { id, name, .. } = &view.model;
        keys::issue(&self.client, &self.team().await?.id, name, id).await.map(Some)
    }
}
