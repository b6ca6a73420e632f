//! Parts that services of AWS have in common.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limits;

/// Pattern of the ARN of a role.
pub(super) const ROLE_ARN: &str = "^arn:aws[-a-z]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$";

/// Role that is assumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AssumeRole {
    /// ARN of the role.
    #[serde(rename = "roleARN")]
    #[schemars(length(min = 20, max = limits::ARN), regex(pattern = ROLE_ARN))]
    pub role_arn: String,
    /// External id that the trust policy of the role requires.
    #[serde(default, rename = "externalID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1224), regex(pattern = "^[A-Za-z0-9+=,.@:/_-]+$"))]
    pub external_id: Option<String>,
}
