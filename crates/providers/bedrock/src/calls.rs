//! Calls to Bedrock's control plane, each with its input and output.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use roadstead_aws::{AwsCredentials, Signed, caller_account, class, json_call, read_json_error, sts_profile};
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::{
    CallEffect, FullListing, Pace, Page, PageLimits, Pages, RestCall, RestClient, RestFailure, ServiceContext,
    ServiceProfile, ServiceRoute, Transport,
};
use roadstead_runtime::client::CALL_TIMEOUT;
use roadstead_runtime::rate::RateLimit;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::operations as op;
use crate::place::{BedrockPlace, escaped};
use crate::wire::{BedrockTag, BedrockTags, ImportedModelView, JobView, NewImport, TaggedRow, tag_list};

/// Rows of one page; the service allows no more.
const ROWS: usize = 1000;
/// Bounds of a listing: twice as many endpoints as the largest tested fleet.
const LIMITS: PageLimits = PageLimits { pages: 30, items: 20_000 };
/// AWS publishes no rates for these operations. This one keeps an operator from crowding out other users of the account.
const PACES: &[Pace] = &[Pace { operations: &[], rate: RateLimit { burst: 20, interval: Duration::from_millis(50) } }];

/// The control plane.
pub const BEDROCK: ServiceProfile = ServiceProfile {
    name: "bedrock",
    title: "Bedrock",
    deadline: CALL_TIMEOUT,
    max_answer_bytes: 4 * 1024 * 1024,
    paces: PACES,
    request_id: "x-amzn-requestid",
    read_error: read_json_error,
    rights: &[],
    class,
};

const TAGGING: ServiceProfile = ServiceProfile { name: "tagging", title: "AWS tagging", ..BEDROCK };
/// Prefix of the operations of the tagging service.
const TAGGING_PREFIX: &str = "ResourceGroupsTaggingAPI_20170126";
/// Rows of one page there.
const TAGGED_ROWS: usize = 100;
/// Bounds of its listing.
const TAGGED_LIMITS: PageLimits = PageLimits { pages: 300, items: 20_000 };

/// The services of one place.
pub struct BedrockCalls {
    bedrock: RestClient,
    tagging: RestClient,
    sts: RestClient,
}

impl BedrockCalls {
    /// Clients with these credentials.
    ///
    /// # Errors
    /// `Invalid` where the region is none.
    pub fn new(
        place: &BedrockPlace,
        context: &ServiceContext,
        credentials: &Arc<AwsCredentials>,
    ) -> Result<Self, ProviderError> {
        let invalid = |error| ProviderError::new(ErrorClass::Invalid, format!("region {}: {error}", place.region));
        let [control, tagging, sts] = place.bases().map_err(invalid)?;
        let transport = Transport::new(ServiceRoute { authorities: String::new(), reach: place.reach() });
        let signed = |signing| Arc::new(Signed::new(Arc::clone(credentials), signing));
        Ok(Self {
            bedrock: context.client(BEDROCK, control, &transport, signed("bedrock")),
            tagging: context.client(TAGGING, tagging, &transport, signed("tagging")),
            sts: context.client(sts_profile(CALL_TIMEOUT), sts, &transport, signed("sts")),
        })
    }

