//! The engine over what the caches hold: converts what they show, and gives it to one caller at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use roadstead_decision_engine::{Engine, Listing, Sound};
use roadstead_gateway::Endpoint;
use roadstead_model::{self as model, Shifting, Timestamp};
use roadstead_planner as planner;

use super::connections::TargetConnection;
use super::convert;
use super::error::ActError;
use super::startup;
use super::traffic::verified::is_in_service;
use roadstead_api::planning::now;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, OfferCapacity, ServingTarget};
use roadstead_runtime::cache::Key;
use roadstead_runtime::clock::Clock;

/// Reports of gateways about an endpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct AtGateways {
    /// Nothing is in flight there at any gateway, and nothing new comes.
    pub drained: bool,
    /// Its part in a take-over.
    pub take_over: TakeOver,
}

/// Part of an endpoint in a take-over at the gateways.
#[derive(Debug, Clone, Copy, Default)]
pub enum TakeOver {
    /// Nothing keeps it from serving.
    #[default]
    Open,
    /// It is to take over, and no gateway has verified it.
    Unverified,
    /// It is to take over, and takes a share of the requests.
    Shifting(Shifting),
}

impl TakeOver {
    /// The part of a replacement by its route.
    #[must_use]
    pub fn of(endpoint: &Endpoint) -> Self {
        match &endpoint.shift {
            _ if is_in_service(endpoint) => Self::Open,
            None => Self::Unverified,
            Some(shift) => Self::Shifting(Shifting { percent: shift.percent, until: Timestamp(shift.until) }),
        }
    }
}

/// The planner's view of the world.
pub struct SharedFleet {
    engine: Mutex<Engine>,
    clock: Clock,
}

impl SharedFleet {
    /// An empty fleet with these limits of replacements in progress.
    #[must_use]
    pub fn new(limits: model::ReplacementLimits, clock: Clock) -> Self {
        Self { engine: Mutex::new(Engine::new(limits)), clock }
    }

