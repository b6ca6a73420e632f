//! The report: a verdict for every candidate, with the numbers that decided it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::money::MicroDollars;
use crate::verdict::{Reason, Verdict};

/// At most so many candidates are listed; the rest is counted by reason.
pub const MAX_CANDIDATES: usize = 16;

/// Why each candidate was chosen or not. It is empty where nothing was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The most telling ones: chosen, feasible by cost, then rejected.
    pub candidates: Vec<Candidate>,
    /// Number of unlisted candidates, by reason.
    pub omitted: BTreeMap<Reason, u32>,
    /// Targets that the namespace may not use; they are never named.
    pub namespace_not_allowed: u32,
    /// The place that would hold the most replicas, where none holds all.
    pub largest_fit: Option<LargestFit>,
    /// True if time, capacity or somebody else's doing can make a candidate feasible, or room where an endpoint is
    /// kept. `false` only if there is a target, all have answered, and every verdict is one that only an edit of the
    /// deployment or of a target can change.
    pub time_can_help: bool,
}

/// One candidate and its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Target.
    pub target: String,
    /// Its cloud.
    pub cloud: String,
    /// Its region.
    pub region: String,
    /// Offer; `None` where no offer of the target has the accelerator.
    pub offer: Option<String>,
    /// Shape.
    pub shape: String,
    /// Hourly cost of all replicas there, actual or hypothetical; `None` is unknown.
    pub hourly_cost: Option<MicroDollars>,
    /// The verdict.
    pub verdict: Verdict,
}

impl Candidate {
    /// The reason of its verdict.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.verdict.reason()
    }
}

/// The place that would hold the most replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargestFit {
    /// Target.
    pub target: String,
    /// Offer.
    pub offer: String,
    /// Shape.
    pub shape: String,
    /// Replicas that fit there.
    pub replicas: u32,
}
