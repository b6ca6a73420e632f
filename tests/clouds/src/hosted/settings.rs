//! Settings of the fake: its key, its model, and the vendor whose manners it has.

use serde::{Deserialize, Serialize};

/// Vendor whose manners a fake has where they differ from OpenAI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VendorManners {
    /// OpenAI's own, and Anthropic's as far as they are documented.
    #[default]
    OpenAi,
    /// Mistral's.
    Mistral,
    /// Those of Cohere's compatibility API.
    Cohere,
}

/// Settings of a hosted vendor's fake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VendorSettings {
    /// The one key.
    pub key: String,
    /// The one model.
    pub model: String,
    /// Text of every answer.
    pub text: String,
    /// Tokens that every answer states, in and out.
    pub tokens: [u64; 2],
    /// Manners.
    pub manners: VendorManners,
}

/// Key that exists without further settings.
pub const KEY: &str = "key-of-the-fake-of-a-vendor";
/// Model that exists without further settings.
pub const MODEL: &str = "vendor-large";

impl Default for VendorSettings {
    fn default() -> Self {
        Self {
            key: KEY.to_owned(),
            model: MODEL.to_owned(),
            text: "by the vendor".to_owned(),
            tokens: [1_000, 500],
            manners: VendorManners::OpenAi,
        }
    }
}
