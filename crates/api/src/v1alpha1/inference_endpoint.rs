//! `InferenceEndpoint`: one decided placement, and what became of it. Written by the operator alone.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{
    CapacityType, CustomEngine, Engine, EnvVar, LocalRef, ReplicaResources, Toleration, labels_schema,
};
use super::limits;
use super::model_deployment::not_observed;

/// The place that was decided, and everything that is needed to serve there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "roadstead.dev",
    version = "v1alpha1",
    kind = "InferenceEndpoint",
    plural = "inferenceendpoints",
    shortname = "iep",
    category = "inference",
    namespaced,
    status = "InferenceEndpointStatus",
    derive = "PartialEq",
    doc = "The record of one decided placement of a ModelDeployment. The operator writes it; nobody else needs to."
)]
#[serde(rename_all = "camelCase")]
pub struct InferenceEndpointSpec {
    /// The deployment that it serves.
    pub deployment_ref: DeploymentRef,
    /// The target.
    #[schemars(length(min = 1, max = 63))]
    pub target: String,
    /// The target's cloud when this was decided.
    #[schemars(length(min = 1, max = 63))]
    pub cloud: String,
    /// The target's region when this was decided.
    #[schemars(length(min = 1, max = 63))]
    pub region: String,
    /// The offer of the target.
    #[schemars(length(min = 1, max = 63))]
    pub offer: String,
    /// The shape of the deployment.
    #[schemars(length(min = 1, max = 63))]
    pub shape: String,
    /// The accelerators of one replica.
    pub accelerator: EndpointAccelerator,
    /// How the capacity is bought.
    pub capacity_type: CapacityType,
    /// The lowest number that no other endpoint of the deployment held when this was decided.
    #[schemars(range(min = 0, max = limits::LAST_SLOT))]
    pub slot: i32,
    /// How many replicas serve here.
    #[schemars(range(min = 0, max = limits::REPLICAS))]
    pub replicas: i32,
    /// What one replica costs, in USD per hour, when the offer's price was last known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 24))]
    pub replica_hourly_cost: Option<String>,
    /// What all replicas cost, in USD per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 24))]
    pub hourly_cost: Option<String>,
    /// What runs in each replica; a change of it is rolled out, a change of anything else is not.
    pub template: Template,
    /// Secrets for pulling the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::PULL_SECRETS))]
    pub image_pull_secrets: Vec<LocalRef>,
    /// How long nodes may take to be added; absent: existing nodes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 30, max = 86400))]
    pub provision_timeout_seconds: Option<i32>,
    /// Whether it is to serve or to go.
    #[serde(default)]
    pub state: EndpointState,
    /// The endpoint from which it takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub replaces: Option<String>,
    /// Why it was made, or why it is to go.
    #[schemars(length(min = 1, max = 128))]
    pub reason: String,
    /// When it is removed, once it is draining.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
}

/// A deployment, by name and UID.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentRef {
    /// The deployment's name, in the same namespace.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The deployment's UID.
    #[schemars(length(min = 1, max = 64))]
    pub uid: String,
}

/// The accelerators of one replica, with the Kubernetes resource that stands for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointAccelerator {
    /// The catalogue name, such as H100.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 63))]
    pub type_: String,
    /// How many.
    #[schemars(range(min = 1, max = 64))]
    pub count: i32,
    /// The Kubernetes resource, such as nvidia.com/gpu.
    #[schemars(length(min = 1, max = 317))]
    pub resource_name: String,
}

/// Whether an endpoint is to serve or to go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EndpointState {
    /// It serves.
    #[default]
    Active,
    /// It serves until its deadline and is then removed.
    Draining,
}

/// What runs in each replica: the resolved pod fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// The engine.
    pub engine: Engine,
    /// The engine's image.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// The shape's arguments and the deployment's, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2 * limits::ARGS), inner(length(max = limits::TEXT)))]
    pub args: Vec<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::ENV))]
    pub env: Vec<EnvVar>,
    /// The port on which the engine listens.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// What one replica requests, and may use, beside accelerators.
    #[serde(default)]
    pub resources: ReplicaResources,
    /// The model.
    pub model: ResolvedModel,
    /// How an engine of one's own is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomEngine>,
    /// The nodes on which the replicas run.
    #[serde(default)]
    pub nodes: TemplateNodes,
    /// Seconds from the start until the endpoint must answer through its address; its offer's `provisionTimeoutSeconds` is
    /// added.
    #[schemars(range(min = 10, max = 86400))]
    pub startup_timeout_seconds: i32,
    /// Seconds for which requests in flight may go on.
    #[schemars(range(min = 0, max = 3600))]
    pub drain_timeout_seconds: i32,
}

