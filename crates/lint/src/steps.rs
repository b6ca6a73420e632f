//! Rules about the steps of a plan: what goes, what comes, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use roadstead_model::{
    Action, Decision, Deployment, Endpoint, EndpointKey, EndpointState, Exhaust, Facts, Found, Inventory, Numbers,
    Placement, Rule, Target, Timestamp, first_evicting,
};

use crate::check::Check;
use crate::division::{self, is_divided};
use crate::failover;
use crate::places;

/// A replacement that serves counts for so long after it is published.
const TAKEN_OVER_SECONDS: u32 = 60;

/// Every endpoint that is named is the deployment's, and is named once.
pub(crate) fn subjects<F: Facts>(check: &mut Check<'_, F>) {
    let mut named = BTreeMap::<&str, u32>::new();
    for endpoint in check.plan.actions.iter().filter_map(Action::endpoint) {
        *named.entry(endpoint).or_default() += 1;
    }
    for (name, times) in named {
        let known = check.endpoint(name).is_some();
        check.require(Rule::KnownEndpoint, name, known);
        check.require(Rule::OneAction, name, times == 1);
    }
}

/// An endpoint that served is removed only if another one serves.
pub(crate) fn removals<F: Facts>(check: &mut Check<'_, F>) {
    let removed = check.removed();
    let another = check.still_serving().next().is_some();
    for name in removed {
        let served = check.endpoint(name).is_some_and(|endpoint| endpoint.ever_ready);
        let at_work = check.endpoint(name).filter(|one| is_divided(check) && one.is_active() && one.serves());
        let covered = at_work.is_none_or(|endpoint| division::may_go(check, endpoint));
        let leaves_nothing = check.deployment.replicas == 0 || check.deployment.removes_first;
        let may_go = !served || (another && covered) || leaves_nothing;
        check.require(Rule::ReplaceBeforeRemove, name, may_go);
    }
}

/// One new endpoint at most, unless replicas are divided; a replacement has something to replace, and the pace is kept.
pub(crate) fn creations<F: Facts>(check: &mut Check<'_, F>) {
    let removed = check.removed();
    let created = check.plan.actions.iter().filter_map(|action| match action {
        Action::Create { placement, replaces, reason, .. } => Some((placement, replaces, *reason)),
        _ => None,
    });
    for (index, (placement, replaces, reason)) in created.enumerate() {
        let is_divided = is_divided(check);
        check.require(Rule::OneCreation, &placement.target, index == 0 || is_divided);
        let alone = !check.deployment.removes_first || check.own().next().is_none();
        check.require(Rule::NeverTwo, &placement.target, alone);
        let Some(replaced) = replaces else { continue };
        asked(check, placement, replaced, reason);
        let stays = check.endpoint(replaced).is_some_and(Endpoint::is_active) && !removed.contains(replaced.as_str());
        check.require(Rule::ReplacesActive, replaced, stays);
        let given_up = |one: &Endpoint| {
            one.deployment == check.deployment.id && one.replaces.is_some() && removed.contains(one.name.as_str())
        };
        let now = check.plan.decided_at;
        let under_way = check.facts.endpoints().filter(|one| !given_up(one) && is_under_way(check.facts, one, now));
        budgets(check, &under_way.collect::<Vec<_>>(), placement, (replaced, reason));
    }
}

/// With one more replacement beside those `under_way`, every budget is kept.
fn budgets<F: Facts>(
    check: &mut Check<'_, F>,
    under_way: &[&Endpoint],
    placement: &Placement,
    (replaced, reason): (&str, Decision),
) {
    let (limits, namespace) = (check.facts.replacement_limits(), &check.deployment.id.namespace);
    let fails = failover::is_failover(reason);
    let slow = fails && failover::many_are_silent(check.facts);
    let of_fleet = if slow { limits.fleet.div_ceil(10) } else { limits.fleet };
    // Several endpoints may take over from one: that is one replacement.
    let other = |one: &Endpoint| {
        let of = one.replaces.clone().unwrap_or_default();
        let is_this = one.deployment == check.deployment.id && of == replaced;
        (!is_this).then(|| (one.deployment.namespace.clone(), of))
    };
    let number = |counts: &dyn Fn(&Endpoint) -> bool| {
        let counted = under_way.iter().filter(|one| counts(one)).filter_map(|one| other(one));
        counted.collect::<BTreeSet<_>>().len()
    };
    let in_namespace = number(&|one| one.deployment.namespace == *namespace);
    let to_target = number(&|one| one.target == placement.target);
    let in_fleet = number(&|_| true);
    let budgets = [
        (Rule::Pace, in_fleet, Some(of_fleet)),
        (Rule::NamespaceBudget, in_namespace, limits.namespace.filter(|_| !fails)),
        (Rule::DestinationBudget, to_target, limits.destination),
    ];
    for (rule, others, limit) in budgets {
        let Some(allowed) = limit.map(u64::from) else { continue };
        let found = u64::try_from(others).unwrap_or(u64::MAX).saturating_add(1);
        check.require_numbers(rule, replaced, found <= allowed, Numbers::Count { found, allowed });
    }
}

