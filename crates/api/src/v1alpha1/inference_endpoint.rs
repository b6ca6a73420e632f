//! `InferenceEndpoint`: one decided placement, and what became of it. Written by the operator alone.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::common::{
    CapacityType, CustomEngine, Engine, EnvVar, LocalRef, ReplicaResources, Toleration, labels_schema, not_observed,
};
use super::dollars::Dollars;
use super::failover::{Health, Witness};
use super::limits;
use super::serving_target::TargetType;

/// The decided place and the resolved pod fields of its endpoint.
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
    doc = "Record of one decided placement of a ModelDeployment. Only the operator writes it."
)]
#[serde(rename_all = "camelCase")]
pub struct InferenceEndpointSpec {
    /// Deployment that the endpoint serves.
    pub deployment_ref: DeploymentRef,
    /// The target.
    #[schemars(length(min = 1, max = 63))]
    pub target: String,
    /// Type of the target; absent in records of releases without overrides, and then no override applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_type: Option<TargetType>,
    /// Cloud of the target at the time of the decision.
    #[schemars(length(min = 1, max = 63))]
    pub cloud: String,
    /// Region of the target at the time of the decision.
    #[schemars(length(min = 1, max = 63))]
    pub region: String,
    /// Offer of the target.
    #[schemars(length(min = 1, max = 63))]
    pub offer: String,
    /// Shape of the deployment.
    #[schemars(length(min = 1, max = 63))]
    pub shape: String,
    /// Accelerators of one replica.
    pub accelerator: EndpointAccelerator,
    /// Instance of the offer at the time of the decision; absent in records of older releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<EndpointInstance>,
    /// Capacity type of the offer.
    pub capacity_type: CapacityType,
    /// Lowest number that no other endpoint of the deployment had at the time of the decision.
    #[schemars(range(min = 0, max = limits::LAST_SLOT))]
    pub slot: i32,
    /// Number of replicas here.
    #[schemars(range(min = 0, max = limits::REPLICAS))]
    pub replicas: i32,
    /// Cost of one replica in USD per hour, when the offer's price was last known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 24))]
    pub replica_hourly_cost: Option<Dollars>,
    /// Cost of all replicas in USD per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 24))]
    pub hourly_cost: Option<Dollars>,
    /// Pod template of each replica. Only a change of this field causes a rollout.
    pub template: Template,
    /// Secrets for pulling the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::PULL_SECRETS))]
    pub image_pull_secrets: Vec<LocalRef>,
    /// Longest time in seconds until new nodes are added; absent: existing nodes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 30, max = 86400))]
    pub provision_timeout_seconds: Option<i32>,
    /// Intended state: Active, Standby or Draining.
    #[serde(default)]
    pub state: EndpointState,
    /// Endpoint that this one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub replaces: Option<String>,
    /// Time when this endpoint, which stood by, began to replace it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_at: Option<Time>,
    /// Reason for the creation or the removal of the endpoint.
    #[schemars(length(min = 1, max = 128))]
    pub reason: String,
    /// Time of the removal of a draining endpoint.
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

/// Accelerators of one replica, with their Kubernetes resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointAccelerator {
    /// Catalogue name, such as H100.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 63))]
    pub type_: String,
    /// Number of accelerators.
    #[schemars(range(min = 1, max = 64))]
    pub count: i32,
    /// Kubernetes resource, such as nvidia.com/gpu.
    #[schemars(length(min = 1, max = 317))]
    pub resource_name: String,
}

/// Instance of an offer, as a driver of a managed service asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointInstance {
    /// Instance type, as the cloud names it.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 63))]
    pub type_: String,
    /// Accelerators of one instance.
    #[schemars(range(min = 1, max = 64))]
    pub accelerators: i32,
}

/// Intended state of an endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EndpointState {
    /// It serves.
    #[default]
    Active,
    /// It receives requests only while no Active endpoint answers.
    Standby,
    /// It serves until its deadline and is then removed.
    Draining,
}

/// Resolved pod fields of each replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// The engine.
    pub engine: Engine,
    /// The engine's image.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// Arguments of the shape, then of the deployment, then of its override for the type of the target.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3 * limits::ARGS), inner(length(max = limits::TEXT)))]
    pub args: Vec<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2 * limits::ENV))]
    pub env: Vec<EnvVar>,
    /// Port of the engine.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Requests and limits of one replica beside accelerators.
    #[serde(default)]
    pub resources: ReplicaResources,
    /// The model.
    pub model: ResolvedModel,
    /// Start command and health checks of a custom engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomEngine>,
    /// Nodes of the replicas.
    #[serde(default)]
    pub nodes: TemplateNodes,
    /// Longest time in seconds from the start until the endpoint answers through its address; its offer's
    /// `provisionTimeoutSeconds` is added.
    #[schemars(range(min = 10, max = 86400))]
    pub startup_timeout_seconds: i32,
    /// Time in seconds for requests in flight after the endpoint is replaced or removed.
    #[schemars(range(min = 0, max = 3600))]
    pub drain_timeout_seconds: i32,
}

