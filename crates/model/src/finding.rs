//! Findings about the place of an endpoint that stays.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::engine_setting::EngineSetting;
use crate::money::MicroDollars;
use crate::resources::Accelerator;
use crate::taints::Taint;
use crate::time::Timestamp;
use crate::verdict::{Limit, Rejection, Unusable};

/// Something about the place of an endpoint that stays, with the facts and numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finding {
    /// A rule forbids it. It stays until a replacement is ready.
    PolicyViolated(Rejection),
    /// The spec asks for another engine, shape or resources than it can have there.
    SpecChanged(SpecChange),
    /// A taint evicts it from its target.
    TargetEvicted {
        /// The target.
        target: String,
        /// The taint.
        taint: Taint,
    },
    /// A user asked for a move to another target.
    MoveRequested {
        /// That target.
        to: String,
    },
    /// The target that a failover left is usable again.
    FailedBack {
        /// That target.
        to: String,
        /// Since when.
        since: Timestamp,
    },
    /// Neither its target nor it answers.
    TargetLost(Outage),
    /// It does not answer.
    EndpointFailing(Outage),
    /// Its target cannot be used now.
    TargetNotReady(TargetTrouble),
    /// It costs more than the budget, or what is wanted there would.
    OverBudget(OverBudget),
    /// More replicas are wanted there, their price is unknown, and there is a budget.
    PriceUnknown(Unaffordable),
    /// The wanted replicas do not fit there, or its own pods cannot be scheduled.
    InsufficientCapacity(LackOfRoom),
    /// More replicas are wanted there than its target runs of one endpoint.
    ProviderUnsupported {
        /// The target.
        target: String,
        /// Replicas that are wanted.
        wanted: u32,
        /// Maximum of one endpoint.
        most: u32,
        /// Replicas that stay.
        held: u32,
    },
    /// Its offer is gone or smaller than what is used; it stays at its last known price.
    OfferGone(OfferTrouble),
    /// It did not answer within its start-up timeout.
    StartupTimeout {
        /// The end of the timeout.
        ended: Timestamp,
    },
}

impl Finding {
    /// Its reason.
    #[must_use]
    pub const fn reason(&self) -> FindingReason {
        match self {
            Self::PolicyViolated(_) => FindingReason::PolicyViolated,
            Self::SpecChanged(_) => FindingReason::SpecChanged,
            Self::TargetEvicted { .. } => FindingReason::TargetEvicted,
            Self::MoveRequested { .. } => FindingReason::MoveRequested,
            Self::FailedBack { .. } => FindingReason::FailedBack,
            Self::TargetLost(_) => FindingReason::TargetLost,
            Self::EndpointFailing(_) => FindingReason::EndpointFailing,
            Self::TargetNotReady(_) => FindingReason::TargetNotReady,
            Self::OverBudget(_) => FindingReason::OverBudget,
            Self::PriceUnknown(_) => FindingReason::PriceUnknown,
            Self::InsufficientCapacity(_) => FindingReason::InsufficientCapacity,
            Self::ProviderUnsupported { .. } => FindingReason::ProviderUnsupported,
            Self::OfferGone(_) => FindingReason::OfferGone,
            Self::StartupTimeout { .. } => FindingReason::StartupTimeout,
        }
    }
}

/// The difference between the spec and an endpoint that cannot be changed in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpecChange {
    /// The spec has no such shape any more.
    ShapeGone {
        /// Its name.
        shape: String,
    },
    /// The shape has other accelerators.
    Accelerator {
        /// The shape's name.
        shape: String,
        /// The spec's accelerators.
        wanted: Accelerator,
        /// The endpoint's.
        found: Accelerator,
    },
    /// The engine is another.
    Engine {
        /// The spec's.
        wanted: String,
        /// The endpoint's.
        found: String,
    },
    /// Another field of the replicas changed, and the place runs a server of its own.
    Settings {
        /// The target.
        target: String,
        /// Settings of the spec that it ignores.
        ignored: BTreeSet<EngineSetting>,
    },
    /// Another field of the replicas changed, and the place updates nothing in place.
    InPlace {
        /// The target.
        target: String,
    },
}

