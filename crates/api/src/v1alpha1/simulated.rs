//! `type: Simulated`: how a target behaves that is no real cloud.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::ENTRY_NAME;
use super::limits;

/// How a simulated place behaves. It spends nothing; it needs the operator's flag `--simulated-cloud`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedTarget {
    /// Seconds from the creation of a replica until it answers.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86400))]
    pub startup_seconds: i32,
    /// Seconds from a deletion until it is confirmed.
    #[serde(default)]
    #[schemars(range(min = 0, max = 86400))]
    pub deletion_seconds: i32,
    /// Seconds by which listings lag behind what was created and deleted.
    #[serde(default)]
    #[schemars(range(min = 0, max = 3600))]
    pub list_lag_seconds: i32,
    /// What really is there, where it is not what maxInstances says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::OFFERS))]
    pub capacity: Vec<SimulatedCapacity>,
    /// When spot capacity is taken away; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preemption: Option<SimulatedPreemption>,
    /// What goes wrong; the first that fits a call hits it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::SIMULATED_FAULTS))]
    pub faults: Vec<SimulatedFault>,
}

/// How much of an offer really is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedCapacity {
    /// The offer's name.
    #[schemars(length(min = 1, max = 63), regex(pattern = ENTRY_NAME))]
    pub name: String,
    /// Whole instances.
    #[schemars(range(min = 0, max = 100_000))]
    pub instances: i32,
    /// Says that a creation is accepted, and only then found to have no room.
    #[serde(default)]
    pub late: bool,
}

/// When spot capacity is taken away, again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedPreemption {
    /// Seconds of service before it is taken.
    #[schemars(range(min = 1, max = 86400))]
    pub after_seconds: i32,
    /// Seconds until it is given back.
    #[schemars(range(min = 1, max = 86400))]
    pub down_seconds: i32,
}

/// Something that goes wrong with calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulatedFault {
    /// The calls that it hits.
    #[schemars(length(min = 1, max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub calls: Vec<SimulatedCall>,
    /// What happens to them.
    pub effect: SimulatedEffect,
    /// The class of the refusal; only for effect Refused, where absent means Transient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<SimulatedClass>,
    /// Seconds: until a late answer, or after which a throttled caller is told to come again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub seconds: Option<i32>,
    /// How many of a hundred calls are hit; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub percent: Option<i32>,
    /// Hits at most so many calls; absent: as long as it stands here. An edit of the fault counts anew.
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
    /// Lists what is there.
    List,
    /// Reads one endpoint.
    Get,
    /// Creates an endpoint.
    Create,
    /// Changes an endpoint.
    Update,
    /// Deletes an endpoint.
    Delete,
}

/// What happens to a call.
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
