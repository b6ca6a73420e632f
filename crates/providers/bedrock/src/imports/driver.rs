//! The order of the calls that import and delete a model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use roadstead_api::v1alpha1::{ExternalId, names};
use roadstead_aws::AwsCredentials;
use roadstead_provider::address::Reach;
use roadstead_provider::probe::{Probe, ProbeAnswer};
use roadstead_provider::{Capabilities, Claim, ErrorClass, Present, ProviderError, Redacted, Removal, Wanted};
use roadstead_rest::{EndpointOwnership, ManagedService, ServiceContext, created_concurrently};

use super::form::{BedrockForm, number_of};
use super::observed::{FAILED, shown};
use super::settings::{ImportSettings, import_capabilities};
use super::wire::{ImportView, JobView, REMOVED, TaggedImport};
use crate::calls::{BEDROCK, BedrockCalls};
use crate::hub::{BedrockHub, of_other_hubs};
use crate::observed::present;
use crate::ownership;
use crate::place::{BedrockAccess, BedrockPlace, asked_model};
use crate::wire::BedrockTags;

/// State of a job that imports.
const IN_PROGRESS: &str = "InProgress";

/// Types of resources that may have an endpoint's tags.
pub const TYPES: [&str; 2] = ["bedrock:imported-model", "bedrock:model-import-job"];

/// Custom model import in one account and region.
pub struct Bedrock {
    place: BedrockPlace,
    settings: ImportSettings,
    context: ServiceContext,
    hub: BedrockHub,
    /// Its calls.
    pub(crate) calls: BedrockCalls,
}

impl Bedrock {
    /// The service; nothing is asked before it is used.
    ///
    /// # Errors
    /// `Invalid` where the region cannot be one.
    pub fn new(access: BedrockAccess, settings: ImportSettings) -> Result<Self, ProviderError> {
        let BedrockAccess { place, credentials, context } = access;
        let credentials = Arc::new(AwsCredentials::new(credentials, context.clock));
        let calls = BedrockCalls::new(&place, &context, &credentials)?;
        Ok(Self { place, settings, context, hub: BedrockHub::default(), calls })
    }

    /// The jobs of an endpoint, by their numbers.
    async fn jobs(&self, name: &str) -> Result<Vec<(u32, JobView)>, ProviderError> {
        let jobs = self.calls.jobs_named(name).await?.items.into_iter();
        let mut numbered: Vec<(u32, JobView)> =
            jobs.filter_map(|job| Some((number_of(&job.job_name, name)?, job))).collect();
        numbered.sort_by_key(|(number, _)| *number);
        Ok(numbered)
    }

    /// The jobs of the account and region that import.
    pub(crate) async fn importing(&self) -> Result<Vec<JobView>, ProviderError> {
        Ok(self.calls.jobs_in(IN_PROGRESS).await?.items)
    }

    /// The models and importing jobs of the installation that were marked by another hub than this one, which is the value, by
    /// ARN. Jobs that have ended cannot be deleted, and hold nothing.
    async fn of_other_hubs(&self, hub_uid: &str) -> Result<BTreeMap<String, String>, ProviderError> {
        let tagged = self.calls.tagged(&TYPES, names::LABEL_INSTALL_ID, self.install_id()).await?;
        let mut others = of_other_hubs(tagged, hub_uid);
        if others.keys().any(|arn| is_job(arn)) {
            let importing: BTreeSet<String> = self.importing().await?.into_iter().map(|job| job.job_arn).collect();
            others.retain(|arn, _| !is_job(arn) || importing.contains(arn));
        }
        Ok(others)
    }

    /// The model of an endpoint.
    async fn model(&self, name: &str) -> Result<Option<TaggedImport>, ProviderError> {
        let Some(model) = self.calls.model(name).await? else { return Ok(None) };
        let tags = self.calls.tags(&model.model_arn).await?;
        Ok(tags.map(|tags| TaggedImport { view: ImportView::Model(model), tags }))
    }

    /// The latest job of an endpoint without a model, if it imports or has failed and is not done with.
    async fn job(&self, name: &str) -> Result<Option<TaggedImport>, ProviderError> {
        let Some((_, job)) = self.jobs(name).await?.pop() else { return Ok(None) };
        if job.status != IN_PROGRESS && job.status != FAILED {
            // It may have ended since the model was looked for.
            return self.model(name).await;
        }
        // Only a job by itself says why it failed.
        let Some(job) = self.calls.job(&job.job_arn).await? else { return Ok(None) };
        let tags = self.calls.tags(&job.job_arn).await?.filter(|tags| !tags.contains_key(REMOVED));
        Ok(tags.map(|tags| TaggedImport { view: ImportView::Job(job), tags }))
    }
}

/// True for the ARN of a job.
fn is_job(arn: &str) -> bool {
    arn.contains(":model-import-job/")
}

