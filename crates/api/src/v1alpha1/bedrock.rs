//! `type: Bedrock`: custom model import in an AWS account in one region.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::aws::{AssumeRole, ROLE_ARN};
use super::common::LocalRef;
use super::limits;

/// Custom model import of Amazon Bedrock in one account and region, which is the target's region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BedrockTarget {
    /// AWS account, as twelve digits; the credentials must belong to it.
    #[serde(rename = "accountID")]
    #[schemars(length(min = 12, max = 12), regex(pattern = "^[0-9]{12}$"))]
    pub account_id: String,
    /// ARN of the role with which Bedrock reads weights from S3.
    #[serde(rename = "importRoleARN")]
    #[schemars(length(min = 20, max = limits::ARN), regex(pattern = ROLE_ARN))]
    pub import_role_arn: String,
    /// Role that the operator assumes; absent: its own identity or that of the Secret is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assume_role: Option<AssumeRole>,
    /// Role that the gateways assume to send requests to the models; absent: the identity of their pods is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_role: Option<AssumeRole>,
    /// Secret in the operator's namespace with `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, of a session,
    /// `AWS_SESSION_TOKEN`. Absent: the identity of the operator's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<LocalRef>,
    /// Copies of weights in Amazon S3, from which alone Bedrock imports; the longest matching source applies.
    #[schemars(length(min = 1, max = limits::MODEL_MIRRORS))]
    pub model_mirrors: Vec<ModelMirror>,
}

/// Place of copies of weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelMirror {
    /// Source of the original, such as <hf://example/llama>, or its beginning up to a slash, such as <hf://example/>.
    #[schemars(length(min = 5, max = 255), regex(pattern = "^hf://[^[:space:]]*$"))]
    pub source: String,
    /// Folder of the copy, or of the copies, in the bucket: it replaces the source.
    #[schemars(length(min = 8, max = 1024), regex(pattern = "^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^[:space:]]*$"))]
    pub mirror: String,
}
