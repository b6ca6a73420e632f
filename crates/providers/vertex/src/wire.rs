//! Bodies of requests and answers: the members that are used, of discovery document aiplatform v1, revision 20261106.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Labels of a resource.
pub type LabelMap = BTreeMap<String, String>;

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VertexView {
    /// Full name, with the number of the project.
    pub name: String,
    /// Labels.
    #[serde(default)]
    pub labels: LabelMap,
    /// Models that are deployed.
    #[serde(default)]
    pub deployed_models: Vec<DeployedView>,
    /// Percentage of traffic by the id of a deployed model.
    #[serde(default)]
    pub traffic_split: BTreeMap<String, u32>,
    /// Host of its own.
    #[serde(default)]
    pub dedicated_endpoint_dns: String,
    /// Time of its creation, in RFC 3339.
    pub create_time: String,
}

/// A model that is deployed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeployedView {
    /// Id, unique in its endpoint.
    pub id: String,
    /// Full name of the model.
    pub model: String,
    /// Machines.
    #[serde(default)]
    pub dedicated_resources: Option<ResourcesView>,
    /// State.
    #[serde(default)]
    pub status: Option<StatusView>,
}

/// Number of machines.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourcesView {
    /// Fewest replicas.
    #[serde(default)]
    pub min_replica_count: i32,
    /// Most replicas.
    #[serde(default)]
    pub max_replica_count: i32,
}

/// State of a deployed model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    /// Replicas that answer.
    #[serde(default)]
    pub available_replica_count: i32,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredModel {
    /// Full name.
    pub name: String,
    /// Labels.
    #[serde(default)]
    pub labels: LabelMap,
    /// The container.
    #[serde(default)]
    pub container_spec: Option<ContainerView>,
}

/// Container of a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ContainerView {
    /// Environment.
    #[serde(default)]
    pub env: Vec<Variable>,
}

/// A variable of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Name.
    pub name: String,
    /// Value; absent if it is empty.
    #[serde(default)]
    pub value: String,
}

/// An operation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct OperationView {
    /// Full name.
    #[serde(default)]
    pub name: String,
    /// True once it has ended.
    #[serde(default)]
    pub done: bool,
    /// The failure with which it has ended.
    #[serde(default)]
    pub error: Option<OperationError>,
    /// Its kind and times.
    #[serde(default)]
    pub metadata: Option<OperationMetadata>,
}

/// Failure of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OperationError {
    /// Number of the google.rpc.Code.
    #[serde(default)]
    pub code: i32,
    /// The service's words; untrusted.
    #[serde(default)]
    pub message: String,
}

/// Kind and times of an operation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationMetadata {
    /// Full name of the message.
    #[serde(rename = "@type", default)]
    pub type_: String,
    /// Times.
    #[serde(default)]
    pub generic_metadata: Option<OperationTimes>,
}

/// Times of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationTimes {
    /// Its begin, in RFC 3339.
    #[serde(default)]
    pub create_time: String,
}

/// A model that is uploaded.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewUpload {
    /// Id.
    pub model_id: String,
    /// The model.
    pub model: ModelForm,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelForm {
    /// Name for people.
    pub display_name: String,
    /// The container.
    pub container_spec: NewContainer,
    /// Labels.
    pub labels: LabelMap,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewContainer {
    /// Image.
    pub image_uri: String,
    /// Command; empty runs the image's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment.
    pub env: Vec<Variable>,
    /// The one port.
    pub ports: [NewPort; 1],
    /// Path that answers 200 once it can serve.
    pub health_route: String,
    /// Routes that clients reach.
    pub invoke_route_prefix: &'static str,
    /// Longest time of a deployment, such as `1200s`.
    pub deployment_timeout: String,
    /// Probe of a start.
    pub startup_probe: NewProbe,
    /// Memory that processes share.
    pub shared_memory_size_mb: &'static str,
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewPort {
    /// Number.
    pub container_port: i32,
}

/// A probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewProbe {
    /// The request.
    pub http_get: NewHttpGet,
    /// Pause between two of them.
    pub period_seconds: i32,
    /// Time of one of them.
    pub timeout_seconds: i32,
    /// Number that may fail.
    pub failure_threshold: i32,
}

/// A request of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewHttpGet {
    /// Path.
    pub path: String,
    /// Port.
    pub port: i32,
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointForm {
    /// Name for people.
    pub display_name: String,
    /// Labels.
    pub labels: LabelMap,
    /// True: it has a host of its own, and passes every route on.
    pub dedicated_endpoint_enabled: bool,
    /// Limits of requests, which only a creation sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_connection_config: Option<NewConnection>,
}

/// Limits of requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewConnection {
    /// The longest request.
    pub inference_timeout: &'static str,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewDeployment {
    /// The model and its machines.
    pub deployed_model: NewDeployedModel,
    /// Percentage of traffic; `0` is the new model.
    pub traffic_split: BTreeMap<String, u32>,
}

/// A model and its machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewDeployedModel {
    /// Id, up to ten digits.
    pub id: String,
    /// Full name of the model.
    pub model: String,
    /// Name for people.
    pub display_name: String,
    /// Machines.
    pub dedicated_resources: NewResources,
    /// Service account of the containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
}

/// Machines.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewResources {
    /// One machine.
    pub machine_spec: NewMachine,
    /// Fewest replicas.
    pub min_replica_count: i32,
    /// Most replicas: the same, for the core decides how many there are.
    pub max_replica_count: i32,
    /// True: machines that may be taken away.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub spot: bool,
}

/// A machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewMachine {
    /// Type.
    pub machine_type: String,
    /// Type of its accelerators.
    pub accelerator_type: &'static str,
    /// Number of its accelerators.
    pub accelerator_count: i32,
}

/// A page of a list whose items are in the member of this name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListPage {
    /// Mark of the next page; empty on the last one.
    #[serde(default)]
    pub next_page_token: String,
    /// Everything else.
    #[serde(flatten)]
    pub members: BTreeMap<String, Value>,
}

/// The last part of a full name, without a version.
#[must_use]
pub fn id_of(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default().split('@').next().unwrap_or_default()
}

impl DeployedView {
    /// Replicas that are wanted of it.
    #[must_use]
    pub fn replicas(&self) -> i32 {
        self.dedicated_resources.as_ref().map_or(0, |resources| resources.min_replica_count)
    }

    /// Replicas that answer; all, where the service says nothing of it: a model is deployed once all of them do.
    #[must_use]
    pub fn available(&self) -> i32 {
        self.status.as_ref().map_or(self.replicas(), |status| status.available_replica_count)
    }
}
