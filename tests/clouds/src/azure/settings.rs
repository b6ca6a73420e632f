//! Settings of the fake: tenant, subscription, identities, workspace, times, sizes of machines and quotas.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Settings of Azure's fake. Times are seconds on the services' clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AzureSettings {
    /// Directory of the identities.
    pub tenant: String,
    /// The one subscription.
    pub subscription: String,
    /// The one resource group.
    pub resource_group: String,
    /// Region of the workspace.
    pub location: String,
    /// Name of the workspace.
    pub workspace: String,
    /// The workspace's own id, which one of the same name that is made later does not have.
    pub workspace_id: String,
    /// Tokens that are valid for ever, for every audience.
    pub tokens: Vec<String>,
    /// Applications that may ask for tokens.
    pub applications: Vec<EntraApplication>,
    /// Life of the tokens that the fake gives, in seconds of the machine.
    pub token_seconds: u32,
    /// Duration of the creation of an endpoint.
    pub creating_seconds: u32,
    /// Duration of a change of an endpoint.
    pub updating_seconds: u32,
    /// Duration of a deployment.
    pub deploying_seconds: u32,
    /// Duration of a change of the number of instances.
    pub scaling_seconds: u32,
    /// Duration of a deletion.
    pub deleting_seconds: u32,
    /// Time after which a lack of machines shows.
    pub capacity_seconds: u32,
    /// Cores of an instance, by its type.
    pub instance_types: BTreeMap<String, u32>,
    /// Quota of cores of all deployments.
    pub quota_cores: u32,
    /// Machines that exist, by type; of types that are not named there are always enough.
    pub machines: BTreeMap<String, u32>,
}

/// An application in the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntraApplication {
    /// Its client id.
    pub client: String,
    /// Its secret; empty: it has none.
    #[serde(default)]
    pub secret: String,
    /// Tokens of a cluster that are accepted instead of a secret.
    #[serde(default)]
    pub federated: Vec<String>,
}

/// Directory that exists without further settings.
pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";
/// Subscription that exists without further settings.
pub const SUBSCRIPTION: &str = "0b1f6471-1bf0-4dda-aec3-111122223333";
/// Resource group that exists without further settings.
pub const RESOURCE_GROUP: &str = "models";
/// Workspace that exists without further settings.
pub const WORKSPACE: &str = "acme";
/// Id of that workspace.
pub const WORKSPACE_ID: &str = "d1a6c7de-7b7a-4a7e-9a3f-0c1d2e3f4a5b";
/// Region of that workspace.
pub const LOCATION: &str = "westeurope";
/// Token that exists without further settings.
pub const TOKEN: &str = "token-of-the-fake-of-azure";
/// Client id of the application that exists without further settings.
pub const CLIENT: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
/// Secret of that application.
pub const SECRET: &str = "secret-of-the-fake-of-azure";
/// Token of a cluster that this application accepts.
pub const FEDERATED: &str = "service-account-token-of-the-fake";

/// The identities of a directory and their tokens.
#[derive(Debug, Clone, Copy)]
pub struct EntraDirectory<'a> {
    pub tenant: &'a str,
    pub tokens: &'a [String],
    pub applications: &'a [EntraApplication],
    pub token_seconds: u32,
}

impl EntraApplication {
    /// The application that exists without further settings.
    pub(crate) fn usual() -> Self {
        Self { client: CLIENT.to_owned(), secret: SECRET.to_owned(), federated: vec![FEDERATED.to_owned()] }
    }
}

impl AzureSettings {
    /// The directory.
    pub(super) fn directory(&self) -> EntraDirectory<'_> {
        EntraDirectory {
            tenant: &self.tenant,
            tokens: &self.tokens,
            applications: &self.applications,
            token_seconds: self.token_seconds,
        }
    }
}

impl Default for AzureSettings {
    fn default() -> Self {
        let sizes = [
            ("Standard_NC24ads_A100_v4", 24),
            ("Standard_NC40ads_H100_v5", 40),
            ("Standard_NC80adis_H100_v5", 80),
            ("Standard_ND96isr_H100_v5", 96),
        ];
        Self {
            tenant: TENANT.to_owned(),
            subscription: SUBSCRIPTION.to_owned(),
            resource_group: RESOURCE_GROUP.to_owned(),
            location: LOCATION.to_owned(),
            workspace: WORKSPACE.to_owned(),
            workspace_id: WORKSPACE_ID.to_owned(),
            tokens: vec![TOKEN.to_owned()],
            applications: vec![EntraApplication::usual()],
            token_seconds: 3599,
            creating_seconds: 60,
            updating_seconds: 30,
            deploying_seconds: 600,
            scaling_seconds: 300,
            deleting_seconds: 120,
            capacity_seconds: 360,
            instance_types: sizes.map(|(name, cores)| (name.to_owned(), cores)).into(),
            quota_cores: 1_000_000,
            machines: BTreeMap::new(),
        }
    }
}