#[async_trait]
impl ManagedService for Bedrock {
    const NAME: &'static str = BEDROCK.name;
    const TITLE: &'static str = BEDROCK.title;
    type View = TaggedImport;
    type Form = BedrockForm;

    fn capabilities(&self) -> Capabilities {
        import_capabilities(&self.settings.mirrors)
    }

    fn install_id(&self) -> &str {
        &self.context.install_id
    }

    fn reach(&self) -> Reach {
        self.place.reach()
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        // A target at SageMaker in the same region of the account is another place.
        Ok(format!("{}.{}.bedrock", self.calls.account().await?, self.place.region))
    }

    async fn claim(&self, _: &str, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        self.place.check(&self.calls.account().await?)?;
        self.hub.claim(&self.calls, self.of_other_hubs(hub_uid).await?, hub_uid, takeover).await
    }

    /// Asks the control plane, because a request to the model would keep a copy running, which is billed.
    async fn ask(&self, asked: &Probe) -> Option<ProbeAnswer> {
        let arn = asked_model(&asked.base)?;
        Some(match self.calls.model(&arn).await {
            Ok(Some(_)) => ProbeAnswer::Healthy,
            Ok(None) => ProbeAnswer::Unreachable { message: format!("Bedrock has no model {arn}") },
            Err(error) => ProbeAnswer::NotPermitted { message: error.message },
        })
    }

    fn form(&self, wanted: &Wanted) -> Result<BedrockForm, ProviderError> {
        BedrockForm::of(&self.settings, self.install_id(), &self.hub.uid(), wanted)
    }

    async fn find(&self, name: &str) -> Result<Option<TaggedImport>, ProviderError> {
        match self.model(name).await? {
            Some(model) => Ok(Some(model)),
            None => self.job(name).await,
        }
    }

    fn ownership(import: &TaggedImport) -> EndpointOwnership {
        EndpointOwnership {
            name: import.view.name().to_owned(),
            uid: import.uid(),
            owner: ownership::owner(&import.tags),
        }
    }

    fn is_of(import: &TaggedImport, form: &BedrockForm) -> bool {
        ownership::endpoint_tags(&import.tags).is_some_and(|tags| tags.is_same_endpoint(&form.common.owner))
    }

    async fn present(
        &self,
        _: &Wanted,
        import: &TaggedImport,
        form: &BedrockForm,
        external_id: ExternalId,
    ) -> Result<Present, ProviderError> {
        Ok(present(shown(&self.place, import), &form.common, external_id))
    }

    /// An import costs nothing, and nothing is billed before the first request.
    async fn create(&self, form: &BedrockForm) -> Result<TaggedImport, ProviderError> {
        let number = self.jobs(&form.common.name).await?.last().map_or(1, |(number, _)| number.saturating_add(1));
        let import = form.import(number)?;
        match self.calls.import(&import).await {
            Err(failure) if failure.error.class == ErrorClass::Conflict => {
                return Err(created_concurrently(&form.common.name));
            }
            result => result?,
        }
        self.job(&form.common.name).await?.ok_or_else(|| {
            let message = format!("the import of endpoint {} was begun and is not visible yet", form.common.name);
            ProviderError::new(ErrorClass::Transient, message)
        })
    }

    /// Another model cannot take the place of one that exists: only tags follow.
    async fn correct(&self, import: &TaggedImport, form: &BedrockForm) -> Result<(), ProviderError> {
        if ownership::get(&import.tags, ownership::FORM) != form.common.digest {
            let message = format!(
                "endpoint {} at Bedrock has other weights than {}, and Bedrock cannot change them",
                form.common.name, form.common.source
            );
            return Err(ProviderError::new(ErrorClass::Invalid, message));
        }
        if form.common.is_in(&import.tags) {
            return Ok(());
        }
        self.calls.tag(import.view.arn(), &form.common.tags).await
    }

    /// A job that imports cannot be stopped: its model is deleted once it exists.
    async fn delete(&self, import: &TaggedImport) -> Result<Removal, ProviderError> {
        let name = import.view.name();
        match &import.view {
            ImportView::Job(job) if job.status == FAILED => {
                self.calls.tag(&job.job_arn, &BedrockTags::from([(REMOVED.to_owned(), "true".to_owned())])).await?;
                Ok(Removal::Gone)
            }
            ImportView::Job(_) => Ok(Removal::InProgress {
                message: format!("Bedrock is importing endpoint {name}, and deletes it once the import has ended"),
            }),
            ImportView::Model(model) => {
                self.calls.delete(&model.model_arn).await?;
                Ok(match self.calls.model(name).await? {
                    None => Removal::Gone,
                    Some(_) => Removal::InProgress { message: format!("Bedrock is deleting endpoint {name}") },
                })
            }
        }
    }

    async fn key(&self, import: &TaggedImport) -> Result<Option<Redacted>, ProviderError> {
        ownership::key(&import.tags, import.view.name())
    }
}
