//! Verdicts on candidates, with the facts and numbers that decided them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::engine_setting::EngineSetting;
use crate::membership::{Excess, LeftOut, NoNodes};
use crate::money::MicroDollars;
use crate::offer::{CapacityType, Offer};
use crate::pattern::Pattern;
use crate::price::Unpriced;
use crate::resources::Accelerator;
use crate::taints::Taint;
use crate::time::Timestamp;

/// The verdict on a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// This is the place: newly chosen, or kept.
    Chosen(Choice),
    /// It would do.
    Feasible(Comparison),
    /// It would not.
    Rejected(Rejection),
}

impl Verdict {
    /// Its reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Chosen(_) => Reason::Chosen,
            Self::Feasible(_) => Reason::Feasible,
            Self::Rejected(rejection) => rejection.reason(),
        }
    }

    /// True if this is the place.
    #[must_use]
    pub const fn is_chosen(&self) -> bool {
        matches!(self, Self::Chosen(_))
    }
}

/// Facts that speak for the chosen candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Cost an hour of all replicas; `None` is unknown.
    pub cost: Option<MicroDollars>,
    /// Number of feasible candidates, this one included; `None` where an endpoint is kept there, whatever it costs
    /// elsewhere.
    pub best_of: Option<u32>,
    /// Replicas there, and those that were divided, where it is one place of several.
    pub share: Option<(u32, u32)>,
    /// Further facts that count in the comparison.
    pub remarks: Remarks,
}

/// A feasible candidate compared with the chosen one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Cost an hour of all replicas; `None` is unknown.
    pub cost: Option<MicroDollars>,
    /// Cost an hour of the chosen one; `None` where it is unknown, or none is chosen.
    pub chosen: Option<MicroDollars>,
    /// Further facts that count in the comparison.
    pub remarks: Remarks,
}

/// Facts beside the cost that count in the comparison of candidates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remarks {
    /// The preference that it matches.
    pub preferred: Option<Preferred>,
    /// Its throughput, where cost per token is compared.
    pub throughput: Option<Throughput>,
    /// Cost of a million tokens, where cost per token is compared and it is charged by tokens.
    pub charged_per_million: Option<MicroDollars>,
    /// The cause that its cost by the hour is unknown.
    pub unpriced: Option<Unpriced>,
    /// It is reserved and has no price, so it counts as free.
    pub reserved_without_price: bool,
}

/// A preference that a candidate matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preferred {
    /// Name of the preference.
    pub name: String,
    /// Percent that it may cost more.
    pub premium_percent: u32,
}

/// Throughput of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throughput {
    /// Tokens per second of one replica.
    pub tokens_per_second: u64,
    /// Cost of a million tokens, rounded up; `None` is unknown.
    pub per_million: Option<MicroDollars>,
}

/// The rule that a candidate breaks, or what it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rejection {
    /// The target does not let the namespace in.
    NamespaceNotAllowed {
        /// The target.
        target: String,
        /// The namespace.
        namespace: String,
    },
    /// The target's labels do not match.
    SelectorMismatch(Mismatch),
    /// The cloud is not in the list.
    CloudNotAllowed {
        /// The target's cloud.
        cloud: String,
        /// The list.
        allowed: BTreeSet<String>,
    },
    /// The region is denied or not allowed.
    RegionDenied {
        /// The target's region.
        region: String,
        /// The rule.
        by: RegionRule,
    },
    /// The jurisdiction of the region is unknown.
    JurisdictionUnknown {
        /// The target's region.
        region: String,
        /// Its cloud.
        cloud: String,
    },
    /// The region is in none of the jurisdictions.
    JurisdictionNotAllowed {
        /// The target's region.
        region: String,
        /// The jurisdictions that it is in.
        found: BTreeSet<String>,
        /// Those that are wanted.
        wanted: BTreeSet<String>,
    },
    /// No offer has the accelerator, or not as many on one instance.
    AcceleratorMissing(MissingAccelerator),
    /// The offer's capacity type is not in the list.
    CapacityTypeNotAllowed {
        /// The offer's.
        found: CapacityType,
        /// The list.
        allowed: BTreeSet<CapacityType>,
    },
    /// The target's driver cannot do what is wanted.
    ProviderUnsupported(Unsupported),
    /// A taint of the target is not tolerated.
    TaintNotTolerated(Taint),
    /// It would cost more than the budget.
    OverBudget {
        /// Its cost an hour; `None` is unknown.
        cost: Option<MicroDollars>,
        /// The budget.
        budget: Option<MicroDollars>,
    },
    /// It has no known cost by the hour and there is a budget.
    PriceUnknown {
        /// The cause.
        cause: Unpriced,
        /// The budget.
        budget: Option<MicroDollars>,
    },
    /// The target cannot be used now.
    TargetNotReady(Unusable),
    /// The endpoint that is replaced fails there.
    EndpointFailing,
    /// The offer refused this size lately.
    Exhausted(Refusal),
    /// It does not hold all replicas.
    InsufficientCapacity(Shortage),
}

