//! Settings of the fake: keys, times and quotas.

use serde::{Deserialize, Serialize};

use super::throughput::FOUNDATION;
use crate::sagemaker::{ACCOUNT, KEY_ID, KEY_SECRET, LongLivedKey};

/// Settings of Bedrock's fake. Times are seconds on the services' clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct BedrockSettings {
    /// Long-lived keys.
    pub keys: Vec<LongLivedKey>,
    /// Duration of an import.
    pub importing_seconds: u32,
    /// Time until a copy of a cold model answers.
    pub waking_seconds: u32,
    /// Custom model units of a copy.
    pub units: u32,
    /// Imported models that an account may have in a region.
    pub quota: usize,
    /// Time until provisioned throughput is in service, or has another model.
    pub provisioning_seconds: u32,
    /// Model units without commitment that an account may have in a region.
    pub model_units: u64,
    /// Models of makers of which units can be bought without commitment.
    pub foundation_models: Vec<String>,
}

impl Default for BedrockSettings {
    fn default() -> Self {
        let key = LongLivedKey { id: KEY_ID.to_owned(), secret: KEY_SECRET.to_owned(), account: ACCOUNT.to_owned() };
        Self {
            keys: vec![key],
            importing_seconds: 600,
            waking_seconds: 30,
            units: 2,
            quota: 20_000,
            provisioning_seconds: 600,
            model_units: 20_000,
            foundation_models: vec![FOUNDATION.to_owned()],
        }
    }
}
