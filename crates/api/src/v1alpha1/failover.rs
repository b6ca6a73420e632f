//! Failover: its rules in a deployment's spec, the health of an endpoint, and the record of the last move.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Replacement of an endpoint that does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failover {
    /// Automatic: an endpoint that does not answer for tolerationSeconds is replaced on another target. Disabled: it stays.
    #[serde(default)]
    pub policy: FailoverPolicy,
    /// Time in seconds from the first failed probe of an unbroken run until the replacement is requested.
    #[serde(default = "default_toleration")]
    #[schemars(range(min = 10, max = 86400))]
    pub toleration_seconds: i32,
}

const fn default_toleration() -> i32 {
    60
}

impl Default for Failover {
    fn default() -> Self {
        Self { policy: FailoverPolicy::default(), toleration_seconds: default_toleration() }
    }
}

/// Policy of failover.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FailoverPolicy {
    /// An endpoint that fails for longer than the toleration is replaced.
    #[default]
    Automatic,
    /// Nothing is replaced because it fails.
    Disabled,
}

/// Health of an endpoint, by its target's API and its own answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Health {
    /// The target's API and the endpoint answer.
    Healthy,
    /// The target's API answers, the endpoint does not.
    Failing,
    /// The target's API does not answer, the endpoint does.
    Isolated,
    /// Neither answers.
    Lost,
    /// One of the two could not be asked.
    Unknown,
}

impl Health {
    /// True if the endpoint does not answer its probe.
    #[must_use]
    pub const fn is_failing(self) -> bool {
        matches!(self, Self::Failing | Self::Lost)
    }
}

/// The latest replacement that has taken over, measured from persisted times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastMove {
    /// The endpoint that took over.
    #[schemars(length(max = 63))]
    pub endpoint: String,
    /// The endpoint that it replaced.
    #[schemars(length(max = 63))]
    pub replaces: String,
    /// Target of the replaced endpoint.
    #[schemars(length(max = 63))]
    pub from: String,
    /// Target of the new endpoint.
    #[schemars(length(max = 63))]
    pub to: String,
    /// Reason of the replacement.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// Time of the first stage.
    pub started_at: Time,
    /// Time of the last stage.
    pub finished_at: Time,
    /// Time in seconds between them.
    pub duration_seconds: i64,
    /// Stages in their order.
    #[schemars(length(max = 8))]
    pub stages: Vec<MoveStage>,
}

/// A stage of a move.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MoveStage {
    /// The stage.
    pub name: StageName,
    /// Time of the stage.
    pub at: Time,
}

/// Name of a stage of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StageName {
    /// First failed probe of the replaced endpoint; only in a failover.
    Detected,
    /// The replacement was decided and recorded.
    Decided,
    /// The target had created the replacement.
    Created,
    /// The replacement answered.
    Ready,
    /// Its address was published.
    Routed,
}
