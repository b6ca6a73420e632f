//! Rules about replicas that are divided over places.

use std::collections::BTreeMap;

use roadstead_model::{
    Action, Allocation, Endpoint, Facts, MicroDollars, Numbers, Offer, Role, Rule, Target, free_devices,
};

use crate::budget;
use crate::check::Check;
use crate::room::usable;

/// True if the deployment may have more than one serving endpoint: it may be divided, or was when that was possible.
pub(crate) fn is_divided<F: Facts>(check: &Check<'_, F>) -> bool {
    let published = check.deployment.decided.allocations.values();
    check.deployment.divisible || published.filter(|one| one.role == Role::Serving).count() > 1
}

/// The whole of a division: replicas, budget, and that no two of its additions take the same room.
pub(crate) fn check<F: Facts>(check: &mut Check<'_, F>) {
    if !is_divided(check) {
        return;
    }
    replicas(check);
    budget(check);
    nodes(check);
}

/// Endpoints that serve have no more replicas than are wanted, beside one for each domain that is to get one; and so have those
/// that take over from one endpoint.
fn replicas<F: Facts>(check: &mut Check<'_, F>) {
    let deployment = check.deployment;
    let domains = deployment.spread.map_or(0, |spread| spread.min_domains.min(deployment.replicas));
    let numbers = |found, allowed: u32| Numbers::Count { found, allowed: allowed.into() };
    let adds = adds(check, false);
    let serving = check.plan.allocations.iter().filter(|one| one.role == Role::Serving);
    let found: u64 = serving.map(|one| u64::from(one.replicas)).sum();
    let most = deployment.replicas.saturating_add(domains);
    let subject = deployment.id.to_string();
    check.require_numbers(Rule::ReplicasOfAll, &subject, !adds || found <= most.into(), numbers(found, most));
    let mut taking_over = BTreeMap::<&str, u64>::new();
    for (replaces, _, _, replicas) in added(check) {
        if let Some(replaced) = replaces {
            *taking_over.entry(replaced).or_default() += u64::from(replicas);
        }
    }
    for (replaced, found) in taking_over {
        let holds = found <= deployment.replicas.into();
        check.require_numbers(Rule::ReplicasOfAll, replaced, holds, numbers(found, deployment.replicas));
    }
}

/// Parts cost no more than the budget together, where one is added.
fn budget<F: Facts>(check: &mut Check<'_, F>) {
    let Some(budget) = budget::of_endpoints(check.deployment) else { return };
    // What serves comes first: a standby counts only where one is added, and goes where it costs too much.
    let adds_standby = adds(check, true);
    if !adds(check, false) && !adds_standby {
        return;
    }
    let counts = |name: &str| {
        let allocation = check.plan.allocations.iter().find(|one| one.endpoint.as_deref() == Some(name));
        allocation
            .is_some_and(|one: &Allocation| one.role == Role::Serving || (adds_standby && one.role == Role::Standby))
    };
    let costs = check.plan.actions.iter().filter_map(|action| match action {
        Action::Keep(keep) if counts(&keep.endpoint) => Some(keep.hourly_cost),
        Action::Create { placement, replaces: None, .. } => Some(placement.hourly_cost),
        _ => None,
    });
    let sum = costs.flatten().fold(MicroDollars::ZERO, MicroDollars::saturating_add);
    let numbers = Numbers::Cost { found: Some(sum), allowed: Some(budget) };
    let subject = check.deployment.id.to_string();
    check.require_numbers(Rule::WithinBudget, &subject, sum <= budget, numbers);
}

/// Each addition was found to fit alone: no two of them use the same nodes.
fn nodes<F: Facts>(check: &mut Check<'_, F>) {
    let grown = check.plan.actions.iter().filter_map(|action| match action {
        Action::Keep(keep) => {
            let endpoint = check.endpoint(&keep.endpoint).filter(|endpoint| keep.replicas > endpoint.replicas)?;
            Some((endpoint.target.as_str(), endpoint.offer.as_str()))
        }
        _ => None,
    });
    let places: Vec<(&str, &str)> = added(check).map(|(_, target, offer, _)| (target, offer)).chain(grown).collect();
    for (index, (target, offer)) in places.iter().enumerate() {
        let others = places.iter().skip(index + 1).filter(|(other, _)| other == target);
        let shares =
            |other: &str| other == *offer || check.facts.target(target).is_some_and(|it| share(it, offer, other));
        let alone = !others.into_iter().any(|(_, other)| shares(other));
        check.require(Rule::OwnNodes, target, alone);
    }
}

/// True if the plan creates an endpoint that replaces none, and stands by or not.
fn adds<F: Facts>(check: &Check<'_, F>, a_standby: bool) -> bool {
    check
        .plan
        .actions
        .iter()
        .any(|action| matches!(action, Action::Create { replaces: None, stands_by, .. } if *stands_by == a_standby))
}

/// New endpoints: the one that each replaces, target, offer and replicas.
fn added<'a, F: Facts>(
    check: &Check<'a, F>,
) -> impl Iterator<Item = (Option<&'a str>, &'a str, &'a str, u32)> + use<'a, F> {
    check.plan.actions.iter().filter_map(|action| match action {
        Action::Create { placement, replaces, .. } => {
            Some((replaces.as_deref(), placement.target.as_str(), placement.offer.as_str(), placement.replicas))
        }
        _ => None,
    })
}

/// True if two offers of a target may use the same node, on which one of them has free devices.
fn share(target: &Target, one: &str, other: &str) -> bool {
    let offer = |name: &str| target.offers.iter().find(|offer| offer.name == name);
    let (Some(one), Some(other)) = (offer(one), offer(other)) else { return false };
    let mut here = usable(target, one);
    here.any(|node| {
        let is_free = |offer: &Offer| free_devices(offer, node, 0) > 0;
        usable(target, other).any(|there| there.name == node.name) && (is_free(one) || is_free(other))
    })
}

/// True if an endpoint may be removed although it serves: what takes over from it serves, or what it was to take over from,
/// or all replicas are served without it.
pub(crate) fn may_go<F: Facts>(check: &Check<'_, F>, gone: &Endpoint) -> bool {
    let replicas = |of: &dyn Fn(&Endpoint) -> bool| {
        check.still_serving().filter(|one| of(one)).map(|one| u64::from(one.replicas)).sum::<u64>()
    };
    replicas(&|one| one.takes_over_from(gone)) >= gone.replicas.into()
        || check.still_serving().any(|one| gone.takes_over_from(one))
        || replicas(&|_| true) >= check.deployment.replicas.into()
}

/// True if a serving allocation that does not serve has been taken over from.
pub(crate) fn is_taken_over<F: Facts>(check: &Check<'_, F>, allocation: &Allocation) -> bool {
    let Some(endpoint) = allocation.endpoint.as_deref().and_then(|name| check.endpoint(name)) else { return false };
    let successors = check.still_serving().filter(|one| one.takes_over_from(endpoint));
    let replicas: u64 = successors.map(|one| u64::from(one.replicas)).sum();
    replicas > 0 && replicas >= endpoint.replicas.into()
}
