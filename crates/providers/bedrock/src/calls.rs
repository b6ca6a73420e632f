//! Calls to Bedrock's control plane that both ways to serve make.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use roadstead_aws::{AwsCredentials, Signed, caller_account, class, json_call, read_json_error, sts_profile};
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::{
    CallEffect, Pace, Page, PageLimits, Pages, RestCall, RestClient, RestFailure, ServiceContext, ServiceProfile,
    ServiceRoute, Transport,
};
use roadstead_runtime::client::CALL_TIMEOUT;
use roadstead_runtime::rate::RateLimit;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::operations as op;
use crate::place::BedrockPlace;
use crate::wire::{BedrockTag, BedrockTags, TaggedRow, tag_list};

/// Rows of one page; the service allows no more.
pub(crate) const ROWS: usize = 1000;
/// Bounds of a listing: twice as many endpoints as the largest tested fleet.
pub(crate) const LIMITS: PageLimits = PageLimits { pages: 30, items: 20_000 };
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
    pub(crate) bedrock: RestClient,
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

    /// Reads one thing or a page.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: String,
    ) -> Result<T, RestFailure> {
        self.bedrock.call(RestCall::new(operation, CallEffect::Reads, Method::GET, path)).await?.json()
    }

    /// The resources of these types with this tag, by ARN.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn tagged(
        &self,
        types: &[&str],
        key: &str,
        value: &str,
    ) -> Result<BTreeMap<String, BedrockTags>, ProviderError> {
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
                "ResourceTypeFilters": types,
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
pub(crate) fn found<T>(answer: Result<T, RestFailure>) -> Result<Option<T>, ProviderError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.error.class == ErrorClass::NotFound => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// The part of a query that names the page. Marks have characters that need no escape, or are no marks of this service.
pub(crate) fn after(mark: Option<&str>) -> String {
    mark.map_or_else(String::new, |mark| {
        format!("&nextToken={}", mark.replace('+', "%2B").replace('=', "%3D").replace('/', "%2F"))
    })
}
