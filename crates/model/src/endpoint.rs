//! Decided endpoints, which are the ledger's entries, and found endpoints without one.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::identity::{DeploymentId, EndpointKey};
use crate::money::MicroDollars;
use crate::offer::CapacityType;
use crate::resources::{Accelerator, Resources, Size};
use crate::time::Timestamp;

/// One decided placement and its observed state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Endpoint {
    /// Name of the `InferenceEndpoint`.
    pub name: String,
    /// Deployment it belongs to.
    pub deployment: DeploymentId,
    /// Last known priority of that deployment, for the message of those that wait for its room.
    pub priority: i32,
    /// Target.
    pub target: String,
    /// Offer of the target.
    pub offer: String,
    /// Shape of the deployment.
    pub shape: String,
    /// Accelerators of one replica.
    pub accelerator: Accelerator,
    /// Engine.
    pub engine: String,
    /// Capacity type of its offer.
    pub capacity_type: CapacityType,
    /// Slot.
    pub slot: u32,
    /// Replicas that were last requested.
    pub replicas: u32,
    /// Requests of each replica beside accelerators.
    pub resources: Resources,
    /// The spec asks for other fields of its replicas than it has, such as another image: it is to be updated in place.
    pub outdated: bool,
    /// Its pods that are bound, by node.
    pub bound: BTreeMap<String, u32>,
    /// Intended state.
    pub state: EndpointState,
    /// It once was ready: an incumbent, not a newcomer.
    pub ever_ready: bool,
    /// It serves with all replicas now.
    pub ready: bool,
    /// It answers the operator, and is not ready because no gateway has verified it.
    pub unverified: bool,
    /// It answers the operator, and is not ready because it takes only a share of the requests.
    pub shifting: Option<Shifting>,
    /// Time when its URL was published in the deployment's status.
    pub published_at: Option<Timestamp>,
    /// Why it does not come up, if that is known.
    pub failure: Option<Failure>,
    /// Until when it has time to answer through its address; `None` while it does, or where nothing is to be served.
    pub answer_by: Option<Timestamp>,
    /// Health, once it was ready.
    pub health: Health,
    /// Time of the first failed probe of an unbroken run.
    pub failing_since: Option<Timestamp>,
    /// Start time of the latest failed probe that this process has seen. A failure on record alone may be over.
    pub failed_at: Option<Timestamp>,
    /// It has had pods for a while that cannot be scheduled.
    pub unschedulable: bool,
    /// Hourly cost of one replica when the price of its offer was last known.
    pub last_replica_cost: Option<MicroDollars>,
    /// Name of the endpoint of the same deployment that it takes over from.
    pub replaces: Option<String>,
    /// Time of the decision.
    pub created_at: Timestamp,
    /// Time when it was promoted from a standby, if it was one.
    pub promoted_at: Option<Timestamp>,
}

/// Step of a shift of requests to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Shifting {
    /// Percentage of the requests that it takes.
    pub percent: u32,
    /// End of the step.
    pub until: Timestamp,
}

/// Intended state of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EndpointState {
    /// It serves or will.
    Active,
    /// It stands by: it receives requests only while nothing serves.
    Standby,
    /// It still serves, and goes at the deadline.
    Draining {
        /// Earliest time of its deletion.
        deadline: Timestamp,
    },
    /// Its deletion is requested and not yet confirmed.
    Deleting,
}

/// Health of an endpoint that was ready, by its target's API and its own answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Health {
    /// The target's API and the endpoint answer.
    Healthy,
    /// The target's API answers, the endpoint does not.
    Failing,
    /// The target's API does not answer, the endpoint does.
    Isolated,
    /// Neither answers.
    Lost,
    /// One of the two could not be asked.
    #[default]
    Unknown,
}

/// Why an endpoint does not come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Failure {
    /// The failure.
    pub kind: FailureKind,
    /// Since when.
    pub since: Timestamp,
}

/// The failures that the planner acts upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FailureKind {
    /// The provider or the scheduler has no room for it.
    CapacityExhausted,
    /// The account may not have so much.
    QuotaExceeded,
    /// It did not answer through its address within its start-up timeout.
    StartupTimeout,
    /// A rule of the place refuses it: its admission, a policy, or what a quota demands.
    AdmissionRefused,
    /// Something that is not ours has its name there.
    NameConflict,
}

