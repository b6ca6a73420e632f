//! `type: AzureOpenAI`: an account of Azure OpenAI or Azure AI Foundry.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::LocalRef;
use super::limits;

/// An account of Azure OpenAI. The target's region is that of the account, or the area in which Azure processes requests: `global`, or a data
/// zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureOpenAiTarget {
    /// Id of the subscription.
    #[serde(rename = "subscriptionID")]
    #[schemars(length(min = 36, max = 36), regex(pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))]
    pub subscription_id: String,
    /// Name of the resource group of the account.
    #[schemars(length(min = 1, max = 90), regex(pattern = "^[-A-Za-z0-9_.()]*[-A-Za-z0-9_()]$"))]
    pub resource_group: String,
    /// Name of the account.
    #[schemars(length(min = 2, max = 64), regex(pattern = "^[A-Za-z0-9][-A-Za-z0-9_.]{1,63}$"))]
    pub account: String,
    /// Secret in the operator's namespace with `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` of an application.
    /// Absent: the workload identity of the operator's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<LocalRef>,
    /// Models of Azure's catalog, by the weights that deployments name. A deployment of other weights is not placed here.
    #[schemars(
        length(min = 1, max = limits::CATALOG_MODELS),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["source"])
    )]
    pub models: Vec<AzureCatalogModel>,
}

/// A model of Azure's catalog, and the weights that it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureCatalogModel {
    /// Source of the weights in deployments, such as <hf://openai/gpt-oss-120b>.
    #[schemars(length(min = 1, max = 512))]
    pub source: String,
    /// Format in the catalog, which names the maker, such as OpenAI-OSS.
    #[schemars(length(min = 1, max = 64), regex(pattern = CATALOG_TEXT))]
    pub format: String,
    /// Name in the catalog, such as gpt-oss-120b.
    #[schemars(length(min = 1, max = 128), regex(pattern = CATALOG_NAME))]
    pub name: String,
    /// Version in the catalog.
    #[schemars(length(min = 1, max = 64), regex(pattern = CATALOG_NAME))]
    pub version: String,
}

/// Pattern of a format, which may have spaces.
const CATALOG_TEXT: &str = "^[A-Za-z0-9]([-A-Za-z0-9._ ]*[A-Za-z0-9])?$";
/// Pattern of a name and of a version.
const CATALOG_NAME: &str = "^[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?$";
