//! `ServingTarget`: where models may run, and what that costs.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{
    Accelerator, CapacityType, ENTRY_NAME, JURISDICTION, LABEL_KEY, LABEL_VALUE, LabelSelector, PLACE_NAME,
    SecretKeyRef, Toleration, annotations_schema, labels_schema, quantity_schema,
};
use super::limits;
use super::model_deployment::not_observed;
use super::simulated::SimulatedTarget;

/// Where it is, how it is reached, what it offers, and who may use it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "roadstead.dev",
    version = "v1alpha1",
    kind = "ServingTarget",
    plural = "servingtargets",
    shortname = "stgt",
    category = "inference",
    status = "ServingTargetStatus",
    derive = "PartialEq",
    doc = "A place where models may run, with what it offers and for how much."
)]
#[serde(rename_all = "camelCase")]
pub struct ServingTargetSpec {
    /// The cloud, such as aws, gcp or azure; any name for your own.
    #[schemars(length(min = 1, max = 63), regex(pattern = PLACE_NAME))]
    pub cloud: String,
    /// The region, as the cloud names it.
    #[schemars(length(min = 1, max = 63), regex(pattern = PLACE_NAME))]
    pub region: String,
    /// Where that is, if the built-in table does not know the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The kind of place.
    #[serde(rename = "type")]
    pub type_: TargetType,
    /// The cluster; needed for type Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesTarget>,
    /// How the simulated place behaves; needed for type Simulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<SimulatedTarget>,
    /// What can be had there.
    #[schemars(length(min = 1, max = limits::OFFERS))]
    pub offers: Vec<Offer>,
    /// The namespaces whose deployments may use it, by labels; none if absent, all if empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<LabelSelector>,
    /// Keep away deployments that do not tolerate them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = limits::TAINTS),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key", "effect"])
    )]
    pub taints: Vec<Taint>,
}

impl ServingTargetSpec {
    /// The Secret in the operator's namespace that holds the credentials, if there is one.
    #[must_use]
    pub fn secret_name(&self) -> Option<&str> {
        let reference = self.kubernetes.as_ref()?.connection.kubeconfig_secret_ref.as_ref()?;
        Some(&reference.name)
    }
}

/// The kind of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TargetType {
    /// A Kubernetes cluster.
    Kubernetes,
    /// No real place: it behaves like a cloud and spends nothing.
    Simulated,
}

/// Where a target is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// The country, as two capital letters (ISO 3166-1).
    #[schemars(length(min = 2, max = 2), regex(pattern = "^[A-Z]{2}$"))]
    pub country: String,
    /// The jurisdictions that hold there, such as EU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = limits::RULE_ENTRIES),
        inner(length(min = 1, max = 32), regex(pattern = JURISDICTION)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub jurisdictions: Vec<String>,
}

/// A Kubernetes cluster as a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesTarget {
    /// How the cluster is reached.
    pub connection: Connection,
    /// The one namespace that is used there; it comes with the member manifest.
    #[serde(default = "default_namespace")]
    #[schemars(length(min = 1, max = 63), regex(pattern = ENTRY_NAME))]
    pub namespace: String,
    /// How endpoints are made reachable.
    pub expose: Expose,
}

fn default_namespace() -> String {
    "roadstead".to_owned()
}

/// How a cluster is reached: exactly one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// A Secret in the operator's namespace that holds a kubeconfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig_secret_ref: Option<SecretKeyRef>,
    /// The cluster in which the operator runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_cluster: Option<InCluster>,
}

/// The cluster in which the operator runs; there is nothing to say about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InCluster {}

/// How endpoints are made reachable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expose {
    /// The type of the Service.
    #[serde(rename = "type")]
    pub type_: ExposeType,
    /// Details of a load balancer; only for type `LoadBalancer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// Says that everybody who can reach the address may ask; the API key guards /v1 alone.
    #[serde(default)]
    pub public: bool,
}