/// Failure of an endpoint that was ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// The endpoint.
    pub endpoint: String,
    /// Its target.
    pub target: String,
    /// Time of the first failed probe.
    pub since: Timestamp,
    /// End of the toleration.
    pub until: Timestamp,
}

/// The reason that the target of an endpoint cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TargetTrouble {
    /// There is no such target any more.
    Gone {
        /// Its name.
        target: String,
    },
    /// It is there.
    Unusable(Unusable),
}

/// A budget that an endpoint breaks, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OverBudget {
    /// As it is.
    AsItIs {
        /// Its cost an hour.
        cost: Option<MicroDollars>,
        /// The budget.
        budget: Option<MicroDollars>,
    },
    /// With the replicas that are wanted.
    Grown(Unaffordable),
}

/// Replicas that the budget does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unaffordable {
    /// Replicas that are wanted.
    pub wanted: u32,
    /// Their cost an hour; `None` is unknown.
    pub cost: Option<MicroDollars>,
    /// The budget.
    pub budget: Option<MicroDollars>,
    /// Replicas that stay.
    pub held: u32,
}

/// Room that an endpoint lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LackOfRoom {
    /// It cannot have what the spec wants.
    Growth {
        /// Replicas that do not fit; `None` where the wanted resources do not.
        replicas: Option<u32>,
        /// The target.
        target: String,
        /// The offer.
        offer: String,
        /// The first thing that alone would not do, if the offer is there.
        limit: Option<Limit>,
        /// Replicas that stay as they are.
        held: u32,
    },
    /// Some of its pods cannot be scheduled.
    Unschedulable {
        /// The target.
        target: String,
        /// Pods that are bound.
        bound: u32,
        /// Replicas that it is to have.
        replicas: u32,
    },
}

/// An offer that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OfferTrouble {
    /// The target no longer has it.
    Gone {
        /// The target.
        target: String,
        /// The offer.
        offer: String,
    },
    /// More is used than it now has.
    Smaller {
        /// The target.
        target: String,
        /// The offer.
        offer: String,
        /// Its `maxInstances`.
        instances: u32,
        /// Accelerators of so many instances.
        allowed: u64,
        /// Accelerators that endpoints hold.
        held: u64,
    },
}

/// Problem of a place that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FindingReason {
    /// A rule forbids it. It stays until a replacement is ready.
    PolicyViolated,
    /// The spec asks for another engine, shape or resources than it can have there.
    SpecChanged,
    /// A taint evicts it from its target. It stays until a replacement is ready.
    TargetEvicted,
    /// A user asked for a move to another target. It stays until a replacement is ready.
    MoveRequested,
    /// The target that a failover left is usable again. It stays until a replacement is ready.
    FailedBack,
    /// Neither its target nor it answers. It stays until a replacement is ready.
    TargetLost,
    /// It does not answer. It stays until a replacement is ready.
    EndpointFailing,
    /// Its target cannot be used now.
    TargetNotReady,
    /// It costs more than the budget, or what is wanted there would.
    OverBudget,
    /// More replicas are wanted there, their price is unknown, and there is a budget.
    PriceUnknown,
    /// The wanted replicas do not fit there, or its own pods cannot be scheduled.
    InsufficientCapacity,
    /// More replicas are wanted there than its target runs of one endpoint.
    ProviderUnsupported,
    /// Its offer is gone or smaller than what is used; it stays at its last known price.
    OfferGone,
    /// It did not answer within its start-up timeout.
    StartupTimeout,
}

impl FindingReason {
    /// The reason's name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PolicyViolated => "PolicyViolated",
            Self::SpecChanged => "SpecChanged",
            Self::TargetEvicted => "TargetEvicted",
            Self::MoveRequested => "MoveRequested",
            Self::FailedBack => "FailedBack",
            Self::TargetLost => "TargetLost",
            Self::EndpointFailing => "EndpointFailing",
            Self::TargetNotReady => "TargetNotReady",
            Self::OverBudget => "OverBudget",
            Self::PriceUnknown => "PriceUnknown",
            Self::InsufficientCapacity => "InsufficientCapacity",
            Self::ProviderUnsupported => "ProviderUnsupported",
            Self::OfferGone => "OfferGone",
            Self::StartupTimeout => "StartupTimeout",
        }
    }
}
