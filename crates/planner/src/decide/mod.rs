//! Decides for one deployment, step by step.

mod adoption;
mod assess;
mod dividing;
mod draft;
mod existing;
mod failback;
mod failover;
mod leftover;
mod parts;
mod place;
mod settle;
mod shares;
mod standby;
mod turn;

use assess::assess;
use draft::{Draft, Outcome};
use existing::Existing;

use roadstead_model::{
    Action, Decision, Deployment, Endpoint, FindingReason, Found, Keep, Plan, PodFields, Summary, Timestamp,
};

use crate::candidates::{Question, next_expiry};
use crate::fleet::Fleet;
use crate::report::{build, nothing_judged};

/// Decides what is to become of `deployment`, given `fleet` and the time.
///
/// It never fails: what cannot be done is said in the plan's decision, waits and report.
#[must_use]
pub fn plan(fleet: &Fleet, deployment: &Deployment, now: Timestamp) -> Plan {
    let question = Question::new(fleet, deployment, now);
    let mut draft = Draft::new(question, Existing::of(fleet, deployment));
    let outcome = decide(&mut draft);
    if let Some(at) = next_expiry(&question) {
        draft.look_again(at);
    }
    let mut report = match &outcome.candidates {
        Some(candidates) => build(&draft.question, candidates, &outcome.chosen),
        None => nothing_judged(),
    };
    let lacks_only_room = |action: &Action| matches!(action, Action::Keep(keep) if keep.lacks_only_room());
    report.time_can_help |= draft.actions.iter().any(lacks_only_room);
    let allocations = draft.allocations();
    Plan {
        deployment: deployment.id.clone(),
        revision: deployment.decided.revision_of(&allocations),
        decided_at: now,
        allocations,
        actions: draft.actions,
        decision: outcome.decision,
        summary: outcome.summary,
        waits: draft.waits,
        report,
        recheck_at: draft.recheck_at,
    }
}

fn decide<'a>(draft: &mut Draft<'a>) -> Outcome<'a> {
    let mut found = draft.question.fleet.found_of(&draft.question.deployment.id);
    found.sort_by(|a, b| {
        let key = |found: &Found| (found.ready_replicas, found.created_at);
        key(b).cmp(&key(a)).then_with(|| a.name.cmp(&b.name))
    });
    let suspended = draft.question.deployment.suspended;
    let adopted = adoption::adopt(draft, &found);
    if let Some(adopted) = adopted {
        if !suspended {
            settle::let_drained_go(draft);
        }
        return adopted;
    }
    if suspended {
        return suspend(draft);
    }
    let outcome = match draft.existing.parts().first().cloned() {
        None => place::first(draft),
        Some(_) if existing::is_divided(draft.question.deployment) => parts::decide(draft),
        Some(only) => settle::part(draft, &only),
    };
    standby::decide(draft);
    settle::retire_spare(draft);
    settle::let_drained_go(draft);
    outcome
}

/// Keeps everything as it is, and says what of it the spec no longer asks for.
fn suspend<'a>(draft: &mut Draft<'a>) -> Outcome<'a> {
    let staying: Vec<&Endpoint> = draft.existing.all().filter(|endpoint| endpoint.stays()).collect();
    for endpoint in staying {
        let mut findings = assess(&draft.question, endpoint).keep.findings;
        findings.retain(|one| matches!(one.reason(), FindingReason::PolicyViolated | FindingReason::SpecChanged));
        let keep = Keep {
            endpoint: endpoint.name.clone(),
            replicas: endpoint.replicas,
            pods: PodFields::StayAsPlaced,
            hourly_cost: draft.cost_of(endpoint, endpoint.replicas),
            findings,
        };
        draft.keep(endpoint, keep);
    }
    Outcome { decision: Decision::Suspended, summary: Summary::Suspended, chosen: Vec::new(), candidates: None }
}