/// The type of an endpoint's Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExposeType {
    /// A load balancer of the cloud.
    LoadBalancer,
    /// A port of the nodes.
    NodePort,
    /// Reachable inside the cluster only.
    ClusterIP,
}

/// Details of a load balancer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// The load balancer class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = limits::LABEL_KEY), regex(pattern = LABEL_KEY))]
    pub class: Option<String>,
    /// Annotations of the Service, which clouds read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotations_schema")]
    pub annotations: BTreeMap<String, String>,
    /// The address ranges that may reach it, such as 10.0.0.0/8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = limits::SOURCE_RANGES),
        inner(length(min = 1, max = 64)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub source_ranges: Vec<String>,
}

/// An instance type with its accelerators, one way to buy it, its price, and how much there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// The offer's name.
    #[schemars(length(min = 1, max = 63), regex(pattern = ENTRY_NAME))]
    pub name: String,
    /// The instance type, as the cloud names it.
    #[schemars(length(min = 1, max = 63), regex(pattern = PLACE_NAME))]
    pub instance_type: String,
    /// The accelerators of one whole instance.
    pub accelerator: Accelerator,
    /// How it is bought.
    pub capacity_type: CapacityType,
    /// What is billed.
    #[serde(default)]
    pub billing: Billing,
    /// The price of one whole instance, in USD per hour; optional for Reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub hourly_price: Option<String>,
    /// At most so many instances are used; needed where an autoscaler may add nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_instances: Option<i32>,
    /// An autoscaler may add nodes, which takes at most so long; absent: existing nodes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 30, max = 86400))]
    pub provision_timeout_seconds: Option<i32>,
    /// The nodes that belong to the offer.
    #[serde(default)]
    pub nodes: OfferNodes,
}

/// What is billed of an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Billing {
    /// Each replica pays for its share of the instance's accelerators.
    #[default]
    PerAccelerator,
}

/// The nodes that belong to an offer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferNodes {
    /// The Kubernetes resource of the accelerators; by the accelerator's type if absent; required for a type that the
    /// built-in table does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = limits::LABEL_KEY),
        regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
    )]
    pub resource_name: Option<String>,
    /// Labels that the nodes have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels_schema")]
    pub selector: BTreeMap<String, String>,
    /// Taints of the nodes that pods must stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::TOLERATIONS))]
    pub tolerations: Vec<Toleration>,
}

/// Keeps away deployments that do not tolerate it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// The taint's key.
    #[schemars(length(min = 1, max = limits::LABEL_KEY), regex(pattern = LABEL_KEY))]
    pub key: String,
    /// The taint's value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63), regex(pattern = LABEL_VALUE))]
    pub value: String,
    /// What it does.
    pub effect: TaintEffect,
}

/// What a taint of a target does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// Nothing new is placed there.
    NoPlacement,
}

/// Whether a target can be used, and what is free there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServingTargetStatus {
    /// Most recent generation observed; -1 if none.
    #[serde(default = "not_observed")]
    pub observed_generation: i64,
    /// Ready, Reachable, `CredentialsValid`, Swept; `NeedsAttention` only while something should be looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// The UID of the cluster's kube-system namespace, pinned at first contact.
    #[serde(default, rename = "clusterUID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cluster_uid: Option<String>,
    /// The first failed check of an unbroken run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Time>,
    /// The taints, each since when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::TAINTS))]
    pub taints: Vec<TaintStatus>,
    /// What is free, by offer; at most a minute old when it changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::OFFERS))]
    pub capacity: Vec<OfferCapacity>,
    /// What was refused lately and is left alone for a while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::EXHAUSTED))]
    pub exhausted: Vec<ExhaustedStatus>,
    /// What runs there under this installation's id although no record names it; probably billed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::ORPHANS))]
    pub orphans: Vec<OrphanStatus>,
    /// How many more orphans there are than are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub omitted_orphans: Option<i32>,
}

