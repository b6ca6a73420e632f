//! Settings of the fake: accounts, times, quotas and machines.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Settings of SageMaker's fake. Times are seconds on the services' clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SageMakerSettings {
    /// Long-lived keys.
    pub keys: Vec<LongLivedKey>,
    /// Roles that can be assumed.
    pub roles: Vec<TrustedRole>,
    /// Time from the creation of an endpoint until it is in service.
    pub creating_seconds: u32,
    /// Duration of an update.
    pub updating_seconds: u32,
    /// Duration of a deletion.
    pub deleting_seconds: u32,
    /// Time after which a lack of machines shows.
    pub capacity_seconds: u32,
    /// Quota of instances for endpoints, by instance type; types that are not named have one of [`Self::quota`].
    pub quotas: BTreeMap<String, u32>,
    /// Quota of other instance types.
    pub quota: u32,
    /// Machines that exist, by instance type; of types that are not named there are always enough.
    pub machines: BTreeMap<String, u32>,
}

/// A key of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LongLivedKey {
    /// Id of the key.
    pub id: String,
    /// Secret of the key.
    pub secret: String,
    /// Account, twelve digits.
    pub account: String,
}

/// A role and its trust policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedRole {
    /// ARN.
    pub arn: String,
    /// External id that the trust policy wants.
    #[serde(default)]
    pub external_id: Option<String>,
}

/// Id of the key that exists without further settings.
pub const KEY_ID: &str = "AKIDCLOUDS";
/// Secret of that key.
pub const KEY_SECRET: &str = "secret-of-the-fake";
/// Account of that key.
pub const ACCOUNT: &str = "123456789012";

impl Default for SageMakerSettings {
    fn default() -> Self {
        let key = LongLivedKey { id: KEY_ID.to_owned(), secret: KEY_SECRET.to_owned(), account: ACCOUNT.to_owned() };
        let role = TrustedRole { arn: format!("arn:aws:iam::{ACCOUNT}:role/roadstead"), external_id: None };
        Self {
            keys: vec![key],
            roles: vec![role],
            creating_seconds: 300,
            updating_seconds: 300,
            deleting_seconds: 60,
            capacity_seconds: 360,
            quotas: BTreeMap::new(),
            quota: 20_000,
            machines: BTreeMap::new(),
        }
    }
}
