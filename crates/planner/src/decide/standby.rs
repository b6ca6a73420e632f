//! The standby of a deployment: a further endpoint in another failure domain, which receives requests only while nothing
//! serves.
//!
//! It comes after everything that serves: it is created once all replicas serve, it is updated once they serve the new spec,
//! and it is removed where it breaks a rule or exceeds the budget. Callers do not rely on it, so it is removed before a new one
//! is created elsewhere.

use std::collections::BTreeSet;

use roadstead_model::{Decision, Endpoint, Keep, MicroDollars, PodFields, Removal, Wait};

use super::assess::{assess, left_alone};
use super::dividing::Piece;
use super::draft::Draft;
use super::failover::Tolerance;
use super::place::{free_slots, inventory_is_complete, placement, why_nowhere};
use super::settle;
use crate::candidates::{Candidates, Question, judge_all};

/// Decides about the standby of a deployment whose parts are decided.
pub(super) fn decide(draft: &mut Draft) {
    let wanted = draft.question.deployment.wanted_standby();
    let standbys: Vec<&Endpoint> = draft.existing.standbys().to_vec();
    let mut rest = standbys.into_iter().filter(|standby| !draft.is_promoted(standby)).collect::<Vec<_>>().into_iter();
    let kept = if wanted > 0 { rest.next() } else { None };
    for superfluous in rest {
        release(draft, superfluous, Removal::Superfluous);
    }
    let question = question(draft, wanted);
    match kept {
        Some(standby) => draft.asking(question, |draft| keep_or_move(draft, standby)),
        None if wanted > 0 && is_settled(draft) && inventory_is_complete(draft) => draft.asking(question, place),
        None => {}
    }
}

/// True if a target is in another failure domain than each of the others.
pub(super) fn is_apart(draft: &Draft, target: &str, others: &[&str]) -> bool {
    let topology = draft.question.deployment.topology();
    let domain = |target: &str| draft.question.fleet.target(target).map(|target| target.domain(topology));
    let own = domain(target);
    own.is_some() && others.iter().all(|other| domain(other) != own)
}

/// The question about the replicas that stand by, with what the other endpoints leave of the budget.
fn question<'a>(draft: &Draft<'a>, replicas: u32) -> Question<'a> {
    let cost = |endpoint: &Endpoint| draft.cost_of(endpoint, endpoint.replicas).unwrap_or(MicroDollars::ZERO);
    let serving = draft.existing.parts().iter().map(|part| cost(part.serving));
    let spent = serving.fold(MicroDollars::ZERO, MicroDollars::saturating_add);
    let whole = Question::new(draft.question.fleet, draft.question.deployment, draft.question.now);
    Question { replicas, budget: whole.budget.map(|budget| budget.saturating_sub(spent)), ..whole }
}

/// True if all wanted replicas serve, and nothing is about to change that.
fn is_settled(draft: &Draft) -> bool {
    let parts = draft.existing.parts();
    let settled = parts.iter().all(|part| {
        part.successors.is_empty() && part.serving.serves() && !part.serving.outdated && !draft.is_removed(part.serving)
    });
    let replicas = parts.iter().fold(0_u32, |sum, part| sum.saturating_add(part.serving.replicas));
    settled && replicas >= draft.question.deployment.replicas && !draft.takes_room()
}

/// Failure domains of everything that serves, is to, or still may.
fn held_domains<'a>(draft: &Draft<'a>) -> BTreeSet<(&'a str, &'a str)> {
    let topology = draft.question.deployment.topology();
    let active = draft.existing.all().filter(|endpoint| endpoint.is_active() && !draft.is_removed(endpoint));
    let targets = active.filter_map(|endpoint| draft.question.fleet.target(&endpoint.target));
    targets.map(|target| target.domain(topology)).collect()
}

/// The candidates outside the failure domains of what serves, on targets where no endpoint of the deployment fails.
fn candidates_apart<'a>(draft: &Draft<'a>) -> Candidates<'a> {
    let (held, topology) = (held_domains(draft), draft.question.deployment.topology());
    let fails = |target: &str| draft.existing.all().any(|one| one.target == target && one.failing_since.is_some());
    let mut candidates = judge_all(&draft.question);
    candidates.all.retain(|judged| {
        let target = &judged.entry.target;
        !held.contains(&target.domain(topology)) && !fails(&target.name)
    });
    candidates
}