    fn lock(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides for `deployment` and assumes the decision. `name` gives a new endpoint its name. The plan comes with the
    /// deployments that are to be decided again because of it.
    ///
    /// # Errors
    /// [`ActError::Unsound`] if the plan breaks a rule that forbids it: nothing of it is assumed.
    pub fn plan(
        &self,
        deployment: &model::Deployment,
        now: Timestamp,
        name: impl Fn(&model::Placement) -> String,
    ) -> Result<(model::Plan, BTreeSet<Key>), ActError> {
        let decided = self.lock().decide(deployment, now, name);
        let Sound { plan, warnings, again } =
            decided.map_err(|unsound| ActError::Unsound { violations: told(&unsound.violations) })?;
        if !warnings.is_empty() {
            tracing::warn!(deployment = %deployment.id, "the plan breaks warning-level rules ({}); executing it", told(&warnings));
        }
        Ok((plan, again.iter().map(key_of_deployment).collect()))
    }

    /// Result of `look` at everything that is known now.
    pub fn see<T>(&self, look: impl FnOnce(&planner::Fleet) -> T) -> T {
        look(self.lock().fleet())
    }

    /// A deployment is no longer planned (gone, being deleted or invalid). Returns those whose turn may have come with that.
    #[must_use]
    pub fn forget_deployment(&self, key: &Key) -> BTreeSet<Key> {
        let again = self.lock().forget(&convert::deployment_id(key), now(self.clock.wall()));
        again.iter().map(key_of_deployment).collect()
    }

    /// The write about an endpoint that a plan decided is answered, and the answer has been observed.
    pub fn answered(&self, endpoint: &Key) {
        self.lock().answered(&key_in_model(endpoint));
    }

    /// All writes of a plan have ended.
    pub fn ended(&self, deployment: &Key) {
        self.lock().ended(&convert::deployment_id(deployment));
    }

    /// The keys of a deployment's endpoints, those that are only assumed included.
    pub fn endpoint_keys_of(&self, deployment: &Key) -> Vec<Key> {
        self.see(|fleet| fleet.endpoints_of(&convert::deployment_id(deployment)).map(key_of).collect())
    }

    /// The keys of the endpoints on a target, those that are only assumed included.
    pub fn endpoint_keys_on(&self, target: &str) -> Vec<Key> {
        self.see(|fleet| fleet.endpoints_on(target).map(key_of).collect())
    }

    /// An endpoint is new or changed; `deployment` is its owner, if that is known.
    pub fn endpoint_changed(
        &self,
        endpoint: &InferenceEndpoint,
        deployment: Option<&ModelDeployment>,
        gateways: AtGateways,
        failed_at: Option<Timestamp>,
    ) {
        let mut seen = convert::endpoint(endpoint, deployment, BTreeMap::new(), failed_at);
        if let model::EndpointState::Draining { deadline } = &mut seen.state
            && gateways.drained
        {
            // Nothing is in flight: it may go at any time.
            *deadline = seen.created_at;
        }
        match gateways.take_over {
            TakeOver::Unverified if seen.ready => {
                seen.ready = false;
                seen.unverified = true;
                seen.answer_by = startup::verify_by(endpoint).map(now);
            }
            TakeOver::Shifting(step) if seen.ready => {
                seen.ready = false;
                seen.shifting = Some(step);
            }
            TakeOver::Open | TakeOver::Unverified | TakeOver::Shifting(_) => {}
        }
        self.lock().observe_endpoint(seen);
    }

    /// An endpoint is gone.
    pub fn endpoint_deleted(&self, key: &Key) {
        self.lock().observe_endpoint_gone(&key_in_model(key));
    }

    /// A target, its connection or its inventory may have changed; says whether that can matter to those who wait.
    pub fn target_changed(&self, target: &ServingTarget, connection: Option<&TargetConnection>) -> bool {
        let inventory = connection.and_then(TargetConnection::inventory);
        let converted = convert::target(target, connection, inventory.as_deref(), self.clock.wall());
        let listing =
            inventory.map(|inventory| Listing { found: inventory.found.clone(), bound: inventory.bound.clone() });
        self.lock().observe_target(converted, listing)
    }

    /// A target's place confirmed that what had this name there is gone.
    pub fn removed(&self, target: &str, name: &str) {
        self.lock().observe_removed(target, name);
    }

    /// A target is gone.
    pub fn target_deleted(&self, name: &str) {
        self.lock().observe_target_gone(name);
    }

    /// The deployments that wait for something that a target's inventory can change.
    pub fn unsettled(&self) -> BTreeSet<Key> {
        self.lock().unsettled(now(self.clock.wall())).iter().map(key_of_deployment).collect()
    }

    /// The deployments that have an endpoint on the target.
    pub fn deployments_on(&self, target: &str) -> BTreeSet<Key> {
        self.see(|fleet| fleet.endpoints_on(target).map(|endpoint| key_of_deployment(&endpoint.deployment)).collect())
    }

    /// Free capacity of the target, by offer; empty until its first inventory.
    pub fn capacity(&self, target: &str) -> Vec<OfferCapacity> {
        self.see(|fleet| {
            let told = fleet.target(target).filter(|target| target.inventory == model::Inventory::Answered);
            if told.is_none() {
                return Vec::new();
            }
            let offers = fleet.members_of(target);
            offers.map(|(offer, members, usable)| convert::capacity(offer, members, &usable)).collect()
        })
    }

    /// True if the hub is presumed to be cut off from all targets.
    pub fn is_hub_isolated(&self) -> bool {
        self.see(planner::Fleet::is_hub_isolated)
    }

    /// Number of replacements that are under way at `now`.
    pub fn replacements_under_way(&self, now: Timestamp) -> u32 {
        self.see(|fleet| fleet.replacements_under_way(now))
    }

    /// The hard rule about the target that the deployment breaks, whatever was decided before.
    pub fn rule_against(&self, deployment: &model::Deployment, target: &str) -> Option<model::Reason> {
        self.see(|fleet| fleet.rule_against(deployment, target))
    }
}

fn told(violations: &[model::Violation]) -> String {
    violations.iter().map(roadstead_explain::violation).collect::<Vec<_>>().join("; ")
}

fn key_of(endpoint: &model::Endpoint) -> Key {
    Key::new(&endpoint.deployment.namespace, &endpoint.name)
}

fn key_of_deployment(id: &model::DeploymentId) -> Key {
    Key::new(&id.namespace, &id.name)
}

fn key_in_model(key: &Key) -> model::EndpointKey {
    model::EndpointKey { namespace: key.namespace.clone(), name: key.name.clone() }
}
