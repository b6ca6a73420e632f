//! `ModelDeployment`: what a user wants served, under which rules.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{
    Accelerator, CapacityType, CustomEngine, ENTRY_NAME, Engine, EnvVar, JURISDICTION, LabelSelector, LocalRef,
    PLACE_NAME, ReplicaResources, Toleration, not_observed,
};
use super::dollars::Dollars;
use super::failover::Failover;
use super::hosted::HostedStatus;
use super::limits;
use super::migration::Migration;
use super::moves::{HomeStatus, LastMove, MoveStatus};
use super::overrides::EngineOverride;

/// A model, its engine, and the rules for its placement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "roadstead.dev",
    version = "v1alpha1",
    kind = "ModelDeployment",
    plural = "modeldeployments",
    shortname = "mdep",
    category = "inference",
    namespaced,
    status = "ModelDeploymentStatus",
    derive = "PartialEq",
    doc = "A model, and the rules of cost, region and capacity for its placement.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ModelDeploymentSpec {
    /// The model.
    #[serde(default)]
    pub model: Model,
    /// Engine and pod fields of the model.
    pub serving: Serving,
    /// Number of replicas; 0 keeps the address and the key and costs nothing.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = limits::REPLICAS))]
    pub replicas: i32,
    /// Order of planning: higher first. Running models are never preempted.
    #[serde(default)]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: i32,
    /// Rules and preferences for the place.
    #[serde(default)]
    pub placement: PlacementRules,
    /// Replacement of an endpoint that does not answer.
    #[serde(default)]
    pub failover: Failover,
    /// Rules for the take-over by a replacement.
    #[serde(default)]
    pub migration: Migration,
    /// Callers that may use the gateway's address of this deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// Limits of requests through the gateway.
    #[serde(default)]
    pub traffic: Traffic,
    /// Stops decisions, scaling and updates; the running endpoint stays, and deletion works.
    #[serde(default)]
    pub suspend: bool,
}

const fn one() -> i32 {
    1
}

/// Callers of a deployment through the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Secret of the callers: each entry is the name of a caller and its key. Without it, the operator makes one key.
    pub keys_secret_ref: LocalRef,
}

/// Limits of requests through the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Longest time in seconds until the first byte of an answer. Without streaming, that is the whole generation.
    #[serde(default = "default_first_byte")]
    #[schemars(range(min = 1, max = 86400))]
    pub first_byte_timeout_seconds: i32,
    /// Longest time in seconds without a byte in either direction.
    #[serde(default = "default_idle")]
    #[schemars(range(min = 1, max = 86400))]
    pub idle_timeout_seconds: i32,
    /// Longest body of a request in bytes.
    #[serde(default = "default_request_bytes")]
    #[schemars(range(min = 1024, max = 268_435_456))]
    pub max_request_bytes: i32,
}

const fn default_first_byte() -> i32 {
    600
}
const fn default_idle() -> i32 {
    300
}
const fn default_request_bytes() -> i32 {
    8 << 20
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            first_byte_timeout_seconds: default_first_byte(),
            idle_timeout_seconds: default_idle(),
            max_request_bytes: default_request_bytes(),
        }
    }
}

/// The model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// Source of the weights, as <hf://organisation/name>; optional for engine custom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub source: Option<String>,
    /// The revision of the source: a branch, tag or commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9]([-A-Za-z0-9._/]*[A-Za-z0-9])?$"))]
    pub revision: Option<String>,
    /// The value of `model` in requests; the deployment's name if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[A-Za-z0-9]([-A-Za-z0-9._:/]*[A-Za-z0-9])?$"))]
    pub name: Option<String>,
    /// Secret whose keys all become environment variables of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<LocalRef>,
}

/// Engine and pod fields of the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Serving {
    /// The engine.
    pub engine: Engine,
    /// Image of the engine, with a tag or a digest; there is no default.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// Arguments of the engine, after those of Roadstead and of the shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::ARGS), inner(length(max = limits::TEXT)))]
    pub args: Vec<String>,
    /// Environment variables of the engine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::ENV))]
    pub env: Vec<EnvVar>,
    /// Port of the engine.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// Requests and limits of one replica beside accelerators, which come from the shape.
    #[serde(default)]
    pub resources: ReplicaResources,
    /// Secrets for pulling the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::PULL_SECRETS))]
    pub image_pull_secrets: Vec<LocalRef>,
    /// Start command and health checks; only for engine custom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomEngine>,
    /// Interchangeable ways to run one replica; the order breaks ties.
    #[schemars(length(min = 1, max = limits::SHAPES))]
    pub shapes: Vec<Shape>,
    /// Settings of the engine at targets of one type, in place of those above or after them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = limits::OVERRIDES),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"])
    )]
    pub overrides: Vec<EngineOverride>,
    /// Longest time in seconds from the start until the endpoint answers through its address; an offer's
    /// `provisionTimeoutSeconds` is added. Then the next place is tried.
    #[serde(default = "default_startup")]
    #[schemars(range(min = 10, max = 86400))]
    pub startup_timeout_seconds: i32,
    /// Time in seconds for requests in flight after their endpoint is replaced or removed.
    #[serde(default = "default_drain")]
    #[schemars(range(min = 0, max = 3600))]
    pub drain_timeout_seconds: i32,
}

