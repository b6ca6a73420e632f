//! The engine: observed facts, assumed decisions, and the only place that makes plans.

use std::collections::{BTreeMap, BTreeSet};

use roadstead_lint::check;
use roadstead_model::{
    Deployment, DeploymentId, Endpoint, EndpointKey, EndpointState, Found, Placement, Plan, ReplacementBudget,
    ReplacementLimits, Severity, Target, Timestamp, Violation,
};
use roadstead_planner::{Fleet, plan};

use crate::flight::Flight;
use crate::removed::RemovedEndpoints;

/// The observed and assumed state, and the decisions that follow from it.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    fleet: Fleet,
    /// Endpoints with a write in flight.
    flights: BTreeMap<EndpointKey, Flight>,
    /// Deployments that wait for something that facts can change.
    unsettled: BTreeSet<DeploymentId>,
    /// Endpoints that listings may still show though they are gone.
    removed: RemovedEndpoints,
}

/// A decision that is to be carried out.
#[derive(Debug, Clone)]
pub struct Sound {
    /// The plan.
    pub plan: Plan,
    /// Rules that it breaks and that do not forbid it.
    pub warnings: Vec<Violation>,
    /// Deployments that are to be decided again because of it: this one has left a queue for replacements.
    pub again: BTreeSet<DeploymentId>,
}

/// A plan that must not be carried out: a defect of the planner.
#[derive(Debug, Clone)]
pub struct Unsound {
    /// The rules that it breaks.
    pub violations: Vec<Violation>,
}

/// Everything that a target says of what runs there.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Whatever runs there under the installation's id.
    pub found: Vec<Found>,
    /// Bound pods by endpoint and node.
    pub bound: BTreeMap<String, BTreeMap<String, u32>>,
}

impl Engine {
    /// An engine that knows nothing yet, with these limits of replacements in progress.
    #[must_use]
    pub fn new(limits: ReplacementLimits) -> Self {
        Self { fleet: Fleet::with_limits(limits), ..Self::default() }
    }

    /// The observed state, overlaid with the assumed one.
    #[must_use]
    pub const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Decides for one deployment, checks the decision and assumes it. `name` gives a new endpoint its name.
    ///
    /// Whatever a former decision about it still assumes ends: the writes of that decision have ended or were given up.
    ///
    /// # Errors
    /// [`Unsound`] if the plan breaks a rule that forbids it: nothing of it is assumed.
    pub fn decide(
        &mut self,
        deployment: &Deployment,
        now: Timestamp,
        name: impl Fn(&Placement) -> String,
    ) -> Result<Sound, Unsound> {
        self.ended(&deployment.id);
        let plan = plan(&self.fleet, deployment, now);
        let warnings = sound(&self.fleet, deployment, &plan)?;
        let waited_for = self.fleet.turn_for(&deployment.id).cloned();
        self.assume(deployment, &plan, name);
        let left = waited_for.is_some() && waited_for.as_ref() != self.fleet.turn_for(&deployment.id);
        if plan.waits.is_empty() {
            self.unsettled.remove(&deployment.id);
        } else {
            self.unsettled.insert(deployment.id.clone());
        }
        let again = if left { self.fleet.next_in_turn(now) } else { BTreeSet::new() };
        Ok(Sound { plan, warnings, again })
    }

    fn assume(&mut self, deployment: &Deployment, plan: &Plan, name: impl Fn(&Placement) -> String) {
        let known = |fleet: &Fleet| -> BTreeMap<EndpointKey, Endpoint> {
            fleet.endpoints_of(&deployment.id).map(|endpoint| (endpoint.key(), endpoint.clone())).collect()
        };
        let mut before = known(&self.fleet);
        self.fleet.assume(deployment, plan, name);
        for (key, after) in known(&self.fleet) {
            if let Some(flight) = Flight::between(before.remove(&key), after) {
                self.fleet.upsert_endpoint(flight.laid());
                self.flights.insert(key, flight);
            }
        }
    }

    /// The write that was assumed about an endpoint is answered: what is observed counts from now on. The answer itself is
    /// observed first.
    pub fn answered(&mut self, key: &EndpointKey) {
        let Some(flight) = self.flights.remove(key) else { return };
        match flight.seen {
            Some(seen) => self.fleet.upsert_endpoint(seen),
            None => drop(self.fleet.remove_endpoint(key)),
        }
    }

    /// All writes of the last decision about a deployment have ended: nothing of it is assumed any more.
    ///
    /// A write without an answer has not ended: what it was about stays assumed until the deployment is decided again.
    pub fn ended(&mut self, deployment: &DeploymentId) {
        let keys: Vec<EndpointKey> = self.fleet.endpoints_of(deployment).map(Endpoint::key).collect();
        for key in keys {
            self.answered(&key);
        }
    }

    /// Takes in an observed endpoint. Its bound pods are those of its target's last listing.
    pub fn observe_endpoint(&mut self, endpoint: Endpoint) {
        let key = endpoint.key();
        if endpoint.state != EndpointState::Deleting {
            self.removed.return_of(&endpoint.target, &endpoint.name);
        }
        let bound = self.fleet.endpoint(&key).map(|known| known.bound.clone()).unwrap_or_default();
        self.show(&key, Endpoint { bound, ..endpoint });
    }

