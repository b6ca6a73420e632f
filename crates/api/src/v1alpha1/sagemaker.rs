//! `type: SageMaker`: an AWS account in one region.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::aws::{AssumeRole, ROLE_ARN};
use super::common::{ImageMirror, LocalRef};
use super::limits;

/// Amazon SageMaker in one account and region, which is the target's region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SageMakerTarget {
    /// AWS account, as twelve digits; the credentials must belong to it.
    #[serde(rename = "accountID")]
    #[schemars(length(min = 12, max = 12), regex(pattern = "^[0-9]{12}$"))]
    pub account_id: String,
    /// ARN of the role that the containers run with.
    #[serde(rename = "executionRoleARN")]
    #[schemars(length(min = 20, max = limits::ARN), regex(pattern = ROLE_ARN))]
    pub execution_role_arn: String,
    /// Role that the operator assumes; absent: its own identity or that of the Secret is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AssumeRole>,
    /// Role that the gateways assume to send requests to the endpoints; absent: the identity of their pods is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_role: Option<AssumeRole>,
    /// Secret in the operator's namespace with `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, of a session,
    /// `AWS_SESSION_TOKEN`. Absent: the identity of the operator's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<LocalRef>,
    /// Copies of images in Amazon ECR, from which alone SageMaker pulls; the longest matching source applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::IMAGE_MIRRORS))]
    pub image_mirrors: Vec<ImageMirror>,
}
