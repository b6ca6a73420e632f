//! `ModelDeployment`: what a user wants served, under which rules.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{
    Accelerator, CapacityType, CustomEngine, ENTRY_NAME, Engine, EnvVar, JURISDICTION, LabelSelector, LocalRef,
    PLACE_NAME, ReplicaResources, Toleration,
};
use super::limits;

/// What is served, how, and under which rules.
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
    doc = "A model to be served, and the rules of cost, region and capacity that say where.",
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
    /// How the model is served.
    pub serving: Serving,
    /// How many replicas serve it; 0 keeps the address and the key and pays for nothing.
    #[serde(default = "one")]
    #[schemars(range(min = 0, max = limits::REPLICAS))]
    pub replicas: i32,
    /// Higher is planned first; nothing that runs is ever displaced.
    #[serde(default)]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: i32,
    /// Where it may run, and what is preferred.
    #[serde(default)]
    pub placement: PlacementRules,
    /// While true nothing is decided, scaled or updated; what runs is kept, and deletion works.
    #[serde(default)]
    pub suspend: bool,
}

const fn one() -> i32 {
    1
}

/// The model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Model {
    /// Where the weights come from, as <hf://organisation/name>; optional for engine custom.
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
    /// A Secret of which every key becomes an environment variable of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<LocalRef>,
}

/// How the model is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Serving {
    /// The engine.
    pub engine: Engine,
    /// The engine's image, with a tag or a digest: there is no default that could change under you.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// Arguments of the engine, after those that Roadstead makes and those of the shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::ARGS), inner(length(max = limits::TEXT)))]
    pub args: Vec<String>,
    /// Environment variables of the engine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::ENV))]
    pub env: Vec<EnvVar>,
    /// The port on which the engine listens.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// What one replica requests, and may use, beside accelerators, which come from the shape.
    #[serde(default)]
    pub resources: ReplicaResources,
    /// Secrets for pulling the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::PULL_SECRETS))]
    pub image_pull_secrets: Vec<LocalRef>,
    /// How an engine of your own is started; only for engine custom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomEngine>,
    /// Interchangeable ways to run one replica; the order breaks ties.
    #[schemars(length(min = 1, max = limits::SHAPES))]
    pub shapes: Vec<Shape>,
    /// Seconds from the start until the endpoint must answer through its address; an offer's `provisionTimeoutSeconds` is
    /// added. Then the next place is tried.
    #[serde(default = "default_startup")]
    #[schemars(range(min = 10, max = 86400))]
    pub startup_timeout_seconds: i32,
    /// Seconds for which requests in flight may go on after their endpoint was replaced or removed.
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
    /// The accelerators of one replica, on one node.
    pub accelerator: Accelerator,
    /// Arguments of the engine for this shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::ARGS), inner(length(max = limits::TEXT)))]
    pub args: Vec<String>,
    /// Tokens per second of one replica under your load; needed on all shapes for `CostPerMillionTokens`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub tokens_per_second: Option<i32>,
}

/// Where a deployment may run, and what is preferred. An absent list allows everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementRules {
    /// Selects targets by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_selector: Option<LabelSelector>,
    /// Which clouds may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clouds: Option<CloudRules>,
    /// Which regions may be used and which are preferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<RegionRules>,
    /// The jurisdictions of which one must hold the region; a region of unknown place is out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = limits::RULE_ENTRIES),
        inner(length(min = 1, max = 32), regex(pattern = JURISDICTION)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub jurisdictions: Option<Vec<String>>,
    /// How capacity may be bought.
    #[serde(default = "default_capacity_types")]
    #[schemars(length(max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub capacity_types: Vec<CapacityType>,
    /// What is minimised, and what may be spent.
    #[serde(default)]
    pub cost: CostRules,
    /// Taints of targets that are stood.
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
            target_tolerations: Vec::new(),
        }
    }
}

fn default_capacity_types() -> Vec<CapacityType> {
    vec![CapacityType::Reserved, CapacityType::OnDemand]
}

/// Which clouds may be used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CloudRules {
    /// The clouds that may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = limits::RULE_ENTRIES),
        inner(length(min = 1, max = 63), regex(pattern = PLACE_NAME)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub allow: Option<Vec<String>>,
}

