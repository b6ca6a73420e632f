//! `ServingTarget`: where models may run, and what that costs.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::azure_ml::AzureMlTarget;
use super::azure_openai::AzureOpenAiTarget;
use super::baseten::BasetenTarget;
use super::bedrock::BedrockTarget;
use super::common::{
    Accelerator, CapacityType, ENTRY_NAME, JURISDICTION, LABEL_KEY, LABEL_VALUE, LabelSelector, PLACE_NAME,
    SecretKeyRef, Toleration, annotations_schema, labels_schema, not_observed, quantity_schema,
};
use super::digital_ocean::DigitalOceanTarget;
use super::dollars::Dollars;
use super::hugging_face::HuggingFaceTarget;
use super::limits;
use super::names::{ANNOTATION_CORDON, ANNOTATION_EVACUATE};
use super::openai_compatible::OpenAiCompatibleTarget;
use super::sagemaker::SageMakerTarget;
use super::simulated::SimulatedTarget;
use super::vertex_ai::VertexAiTarget;

/// A place where models may run: its location, connection, offers and allowed namespaces.
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
    doc = "A place where models may run, with its offers and prices."
)]
#[serde(rename_all = "camelCase")]
pub struct ServingTargetSpec {
    /// Cloud, such as aws, gcp or azure; any name for your own.
    #[schemars(length(min = 1, max = 63), regex(pattern = PLACE_NAME))]
    pub cloud: String,
    /// Region, as the cloud names it.
    #[schemars(length(min = 1, max = 63), regex(pattern = PLACE_NAME))]
    pub region: String,
    /// Location, if the region is not in the built-in table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// Kind of place.
    #[serde(rename = "type")]
    pub type_: TargetType,
    /// Cluster; required for type Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesTarget>,
    /// Behaviour of the simulated place; required for type Simulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulated: Option<SimulatedTarget>,
    /// Account and roles; required for type `SageMaker`.
    #[serde(default, rename = "sageMaker", skip_serializing_if = "Option::is_none")]
    pub sage_maker: Option<SageMakerTarget>,
    /// Account, roles, and copies of weights or models; required for type Bedrock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bedrock: Option<BedrockTarget>,
    /// Owner and token; required for type `HuggingFace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hugging_face: Option<HuggingFaceTarget>,
    /// Team and API key; required for type Baseten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseten: Option<BasetenTarget>,
    /// Project and service accounts; required for type `VertexAI`.
    #[serde(default, rename = "vertexAI", skip_serializing_if = "Option::is_none")]
    pub vertex_ai: Option<VertexAiTarget>,
    /// Workspace; required for type `AzureML`.
    #[serde(default, rename = "azureML", skip_serializing_if = "Option::is_none")]
    pub azure_ml: Option<AzureMlTarget>,
    /// Account and models; required for type `AzureOpenAI`.
    #[serde(default, rename = "azureOpenAI", skip_serializing_if = "Option::is_none")]
    pub azure_open_ai: Option<AzureOpenAiTarget>,
    /// Network and token; required for type `DigitalOcean`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digital_ocean: Option<DigitalOceanTarget>,
    /// Address, key and models of a hosted vendor; required for type `OpenAICompatible`.
    #[serde(default, rename = "openAICompatible", skip_serializing_if = "Option::is_none")]
    pub open_ai_compatible: Option<OpenAiCompatibleTarget>,
    /// Offers of the target; none for type `OpenAICompatible`, which has models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::OFFERS))]
    pub offers: Vec<Offer>,
    /// Namespaces whose deployments may use the target, by labels; none if absent, all if empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<LabelSelector>,
    /// Taints; they keep away deployments that do not tolerate them.
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
        let kubeconfig = || self.kubernetes.as_ref()?.connection.kubeconfig_secret_ref.as_ref();
        let key = || match (&self.sage_maker, &self.bedrock) {
            (Some(settings), _) => settings.credentials_secret_ref.as_ref(),
            (None, settings) => settings.as_ref()?.credentials_secret_ref.as_ref(),
        };
        let token = || self.hugging_face.as_ref().map(|settings| &settings.token_secret_ref);
        let account = || self.vertex_ai.as_ref()?.service_account_key_secret_ref.as_ref();
        let token = || token().or_else(|| self.baseten.as_ref().map(|settings| &settings.api_key_secret_ref));
        let token = || token().or_else(|| self.digital_ocean.as_ref().map(|settings| &settings.token_secret_ref));
        let vendor = || self.open_ai_compatible.as_ref().map(|settings| &settings.key_secret_ref);
        let one = kubeconfig().or_else(token).or_else(account).or_else(vendor).map(|reference| reference.name.as_str());
        let application = || self.azure_ml.as_ref()?.credentials_secret_ref.as_ref();
        let account = || self.azure_open_ai.as_ref()?.credentials_secret_ref.as_ref();
        one.or_else(|| key().or_else(application).or_else(account).map(|reference| reference.name.as_str()))
    }

    /// Name of the model with this source at an endpoint of this name; `None` where it is the one that callers use.
    #[must_use]
    pub fn name_of_model<'a>(&'a self, endpoint: &'a str, source: Option<&'a str>) -> Option<&'a str> {
        match (&self.azure_open_ai, &self.digital_ocean) {
            // Requests name the deployment at Azure, which has the name of the endpoint.
            (Some(_), _) => Some(endpoint),
            (None, settings) => settings.as_ref()?.slug(source?),
        }
    }

    /// The way to ask its endpoints whether they answer.
    #[must_use]
    pub fn probe_via(&self) -> ProbeVia {
        self.kubernetes.as_ref().map_or(ProbeVia::Direct, |kubernetes| kubernetes.probe.via)
    }
}

