//! Settings of the fake: tokens, times, sizes and models.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Settings of `DigitalOcean`'s fake. Times are seconds on the services' clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DigitalOceanSettings {
    /// Tokens.
    pub tokens: Vec<OceanToken>,
    /// Time until an instance is provisioned.
    pub new_seconds: u32,
    /// Time from there until it is active; also the time of an update.
    pub provisioning_seconds: u32,
    /// Duration of a deletion.
    pub deleting_seconds: u32,
    /// Time after which a lack of GPUs shows.
    pub capacity_seconds: u32,
    /// GPUs on offer.
    pub sizes: Vec<GpuSize>,
    /// Models on offer.
    pub models: Vec<OceanModel>,
    /// GPU instances that exist, by slug; of one that is not named there are always enough.
    pub machines: BTreeMap<String, u32>,
}

/// A token of a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OceanToken {
    /// The token.
    pub token: String,
    /// UUID of its team.
    pub team: String,
    /// Its scopes.
    pub scopes: Vec<String>,
}

/// GPUs of one kind in one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GpuSize {
    /// Slug, such as `gpu-h100x1-80gb`.
    pub slug: String,
    /// Region.
    pub region: String,
    /// US dollars for an hour.
    pub price_per_hour: String,
}

/// A model on offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OceanModel {
    /// Slug: owner and name.
    pub slug: String,
    /// GPUs that it runs on.
    pub gpus: Vec<String>,
    /// True if it needs a token of Hugging Face.
    pub gated: bool,
}

impl GpuSize {
    /// The size as the service shows it.
    pub(super) fn shown(&self) -> Value {
        let Self { slug, region, price_per_hour } = self;
        json!({"gpu_slug": slug, "price_per_hour": price_per_hour, "region": region, "currency": "USD"})
    }
}

impl OceanModel {
    /// The model as the service shows it.
    pub(super) fn shown(&self) -> Value {
        let name = self.slug.rsplit('/').next().unwrap_or_default();
        json!({"gpu_slugs": self.gpus, "model_slug": self.slug, "model_name": name, "is_gated_model": self.gated})
    }
}

/// Token that exists without further settings.
pub const TOKEN: &str = "dop_v1_token_of_the_fake";
/// UUID of its team.
pub const TEAM: &str = "5df3e3004a17e242b7c20ca6c9fc25b701a47ece";
/// All scopes of dedicated inference, and the one of the account.
pub const SCOPES: [&str; 8] = [
    "account:read",
    "dedicated_inference:create",
    "dedicated_inference:delete",
    "dedicated_inference:read",
    "dedicated_inference:update",
    "dedicated_inference_tokens:create",
    "dedicated_inference_tokens:delete",
    "dedicated_inference_tokens:read",
];

impl Default for DigitalOceanSettings {
    fn default() -> Self {
        let size = |slug: &str, region: &str, price: &str| GpuSize {
            slug: slug.to_owned(),
            region: region.to_owned(),
            price_per_hour: price.to_owned(),
        };
        let model = |slug: &str, gpus: &[&str], gated| OceanModel {
            slug: slug.to_owned(),
            gpus: gpus.iter().map(|gpu| (*gpu).to_owned()).collect(),
            gated,
        };
        let (one, eight) = ("gpu-h100x1-80gb", "gpu-h100x8-640gb");
        Self {
            tokens: vec![OceanToken {
                token: TOKEN.to_owned(),
                team: TEAM.to_owned(),
                scopes: SCOPES.map(str::to_owned).to_vec(),
            }],
            new_seconds: 20,
            provisioning_seconds: 280,
            deleting_seconds: 60,
            capacity_seconds: 600,
            sizes: vec![
                size(one, "atl1", "3.39"),
                size(one, "nyc2", "3.39"),
                size(eight, "nyc2", "23.92"),
                size("gpu-mi300x1-192gb", "atl1", "1.99"),
            ],
            models: vec![
                model("example/llama", &[one, eight], false),
                model("mistral/mistral-7b-instruct-v3", &[one, "gpu-mi300x1-192gb"], false),
                model("meta-llama/gated", &[eight], true),
            ],
            machines: BTreeMap::new(),
        }
    }
}
