//! The sum of a plan with the names and numbers that it consists of.

use serde::{Deserialize, Serialize};

use crate::finding::Finding;
use crate::money::MicroDollars;
use crate::placement::Placement;
use crate::report::LargestFit;
use crate::verdict::Reason;

/// The sum of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Summary {
    /// No replicas are wanted, and nothing is there.
    ScaledToZero,
    /// No replicas are wanted, and the target keeps no endpoint without any.
    CannotStayEmpty {
        /// The endpoint.
        endpoint: String,
        /// Its target.
        target: String,
    },
    /// No replicas are wanted, and an endpoint may not stay where it is.
    GivesUpItsPlace {
        /// The endpoint.
        endpoint: String,
        /// Its target.
        target: String,
    },
    /// No replicas are wanted, and an endpoint keeps its place.
    KeepsItsPlace {
        /// The endpoint.
        endpoint: String,
        /// Its target.
        target: String,
    },
    /// The inventory of targets has not been received.
    AwaitsInventory {
        /// Number of targets.
        targets: u32,
        /// Those that are asked for more than a minute, at most 8.
        overdue: Vec<String>,
    },
    /// A place was chosen.
    Placed(Placed),
    /// No place would do.
    Nowhere(Nowhere),
    /// An endpoint that was found running is taken over.
    Adopts {
        /// Its name.
        endpoint: String,
        /// Its target.
        target: String,
        /// Replicas that are ready.
        ready_replicas: u32,
        /// Replicas that its Deployment requests.
        replicas: u32,
    },
    /// Nothing is decided.
    Suspended,
    /// An endpoint stays.
    Stays {
        /// Replicas that it is to have.
        replicas: u32,
        /// Its shape.
        shape: String,
        /// Its target.
        target: String,
        /// Its offer.
        offer: String,
        /// Cost an hour; `None` is unknown.
        hourly_cost: Option<MicroDollars>,
        /// Findings about its place, most important first.
        findings: Vec<Finding>,
    },
    /// Replicas are divided over endpoints, and all of these stay.
    Divided {
        /// The endpoints that stay.
        parts: Vec<PartSummary>,
        /// Places for further replicas.
        placed: Option<Placed>,
        /// Replicas that are wanted.
        wanted: u32,
        /// The reasons that replicas have no place.
        nowhere: Option<Nowhere>,
    },
    /// A replacement is under way.
    IsReplaced {
        /// The endpoint that stays meanwhile.
        endpoint: String,
        /// Its target.
        target: String,
        /// The endpoint that takes over.
        by: String,
        /// Its target.
        to: String,
    },
    /// A replacement would do, and waits for its turn.
    AwaitsItsTurn {
        /// The endpoint that stays meanwhile.
        endpoint: String,
        /// Its target.
        target: String,
        /// The most important finding about its place.
        why: Option<Finding>,
    },
    /// A place for a replacement was chosen.
    Replaces {
        /// The endpoint that stays meanwhile.
        endpoint: String,
        /// Its target.
        target: String,
        /// The most important finding about its place.
        why: Option<Finding>,
        /// The place.
        placed: Placed,
    },
    /// A standby takes over.
    Promotes {
        /// The endpoint that it takes over from.
        endpoint: String,
        /// Its target.
        target: String,
        /// The most important finding about its place.
        why: Option<Finding>,
        /// The standby.
        standby: String,
        /// Its target.
        to: String,
    },
    /// An endpoint is removed before its replacement is created.
    RemovesFirst {
        /// The endpoint.
        endpoint: String,
        /// Its target.
        target: String,
        /// The most important finding about its place.
        why: Option<Finding>,
    },
    /// An endpoint that is to be removed first stays, because its target cannot confirm the removal.
    CannotRemoveFirst {
        /// The endpoint.
        endpoint: String,
        /// Its target.
        target: String,
        /// The most important finding about its place.
        why: Option<Finding>,
    },
    /// The removal of an endpoint is not confirmed, and its replacement waits for that.
    AwaitsRemoval {
        /// The endpoint.
        endpoint: String,
        /// Its target.
        target: String,
    },
    /// No place for a replacement would do.
    HasNoReplacement {
        /// The endpoint that stays.
        endpoint: String,
        /// Its target.
        target: String,
        /// The most important finding about its place.
        why: Option<Finding>,
        /// The reasons.
        nowhere: Nowhere,
    },
}

/// A part of the replicas, and its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartSummary {
    /// Replicas that it is to have.
    pub replicas: u32,
    /// Its shape.
    pub shape: String,
    /// Its target.
    pub target: String,
    /// Its offer.
    pub offer: String,
    /// Cost an hour; `None` is unknown.
    pub hourly_cost: Option<MicroDollars>,
}

/// A chosen place among the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The place, or the first of them.
    pub placement: Placement,
    /// The other places, where replicas are divided.
    pub others: Vec<Placement>,
    /// Replicas that are wanted.
    pub wanted: u32,
    /// Number of feasible candidates, this one included.
    pub feasible: u32,
    /// Number of candidates.
    pub candidates: u32,
}

impl Placed {
    /// All places.
    pub fn placements(&self) -> impl Iterator<Item = &Placement> {
        std::iter::once(&self.placement).chain(&self.others)
    }

    /// Replicas that got a place.
    #[must_use]
    pub fn replicas(&self) -> u32 {
        self.placements().fold(0, |sum, placement| sum.saturating_add(placement.replicas))
    }
}

/// The reasons that no place would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nowhere {
    /// There is no target.
    NoTarget,
    /// The target of a requested move does not exist, or does not let the namespace in.
    NoSuchTarget {
        /// The target.
        target: String,
        /// The namespace.
        namespace: String,
    },
    /// No target lets the namespace in.
    NoneForNamespace {
        /// The namespace.
        namespace: String,
        /// Number of targets.
        targets: u32,
    },
    /// All candidates are rejected.
    AllRejected {
        /// Replicas that are wanted.
        replicas: u32,
        /// Number of candidates.
        candidates: u32,
        /// Number of candidates by reason, the most first.
        reasons: Vec<(Reason, u32)>,
        /// The place that would hold the most replicas.
        largest_fit: Option<LargestFit>,
    },
}