/// A requested move goes where it was asked to go, and a taint replaces only what it evicts.
fn asked<F: Facts>(check: &mut Check<'_, F>, placement: &Placement, replaced: &str, reason: Decision) {
    let deployment = check.deployment;
    let to = deployment.move_to.as_ref();
    check.require(Rule::MoveAsRequested, replaced, reason != Decision::MoveRequested || to == Some(&placement.target));
    let home = deployment.failback.as_ref().filter(|failback| failback.home == placement.target);
    let ready_since = check.facts.target(&placement.target).and_then(|target| target.ready_since);
    let is_stable = home.zip(ready_since).is_some_and(|(home, since)| home.due(since) <= check.plan.decided_at);
    check.require(Rule::FailbackHome, replaced, reason != Decision::FailedBack || is_stable);
    let target = check.endpoint(replaced).and_then(|endpoint| check.facts.target(&endpoint.target));
    let evicts =
        target.is_some_and(|target| first_evicting(&target.taints, &deployment.rules.target_tolerations).is_some());
    check.require(Rule::EvictionByTaint, replaced, reason != Decision::TargetEvicted || evicts);
}

/// A replacement is under way while what it replaces is there, serves or drains, and neither is out of its time.
fn is_under_way<F: Facts>(facts: &F, endpoint: &Endpoint, now: Timestamp) -> bool {
    let Some(name) = endpoint.replaces.as_ref().filter(|_| endpoint.is_active()) else { return false };
    let key = EndpointKey { namespace: endpoint.deployment.namespace.clone(), name: name.clone() };
    let Some(replaced) = facts.endpoint(&key).filter(|other| endpoint.takes_over_from(other)) else { return false };
    let ends = match replaced.state {
        EndpointState::Deleting => return false,
        EndpointState::Draining { deadline } => Some(deadline),
        EndpointState::Active | EndpointState::Standby if endpoint.ready => {
            endpoint.published_at.map(|at| at.plus(TAKEN_OVER_SECONDS))
        }
        EndpointState::Active | EndpointState::Standby => endpoint.answer_by,
    };
    ends.is_none_or(|end| end > now)
}

/// A suspended deployment keeps what it has.
pub(crate) fn suspension<F: Facts>(check: &mut Check<'_, F>) {
    if !check.deployment.suspended {
        return;
    }
    let changes = |action: &Action| match action {
        Action::Create { .. } | Action::Promote { .. } | Action::Drain { .. } | Action::Delete { .. } => true,
        Action::Keep(keep) => check.endpoint(&keep.endpoint).is_some_and(|one| one.replicas != keep.replicas),
        Action::Adopt { .. } => false,
    };
    let keeps = !check.plan.actions.iter().any(changes);
    check.require(Rule::Suspended, &check.deployment.id.to_string(), keeps);
}

/// Nothing is placed for the first time before every target that could hold an endpoint of it has answered.
pub(crate) fn inventory<F: Facts>(check: &mut Check<'_, F>, placement: &Placement, replaces: Option<&str>) {
    if replaces.is_some() || check.own().any(Endpoint::is_active) {
        return;
    }
    let deployment = check.deployment;
    let silent = |target: &&Target| {
        matches!(target.inventory, Inventory::Pending { .. }) && !deployment.place_without.contains(&target.name)
    };
    let awaited = check.facts.targets().filter(silent).find(|target| could_hold(deployment, target));
    let subject = awaited.map_or_else(|| placement.target.clone(), |target| target.name.clone());
    check.require(Rule::InventoryFirst, &subject, awaited.is_none());
}

fn could_hold(deployment: &Deployment, target: &Target) -> bool {
    places::broken_by_target(deployment, target).next().is_none()
        && target.offers.iter().any(|offer| {
            deployment.rules.capacity_types.contains(&offer.capacity_type)
                && deployment.shapes.iter().any(|shape| {
                    let has = offer.accelerator.as_ref().filter(|has| has.kind == shape.accelerator.kind);
                    has.is_some_and(|has| shape.accelerator.count <= has.count)
                })
        })
}

/// Only what was found and has no record is adopted.
pub(crate) fn adoption<F: Facts>(check: &mut Check<'_, F>, found: &Found) {
    let is_there = check.facts.found_of(&check.deployment.id).contains(&found);
    check.require(Rule::AdoptsFound, &found.name, is_there && check.endpoint(&found.name).is_none());
}

/// A drained endpoint stays until later, and no longer than the deployment says.
pub(crate) fn drain<F: Facts>(check: &mut Check<'_, F>, endpoint: &str, deadline: Timestamp) {
    let now = check.plan.decided_at;
    let latest = now.plus(check.deployment.drain_timeout_seconds);
    // An address may have been published by a clock that is a little ahead.
    let published = check.own().filter_map(|one| one.published_at).max().unwrap_or(now);
    let latest = latest.max(published.plus(check.deployment.drain_timeout_seconds));
    check.require(Rule::DrainTime, endpoint, deadline > now && deadline <= latest);
}

/// A refusal is recorded for the place and size of the endpoint that was refused.
pub(crate) fn refusal<F: Facts>(check: &mut Check<'_, F>, endpoint: &str, exhaust: Option<&Exhaust>) {
    let (Some(exhaust), Some(one)) = (exhaust, check.endpoint(endpoint)) else { return };
    let same = (&exhaust.target, &exhaust.offer, exhaust.size) == (&one.target, &one.offer, one.size());
    check.require(Rule::RefusalWhereItWas, endpoint, same);
}