    fn show(&mut self, key: &EndpointKey, endpoint: Endpoint) {
        match self.flights.get_mut(key) {
            Some(flight) => {
                flight.observe(endpoint);
                self.fleet.upsert_endpoint(flight.laid());
            }
            None => self.fleet.upsert_endpoint(endpoint),
        }
    }

    /// An endpoint is gone. One that was decided since and has the same name is not.
    pub fn observe_endpoint_gone(&mut self, key: &EndpointKey) {
        if self.flights.get(key).is_some_and(|flight| flight.seen.is_none()) {
            return;
        }
        self.flights.remove(key);
        self.fleet.remove_endpoint(key);
    }

    /// Takes in an observed target, with its listing if there is one. Returns true if waiting deployments may be affected.
    pub fn observe_target(&mut self, target: Target, listing: Option<Listing>) -> bool {
        let name = target.name.clone();
        let mut matters = self.fleet.target(&name) != Some(&target);
        self.fleet.upsert_target(target);
        let Some(Listing { found, bound }) = listing else {
            self.fleet.set_found(&name, Vec::new());
            return matters;
        };
        let found = self.removed.without(&name, found);
        // An endpoint with a record is known; one without may belong to a waiting deployment.
        let is_known = |found: &Found| {
            let key = EndpointKey { namespace: found.deployment.namespace.clone(), name: found.name.clone() };
            self.fleet.endpoint(&key).is_some()
        };
        matters |= found.iter().any(|found| !is_known(found));
        self.fleet.set_found(&name, found);
        matters | self.bind(&name, &bound)
    }

    /// Takes over where pods are bound; says whether anything changed.
    fn bind(&mut self, target: &str, bound: &BTreeMap<String, BTreeMap<String, u32>>) -> bool {
        let none = BTreeMap::new();
        let of = |name: &str| bound.get(name).unwrap_or(&none);
        let moved: Vec<(EndpointKey, BTreeMap<String, u32>)> = self
            .fleet
            .endpoints_on(target)
            .filter(|endpoint| endpoint.bound != *of(&endpoint.name))
            .map(|endpoint| (endpoint.key(), of(&endpoint.name).clone()))
            .collect();
        let changed = !moved.is_empty();
        for (key, bound) in moved {
            let seen = self.flights.get(&key).and_then(|flight| flight.seen.clone());
            if let Some(known) = seen.or_else(|| self.fleet.endpoint(&key).cloned()) {
                self.show_bound(&key, Endpoint { bound, ..known });
            }
        }
        changed
    }

    /// Bound pods alone do not show that the record of a new endpoint was written.
    fn show_bound(&mut self, key: &EndpointKey, endpoint: Endpoint) {
        if self.flights.get(key).is_some_and(|flight| flight.seen.is_none()) {
            self.fleet.upsert_endpoint(endpoint);
        } else {
            self.show(key, endpoint);
        }
    }

    /// A target is gone.
    pub fn observe_target_gone(&mut self, name: &str) {
        self.fleet.remove_target(name);
    }

    /// A target's place confirmed that what had this name there is gone.
    pub fn observe_removed(&mut self, target: &str, name: &str) {
        self.removed.confirm(target, name);
        self.fleet.remove_found(target, name);
    }

    /// A deployment is no longer decided: it is gone, being deleted or invalid. Returns those that are to be decided again
    /// because it has left a queue for replacements.
    pub fn forget(&mut self, deployment: &DeploymentId, now: Timestamp) -> BTreeSet<DeploymentId> {
        self.ended(deployment);
        self.unsettled.remove(deployment);
        let waited = self.fleet.waits_for_turn(deployment);
        self.fleet.leave_turn(deployment);
        if waited { self.fleet.next_in_turn(now) } else { BTreeSet::new() }
    }

    /// The deployments that wait for something that facts can change, such as room. Of those that wait for their turn alone
    /// only the first are among them: a thousand may wait, and nothing changes for the others before these have left.
    #[must_use]
    pub fn unsettled(&self, now: Timestamp) -> BTreeSet<DeploymentId> {
        let next = self.fleet.next_in_turn(now);
        // The place of one that waits for its destination may be another one by now.
        let waits_in_line = |id: &DeploymentId| match self.fleet.turn_for(id) {
            Some(ReplacementBudget::Fleet | ReplacementBudget::Namespace { .. }) => !next.contains(id),
            Some(ReplacementBudget::Destination { .. }) | None => false,
        };
        self.unsettled.iter().filter(|id| !waits_in_line(id)).cloned().collect()
    }
}

/// The rules that a plan breaks and that do not forbid it: what decides is not trusted to have kept the others.
fn sound(fleet: &Fleet, deployment: &Deployment, plan: &Plan) -> Result<Vec<Violation>, Unsound> {
    let found = check(fleet, deployment, plan).into_iter();
    let (violations, warnings): (Vec<_>, Vec<_>) =
        found.partition(|violation| violation.severity() == Severity::Refuse);
    if violations.is_empty() { Ok(warnings) } else { Err(Unsound { violations }) }
}
