//! `type: HuggingFace`: a namespace of Hugging Face Inference Endpoints in one region of one cloud.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::SecretKeyRef;

/// Hugging Face Inference Endpoints of one user or organization, in the target's cloud and region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HuggingFaceTarget {
    /// User or organization that owns and pays for the endpoints.
    #[schemars(length(min = 1, max = 96), regex(pattern = "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"))]
    pub owner: String,
    /// Secret in the operator's namespace with a token of that user or organization.
    pub token_secret_ref: SecretKeyRef,
}
