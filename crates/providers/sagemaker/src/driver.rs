//! The order of the calls that create, change and delete an endpoint.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kube::ResourceExt;
use roadstead_api::v1alpha1::{ExternalId, names};
use roadstead_aws::{AwsCredentials, TokenService, bearer_token};
use roadstead_provider::address::Reach;
use roadstead_provider::{Capabilities, Claim, ErrorClass, Present, ProviderError, Redacted, Removal, Wanted};
use roadstead_rest::{EndpointOwnership, ManagedService, ServiceContext, created_concurrently, invalid_key};

use crate::claim;
use crate::form::{VARIANT, WantedForm, form, is_part_of};
use crate::launch::key_in;
use crate::observed;
use crate::ownership;
use crate::place::{AccountAccess, SageMakerPlace, capabilities};
use crate::service::{Creation, SAGEMAKER, Services};
use crate::state::{DueStep, Reading, ServicePhase};
use crate::wire::{EndpointDescription, TagMap};

/// Life of the token of one probe.
const TOKEN_LIFE: Duration = Duration::from_mins(5);

/// SageMaker in one account and region.
pub struct SageMaker {
    place: SageMakerPlace,
    context: ServiceContext,
    credentials: Arc<AwsCredentials>,
    /// Its calls.
    pub(crate) services: Services,
}

/// An endpoint with its tags.
pub struct TaggedEndpoint {
    view: EndpointDescription,
    tags: TagMap,
}

impl SageMaker {
    /// The service; nothing is asked before it is used.
    ///
    /// # Errors
    /// `Invalid` where the region cannot be one.
    pub fn new(access: AccountAccess) -> Result<Self, ProviderError> {
        let AccountAccess { place, credentials, context } = access;
        let credentials = Arc::new(AwsCredentials::new(credentials, context.clock));
        let services = Services::new(&place, &context, &credentials)?;
        Ok(Self { place, context, credentials, services })
    }

    fn reading<'a>(&self, found: &'a TaggedEndpoint, form: &'a WantedForm) -> Reading<'a> {
        Reading { view: &found.view, tags: &found.tags, form, now: self.context.now() }
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
        let arn = self.place.arn(kind, &form.resource);
        match self.services.tags(&arn).await? {
            Some(tags) if ownership::is_ours(&tags, &form.identity) => Ok(()),
            Some(_) => {
                let message = format!("the name {arn} is taken by a resource that is not this endpoint's; delete it");
                Err(ProviderError::new(ErrorClass::Conflict, message))
            }
            None => Err(ProviderError::new(ErrorClass::Transient, format!("{arn} is not visible yet"))),
        }
    }

    async fn label(&self, name: &str, tags: &TagMap) -> Result<(), ProviderError> {
        self.services.add_tags(&self.place.arn("endpoint", name), tags).await
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

    async fn is_own_part(&self, kind: &str, part: &str, name: &str, namespace: &str) -> Result<bool, ProviderError> {
        if !is_part_of(part, name) {
            return Ok(false);
        }
        let tags = self.services.tags(&self.place.arn(kind, part)).await?;
        Ok(tags.is_some_and(|tags| ownership::is_tagged(&tags, &self.context.install_id, namespace)))
    }
}

#[async_trait]
impl ManagedService for SageMaker {
    const NAME: &'static str = SAGEMAKER.name;
    const TITLE: &'static str = SAGEMAKER.title;
    type View = TaggedEndpoint;
    type Form = WantedForm;

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
        Ok(self.place.identity_of(&self.services.account().await?))
    }

    async fn claim(&self, site: &str, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        let place = &self.place;
        if site != place.identity_of(&place.account) {
            let message = format!(
                "the credentials lead to {site}, and spec.sageMaker.accountID is {}; correct one of them",
                place.account
            );
            return Err(ProviderError::new(ErrorClass::Unauthorized, message));
        }
        claim::claim(&self.services, place, &self.context.install_id, hub_uid, takeover).await
    }

