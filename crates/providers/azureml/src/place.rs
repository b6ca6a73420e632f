//! Settings of a driver, and the paths and addresses that follow from them.

use std::collections::BTreeSet;

use http::Uri;
use roadstead_azure::EntraIdentity;
use roadstead_provider::Capabilities;
use roadstead_provider::address::{self, Reach};
use roadstead_rest::{BaseUrl, ServiceContext};

/// Most instances of a deployment.
/// <https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas>
const MAX_INSTANCES: u32 = 50;

/// One workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AzureMlPlace {
    /// Id of the subscription.
    pub subscription: String,
    /// Name of the resource group.
    pub resource_group: String,
    /// Name of the workspace.
    pub workspace: String,
    /// Region of the workspace.
    pub region: String,
    /// Address of Resource Manager and of endpoints in tests.
    pub endpoint: Option<BaseUrl>,
}

impl AzureMlPlace {
    /// Resource id of the workspace, which is its path.
    #[must_use]
    pub fn parent(&self) -> String {
        let Self { subscription, resource_group, workspace, .. } = self;
        format!(
            "/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
        )
    }

    /// Address of an endpoint for clients, before `/v1`: its scoring address without the path. `None` if that is none.
    #[must_use]
    pub fn url(&self, name: &str, scoring_uri: &str) -> Option<String> {
        if let Some(endpoint) = &self.endpoint {
            return Some(format!("{endpoint}/inference/{name}"));
        }
        let uri: Uri = scoring_uri.parse().ok()?;
        let host = uri.authority().filter(|_| uri.scheme_str() == Some("https"))?;
        Some(format!("https://{host}"))
    }

    /// Addresses that may be connected to: an address from a flag may be any.
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.endpoint.is_some() { address::anywhere } else { address::elsewhere }
    }
}

/// Everything that a driver needs.
pub struct WorkspaceAccess {
    /// The place.
    pub place: AzureMlPlace,
    /// Identity of the operator.
    pub identity: EntraIdentity,
    /// Parts that every driver has.
    pub context: ServiceContext,
}

/// Abilities of Azure Machine Learning: models from the Hub, at least one instance, one replica per instance, updates in place.
#[must_use]
pub fn capabilities() -> Capabilities {
    Capabilities {
        engines: None,
        sources: Some(BTreeSet::from(["hf".to_owned()])),
        max_replicas: Some(MAX_INSTANCES),
        scale_to_zero: false,
        update_in_place: true,
        whole_instances: true,
        own_server: None,
    }
}

#[cfg(test)]
mod tests {
    use roadstead_rest::Insecure;

    use super::*;

    fn place(endpoint: Option<BaseUrl>) -> AzureMlPlace {
        AzureMlPlace {
            subscription: "0b1f6471-1bf0-4dda-aec3-111122223333".to_owned(),
            resource_group: "models".to_owned(),
            workspace: "acme".to_owned(),
            region: "westeurope".to_owned(),
            endpoint,
        }
    }

    #[test]
    fn the_address_of_an_endpoint_is_the_host_that_the_service_names() {
        let url = |uri| place(None).url("llama", uri);
        assert_eq!(
            url("https://llama.westeurope.inference.ml.azure.com/score").as_deref(),
            Some("https://llama.westeurope.inference.ml.azure.com")
        );
        for none in ["http://llama.example/score", "", "/score"] {
            assert_eq!(url(none), None, "{none}");
        }
    }

    #[test]
    fn only_an_override_leads_to_the_operators_own_machine() {
        let loopback = "127.0.0.1".parse().unwrap();
        assert!(!(place(None).reach())(loopback));
        let endpoint = BaseUrl::parse("http://127.0.0.1:1", Insecure::Allowed).ok();
        assert!((place(endpoint).reach())(loopback));
    }
}
