//! Settings of a driver, and the addresses of the service.

use roadstead_provider::Redacted;
use roadstead_provider::address::Reach;
use roadstead_rest::{BaseUrl, BaseUrlError, Insecure, ServiceContext};

/// Addresses of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubAddresses {
    /// The control plane: `https://api.endpoints.huggingface.cloud/v2`.
    pub endpoints: BaseUrl,
    /// The Hub: `https://huggingface.co`.
    pub hub: BaseUrl,
}

/// Address of the control plane.
const ENDPOINTS: &str = "https://api.endpoints.huggingface.cloud/v2";
/// Address of the Hub.
const HUB: &str = "https://huggingface.co";

impl HubAddresses {
    /// The service's own addresses, or those below this address if there is one.
    ///
    /// # Errors
    /// If the address is none of a service.
    pub fn of(stand_in: Option<&BaseUrl>) -> Result<Self, BaseUrlError> {
        let (endpoints, hub, insecure) = match stand_in {
            Some(base) => (format!("{base}/v2"), base.to_string(), Insecure::Allowed),
            None => (ENDPOINTS.to_owned(), HUB.to_owned(), Insecure::Refused),
        };
        Ok(Self { endpoints: BaseUrl::parse(&endpoints, insecure)?, hub: BaseUrl::parse(&hub, insecure)? })
    }
}

/// One namespace in one region of a cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubPlace {
    /// Namespace of the endpoints: a user or an organization.
    pub namespace: String,
    /// Cloud of the endpoints, such as `aws`.
    pub cloud: String,
    /// Region of that cloud.
    pub region: String,
}

/// Everything that a driver needs.
pub struct HubAccess {
    /// Addresses of the service.
    pub addresses: HubAddresses,
    /// The place.
    pub place: HubPlace,
    /// The token.
    pub token: Redacted,
    /// Addresses to which the service and its endpoints may lead.
    pub reach: Reach,
    /// Parts that every driver has.
    pub context: ServiceContext,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_in_has_both_parts_of_the_service_at_one_address() {
        let shown = |stand_in: Option<&BaseUrl>| {
            let HubAddresses { endpoints, hub } = HubAddresses::of(stand_in).unwrap();
            (endpoints.to_string(), hub.to_string())
        };
        assert_eq!(shown(None), (ENDPOINTS.to_owned(), HUB.to_owned()));
        let stand_in = BaseUrl::parse("http://127.0.0.1:4566", Insecure::Allowed).unwrap();
        let both = ("http://127.0.0.1:4566/v2".to_owned(), "http://127.0.0.1:4566".to_owned());
        assert_eq!(shown(Some(&stand_in)), both);
    }
}