    async fn token(&self) -> Result<Option<Redacted>, ProviderError> {
        let keys = self.credentials.current().await?;
        let (service, region) = (TokenService::SageMaker, &self.place.region);
        bearer_token(service, &keys, region, TOKEN_LIFE, self.credentials.now()).map(Some)
    }

    fn form(&self, wanted: &Wanted) -> Result<WantedForm, ProviderError> {
        form(&self.context.install_id, wanted)
    }

    async fn find(&self, name: &str) -> Result<Option<TaggedEndpoint>, ProviderError> {
        let Some(view) = self.services.endpoint(name).await? else { return Ok(None) };
        let tags = self.services.tags(&self.place.arn("endpoint", name)).await?;
        Ok(tags.map(|tags| TaggedEndpoint { view, tags }))
    }

    fn ownership(found: &TaggedEndpoint) -> EndpointOwnership {
        EndpointOwnership {
            name: found.view.endpoint_name.clone(),
            uid: ownership::uid(found.view.creation_time),
            owner: ownership::owner(&found.tags),
        }
    }

    fn is_of(found: &TaggedEndpoint, form: &WantedForm) -> bool {
        ownership::is_ours(&found.tags, &form.identity)
    }

    async fn present(
        &self,
        wanted: &Wanted,
        found: &TaggedEndpoint,
        form: &WantedForm,
        external_id: ExternalId,
    ) -> Result<Present, ProviderError> {
        let url = self.place.url(&wanted.endpoint.name_any());
        let probe = observed::probe(&url, wanted.endpoint.spec.model_name());
        Ok(observed::present(&self.reading(found, form), external_id, url, probe))
    }

    /// The endpoint alone is billed, and comes last.
    async fn create(&self, form: &WantedForm) -> Result<TaggedEndpoint, ProviderError> {
        let name = &form.endpoint.endpoint_name;
        self.create_parts(form).await?;
        if self.services.create_endpoint(&form.endpoint).await? == Creation::Taken {
            return Err(created_concurrently(name));
        }
        let view = self.services.endpoint(name).await?.ok_or_else(|| {
            let message = format!("endpoint {name} was created and is not visible yet");
            ProviderError::new(ErrorClass::Transient, message)
        })?;
        Ok(TaggedEndpoint { view, tags: form.tags.clone() })
    }

    /// Tags that tell of a change are set before it.
    async fn correct(&self, found: &TaggedEndpoint, form: &WantedForm) -> Result<(), ProviderError> {
        let reading = self.reading(found, form);
        let (view, name) = (&found.view, &found.view.endpoint_name);
        let due = reading.due();
        match due {
            DueStep::Nothing => Ok(()),
            DueStep::Update => {
                self.clean(name, &reading.leftovers()).await?;
                self.create_parts(form).await?;
                self.label(name, &reading.tags_of_change(&due)).await?;
                self.services.update_endpoint(name, &form.resource).await
            }
            DueStep::Scale => {
                self.label(name, &reading.tags_of_change(&due)).await?;
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

    async fn delete(&self, found: &TaggedEndpoint) -> Result<Removal, ProviderError> {
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
        self.delete_parts(name, ownership::get(&found.tags, names::LABEL_NAMESPACE)).await
    }

    /// The configurations and models of an endpoint, the former ones too.
    async fn delete_parts(&self, name: &str, namespace: &str) -> Result<Removal, ProviderError> {
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

    async fn key(&self, found: &TaggedEndpoint) -> Result<Option<Redacted>, ProviderError> {
        let view = &found.view;
        let pending = view.pending_deployment_summary.as_ref().map(|pending| &pending.endpoint_config_name);
        let Some(resource) = view.endpoint_config_name.as_ref().or(pending) else { return Ok(None) };
        // A configuration and its model have one name.
        let Some(model) = self.services.model(resource).await? else { return Ok(None) };
        let key = model.primary_container.as_ref().and_then(|container| key_in(&container.environment));
        let key = key.ok_or_else(|| invalid_key(Self::TITLE, &view.endpoint_name))?;
        Ok(Some(Redacted::new(key.to_owned())))
    }
}
