//! `type: OpenAICompatible`: a hosted vendor with an API like OpenAI's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::SecretKeyRef;
use super::dollars::Dollars;
use super::limits;

/// A hosted vendor and the models that it offers. Nothing is placed there: a deployment uses a model by naming it in
/// `failover.hosted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenAiCompatibleTarget {
    /// Address of the vendor's API, up to /v1, such as <https://api.openai.com/v1>.
    #[serde(rename = "baseURL")]
    #[schemars(
        length(min = 12, max = 512),
        regex(pattern = "^https://[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[-A-Za-z0-9._~]+)*/v1$")
    )]
    pub base_url: String,
    /// Secret in the operator's namespace with the vendor's API key.
    pub key_secret_ref: SecretKeyRef,
    /// Models that deployments may name.
    #[schemars(
        length(min = 1, max = limits::HOSTED_MODELS),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub models: Vec<OfferedModel>,
    /// Asks the vendor to state the usage of streams, by `stream_options`. Set it to false for a vendor that refuses unknown fields.
    #[serde(default = "yes")]
    pub request_stream_usage: bool,
}

const fn yes() -> bool {
    true
}

impl OpenAiCompatibleTarget {
    /// The model of this name, if it is offered.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&OfferedModel> {
        self.models.iter().find(|model| model.name == name)
    }
}

/// A model that a vendor offers, and its prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfferedModel {
    /// The vendor's name of the model, such as gpt-4o-mini.
    #[schemars(length(min = 1, max = 253), regex(pattern = HOSTED_MODEL_NAME))]
    pub name: String,
    /// Price of the tokens of requests in USD per million.
    #[schemars(length(min = 1, max = 16))]
    pub input_price: Dollars,
    /// Price of the tokens of answers in USD per million.
    #[schemars(length(min = 1, max = 16))]
    pub output_price: Dollars,
}

/// Pattern of a vendor's name of a model.
pub const HOSTED_MODEL_NAME: &str = "^[A-Za-z0-9]([-A-Za-z0-9._:/]*[A-Za-z0-9])?$";
