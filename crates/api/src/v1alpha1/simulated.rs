//! `type: Simulated`: how a target behaves that is no real cloud.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{ENTRY_NAME, Engine};
use super::limits;

/// Behaviour of a simulated place. It costs nothing, and needs the operator's flag `--simulated-cloud`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedTarget {
    /// Time in seconds from the creation of a replica until it answers.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86400))]
    pub startup_seconds: i32,
    /// Time in seconds from a deletion until it is confirmed.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86400))]
    pub deletion_seconds: i32,
    /// Delay in seconds until listings show a creation or deletion.
    #[serde(default)]
    #[schemars(range(min = 0, max = 3600))]
    pub list_lag_seconds: i32,
    /// Real capacity of offers, if it differs from maxInstances.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::OFFERS))]
    pub capacity: Vec<SimulatedCapacity>,
    /// Periodic loss of spot capacity; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemption: Option<SimulatedPreemption>,
    /// Failing calls; the first fault that matches a call applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::SIMULATED_FAULTS))]
    pub faults: Vec<SimulatedFault>,
    /// Abilities of the place; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<SimulatedCapabilities>,
}

/// Abilities of a simulated place, in which managed services differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedCapabilities {
    /// Engines that it runs; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub engines: Option<Vec<Engine>>,
    /// Schemes of model sources that it loads, such as hf; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 16)), extend("x-kubernetes-list-type" = "set"))]
    pub sources: Option<Vec<String>>,
    /// Maximum number of replicas of one endpoint; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 128))]
    pub max_replicas: Option<i32>,
    /// Keeps an endpoint without replicas, and its address.
    #[serde(default = "yes")]
    pub scale_to_zero: bool,
    /// Updates an endpoint that keeps its address.
    #[serde(default = "yes")]
    pub update_in_place: bool,
}

const fn yes() -> bool {
    true
}

/// Real capacity of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedCapacity {
    /// The offer's name.
    #[schemars(length(min = 1, max = 63), regex(pattern = ENTRY_NAME))]
    pub name: String,
    /// Whole instances.
    #[schemars(range(min = 0, max = 100_000))]
    pub instances: i32,
    /// Accepts a creation beyond the capacity, and then reports that it has no room.
    #[serde(default)]
    pub late: bool,
    /// Counts as a quota: a lack of it is `QuotaExceeded`.
    #[serde(default)]
    pub quota: bool,
}

/// Periodic loss of spot capacity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedPreemption {
    /// Time in seconds until the capacity is removed.
    #[schemars(range(min = 1, max = 86400))]
    pub after_seconds: i32,
    /// Time in seconds until the capacity returns.
    #[schemars(range(min = 1, max = 86400))]
    pub down_seconds: i32,
}

/// Fault of calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedFault {
    /// Calls that fail.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "set"))]
    pub calls: Vec<SimulatedCall>,
    /// Effect on the matching calls.
    pub effect: SimulatedEffect,
    /// The class of the refusal; only for effect Refused, where absent means Transient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<SimulatedClass>,
    /// Delay of a late answer in seconds, or the pause that a throttled caller must make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub seconds: Option<i32>,
    /// Percentage of matching calls that fail; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub percent: Option<i32>,
    /// Maximum number of failing calls; absent: no limit. An edit of the fault resets the count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub times: Option<i32>,
}

/// A call to a simulated cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SimulatedCall {
    /// Asks who the place is.
    Identify,
    /// Claims the place for a hub.
    Claim,
    /// Lists the endpoints.
    List,
    /// Reads one endpoint.
    Get,
    /// Creates an endpoint.
    Create,
    /// Changes an endpoint.
    Update,
    /// Deletes an endpoint.
    Delete,
    /// A client's request to an endpoint.
    Serve,
}

/// Effect on a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SimulatedEffect {
    /// It is refused and has no effect.
    Refused,
    /// It has its effect, and its answer is lost.
    Lost,
    /// It has its effect, and its answer comes late.
    Late,
}

/// The class of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SimulatedClass {
    /// Passes by itself.
    Transient,
    /// The cloud asks to slow down.
    Throttled,
    /// There is no room.
    CapacityExhausted,
    /// The account may use no more.
    QuotaExceeded,
    /// The request can never succeed as it is.
    Invalid,
    /// A rule of the place refuses it.
    Refused,
    /// The credentials are refused.
    Unauthorized,
    /// Something is not there.
    NotFound,
    /// Somebody else's thing has the name, or it changed in between.
    Conflict,
}

impl SimulatedClass {
    /// The class as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "Transient",
            Self::Throttled => "Throttled",
            Self::CapacityExhausted => "CapacityExhausted",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::Invalid => "Invalid",
            Self::Refused => "Refused",
            Self::Unauthorized => "Unauthorized",
            Self::NotFound => "NotFound",
            Self::Conflict => "Conflict",
        }
    }
}
