//! Models of hosted vendors that a deployment falls back on.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::ENTRY_NAME;
use super::dollars::Dollars;
use super::limits;
use super::openai_compatible::HOSTED_MODEL_NAME;

/// A model of a hosted vendor, which takes requests while no endpoint of the deployment answers, with a gateway. It is another
/// model than the deployment's own: its answers differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostedFallback {
    /// Target of type `OpenAICompatible`.
    #[schemars(length(min = 1, max = 63), regex(pattern = ENTRY_NAME))]
    pub target: String,
    /// The vendor's name of the model; the target must offer it.
    #[schemars(length(min = 1, max = 253), regex(pattern = HOSTED_MODEL_NAME))]
    pub model: String,
    /// Ceiling of requests per minute, of all gateways; more are answered 429.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_minute: i32,
    /// Ceiling of cost in USD in each hour, such as "5.00". It counts toward placement.cost.maxHourlyCost.
    #[schemars(length(min = 1, max = 16))]
    pub max_hourly_cost: Dollars,
}

/// Part of a hosted model in serving.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostedStatus {
    /// The target.
    #[schemars(length(max = 63))]
    pub target: String,
    /// The vendor's name of the model.
    #[schemars(length(max = 253))]
    pub model: String,
    /// Part in serving.
    pub state: HostedState,
    /// Time when this state began.
    pub since: Time,
    /// Reason why it is unavailable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = limits::MESSAGE))]
    pub message: Option<String>,
}

/// Part of a hosted model in serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HostedState {
    /// It takes requests when no endpoint answers, and costs nothing.
    StandsBy,
    /// It takes requests.
    Serving,
    /// It takes no request before the next hour begins: its ceiling of cost is reached.
    CeilingReached,
    /// It can take no request.
    Unavailable,
}