/// The model, with nothing left to default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedModel {
    /// Where the weights come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub source: Option<String>,
    /// The revision of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub revision: Option<String>,
    /// The value of `model` in requests.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// A Secret of which every key becomes an environment variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<LocalRef>,
}

/// The nodes on which replicas run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateNodes {
    /// Labels that the nodes have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels_schema")]
    pub selector: BTreeMap<String, String>,
    /// Taints that are stood.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2 * limits::TOLERATIONS))]
    pub tolerations: Vec<Toleration>,
}

impl InferenceEndpointSpec {
    /// The value of `model` in requests.
    #[must_use]
    pub fn model_name(&self) -> &str {
        &self.template.model.name
    }

    /// The names of all Secrets that it needs.
    #[must_use]
    pub fn secret_names(&self) -> BTreeSet<String> {
        let credentials = self.template.model.credentials_secret_ref.iter().map(|reference| reference.name.clone());
        let env = self.secret_keys().map(|(name, _)| name.to_owned());
        let pull = self.image_pull_secrets.iter().map(|reference| reference.name.clone());
        credentials.chain(env).chain(pull).collect()
    }

    /// The keys of Secrets that its environment names.
    pub fn secret_keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.template
            .env
            .iter()
            .filter_map(|variable| variable.secret_key_ref.as_ref())
            .map(|reference| (reference.name.as_str(), reference.key.as_str()))
    }
}

/// What became of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InferenceEndpointStatus {
    /// Most recent generation observed; -1 if none.
    #[serde(default = "not_observed")]
    pub observed_generation: i64,
    /// Created, Serving, Ready; `ChangedByAdmission` only while admission changes fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// What identifies it at its provider; it is judged only there.
    #[serde(default, rename = "externalID", skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
    /// The address for clients, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::URL))]
    pub url: Option<String>,
    /// The Secret in this namespace that holds the API key, under apiKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub api_key_secret_name: Option<String>,
    /// Replicas that exist.
    #[serde(default)]
    pub replicas: i32,
    /// Replicas that are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Since when it starts, until it is ready for the first time. A new template and a scale-up from zero start it anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_since: Option<Time>,
    /// When it was ready for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ready_time: Option<Time>,
    /// The first failed look of an unbroken run, once it was ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Time>,
    /// The last failure, while it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// The last time that a creation was about to be asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_intent: Option<CreateIntent>,
    /// Hash of the template that is in force at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub template_hash: Option<String>,
    /// Digest of the rendered template that is in force at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub template_digest: Option<String>,
}

impl Default for InferenceEndpointStatus {
    fn default() -> Self {
        Self {
            observed_generation: not_observed(),
            conditions: Vec::new(),
            external_id: None,
            url: None,
            api_key_secret_name: None,
            replicas: 0,
            ready_replicas: 0,
            starting_since: None,
            first_ready_time: None,
            failing_since: None,
            last_error: None,
            create_intent: None,
            template_hash: None,
            template_digest: None,
        }
    }
}

/// What identifies an endpoint at its provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalId {
    /// The identity of the place: the UID of a cluster's kube-system namespace.
    #[serde(rename = "clusterUID")]
    #[schemars(length(max = 64))]
    pub cluster_uid: String,
    /// The namespace there.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The UID of the object there.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The UID of the object there that owns all others of the endpoint: on a cluster the Secret of its API key.
    #[serde(default, rename = "ownerUID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub owner_uid: Option<String>,
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// What kind of failure, such as Transient or `CapacityExhausted`.
    #[schemars(length(max = 63))]
    pub class: String,
    /// What happened, in a sentence.
    #[schemars(length(max = limits::MESSAGE))]
    pub message: String,
    /// When it was first seen.
    pub time: Time,
}

/// A creation that was about to be asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateIntent {
    /// How often it was written down; after a failure it stands for the next tries.
    pub attempt: i32,
    /// When it was, last.
    pub time: Time,
}
