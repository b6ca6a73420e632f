//! Settings of the fake: tenant, subscription, identities, account, catalog of models, times and quotas.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::azure::settings::EntraDirectory;
use crate::azure::{EntraApplication, LOCATION, RESOURCE_GROUP, SUBSCRIPTION, TENANT, TOKEN};

/// Settings of Azure OpenAI's fake. Times are seconds on the services' clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AzureOpenAiSettings {
    /// Directory of the identities.
    pub tenant: String,
    /// The one subscription.
    pub subscription: String,
    /// The one resource group.
    pub resource_group: String,
    /// Region of the account.
    pub location: String,
    /// Name of the account.
    pub account: String,
    /// Time of the creation of the account, which one of the same name that is made later does not have.
    pub created: String,
    /// The two keys of the account.
    pub keys: [String; 2],
    /// Tokens that are valid for ever, for every audience.
    pub tokens: Vec<String>,
    /// Applications that may ask for tokens.
    pub applications: Vec<EntraApplication>,
    /// Life of the tokens that the fake gives, in seconds of the machine.
    pub token_seconds: u32,
    /// Duration of a new deployment.
    pub deploying_seconds: u32,
    /// Duration of a change of a deployment.
    pub updating_seconds: u32,
    /// Duration of a deletion.
    pub deleting_seconds: u32,
    /// Time after which a lack of capacity shows.
    pub capacity_seconds: u32,
    /// Models of the account.
    pub models: Vec<CatalogModel>,
    /// Units that may be used, by name of the quota; one that is not named has no limit.
    pub quotas: BTreeMap<String, u32>,
    /// Units that exist, by SKU; of a SKU that is not named there are always enough.
    pub units: BTreeMap<String, u32>,
}

/// A model that an account can deploy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CatalogModel {
    /// Format, which names the maker.
    pub format: String,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Smallest number of units, by SKU.
    pub skus: BTreeMap<String, u32>,
}

impl CatalogModel {
    /// Name of the quota of a SKU.
    #[must_use]
    pub fn usage_name(&self, sku: &str) -> String {
        // Provisioned units are one quota for all models.
        if sku.contains("Provisioned") { format!("OpenAI.{sku}") } else { format!("OpenAI.{sku}.{}", self.name) }
    }
}

/// Account that exists without further settings.
pub const COGNITIVE_ACCOUNT: &str = "acme-openai";
/// Time of its creation.
pub const COGNITIVE_CREATED: &str = "2026-03-01T09:30:00.1234567Z";
/// Its first key.
pub const COGNITIVE_KEY: &str = "key-of-the-fake-of-azure-openai";
/// Format, name and version of a model that it can deploy.
pub const CATALOG_MODEL: [&str; 3] = ["OpenAI-OSS", "gpt-oss-120b", "1"];

impl AzureOpenAiSettings {
    /// The directory.
    pub(super) fn directory(&self) -> EntraDirectory<'_> {
        EntraDirectory {
            tenant: &self.tenant,
            tokens: &self.tokens,
            applications: &self.applications,
            token_seconds: self.token_seconds,
        }
    }

    /// The model of this format, name and version.
    pub(super) fn model(&self, [format, name, version]: [&str; 3]) -> Option<&CatalogModel> {
        self.models.iter().find(|known| known.format == format && known.name == name && known.version == version)
    }
}

impl Default for AzureOpenAiSettings {
    fn default() -> Self {
        let skus = [
            ("Standard", 1),
            ("DataZoneStandard", 1),
            ("GlobalStandard", 1),
            ("ProvisionedManaged", 1),
            ("DataZoneProvisionedManaged", 1),
            ("GlobalProvisionedManaged", 1),
        ];
        let model = |[format, name, version]: [&str; 3]| CatalogModel {
            format: format.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            skus: skus.map(|(sku, least)| (sku.to_owned(), least)).into(),
        };
        Self {
            tenant: TENANT.to_owned(),
            subscription: SUBSCRIPTION.to_owned(),
            resource_group: RESOURCE_GROUP.to_owned(),
            location: LOCATION.to_owned(),
            account: COGNITIVE_ACCOUNT.to_owned(),
            created: COGNITIVE_CREATED.to_owned(),
            keys: [COGNITIVE_KEY.to_owned(), format!("second-{COGNITIVE_KEY}")],
            tokens: vec![TOKEN.to_owned()],
            applications: vec![EntraApplication::usual()],
            token_seconds: 3599,
            deploying_seconds: 30,
            updating_seconds: 10,
            deleting_seconds: 10,
            capacity_seconds: 60,
            models: vec![
                model(CATALOG_MODEL),
                model(["OpenAI-OSS", "gpt-oss-120b", "2"]),
                model(["OpenAI", "gpt-4o", "2024-11-20"]),
            ],
            quotas: BTreeMap::new(),
            units: BTreeMap::new(),
        }
    }
}
