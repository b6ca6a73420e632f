//! `type: Bedrock`: custom model import or provisioned throughput in an AWS account in one region.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::aws::{AssumeRole, ROLE_ARN};
use super::common::LocalRef;
use super::limits;

/// Amazon Bedrock in one account and region, which is the target's region: custom model import with `modelMirrors`, or provisioned throughput with
/// `models`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BedrockTarget {
    /// AWS account, as twelve digits; the credentials must belong to it.
    #[serde(rename = "accountID")]
    #[schemars(length(min = 12, max = 12), regex(pattern = "^[0-9]{12}$"))]
    pub account_id: String,
    /// ARN of the role with which Bedrock reads weights from S3; required with `modelMirrors`.
    #[serde(default, rename = "importRoleARN", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 20, max = limits::ARN), regex(pattern = ROLE_ARN))]
    pub import_role_arn: Option<String>,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = limits::MODEL_MIRRORS))]
    pub model_mirrors: Vec<ModelMirror>,
    /// Models that Bedrock knows, by the weights that deployments name. A deployment of other weights is not placed here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(min = 1, max = limits::CATALOG_MODELS),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["source"])
    )]
    pub models: Vec<BedrockModel>,
}

/// A model of which Bedrock sells throughput, and the weights that it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BedrockModel {
    /// Source of the weights in deployments, such as <hf://example/llama>.
    #[schemars(length(min = 1, max = 512))]
    pub source: String,
    /// Id of the model, such as meta.llama3-1-8b-instruct-v1:0:128k, or the ARN of a customized one.
    #[serde(rename = "modelID")]
    #[schemars(length(min = 3, max = 512), regex(pattern = MODEL_ID))]
    pub model_id: String,
}

/// Pattern of a model of a maker or of the ARN of a customized one.
const MODEL_ID: &str = "^([a-z0-9-]+[.][a-z0-9.:-]+|arn:aws(-[a-z]+)*:bedrock:[a-z0-9-]+:[0-9]{12}:custom-model/[a-z0-9.:-]+/[a-z0-9]{12})$";

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
