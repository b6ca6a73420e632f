//! Inputs and outputs of the operations, as far as the driver uses them. Unknown fields of answers are ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// Key.
    pub key: String,
    /// Value.
    #[serde(default)]
    pub value: String,
}

/// Tags as a map.
pub type TagMap = BTreeMap<String, String>;

/// The tags of a map, in its order.
#[must_use]
pub fn tag_list(tags: &TagMap) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

/// The map of some tags.
#[must_use]
pub fn tag_map(tags: Vec<Tag>) -> TagMap {
    tags.into_iter().map(|Tag { key, value }| (key, value)).collect()
}

/// Input of `CreateModel`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NewModel {
    /// Name.
    pub model_name: String,
    /// The container.
    pub primary_container: Container,
    /// Role of the container.
    pub execution_role_arn: String,
    /// Tags.
    pub tags: Vec<Tag>,
}

/// A container of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// Image in ECR.
    #[serde(default)]
    pub image: String,
    /// Environment.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// Output of `DescribeModel`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ModelView {
    /// The container.
    pub primary_container: Option<Container>,
}

/// Input of `CreateEndpointConfig`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NewConfig {
    /// Name.
    pub endpoint_config_name: String,
    /// The one variant.
    pub production_variants: Vec<NewVariant>,
    /// Tags.
    pub tags: Vec<Tag>,
}

/// A variant of an endpoint configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NewVariant {
    /// Name.
    pub variant_name: String,
    /// The model.
    pub model_name: String,
    /// Instance type, such as `ml.p5.48xlarge`.
    pub instance_type: String,
    /// Number of instances.
    pub initial_instance_count: i32,
    /// Weight.
    pub initial_variant_weight: f64,
    /// Longest time of the container's start.
    pub container_startup_health_check_timeout_in_seconds: i32,
}

/// Input of `CreateEndpoint`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NewEndpoint {
    /// Name.
    pub endpoint_name: String,
    /// The configuration.
    pub endpoint_config_name: String,
    /// Tags.
    pub tags: Vec<Tag>,
}

/// Output of `DescribeEndpoint`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EndpointDescription {
    /// Name.
    pub endpoint_name: String,
    /// ARN.
    pub endpoint_arn: String,
    /// Configuration in force; absent while the endpoint is created.
    pub endpoint_config_name: Option<String>,
    /// State.
    pub endpoint_status: String,
    /// Cause of the latest failure.
    pub failure_reason: Option<String>,
    /// Time of the creation in seconds since 1970.
    pub creation_time: f64,
    /// Time of the latest change in seconds since 1970.
    #[serde(default)]
    pub last_modified_time: f64,
    /// Variants that run.
    #[serde(default)]
    pub production_variants: Vec<VariantView>,
    /// The configuration that is being deployed.
    pub pending_deployment_summary: Option<PendingView>,
}

/// A running variant.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct VariantView {
    /// Instances that run.
    #[serde(default)]
    pub current_instance_count: i32,
    /// Instances that are wanted.
    #[serde(default)]
    pub desired_instance_count: i32,
}

/// A configuration that is being deployed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PendingView {
    /// Its name.
    pub endpoint_config_name: String,
}

/// An endpoint in `ListEndpoints`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EndpointRow {
    /// Name.
    pub endpoint_name: String,
    /// State.
    pub endpoint_status: String,
    /// Time of the creation in seconds since 1970.
    pub creation_time: f64,
    /// Time of the latest change in seconds since 1970.
    #[serde(default)]
    pub last_modified_time: f64,
}

/// A resource in `GetResources`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ResourceRow {
    /// ARN.
    #[serde(rename = "ResourceARN")]
    pub arn: String,
    /// Tags.
    #[serde(rename = "Tags", default)]
    pub tags: Vec<Tag>,
}
