//! Synthetic fleets and deployments for the planner's benchmark: realistic, and always the same for the same seed.

#![allow(clippy::unwrap_used, reason = "the fleets come from committed data and fixed seeds")]
#![allow(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "only the benchmark uses them")]

pub mod deployments;
pub mod fleet;
pub mod random;
pub mod targets;

use roadstead_model::Timestamp;

/// Time of every plan: 2026-08-01T12:00:00Z.
pub const NOW: Timestamp = Timestamp(1_785_585_600);
