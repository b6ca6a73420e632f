//! A place: its addresses, its parts, and what of it does not change.

use roadstead_provider::address::Reach;
use roadstead_provider::probe::Probe;
use roadstead_provider::{ErrorClass, ProviderError, Redacted};
use roadstead_rest::{BaseUrl, BaseUrlError, Insecure, ServiceContext};

use crate::form::ENVIRONMENT;

/// Address of the management API.
const MANAGEMENT: &str = "https://api.baseten.co";

/// Addresses of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasetenAddresses {
    /// The management API.
    pub management: BaseUrl,
    /// Address below which tests have the object store and the models; `None`: the service's own.
    pub stand_in: Option<BaseUrl>,
}

impl BasetenAddresses {
    /// The service's own addresses, or those below this address if there is one.
    ///
    /// # Errors
    /// If the address is none of a service.
    pub fn of(stand_in: Option<&BaseUrl>) -> Result<Self, BaseUrlError> {
        let management = stand_in.cloned().map_or_else(|| BaseUrl::parse(MANAGEMENT, Insecure::Refused), Ok)?;
        Ok(Self { management, stand_in: stand_in.cloned() })
    }
}

/// The way to ask the endpoint at `url` whether it answers.
#[must_use]
pub fn probe(model: &str, url: &str, key: Redacted) -> Probe {
    Probe::of_engine(url, key, model)
}

/// One team in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasetenPlace {
    /// Name of the team; `None` is the default team of the organization.
    pub team: Option<String>,
    /// Region of its deployments, as the service names it.
    pub region: String,
}

/// Everything that a driver needs.
pub struct BasetenAccess {
    /// Addresses of the service.
    pub addresses: BasetenAddresses,
    /// The place.
    pub place: BasetenPlace,
    /// API key with all rights for the team.
    pub key: Redacted,
    /// Addresses to which the service and its endpoints may lead.
    pub reach: Reach,
    /// Parts that every driver has.
    pub context: ServiceContext,
}

impl BasetenAddresses {
    /// Address of a model, without `/v1`.
    #[must_use]
    pub fn url(&self, model: &str) -> String {
        match &self.stand_in {
            Some(base) => format!("{base}/serve/{model}/environments/{ENVIRONMENT}/sync"),
            None => format!("https://model-{model}.api.baseten.co/environments/{ENVIRONMENT}/sync"),
        }
    }
}

/// An id of the service, which becomes part of paths and hosts.
///
/// # Errors
/// `Transient` where it can be none.
pub fn id(text: &str) -> Result<&str, ProviderError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        return Ok(text);
    }
    Err(ProviderError::new(ErrorClass::Transient, "Baseten answers with an id that has a wrong form"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_plain_word() {
        assert!(id("a1B2-_").is_ok());
        for wrong in ["", "a/b", "a.b", "a?b", &"a".repeat(65)] {
            assert!(id(wrong).is_err(), "{wrong}");
        }
    }
}
