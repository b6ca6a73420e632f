//! Settings of a driver, and the paths and addresses that follow from them.

use std::collections::{BTreeMap, BTreeSet};

use roadstead_azure::EntraIdentity;
use roadstead_provider::Capabilities;
use roadstead_provider::address::{self, Reach};
use roadstead_rest::{BaseUrl, ServiceContext};
use serde::{Deserialize, Serialize};

/// Scope of the tokens for requests to deployments.
/// <https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle>
pub const TRAFFIC_SCOPE: &str = "https://ai.azure.com/.default";
/// Resource provider.
const PROVIDER: &str = "Microsoft.CognitiveServices";

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CognitivePlace {
    /// Id of the subscription.
    pub subscription: String,
    /// Name of the resource group.
    pub resource_group: String,
    /// Name of the account.
    pub account: String,
    /// Region of the target: that of the account, or the area in which requests are processed.
    pub region: String,
    /// Models of the catalog, by the source that deployments name.
    pub models: BTreeMap<String, CatalogModel>,
    /// Units of one instance, by SKU; the largest where offers differ.
    pub units: BTreeMap<String, u32>,
    /// Address of Resource Manager and of the account in tests.
    pub endpoint: Option<BaseUrl>,
}

/// A model of Azure's catalog.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CatalogModel {
    /// Format, which names the maker.
    pub format: String,
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
}

impl CognitivePlace {
    /// Resource id of the account, which is its path.
    #[must_use]
    pub fn parent(&self) -> String {
        let Self { subscription, resource_group, account, .. } = self;
        format!("/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/{PROVIDER}/accounts/{account}")
    }

    /// Path of the quotas in a location.
    #[must_use]
    pub fn usages(&self, location: &str) -> String {
        format!("/subscriptions/{}/providers/{PROVIDER}/locations/{location}/usages", self.subscription)
    }

    /// Address of an account with this subdomain for clients, before `/v1`.
    #[must_use]
    pub fn url(&self, subdomain: &str) -> String {
        match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/openai"),
            None => format!("https://{subdomain}.openai.azure.com/openai"),
        }
    }

    /// Addresses that may be connected to: an address from a flag may be any.
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.endpoint.is_some() { address::anywhere } else { address::elsewhere }
    }
}

/// True for a region of Azure, in which the account itself is; a data zone and `global` are areas in which requests are processed.
#[must_use]
pub fn is_regional(region: &str) -> bool {
    region != "global" && !region.starts_with("datazone-")
}

/// Everything that a driver needs.
pub struct CognitiveAccess {
    /// The place.
    pub place: CognitivePlace,
    /// Identity of the operator.
    pub identity: EntraIdentity,
    /// Parts that every driver has.
    pub context: ServiceContext,
}

/// Abilities of an account: exactly the models that its target maps. A deployment of none of its units does not exist.
#[must_use]
pub fn capabilities(place: &CognitivePlace) -> Capabilities {
    Capabilities {
        engines: Some(BTreeSet::from(["vllm".to_owned()])),
        sources: Some(place.models.keys().cloned().collect()),
        max_replicas: None,
        scale_to_zero: false,
        update_in_place: true,
        whole_instances: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> CognitivePlace {
        CognitivePlace {
            subscription: "s".to_owned(),
            resource_group: "g".to_owned(),
            account: "a".to_owned(),
            region: "westeurope".to_owned(),
            models: BTreeMap::new(),
            units: BTreeMap::new(),
            endpoint: None,
        }
    }

    #[test]
    fn an_account_has_a_path_and_an_address() {
        let expected = "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a";
        assert_eq!(place().parent(), expected);
        assert_eq!(place().url("acme"), "https://acme.openai.azure.com/openai");
    }

    #[test]
    fn an_area_is_no_region() {
        for (region, expected) in [("westeurope", true), ("global", false), ("datazone-eu", false)] {
            assert_eq!(is_regional(region), expected, "{region}");
        }
    }
}
