//! Settings of a driver, and the addresses and names that follow from them.

use std::collections::BTreeSet;

use roadstead_google::{ActingAs, GoogleIdentity};
use roadstead_provider::Capabilities;
use roadstead_provider::address::{self, Reach};
use roadstead_rest::{BaseUrl, BaseUrlError, Insecure, ServiceContext};

/// Address of Resource Manager.
const PROJECTS: &str = "https://cloudresourcemanager.googleapis.com";

/// One project in one location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VertexPlace {
    /// Id of the project.
    pub project: String,
    /// Location, which is the target's region.
    pub location: String,
    /// Address of every service of Google in tests.
    pub endpoint: Option<BaseUrl>,
}

impl VertexPlace {
    /// Identity of the place; `number` is that of the project.
    #[must_use]
    pub fn identity_of(&self, number: &str) -> String {
        format!("{number}.{}", self.location)
    }

    /// Path of the location.
    #[must_use]
    pub fn parent(&self) -> String {
        let Self { project, location, .. } = self;
        format!("projects/{project}/locations/{location}")
    }

    /// Address of the control plane.
    ///
    /// # Errors
    /// [`BaseUrlError`] where the location cannot be a part of a host name.
    pub fn control(&self) -> Result<BaseUrl, BaseUrlError> {
        let address =
            || BaseUrl::parse(&format!("https://{}-aiplatform.googleapis.com", self.location), Insecure::Refused);
        self.endpoint.clone().map_or_else(address, Ok)
    }

    /// Address of Resource Manager.
    ///
    /// # Errors
    /// Never for Google's own.
    pub fn projects(&self) -> Result<BaseUrl, BaseUrlError> {
        self.endpoint.clone().map_or_else(|| BaseUrl::parse(PROJECTS, Insecure::Refused), Ok)
    }

    /// Address of an endpoint for clients, before `/v1`: `name` is its full name, `dns` its own host.
    #[must_use]
    pub fn url(&self, name: &str, dns: &str) -> String {
        let host = self.endpoint.as_ref().map_or_else(|| format!("https://{dns}"), ToString::to_string);
        format!("{host}/v1/{name}/invoke")
    }

    /// Addresses that may be connected to: an address from a flag may be any.
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.endpoint.is_some() { address::anywhere } else { address::elsewhere }
    }
}

/// Everything that a driver needs.
pub struct ProjectAccess {
    /// The place.
    pub place: VertexPlace,
    /// Identity of the operator.
    pub identity: GoogleIdentity,
    /// Account that it acts as, if any.
    pub acting_as: Option<ActingAs>,
    /// Parts that every driver has.
    pub context: ServiceContext,
}

/// Abilities of Vertex AI: models from the Hub, at least one machine, one replica per machine, updates in place.
#[must_use]
pub fn capabilities() -> Capabilities {
    Capabilities {
        engines: None,
        sources: Some(BTreeSet::from(["hf".to_owned()])),
        max_replicas: None,
        scale_to_zero: false,
        update_in_place: true,
        whole_instances: true,
        own_server: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(location: &str) -> VertexPlace {
        VertexPlace { project: "acme-models".to_owned(), location: location.to_owned(), endpoint: None }
    }

    #[test]
    fn a_location_has_its_addresses() {
        let place = place("europe-west4");
        assert_eq!(place.control().unwrap().to_string(), "https://europe-west4-aiplatform.googleapis.com");
        let name = "projects/4151/locations/europe-west4/endpoints/a";
        let dns = "a.europe-west4-4151.prediction.vertexai.goog";
        let url = "https://a.europe-west4-4151.prediction.vertexai.goog/v1/projects/4151/locations/europe-west4/endpoints/a/invoke";
        assert_eq!(place.url(name, dns), url);
        assert!(self::place("europe west4").control().is_err());
    }

    #[test]
    fn only_an_override_leads_to_the_operators_own_machine() {
        let loopback = "127.0.0.1".parse().unwrap();
        assert!(!(place("europe-west4").reach())(loopback));
        let endpoint = BaseUrl::parse("http://127.0.0.1:1", Insecure::Allowed).ok();
        assert!((VertexPlace { endpoint, ..place("europe-west4") }.reach())(loopback));
    }
}