/// Kind of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TargetType {
    /// A Kubernetes cluster.
    Kubernetes,
    /// No real place: it behaves like a cloud and spends nothing.
    Simulated,
    /// Amazon `SageMaker` in one account and region.
    SageMaker,
    /// Custom model import or provisioned throughput of Amazon Bedrock in one account and region.
    Bedrock,
    /// Hugging Face Inference Endpoints of one namespace in one region of a cloud.
    HuggingFace,
    /// Vertex AI of one project of Google Cloud in one location.
    VertexAI,
    /// Azure Machine Learning in one workspace.
    AzureML,
    /// Azure OpenAI in one account.
    AzureOpenAI,
    /// Dedicated deployments of one team of Baseten in one region.
    Baseten,
    /// Dedicated Inference of one team of `DigitalOcean` in one region.
    DigitalOcean,
    /// A hosted vendor with an API like OpenAI's, on whose models deployments may fall back.
    OpenAICompatible,
}

impl TargetType {
    /// Its name in a spec.
    #[must_use]
    pub fn name(self) -> String {
        format!("{self:?}")
    }

    /// True where the service runs a server of its own: image, port, resources and arguments of shapes have no effect there.
    #[must_use]
    pub fn has_own_server(self) -> bool {
        matches!(self, Self::AzureOpenAI | Self::Bedrock | Self::DigitalOcean)
    }

    /// The limits of one request at the service; `None` where none is known.
    ///
    /// Sources: botocore, `InvokeEndpoint` and `InvokeModel` (bytes); Amazon SageMaker, endpoints and quotas (time); Vertex AI, use a
    /// dedicated public endpoint; Azure Machine Learning, manage resources and quotas; Baseten, inference API reference.
    #[must_use]
    pub fn request_limits(self) -> Option<RequestLimits> {
        let (max_bytes, answer_seconds) = match self {
            Self::SageMaker => (Some(6_291_456), Some(60)),
            Self::Bedrock => (Some(25_000_000), None),
            Self::VertexAI => (Some(10_000_000), Some(3600)),
            Self::AzureML => (None, Some(180)),
            Self::Baseten => (Some(100_000_000), Some(1200)),
            _ => return None,
        };
        Some(RequestLimits { max_bytes, answer_seconds })
    }
}

/// Limits of one request at a managed service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestLimits {
    /// Longest body in bytes; absent where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<i64>,
    /// Time in seconds after which the service ends a request that is not answered; absent where none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_seconds: Option<i32>,
}

/// Location of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// Country, as two capital letters (ISO 3166-1).
    #[schemars(length(min = 2, max = 2), regex(pattern = "^[A-Z]{2}$"))]
    pub country: String,
    /// Jurisdictions of the location, such as EU.
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
    /// Connection to the cluster.
    pub connection: Connection,
    /// Namespace of the endpoints there; the member manifest creates it.
    #[serde(default = "default_namespace")]
    #[schemars(length(min = 1, max = 63), regex(pattern = ENTRY_NAME))]
    pub namespace: String,
    /// Exposure of endpoints.
    pub expose: Expose,
    /// The way to ask endpoints whether they answer.
    #[serde(default)]
    pub probe: TargetProbe,
}

