//! Decides about what is there: newcomers, incumbents, and those that take over.

use roadstead_model::{Decision, Endpoint, Keep, MicroDollars, PodFields, Removal, Summary, Wait};

use super::assess::{Assessment, NOT_READY_GRACE_SECONDS, Usable, assess, failed_unless_alone};
use super::draft::{Draft, Outcome};
use super::failover::{self, Tolerance};
use super::place::{anew, create, nothing_feasible};
use crate::candidates::{Candidates, Question, Refused, judge_all};
use crate::report::Chosen;

/// Keeps the endpoint of a deployment that is scaled to zero, with nothing in it: its place, key and URL stay. Where a
/// rule forbids it, it goes: scaled up, the deployment could not stay there anyway.
pub(super) fn at_zero<'a>(draft: &mut Draft<'a>, serving: &'a Endpoint) -> Outcome<'a> {
    if let Some(replacement) = draft.existing.replacement() {
        draft.delete(replacement, Removal::MoveAbandoned, None);
    }
    let assessment = assess(&draft.question, serving);
    if assessment.is_forbidden() {
        draft.delete(serving, Removal::PolicyViolated, None);
        return Outcome {
            decision: Decision::ScaledToZero,
            summary: Summary::GivesUpItsPlace { endpoint: serving.name.clone(), target: serving.target.clone() },
            chosen: None,
            candidates: None,
        };
    }
    let entry = draft.question.fleet.entry(&serving.target);
    if entry.is_some_and(|entry| !entry.target.capabilities.scale_to_zero) {
        draft.delete(serving, Removal::ScaledToZero, None);
        return Outcome {
            decision: Decision::ScaledToZero,
            summary: Summary::CannotStayEmpty { endpoint: serving.name.clone(), target: serving.target.clone() },
            chosen: None,
            candidates: None,
        };
    }
    let pods = assessment.keep.pods;
    let hourly_cost = draft.cost_of(serving, 0);
    let keep = Keep { endpoint: serving.name.clone(), replicas: 0, pods, hourly_cost, findings: Vec::new() };
    draft.keep(serving, keep);
    Outcome {
        decision: Decision::ScaledToZero,
        summary: Summary::KeepsItsPlace { endpoint: serving.name.clone(), target: serving.target.clone() },
        chosen: None,
        candidates: None,
    }
}

/// Decides about the serving endpoint while it never was ready: it has no claim to its place yet.
pub(super) fn newcomer<'a>(draft: &mut Draft<'a>, serving: &'a Endpoint) -> Outcome<'a> {
    if let Some(replacement) = draft.existing.replacement() {
        draft.delete(replacement, Removal::Superfluous, None);
    }
    let assessment = assess(&draft.question, serving);
    if let Some(fault) = assessment.fault(serving, false, draft.question.now) {
        let refused = fault.exhaust.is_some().then(|| place_of(serving));
        draft.delete(serving, fault.reason, fault.exhaust);
        return anew(draft, refused);
    }
    if let Some(fault) = failed_unless_alone(serving) {
        let refused = Some(place_of(serving));
        let elsewhere = judge_all(&Question { refused, ..draft.question });
        if elsewhere.best().is_some() {
            draft.delete(serving, fault.reason, fault.exhaust);
            return anew(draft, refused);
        }
        let _ = nothing_feasible(draft, &elsewhere);
    }
    let candidates = judge_all(&draft.question);
    if assessment.lacks_room() && candidates.best().is_some() {
        draft.delete(serving, Removal::SpecChanged, None);
        return anew(draft, None);
    }
    look_again_at(draft, serving, &assessment);
    if assessment.is_undecided() {
        draft.waits.push(Wait::Readiness { endpoint: serving.name.clone() });
    }
    if assessment.lacks_room() {
        let _ = nothing_feasible(draft, &candidates);
    }
    stay(draft, serving, assessment.keep, candidates)
}

/// Decides about the serving endpoint once it was ready: it stays unless it must go, and then something else is
/// ready first.
pub(super) fn incumbent<'a>(draft: &mut Draft<'a>, serving: &'a Endpoint) -> Outcome<'a> {
    let mut assessment = assess(&draft.question, serving);
    if assessment.is_undecided() {
        draft.waits.push(Wait::Readiness { endpoint: serving.name.clone() });
    }
    if assessment.usable != Usable::Yes {
        draft.waits.push(Wait::Target { target: serving.target.clone() });
    }
    let tolerance = Tolerance::of(&draft.question, serving);
    match tolerance {
        Tolerance::None | Tolerance::Unclear | Tolerance::Due(_) => {}
        Tolerance::Tolerated(until) => draft.look_again(until),
        Tolerance::HubIsolated => draft.waits.push(Wait::HubContact { endpoint: serving.name.clone() }),
    }
    let replacement = draft.existing.replacement();
    let pursued = || replacement.and_then(|_| tolerance.pursued(&draft.question, serving));
    let own = assessment.cause_or_wish(&draft.question, serving, tolerance.due());
    let cause = own.or_else(pursued);
    draft.question.left = failover::left(&draft.question, &draft.existing);
    if cause == Some(Decision::MoveRequested) {
        draft.question.only = draft.question.deployment.move_to.as_deref();
    }
    match (cause, replacement) {
        (None, None) => {
            let candidates = judge_all(&draft.question);
            stay(draft, serving, assessment.keep, candidates)
        }
        (None, Some(replacement)) => end_move(draft, serving, assessment, replacement),
        (Some(cause), None) => seek(draft, serving, assessment, cause, None),
        (Some(cause), Some(replacement)) => pursue(draft, serving, assessment, (cause, own.is_some()), replacement),
    }
}

