//! Limits of the replacements in progress, which are settings of the operator.

use serde::{Deserialize, Serialize};

/// Replacements in progress in the fleet, unless the operator's settings say otherwise.
pub const DEFAULT_MAX_REPLACEMENTS: u32 = 5;

/// Limits of the replacements in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplacementLimits {
    /// Replacements in progress in the whole fleet.
    pub fleet: u32,
    /// Replacements in progress in one namespace, where another one is voluntary; `None` is no limit.
    pub namespace: Option<u32>,
    /// Replacements in progress to one target; `None` is no limit.
    pub destination: Option<u32>,
}

impl Default for ReplacementLimits {
    fn default() -> Self {
        Self { fleet: DEFAULT_MAX_REPLACEMENTS, namespace: None, destination: None }
    }
}

/// Set of replacements that one limit bounds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ReplacementBudget {
    /// All.
    Fleet,
    /// Those of the deployments in a namespace.
    Namespace {
        /// The namespace.
        namespace: String,
    },
    /// Those to a target.
    Destination {
        /// The target.
        target: String,
    },
}