/// The way to ask endpoints whether they answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetProbe {
    /// Direct: the operator asks their addresses. `APIServerProxy`: it asks through the target's API server. Gateway: the
    /// gateways ask them.
    #[serde(default)]
    pub via: ProbeVia,
}

/// Author and way of the question whether an endpoint answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProbeVia {
    /// The operator, at the endpoint's address.
    #[default]
    Direct,
    /// The gateways, at the endpoint's address.
    Gateway,
    /// The operator, through the API server of the target.
    APIServerProxy,
}

fn default_namespace() -> String {
    "roadstead".to_owned()
}

/// Connection to a cluster: exactly one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// Secret in the operator's namespace with a kubeconfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig_secret_ref: Option<SecretKeyRef>,
    /// The operator's own cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_cluster: Option<InCluster>,
}

/// The cluster in which the operator runs; there is nothing to say about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InCluster {}

/// Exposure of endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expose {
    /// The type of the Service.
    #[serde(rename = "type")]
    pub type_: ExposeType,
    /// Details of a load balancer; only for type `LoadBalancer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// Allows requests from every client that reaches the address. The API key protects only /v1.
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
    /// Annotations of the Service, for the cloud's load balancer controller.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "annotations_schema")]
    pub annotations: BTreeMap<String, String>,
    /// Address ranges of clients, such as 10.0.0.0/8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = limits::SOURCE_RANGES),
        inner(length(min = 1, max = 64)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub source_ranges: Vec<String>,
}

/// An instance type with its accelerators, one way to buy it, its price and its limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// The offer's name.
    #[schemars(length(min = 1, max = 63), regex(pattern = ENTRY_NAME))]
    pub name: String,
    /// Instance type, as the cloud names it.
    #[schemars(length(min = 1, max = 63), regex(pattern = PLACE_NAME))]
    pub instance_type: String,
    /// Accelerators of one whole instance.
    pub accelerator: Accelerator,
    /// Capacity type.
    pub capacity_type: CapacityType,
    /// Billed unit.
    #[serde(default)]
    pub billing: Billing,
    /// Price of one whole instance in USD per hour; optional for Reserved, and at services that state their prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub hourly_price: Option<Dollars>,
    /// Maximum number of instances; required if an autoscaler may add nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_instances: Option<i32>,
    /// Longest time in seconds that an autoscaler needs to add a node; absent: existing nodes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 30, max = 86400))]
    pub provision_timeout_seconds: Option<i32>,
    /// Nodes of the offer.
    #[serde(default)]
    pub nodes: OfferNodes,
}

/// Billed unit of an instance.
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
    /// Kubernetes resource of the accelerators; derived from their type if absent; required for a type that is not in
    /// the built-in table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = limits::LABEL_KEY),
        regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
    )]
    pub resource_name: Option<String>,
    /// Labels of the nodes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels_schema")]
    pub selector: BTreeMap<String, String>,
    /// Tolerations of pods for the nodes' taints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::TOLERATIONS))]
    pub tolerations: Vec<Toleration>,
}

/// Number of taints that annotations can request.
const REQUESTED_TAINTS: u32 = 2;

impl ServingTarget {
    /// The taints of the spec, and those that annotations request.
    #[must_use]
    pub fn taints(&self) -> Vec<Taint> {
        let requested = [(ANNOTATION_CORDON, TaintEffect::NoPlacement), (ANNOTATION_EVACUATE, TaintEffect::Evict)];
        let requested = requested.into_iter().filter(|(key, _)| self.annotations().contains_key(*key));
        let as_taint = |(key, effect): (&str, _)| Taint { key: key.to_owned(), value: String::new(), effect };
        self.spec.taints.iter().cloned().chain(requested.map(as_taint)).collect()
    }
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
    /// Effect of the taint.
    pub effect: TaintEffect,
}

/// Effect of a target taint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TaintEffect {
    /// Nothing new is placed there.
    NoPlacement,
    /// Nothing new is placed there, and its endpoints are replaced elsewhere.
    Evict,
}

