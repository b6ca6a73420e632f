//! The order of the calls that buy and delete throughput.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use roadstead_api::v1alpha1::{ExternalId, TargetType, names};
use roadstead_aws::AwsCredentials;
use roadstead_provider::address::Reach;
use roadstead_provider::probe::{Probe, ProbeAnswer};
use roadstead_provider::{Capabilities, Claim, ErrorClass, Present, ProviderError, Redacted, Removal, Wanted};
use roadstead_rest::{EndpointOwnership, ManagedService, ServiceContext, created_concurrently, wait_for};

use super::form::ThroughputForm;
use super::observed::shown;
use super::wire::TaggedThroughput;
use crate::calls::{BEDROCK, BedrockCalls};
use crate::hub::{BedrockHub, of_other_hubs};
use crate::observed::present;
use crate::ownership;
use crate::place::{BedrockAccess, BedrockPlace, asked_model};

/// Types of resources that have an endpoint's tags.
pub const TYPES: [&str; 1] = ["bedrock:provisioned-model"];

/// Provisioned throughput in one account and region.
pub struct BedrockThroughput {
    place: BedrockPlace,
    models: BTreeMap<String, String>,
    context: ServiceContext,
    hub: BedrockHub,
    /// Its calls.
    pub(crate) calls: BedrockCalls,
}

impl BedrockThroughput {
    /// The service with these models, by the sources of their weights; nothing is asked before it is used.
    ///
    /// # Errors
    /// `Invalid` where the region cannot be one.
    pub fn new(access: BedrockAccess, models: BTreeMap<String, String>) -> Result<Self, ProviderError> {
        let BedrockAccess { place, credentials, context } = access;
        let credentials = Arc::new(AwsCredentials::new(credentials, context.clock));
        let calls = BedrockCalls::new(&place, &context, &credentials)?;
        Ok(Self { place, models, context, hub: BedrockHub::default(), calls })
    }
}

/// Abilities of provisioned throughput: exactly the models that the target names. Units cannot be changed, so one endpoint is one replica, whose
/// units its shape states.
#[must_use]
pub fn throughput_capabilities<'a>(sources: impl Iterator<Item = &'a String>) -> Capabilities {
    Capabilities {
        engines: Some(BTreeSet::from(["vllm".to_owned()])),
        sources: Some(sources.cloned().collect()),
        max_replicas: Some(1),
        scale_to_zero: false,
        update_in_place: false,
        whole_instances: true,
        own_server: Some(TargetType::Bedrock.name()),
    }
}

#[async_trait]
impl ManagedService for BedrockThroughput {
    const NAME: &'static str = BEDROCK.name;
    const TITLE: &'static str = BEDROCK.title;
    type View = TaggedThroughput;
    type Form = ThroughputForm;

    fn capabilities(&self) -> Capabilities {
        throughput_capabilities(self.models.keys())
    }

    fn install_id(&self) -> &str {
        &self.context.install_id
    }

    fn reach(&self) -> Reach {
        self.place.reach()
    }

    /// Another one than that of imports, which may be a target of the same account and region.
    async fn identity(&self) -> Result<String, ProviderError> {
        Ok(format!("{}.{}.bedrock-throughput", self.calls.account().await?, self.place.region))
    }

    async fn claim(&self, _: &str, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        self.place.check(&self.calls.account().await?)?;
        let tagged = self.calls.tagged(&TYPES, names::LABEL_INSTALL_ID, self.install_id()).await?;
        self.hub.claim(&self.calls, of_other_hubs(tagged, hub_uid), hub_uid, takeover).await
    }

    /// Asks the control plane: the operator has no right to ask models.
    async fn ask(&self, asked: &Probe) -> Option<ProbeAnswer> {
        let arn = asked_model(&asked.base)?;
        Some(match self.calls.throughput(&arn).await {
            Ok(Some(view)) if view.serves() => ProbeAnswer::Healthy,
            Ok(Some(view)) => ProbeAnswer::Unreachable { message: format!("the state of {arn} is {}", view.status) },
            Ok(None) => ProbeAnswer::Unreachable { message: format!("Bedrock has no provisioned model {arn}") },
            Err(error) => ProbeAnswer::NotPermitted { message: error.message },
        })
    }