/// Which regions may be used and which are preferred.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegionRules {
    /// The regions that may be used; a * at the end stands for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = limits::RULE_ENTRIES),
        inner(length(min = 1, max = 63)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub allow: Option<Vec<String>>,
    /// The regions that may not be used, even if allowed; a * at the end stands for anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = limits::RULE_ENTRIES),
        inner(length(min = 1, max = 63)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub deny: Option<Vec<String>>,
    /// The places that may cost more than others; the first that matches counts.
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
    /// The cloud that is meant; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = PLACE_NAME))]
    pub cloud: Option<String>,
    /// The region that is meant, with a * at the end for anything; any if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub region: Option<String>,
    /// By how many percent it may cost more than the cheapest place.
    #[schemars(range(min = 0, max = 1000))]
    pub premium_percent: i32,
}

/// What is minimised, and what may be spent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostRules {
    /// What is minimised.
    #[serde(default)]
    pub objective: CostObjective,
    /// The most that all replicas may cost, in USD per hour, such as "24.00".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub max_hourly_cost: Option<String>,
}

/// What is minimised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CostObjective {
    /// USD per hour of all replicas.
    #[default]
    HourlyCost,
    /// USD per million tokens at the shapes' declared throughput.
    CostPerMillionTokens,
}

/// What was decided, what runs, what it costs, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelDeploymentStatus {
    /// Most recent generation observed; -1 if none.
    #[serde(default = "not_observed")]
    pub observed_generation: i64,
    /// Ready, Placed, `WithinBudget`; Reconciling and Stalled only while they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Replicas of the newest endpoint.
    #[serde(default)]
    pub replicas: i32,
    /// Replicas of the newest endpoint that are ready.
    #[serde(default)]
    pub ready_replicas: i32,
    /// A label selector for autoscalers; the pods themselves are on other clusters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub selector: Option<String>,
    /// What everything that is billed for this deployment costs, in USD per hour, refused replicas not counted; absent
    /// while a price is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub hourly_cost: Option<String>,
    /// Where it is served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::PLACEMENTS))]
    pub placements: Vec<PlacementStatus>,
    /// Every place that was considered, and why it was chosen or not, as of decidedAt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::CANDIDATES))]
    pub candidates: Vec<CandidateStatus>,
    /// How many further candidates are not listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted_candidates: Option<i32>,
    /// When the candidates were judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
    /// Endpoints that drain or are being removed; they may be billed until their provider confirms that they are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::RELEASING))]
    pub releasing: Vec<ReleasingStatus>,
    /// The last value of the annotation roadstead.dev/requestedAt that was acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::ECHO))]
    pub last_handled_reconcile_at: Option<String>,
}

impl Default for ModelDeploymentStatus {
    fn default() -> Self {
        Self {
            observed_generation: not_observed(),
            conditions: Vec::new(),
            replicas: 0,
            ready_replicas: 0,
            selector: None,
            hourly_cost: None,
            placements: Vec::new(),
            candidates: Vec::new(),
            omitted_candidates: None,
            decided_at: None,
            releasing: Vec::new(),
            last_handled_reconcile_at: None,
        }
    }
}

pub(super) const fn not_observed() -> i64 {
    -1
}

/// One place where the deployment is served.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementStatus {
    /// The `InferenceEndpoint` that records the decision.
    #[schemars(length(max = 63))]
    pub endpoint: String,
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
    /// The offer of the target.
    #[schemars(length(max = 63))]
    pub offer: String,
    /// How the capacity is bought.
    pub capacity_type: CapacityType,
    /// Replicas that are wanted there.
    pub replicas: i32,
    /// Replicas that are ready there.
    pub ready_replicas: i32,
    /// What the replicas cost, in USD per hour; absent while the price is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub hourly_cost: Option<String>,
    /// The address for clients, once it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::URL))]
    pub url: Option<String>,
    /// The Secret in this namespace that holds the API key, under apiKey.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub api_key_secret_name: Option<String>,
    /// Since when the address stands here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
}

/// One place that was considered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidateStatus {
    /// The target.
    #[schemars(length(max = 63))]
    pub target: String,
    /// The offer; absent where no offer of the target has the accelerator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub offer: Option<String>,
    /// The shape.
    #[schemars(length(max = 63))]
    pub shape: String,
    /// What all replicas would cost there, in USD per hour; absent while the price is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub hourly_cost: Option<String>,
    /// Chosen, Feasible or Rejected.
    #[schemars(length(max = 63))]
    pub verdict: String,
    /// The reason of the verdict.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// The reason in a sentence, with the number that decided it.
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
    /// Since when it is on its way out.
    pub since: Time,
    /// Why it is not gone yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::MESSAGE))]
    pub last_error: Option<String>,
    /// What it may cost until it is gone, in USD per hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub hourly_cost: Option<String>,
}
