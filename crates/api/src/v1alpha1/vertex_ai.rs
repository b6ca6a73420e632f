//! `type: VertexAI`: a project of Google Cloud in one location.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{ImageMirror, SecretKeyRef};
use super::limits;

/// Vertex AI in one project and location, which is the target's region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VertexAiTarget {
    /// Id of the project.
    #[schemars(length(min = 6, max = 30), regex(pattern = "^[a-z][-a-z0-9]{4,28}[a-z0-9]$"))]
    pub project: String,
    /// Service account that the operator acts as; absent: it uses its own identity or that of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 254), regex(pattern = SERVICE_ACCOUNT))]
    pub impersonate_service_account: Option<String>,
    /// Secret in the operator's namespace with the key of a service account, as JSON. Absent: the identity of the operator's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_key_secret_ref: Option<SecretKeyRef>,
    /// Service account that the gateways act as for their tokens; absent: they use their own identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 254), regex(pattern = SERVICE_ACCOUNT))]
    pub gateway_service_account: Option<String>,
    /// Service account that the containers run as; absent: one of Google's without access to the project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 254), regex(pattern = SERVICE_ACCOUNT))]
    pub container_service_account: Option<String>,
    /// Copies of images in Artifact Registry, from which alone Vertex AI pulls; the longest matching source applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::IMAGE_MIRRORS))]
    pub image_mirrors: Vec<ImageMirror>,
}

/// Pattern of the email address of a service account.
const SERVICE_ACCOUNT: &str = "^[a-z0-9][-a-z0-9]{0,62}@[a-z0-9][-a-z0-9.]{0,180}[a-z]$";