impl Rejection {
    /// Its reason.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NamespaceNotAllowed { .. } => Reason::NamespaceNotAllowed,
            Self::SelectorMismatch(_) => Reason::SelectorMismatch,
            Self::CloudNotAllowed { .. } => Reason::CloudNotAllowed,
            Self::RegionDenied { .. } => Reason::RegionDenied,
            Self::JurisdictionUnknown { .. } => Reason::JurisdictionUnknown,
            Self::JurisdictionNotAllowed { .. } => Reason::JurisdictionNotAllowed,
            Self::AcceleratorMissing(_) => Reason::AcceleratorMissing,
            Self::CapacityTypeNotAllowed { .. } => Reason::CapacityTypeNotAllowed,
            Self::ProviderUnsupported(_) => Reason::ProviderUnsupported,
            Self::TaintNotTolerated(_) => Reason::TaintNotTolerated,
            Self::OverBudget { .. } => Reason::OverBudget,
            Self::PriceUnknown { .. } => Reason::PriceUnknown,
            Self::TargetNotReady(_) => Reason::TargetNotReady,
            Self::EndpointFailing => Reason::EndpointFailing,
            Self::Exhausted(_) => Reason::Exhausted,
            Self::InsufficientCapacity(_) => Reason::InsufficientCapacity,
        }
    }
}

/// The part of a request that the driver of a target cannot do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unsupported {
    /// The engine.
    Engine {
        /// The engine that is wanted.
        engine: String,
        /// Those that it can run.
        engines: BTreeSet<String>,
    },
    /// The model's source.
    Source {
        /// The source.
        source: String,
        /// Schemes and sources from which it can load.
        sources: BTreeSet<String>,
    },
    /// Settings of the engine: its service runs a server of its own.
    Settings {
        /// Those that it ignores.
        ignored: BTreeSet<EngineSetting>,
        /// Type of the target.
        target_type: String,
    },
    /// The number of replicas.
    Replicas {
        /// The replicas that are wanted.
        wanted: u32,
        /// Maximum of one endpoint.
        most: u32,
    },
    /// An endpoint without replicas.
    ScaleToZero,
    /// An update in place.
    UpdateInPlace,
}

/// The part of a selector that labels do not match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mismatch {
    /// A label.
    Label {
        /// Its key.
        key: String,
        /// The value that is wanted.
        wanted: String,
        /// The value that was found, if any.
        found: Option<String>,
    },
    /// An expression.
    Expression,
}

/// The rule that excludes a region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegionRule {
    /// This pattern denies it.
    Denied(Pattern),
    /// It matches none of these patterns.
    NotAllowed(Vec<Pattern>),
}

/// The accelerator that a target does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MissingAccelerator {
    /// An instance has fewer than one replica needs.
    TooFew {
        /// Accelerators of an instance.
        instance: Accelerator,
        /// Accelerators of a replica.
        wanted: u32,
    },
    /// A replica would pay for a whole instance, and needs a part of it.
    PartOfInstance {
        /// Accelerators of an instance.
        instance: Accelerator,
        /// Accelerators of a replica.
        wanted: u32,
    },
    /// No offer has this kind.
    NoOffer {
        /// The kind.
        kind: String,
        /// The kinds that its offers have.
        offered: BTreeSet<String>,
    },
}

