//! Calls to SageMaker, each with its input and output.

use std::sync::Arc;
use std::time::Duration;

use roadstead_aws::{self as aws, AwsCredentials, Signed, caller_account, sts_profile};
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::{
    BaseUrl, CallEffect, FullListing, Pace, Page, PageLimits, Pages, RestClient, RestFailure, ServiceContext,
    ServiceProfile, ServiceRoute, Transport,
};
use roadstead_runtime::client::CALL_TIMEOUT;
use roadstead_runtime::rate::RateLimit;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::failure::{is_missing, is_taken, refined};
use crate::operations as op;
use crate::place::SageMakerPlace;
use crate::wire::{
    EndpointDescription, EndpointRow, ModelView, NewConfig, NewEndpoint, NewModel, ResourceRow, Tag, TagMap, tag_list,
    tag_map,
};

/// Prefix of the operations in requests.
const PREFIX: &str = "SageMaker";
/// The same for the tagging service.
const TAGGING_PREFIX: &str = "ResourceGroupsTaggingAPI_20170126";
/// Rows of one page; both services allow no more.
const ROWS: usize = 100;
/// Bounds of a listing: twice as many endpoints as the largest tested fleet.
const LIMITS: PageLimits = PageLimits { pages: 300, items: 20_000 };
/// AWS publishes no rates for these operations. This one keeps an operator from crowding out other users of the account.
const PACES: &[Pace] = &[Pace { operations: &[], rate: RateLimit { burst: 20, interval: Duration::from_millis(50) } }];

/// The control plane.
pub const SAGEMAKER: ServiceProfile = ServiceProfile {
    name: "sagemaker",
    title: "SageMaker",
    deadline: CALL_TIMEOUT,
    max_answer_bytes: 1024 * 1024,
    paces: PACES,
    request_id: "x-amzn-requestid",
    read_error: aws::read_json_error,
    rights: &[],
    class: aws::class,
};

const TAGGING: ServiceProfile = ServiceProfile { name: "tagging", title: "AWS tagging", ..SAGEMAKER };

/// Result of a creation by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It was made.
    Made,
    /// The name is taken.
    Taken,
}

/// The services of one place.
pub struct Services {
    sagemaker: RestClient,
    tagging: RestClient,
    sts: RestClient,
}