    /// The account of the credentials.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn account(&self) -> Result<String, ProviderError> {
        caller_account(&self.sts).await
    }

    async fn read<T: DeserializeOwned>(&self, operation: &'static str, path: String) -> Result<T, RestFailure> {
        self.bedrock.call(RestCall::new(operation, CallEffect::Reads, Method::GET, path)).await?.json()
    }

    /// The model of this name or ARN.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn model(&self, identifier: &str) -> Result<Option<ImportedModelView>, ProviderError> {
        found(self.read(op::GET_MODEL, format!("/imported-models/{}", escaped(identifier))).await)
    }

    /// The job of this ARN.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn job(&self, arn: &str) -> Result<Option<JobView>, ProviderError> {
        found(self.read(op::GET_JOB, format!("/model-import-jobs/{}", escaped(arn))).await)
    }

    /// The jobs whose names contain this text.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn jobs(&self, text: &str) -> Result<FullListing<JobView>, ProviderError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct JobPage {
            #[serde(default)]
            model_import_job_summaries: Vec<JobView>,
            next_token: Option<String>,
        }
        let filter = if text.is_empty() { String::new() } else { format!("&nameContains={text}") };
        let mut pages = Pages::new(LIMITS);
        while pages.is_open() {
            let path = format!("/model-import-jobs?maxResults={ROWS}{filter}{}", after(pages.mark()));
            let page: JobPage = self.read(op::LIST_JOBS, path).await?;
            pages.add(Page { items: page.model_import_job_summaries, next: page.next_token })?;
        }
        Ok(pages.finish())
    }

    /// All imported models of the account and region.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn models(&self) -> Result<FullListing<ImportedModelView>, ProviderError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ModelPage {
            #[serde(default)]
            model_summaries: Vec<ImportedModelView>,
            next_token: Option<String>,
        }
        let mut pages = Pages::new(LIMITS);
        while pages.is_open() {
            let path = format!("/imported-models?maxResults={ROWS}{}", after(pages.mark()));
            let page: ModelPage = self.read(op::LIST_MODELS, path).await?;
            pages.add(Page { items: page.model_summaries, next: page.next_token })?;
        }
        Ok(pages.finish())
    }

    /// The models and jobs with this tag, by ARN.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn tagged(&self, key: &str, value: &str) -> Result<BTreeMap<String, BedrockTags>, ProviderError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct ResourcePage {
            resource_tag_mapping_list: Vec<TaggedRow>,
            #[serde(default)]
            pagination_token: String,
        }
        let mut pages = Pages::new(TAGGED_LIMITS);
        while pages.is_open() {
            let input = json!({
                "ResourceTypeFilters": ["bedrock:imported-model", "bedrock:model-import-job"],
                "ResourcesPerPage": TAGGED_ROWS, "TagFilters": [{"Key": key, "Values": [value]}],
                "PaginationToken": pages.mark().unwrap_or_default(),
            });
            let call = json_call(TAGGING_PREFIX, op::GET_RESOURCES, CallEffect::Reads, &input)?;
            let page: ResourcePage = self.tagging.call(call).await?.json()?;
            let next = Some(page.pagination_token).filter(|token| !token.is_empty());
            pages.add(Page { items: page.resource_tag_mapping_list, next })?;
        }
        let tags = |row: TaggedRow| (row.arn, row.tags.into_iter().map(|tag| (tag.key, tag.value)).collect());
        Ok(pages.finish().items.into_iter().map(tags).collect())
    }

    /// Begins an import.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn import(&self, import: &NewImport) -> Result<(), RestFailure> {
        let call =
            RestCall::new(op::CREATE_JOB, CallEffect::Writes, Method::POST, "/model-import-jobs").json(import)?;
        self.bedrock.call(call).await.map(drop)
    }

    /// Deletes a model; what is gone already is deleted.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn delete(&self, arn: &str) -> Result<(), ProviderError> {
        let path = format!("/imported-models/{}", escaped(arn));
        let call = RestCall::new(op::DELETE_MODEL, CallEffect::Writes, Method::DELETE, path);
        match self.bedrock.call(call).await {
            Err(failure) if failure.error.class != ErrorClass::NotFound => Err(failure.into()),
            _ => Ok(()),
        }
    }

    /// The tags of a resource; `None` if it does not exist.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn tags(&self, arn: &str) -> Result<Option<BedrockTags>, ProviderError> {
        #[derive(Deserialize)]
        struct TagList {
            #[serde(default)]
            tags: Vec<BedrockTag>,
        }
        let call = RestCall::new(op::LIST_TAGS, CallEffect::Reads, Method::POST, "/listTagsForResource");
        let answer = self.bedrock.call(call.json(&json!({"resourceARN": arn}))?).await;
        let list: Option<TagList> = found(answer.and_then(|answer| answer.json()))?;
        Ok(list.map(|list| list.tags.into_iter().map(|tag| (tag.key, tag.value)).collect()))
    }

    /// Sets tags of a resource.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn tag(&self, arn: &str, tags: &BedrockTags) -> Result<(), ProviderError> {
        let call = RestCall::new(op::TAG, CallEffect::Writes, Method::POST, "/tagResource");
        let call = call.json(&json!({"resourceARN": arn, "tags": tag_list(tags)}))?;
        Ok(self.bedrock.call(call).await.map(drop)?)
    }
}

/// Something that may not exist.
fn found<T>(answer: Result<T, RestFailure>) -> Result<Option<T>, ProviderError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.error.class == ErrorClass::NotFound => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// The part of a query that names the page. Marks have characters that need no escape, or are no marks of this service.
fn after(mark: Option<&str>) -> String {
    mark.map_or_else(String::new, |mark| {
        format!("&nextToken={}", mark.replace('+', "%2B").replace('=', "%3D").replace('/', "%2F"))
    })
}