/// The serving endpoint can stay after all: its replacement goes, unless it is ready already, as it is to be.
fn end_move<'a>(
    draft: &mut Draft<'a>,
    serving: &'a Endpoint,
    assessment: Assessment,
    replacement: &'a Endpoint,
) -> Outcome<'a> {
    let beside = assess(&draft.question, replacement).keep;
    let ready = replacement.ready && !beside.tells_anew(replacement, draft.question.deployment);
    if !ready && draft.may_go(replacement) {
        draft.delete(replacement, Removal::MoveAbandoned, None);
    } else {
        draft.keep(replacement, beside);
        await_take_over(draft, replacement);
    }
    let candidates = judge_all(&draft.question);
    stay(draft, serving, assessment.keep, candidates)
}

/// Continues a replacement that is under way, or tries another place if the cause may begin a replacement.
fn pursue<'a>(
    draft: &mut Draft<'a>,
    serving: &'a Endpoint,
    assessment: Assessment,
    (cause, begins): (Decision, bool),
    replacement: &'a Endpoint,
) -> Outcome<'a> {
    let beside = assess(&draft.question, replacement);
    let may_go = draft.may_go(replacement);
    if let Some(fault) = beside.fault(replacement, true, draft.question.now).filter(|_| may_go) {
        let refused = fault.exhaust.is_some().then(|| place_of(replacement));
        draft.delete(replacement, fault.reason, fault.exhaust);
        if !begins {
            let candidates = judge_all(&draft.question);
            return stay(draft, serving, assessment.keep, candidates);
        }
        return seek(draft, serving, assessment, cause, refused);
    }
    let candidates = judge_all(&draft.question);
    if begins && beside.lacks_room() && may_go && candidates.best().is_some() {
        draft.delete(replacement, Removal::SpecChanged, None);
        return seek(draft, serving, assessment, cause, None);
    }
    let is_asked = draft.question.only.is_none_or(|only| only == replacement.target);
    if !is_asked && may_go && !replacement.ready && candidates.best().is_some() {
        draft.delete(replacement, Removal::MoveAbandoned, None);
        return seek(draft, serving, assessment, cause, None);
    }
    look_again_at(draft, replacement, &beside);
    let summary = Summary::IsReplaced {
        endpoint: serving.name.clone(),
        target: serving.target.clone(),
        by: replacement.name.clone(),
        to: replacement.target.clone(),
    };
    let chosen = kept_at(replacement, beside.keep.hourly_cost);
    draft.keep(serving, Keep { pods: PodFields::StayAsPlaced, ..assessment.keep });
    draft.keep(replacement, beside.keep);
    await_take_over(draft, replacement);
    Outcome { decision: cause, summary, chosen: Some(chosen), candidates: Some(candidates) }
}

/// Looks for a place that can take over from the serving endpoint, which stays meanwhile.
fn seek<'a>(
    draft: &mut Draft<'a>,
    serving: &'a Endpoint,
    assessment: Assessment,
    cause: Decision,
    refused: Option<Refused<'a>>,
) -> Outcome<'a> {
    let (endpoint, target) = (serving.name.clone(), serving.target.clone());
    let why = assessment.keep.findings.first().cloned();
    draft.question.refused = refused;
    let candidates = judge_all(&draft.question);
    let place = kept_at(serving, assessment.keep.hourly_cost);
    let under_way = under_way(draft);
    let before = draft.question.fleet.before_in_turn(draft.question.deployment, draft.question.now);
    let limit = failover::limit(&draft.question, cause);
    if under_way.saturating_add(before) >= limit && candidates.best().is_some() {
        draft.keep(serving, assessment.keep);
        draft.waits.push(Wait::ReplacementLimit { under_way, limit });
        if let Some(at) = draft.question.fleet.next_turn_at(draft.question.now) {
            draft.look_again(at);
        }
        let summary = Summary::AwaitsItsTurn { endpoint, target, why };
        return Outcome { decision: cause, summary, chosen: Some(place), candidates: Some(candidates) };
    }
    if candidates.best().is_some() {
        draft.keep(serving, Keep { pods: PodFields::StayAsPlaced, ..assessment.keep });
    } else {
        draft.keep(serving, assessment.keep);
    }
    if let Some((chosen, placed)) = create(draft, &candidates, Some(serving), cause) {
        let summary = Summary::Replaces { endpoint, target, why, placed };
        return Outcome { decision: cause, summary, chosen: Some(chosen), candidates: Some(candidates) };
    }
    let nowhere = nothing_feasible(draft, &candidates);
    let summary = Summary::HasNoReplacement { endpoint, target, why, nowhere };
    Outcome { decision: cause, summary, chosen: Some(place), candidates: Some(candidates) }
}

