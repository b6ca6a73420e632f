//! The report: a verdict for every candidate, with the number that decided it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::money::MicroDollars;

/// At most so many candidates are listed; the rest is counted by reason.
pub const MAX_CANDIDATES: usize = 16;

/// Why each candidate was chosen or not. It is empty where nothing was looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The most telling ones: chosen, feasible by cost, then rejected.
    pub candidates: Vec<Candidate>,
    /// How many more there are, by reason.
    pub omitted: BTreeMap<Reason, u32>,
    /// Targets that the namespace may not use; they are never named.
    pub namespace_not_allowed: u32,
    /// The place that would hold the most replicas, where none holds all.
    pub largest_fit: Option<LargestFit>,
    /// Whether time, capacity or somebody else's doing can make a candidate feasible, or room where an endpoint
    /// is kept. `false` only if there is a target, all have answered, and every verdict is one that only an edit
    /// of the deployment or of a target can change.
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
    /// What all replicas cost an hour there, or would; `None` is unknown.
    pub hourly_cost: Option<MicroDollars>,
    /// The verdict.
    pub verdict: Verdict,
    /// Its reason.
    pub reason: Reason,
    /// A sentence with the numbers that decided it.
    pub message: String,
}

/// What became of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// This is the place: newly chosen, or kept.
    Chosen,
    /// It would do.
    Feasible,
    /// It would not.
    Rejected,
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

/// Reasons of verdicts. The order is that in which a candidate is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The cheapest feasible candidate, or what is kept.
    Chosen,
    /// Feasible, and not the cheapest.
    Feasible,
    /// The target does not let the namespace in.
    NamespaceNotAllowed,
    /// The target's labels do not match.
    SelectorMismatch,
    /// The cloud is not in the list.
    CloudNotAllowed,
    /// The region is denied or not allowed.
    RegionDenied,
    /// Nobody knows in which jurisdiction the region is.
    JurisdictionUnknown,
    /// The region is in none of the jurisdictions.
    JurisdictionNotAllowed,
    /// No offer has the accelerator, or not as many on one instance.
    AcceleratorMissing,
    /// The offer's capacity type is not in the list.
    CapacityTypeNotAllowed,
    /// The target's driver cannot run this engine.
    ProviderUnsupported,
    /// A taint of the target is not tolerated.
    TaintNotTolerated,
    /// It would cost more than the budget.
    OverBudget,
    /// Its price is unknown and there is a budget.
    PriceUnknown,
    /// The target cannot be used now.
    TargetNotReady,
    /// The offer refused this size lately.
    Exhausted,
    /// It does not hold all replicas.
    InsufficientCapacity,
}

impl Reason {
    /// The reason's name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chosen => "Chosen",
            Self::Feasible => "Feasible",
            Self::NamespaceNotAllowed => "NamespaceNotAllowed",
            Self::SelectorMismatch => "SelectorMismatch",
            Self::CloudNotAllowed => "CloudNotAllowed",
            Self::RegionDenied => "RegionDenied",
            Self::JurisdictionUnknown => "JurisdictionUnknown",
            Self::JurisdictionNotAllowed => "JurisdictionNotAllowed",
            Self::AcceleratorMissing => "AcceleratorMissing",
            Self::CapacityTypeNotAllowed => "CapacityTypeNotAllowed",
            Self::ProviderUnsupported => "ProviderUnsupported",
            Self::TaintNotTolerated => "TaintNotTolerated",
            Self::OverBudget => "OverBudget",
            Self::PriceUnknown => "PriceUnknown",
            Self::TargetNotReady => "TargetNotReady",
            Self::Exhausted => "Exhausted",
            Self::InsufficientCapacity => "InsufficientCapacity",
        }
    }

    /// Whether the verdict can come and go with every pod, refusal or outage, while nobody edits anything.
    #[must_use]
    pub const fn comes_and_goes(self) -> bool {
        matches!(self, Self::Feasible | Self::TargetNotReady | Self::Exhausted | Self::InsufficientCapacity)
    }

    /// Whether the verdict can change without an edit of the deployment or of a target.
    #[must_use]
    pub const fn time_can_change(self) -> bool {
        matches!(
            self,
            Self::Chosen
                | Self::Feasible
                | Self::PriceUnknown
                | Self::TargetNotReady
                | Self::Exhausted
                | Self::InsufficientCapacity
        )
    }
}