    fn form(&self, wanted: &Wanted) -> Result<ThroughputForm, ProviderError> {
        ThroughputForm::of(&self.models, self.install_id(), &self.hub.uid(), wanted)
    }

    async fn find(&self, name: &str) -> Result<Option<TaggedThroughput>, ProviderError> {
        let Some(view) = self.calls.throughput(name).await? else { return Ok(None) };
        let tags = self.calls.tags(&view.provisioned_model_arn).await?;
        Ok(tags.map(|tags| TaggedThroughput { view, tags }))
    }

    fn ownership(throughput: &TaggedThroughput) -> EndpointOwnership {
        EndpointOwnership {
            name: throughput.view.provisioned_model_name.clone(),
            uid: throughput.uid().to_owned(),
            owner: ownership::owner(&throughput.tags),
        }
    }

    fn is_of(throughput: &TaggedThroughput, form: &ThroughputForm) -> bool {
        ownership::endpoint_tags(&throughput.tags).is_some_and(|tags| tags.is_same_endpoint(&form.common.owner))
    }

    async fn present(
        &self,
        wanted: &Wanted,
        throughput: &TaggedThroughput,
        form: &ThroughputForm,
        external_id: ExternalId,
    ) -> Result<Present, ProviderError> {
        Ok(present(shown(&self.place, throughput, wanted.has_served()), &form.common, external_id))
    }

    async fn create(&self, form: &ThroughputForm) -> Result<TaggedThroughput, ProviderError> {
        let name = &form.common.name;
        match self.calls.buy(&form.purchase()?).await {
            // The service has no code of its own for a name that was taken meanwhile.
            Err(failure) if [ErrorClass::Conflict, ErrorClass::Invalid].contains(&failure.error.class) => {
                let is_taken = self.calls.throughput(name).await?.is_some();
                return Err(if is_taken { created_concurrently(name) } else { failure.into() });
            }
            result => result?,
        }
        wait_for(Self::TITLE, &format!("endpoint {name}"), || self.find(name)).await
    }

    /// Units cannot be changed: only tags follow.
    async fn correct(&self, throughput: &TaggedThroughput, form: &ThroughputForm) -> Result<(), ProviderError> {
        if ownership::get(&throughput.tags, ownership::FORM) != form.common.digest {
            let message = format!(
                "endpoint {} at Bedrock has another model or other units than the target and its shape ask for, and Bedrock changes neither: \
                 restore the entry of {} in spec.bedrock.models, or delete the deployment and create it again",
                form.common.name, form.common.source
            );
            return Err(ProviderError::new(ErrorClass::Invalid, message));
        }
        if form.common.is_in(&throughput.tags) {
            return Ok(());
        }
        self.calls.tag(&throughput.view.provisioned_model_arn, &form.common.tags).await
    }

    async fn delete(&self, throughput: &TaggedThroughput) -> Result<Removal, ProviderError> {
        let (name, arn) = (&throughput.view.provisioned_model_name, &throughput.view.provisioned_model_arn);
        match self.calls.release(arn).await {
            Err(failure) if failure.error.class == ErrorClass::Conflict => {
                let message = format!("Bedrock does not delete endpoint {name} now: {}", failure.error.message);
                return Ok(Removal::InProgress { message });
            }
            Err(failure) if failure.error.class != ErrorClass::NotFound => return Err(failure.into()),
            _ => {}
        }
        Ok(match self.calls.throughput(arn).await? {
            None => Removal::Gone,
            Some(_) => Removal::InProgress { message: format!("Bedrock is deleting endpoint {name}") },
        })
    }

    async fn key(&self, throughput: &TaggedThroughput) -> Result<Option<Redacted>, ProviderError> {
        ownership::key(&throughput.tags, &throughput.view.provisioned_model_name)
    }
}
