//! Bodies of requests and answers: the members that are used, of the ARM API 2025-09-01.

use roadstead_azure::{ArmSku, ArmTags, SystemTimes};
use serde::{Deserialize, Serialize};

use crate::place::CatalogModel;

/// The account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CognitiveView {
    /// Region.
    pub location: String,
    /// Properties.
    pub properties: AccountProperties,
}

/// Properties of the account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountProperties {
    /// Subdomain of its addresses.
    #[serde(default)]
    pub custom_sub_domain_name: Option<String>,
    /// Time of its creation.
    pub date_created: String,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogDeployment {
    /// Name.
    pub name: String,
    /// Tags.
    #[serde(default)]
    pub tags: ArmTags,
    /// SKU with its units.
    pub sku: ArmSku,
    /// Properties.
    pub properties: CatalogDeploymentState,
    /// Times.
    pub system_data: SystemTimes,
}

impl CatalogDeployment {
    /// True if it answers. One that changes serves on in its former form, which a new one does not have.
    #[must_use]
    pub fn is_up(&self) -> bool {
        match self.properties.provisioning_state.as_str() {
            "Succeeded" => true,
            "Failed" | "Disabled" | "Canceled" | "Deleting" => false,
            _ => self.was_changed(),
        }
    }

    /// True if it was changed after its creation.
    #[must_use]
    pub fn was_changed(&self) -> bool {
        let SystemTimes { created_at, last_modified_at } = &self.system_data;
        last_modified_at > created_at
    }
}

/// Properties of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatalogDeploymentState {
    /// State.
    #[serde(default)]
    pub provisioning_state: String,
    /// Model.
    pub model: CatalogModel,
}

/// A deployment to create or replace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewCatalogDeployment {
    /// Tags.
    pub tags: ArmTags,
    /// SKU with its units.
    pub sku: ArmSku,
    /// Properties.
    pub properties: NewCatalogProperties,
}

/// Properties of a deployment to create or replace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewCatalogProperties {
    /// Model.
    pub model: CatalogModel,
    /// The service puts no later version in the place of this one.
    pub version_upgrade_option: &'static str,
}

/// Units and tags of a deployment to change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeploymentPatch {
    /// Tags.
    pub tags: ArmTags,
    /// SKU with its units.
    pub sku: ArmSku,
}

/// A model that the account can deploy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AccountModel {
    /// Format, name and version.
    #[serde(flatten)]
    pub model: CatalogModel,
    /// SKUs.
    #[serde(default)]
    pub skus: Vec<AccountModelSku>,
}

/// A SKU of a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountModelSku {
    /// Name.
    pub name: String,
    /// Name of its quota.
    #[serde(default)]
    pub usage_name: String,
}

/// A quota with its usage.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaUsage {
    /// Name.
    pub name: QuotaName,
    /// Units that the subscription may have.
    #[serde(default)]
    pub limit: f64,
    /// Units that it has, in all accounts.
    #[serde(default)]
    pub current_value: f64,
}

/// Name of a quota.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct QuotaName {
    /// Name.
    pub value: String,
}
