//! Bodies of requests and answers: the members that are used, of the ARM API 2025-12-01.

use std::collections::BTreeMap;

use roadstead_azure::{ArmSku, ArmTags, SystemTimes};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The workspace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct WorkspaceView {
    /// Region.
    pub location: String,
    /// Properties.
    pub properties: WorkspaceProperties,
}

/// Properties of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceProperties {
    /// Immutable id.
    pub workspace_id: String,
}

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentBody<T> {
    /// Properties.
    pub properties: T,
}

/// Properties of an environment that has tags alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaggedProperties {
    /// Tags.
    #[serde(default)]
    pub tags: ArmTags,
}

/// Properties of the version of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionProperties {
    /// Image.
    pub image: String,
    /// Operating system.
    pub os_type: String,
    /// Routes of the container.
    pub inference_config: InferenceConfig,
}

/// Routes of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InferenceConfig {
    /// Route that answers while it lives.
    #[serde(rename = "livenessRoute")]
    pub liveness: ContainerRoute,
    /// Route that answers once it can serve.
    #[serde(rename = "readinessRoute")]
    pub readiness: ContainerRoute,
    /// Route of requests to the scoring address.
    #[serde(rename = "scoringRoute")]
    pub scoring: ContainerRoute,
}

/// Path and port in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerRoute {
    /// Path.
    pub path: String,
    /// Port.
    pub port: i32,
}

/// An online endpoint.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnlineView {
    /// Name.
    pub name: String,
    /// Tags.
    #[serde(default)]
    pub tags: ArmTags,
    /// Properties.
    pub properties: OnlineProperties,
    /// Times.
    pub system_data: SystemTimes,
}

/// Properties of an online endpoint.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnlineProperties {
    /// State.
    #[serde(default)]
    pub provisioning_state: String,
    /// Scoring address.
    #[serde(default)]
    pub scoring_uri: Option<String>,
    /// Percentage of traffic by deployment.
    #[serde(default)]
    pub traffic: BTreeMap<String, u32>,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OnlineDeploymentView {
    /// Name.
    pub name: String,
    /// Tags.
    #[serde(default)]
    pub tags: ArmTags,
    /// Number of instances.
    pub sku: ArmSku,
    /// Properties.
    pub properties: DeploymentState,
    /// Times.
    pub system_data: SystemTimes,
}

/// State of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentState {
    /// State.
    #[serde(default)]
    pub provisioning_state: String,
}

/// Keys of an endpoint.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointKeyPair {
    /// The key in use.
    pub primary_key: String,
}

/// An online endpoint to create or change.
#[derive(Clone, PartialEq, Serialize)]
pub struct NewOnline {
    /// Region of the workspace.
    pub location: String,
    /// Tags.
    pub tags: ArmTags,
    /// Identity with which images are pulled.
    pub identity: ResourceIdentity,
    /// Properties.
    pub properties: NewOnlineProperties,
}

/// Identity of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceIdentity {
    /// Kind.
    #[serde(rename = "type")]
    pub type_: &'static str,
    /// Identities that exist by themselves, by resource id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user_assigned_identities: BTreeMap<String, Value>,
}

/// Properties of an online endpoint to create or change.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOnlineProperties {
    /// Way of asking.
    pub auth_mode: &'static str,
    /// Keys, which only a creation sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<EndpointKeyPair>,
    /// Percentage of traffic by deployment.
    pub traffic: BTreeMap<String, u32>,
}

/// A deployment to create.
#[derive(Clone, PartialEq, Serialize)]
pub struct NewOnlineDeployment {
    /// Region of the workspace.
    pub location: String,
    /// Tags.
    pub tags: ArmTags,
    /// Number of instances.
    pub sku: ArmSku,
    /// Properties.
    pub properties: NewManaged,
}

/// Properties of a deployment to create.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewManaged {
    /// Kind of machines.
    pub endpoint_compute_type: &'static str,
    /// Type of the instances.
    pub instance_type: String,
    /// Resource id of the version of an environment.
    pub environment_id: String,
    /// Environment of the container.
    pub environment_variables: BTreeMap<String, String>,
    /// Bounds of requests.
    pub request_settings: RequestSettings,
    /// Check that the container lives.
    pub liveness_probe: ContainerProbe,
    /// Check that it can serve.
    pub readiness_probe: ContainerProbe,
    /// Way of scaling.
    pub scale_settings: ScaleSettings,
}

/// Bounds of requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestSettings {
    /// Longest request, in ISO 8601.
    pub request_timeout: &'static str,
    /// Requests at once to an instance.
    pub max_concurrent_requests_per_instance: u32,
}

/// Check of a container. Durations are in ISO 8601.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerProbe {
    /// Time before the first check.
    pub initial_delay: String,
    /// Time between two checks.
    pub period: &'static str,
    /// Time for an answer.
    pub timeout: &'static str,
    /// Failures that are allowed.
    pub failure_threshold: i32,
}

/// Way of scaling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleSettings {
    /// Kind.
    pub scale_type: &'static str,
}
