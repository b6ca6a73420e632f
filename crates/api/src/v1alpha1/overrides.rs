//! Settings of the engine that hold at one type of targets alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::EnvVar;
use super::limits;
use super::serving_target::TargetType;

/// Settings of the engine at targets of one type, which cannot serve with those of all other places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EngineOverride {
    /// Type of the targets. One whose service runs a server of its own allows only `omit`.
    #[serde(rename = "type")]
    pub type_: TargetType,
    /// Image of the engine there, instead of the deployment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
    /// Arguments of the engine there, after all others: of an argument that is given twice, vLLM takes the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::ARGS), inner(length(max = limits::TEXT)))]
    pub args: Vec<String>,
    /// Environment variables of the engine there, after the deployment's others. One of the same name replaces the deployment's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = limits::ENV))]
    pub env: Vec<EnvVar>,
    /// Settings of the deployment that are left out there: Args for `serving.args`, Env for `serving.env`, Revision for
    /// `model.revision`. Arguments of shapes stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 3), extend("x-kubernetes-list-type" = "set"))]
    pub omit: Vec<OmittedSetting>,
}

impl EngineOverride {
    /// True if it leaves this setting out.
    #[must_use]
    pub fn omits(&self, setting: OmittedSetting) -> bool {
        self.omit.contains(&setting)
    }
}

/// A setting of a deployment that is left out at targets of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OmittedSetting {
    /// Arguments for every shape.
    Args,
    /// Environment variables.
    Env,
    /// Revision of the model.
    Revision,
}
