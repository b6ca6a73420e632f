//! Settings of a driver, and the addresses that follow from them.

use std::collections::BTreeSet;

use roadstead_aws::{CredentialSettings, Partition};
use roadstead_provider::Capabilities;
use roadstead_provider::address::{self, Reach};
use roadstead_rest::{BaseUrl, BaseUrlError, Insecure, ServiceContext};

/// Host names of the services.
const CONTROL: &str = "api.sagemaker";
const RUNTIME: &str = "runtime.sagemaker";
const STS: &str = "sts";
const TAGGING: &str = "tagging";

/// One account in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SageMakerPlace {
    /// Region.
    pub region: String,
    /// Account that the credentials must belong to: twelve digits.
    pub account: String,
    /// Address of every AWS service in tests.
    pub endpoint: Option<BaseUrl>,
}

impl SageMakerPlace {
    /// Identity of the place.
    #[must_use]
    pub fn identity_of(&self, account: &str) -> String {
        format!("{account}.{}", self.region)
    }

    /// ARN of a resource of SageMaker; the service writes names in lower case there.
    #[must_use]
    pub fn arn(&self, kind: &str, name: &str) -> String {
        let Self { region, account, .. } = self;
        let partition = Partition::of(region).name();
        format!("arn:{partition}:sagemaker:{region}:{account}:{kind}/{}", name.to_lowercase())
    }

    fn base(&self, service: &str) -> Result<BaseUrl, BaseUrlError> {
        match &self.endpoint {
            Some(endpoint) => Ok(endpoint.clone()),
            None => BaseUrl::parse(&Partition::of(&self.region).address(service, &self.region), Insecure::Refused),
        }
    }

    /// Addresses of control plane, tagging service and STS.
    ///
    /// # Errors
    /// [`BaseUrlError`] where the region cannot be a part of a host name.
    pub fn bases(&self) -> Result<[BaseUrl; 3], BaseUrlError> {
        Ok([self.base(CONTROL)?, self.base(TAGGING)?, self.base(STS)?])
    }

    /// Address of an endpoint for clients, before `/v1`.
    #[must_use]
    pub fn url(&self, endpoint: &str) -> String {
        let runtime = match &self.endpoint {
            Some(endpoint) => endpoint.to_string(),
            None => Partition::of(&self.region).address(RUNTIME, &self.region),
        };
        format!("{runtime}/endpoints/{endpoint}/openai")
    }

    /// Addresses that may be connected to: an address from a flag may be any.
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.endpoint.is_some() { address::anywhere } else { address::elsewhere }
    }
}

/// Everything that a driver needs.
pub struct AccountAccess {
    /// The place.
    pub place: SageMakerPlace,
    /// Origin of the credentials.
    pub credentials: CredentialSettings,
    /// Parts that every driver has.
    pub context: ServiceContext,
}

/// Abilities of SageMaker: models from the Hub, at least one instance, one replica per instance, updates in place.
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

    fn place(region: &str) -> SageMakerPlace {
        SageMakerPlace { region: region.to_owned(), account: "123456789012".to_owned(), endpoint: None }
    }

    #[test]
    fn a_region_has_its_addresses_and_arns() {
        let ireland = place("eu-west-1");
        assert_eq!(ireland.bases().unwrap()[0].to_string(), "https://api.sagemaker.eu-west-1.amazonaws.com");
        assert_eq!(ireland.url("a"), "https://runtime.sagemaker.eu-west-1.amazonaws.com/endpoints/a/openai");
        assert_eq!(ireland.arn("endpoint", "A-b"), "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/a-b");
        assert!(place("eu west").bases().is_err());
    }

    #[test]
    fn only_an_override_leads_to_the_operators_own_machine() {
        let loopback = "127.0.0.1".parse().unwrap();
        assert!(!(place("eu-west-1").reach())(loopback));
        let endpoint = BaseUrl::parse("http://127.0.0.1:1", Insecure::Allowed).ok();
        assert!((SageMakerPlace { endpoint, ..place("eu-west-1") }.reach())(loopback));
    }
}
