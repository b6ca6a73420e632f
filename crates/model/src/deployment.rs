//! The user's validated request.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::allocation::Decided;
use crate::engine_setting::EngineSetting;
use crate::identity::DeploymentId;
use crate::labels::{LabelSelector, Labels};
use crate::money::MicroDollars;
use crate::offer::CapacityType;
use crate::pattern::Pattern;
use crate::resources::{Accelerator, Resources};
use crate::taints::Toleration;
use crate::time::Timestamp;

/// A request, validated. A deployment that is being deleted is not planned: its endpoints just go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Which one.
    pub id: DeploymentId,
    /// UID of the object.
    pub uid: String,
    /// Generation of the spec.
    pub generation: i64,
    /// The decision that was published last.
    pub decided: Decided,
    /// Orders planning, higher first; never preempts.
    pub priority: i32,
    /// Creation time of the object.
    pub created_at: Timestamp,
    /// Labels of its namespace.
    pub namespace_labels: Labels,
    /// Engine, like `vllm`.
    pub engine: String,
    /// Source of the model, such as `hf://example/llama`; `None` where it has none.
    pub source: Option<String>,
    /// Settings of the engine that it has, each with the types of targets where it leaves them out.
    pub settings: BTreeMap<EngineSetting, BTreeSet<String>>,
    /// Replicas wanted; 0 is scaled to zero.
    pub replicas: u32,
    /// Requests of each replica beside accelerators.
    pub resources: Resources,
    /// Ways to run one replica; the order breaks ties.
    pub shapes: Vec<Shape>,
    /// Rules for its place.
    pub rules: Rules,
    /// Quantity to minimise.
    pub objective: Objective,
    /// Budget for all replicas, overlap during a move not counted.
    pub max_hourly_cost: Option<MicroDollars>,
    /// Ceilings of the hosted models that it may fall back on, per hour: they count toward the budget.
    pub hosted_ceiling: MicroDollars,
    /// Time in seconds that a replaced endpoint stays after the new address is published.
    pub drain_timeout_seconds: u32,
    /// Time in seconds for which an endpoint may fail before it is replaced; `None` is for ever.
    pub failover_after_seconds: Option<u32>,
    /// Return to the target that a failover left; `None` if there is none, or it is not wanted.
    pub failback: Option<Failback>,
    /// Targets that a first placement does not wait for (`roadstead.dev/place-without`).
    pub place_without: BTreeSet<String>,
    /// Target to which it is to move (`roadstead.dev/move-to`).
    pub move_to: Option<String>,
    /// Nothing is decided; what runs is kept as it is.
    pub suspended: bool,
    /// An endpoint that is replaced is removed before its replacement is created: there are never two.
    pub removes_first: bool,
    /// Its replicas may be divided over several places: one address leads to all of them.
    pub divisible: bool,
    /// The failure domains over which its replicas are spread, where they may be divided.
    pub spread: Option<SpreadRule>,
    /// Replicas that stand by in another failure domain; 0 is none.
    pub standby_replicas: u32,
}

/// Failure domains over which replicas are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpreadRule {
    /// Kind of the domains.
    pub topology: Topology,
    /// Domains that hold at least one replica, if there are so many replicas.
    pub min_domains: u32,
}

/// Kind of failure domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Topology {
    /// A region of a cloud.
    Region,
    /// A cloud.
    Cloud,
    /// A target.
    Target,
}

/// Return to the target that a failover left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failback {
    /// The target.
    pub home: String,
    /// Time of the failover.
    pub left_at: Timestamp,
    /// Time in seconds for which the target must have been usable.
    pub stabilization_seconds: u32,
    /// It returns only to a place that costs less.
    pub only_if_cheaper: bool,
}

impl Failback {
    /// Earliest time of the return to a target that is usable since `ready_since`.
    #[must_use]
    pub fn due(&self, ready_since: Timestamp) -> Timestamp {
        self.left_at.max(ready_since).plus(self.stabilization_seconds)
    }
}

/// One way to run one replica, on one node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shape {
    /// Name, unique within its deployment.
    pub name: String,
    /// Accelerators of one replica.
    pub accelerator: Accelerator,
    /// Tokens per second of one replica; needed for [`Objective::CostPerMillionTokens`].
    pub tokens_per_second: Option<u64>,
}