/// Replacements of the fleet beside the one that this deployment may have had so far.
fn under_way(draft: &Draft) -> u32 {
    let all = draft.question.fleet.replacements_under_way(draft.question.now);
    all.saturating_sub(u32::from(draft.existing.replacement().is_some()))
}

/// The serving endpoint stays.
fn stay<'a>(draft: &mut Draft<'a>, serving: &'a Endpoint, keep: Keep, candidates: Candidates<'a>) -> Outcome<'a> {
    let decision = if keep.replicas == serving.replicas { Decision::Unchanged } else { Decision::Scaled };
    let summary = Summary::Stays {
        replicas: keep.replicas,
        shape: serving.shape.clone(),
        target: serving.target.clone(),
        offer: serving.offer.clone(),
        hourly_cost: keep.hourly_cost,
        findings: keep.findings.clone(),
    };
    let chosen = kept_at(serving, keep.hourly_cost);
    draft.keep(serving, keep);
    Outcome { decision, summary, chosen: Some(chosen), candidates: Some(candidates) }
}

/// Retires every further active endpoint once the serving one serves; what never was ready goes at once.
pub(super) fn retire_spare(draft: &mut Draft) {
    let serving = draft.existing.serving();
    let published = serving.filter(|serving| serving.serves()).and_then(|serving| serving.published_at);
    for other in draft.existing.spare() {
        let replaced = serving.is_some_and(|serving| serving.takes_over_from(other));
        let reason = if replaced { Removal::Replaced } else { Removal::Superfluous };
        let drain = draft.question.deployment.drain_timeout_seconds;
        match published.filter(|_| draft.may_go(other)) {
            _ if !other.ever_ready => draft.delete(other, reason, None),
            Some(published) if replaced => draft.retire(other, published.plus(drain), reason),
            Some(_) => draft.retire(other, draft.question.now.plus(drain), reason),
            None => draft.waits.push(Wait::Successor { endpoint: other.name.clone() }),
        }
    }
}

/// Deletes what has drained long enough, if something else serves.
pub(super) fn let_drained_go(draft: &mut Draft) {
    for (endpoint, deadline) in draft.existing.draining() {
        let replaced = draft.existing.all().any(|other| other.takes_over_from(endpoint));
        let reason = if replaced { Removal::Replaced } else { Removal::Superfluous };
        if deadline > draft.question.now {
            draft.await_deadline(endpoint, deadline);
        } else if draft.may_go(endpoint) {
            draft.delete(endpoint, reason, None);
        } else {
            draft.waits.push(Wait::Successor { endpoint: endpoint.name.clone() });
        }
    }
}

/// The place of an endpoint that stays, for the report.
fn kept_at(endpoint: &Endpoint, cost: Option<MicroDollars>) -> Chosen<'_> {
    Chosen { target: &endpoint.target, offer: &endpoint.offer, shape: &endpoint.shape, cost, kept: true }
}

fn place_of(endpoint: &Endpoint) -> Refused<'_> {
    Refused { target: &endpoint.target, offer: &endpoint.offer, size: endpoint.size() }
}

/// A newcomer leaves a target that has not been usable for a while.
fn look_again_at(draft: &mut Draft, newcomer: &Endpoint, assessment: &Assessment) {
    if let Usable::NotSince(since) = assessment.usable
        && !newcomer.ready
    {
        draft.look_again(since.plus(NOT_READY_GRACE_SECONDS));
        draft.waits.push(Wait::Target { target: newcomer.target.clone() });
    }
    if let Some(limit) = newcomer.answer_by.filter(|_| !newcomer.ready) {
        draft.look_again(limit);
    }
}

fn await_take_over(draft: &mut Draft, replacement: &Endpoint) {
    let endpoint = replacement.name.clone();
    draft.waits.push(match (replacement.ready, replacement.unverified) {
        (true, _) => Wait::Publication { endpoint },
        (false, true) => Wait::Verification { endpoint },
        (false, false) => Wait::Readiness { endpoint },
    });
}
