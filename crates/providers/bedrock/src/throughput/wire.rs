//! Inputs and outputs of the operations on provisioned throughput, as far as the driver uses them. Unknown fields of answers are ignored.

use serde::{Deserialize, Serialize};

use crate::wire::{BedrockTag, BedrockTags};

/// Input of `CreateProvisionedModelThroughput`. It has no `commitmentDuration`: with one, AWS bills for months.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewThroughput {
    /// Name.
    pub provisioned_model_name: String,
    /// Model of a maker, or the ARN of a customized one.
    pub model_id: String,
    /// Units.
    pub model_units: i32,
    /// Token of the purchase.
    pub client_request_token: String,
    /// Tags.
    pub tags: Vec<BedrockTag>,
}

/// A throughput, in a listing or by itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThroughputView {
    /// Name.
    pub provisioned_model_name: String,
    /// ARN.
    pub provisioned_model_arn: String,
    /// State.
    pub status: String,
    /// Begin, in RFC 3339.
    pub creation_time: String,
    /// Text of a failure; only of a throughput by itself.
    #[serde(default)]
    pub failure_message: Option<String>,
}

impl ThroughputView {
    /// True if it takes requests. While it gets another model, the former one serves.
    #[must_use]
    pub fn serves(&self) -> bool {
        ["InService", "Updating"].contains(&self.status.as_str())
    }

    /// True in a state that this version does not know.
    #[must_use]
    pub fn is_in_unknown_state(&self) -> bool {
        !self.serves() && !["Creating", "Failed"].contains(&self.status.as_str())
    }
}

/// A throughput with its tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedThroughput {
    /// The throughput.
    pub view: ThroughputView,
    /// Tags.
    pub tags: BedrockTags,
}

impl TaggedThroughput {
    /// Identity of the endpoint at the place: the end of its ARN, which is never given again.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.view.provisioned_model_arn.rsplit('/').next().unwrap_or_default()
    }
}
