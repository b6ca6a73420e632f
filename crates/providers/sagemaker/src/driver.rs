//! The driver: the order of the calls.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use kube::ResourceExt;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{ExternalId, InferenceEndpoint, names};
use roadstead_aws::{AwsCredentials, bearer_token};
use roadstead_model::{self as model, Timestamp};
use roadstead_provider::address::Reach;
use roadstead_provider::probe::{self, Credential, Probe, ProbeAnswer};
use roadstead_provider::{
    Capabilities, Claim, ErrorClass, Inventory, Listener, NewestInventory, Observation, ProviderError, Redacted,
    Removal, Site, Wanted, Workload,
};
use roadstead_rest::PlaceListing;

use crate::claim;
use crate::form::{VARIANT, WantedForm, form, is_part_of};
use crate::launch::key_in;
use crate::listing::{AccountEndpoints, INTERVAL};
use crate::observed::{self, UID, external_id};
use crate::ownership;
use crate::place::{AccountAccess, capabilities};
use crate::service::{Creation, Services};
use crate::state::{DueStep, Reading, ServicePhase};
use crate::wire::{EndpointDescription, TagMap};

/// Life of the token of one probe.
const TOKEN_LIFE: Duration = Duration::from_mins(5);

/// The driver of one account in one region.
pub struct SageMaker {
    access: AccountAccess,
    credentials: Arc<AwsCredentials>,
    services: Arc<Services>,
    site: RwLock<String>,
    known: Arc<NewestInventory>,
    interval: Duration,
    listing: Mutex<Option<PlaceListing>>,
}

/// An endpoint with its tags.
struct Tagged {
    view: EndpointDescription,
    tags: TagMap,
}

/// The existing endpoint beside the wanted one.
enum AccountSurvey {
    Absent(Box<WantedForm>),
    Foreign(ProviderError),
    Ours(Box<Tagged>, Box<WantedForm>),
}

