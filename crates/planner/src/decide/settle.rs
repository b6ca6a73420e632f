//! Decides about what is there: newcomers, incumbents, and those that take over.

use roadstead_model::{Decision, Endpoint, Keep, MicroDollars, PodFields, Removal, Summary, Wait};

use super::assess::{Assessment, Fault, NOT_READY_GRACE_SECONDS, Usable, assess, failed_unless_alone, left_alone};
use super::draft::{Draft, Outcome};
use super::existing::{ServingPart, is_divided};
use super::failback::HomeReturn;
use super::failover::{Tolerance, is_failover};
use super::place::{anew, choose, create, nothing_feasible};
use super::turn;
use crate::candidates::{Candidates, Question, Refused, judge_all};
use crate::report::Chosen;

/// Decides about one part, whose replicas the question asks for.
pub(super) fn part<'a>(draft: &mut Draft<'a>, part: &ServingPart<'a>) -> Outcome<'a> {
    match part.serving {
        _ if draft.question.deployment.replicas == 0 => at_zero(draft, part),
        serving if serving.ever_ready => incumbent(draft, part),
        _ => newcomer(draft, part),
    }
}

/// Keeps the endpoint of a deployment that is scaled to zero, with nothing in it: its place, key and URL stay. Where a
/// rule forbids it, it goes: scaled up, the deployment could not stay there anyway.
fn at_zero<'a>(draft: &mut Draft<'a>, part: &ServingPart<'a>) -> Outcome<'a> {
    let serving = part.serving;
    for successor in &part.successors {
        draft.delete(successor, Removal::MoveAbandoned, None);
    }
    let assessment = assess(&draft.question, serving);
    if assessment.is_forbidden() {
        draft.delete(serving, Removal::PolicyViolated, None);
        return Outcome {
            decision: Decision::ScaledToZero,
            summary: Summary::GivesUpItsPlace { endpoint: serving.name.clone(), target: serving.target.clone() },
            chosen: Vec::new(),
            candidates: None,
        };
    }
    let entry = draft.question.fleet.entry(&serving.target);
    if entry.is_some_and(|entry| !entry.target.capabilities.scale_to_zero) {
        draft.delete(serving, Removal::ScaledToZero, None);
        return Outcome {
            decision: Decision::ScaledToZero,
            summary: Summary::CannotStayEmpty { endpoint: serving.name.clone(), target: serving.target.clone() },
            chosen: Vec::new(),
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
        chosen: Vec::new(),
        candidates: None,
    }
}

/// Decides about the serving endpoint while it never was ready: it has no claim to its place yet.
fn newcomer<'a>(draft: &mut Draft<'a>, part: &ServingPart<'a>) -> Outcome<'a> {
    let serving = part.serving;
    for successor in &part.successors {
        draft.delete(successor, Removal::Superfluous, None);
    }
    let assessment = assess(&draft.question, serving);
    if let Some(fault) = assessment.fault(&draft.question, serving, false) {
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
fn incumbent<'a>(draft: &mut Draft<'a>, part: &ServingPart<'a>) -> Outcome<'a> {
    let serving = part.serving;
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
    let is_moving = !part.successors.is_empty();
    let own = assessment
        .cause_or_wish(&draft.question, serving, tolerance.due())
        .or_else(|| failback(draft, part, &mut assessment));
    let pursued = || is_moving.then(|| tolerance.pursued(&draft.question, serving)).flatten();
    let cause = own.or_else(pursued);
    draft.question.left = tolerance.leaves(is_moving).then_some(serving.target.as_str());
    if cause == Some(Decision::MoveRequested) {
        draft.question.only = draft.question.deployment.move_to.as_deref();
    }
    if cause == Some(Decision::FailedBack) {
        draft.question.only = draft.question.deployment.failback.as_ref().map(|failback| failback.home.as_str());
    }
    match cause {
        None if is_moving => end_move(draft, part, assessment),
        None => {
            let candidates = judge_all(&draft.question);
            stay(draft, serving, assessment.keep, candidates)
        }
        Some(cause) if is_moving => pursue(draft, part, assessment, (cause, own.is_some())),
        Some(cause) => seek(draft, part, assessment, cause, None),
    }
}

/// The decision to return home. Parts of a divided deployment have no home.
fn failback(draft: &mut Draft, part: &ServingPart, assessment: &mut Assessment) -> Option<Decision> {
    if draft.existing.parts().len() > 1 {
        return None;
    }
    match HomeReturn::of(&draft.question, part) {
        HomeReturn::No => None,
        HomeReturn::From(stable) => {
            draft.look_again(stable);
            None
        }
        HomeReturn::Due(finding) => {
            assessment.find(finding);
            Some(Decision::FailedBack)
        }
    }
}

/// The serving endpoint can stay after all: what was to take over goes, unless it is ready already, as it is to be.
fn end_move<'a>(draft: &mut Draft<'a>, part: &ServingPart<'a>, assessment: Assessment) -> Outcome<'a> {
    let beside = |successor: &&'a Endpoint| assess(&question_of(draft, part, successor), successor).keep;
    let kept: Vec<Keep> = part.successors.iter().map(beside).collect();
    let replicas = kept.iter().fold(0_u32, |sum, keep| sum.saturating_add(keep.replicas));
    // Part of its replicas cannot take over from it.
    let suffice = !is_divided(draft.question.deployment) || replicas >= draft.question.replicas;
    for (successor, beside) in part.successors.iter().zip(kept) {
        let ready = successor.ready && !beside.tells_anew(successor, draft.question.deployment);
        if (!ready || !suffice) && draft.may_go(successor) {
            let drain = if successor.serves() { draft.question.deployment.drain_timeout_seconds } else { 0 };
            draft.retire(successor, draft.question.now.plus(drain), Removal::MoveAbandoned);
        } else {
            draft.keep(successor, beside);
            await_take_over(draft, successor);
        }
    }
    let candidates = judge_all(&draft.question);
    stay(draft, part.serving, assessment.keep, candidates)
}

/// Continues a replacement that is under way, or tries another place if the cause may begin a replacement.
fn pursue<'a>(
    draft: &mut Draft<'a>,
    part: &ServingPart<'a>,
    assessment: Assessment,
    (cause, begins): (Decision, bool),
) -> Outcome<'a> {
    let mut refused = None;
    let mut kept = Vec::new();
    for successor in &part.successors {
        let beside = assess(&question_of(draft, part, successor), successor);
        match unfit(draft, successor, &beside, begins) {
            Some(fault) => {
                refused = fault.exhaust.is_some().then(|| place_of(successor)).or(refused);
                draft.delete(successor, fault.reason, fault.exhaust);
            }
            None => kept.push((*successor, beside)),
        }
    }
    if kept.is_empty() && begins {
        return seek(draft, part, assessment, cause, refused);
    }
    let candidates = judge_all(&draft.question);
    if kept.is_empty() {
        return stay(draft, part.serving, assessment.keep, candidates);
    }
    let places = |of: fn(&Endpoint) -> &String| {
        let places: Vec<&str> = kept.iter().map(|(successor, _)| of(successor).as_str()).collect();
        places.join(" and ")
    };
    let summary = Summary::IsReplaced {
        endpoint: part.serving.name.clone(),
        target: part.serving.target.clone(),
        by: places(|successor| &successor.name),
        to: places(|successor| &successor.target),
    };
    draft.keep(part.serving, Keep { pods: PodFields::StayAsPlaced, ..assessment.keep });
    let mut chosen = Vec::new();
    let mut replicas = 0_u32;
    for (successor, beside) in kept {
        look_again_at(draft, successor, &beside);
        chosen.push(kept_at(successor, beside.keep.hourly_cost));
        replicas = replicas.saturating_add(beside.keep.replicas);
        draft.keep(successor, beside.keep);
        await_take_over(draft, successor);
    }
    if begins && draft.question.deployment.divisible && replicas < draft.question.replicas {
        complete(draft, part, (cause, refused), replicas, &mut chosen);
    }
    Outcome { decision: cause, summary, chosen, candidates: Some(candidates) }
}

/// Looks for places for the replicas that the successors of a part lack.
fn complete<'a>(
    draft: &mut Draft<'a>,
    part: &ServingPart<'a>,
    (cause, refused): (Decision, Option<Refused<'a>>),
    replicas: u32,
    chosen: &mut Vec<Chosen<'a>>,
) {
    if draft.takes_room() {
        return draft.decide_again();
    }
    let missing = draft.question.replicas.saturating_sub(replicas);
    draft.asking(Question { replicas: missing, refused, ..draft.question }, |draft| {
        let candidates = judge_all(&draft.question);
        let pieces = choose(draft, &candidates, Some(part.serving));
        if !pieces.is_empty()
            && let Some(wait) = turn::wait(draft, part, cause, &pieces)
        {
            await_turn(draft, wait);
            return;
        }
        match create(draft, &candidates, &pieces, Some(part.serving), cause) {
            Some((places, _)) => chosen.extend(places),
            None => drop(nothing_feasible(draft, &candidates)),
        }
    });
}

/// The question about one successor: alone it is to have all replicas of the part, else those that it was given.
fn question_of<'a>(draft: &Draft<'a>, part: &ServingPart<'a>, successor: &Endpoint) -> Question<'a> {
    if part.successors.len() < 2 {
        return draft.question;
    }
    Question { replicas: successor.replicas.min(draft.question.replicas), ..draft.question }
}

/// Why a successor goes again. What is no longer wanted there goes only if another place would do.
fn unfit(draft: &Draft, successor: &Endpoint, beside: &Assessment, begins: bool) -> Option<Fault> {
    if !draft.may_go(successor) {
        return None;
    }
    let question = &draft.question;
    let elsewhere = || judge_all(question).best().is_some();
    let fault = |reason| Fault { reason, exhaust: None };
    let is_asked = question.only.is_none_or(|only| only == successor.target);
    beside
        .fault(question, successor, true)
        .or_else(|| {
            let lacks_room = begins && beside.lacks_room() && !question.deployment.divisible;
            (lacks_room && elsewhere()).then(|| fault(Removal::SpecChanged))
        })
        .or_else(|| (!is_asked && !successor.ready && elsewhere()).then(|| fault(Removal::MoveAbandoned)))
}

/// Looks for a place that can take over from the serving endpoint, which stays meanwhile.
fn seek<'a>(
    draft: &mut Draft<'a>,
    part: &ServingPart<'a>,
    assessment: Assessment,
    cause: Decision,
    refused: Option<Refused<'a>>,
) -> Outcome<'a> {
    let serving = part.serving;
    let (endpoint, target) = (serving.name.clone(), serving.target.clone());
    let why = assessment.keep.findings.first().cloned();
    if is_failover(cause)
        && let Some(standby) = draft.ready_standby()
    {
        return promote(draft, serving, assessment, (cause, standby));
    }
    draft.question.refused = refused;
    // What was to take over may be withdrawn by now.
    let is_moving = part.successors.iter().any(|successor| !draft.is_removed(successor));
    let leaves = Tolerance::of(&draft.question, serving).leaves(is_moving);
    draft.question.left = leaves.then_some(serving.target.as_str());
    let candidates = judge_all(&draft.question);
    let pieces = choose(draft, &candidates, Some(serving));
    // What leaves its place for another reason takes the standby's only where there is no other.
    if pieces.is_empty()
        && draft.question.only.is_none()
        && assessment.must_leave()
        && let Some(standby) = draft.ready_standby()
    {
        return promote(draft, serving, assessment, (cause, standby));
    }
    let removes_first = draft.question.deployment.removes_first;
    if removes_first && assessment.usable != Usable::Yes && !pieces.is_empty() {
        let chosen = vec![kept_at(serving, assessment.keep.hourly_cost)];
        draft.keep(serving, assessment.keep);
        let summary = Summary::CannotRemoveFirst { endpoint, target, why };
        return Outcome { decision: cause, summary, chosen, candidates: Some(candidates) };
    }
    let place = vec![kept_at(serving, assessment.keep.hourly_cost)];
    let wait = turn::wait(draft, part, cause, &pieces);
    if !pieces.is_empty() && (wait.is_some() || draft.takes_room()) {
        draft.keep(serving, assessment.keep);
        if let Some(wait) = wait {
            await_turn(draft, wait);
        } else {
            draft.decide_again();
        }
        let summary = Summary::AwaitsItsTurn { endpoint, target, why };
        return Outcome { decision: cause, summary, chosen: place, candidates: Some(candidates) };
    }
    if removes_first && !pieces.is_empty() {
        remove(draft, serving, cause);
        let summary = Summary::RemovesFirst { endpoint, target, why };
        return Outcome { decision: cause, summary, chosen: Vec::new(), candidates: Some(candidates) };
    }
    if pieces.is_empty() {
        draft.keep(serving, assessment.keep);
    } else {
        draft.keep(serving, Keep { pods: PodFields::StayAsPlaced, ..assessment.keep });
    }
    if let Some((chosen, placed)) = create(draft, &candidates, &pieces, Some(serving), cause) {
        let summary = Summary::Replaces { endpoint, target, why, placed };
        return Outcome { decision: cause, summary, chosen, candidates: Some(candidates) };
    }
    let nowhere = nothing_feasible(draft, &candidates);
    let summary = Summary::HasNoReplacement { endpoint, target, why, nowhere };
    Outcome { decision: cause, summary, chosen: place, candidates: Some(candidates) }
}

