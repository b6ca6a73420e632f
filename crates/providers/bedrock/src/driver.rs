//! The order of the calls that import and delete a model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use roadstead_api::v1alpha1::{ExternalId, names};
use roadstead_aws::AwsCredentials;
use roadstead_provider::address::Reach;
use roadstead_provider::probe::{Probe, ProbeAnswer};
use roadstead_provider::{Capabilities, Claim, ErrorClass, Present, ProviderError, Redacted, Removal, Wanted};
use roadstead_rest::{
    EndpointOwnership, ManagedService, ServiceContext, claim_by_endpoints, created_concurrently, invalid_key,
};

use crate::calls::{BEDROCK, BedrockCalls};
use crate::form::{BedrockForm, number_of};
use crate::observed::{self, FAILED};
use crate::ownership::{self, HUB, KEY, REMOVED};
use crate::place::{BedrockAccess, BedrockPlace, capabilities};
use crate::wire::{BedrockTags, ImportView, JobView, TaggedImport};

/// State of a job that imports.
const IN_PROGRESS: &str = "InProgress";

/// Bedrock in one account and region.
pub struct Bedrock {
    place: BedrockPlace,
    context: ServiceContext,
    hub_uid: RwLock<String>,
    /// Its calls.
    pub(crate) calls: BedrockCalls,
}

impl Bedrock {
    /// The service; nothing is asked before it is used.
    ///
    /// # Errors
    /// `Invalid` where the region cannot be one.
    pub fn new(access: BedrockAccess) -> Result<Self, ProviderError> {
        let BedrockAccess { place, credentials, context } = access;
        let credentials = Arc::new(AwsCredentials::new(credentials, context.clock));
        let calls = BedrockCalls::new(&place, &context, &credentials)?;
        Ok(Self { place, context, hub_uid: RwLock::default(), calls })
    }

    /// The jobs of an endpoint, by their numbers.
    async fn jobs(&self, name: &str) -> Result<Vec<(u32, JobView)>, ProviderError> {
        let jobs = self.calls.jobs(name).await?.items.into_iter();
        let mut numbered: Vec<(u32, JobView)> =
            jobs.filter_map(|job| Some((number_of(&job.job_name, name)?, job))).collect();
        numbered.sort_by_key(|(number, _)| *number);
        Ok(numbered)
    }

    /// The jobs of the account and region that import.
    pub(crate) async fn importing(&self) -> Result<Vec<JobView>, ProviderError> {
        let jobs = self.calls.jobs("").await?.items.into_iter();
        Ok(jobs.filter(|job| job.status == IN_PROGRESS).collect())
    }

    /// The models and importing jobs of the installation that were marked by another hub than this one, which is the value, by
    /// ARN. Jobs that have ended cannot be deleted, and hold nothing.
    async fn of_other_hubs(&self, hub_uid: &str) -> Result<BTreeMap<String, String>, ProviderError> {
        let tagged = self.calls.tagged(names::LABEL_INSTALL_ID, self.install_id()).await?;
        let mut others: BTreeMap<String, String> =
            tagged.into_iter().map(|(arn, tags)| (arn, ownership::get(&tags, HUB).to_owned())).collect();
        others.retain(|_, hub| !hub.is_empty() && hub != hub_uid);
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
        capabilities(&self.place.mirrors)
    }

    fn install_id(&self) -> &str {
        &self.context.install_id
    }

    fn reach(&self) -> Reach {
        self.place.reach()
    }

    async fn identity(&self) -> Result<String, ProviderError> {
        Ok(self.place.identity_of(&self.calls.account().await?))
    }

    async fn claim(&self, _: &str, hub_uid: &str, takeover: Option<&str>) -> Result<Claim, ProviderError> {
        let (place, site) = (&self.place, self.identity().await?);
        if site != place.identity_of(&place.account) {
            let message = format!(
                "the credentials lead to {site}, and spec.bedrock.accountID is {}; correct one of them",
                place.account
            );
            return Err(ProviderError::new(ErrorClass::Unauthorized, message));
        }
        let others = self.of_other_hubs(hub_uid).await?;
        let claim = claim_by_endpoints(others.values().map(String::as_str), hub_uid, takeover);
        if claim == Claim::Ours {
            // Every one is of the hub that gives way: without the new mark, it would claim the place again.
            for arn in others.keys() {
                self.calls.tag(arn, &BedrockTags::from([(HUB.to_owned(), hub_uid.to_owned())])).await?;
            }
            hub_uid.clone_into(&mut self.hub_uid.write().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(claim)
    }

    /// Asks the control plane, because a request to the model would keep a copy running, which is billed.
    async fn ask(&self, asked: &Probe) -> Option<ProbeAnswer> {
        let arn = asked.base.rsplit_once("/model/")?.1.split('/').next()?.replace("%3A", ":").replace("%2F", "/");
        Some(match self.calls.model(&arn).await {
            Ok(Some(_)) => ProbeAnswer::Healthy,
            Ok(None) => ProbeAnswer::Unreachable { message: format!("Bedrock has no model {arn}") },
            Err(error) => ProbeAnswer::NotPermitted { message: error.message },
        })
    }

    fn form(&self, wanted: &Wanted) -> Result<BedrockForm, ProviderError> {
        let hub = self.hub_uid.read().unwrap_or_else(PoisonError::into_inner).clone();
        BedrockForm::of(&self.place, self.install_id(), &hub, wanted)
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
            uid: ownership::uid(import),
            owner: ownership::owner(&import.tags),
        }
    }

    fn is_of(import: &TaggedImport, form: &BedrockForm) -> bool {
        ownership::endpoint_tags(&import.tags).is_some_and(|tags| tags.is_same_endpoint(&form.owner))
    }

    async fn present(
        &self,
        wanted: &Wanted,
        import: &TaggedImport,
        form: &BedrockForm,
        external_id: ExternalId,
    ) -> Result<Present, ProviderError> {
        Ok(observed::present(&self.place, import, form, wanted.endpoint.spec.model_name(), external_id))
    }

    /// An import costs nothing, and nothing is billed before the first request.
    async fn create(&self, form: &BedrockForm) -> Result<TaggedImport, ProviderError> {
        let number = self.jobs(&form.name).await?.last().map_or(1, |(number, _)| number.saturating_add(1));
        let import = form.import(number)?;
        match self.calls.import(&import).await {
            Err(failure) if failure.error.class == ErrorClass::Conflict => {
                return Err(created_concurrently(&form.name));
            }
            result => result?,
        }
        self.job(&form.name).await?.ok_or_else(|| {
            let message = format!("the import of endpoint {} was begun and is not visible yet", form.name);
            ProviderError::new(ErrorClass::Transient, message)
        })
    }

    /// Another model cannot take the place of one that exists: only tags follow.
    async fn correct(&self, import: &TaggedImport, form: &BedrockForm) -> Result<(), ProviderError> {
        if ownership::get(&import.tags, ownership::FORM) != form.digest {
            let message = format!("endpoint {} at Bedrock cannot be changed in place", form.name);
            return Err(ProviderError::new(ErrorClass::Invalid, message));
        }
        self.calls.tag(import.view.arn(), &form.tags).await
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
        match import.tags.get(KEY).filter(|key| names::is_api_key(key)) {
            Some(key) => Ok(Some(Redacted::new(key.clone()))),
            None => Err(invalid_key(Self::TITLE, import.view.name())),
        }
    }
}