impl SageMaker {
    /// A driver; nothing is asked before it is used.
    ///
    /// # Errors
    /// `Invalid` where the region cannot be one.
    pub fn new(access: AccountAccess) -> Result<Self, ProviderError> {
        let credentials = Arc::new(AwsCredentials::new(access.credentials.clone(), access.clock));
        let services = Arc::new(Services::new(&access, &credentials)?);
        let site = RwLock::new(access.place.identity_of(&access.place.account));
        Ok(Self {
            access,
            credentials,
            services,
            site,
            known: Arc::default(),
            interval: INTERVAL,
            listing: Mutex::default(),
        })
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

    /// The endpoint of this name with its tags, of any installation.
    async fn find(&self, name: &str) -> Result<Option<Tagged>, ProviderError> {
        let Some(view) = self.services.endpoint(name).await? else { return Ok(None) };
        if view.endpoint_name != name {
            let message = format!("SageMaker answers for endpoint {name} with another name");
            return Err(ProviderError::new(ErrorClass::Transient, message));
        }
        let tags = self.services.tags(&self.access.place.arn("endpoint", name)).await?;
        Ok(tags.map(|tags| Tagged { view, tags }))
    }

    /// Compares the existing endpoint with the wanted one.
    async fn survey(&self, wanted: &Wanted) -> Result<AccountSurvey, ProviderError> {
        let form = Box::new(form(&self.access.install_id, wanted)?);
        let Some(found) = self.find(&wanted.endpoint.name_any()).await? else { return Ok(AccountSurvey::Absent(form)) };
        Ok(if ownership::is_ours(&found.tags, &form.identity) {
            AccountSurvey::Ours(Box::new(found), form)
        } else {
            AccountSurvey::Foreign(self.foreign(&found.view.endpoint_name, &found.tags))
        })
    }

    /// The error for something that has an endpoint's name and is not tagged as that endpoint.
    fn foreign(&self, name: &str, tags: &TagMap) -> ProviderError {
        let tag = |key| ownership::get(tags, key);
        let (ours, theirs) = (&self.access.install_id, tag(names::LABEL_INSTALL_ID));
        let whose = if theirs.is_empty() {
            "was not made by Roadstead".to_owned()
        } else {
            let (namespace, deployment) = (tag(names::LABEL_NAMESPACE), tag(names::LABEL_DEPLOYMENT));
            format!("belongs to {namespace}/{deployment} of installation {theirs:?}")
        };
        let message = format!(
            "endpoint {name} in SageMaker {whose}; this operator is {ours:?}. The operator does not change it: delete it there, \
             or recreate it under another name"
        );
        ProviderError::new(ErrorClass::Conflict, message)
    }

    /// Creates the model and the configuration of a form, which cost nothing. What exists already was made by a former try.
    async fn create_parts(&self, form: &WantedForm) -> Result<(), ProviderError> {
        if self.services.create_model(&form.model).await? == Creation::Taken {
            self.check_part("model", form).await?;
        }
        if self.services.create_config(&form.config).await? == Creation::Taken {
            self.check_part("endpoint-config", form).await?;
        }
        Ok(())
    }

    async fn check_part(&self, kind: &str, form: &WantedForm) -> Result<(), ProviderError> {
        let arn = self.access.place.arn(kind, &form.resource);
        match self.services.tags(&arn).await? {
            Some(tags) if ownership::is_ours(&tags, &form.identity) => Ok(()),
            Some(_) => {
                let message = format!("the name {arn} is taken by a resource that is not this endpoint's; delete it");
                Err(ProviderError::new(ErrorClass::Conflict, message))
            }
            None => Err(ProviderError::new(ErrorClass::Transient, format!("{arn} is not visible yet"))),
        }
    }

    async fn create(&self, form: &WantedForm) -> Result<(), ProviderError> {
        self.create_parts(form).await?;
        match self.services.create_endpoint(&form.endpoint).await? {
            Creation::Made => Ok(()),
            // Whose it is, the next observation says.
            Creation::Taken => {
                let message = format!("endpoint {} was created concurrently", form.endpoint.endpoint_name);
                Err(ProviderError::new(ErrorClass::Transient, message))
            }
        }
    }

    /// Takes the step that is due. Tags that tell of a change are set before it.
    async fn take_step(&self, reading: &Reading<'_>) -> Result<(), ProviderError> {
        let (view, form) = (reading.view, reading.form);
        let name = &view.endpoint_name;
        match reading.due() {
            DueStep::Nothing => Ok(()),
            DueStep::Update => {
                self.clean(name, &reading.leftovers()).await?;
                self.create_parts(form).await?;
                self.label(name, &reading.tags_of_change()).await?;
                self.services.update_endpoint(name, &form.resource).await
            }
            DueStep::Scale => {
                self.label(name, &reading.tags_of_change()).await?;
                self.services.scale_endpoint(name, VARIANT, form.replicas).await
            }
            DueStep::Label => self.label(name, &form.tags).await,
            DueStep::Wait => {
                let message =
                    format!("endpoint {name} cannot be changed while SageMaker says {}", view.endpoint_status);
                Err(ProviderError::new(ErrorClass::Transient, message))
            }
            DueStep::Failed => {
                let (class, message) = reading.failed_change();
                Err(ProviderError::new(class, message))
            }
        }
    }

    async fn label(&self, name: &str, tags: &TagMap) -> Result<(), ProviderError> {
        self.services.add_tags(&self.access.place.arn("endpoint", name), tags).await
    }

    /// Deletes the resources of former forms, which nothing uses any more.
    async fn clean(&self, name: &str, leftovers: &[String]) -> Result<(), ProviderError> {
        for hash in leftovers {
            let resource = format!("{name}-{hash}");
            self.services.delete_config(&resource).await?;
            self.services.delete_model(&resource).await?;
        }
        Ok(())
    }

    /// One step of deleting exactly this endpoint, and then everything that belongs to it.
    async fn delete(&self, found: &Tagged) -> Result<Removal, ProviderError> {
        let name = &found.view.endpoint_name;
        let waits = |message: String| Ok(Removal::InProgress { message });
        if ServicePhase::of(&found.view.endpoint_status) != ServicePhase::Deleting {
            match self.services.delete_endpoint(name).await {
                // The service deletes nothing that it is making or changing.
                Err(error) if error.class == ErrorClass::Transient && error.message.contains("in-progress") => {
                    let status = &found.view.endpoint_status;
                    return waits(format!("endpoint {name} cannot be deleted while SageMaker says {status}"));
                }
                result => result?,
            }
        }
        if self.services.endpoint(name).await?.is_some() {
            return waits(format!("SageMaker is deleting endpoint {name}"));
        }
        self.sweep(name, &found.tags).await
    }

    /// Deletes the configurations and models of an endpoint that is gone, the former ones too.
    async fn sweep(&self, name: &str, tags: &TagMap) -> Result<Removal, ProviderError> {
        let namespace = ownership::get(tags, names::LABEL_NAMESPACE);
        for config in self.services.configs_named(name).await? {
            if self.is_own_part("endpoint-config", &config, name, namespace).await? {
                self.services.delete_config(&config).await?;
            }
        }
        for model in self.services.models_named(name).await? {
            if self.is_own_part("model", &model, name, namespace).await? {
                self.services.delete_model(&model).await?;
            }
        }
        Ok(Removal::Gone)
    }

    async fn is_own_part(&self, kind: &str, part: &str, name: &str, namespace: &str) -> Result<bool, ProviderError> {
        if !is_part_of(part, name) {
            return Ok(false);
        }
        let tags = self.services.tags(&self.access.place.arn(kind, part)).await?;
        Ok(tags.is_some_and(|tags| ownership::is_tagged(&tags, &self.access.install_id, namespace)))
    }

    fn is_tagged(&self, found: &Tagged, namespace: &str) -> bool {
        ownership::is_tagged(&found.tags, &self.access.install_id, namespace)
    }
}

#[async_trait]
impl Site for SageMaker {
    fn name(&self) -> &'static str {
        "sagemaker"
    }

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        let account = self.services.account().await?;
        let identity = self.access.place.identity_of(&account);
        identity.clone_into(&mut self.site.write().unwrap_or_else(PoisonError::into_inner));
        Ok(identity)
    }

    async fn claim(&self, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        let place = &self.access.place;
        if self.site() != place.identity_of(&place.account) {
            let message = format!(
                "the credentials lead to {}, and spec.sageMaker.accountID is {}; correct one of them",
                self.site(),
                place.account
            );
            return Err(ProviderError::new(ErrorClass::Unauthorized, message));
        }
        claim::claim(&self.services, &self.access.place, &self.access.install_id, hub_uid, takeover).await
    }

    fn watch(&self, listener: Listener) {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        if listing.is_none() {
            let (services, install_id) = (Arc::clone(&self.services), self.access.install_id.clone());
            let place = AccountEndpoints { services, install_id };
            *listing = Some(PlaceListing::start(
                "listing of SageMaker",
                place,
                self.interval,
                Arc::clone(&self.known),
                listener,
            ));
        }
    }

    fn inventory(&self) -> Option<Arc<Inventory>> {
        self.known.get()
    }

    fn reach(&self) -> Reach {
        self.access.place.reach()
    }

    async fn ask(&self, asked: &Probe) -> ProbeAnswer {
        let token = match self.credentials.current().await {
            Ok(keys) => bearer_token(&keys, &self.access.place.region, TOKEN_LIFE, self.credentials.now()),
            Err(error) => Err(error),
        };
        match token {
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
impl Workload for SageMaker {
    async fn observe(&self, wanted: &Wanted) -> Result<Observation, ProviderError> {
        Ok(match self.survey(wanted).await? {
            AccountSurvey::Absent(_) => Observation::Absent,
            AccountSurvey::Foreign(error) => Observation::Foreign { message: error.message },
            AccountSurvey::Ours(found, form) => {
                let reading = Reading { view: &found.view, tags: &found.tags, form: &form, now: self.now() };
                let present = observed::present(&self.access.place, &self.site(), wanted, &reading);
                Observation::Present(Box::new(present))
            }
        })
    }

    async fn ensure(&self, wanted: &Wanted) -> Result<ExternalId, ProviderError> {
        let name = wanted.endpoint.name_any();
        match self.survey(wanted).await? {
            AccountSurvey::Foreign(error) => Err(error),
            AccountSurvey::Absent(form) => {
                self.create(&form).await?;
                let view = self.services.endpoint(&name).await?.ok_or_else(|| {
                    let message = format!("endpoint {name} was created and is not visible yet");
                    ProviderError::new(ErrorClass::Transient, message)
                })?;
                Ok(external_id(&self.site(), &view))
            }
            AccountSurvey::Ours(found, form) => {
                let reading = Reading { view: &found.view, tags: &found.tags, form: &form, now: self.now() };
                self.take_step(&reading).await?;
                Ok(external_id(&self.site(), &found.view))
            }
        }
    }

    async fn remove(&self, endpoint: &InferenceEndpoint) -> Result<Removal, ProviderError> {
        let name = endpoint.name_any();
        let namespace = endpoint.namespace().unwrap_or_default();
        let made = endpoint.external_id().and_then(|id| id.get(UID));
        let removal = match self.find(&name).await? {
            Some(found) if self.is_tagged(&found, &namespace) => self.delete(&found).await?,
            // The created endpoint still exists, or cannot be excluded.
            Some(found) if made.is_none_or(|uid| uid == ownership::uid(found.view.creation_time)) => {
                return Err(self.foreign(&name, &found.tags));
            }
            Some(_) | None => {
                let tags = TagMap::from([(names::LABEL_NAMESPACE.to_owned(), namespace)]);
                self.sweep(&name, &tags).await?
            }
        };
        if removal == Removal::Gone {
            self.known.removed(&name);
        }
        Ok(removal)
    }

    async fn remove_found(&self, found: &model::Found) -> Result<Removal, ProviderError> {
        let name = &found.name;
        let Some(there) = self.find(name).await? else {
            let tags = TagMap::from([(names::LABEL_NAMESPACE.to_owned(), found.deployment.namespace.clone())]);
            return self.sweep(name, &tags).await;
        };
        if !self.is_tagged(&there, &found.deployment.namespace) {
            return Err(self.foreign(name, &there.tags));
        }
        let same = ownership::get(&there.tags, names::LABEL_DEPLOYMENT) == found.deployment.name
            && ownership::uid(there.view.creation_time) == found.id;
        if !same {
            let message = format!(
                "endpoint {name} in SageMaker has changed since it was listed; the operator does not delete it"
            );
            return Err(ProviderError::new(ErrorClass::Conflict, message));
        }
        self.delete(&there).await
    }

    async fn api_key(&self, endpoint: &str) -> Result<Option<Redacted>, ProviderError> {
        let Some(found) = self.find(endpoint).await? else { return Ok(None) };
        if ownership::get(&found.tags, names::LABEL_INSTALL_ID) != self.access.install_id {
            return Err(self.foreign(endpoint, &found.tags));
        }
        let pending = found.view.pending_deployment_summary.map(|pending| pending.endpoint_config_name);
        let Some(resource) = found.view.endpoint_config_name.or(pending) else { return Ok(None) };
        // A configuration and its model have one name.
        let Some(view) = self.services.model(&resource).await? else { return Ok(None) };
        let key = view.primary_container.as_ref().and_then(|container| key_in(&container.environment));
        let key = key.ok_or_else(|| {
            let message = format!("endpoint {endpoint} has no valid API key; delete it in SageMaker");
            ProviderError::new(ErrorClass::Invalid, message)
        })?;
        Ok(Some(Redacted::new(key.to_owned())))
    }
}
