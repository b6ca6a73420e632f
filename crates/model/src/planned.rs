//! The endpoint that a placement makes.

use std::collections::BTreeMap;

use crate::deployment::Deployment;
use crate::endpoint::{Endpoint, EndpointState, Health};
use crate::placement::Placement;
use crate::time::Timestamp;

impl Endpoint {
    /// The endpoint that a [`Placement`] makes: a newcomer, of which nothing is known yet.
    #[must_use]
    pub fn planned(
        name: String,
        deployment: &Deployment,
        placement: &Placement,
        replaces: Option<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            name,
            deployment: deployment.id.clone(),
            priority: deployment.priority,
            target: placement.target.clone(),
            offer: placement.offer.clone(),
            shape: placement.shape.clone(),
            accelerator: placement.accelerator.clone(),
            engine: deployment.engine.clone(),
            capacity_type: placement.capacity_type,
            slot: placement.slot,
            replicas: placement.replicas,
            resources: deployment.resources,
            outdated: false,
            bound: BTreeMap::new(),
            state: EndpointState::Active,
            ever_ready: false,
            ready: false,
            unverified: false,
            shifting: None,
            published_at: None,
            failure: None,
            answer_by: None,
            health: Health::Unknown,
            failing_since: None,
            failed_at: None,
            unschedulable: false,
            last_replica_cost: placement.replica_cost,
            replaces,
            created_at: now,
            promoted_at: None,
        }
    }
}
