//! Types that several kinds use.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::limits;

/// Pattern of a label's value; the empty one is legal.
pub const LABEL_VALUE: &str = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";
/// Pattern of a label's key: a name, or a domain and a name.
pub const LABEL_KEY: &str = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$";
/// Pattern of the key of a list-map entry: a DNS label.
pub const ENTRY_NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// Pattern of the name of a Kubernetes object such as a Secret: a DNS subdomain.
pub const OBJECT_NAME: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// Pattern of a key of a Secret.
pub const SECRET_KEY: &str = "^[-._a-zA-Z0-9]+$";
/// Pattern of the names of clouds, regions and accelerators.
pub const PLACE_NAME: &str = "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";
/// Pattern of the names of jurisdictions.
pub const JURISDICTION: &str = "^[A-Z]([-A-Z0-9]*[A-Z0-9])?$";

/// The schema of a map of labels.
pub(super) fn labels_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": limits::LABELS,
        "additionalProperties": {"type": "string", "maxLength": 63, "pattern": LABEL_VALUE},
    })
}

/// The schema of a map of annotations.
pub(super) fn annotations_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": limits::ANNOTATIONS,
        "additionalProperties": {"type": "string", "maxLength": limits::TEXT},
    })
}

/// The schema of one amount: a number or a text, never negative.
pub(super) fn quantity_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "maxLength": limits::QUANTITY,
        "minimum": 0,
        "pattern": "^[+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?$",
    })
}

/// The schema of a map of amounts.
fn quantities_schema(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 8,
        "additionalProperties": quantity_schema(generator),
    })
}

// The model has the same enum: a schema and its descriptions belong to the API, and the model knows no schema.
/// The way of buying capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum CapacityType {
    /// Paid already, whether it is used or not.
    Reserved,
    /// Paid while it is used, for as long as it is wanted.
    OnDemand,
    /// Cheaper, and can be taken away at short notice.
    Spot,
}

impl CapacityType {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "Reserved",
            Self::OnDemand => "OnDemand",
            Self::Spot => "Spot",
        }
    }
}

/// A number of accelerators of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accelerator {
    /// Catalogue name, such as H100; compared letter by letter.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 63), regex(pattern = PLACE_NAME))]
    pub type_: String,
    /// Number of accelerators.
    #[schemars(range(min = 1, max = 64))]
    pub count: i32,
}

/// A key of a Secret in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
    /// The key in its data.
    #[schemars(length(min = 1, max = 253), regex(pattern = SECRET_KEY))]
    pub key: String,
}

/// The name of an object in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LocalRef {
    /// The name.
    #[schemars(length(min = 1, max = 253), regex(pattern = OBJECT_NAME))]
    pub name: String,
}

/// Selects objects by their labels; all conditions must hold, and an empty selector selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Required labels with exactly these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels_schema")]
    pub match_labels: BTreeMap<String, String>,
    /// Further conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::SELECTOR_CONDITIONS))]
    pub match_expressions: Vec<LabelRequirement>,
}

/// One condition on one label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelRequirement {
    /// The label's key.
    #[schemars(length(min = 1, max = limits::LABEL_KEY), regex(pattern = LABEL_KEY))]
    pub key: String,
    /// Comparison with the label's values.
    pub operator: LabelOperator,
    /// The values for In and `NotIn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63), regex(pattern = LABEL_VALUE)))]
    pub values: Vec<String>,
}

/// Comparison of a label's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// The label is there with one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

/// Toleration of a taint, of nodes or of targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Key of the taint; absent with operator Exists: every key.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = limits::LABEL_KEY), regex(pattern = LABEL_KEY))]
    pub key: String,
    /// Comparison of the value.
    #[serde(default)]
    pub operator: TolerationOperator,
    /// Value of the taint, for operator Equal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63), regex(pattern = LABEL_VALUE))]
    pub value: String,
    /// Effect of the taint: `NoPlacement` or Evict for targets; `NoSchedule`, `NoExecute`, `PreferNoSchedule` for nodes; absent:
    /// every effect.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 32))]
    pub effect: String,
}

/// Comparison of a toleration with the value of a taint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TolerationOperator {
    /// Key and value must be equal.
    #[default]
    Equal,
    /// The key is enough.
    Exists,
}

/// The engine that serves the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// vLLM, from 0.18 on.
    Vllm,
    /// Any image that speaks the `OpenAI` API and checks the key in `ROADSTEAD_API_KEY`.
    Custom,
}

impl Engine {
    /// All engines.
    pub const ALL: [Self; 2] = [Self::Vllm, Self::Custom];

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Custom => "custom",
        }
    }
}

/// One environment variable of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvVar {
    /// The name of the variable.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z][-._a-zA-Z0-9]*$"))]
    pub name: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::TEXT))]
    pub value: Option<String>,
    /// Key of a Secret with the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<SecretKeyRef>,
}

/// Requests and limits of one replica beside accelerators.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaResources {
    /// Requests of cpu, memory and ephemeral-storage of a replica.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities_schema")]
    pub requests: BTreeMap<String, Quantity>,
    /// Limits of cpu, memory and ephemeral-storage of a replica; absent: no limit. Not below the requests. A resource
    /// with a limit and without a request requests its limit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities_schema")]
    pub limits: BTreeMap<String, Quantity>,
}

impl ReplicaResources {
    /// Request of a replica for `resource`: as in Kubernetes, its limit if no request is given.
    #[must_use]
    pub fn request(&self, resource: &str) -> Option<&Quantity> {
        self.requests.get(resource).or_else(|| self.limits.get(resource))
    }
}

/// Start command and health checks of a custom engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomEngine {
    /// Command; absent: the image's own entry point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::ARGS), inner(length(max = limits::TEXT)))]
    pub command: Vec<String>,
    /// Path that answers 200 once the engine can serve.
    #[serde(default = "default_health_path")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^/[^[:space:]?#]*$"))]
    pub readiness_path: String,
    /// Path that answers 200 while the engine is alive.
    #[serde(default = "default_health_path")]
    #[schemars(length(min = 1, max = 256), regex(pattern = "^/[^[:space:]?#]*$"))]
    pub liveness_path: String,
}

impl Default for CustomEngine {
    fn default() -> Self {
        Self { command: Vec::new(), readiness_path: default_health_path(), liveness_path: default_health_path() }
    }
}

fn default_health_path() -> String {
    "/health".to_owned()
}

/// Copy of images in a registry that the target can pull from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageMirror {
    /// Beginning of the name of the original, such as vllm/vllm-openai.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[^[:space:]]+$"))]
    pub source: String,
    /// Beginning of the name of the copy, which replaces it.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[^[:space:]]+$"))]
    pub mirror: String,
}

/// Generation in a status that was never written.
pub(super) const fn not_observed() -> i64 {
    -1
}
