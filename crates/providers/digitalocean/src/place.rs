//! A place: its address, its parts, and what of it does not change.

use roadstead_api::v1alpha1::DigitalOceanTarget;
use roadstead_provider::Redacted;
use roadstead_provider::address::Reach;
use roadstead_provider::probe::Probe;
use roadstead_rest::{BaseUrl, BaseUrlError, Insecure, ServiceContext};

/// Address of the interface.
const ADDRESS: &str = "https://api.digitalocean.com";

/// Address of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedicatedAddresses {
    /// The interface.
    pub interface: BaseUrl,
    /// True for a stand-in, whose endpoints may have addresses without TLS.
    pub is_stand_in: bool,
}

impl DedicatedAddresses {
    /// The service's own address, or that of a stand-in if there is one.
    ///
    /// # Errors
    /// If the address is none of a service.
    pub fn of(stand_in: Option<&BaseUrl>) -> Result<Self, BaseUrlError> {
        let interface = stand_in.cloned().map_or_else(|| BaseUrl::parse(ADDRESS, Insecure::Refused), Ok)?;
        Ok(Self { interface, is_stand_in: stand_in.is_some() })
    }

    /// Address of an instance, without `/v1`, from what the service shows; `None` for anything that is none. The service shows it with and
    /// without a scheme.
    #[must_use]
    pub fn url(&self, shown: &str) -> Option<String> {
        let shown = shown.trim().trim_end_matches('/');
        let url = if shown.contains("://") { shown.to_owned() } else { format!("https://{shown}") };
        let parsed: http::Uri = url.parse().ok()?;
        let is_safe = parsed.scheme_str() == Some("https") || self.is_stand_in;
        (is_safe && parsed.host().is_some_and(|host| !host.is_empty()) && parsed.query().is_none()).then_some(url)
    }
}

/// One team in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DedicatedPlace {
    /// Region.
    pub region: String,
    /// The network of its instances, and the names of its models.
    pub settings: DigitalOceanTarget,
}

/// Everything that a driver needs.
pub struct DedicatedAccess {
    /// Address of the service.
    pub addresses: DedicatedAddresses,
    /// The place.
    pub place: DedicatedPlace,
    /// Token of the team.
    pub token: Redacted,
    /// Addresses to which the service and its endpoints may lead.
    pub reach: Reach,
    /// Parts that every driver has.
    pub context: ServiceContext,
}

/// The way to ask the endpoint at `url` whether it answers; it knows its model by this slug.
#[must_use]
pub fn probe(slug: &str, url: &str, key: Redacted) -> Probe {
    Probe::of_engine(url, key, slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_a_scheme_and_leads_nowhere_without_tls() {
        let own = DedicatedAddresses::of(None).unwrap();
        let host = "https://a-public-dedicated-inference.do-infra.ai";
        for shown in [host, &host[8..], "https://a-public-dedicated-inference.do-infra.ai/"] {
            assert_eq!(own.url(shown).as_deref(), Some(host), "{shown}");
        }
        for wrong in ["", "http://a.do-infra.ai", "file:///etc", "https://a?b", "a b"] {
            assert_eq!(own.url(wrong), None, "{wrong}");
        }
        let stand_in = BaseUrl::parse("http://127.0.0.1:4566", Insecure::Allowed).unwrap();
        let stand_in = DedicatedAddresses::of(Some(&stand_in)).unwrap();
        assert_eq!(stand_in.url("http://127.0.0.1:4566/serve/i").as_deref(), Some("http://127.0.0.1:4566/serve/i"));
    }
}