/// Creates the standby at the cheapest place that holds all of it.
fn place(draft: &mut Draft) {
    let candidates = candidates_apart(draft);
    let best = candidates.best().and_then(|judged| Some((*judged, judged.offer?)));
    let Some((judged, offer)) = best else {
        await_place(draft, &candidates);
        return;
    };
    let piece = Piece { judged, offer, replicas: draft.question.replicas };
    let slot = free_slots(draft).next().unwrap_or(u32::MAX);
    let placement = placement(draft, &piece, slot);
    draft.create_standby(placement);
}

fn await_place(draft: &mut Draft, candidates: &Candidates) {
    let replicas = draft.question.replicas;
    let is_apart = !candidates.all.is_empty();
    let nowhere = is_apart.then(|| why_nowhere(draft, candidates));
    draft.waits.push(Wait::StandbyPlace { replicas, nowhere });
}

/// Keeps the standby as it is to be, or removes it: the next plan creates it elsewhere.
fn keep_or_move<'a>(draft: &mut Draft<'a>, standby: &'a Endpoint) {
    let assessment = assess(&draft.question, standby);
    if !standby.ever_ready
        && let Some(fault) = assessment.fault(&draft.question, standby, true)
    {
        draft.delete(standby, fault.reason, fault.exhaust);
        return;
    }
    settle::look_again_at(draft, standby, &assessment);
    let tolerance = Tolerance::of(&draft.question, standby);
    if let Tolerance::Tolerated(until) = tolerance {
        draft.look_again(until);
    }
    let failing = tolerance.due();
    let cause = assessment.cause(failing);
    if is_to_leave(draft, standby, cause) {
        if draft.may_go(standby) {
            match cause.filter(|cause| Some(*cause) == failing) {
                Some(_) => draft.delete(standby, Removal::StandbyMoved, Some(left_alone(standby))),
                None => release(draft, standby, Removal::StandbyMoved),
            }
            return;
        }
        draft.waits.push(Wait::Successor { endpoint: standby.name.clone() });
    }
    if !standby.ready {
        draft.waits.push(Wait::Readiness { endpoint: standby.name.clone() });
    }
    let grows = assessment.keep.replicas > standby.replicas;
    let keep = if follows(draft) && !(grows && draft.takes_room()) {
        assessment.keep
    } else {
        Keep { replicas: standby.replicas, pods: PodFields::StayAsPlaced, ..assessment.keep }
    };
    let hourly_cost = draft.cost_of(standby, keep.replicas);
    draft.keep(standby, Keep { hourly_cost, ..keep });
}

/// True if it may not stay where it is, or another place would do and be better.
fn is_to_leave(draft: &Draft, standby: &Endpoint, cause: Option<Decision>) -> bool {
    let is_forbidden = matches!(
        cause,
        Some(Decision::PolicyViolated | Decision::SpecChanged | Decision::TargetEvicted | Decision::OverBudget)
    );
    is_forbidden || (is_misplaced(draft, standby, cause) && has_place_elsewhere(draft, standby))
}

/// True if another place would be better: it fails here, lacks room, or shares a failure domain with what serves.
fn is_misplaced(draft: &Draft, standby: &Endpoint, cause: Option<Decision>) -> bool {
    let topology = draft.question.deployment.topology();
    let target = draft.question.fleet.target(&standby.target);
    let shares = target.is_some_and(|target| held_domains(draft).contains(&target.domain(topology)));
    shares || cause.is_some_and(|cause| cause != Decision::Scaled)
}

fn has_place_elsewhere(draft: &Draft, standby: &Endpoint) -> bool {
    let candidates = candidates_apart(draft);
    candidates.all.iter().any(|judged| judged.is_feasible() && judged.entry.target.name != standby.target)
}

/// True if the standby takes a new spec: what serves has it, and answers.
fn follows(draft: &Draft) -> bool {
    draft.existing.parts().iter().all(|part| part.serving.ready && !part.serving.outdated)
}

/// Removes a standby, after a drain where a gateway may use it, if the deployment loses nothing.
fn release<'a>(draft: &mut Draft<'a>, standby: &'a Endpoint, reason: Removal) {
    let deployment = draft.question.deployment;
    if !draft.may_go(standby) {
        draft.waits.push(Wait::Successor { endpoint: standby.name.clone() });
        return;
    }
    let drain = if standby.serves() { deployment.drain_timeout_seconds } else { 0 };
    draft.retire(standby, draft.question.now.plus(drain), reason);
}
