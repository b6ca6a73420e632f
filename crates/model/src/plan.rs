//! The plan: a value that says what to do, why, and what is waited for.

use serde::{Deserialize, Serialize};

use crate::allocation::Allocation;
use crate::deployment::Deployment;
use crate::endpoint::{Endpoint, EndpointState, Found, Shifting};
use crate::finding::{Finding, FindingReason};
use crate::identity::DeploymentId;
use crate::limits::ReplacementBudget;
use crate::money::MicroDollars;
use crate::placement::Placement;
use crate::report::Report;
use crate::resources::Size;
use crate::summary::{Nowhere, Summary};
use crate::time::Timestamp;

/// Everything that was decided for one deployment at one time: what is wanted, and the steps from what exists to it.
///
/// Endpoints that no action names are left as they are (draining before their deadline, or being deleted).
/// Actions are in the order in which they are to be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Whose plan it is.
    pub deployment: DeploymentId,
    /// Revision of the decision: one more than the last published one if the endpoints that do not drain change.
    pub revision: u64,
    /// The time it was made for.
    pub decided_at: Timestamp,
    /// Wanted allocations, one for every existing endpoint: serving ones first, then replacements, standbys and draining ones.
    pub allocations: Vec<Allocation>,
    /// Actions to carry out.
    pub actions: Vec<Action>,
    /// The sum of it, for conditions and events.
    pub decision: Decision,
    /// The sum of it with names and numbers.
    pub summary: Summary,
    /// Conditions that must be met before more actions are possible.
    pub waits: Vec<Wait>,
    /// Why each candidate was chosen or not.
    pub report: Report,
    /// Time when the same facts give another plan; `None` is never.
    pub recheck_at: Option<Timestamp>,
}

/// One step of a plan. Endpoints are named within the deployment's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Serve at this endpoint with so many replicas.
    Keep(Keep),
    /// Record what was found as an endpoint of this deployment.
    Adopt {
        /// The found endpoint.
        found: Found,
        /// Its state from now on.
        state: EndpointState,
    },
    /// Make a new endpoint.
    Create {
        /// Place and size.
        placement: Placement,
        /// The endpoint it takes over from.
        replaces: Option<String>,
        /// It stands by.
        stands_by: bool,
        /// Why.
        reason: Decision,
    },
    /// Let a standby take over.
    Promote {
        /// Which.
        endpoint: String,
        /// The endpoint it takes over from.
        replaces: String,
        /// Why.
        reason: Decision,
    },
    /// Let it serve until the deadline, and delete it then (a later plan says so).
    Drain {
        /// Which.
        endpoint: String,
        /// Earliest time of its deletion.
        deadline: Timestamp,
        /// Why.
        reason: Removal,
    },
    /// Request its deletion.
    Delete {
        /// Which.
        endpoint: String,
        /// Why.
        reason: Removal,
        /// Back-off of the place, to be recorded at the target.
        exhaust: Option<Exhaust>,
    },
}

impl Action {
    /// Name of the existing endpoint that it is about; `None` where it adopts or creates one.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        match self {
            Self::Keep(Keep { endpoint, .. })
            | Self::Promote { endpoint, .. }
            | Self::Drain { endpoint, .. }
            | Self::Delete { endpoint, .. } => Some(endpoint),
            Self::Adopt { .. } | Self::Create { .. } => None,
        }
    }
}

/// Wanted state of an endpoint that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// Which.
    pub endpoint: String,
    /// Replicas it is to have.
    pub replicas: u32,
    /// Relation of its pod fields to the deployment's spec.
    pub pods: PodFields,
    /// Hourly cost of these replicas; `None` is unknown.
    pub hourly_cost: Option<MicroDollars>,
    /// Problems of its place, most important first; empty if there are none.
    pub findings: Vec<Finding>,
}

