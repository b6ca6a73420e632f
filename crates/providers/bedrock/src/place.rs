//! Settings of a driver, and the addresses that follow from them.

use roadstead_aws::{CredentialSettings, Partition};
use roadstead_provider::address::{self, Reach};
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::{BaseUrl, BaseUrlError, Insecure, ServiceContext};

/// Host names of the services.
const CONTROL: &str = "bedrock";
const RUNTIME: &str = "bedrock-runtime";
const STS: &str = "sts";
const TAGGING: &str = "tagging";

/// One account in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BedrockPlace {
    /// Region.
    pub region: String,
    /// Account that the credentials must belong to: twelve digits.
    pub account: String,
    /// Address of every AWS service in tests.
    pub endpoint: Option<BaseUrl>,
}

impl BedrockPlace {
    /// Checks whose the credentials are.
    ///
    /// # Errors
    /// `Unauthorized` where they belong to another account.
    pub fn check(&self, account: &str) -> Result<(), ProviderError> {
        if account == self.account {
            return Ok(());
        }
        let message = format!(
            "the credentials belong to account {account}, and spec.bedrock.accountID is {}; correct one of them",
            self.account
        );
        Err(ProviderError::new(ErrorClass::Unauthorized, message))
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

    /// Address of a model for clients, before `/invoke`.
    #[must_use]
    pub fn url(&self, arn: &str) -> String {
        let runtime = match &self.endpoint {
            Some(endpoint) => endpoint.to_string(),
            None => Partition::of(&self.region).address(RUNTIME, &self.region),
        };
        format!("{runtime}/model/{}", escaped(arn))
    }

    /// Addresses that may be connected to: an address from a flag may be any.
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.endpoint.is_some() { address::anywhere } else { address::elsewhere }
    }
}

/// An ARN as one part of a path: of its characters only these two have another meaning there.
#[must_use]
pub fn escaped(arn: &str) -> String {
    arn.replace(':', "%3A").replace('/', "%2F")
}

/// The ARN in the address of a model.
#[must_use]
pub fn asked_model(url: &str) -> Option<String> {
    Some(url.rsplit_once("/model/")?.1.split('/').next()?.replace("%3A", ":").replace("%2F", "/"))
}

/// Everything that a driver needs.
pub struct BedrockAccess {
    /// The place.
    pub place: BedrockPlace,
    /// Origin of the credentials.
    pub credentials: CredentialSettings,
    /// Parts that every driver has.
    pub context: ServiceContext,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_its_address() {
        let place = BedrockPlace { region: "us-east-1".to_owned(), account: "123456789012".to_owned(), endpoint: None };
        let url = place.url("arn:aws:bedrock:us-east-1:123456789012:imported-model/a1");
        let expected = "https://bedrock-runtime.us-east-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aimported-model%2Fa1";
        assert_eq!(url, expected);
        assert_eq!(asked_model(&url).unwrap(), "arn:aws:bedrock:us-east-1:123456789012:imported-model/a1");
        assert_eq!(place.bases().unwrap()[0].to_string(), "https://bedrock.us-east-1.amazonaws.com");
    }
}