/// Readiness and free capacity of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServingTargetStatus {
    /// Most recent generation observed; -1 if none.
    #[serde(default = "not_observed")]
    pub observed_generation: i64,
    /// Ready, Reachable, `CredentialsValid`, Swept; `NeedsAttention` only while something needs action.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// UID of the cluster's kube-system namespace, pinned at first contact.
    #[serde(default, rename = "clusterUID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub cluster_uid: Option<String>,
    /// Time of the first of the latest consecutive failed checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Time>,
    /// Taints, each with the time when it was added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::TAINTS + REQUESTED_TAINTS))]
    pub taints: Vec<TaintStatus>,
    /// Free capacity by offer; at most a minute old.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::OFFERS))]
    pub capacity: Vec<OfferCapacity>,
    /// Terms of the offers that the managed service itself states; hourlyPrice and maxInstances of an offer go before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::OFFERS))]
    pub terms: Vec<OfferTerms>,
    /// Limits of one request at the managed service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_limits: Option<RequestLimits>,
    /// Recent refusals that are in back-off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::EXHAUSTED))]
    pub exhausted: Vec<ExhaustedStatus>,
    /// Endpoints of this installation that run at the target without a record; probably billed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::ORPHANS))]
    pub orphans: Vec<OrphanStatus>,
    /// Number of orphans that are not listed.
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
            terms: Vec::new(),
            request_limits: None,
            exhausted: Vec::new(),
            orphans: Vec::new(),
            omitted_orphans: None,
        }
    }
}

/// Taint, with the time when it was added.
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
    /// Effect of the taint.
    pub effect: TaintEffect,
    /// Time when the taint was added.
    pub since: Time,
}

/// Terms of an offer that the managed service itself states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferTerms {
    /// The offer.
    #[schemars(length(max = 63))]
    pub offer: String,
    /// Price of one whole instance in USD per hour; absent where the service states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub hourly_price: Option<Dollars>,
    /// Number of instances that the account's quota allows; absent where the service states none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<i32>,
    /// False while the service has no further instance; absent where it does not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<bool>,
    /// Service that states them.
    pub source: TargetType,
    /// Time when these terms were first read.
    pub since: Time,
}

/// Free capacity of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferCapacity {
    /// The offer.
    #[schemars(length(max = 63))]
    pub offer: String,
    /// Nodes of the offer, grouped by their number of free accelerators.
    #[serde(default)]
    #[schemars(length(max = limits::NODE_GROUPS))]
    pub nodes: Vec<NodeCapacity>,
    /// Excluded and unusual nodes with the causes; at most a minute old.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::REMARKS))]
    pub remarks: Vec<NodeRemark>,
}

/// Cause why nodes of an offer are excluded or unusual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeRemark {
    /// Cause, such as `OtherAccelerator` or Tainted.
    #[schemars(length(max = 63))]
    pub reason: String,
    /// Number of nodes.
    pub nodes: i32,
    /// Cause with names and numbers, and its cure.
    #[schemars(length(max = limits::MESSAGE))]
    pub message: String,
}

/// Nodes with the same number of free accelerators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeCapacity {
    /// Free accelerators on each.
    pub free: i32,
    /// Number of such nodes.
    pub count: i32,
}

/// Size that an offer refused, in back-off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExhaustedStatus {
    /// The offer.
    #[schemars(length(max = 63))]
    pub offer: String,
    /// Accelerators of the refused replica.
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
    /// The only deployment that it applies to, as namespace/name; absent: every deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub only_for: Option<String>,
    /// Refused generation of that deployment's spec; absent: every generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// End of the back-off.
    pub until: Time,
    /// Number of consecutive refusals.
    pub attempts: i32,
    /// Reason of the refusal.
    #[schemars(length(max = limits::MESSAGE))]
    pub reason: String,
}

/// Endpoint with this installation's id and tags, and without a record or a deployment on the hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanStatus {
    /// Name at the target.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Namespace according to its tags.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Deployment according to its tags.
    #[schemars(length(max = 63))]
    pub deployment: String,
    /// Offer according to its tags.
    #[schemars(length(max = 63))]
    pub offer: String,
    /// Wanted replicas.
    pub replicas: i32,
    /// Cost in USD per hour; absent if its offer or price is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub hourly_cost: Option<Dollars>,
    /// Creation time according to the target.
    pub since: Time,
    /// Time when it was first seen without a record.
    pub first_seen: Time,
    /// Planned treatment.
    pub state: OrphanState,
    /// Reason why it stays, if it is not obvious.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::MESSAGE))]
    pub message: Option<String>,
}

/// Planned treatment of an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum OrphanState {
    /// It is only reported, because the operator is not configured to delete orphans.
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
