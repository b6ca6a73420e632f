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
    /// Type of the targets, of one that runs the deployment's own engine.
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
}