impl Services {
    /// Clients with these credentials.
    ///
    /// # Errors
    /// `Invalid` where the region is none.
    pub fn new(
        place: &SageMakerPlace,
        context: &ServiceContext,
        credentials: &Arc<AwsCredentials>,
    ) -> Result<Self, ProviderError> {
        let invalid = |error| ProviderError::new(ErrorClass::Invalid, format!("region {}: {error}", place.region));
        let [control, tagging, sts] = place.bases().map_err(invalid)?;
        let transport = Transport::new(ServiceRoute { authorities: String::new(), reach: place.reach() });
        let client = |profile: ServiceProfile, base: BaseUrl, signing: &'static str| {
            context.client(profile, base, &transport, Arc::new(Signed::new(Arc::clone(credentials), signing)))
        };
        Ok(Self {
            sagemaker: client(SAGEMAKER, control, "sagemaker"),
            tagging: client(TAGGING, tagging, "tagging"),
            sts: client(sts_profile(CALL_TIMEOUT), sts, "sts"),
        })
    }

    /// The account of the credentials.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn account(&self) -> Result<String, ProviderError> {
        caller_account(&self.sts).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        input: &impl Serialize,
    ) -> Result<T, RestFailure> {
        let call = aws::json_call(PREFIX, operation, CallEffect::Reads, input)?;
        self.sagemaker.call(call).await?.json()
    }

    /// Reads something that may not exist.
    async fn find<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        input: &impl Serialize,
    ) -> Result<Option<T>, ProviderError> {
        match self.read(operation, input).await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if is_missing(&failure) => Ok(None),
            Err(failure) => Err(refined(failure).into()),
        }
    }

    async fn write(&self, operation: &'static str, input: &impl Serialize) -> Result<(), RestFailure> {
        let call = aws::json_call(PREFIX, operation, CallEffect::Writes, input)?;
        self.sagemaker.call(call).await.map(drop)
    }

    async fn create(&self, operation: &'static str, input: &impl Serialize) -> Result<Creation, ProviderError> {
        match self.write(operation, input).await {
            Ok(()) => Ok(Creation::Made),
            Err(failure) if is_taken(&failure) => Ok(Creation::Taken),
            Err(failure) => Err(refined(failure).into()),
        }
    }

    async fn change(&self, operation: &'static str, input: &impl Serialize) -> Result<(), ProviderError> {
        self.write(operation, input).await.map_err(|failure| refined(failure).into())
    }

    /// Deletes something; what is gone already is deleted.
    async fn delete(&self, operation: &'static str, input: &impl Serialize) -> Result<(), ProviderError> {
        match self.write(operation, input).await {
            Err(failure) if !is_missing(&failure) => Err(refined(failure).into()),
            _ => Ok(()),
        }
    }

    /// The endpoint of this name.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn endpoint(&self, name: &str) -> Result<Option<EndpointDescription>, ProviderError> {
        self.find(op::DESCRIBE_ENDPOINT, &json!({"EndpointName": name})).await
    }

    /// The model of this name.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn model(&self, name: &str) -> Result<Option<ModelView>, ProviderError> {
        self.find(op::DESCRIBE_MODEL, &json!({"ModelName": name})).await
    }

    /// Creates a model.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn create_model(&self, model: &NewModel) -> Result<Creation, ProviderError> {
        self.create(op::CREATE_MODEL, model).await
    }

    /// Creates an endpoint configuration.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn create_config(&self, config: &NewConfig) -> Result<Creation, ProviderError> {
        self.create(op::CREATE_CONFIG, config).await
    }

    /// Creates an endpoint.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn create_endpoint(&self, endpoint: &NewEndpoint) -> Result<Creation, ProviderError> {
        self.create(op::CREATE_ENDPOINT, endpoint).await
    }

    /// Deploys another configuration on as many instances as there are.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn update_endpoint(&self, name: &str, config: &str) -> Result<(), ProviderError> {
        // A configuration has the number of instances of the time when it was made.
        let input = json!({"EndpointName": name, "EndpointConfigName": config, "RetainAllVariantProperties": true});
        self.change(op::UPDATE_ENDPOINT, &input).await
    }

    /// Sets the number of instances.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn scale_endpoint(&self, name: &str, variant: &str, instances: i32) -> Result<(), ProviderError> {
        let wanted = json!([{"VariantName": variant, "DesiredInstanceCount": instances}]);
        self.change(op::SCALE_ENDPOINT, &json!({"EndpointName": name, "DesiredWeightsAndCapacities": wanted})).await
    }

    /// Deletes an endpoint.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn delete_endpoint(&self, name: &str) -> Result<(), ProviderError> {
        self.delete(op::DELETE_ENDPOINT, &json!({"EndpointName": name})).await
    }

    /// Deletes an endpoint configuration.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn delete_config(&self, name: &str) -> Result<(), ProviderError> {
        self.delete(op::DELETE_CONFIG, &json!({"EndpointConfigName": name})).await
    }

    /// Deletes a model.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn delete_model(&self, name: &str) -> Result<(), ProviderError> {
        self.delete(op::DELETE_MODEL, &json!({"ModelName": name})).await
    }

    /// The tags of a resource; `None` if it does not exist.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn tags(&self, arn: &str) -> Result<Option<TagMap>, ProviderError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct TagPage {
            #[serde(default)]
            tags: Vec<Tag>,
            next_token: Option<String>,
        }
        let mut pages = Pages::new(LIMITS);
        while pages.is_open() {
            let input = with_mark(json!({"ResourceArn": arn}), pages.mark());
            match self.find::<TagPage>(op::LIST_TAGS, &input).await? {
                None => return Ok(None),
                Some(TagPage { tags, next_token }) => pages.add(Page { items: tags, next: next_token })?,
            }
        }
        Ok(Some(tag_map(pages.finish().items)))
    }

    /// Sets tags of a resource.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn add_tags(&self, arn: &str, tags: &TagMap) -> Result<(), ProviderError> {
        self.change(op::ADD_TAGS, &json!({"ResourceArn": arn, "Tags": tag_list(tags)})).await
    }

    /// Names of the configurations that contain this text.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn configs_named(&self, text: &str) -> Result<Vec<String>, ProviderError> {
        self.names(op::LIST_CONFIGS, text, "EndpointConfigs", "EndpointConfigName").await
    }

    /// Names of the models that contain this text.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn models_named(&self, text: &str) -> Result<Vec<String>, ProviderError> {
        self.names(op::LIST_MODELS, text, "Models", "ModelName").await
    }

    async fn names(
        &self,
        operation: &'static str,
        text: &str,
        list: &str,
        name: &str,
    ) -> Result<Vec<String>, ProviderError> {
        let mut pages = Pages::new(LIMITS);
        while pages.is_open() {
            let input = with_mark(json!({"NameContains": text, "MaxResults": ROWS}), pages.mark());
            let page: Value = self.read(operation, &input).await?;
            let rows = page.get(list).and_then(Value::as_array).into_iter().flatten();
            let names = rows.filter_map(|row| row.get(name)?.as_str().map(ToOwned::to_owned));
            let next = page.get("NextToken").and_then(Value::as_str).map(ToOwned::to_owned);
            pages.add(Page { items: names.collect(), next })?;
        }
        let listing = pages.finish();
        if listing.cut {
            let message = format!("{operation}: more than {} names contain {text:?}", LIMITS.items);
            return Err(ProviderError::new(ErrorClass::Transient, message));
        }
        Ok(listing.items)
    }

    /// All endpoints of the account and region, whoever made them.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn endpoints(&self) -> Result<FullListing<EndpointRow>, ProviderError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct EndpointPage {
            endpoints: Vec<EndpointRow>,
            next_token: Option<String>,
        }
        let mut pages = Pages::new(LIMITS);
        while pages.is_open() {
            let input = with_mark(json!({"MaxResults": ROWS}), pages.mark());
            let page: EndpointPage = self.read(op::LIST_ENDPOINTS, &input).await?;
            pages.add(Page { items: page.endpoints, next: page.next_token })?;
        }
        Ok(pages.finish())
    }

    /// The endpoints with this tag.
    ///
    /// # Errors
    /// The failure of a call.
    pub async fn tagged_endpoints(&self, key: &str, value: &str) -> Result<FullListing<ResourceRow>, ProviderError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct ResourcePage {
            resource_tag_mapping_list: Vec<ResourceRow>,
            #[serde(default)]
            pagination_token: String,
        }
        let mut pages = Pages::new(LIMITS);
        while pages.is_open() {
            let input = json!({
                "ResourceTypeFilters": ["sagemaker:endpoint"], "ResourcesPerPage": ROWS,
                "TagFilters": [{"Key": key, "Values": [value]}], "PaginationToken": pages.mark().unwrap_or_default(),
            });
            let call = aws::json_call(TAGGING_PREFIX, op::GET_RESOURCES, CallEffect::Reads, &input)?;
            let page: ResourcePage = self.tagging.call(call).await?.json()?;
            let next = Some(page.pagination_token).filter(|token| !token.is_empty());
            pages.add(Page { items: page.resource_tag_mapping_list, next })?;
        }
        Ok(pages.finish())
    }

    /// True if a claim of this name exists.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn has_claim(&self, name: &str) -> Result<bool, ProviderError> {
        let found: Option<Value> = self.find(op::DESCRIBE_CLAIM, &json!({"ModelPackageGroupName": name})).await?;
        Ok(found.is_some())
    }

    /// Creates a claim.
    ///
    /// # Errors
    /// The failure of the call.
    pub async fn create_claim(&self, name: &str, tags: &TagMap) -> Result<Creation, ProviderError> {
        let input = json!({
            "ModelPackageGroupName": name, "Tags": tag_list(tags),
            "ModelPackageGroupDescription": "Claim of a Roadstead installation on this account and region; it costs nothing",
        });
        self.create(op::CREATE_CLAIM, &input).await
    }
}

/// The input of the page with this mark.
fn with_mark(mut input: Value, mark: Option<&str>) -> Value {
    if let (Some(mark), Some(input)) = (mark, input.as_object_mut()) {
        input.insert("NextToken".to_owned(), mark.into());
    }
    input
}
