//! `type: AzureML`: a workspace of Azure Machine Learning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{ImageMirror, LocalRef};
use super::limits;

/// Azure Machine Learning in one workspace, whose location is the target's region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureMlTarget {
    /// Id of the subscription.
    #[serde(rename = "subscriptionID")]
    #[schemars(length(min = 36, max = 36), regex(pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))]
    pub subscription_id: String,
    /// Name of the resource group of the workspace.
    #[schemars(length(min = 1, max = 90), regex(pattern = "^[-A-Za-z0-9_.()]*[-A-Za-z0-9_()]$"))]
    pub resource_group: String,
    /// Name of the workspace.
    #[schemars(length(min = 2, max = 33), regex(pattern = "^[A-Za-z0-9][-A-Za-z0-9_]{1,32}$"))]
    pub workspace: String,
    /// Secret in the operator's namespace with `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` of an application.
    /// Absent: the workload identity of the operator's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<LocalRef>,
    /// Resource id of the user-assigned identity with which endpoints pull images; absent: each endpoint has one of its own, which
    /// Azure ML lets pull from the workspace's registry.
    #[serde(default, rename = "endpointIdentityID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 60, max = limits::ARN), regex(pattern = IDENTITY_ID))]
    pub endpoint_identity_id: Option<String>,
    /// Copies of images; the longest matching source applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::IMAGE_MIRRORS))]
    pub image_mirrors: Vec<ImageMirror>,
}

/// Pattern of the resource id of a user-assigned identity.
const IDENTITY_ID: &str = "^/subscriptions/[-0-9a-f]{36}/resourceGroups/[-A-Za-z0-9_.()]{1,90}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/[-A-Za-z0-9_]{3,128}$";
