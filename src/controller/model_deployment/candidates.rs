//! A deployment's candidates in its status, and the time of their refresh. Pure functions that write nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use roadstead_explain as explain;
use roadstead_model::{self as model, Candidate, Decision, MicroDollars, Plan, Reason, Verdict, Wait};
use roadstead_planner as planner;

use roadstead_api::v1alpha1::{CandidateStatus, Dollars, ModelDeploymentStatus, limits, reasons};

/// Shortest interval in seconds between two writes that change only the candidates.
const REFRESH_SECONDS: i64 = 60;

/// The verdict on the place that was chosen or kept.
const CHOSEN: &str = "Chosen";

/// Candidates listed once there is a place: it, the next best ones, and the most telling rejections. All others are counted.
/// Each of them would be decoded, validated and sent once more with every later write of the deployment.
pub(super) const LISTED_WITH_A_PLACE: usize = 8;

/// The candidates of a plan.
pub fn of(plan: &Plan) -> Vec<CandidateStatus> {
    let verdict = |verdict: &Verdict| match verdict {
        Verdict::Chosen(_) => CHOSEN,
        Verdict::Feasible(_) => "Feasible",
        Verdict::Rejected(_) => "Rejected",
    };
    listed(plan)
        .into_iter()
        .map(|candidate| CandidateStatus {
            target: candidate.target.clone(),
            offer: candidate.offer.clone(),
            shape: candidate.shape.clone(),
            hourly_cost: candidate.hourly_cost.map(Dollars::from),
            verdict: verdict(&candidate.verdict).to_owned(),
            reason: candidate.reason().as_str().to_owned(),
            message: limits::message(&explain::verdict(candidate)),
        })
        .collect()
}

/// The candidates of a plan that are listed, in the order of its report: all of them while a place is sought, for then they
/// are what is to be done.
fn listed(plan: &Plan) -> Vec<&Candidate> {
    let all = &plan.report.candidates;
    let chosen = || all.iter().filter(|candidate| matches!(candidate.verdict, Verdict::Chosen(_)));
    let feasible = || all.iter().filter(|candidate| matches!(candidate.verdict, Verdict::Feasible(_)));
    let rejected = || all.iter().filter(|candidate| matches!(candidate.verdict, Verdict::Rejected(_)));
    if seeks(plan) || chosen().next().is_none() {
        return all.iter().collect();
    }
    let room = LISTED_WITH_A_PLACE - 1;
    // As in the report: neither kind crowds the other out.
    let places = feasible().count().min(room - rejected().count().min(room / 2));
    chosen().chain(feasible().take(places)).chain(rejected().take(room - places)).collect()
}

/// Number of candidates of a plan that are not listed.
pub fn omitted(plan: &Plan) -> Option<i32> {
    let report = &plan.report;
    let beyond: u32 = report.omitted.values().sum::<u32>() + report.namespace_not_allowed;
    let cut = report.candidates.len() - listed(plan).len();
    i32::try_from(beyond).ok().zip(i32::try_from(cut).ok()).map(|(beyond, cut)| beyond + cut).filter(|all| *all > 0)
}

/// True if a plan looks for a place and found none yet: all that is said of the deployment then speaks of its
/// candidates.
pub fn seeks(plan: &Plan) -> bool {
    plan.waits.iter().any(|wait| matches!(wait, Wait::Feasible | Wait::Inventory { .. }))
}

/// Time that a change of only the candidates must still wait.
pub fn wait(former: &ModelDeploymentStatus, now: Timestamp) -> Option<Duration> {
    let told = former.decided_at.as_ref()?;
    let due = told.0.checked_add(SignedDuration::from_secs(REFRESH_SECONDS)).ok()?;
    Duration::try_from(due.duration_since(now)).ok().filter(|wait| !wait.is_zero())
}

/// True if a fact in the written candidates has changed: a place, a price, a rule, a taint. Room, refusals and outages
/// do not count: they change by themselves, and each change would rewrite the statuses of a fleet.
pub fn outdated(
    fleet: &planner::Fleet,
    request: &model::Deployment,
    plan: &Plan,
    former: &ModelDeploymentStatus,
) -> bool {
    if matches!(plan.decision, Decision::ScaledToZero | Decision::Suspended) {
        return false;
    }
    let told = (former.candidates.len(), former.omitted_candidates);
    if told != (listed(plan).len(), omitted(plan)) {
        return true;
    }
    let targets: BTreeSet<&str> = former.candidates.iter().map(|candidate| candidate.target.as_str()).collect();
    let judge = |target| (target, planner::candidates_on(fleet, request, plan.decided_at, target));
    let now: BTreeMap<&str, Vec<Candidate>> = targets.into_iter().map(judge).collect();
    former.candidates.iter().any(|told| {
        let chosen = plan.report.candidates.iter().find(|new| new.verdict.is_chosen() && is(told, new));
        let judged = now.get(told.target.as_str()).into_iter().flatten().find(|new| is(told, new));
        match (chosen, judged) {
            (_, None) => true,
            (Some(chosen), _) => told.verdict != CHOSEN || !costs(told, chosen.hourly_cost),
            (None, Some(judged)) => differs(told, judged, is_unusable_by_its_spec(fleet, &told.target)),
        }
    })
}

fn is(told: &CandidateStatus, new: &Candidate) -> bool {
    (&told.target, &told.offer, &told.shape) == (&new.target, &new.offer, &new.shape)
}

fn costs(told: &CandidateStatus, cost: Option<MicroDollars>) -> bool {
    told.hourly_cost == cost.map(Dollars::from)
}

/// True if the written verdict on another place differs from the current one, except for transient facts.
fn differs(told: &CandidateStatus, judged: &Candidate, unusable: bool) -> bool {
    let reads = |reason: Reason| told.reason == reason.as_str();
    if !costs(told, judged.hourly_cost) {
        return true;
    }
    if !judged.reason().comes_and_goes() {
        return !reads(judged.reason()) || told.message != limits::message(&explain::verdict(judged));
    }
    if unusable || reads(Reason::TargetNotReady) {
        // It learns of an outage only with other news, and then of its end.
        return !(reads(Reason::TargetNotReady) && judged.reason() == Reason::TargetNotReady);
    }
    ![Reason::Feasible, Reason::EndpointFailing, Reason::Exhausted, Reason::InsufficientCapacity].into_iter().any(reads)
}

/// True if a target is unusable until an edit.
fn is_unusable_by_its_spec(fleet: &planner::Fleet, target: &str) -> bool {
    let state = fleet.target(target).map(|target| &target.state);
    match state {
        Some(model::TargetState::Invalid { .. }) => true,
        Some(model::TargetState::NotReady { reason, .. }) => {
            [reasons::DELETING, reasons::INVALID_SPEC].contains(&reason.as_str())
        }
        Some(model::TargetState::Ready) | None => false,
    }
}