impl Keep {
    /// True if all that keeps it from what is wanted is room in its place: room may come, whatever is said of newcomers
    /// there.
    #[must_use]
    pub fn lacks_only_room(&self) -> bool {
        let of = |reason| self.findings.iter().any(|finding| finding.reason() == reason);
        let final_here = [FindingReason::PolicyViolated, FindingReason::SpecChanged, FindingReason::OverBudget];
        of(FindingReason::InsufficientCapacity) && !final_here.into_iter().any(of)
    }

    /// True if this gives `endpoint` a new spec, which its ready pods do not serve yet.
    #[must_use]
    pub fn tells_anew(&self, endpoint: &Endpoint, deployment: &Deployment) -> bool {
        let follows = self.pods == PodFields::FollowSpec;
        self.replicas != endpoint.replicas || (follows && endpoint.resources != deployment.resources)
    }
}

/// Relation of an endpoint's pod fields to the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PodFields {
    /// They are those of the deployment's spec now.
    FollowSpec,
    /// They stay as they are, for the spec does not fit there (engine, shape or resources changed), a
    /// replacement is under way, or the deployment is suspended.
    StayAsPlaced,
}

/// Statement of a refused endpoint about its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Exhaust {
    /// Target.
    pub target: String,
    /// Offer.
    pub offer: String,
    /// Size of the refused replica.
    pub size: Size,
    /// The only deployment it holds for; `None` is everyone.
    pub only_for: Option<DeploymentId>,
    /// Generation of that deployment's spec; another generation may be tried. 0 holds for every generation.
    pub generation: i64,
    /// CamelCase reason.
    pub reason: String,
}

/// The sum of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Decision {
    /// A first place was chosen.
    InitialPlacement,
    /// The running endpoint stays, with the wanted replicas.
    Unchanged,
    /// Replicas were changed in place, or a place for all of them was chosen.
    Scaled,
    /// No replicas are wanted.
    ScaledToZero,
    /// The spec asks for something else than what runs: a replacement.
    SpecChanged,
    /// A rule forbids the place of what runs: a replacement.
    PolicyViolated,
    /// The running endpoint exceeds the budget: a cheaper place.
    OverBudget,
    /// The running endpoint has to leave its target: a replacement.
    TargetEvicted,
    /// A user asked for a move to another target: a replacement.
    MoveRequested,
    /// The target of the running endpoint is lost: a replacement.
    TargetLost,
    /// The running endpoint does not answer: a replacement.
    EndpointFailing,
    /// The target that a failover left is usable again: a return.
    FailedBack,
    /// A running endpoint was adopted.
    Adopted,
    /// The inventory of targets has not been received.
    AwaitingInventory,
    /// An endpoint has to be gone before its replacement is created.
    AwaitingRemoval,
    /// No candidate is feasible.
    NoFeasiblePlacement,
    /// Some of the replicas have no place.
    PartlyPlaced,
    /// All replicas have a place, in fewer failure domains than wanted.
    SpreadUnsatisfied,
    /// An endpoint that stands by was created.
    StandbyPlaced,
    /// Nothing is decided.
    Suspended,
}

impl Decision {
    /// The reason's name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InitialPlacement => "InitialPlacement",
            Self::Unchanged => "Unchanged",
            Self::Scaled => "Scaled",
            Self::ScaledToZero => "ScaledToZero",
            Self::SpecChanged => "SpecChanged",
            Self::PolicyViolated => "PolicyViolated",
            Self::OverBudget => "OverBudget",
            Self::TargetEvicted => "TargetEvicted",
            Self::MoveRequested => "MoveRequested",
            Self::TargetLost => "TargetLost",
            Self::EndpointFailing => "EndpointFailing",
            Self::FailedBack => "FailedBack",
            Self::Adopted => "Adopted",
            Self::AwaitingInventory => "AwaitingInventory",
            Self::AwaitingRemoval => "AwaitingRemoval",
            Self::NoFeasiblePlacement => "NoFeasiblePlacement",
            Self::PartlyPlaced => "PartlyPlaced",
            Self::SpreadUnsatisfied => "SpreadUnsatisfied",
            Self::StandbyPlaced => "StandbyPlaced",
            Self::Suspended => "Suspended",
        }
    }
}

