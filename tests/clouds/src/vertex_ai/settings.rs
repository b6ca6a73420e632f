//! Settings of the fake: project, identities, times, machine types and quotas.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Settings of Vertex AI's fake. Times are seconds on the services' clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VertexAiSettings {
    /// Id of the project.
    pub project: String,
    /// Number of the project.
    pub project_number: String,
    /// Tokens that are valid for ever.
    pub tokens: Vec<String>,
    /// Service accounts of the project.
    pub accounts: Vec<ServiceAccount>,
    /// Tokens of another issuer that the provider [`AUDIENCE`] accepts; their identity is [`PRINCIPAL`].
    pub subject_tokens: Vec<String>,
    /// Life of the tokens that the fake gives, in seconds of the machine.
    pub token_seconds: u32,
    /// Duration of an upload.
    pub uploading_seconds: u32,
    /// Duration of the creation of an endpoint.
    pub creating_seconds: u32,
    /// Duration of a deployment.
    pub deploying_seconds: u32,
    /// Duration of a change of the number of replicas.
    pub mutating_seconds: u32,
    /// Duration of an undeployment.
    pub undeploying_seconds: u32,
    /// Duration of a deletion.
    pub deleting_seconds: u32,
    /// Time after which a lack of machines shows.
    pub capacity_seconds: u32,
    /// Machine types and their accelerators.
    pub machine_types: Vec<MachineType>,
    /// Quota of accelerators of a location, by their type; types that are not named have one of [`Self::quota`].
    pub quotas: BTreeMap<String, u32>,
    /// Quota of other accelerators.
    pub quota: u32,
    /// Machines that exist in a location, by machine type; of types that are not named there are always enough.
    pub machines: BTreeMap<String, u32>,
}

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceAccount {
    /// Email address.
    pub email: String,
    /// Public key, as PKCS #1 in DER, in base64; empty: it has no key.
    #[serde(default)]
    pub public_key: String,
    /// Email addresses of the accounts that may take its identity.
    #[serde(default)]
    pub impersonated_by: Vec<String>,
}

/// A machine type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MachineType {
    /// Name, such as `a3-highgpu-8g`.
    pub name: String,
    /// Type of its accelerators, such as `NVIDIA_H100_80GB`.
    pub accelerator: String,
    /// Number of its accelerators.
    pub count: u32,
}

/// Id of the project that exists without further settings.
pub const PROJECT: &str = "acme-models";
/// Number of that project.
pub const PROJECT_NUMBER: &str = "415104041262";
/// Token that exists without further settings.
pub const TOKEN: &str = "token-of-the-fake-of-vertex";
/// Email address of the identity that the metadata server has.
pub const WORKLOAD: &str = "roadstead@acme-models.iam.gserviceaccount.com";
/// Full name of the provider of the workload identity pool.
pub const AUDIENCE: &str =
    "//iam.googleapis.com/projects/415104041262/locations/global/workloadIdentityPools/clusters/providers/hub";
/// Token of the cluster that the provider accepts without further settings.
pub const SUBJECT_TOKEN: &str = "token-of-the-cluster";
/// Identity of that token's owner.
pub const PRINCIPAL: &str = "principal://iam.googleapis.com/projects/415104041262/locations/global/workloadIdentityPools/\
                             clusters/subject/system:serviceaccount:roadstead-gateway:roadstead-gateway";

impl Default for VertexAiSettings {
    fn default() -> Self {
        let machine = |name: &str, accelerator: &str, count| MachineType {
            name: name.to_owned(),
            accelerator: accelerator.to_owned(),
            count,
        };
        let workload =
            ServiceAccount { email: WORKLOAD.to_owned(), public_key: String::new(), impersonated_by: Vec::new() };
        Self {
            project: PROJECT.to_owned(),
            project_number: PROJECT_NUMBER.to_owned(),
            tokens: vec![TOKEN.to_owned()],
            accounts: vec![workload],
            subject_tokens: vec![SUBJECT_TOKEN.to_owned()],
            token_seconds: 3599,
            uploading_seconds: 30,
            creating_seconds: 10,
            deploying_seconds: 600,
            mutating_seconds: 300,
            undeploying_seconds: 60,
            deleting_seconds: 10,
            capacity_seconds: 360,
            machine_types: vec![
                machine("g2-standard-12", "NVIDIA_L4", 1),
                machine("g2-standard-48", "NVIDIA_L4", 4),
                machine("a2-ultragpu-1g", "NVIDIA_A100_80GB", 1),
                machine("a3-highgpu-1g", "NVIDIA_H100_80GB", 1),
                machine("a3-highgpu-8g", "NVIDIA_H100_80GB", 8),
            ],
            quotas: BTreeMap::new(),
            quota: 20_000,
            machines: BTreeMap::new(),
        }
    }
}