/// The reason that a target cannot be used for anything new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unusable {
    /// Its inventory has not been received, and the deployment is placed without it.
    WithoutInventory,
    /// It cannot be used.
    Since {
        /// Since then.
        since: Timestamp,
        /// CamelCase reason.
        reason: String,
    },
}

/// The refusal that speaks against a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It is recorded at the target.
    Recorded {
        /// Accelerators of the replica that was refused.
        accelerators: u32,
        /// Their kind.
        kind: String,
        /// CamelCase reason.
        reason: String,
        /// Times in a row.
        attempts: u32,
        /// Time until which nothing as large is tried there.
        until: Timestamp,
    },
    /// An endpoint of this deployment was refused there within this plan.
    InThisPlan,
    /// An endpoint there has pods as large that cannot be scheduled.
    Unschedulable,
}

/// Replicas that a place does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// Replicas that are wanted.
    pub wanted: u32,
    /// Accelerators of one.
    pub accelerator: Accelerator,
    /// Replicas that fit.
    pub fits: u32,
    /// The first thing that alone would not do.
    pub limit: Option<Limit>,
}

/// The first thing of a place that alone would not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
    /// The service says that it has no further instance at present.
    SoldOut {
        /// Instance type.
        instance_type: String,
    },
    /// The offer's `maxInstances`.
    MaxInstances {
        /// Its value.
        instances: u32,
        /// Accelerators of so many instances.
        accelerators: u64,
        /// Their kind.
        kind: String,
        /// Accelerators that endpoints hold.
        held: u64,
    },
    /// Accelerators.
    Accelerators(Box<FreeAccelerators>),
    /// Memory, in bytes.
    Memory(Amount),
    /// CPU, in thousandths of a core.
    Cpu(Amount),
    /// Ephemeral storage, in bytes.
    EphemeralStorage(Amount),
    /// No node has enough of everything at once.
    Together,
}

/// An amount of one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Wanted for one replica.
    pub wanted: u64,
    /// Free on the node that has most.
    pub free: u64,
}

/// Accelerators that are free on an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreeAccelerators {
    /// The offer.
    pub offer: Offer,
    /// Its instances.
    pub instances: Instances,
    /// The endpoint's own are not counted.
    pub besides_own: bool,
    /// Nodes that may be added.
    pub addable: u32,
    /// Replicas that are decided and not bound yet.
    pub unbound: u32,
    /// Causes that leave most nodes out, each with their number.
    pub left_out: Vec<(LeftOut, u32)>,
    /// Further causes.
    pub more_causes: u32,
    /// Nodes that have more devices than an instance of the offer.
    pub excess: Option<Excess>,
}

/// Instances of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Instances {
    /// So many may be made; there are no nodes to look at.
    MayBeMade(u32),
    /// The target shows no nodes.
    NoneShown,
    /// None of the nodes belongs to the offer.
    None(NoNodes),
    /// Nodes that it may use.
    Nodes {
        /// Accelerators that are free there.
        free: u64,
        /// Their number.
        nodes: u32,
    },
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
    /// The jurisdiction of the region is unknown.
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
    /// The endpoint that is replaced fails there.
    EndpointFailing,
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
            Self::EndpointFailing => "EndpointFailing",
            Self::Exhausted => "Exhausted",
            Self::InsufficientCapacity => "InsufficientCapacity",
        }
    }

    /// True if the verdict can come and go with every pod, refusal or outage, without any edit.
    #[must_use]
    pub const fn comes_and_goes(self) -> bool {
        matches!(
            self,
            Self::Feasible
                | Self::TargetNotReady
                | Self::EndpointFailing
                | Self::Exhausted
                | Self::InsufficientCapacity
        )
    }

    /// True if the verdict can change without an edit of the deployment or of a target.
    #[must_use]
    pub const fn time_can_change(self) -> bool {
        matches!(
            self,
            Self::Chosen
                | Self::Feasible
                | Self::PriceUnknown
                | Self::TargetNotReady
                | Self::EndpointFailing
                | Self::Exhausted
                | Self::InsufficientCapacity
        )
    }
}