/// Rules and preferences for the place of a deployment. An absent list allows everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Targets, by their labels.
    pub target_selector: LabelSelector,
    /// Clouds.
    pub clouds: Option<BTreeSet<String>>,
    /// Regions that are allowed.
    pub allow_regions: Option<Vec<Pattern>>,
    /// Regions that are not, even if allowed.
    pub deny_regions: Vec<Pattern>,
    /// Places worth a premium; the first that matches a target counts, and the order breaks ties.
    pub prefer: Vec<Preference>,
    /// The place must lie in one of these.
    pub jurisdictions: Option<BTreeSet<String>>,
    /// Allowed capacity types.
    pub capacity_types: BTreeSet<CapacityType>,
    /// Target taints that it tolerates.
    pub target_tolerations: Vec<Toleration>,
}

/// The rules of a deployment that names none: everything, `Reserved` and `OnDemand`.
impl Default for Rules {
    fn default() -> Self {
        Self {
            target_selector: LabelSelector::default(),
            clouds: None,
            allow_regions: None,
            deny_regions: Vec::new(),
            prefer: Vec::new(),
            jurisdictions: None,
            capacity_types: BTreeSet::from([CapacityType::Reserved, CapacityType::OnDemand]),
            target_tolerations: Vec::new(),
        }
    }
}

/// A place that may cost more and is still chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Preference {
    /// Name, unique within its deployment.
    pub name: String,
    /// Cloud it is about; `None` is any.
    pub cloud: Option<String>,
    /// Region it is about; `None` is any.
    pub region: Option<Pattern>,
    /// Premium that it may cost: its cost counts divided by (1 + premium).
    pub premium_percent: u32,
}

/// Quantity to minimise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Objective {
    /// Dollars per hour of all replicas.
    #[default]
    HourlyCost,
    /// Dollars per million tokens at the declared throughput.
    CostPerMillionTokens,
}

/// The place of a deployment in the planning queue: the smallest key is planned first.
///
/// The fields are in the order in which they count; priority is turned round so that higher comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueueKey {
    priority: std::cmp::Reverse<i32>,
    created_at: Timestamp,
    id: DeploymentId,
}

impl QueueKey {
    /// The key of a deployment.
    #[must_use]
    pub const fn new(priority: i32, created_at: Timestamp, id: DeploymentId) -> Self {
        Self { priority: std::cmp::Reverse(priority), created_at, id }
    }

    /// The deployment it is about.
    #[must_use]
    pub const fn id(&self) -> &DeploymentId {
        &self.id
    }
}

impl Deployment {
    /// The budget for endpoints: what the ceilings of hosted models leave of the whole.
    #[must_use]
    pub const fn budget(&self) -> Option<MicroDollars> {
        match self.max_hourly_cost {
            Some(whole) => Some(whole.saturating_sub(self.hosted_ceiling)),
            None => None,
        }
    }

    /// Replicas that are to stand by now: none while nothing is to be served, or without one address for all places.
    #[must_use]
    pub const fn wanted_standby(&self) -> u32 {
        if self.divisible && self.replicas > 0 { self.standby_replicas } else { 0 }
    }

    /// The kind of failure domain that a standby does not share with what serves.
    #[must_use]
    pub fn topology(&self) -> Topology {
        self.spread.map_or(Topology::Region, |spread| spread.topology)
    }

    /// Its place in the planning queue.
    #[must_use]
    pub fn queue_key(&self) -> QueueKey {
        QueueKey::new(self.priority, self.created_at, self.id.clone())
    }

    /// The shape of this name.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&Shape> {
        self.shapes.iter().find(|shape| shape.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_is_by_priority_then_age_then_name() {
        let key = |priority, created_at, namespace: &str, name: &str| {
            let id = DeploymentId { namespace: namespace.into(), name: name.into() };
            QueueKey::new(priority, Timestamp(created_at), id)
        };
        let ordered =
            [key(10, 9, "z", "z"), key(0, 1, "z", "z"), key(0, 2, "a", "b"), key(0, 2, "b", "a"), key(-5, 0, "a", "a")];
        assert!(ordered.is_sorted());
    }
}
