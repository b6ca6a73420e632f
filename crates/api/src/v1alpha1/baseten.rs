//! `type: Baseten`: a team of Baseten in one region.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::SecretKeyRef;

/// A team of Baseten, in the target's region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasetenTarget {
    /// Name of the team that owns the models; by default the default team of the organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 96), regex(pattern = "^[A-Za-z0-9]([A-Za-z0-9 ._-]*[A-Za-z0-9])?$"))]
    pub team: Option<String>,
    /// Secret in the operator's namespace with an API key of that team that has full access.
    pub api_key_secret_ref: SecretKeyRef,
}