const fn default_port() -> i32 {
    8000
}
const fn default_startup() -> i32 {
    1200
}
const fn default_drain() -> i32 {
    120
}

/// One way to run one replica.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shape {
    /// The shape's name.
    #[schemars(length(min = 1, max = 63), regex(pattern = ENTRY_NAME))]
    pub name: String,
    /// Accelerators of one replica, on one node.
    pub accelerator: Accelerator,
    /// Arguments of the engine for this shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::ARGS), inner(length(max = limits::TEXT)))]
    pub args: Vec<String>,
    /// Tokens per second of one replica under your load; required on all shapes for `CostPerMillionTokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub tokens_per_second: Option<i32>,
}

/// Rules and preferences for the place of a deployment. An absent list allows everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementRules {
    /// Selects targets by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_selector: Option<LabelSelector>,
    /// Allowed clouds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clouds: Option<CloudRules>,
    /// Allowed, denied and preferred regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<RegionRules>,
    /// Allowed jurisdictions of the region; regions of unknown location are excluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = limits::RULE_ENTRIES),
        inner(length(min = 1, max = 32), regex(pattern = JURISDICTION)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub jurisdictions: Option<Vec<String>>,
    /// Allowed capacity types.
    #[serde(default = "default_capacity_types")]
    #[schemars(length(max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub capacity_types: Vec<CapacityType>,
    /// Cost objective and budget.
    #[serde(default)]
    pub cost: CostRules,
    /// Failure domains over which the replicas are spread. Replicas are divided over places only with a gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// Target taints that this deployment tolerates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::TOLERATIONS))]
    pub target_tolerations: Vec<Toleration>,
}

impl Default for PlacementRules {
    fn default() -> Self {
        Self {
            target_selector: None,
            clouds: None,
            regions: None,
            jurisdictions: None,
            capacity_types: default_capacity_types(),
            cost: CostRules::default(),
            spread: None,
            target_tolerations: Vec::new(),
        }
    }
}

/// Failure domains over which replicas are spread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// Kind of failure domain: a region of a cloud, a cloud, or a target.
    #[serde(default)]
    pub topology: SpreadTopology,
    /// Number of domains with at least one replica each. While a domain is missing, a replica waits for it.
    #[schemars(range(min = 1, max = 8))]
    pub min_domains: i32,
}

/// Kind of failure domain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SpreadTopology {
    /// A region of a cloud.
    #[default]
    Region,
    /// A cloud.
    Cloud,
    /// A target.
    Target,
}

fn default_capacity_types() -> Vec<CapacityType> {
    vec![CapacityType::Reserved, CapacityType::OnDemand]
}

/// Allowed clouds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudRules {
    /// Allowed clouds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = limits::RULE_ENTRIES),
        inner(length(min = 1, max = 63), regex(pattern = PLACE_NAME)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub allow: Option<Vec<String>>,
}

/// Allowed, denied and preferred regions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegionRules {
    /// Allowed regions; a * at the end matches any suffix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = limits::RULE_ENTRIES),
        inner(length(min = 1, max = 63)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub allow: Option<Vec<String>>,
    /// Denied regions, even if allowed; a * at the end matches any suffix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = limits::RULE_ENTRIES),
        inner(length(min = 1, max = 63)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub deny: Option<Vec<String>>,
    /// Places that may cost more than others; the first match counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub prefer: Vec<Preference>,
}

/// A place that may cost more than others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preference {
    /// The preference's name.
    #[schemars(length(min = 1, max = 63), regex(pattern = ENTRY_NAME))]
    pub name: String,
    /// Cloud; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = PLACE_NAME))]
    pub cloud: Option<String>,
    /// Region, with a * at the end for any suffix; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub region: Option<String>,
    /// Percentage that it may cost more than the cheapest place.
    #[schemars(range(min = 0, max = 1000))]
    pub premium_percent: i32,
}

/// Cost objective and budget.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostRules {
    /// Quantity to minimise.
    #[serde(default)]
    pub objective: CostObjective,
    /// Budget for all replicas in USD per hour, such as "24.00".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub max_hourly_cost: Option<Dollars>,
}

/// Quantity to minimise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CostObjective {
    /// USD per hour of all replicas.
    #[default]
    HourlyCost,
    /// USD per million tokens at the shapes' declared throughput.
    CostPerMillionTokens,
}

