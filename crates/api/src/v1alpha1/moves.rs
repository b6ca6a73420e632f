//! Moves in a deployment's status: those under way, and the latest one that is done.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limits;

/// A replacement under way: from the record of the new endpoint until the removal of the old one is confirmed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MoveStatus {
    /// The new endpoint.
    #[schemars(length(max = 63))]
    pub endpoint: String,
    /// The old endpoint.
    #[schemars(length(max = 63))]
    pub replaces: String,
    /// Kind of the move, which follows from its reason.
    pub kind: MoveKind,
    /// Reason of the replacement.
    #[schemars(length(max = 128))]
    pub reason: String,
    /// The step in progress.
    pub step: MoveStep,
    /// Percentage of the requests for the new endpoint in a step of a shift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_percent: Option<i32>,
    /// Time of the decision.
    pub started_at: Time,
    /// End of the step at the latest: the new endpoint is withdrawn then or takes its next share, or the old one is removed.
    /// Absent where the step has no end of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Time>,
    /// Condition that the move waits for.
    #[schemars(length(max = limits::MESSAGE))]
    pub message: String,
}

/// Kind of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MoveKind {
    /// The old endpoint fails.
    Failover,
    /// A user asked for it.
    Requested,
    /// A taint evicts the old endpoint from its target.
    Evacuation,
    /// The deployment returns to the target that a failover left.
    Failback,
    /// The old endpoint does not meet the spec or the rules any more.
    Replacement,
}

/// Target that a failover left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HomeStatus {
    /// The target.
    #[schemars(length(max = 63))]
    pub target: String,
    /// Time of the failover.
    pub since: Time,
}

/// Step of a move, in the order of the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum MoveStep {
    /// The new endpoint starts.
    Surge,
    /// A gateway asks the new endpoint before callers reach it.
    Verify,
    /// Both endpoints take requests.
    Shift,
    /// The old endpoint takes no new request.
    Drain,
    /// The old endpoint is being removed.
    Remove,
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
