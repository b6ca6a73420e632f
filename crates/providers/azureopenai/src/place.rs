//! Settings of a driver, and the paths and addresses that follow from them.

use std::collections::{BTreeMap, BTreeSet};

use roadstead_api::v1alpha1::TargetType;
use roadstead_azure::EntraIdentity;
use roadstead_model::catalogue;
use roadstead_provider::address::{self, Reach};
use roadstead_provider::{Capabilities, ErrorClass, ProviderError};
use roadstead_rest::{BaseUrl, ServiceContext};
use serde::{Deserialize, Serialize};

/// Scope of the tokens for requests to deployments.
/// <https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle>
pub const TRAFFIC_SCOPE: &str = "https://ai.azure.com/.default";
/// Cloud of the regions in the catalogue.
const CLOUD: &str = "azure";
/// Region in which requests are processed anywhere.
const GLOBAL: &str = "global";
/// Beginning of the regions that are data zones; the rest is their jurisdiction.
const DATA_ZONE: &str = "datazone-";
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
        let location = plain(location);
        format!("/subscriptions/{}/providers/{PROVIDER}/locations/{location}/usages", self.subscription)
    }

    /// Address of an account with this subdomain for clients, before `/v1`.
    ///
    /// # Errors
    /// `Invalid` where the subdomain is none, because tokens would go to another host.
    pub fn url(&self, subdomain: &str) -> Result<String, ProviderError> {
        let subdomain = subdomain.to_ascii_lowercase();
        if !is_subdomain(&subdomain) {
            let message = format!(
                "account {} has the subdomain {subdomain:?}, which is not 2 to 64 letters, digits and inner hyphens: set another custom \
                 domain name",
                self.account
            );
            return Err(ProviderError::new(ErrorClass::Invalid, message));
        }
        Ok(match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/openai"),
            None => format!("https://{subdomain}.openai.azure.com/openai"),
        })
    }

    /// Checks that Azure processes requests to an account in this location where the region of the target says.
    ///
    /// # Errors
    /// `Invalid` where it processes them elsewhere, or where the location of a data zone's account is not known.
    pub fn check_location(&self, location: &str) -> Result<(), ProviderError> {
        let Self { account, region, .. } = self;
        let fault = match region.strip_prefix(DATA_ZONE) {
            Some(zone) => outside(location, &zone.to_uppercase()),
            None if region == GLOBAL || plain(location) == plain(region) => None,
            None => Some(format!("create a target with {location}")),
        };
        fault.map_or(Ok(()), |cure| {
            let message = format!("account {account} is in {location}, and spec.region is {region}: {cure}");
            Err(ProviderError::new(ErrorClass::Invalid, message))
        })
    }

    /// Addresses that may be connected to: an address from a flag may be any.
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.endpoint.is_some() { address::anywhere } else { address::elsewhere }
    }
}

/// Fault and cure of an account whose location is not in the jurisdiction of a data zone: Azure processes its requests in the zone of its
/// own location.
fn outside(location: &str, zone: &str) -> Option<String> {
    let Some(found) = catalogue::locate(CLOUD, &plain(location)) else {
        return Some(format!(
            "that location is unknown, so create a target with an account in a known region in {zone}"
        ));
    };
    let country = found.country;
    let cure = format!(
        "{country} is not in {zone}, so create a target with the data zone of the account, or with an account in {zone}"
    );
    (!found.jurisdictions.contains(zone)).then_some(cure)
}

/// The name of a region, as Azure writes it in either form (`westeurope`, `West Europe`).
fn plain(region: &str) -> String {
    region.chars().filter(char::is_ascii_alphanumeric).map(|sign| sign.to_ascii_lowercase()).collect()
}

/// True for the subdomain of an account, which is one label of a host name.
fn is_subdomain(text: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (2..=64).contains(&text.len()) && text.bytes().all(is_sign) && !text.starts_with('-') && !text.ends_with('-')
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
        own_server: Some(TargetType::AzureOpenAI.name()),
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
        for subdomain in ["acme", "Acme"] {
            assert_eq!(place().url(subdomain).unwrap(), "https://acme.openai.azure.com/openai");
        }
    }

    #[test]
    fn quotas_are_read_at_the_name_of_the_location() {
        let expected = "/subscriptions/s/providers/Microsoft.CognitiveServices/locations/westeurope/usages";
        for location in ["westeurope", "West Europe", "west/europe"] {
            assert_eq!(place().usages(location), expected, "{location}");
        }
    }

    #[test]
    fn a_subdomain_is_one_label_of_a_host() {
        let longest = "a".repeat(64);
        for subdomain in ["acme-openai", "a1", &longest] {
            assert!(place().url(subdomain).is_ok(), "{subdomain}");
        }
        let too_long = "a".repeat(65);
        for subdomain in ["", "a", "-acme", "acme-", "acme.example", "evil.example/", "a@b", "a:1", &too_long] {
            let error = place().url(subdomain).unwrap_err();
            assert_eq!(error.class, ErrorClass::Invalid, "{subdomain}");
            assert!(error.to_string().contains(&format!("account a has the subdomain {subdomain:?}")), "{error}");
        }
    }

    #[test]
    fn requests_are_processed_in_the_area_of_the_target() {
        for (region, location) in [
            ("westeurope", "West Europe"),
            ("global", "eastus"),
            ("global", "a-location-of-tomorrow"),
            ("datazone-eu", "westeurope"),
            ("datazone-eu", "Sweden Central"),
            ("datazone-us", "eastus2"),
        ] {
            let place = CognitivePlace { region: region.to_owned(), ..place() };
            assert!(place.check_location(location).is_ok(), "{region} {location}");
        }
    }

    #[test]
    fn an_account_elsewhere_is_refused_with_the_cure() {
        for (region, location, cure) in [
            ("westeurope", "eastus", "create a target with eastus"),
            ("datazone-eu", "eastus", "US is not in EU, so create a target with the data zone of the account"),
            ("datazone-eu", "UK South", "GB is not in EU"),
            ("datazone-eu", "norwayeast", "NO is not in EU"),
            ("datazone-us", "westeurope", "NL is not in US"),
            ("datazone-eu", "atlantis", "that location is unknown"),
            ("datazone-eu", "datazone-eu", "that location is unknown"),
            ("datazone-moon", "eastus", "US is not in MOON"),
        ] {
            let place = CognitivePlace { region: region.to_owned(), ..place() };
            let error = place.check_location(location).unwrap_err();
            assert_eq!(error.class, ErrorClass::Invalid, "{region} {location}");
            let problem = format!("account a is in {location}, and spec.region is {region}: {cure}");
            assert!(error.to_string().contains(&problem), "{error}");
        }
    }
}