/// Why an endpoint goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Removal {
    /// Another endpoint has taken over.
    Replaced,
    /// It was not needed beside the one that serves.
    Superfluous,
    /// The place refused it for lack of capacity or quota.
    CapacityExhausted,
    /// It did not answer within its start-up timeout.
    StartupTimeout,
    /// A rule of the place refused it.
    AdmissionRefused,
    /// Something that is not ours has its name there.
    NameConflict,
    /// It never was ready, and its target cannot be used any more.
    TargetNotReady,
    /// It never was ready, and a rule now forbids its place.
    PolicyViolated,
    /// It never was ready, and the spec now asks for something else.
    SpecChanged,
    /// It never was ready, and its place now costs more than the budget.
    OverBudget,
    /// It never was ready, and its offer is gone.
    OfferGone,
    /// It never was ready, and what it was to replace can stay after all.
    MoveAbandoned,
    /// No replicas are wanted, and its target keeps no endpoint without any.
    ScaledToZero,
    /// It stood by in the failure domain of what serves, or could stay there no longer.
    StandbyMoved,
}

impl Removal {
    /// The reason's name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "Replaced",
            Self::Superfluous => "Superfluous",
            Self::CapacityExhausted => "CapacityExhausted",
            Self::StartupTimeout => "StartupTimeout",
            Self::AdmissionRefused => "AdmissionRefused",
            Self::NameConflict => "NameConflict",
            Self::TargetNotReady => "TargetNotReady",
            Self::PolicyViolated => "PolicyViolated",
            Self::SpecChanged => "SpecChanged",
            Self::OverBudget => "OverBudget",
            Self::OfferGone => "OfferGone",
            Self::MoveAbandoned => "MoveAbandoned",
            Self::ScaledToZero => "ScaledToZero",
            Self::StandbyMoved => "StandbyMoved",
        }
    }
}

/// Something that has to happen before more can be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wait {
    /// The inventory of targets has not been received.
    Inventory {
        /// Number of targets.
        targets: u32,
        /// Those that are asked for more than a minute, at most 8.
        overdue: Vec<String>,
    },
    /// No candidate is feasible.
    Feasible,
    /// Too many replacements are under way.
    ReplacementLimit {
        /// Those that count.
        budget: ReplacementBudget,
        /// Number in progress.
        under_way: u32,
        /// Maximum number.
        limit: u32,
    },
    /// The hub has to reach a target again.
    HubContact {
        /// The endpoint that stays meanwhile.
        endpoint: String,
    },
    /// The new endpoint has to become ready.
    Readiness {
        /// Which.
        endpoint: String,
    },
    /// A gateway must reach the new endpoint before it takes over.
    Verification {
        /// Which.
        endpoint: String,
    },
    /// The new endpoint takes a growing share of the requests before it takes over.
    Shift {
        /// Which.
        endpoint: String,
        /// Its step.
        step: Shifting,
    },
    /// The new endpoint's address must be in the deployment's status.
    Publication {
        /// Which.
        endpoint: String,
    },
    /// A drained endpoint goes at its deadline.
    DrainDeadline {
        /// Which.
        endpoint: String,
        /// End of the drain.
        deadline: Timestamp,
    },
    /// A drained endpoint stays until another one serves.
    Successor {
        /// Which.
        endpoint: String,
    },
    /// Capacity is held by deployments of lower priority, which keep it.
    LowerPriority {
        /// Target.
        target: String,
        /// Offer.
        offer: String,
        /// Names of those in the same namespace, at most 8.
        held_by: Vec<String>,
        /// Number of others.
        others: u32,
    },
    /// The removal of an endpoint has to be confirmed before its replacement is created.
    Removal {
        /// Which.
        endpoint: String,
        /// Its target.
        target: String,
    },
    /// A target has to be usable again.
    Target {
        /// Which.
        target: String,
    },
    /// No place is feasible for the standby.
    StandbyPlace {
        /// Replicas that are to stand by.
        replicas: u32,
        /// Why there is no place; `None` where every target shares a failure domain with what serves.
        nowhere: Option<Nowhere>,
    },
}