/// Waits for a turn, and for the time when it may come.
fn await_turn(draft: &mut Draft, wait: Wait) {
    let again = turn::again_at(draft, &wait);
    draft.waits.push(wait);
    if let Some(at) = again {
        draft.look_again(at);
    }
}

/// Lets the standby take over from the serving endpoint, which stays meanwhile. Nothing is created: no budget is waited for.
fn promote<'a>(
    draft: &mut Draft<'a>,
    serving: &'a Endpoint,
    assessment: Assessment,
    (cause, standby): (Decision, &'a Endpoint),
) -> Outcome<'a> {
    let summary = Summary::Promotes {
        endpoint: serving.name.clone(),
        target: serving.target.clone(),
        why: assessment.keep.findings.first().cloned(),
        standby: standby.name.clone(),
        to: standby.target.clone(),
    };
    let chosen = vec![kept_at(standby, draft.cost_of(standby, standby.replicas))];
    draft.promote(standby, serving, cause);
    draft.keep(serving, Keep { pods: PodFields::StayAsPlaced, ..assessment.keep });
    let candidates = judge_all(&draft.question);
    Outcome { decision: cause, summary, chosen, candidates: Some(candidates) }
}

/// Removes an endpoint whose replacement is created afterwards. A place where it failed is left alone for a while.
fn remove<'a>(draft: &mut Draft<'a>, serving: &'a Endpoint, cause: Decision) {
    if cause == Decision::EndpointFailing {
        draft.delete(serving, Removal::Replaced, Some(left_alone(serving)));
    } else {
        let drain = if serving.serves() { draft.question.deployment.drain_timeout_seconds } else { 0 };
        draft.retire(serving, draft.question.now.plus(drain), Removal::Replaced);
    }
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
    let chosen = vec![kept_at(serving, keep.hourly_cost)];
    draft.keep(serving, keep);
    Outcome { decision, summary, chosen, candidates: Some(candidates) }
}

