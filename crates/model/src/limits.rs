//! Limits of the replacements in progress, which are settings of the operator.

/// Replacements in progress in the fleet, unless the operator's settings say otherwise.
pub const DEFAULT_MAX_REPLACEMENTS: u32 = 5;

/// Limits of the replacements in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplacementLimits {
    /// Replacements in progress in the whole fleet.
    pub fleet: u32,
}

impl Default for ReplacementLimits {
    fn default() -> Self {
        Self { fleet: DEFAULT_MAX_REPLACEMENTS }
    }
}