/// Decision, endpoints, cost and reasons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelDeploymentStatus {
    /// Most recent generation observed; -1 if none.
    #[serde(default = "not_observed")]
    pub observed_generation: i64,
    /// The one address of the deployment, with the gateway; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::URL))]
    pub url: Option<String>,
    /// Secret with the keys of the callers of that address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub keys_secret_name: Option<String>,
    /// Ready, Placed, `WithinBudget`; Reconciling and Stalled only while they are True; Migrating only while a replacement
    /// is wanted; `HostedFallback` only with spec.failover.hosted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Number of decisions so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0))]
    pub revision: i64,
    /// Replicas of the endpoints that serve.
    #[serde(default)]
    pub replicas: i32,
    /// Ready replicas of the endpoints that serve.
    #[serde(default)]
    pub ready_replicas: i32,
    /// Label selector for autoscalers; the pods are on other clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub selector: Option<String>,
    /// Cost of everything that is billed for this deployment in USD per hour, without refused replicas; absent while a
    /// price is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub hourly_cost: Option<Dollars>,
    /// Endpoints that serve, then those that are to take over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::PLACEMENTS))]
    pub placements: Vec<PlacementStatus>,
    /// Judged places with their verdicts, as of decidedAt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::CANDIDATES))]
    pub candidates: Vec<CandidateStatus>,
    /// Number of candidates that are not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted_candidates: Option<i32>,
    /// Time when the candidates were judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
    /// Endpoints that drain or are being removed; they may be billed until their provider confirms the removal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::RELEASING))]
    pub releasing: Vec<ReleasingStatus>,
    /// Hosted models of spec.failover.hosted, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::HOSTED_FALLBACKS))]
    pub hosted: Vec<HostedStatus>,
    /// Replacements under way, the latest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::MOVES))]
    pub moves: Vec<MoveStatus>,
    /// Latest replacement that has taken over, with the times of its stages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_move: Option<LastMove>,
    /// Target that the first of the latest failovers left, until the deployment moves for another reason; failback returns to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<HomeStatus>,
    /// Last handled value of the annotation roadstead.dev/requestedAt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::ECHO))]
    pub last_handled_reconcile_at: Option<String>,
}

impl Default for ModelDeploymentStatus {
    fn default() -> Self {
        Self {
            observed_generation: not_observed(),
            url: None,
            keys_secret_name: None,
            conditions: Vec::new(),
            revision: 0,
            replicas: 0,
            ready_replicas: 0,
            selector: None,
            hourly_cost: None,
            placements: Vec::new(),
            candidates: Vec::new(),
            omitted_candidates: None,
            decided_at: None,
            releasing: Vec::new(),
            hosted: Vec::new(),
            moves: Vec::new(),
            last_move: None,
            home: None,
            last_handled_reconcile_at: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Role of an endpoint among those of its deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum PlacementRole {
    /// The deployment relies on it.
    #[default]
    Serving,
    /// It takes over from a serving endpoint once its address answers and is published here.
    Replacement,
    /// It takes requests only while no serving endpoint answers.
    Standby,
}

impl PlacementRole {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_serving(&self) -> bool {
        *self == Self::Serving
    }
}

/// One endpoint that serves or is to take over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementStatus {
    /// `InferenceEndpoint` with the record of the decision.
    #[schemars(length(max = 63))]
    pub endpoint: String,
    /// Replacement: it is to take over from a serving endpoint. Standby: it takes requests while none serves. Absent: it serves.
    #[serde(default, skip_serializing_if = "PlacementRole::is_serving")]
    pub role: PlacementRole,
    /// The target.
    #[schemars(length(max = 63))]
    pub target: String,
    /// The target's cloud.
    #[schemars(length(max = 63))]
    pub cloud: String,
    /// The target's region.
    #[schemars(length(max = 63))]
    pub region: String,
    /// The shape.
    #[schemars(length(max = 63))]
    pub shape: String,
    /// Offer of the target.
    #[schemars(length(max = 63))]
    pub offer: String,
    /// Capacity type of the offer.
    pub capacity_type: CapacityType,
    /// Wanted replicas there.
    pub replicas: i32,
    /// Ready replicas there.
    pub ready_replicas: i32,
    /// Cost of the replicas in USD per hour; absent while the price is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub hourly_cost: Option<Dollars>,
    /// Address for clients; absent until it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::URL))]
    pub url: Option<String>,
    /// Secret in this namespace with the API key, under apiKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub api_key_secret_name: Option<String>,
    /// Time when the address was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// One judged place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidateStatus {
    /// The target.
    #[schemars(length(max = 63))]
    pub target: String,
    /// Offer; absent if no offer of the target has the accelerator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub offer: Option<String>,
    /// The shape.
    #[schemars(length(max = 63))]
    pub shape: String,
    /// Cost of all replicas there in USD per hour; absent while the price is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub hourly_cost: Option<Dollars>,
    /// Chosen, Feasible or Rejected.
    #[schemars(length(max = 63))]
    pub verdict: String,
    /// The reason of the verdict.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// Reason in a sentence, with the deciding number.
    #[schemars(length(max = limits::MESSAGE))]
    pub message: String,
}

/// An endpoint that drains or is being removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleasingStatus {
    /// The `InferenceEndpoint`.
    #[schemars(length(max = 63))]
    pub endpoint: String,
    /// The target.
    #[schemars(length(max = 63))]
    pub target: String,
    /// Time when its drain or removal began.
    pub since: Time,
    /// Latest error of its removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::MESSAGE))]
    pub last_error: Option<String>,
    /// Possible cost until the removal is confirmed, in USD per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub hourly_cost: Option<Dollars>,
}
