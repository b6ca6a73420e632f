//! The wanted set of allocations of a deployment, each with its role.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::endpoint::{Endpoint, EndpointState, Found};
use crate::placement::Placement;

/// Maximum number of allocations with published roles: all but those that drain.
pub const MAX_PUBLISHED: usize = 16;

/// The contribution of one placement to a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// Name of the endpoint; `None` while the plan has yet to create it.
    pub endpoint: Option<String>,
    /// Target.
    pub target: String,
    /// Slot: no two allocations of a deployment have the same.
    pub slot: u32,
    /// Replicas that are wanted there.
    pub replicas: u32,
    /// Share of the requests, in proportion to the weights of the other allocations; 0 receives none.
    pub weight: u32,
    /// Role.
    pub role: Role,
    /// Phase, by the facts that the plan was made from.
    pub phase: Phase,
}

/// Role of an allocation. Less is what clients rely on more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// The deployment relies on it.
    Serving,
    /// It takes over from another allocation once it serves, or waits until it can be removed without a loss.
    Replacement,
    /// It receives requests only while nothing serves.
    Standby,
    /// It receives no new requests and is removed.
    Draining,
}

/// Phase of an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// It has never been ready.
    Starting,
    /// All its replicas are ready.
    Ready,
    /// It was ready and is not now.
    Failing,
    /// Its deletion is requested.
    Ending,
}

impl Allocation {
    /// The allocation of an existing endpoint.
    #[must_use]
    pub fn of(endpoint: &Endpoint, role: Role, replicas: u32) -> Self {
        Self {
            endpoint: Some(endpoint.name.clone()),
            target: endpoint.target.clone(),
            slot: endpoint.slot,
            replicas,
            weight: weight(role, replicas),
            role,
            phase: Phase::of(endpoint),
        }
    }

    /// The allocation of a placement that a plan creates.
    #[must_use]
    pub fn planned(placement: &Placement, role: Role) -> Self {
        Self {
            endpoint: None,
            target: placement.target.clone(),
            slot: placement.slot,
            replicas: placement.replicas,
            weight: weight(role, placement.replicas),
            role,
            phase: Phase::Starting,
        }
    }

    /// The allocation of something that was found running.
    #[must_use]
    pub fn adopted(found: &Found, role: Role) -> Self {
        let is_ready = found.ready_replicas > 0 && found.ready_replicas >= found.replicas;
        Self {
            endpoint: Some(found.name.clone()),
            target: found.target.clone(),
            slot: found.slot,
            replicas: found.replicas,
            weight: weight(role, found.replicas),
            role,
            phase: if is_ready { Phase::Ready } else { Phase::Starting },
        }
    }

    /// True if this is the allocation of the endpoint with this name and slot.
    #[must_use]
    pub fn is_of(&self, endpoint: &str, slot: u32) -> bool {
        self.endpoint.as_ref().map_or(self.slot == slot, |name| name == endpoint)
    }
}

/// Requests are divided by replicas among what serves.
const fn weight(role: Role, replicas: u32) -> u32 {
    match role {
        Role::Serving => replicas,
        Role::Replacement | Role::Standby | Role::Draining => 0,
    }
}

impl Phase {
    fn of(endpoint: &Endpoint) -> Self {
        match endpoint.state {
            EndpointState::Deleting => Self::Ending,
            _ if endpoint.ready => Self::Ready,
            _ if endpoint.ever_ready => Self::Failing,
            _ => Self::Starting,
        }
    }
}

/// The decision that the deployment's status published last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// Revision of that decision; 0 before the first one.
    pub revision: u64,
    /// Generation of the spec that it was made for; 0 before the first one.
    pub generation: i64,
    /// Allocations that do not drain, by the name of their endpoint.
    pub allocations: BTreeMap<String, Published>,
}

/// An allocation as it was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Role.
    pub role: Role,
    /// Replicas.
    pub replicas: u32,
}

impl Decided {
    /// The revision of a decision with these allocations: the former one while the endpoints that do not drain are the same.
    #[must_use]
    pub fn revision_of(&self, allocations: &[Allocation]) -> u64 {
        if self.is_the_same(allocations) { self.revision } else { self.revision.saturating_add(1) }
    }

    fn is_the_same(&self, allocations: &[Allocation]) -> bool {
        let live = || allocations.iter().filter(|allocation| allocation.role != Role::Draining);
        // Of a full list it is not known what was left out.
        let is_cut = self.allocations.len() >= MAX_PUBLISHED;
        let is_known = |allocation: &Allocation| match &allocation.endpoint {
            None => false,
            Some(name) => match self.allocations.get(name) {
                None => is_cut,
                Some(known) => *known == Published { role: allocation.role, replicas: allocation.replicas },
            },
        };
        let stays = |name: &String| live().any(|allocation| allocation.endpoint.as_ref() == Some(name));
        live().all(is_known) && self.allocations.keys().all(stays)
    }
}
