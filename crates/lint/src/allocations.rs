//! Rules about the wanted set: its allocations are those that the steps and the existing endpoints give.

use roadstead_model::{
    Action, Allocation, Endpoint, EndpointState, Facts, Found, MAX_PUBLISHED, Phase, Placement, Role, Rule,
};

use crate::check::Check;
use crate::division::{self, is_divided};

/// An allocation as the steps and the facts give it.
struct Expected<'a> {
    /// `None` where the plan creates it.
    endpoint: Option<&'a str>,
    target: &'a str,
    slot: u32,
    replicas: u32,
    roles: &'static [Role],
    phase: Phase,
}

impl<'a> Expected<'a> {
    /// Of an existing endpoint.
    fn of(endpoint: &'a Endpoint, action: Option<&Action>) -> Self {
        let (roles, replicas, phase): (&[Role], _, _) = match action {
            Some(Action::Keep(keep)) => (staying(endpoint), keep.replicas, phase(endpoint)),
            Some(Action::Promote { .. }) => (&[Role::Replacement], endpoint.replicas, phase(endpoint)),
            Some(Action::Delete { .. }) => (&[Role::Draining], endpoint.replicas, Phase::Ending),
            None if endpoint.stays() => (staying(endpoint), endpoint.replicas, phase(endpoint)),
            Some(_) | None => (&[Role::Draining], endpoint.replicas, phase(endpoint)),
        };
        let Endpoint { name, target, slot, .. } = endpoint;
        Self { endpoint: Some(name), target, slot: *slot, replicas, roles, phase }
    }

    /// Of a new endpoint.
    fn new(placement: &'a Placement, replaces: bool, stands_by: bool) -> Self {
        let Placement { target, slot, replicas, .. } = placement;
        let roles: &[Role] = match (replaces, stands_by) {
            (_, true) => &[Role::Standby],
            (true, false) => &[Role::Replacement],
            (false, false) => &[Role::Serving],
        };
        Self { endpoint: None, target, slot: *slot, replicas: *replicas, roles, phase: Phase::Starting }
    }

    /// Of an adopted endpoint.
    fn adopted(found: &'a Found, state: EndpointState) -> Self {
        let Found { name, target, slot, replicas, ready_replicas, .. } = found;
        let roles: &[Role] = match state {
            EndpointState::Active => &[Role::Serving],
            EndpointState::Standby => &[Role::Standby],
            EndpointState::Draining { .. } | EndpointState::Deleting => &[Role::Draining],
        };
        let is_ready = *ready_replicas > 0 && ready_replicas >= replicas;
        let phase = if is_ready { Phase::Ready } else { Phase::Starting };
        Self { endpoint: Some(name), target, slot: *slot, replicas: *replicas, roles, phase }
    }

    fn is(&self, allocation: &Allocation) -> bool {
        allocation.endpoint.as_deref() == self.endpoint && (self.endpoint.is_some() || allocation.slot == self.slot)
    }
}

/// The roles that an endpoint which stays may have.
fn staying(endpoint: &Endpoint) -> &'static [Role] {
    if endpoint.stands_by() { &[Role::Standby] } else { &[Role::Serving, Role::Replacement] }
}

fn phase(endpoint: &Endpoint) -> Phase {
    match (endpoint.state, endpoint.ready, endpoint.ever_ready) {
        (EndpointState::Deleting, ..) => Phase::Ending,
        (_, true, _) => Phase::Ready,
        (_, false, true) => Phase::Failing,
        (_, false, false) => Phase::Starting,
    }
}

/// Every endpoint that exists, is adopted or is created has one allocation, and it is what the steps make of it.
pub(crate) fn check<F: Facts>(check: &mut Check<'_, F>) {
    let expected = expected(check);
    let (plan, deployment) = (check.plan, check.deployment.id.to_string());
    for allocation in &plan.allocations {
        let known = expected.iter().any(|one| one.is(allocation));
        check.require(Rule::OneAllocation, name(allocation), known);
    }
    for one in &expected {
        let own: Vec<&Allocation> = plan.allocations.iter().filter(|allocation| one.is(allocation)).collect();
        let subject = one.endpoint.unwrap_or(one.target);
        check.require(Rule::OneAllocation, subject, own.len() == 1);
        for allocation in own {
            let place = (allocation.target.as_str(), allocation.slot, allocation.replicas);
            check.require(Rule::AllocatedAsPlanned, subject, place == (one.target, one.slot, one.replicas));
            check.require(Rule::RoleOfStep, subject, one.roles.contains(&allocation.role));
            check.require(Rule::PhaseOfFacts, subject, allocation.phase == one.phase);
        }
    }
    for allocation in &plan.allocations {
        let share = if allocation.role == Role::Serving { allocation.replicas } else { 0 };
        check.require(Rule::WeightOfRole, name(allocation), allocation.weight == share);
    }
    let serving: Vec<&Allocation> = plan.allocations.iter().filter(|one| one.role == Role::Serving).collect();
    let most = if is_divided(check) { MAX_PUBLISHED } else { 1 };
    check.require(Rule::OneServing, &deployment, serving.len() <= most);
    for allocation in serving {
        let relied_on = relies_on_the_best(check, allocation);
        check.require(Rule::ServesFromReady, name(allocation), relied_on);
    }
    let revision = check.deployment.decided.revision_of(&plan.allocations);
    check.require(Rule::RevisionOfSet, &deployment, plan.revision == revision);
}

/// The allocations of all existing endpoints after the steps, and those that the steps add.
fn expected<'a, F: Facts>(check: &Check<'a, F>) -> Vec<Expected<'a>> {
    let actions = &check.plan.actions;
    let existing = check.own().map(|endpoint| {
        let action = actions.iter().find(|action| action.endpoint() == Some(endpoint.name.as_str()));
        Expected::of(endpoint, action)
    });
    let added = actions.iter().filter_map(|action| match action {
        Action::Create { placement, replaces, stands_by, .. } => {
            Some(Expected::new(placement, replaces.is_some(), *stands_by))
        }
        Action::Adopt { found, state } => Some(Expected::adopted(found, *state)),
        Action::Keep(_) | Action::Promote { .. } | Action::Drain { .. } | Action::Delete { .. } => None,
    });
    existing.chain(added).collect()
}

/// True if the allocation is an endpoint that serves, or if no endpoint that was ever ready serves: clients lose nothing.
fn relies_on_the_best<F: Facts>(check: &Check<'_, F>, allocation: &Allocation) -> bool {
    let removed = check.removed();
    let serves = |one: &Endpoint| one.is_active() && one.serves() && !removed.contains(one.name.as_str());
    let relied_on = allocation.endpoint.as_deref().and_then(|name| check.endpoint(name));
    if is_divided(check) {
        return !division::is_taken_over(check, allocation);
    }
    relied_on.is_some_and(serves) || !check.own().any(|one| one.ever_ready && serves(one))
}

fn name(allocation: &Allocation) -> &str {
    allocation.endpoint.as_deref().unwrap_or(&allocation.target)
}