/// The model, with nothing left to default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResolvedModel {
    /// Source of the weights.
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
    /// Secret whose keys all become environment variables of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<LocalRef>,
}

/// The nodes on which replicas run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateNodes {
    /// Labels of the nodes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels_schema")]
    pub selector: BTreeMap<String, String>,
    /// Node taints that the pods tolerate.
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

/// Observed state of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InferenceEndpointStatus {
    /// Most recent generation observed; -1 if none.
    #[serde(default = "not_observed")]
    pub observed_generation: i64,
    /// Created, Serving, Ready; `ChangedByAdmission` only while admission changes fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Identity of the endpoint at its provider.
    #[serde(default, rename = "externalID", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "external_id_schema")]
    pub external_id: Option<ExternalId>,
    /// Address for clients; absent until it is assigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::URL))]
    pub url: Option<String>,
    /// Secret in this namespace with the API key, under apiKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub api_key_secret_name: Option<String>,
    /// Replicas that exist.
    #[serde(default)]
    pub replicas: i32,
    /// Replicas that are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Time of the start, until the endpoint is ready for the first time. A new template and a scale-up from zero
    /// restart it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_since: Option<Time>,
    /// Time when the endpoint was ready for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ready_time: Option<Time>,
    /// Health of an endpoint that was ready before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Witness by which the health was decided: Probe, or Gateways where the operator's probe fails or is not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub witness: Option<Witness>,
    /// Time of the first failed probe of the latest unbroken run; absent while the endpoint answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Time>,
    /// The interruption by an update in place, from its announcement until the endpoint answers again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interruption: Option<Interruption>,
    /// Latest failure, until it is resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// Latest intent to create the endpoint at its provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_intent: Option<CreateIntent>,
    /// Hash of the template at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub template_hash: Option<String>,
    /// Digest of the rendered template at the provider.
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
            health: None,
            witness: None,
            failing_since: None,
            interruption: None,
            last_error: None,
            create_intent: None,
            template_hash: None,
            template_digest: None,
        }
    }
}

/// Interruption of an endpoint by an update that no spare accelerator allows beside its last replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Interruption {
    /// Time of the announcement: gateways send the endpoint no new request from then on.
    pub since: Time,
    /// Time at which the update begins at the latest, though requests are in flight.
    pub deadline: Time,
}

/// Identity of something at its place, in the terms of the driver that made it: only that driver reads more of it than the
/// place. An operation that is in progress is a part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExternalId(BTreeMap<String, String>);

impl ExternalId {
    /// The entry that names the place. It is called so since every place was a cluster.
    const SITE: &str = "clusterUID";

    /// The entry that names an operation in progress, by which alone its result can be found. The core writes it at once.
    pub const OPERATION: &str = "operation";

    /// Something at the place with the identity `site`, identified there by `entries`.
    #[must_use]
    pub fn new<'a>(site: &str, entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let site = (Self::SITE.to_owned(), site.to_owned());
        Self(entries.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).chain([site]).collect())
    }

    /// The identity of the place; nothing where the id names none.
    #[must_use]
    pub fn site(&self) -> &str {
        self.get(Self::SITE).unwrap_or_default()
    }

    /// An entry of the driver.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// A map of a few short texts.
fn external_id_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 8,
        "additionalProperties": {"type": "string", "maxLength": 1024},
    })
}

impl InferenceEndpoint {
    /// Identity at its place, as far as that is on record.
    #[must_use]
    pub fn external_id(&self) -> Option<&ExternalId> {
        self.status.as_ref()?.external_id.as_ref()
    }
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// Class of the failure, such as Transient or `CapacityExhausted`.
    #[schemars(length(max = 63))]
    pub class: String,
    /// Message of the failure.
    #[schemars(length(max = limits::MESSAGE))]
    pub message: String,
    /// Time of the first occurrence.
    pub time: Time,
}

/// A creation that was about to be asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateIntent {
    /// Number of recorded creation attempts; unchanged by retries after a failure.
    pub attempt: i32,
    /// Time of the last attempt.
    pub time: Time,
}