impl FailureKind {
    /// The reason's name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CapacityExhausted => "CapacityExhausted",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::StartupTimeout => "StartupTimeout",
            Self::AdmissionRefused => "AdmissionRefused",
            Self::NameConflict => "NameConflict",
        }
    }

    /// True if the place refused it, and would refuse others of this size.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::CapacityExhausted | Self::QuotaExceeded)
    }
}

impl Endpoint {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> EndpointKey {
        EndpointKey { namespace: self.deployment.namespace.clone(), name: self.name.clone() }
    }

    /// The size of one replica.
    #[must_use]
    pub const fn size(&self) -> Size {
        Size { accelerators: self.accelerator.count, resources: self.resources }
    }

    /// Replicas that are not bound to a node yet; the planner assumes their nodes.
    #[must_use]
    pub fn unbound(&self) -> u32 {
        self.replicas.saturating_sub(self.bound_pods())
    }

    /// Pods that are bound to a node.
    #[must_use]
    pub fn bound_pods(&self) -> u32 {
        self.bound.values().fold(0, |sum, pods| sum.saturating_add(*pods))
    }

    /// True if it serves with all replicas, and its address is published.
    #[must_use]
    pub const fn serves(&self) -> bool {
        self.ready && self.published_at.is_some()
    }

    /// True if it serves or is to.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self.state, EndpointState::Active)
    }

    /// True if it stands by.
    #[must_use]
    pub const fn stands_by(&self) -> bool {
        matches!(self.state, EndpointState::Standby)
    }

    /// True if it is meant to stay.
    #[must_use]
    pub const fn stays(&self) -> bool {
        self.is_active() || self.stands_by()
    }

    /// True if it is to take over from `other`. Names come back once an endpoint is gone, so what is younger than the
    /// decision to replace it is not what this one replaces, even if it is called the same.
    #[must_use]
    pub fn takes_over_from(&self, other: &Self) -> bool {
        let since = self.promoted_at.unwrap_or(self.created_at);
        self.replaces.as_ref() == Some(&other.name) && self.name != other.name && other.created_at <= since
    }

    /// True if it could not answer for as long as a start may take.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        !self.ready && self.answer_by.is_some_and(|limit| limit <= now)
    }

    /// True if its place has shown that it has no room for newcomers of this size.
    #[must_use]
    pub fn shows_exhaustion(&self) -> bool {
        self.failure.is_some_and(|failure| failure.kind.is_refusal()) || (self.ever_ready && self.unschedulable)
    }
}

/// Something that runs at a provider with our tags, and that no `InferenceEndpoint` records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Found {
    /// Its name, equal to the one computed from its tags.
    pub name: String,
    /// Identity that distinguishes it from a later one of the same name there, such as its UID.
    pub id: String,
    /// Deployment that its tags name.
    pub deployment: DeploymentId,
    /// Target where it is.
    pub target: String,
    /// Offer that its tags name.
    pub offer: String,
    /// Shape that its tags name.
    pub shape: String,
    /// Capacity type that its tags name.
    pub capacity_type: CapacityType,
    /// Slot that its tags name.
    pub slot: u32,
    /// Accelerators of one running replica; 0 if unknown.
    pub accelerators: u32,
    /// The form in which it runs; `None` if no record was left with it.
    pub runs: Option<Runs>,
    /// Requested replicas.
    pub replicas: u32,
    /// Replicas that are ready.
    pub ready_replicas: u32,
    /// Creation time there.
    pub created_at: Timestamp,
}

/// The form in which something that was found runs, from the record that was left with it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Runs {
    /// Accelerators of one replica.
    pub accelerator: Accelerator,
    /// Resource by which a replica asks for them.
    pub resource_name: String,
    /// Engine.
    pub engine: String,
    /// The record itself, as text that means nothing here.
    #[serde(with = "shared_text")]
    pub record: Arc<str>,
}

/// Texts that are kept once, as plain strings.
mod shared_text {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(deserializer).map(Arc::from)
    }
}