/// Retires every further active endpoint once something serves in its stead; what never was ready goes at once.
pub(super) fn retire_spare(draft: &mut Draft) {
    for other in draft.existing.spare() {
        let reason = if draft.existing.is_taken_over(other) { Removal::Replaced } else { Removal::Superfluous };
        let serves = draft.existing.parts().iter().any(|part| part.serving.serves());
        if !other.ever_ready {
            draft.delete(other, reason, None);
        } else if serves && draft.may_go(other) {
            // From now on, not from the publication: a gateway may have taken long to verify what serves.
            let deadline = draft.question.now.plus(draft.question.deployment.drain_timeout_seconds);
            draft.retire(other, deadline, reason);
        } else {
            draft.waits.push(Wait::Successor { endpoint: other.name.clone() });
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
    Chosen { target: &endpoint.target, offer: &endpoint.offer, shape: &endpoint.shape, cost, kept: true, share: None }
}

fn place_of(endpoint: &Endpoint) -> Refused<'_> {
    Refused { target: &endpoint.target, offer: &endpoint.offer, size: endpoint.size() }
}

/// A newcomer leaves a target that has not been usable for a while.
pub(super) fn look_again_at(draft: &mut Draft, newcomer: &Endpoint, assessment: &Assessment) {
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
    draft.waits.push(match (replacement.ready, replacement.shifting) {
        (true, _) => Wait::Publication { endpoint },
        (false, Some(step)) => Wait::Shift { endpoint, step },
        (false, None) if replacement.unverified => Wait::Verification { endpoint },
        (false, None) => Wait::Readiness { endpoint },
    });
}
