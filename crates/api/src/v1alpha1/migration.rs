//! Rules of a deployment's replacements.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::limits;

/// Rules for the take-over by a replacement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Migration {
    /// Order of a replacement. With `RemoveThenReplace` there are never two endpoints, and nothing serves in between.
    #[serde(default)]
    pub order: MigrationOrder,
    /// Shift of the requests to the new endpoint, with a gateway.
    #[serde(default)]
    pub shift: Shift,
}

/// Order of a replacement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MigrationOrder {
    /// The new endpoint serves before the old one is removed.
    #[default]
    ReplaceThenRemove,
    /// The old endpoint is removed, and its removal confirmed, before the new one is created.
    RemoveThenReplace,
}

/// Shift of the requests to the new endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shift {
    /// Steps before the old endpoint drains, in their order; without steps the old endpoint drains at once. A failover takes
    /// none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::SHIFT_STEPS))]
    pub steps: Vec<ShiftStep>,
}

/// One step of a shift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShiftStep {
    /// Percentage of the requests for the new endpoint; the old one takes the rest.
    #[schemars(range(min = 1, max = 99))]
    pub weight_percent: i32,
    /// Duration of the step in seconds.
    #[schemars(range(min = 1, max = 86400))]
    pub duration_seconds: i32,
}