impl Default for ServingTargetStatus {
    fn default() -> Self {
        Self {
            observed_generation: not_observed(),
            conditions: Vec::new(),
            cluster_uid: None,
            failing_since: None,
            taints: Vec::new(),
            capacity: Vec::new(),
            exhausted: Vec::new(),
            orphans: Vec::new(),
            omitted_orphans: None,
        }
    }
}

/// A taint, and since when it is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaintStatus {
    /// The taint's key.
    #[schemars(length(max = limits::LABEL_KEY))]
    pub key: String,
    /// The taint's value.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub value: String,
    /// What it does.
    pub effect: TaintEffect,
    /// Since when it is there.
    pub since: Time,
}

/// What is free of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferCapacity {
    /// The offer.
    #[schemars(length(max = 63))]
    pub offer: String,
    /// Its nodes, gathered by how many accelerators are free on them.
    #[serde(default)]
    #[schemars(length(max = limits::NODE_GROUPS))]
    pub nodes: Vec<NodeCapacity>,
    /// Nodes that are left out, or look odd, and why; at most a minute old when it changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::REMARKS))]
    pub remarks: Vec<NodeRemark>,
}

/// Why nodes are left out of an offer, or look odd.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeRemark {
    /// The cause, such as `OtherAccelerator` or Tainted.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// How many nodes.
    pub nodes: i32,
    /// The cause with names and numbers, and the cure.
    #[schemars(length(max = limits::MESSAGE))]
    pub message: String,
}

/// Nodes with equally many free accelerators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeCapacity {
    /// Accelerators free on each.
    pub free: i32,
    /// How many such nodes.
    pub count: i32,
}

/// A size that an offer refused, left alone for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExhaustedStatus {
    /// The offer.
    #[schemars(length(max = 63))]
    pub offer: String,
    /// The accelerators of the refused replica.
    pub accelerator_count: i32,
    /// Its cpu request.
    #[schemars(schema_with = "quantity_schema")]
    pub cpu: Quantity,
    /// Its memory request.
    #[schemars(schema_with = "quantity_schema")]
    pub memory: Quantity,
    /// Its ephemeral-storage request.
    #[schemars(schema_with = "quantity_schema")]
    pub ephemeral_storage: Quantity,
    /// The only deployment that it holds for, as namespace/name; absent: everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub only_for: Option<String>,
    /// Until when it is left alone.
    pub until: Time,
    /// How often in a row it was refused.
    pub attempts: i32,
    /// Why it was refused.
    #[schemars(length(max = limits::MESSAGE))]
    pub reason: String,
}

/// Something that carries this installation's id and tags, and that neither a record nor a deployment on the hub names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanStatus {
    /// What it is called at the target.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The namespace that its tags name.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The deployment that its tags name.
    #[schemars(length(max = 63))]
    pub deployment: String,
    /// The offer that its tags name.
    #[schemars(length(max = 63))]
    pub offer: String,
    /// Replicas that it is told to have.
    pub replicas: i32,
    /// What it costs, in USD per hour, as far as its offer is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub hourly_cost: Option<String>,
    /// When it was made, as the target says.
    pub since: Time,
    /// When it was first seen without a record.
    pub first_seen: Time,
    /// What becomes of it.
    pub state: OrphanState,
    /// Why it stays, where that is not plain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::MESSAGE))]
    pub message: Option<String>,
}

/// What becomes of an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum OrphanState {
    /// It is only reported: the operator was not told to delete orphans.
    Reported,
    /// It will be deleted once it was seen for long enough and its turn has come.
    Waiting,
    /// It is not deleted, because what the hub lists looks incomplete.
    Held,
    /// Its tags name another target; it is never deleted.
    Misplaced,
    /// Its deletion was asked for and is not confirmed yet.
    Removing,
}

impl OrphanState {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "Reported",
            Self::Waiting => "Waiting",
            Self::Held => "Held",
            Self::Misplaced => "Misplaced",
            Self::Removing => "Removing",
        }
    }
}
