//! What a deployment's status says, from its spec, its plan and its endpoints. Decides nothing and writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use roadstead_model::{Action, Decision, Finding, FindingReason, MicroDollars, Plan, Wait};

use super::cost::billed;
use super::{build, candidates};
use crate::api::v1alpha1::conditions::{self, Conditions, FALSE, TRUE, UNKNOWN};
use crate::api::v1alpha1::validate::{self, Problem};
use crate::api::v1alpha1::{
    EndpointState, InferenceEndpoint, InferenceEndpointStatus, ModelDeployment, ModelDeploymentStatus, PlacementStatus,
    ReleasingStatus, limits, reasons,
};
use crate::controller::convert;
use crate::controller::routing::requested_at;
use crate::provider::ErrorClass;

/// Where a deployment stands, beside what its endpoints say.
pub enum Stage<'a> {
    /// A plan was made and carried out.
    Planned {
        /// The plan.
        plan: &'a Plan,
        /// The candidates that were told show a fact that has changed since.
        outdated: bool,
    },
    /// Its spec says something that cannot be.
    Invalid(&'a [Problem]),
    /// It is being deleted.
    Deleting,
}

/// The status that follows.
pub fn status(
    object: &ModelDeployment,
    stage: &Stage<'_>,
    endpoints: &[Arc<InferenceEndpoint>],
    now: Timestamp,
) -> ModelDeploymentStatus {
    let former = object.status.clone().unwrap_or_default();
    let (releasing, mut live): (Vec<_>, Vec<_>) = endpoints.iter().partition(|endpoint| is_going(endpoint));
    // Those that clients are told of first, of these the newest: the first is what people and scripts read.
    live.sort_by_key(|endpoint| std::cmp::Reverse((is_told(endpoint), age(endpoint))));
    let main = main_endpoint(&live);
    let mut status = ModelDeploymentStatus {
        observed_generation: object.metadata.generation.unwrap_or(-1),
        conditions: conditions_of(object, stage, main, &live, now),
        replicas: main.and_then(|main| main.status.as_ref()).map_or(0, |status| status.replicas),
        ready_replicas: main.and_then(|main| main.status.as_ref()).map_or(0, |status| status.ready_replicas),
        selector: Some(format!("roadstead.dev/deployment-uid={}", object.uid().unwrap_or_default())),
        hourly_cost: hourly_cost(endpoints),
        placements: placements(&former, &live, now),
        candidates: former.candidates.clone(),
        omitted_candidates: former.omitted_candidates,
        decided_at: former.decided_at.clone(),
        releasing: releasing
            .iter()
            .take(limits::RELEASING)
            .map(|endpoint| releasing_status(&former, endpoint, now))
            .collect(),
        last_handled_reconcile_at: requested_at(object).map(|at| limits::echo(at)),
    };
    if let Stage::Planned { plan, outdated } = stage
        && (*outdated || candidates_are_due(object, &former, &status, plan, main))
    {
        status.candidates = candidates::of(plan);
        status.omitted_candidates = candidates::omitted(plan);
        status.decided_at = Some(convert::api_time(now));
    }
    status
}

/// Whether the candidates of this plan are told: with a decision, and whenever all that is told speaks of them. What is
/// told belongs to one plan as a whole; what can wait, waits as a whole.
fn candidates_are_due(
    object: &ModelDeployment,
    former: &ModelDeploymentStatus,
    status: &ModelDeploymentStatus,
    plan: &Plan,
    main: Option<&Arc<InferenceEndpoint>>,
) -> bool {
    let new_spec = Some(former.observed_generation) != object.metadata.generation;
    let news = || {
        let omitted = candidates::omitted(plan);
        status.conditions != former.conditions
            || omitted != former.omitted_candidates
            || candidates::of(plan) != former.candidates
    };
    new_spec
        || candidates::are_of_another_decision(former, plan, main.map(AsRef::as_ref))
        || (candidates::seeks(plan) && news())
}

/// Whether an endpoint is on its way out. It may be billed until it is confirmed gone.
fn is_going(endpoint: &InferenceEndpoint) -> bool {
    endpoint.metadata.deletion_timestamp.is_some() || endpoint.spec.state == EndpointState::Draining
}

/// Whether clients are told of an endpoint: once its address has answered, and for as long as it lives.
fn is_told(endpoint: &InferenceEndpoint) -> bool {
    endpoint.status.as_ref().is_some_and(|status| status.url.is_some() && status.first_ready_time.is_some())
}

/// Greater for what is younger.
fn age(endpoint: &InferenceEndpoint) -> (Option<Timestamp>, i32) {
    (endpoint.metadata.creation_timestamp.as_ref().map(|time| time.0), endpoint.spec.slot)
}

/// The endpoint that stands for the deployment: the newest that is meant to stay.
fn main_endpoint<'a>(live: &[&'a Arc<InferenceEndpoint>]) -> Option<&'a Arc<InferenceEndpoint>> {
    live.iter().copied().max_by_key(|endpoint| age(endpoint))
}

/// Everything that may be billed; unknown as soon as one price is.
fn hourly_cost(endpoints: &[Arc<InferenceEndpoint>]) -> Option<String> {
    let mut costs = endpoints.iter().map(|endpoint| billed(endpoint));
    let sum = costs.try_fold(MicroDollars::ZERO, |sum, cost| cost.map(|cost| sum.saturating_add(cost)));
    sum.map(|sum| sum.to_string())
}

fn placements(
    former: &ModelDeploymentStatus,
    live: &[&Arc<InferenceEndpoint>],
    now: Timestamp,
) -> Vec<PlacementStatus> {
    let since: BTreeMap<&str, _> = former
        .placements
        .iter()
        .filter_map(|placement| Some((placement.endpoint.as_str(), (placement.url.clone()?, placement.since.clone()?))))
        .collect();
    live.iter()
        .take(limits::PLACEMENTS)
        .map(|endpoint| {
            let name = endpoint.name_any();
            let spec = &endpoint.spec;
            let status = endpoint.status.clone().unwrap_or_default();
            let url = status.url.filter(|_| is_told(endpoint));
            let published = since.get(name.as_str()).map(|(_, since)| since.clone());
            PlacementStatus {
                since: url.as_ref().map(|_| published.unwrap_or_else(|| convert::api_time(now))),
                target: spec.target.clone(),
                cloud: spec.cloud.clone(),
                region: spec.region.clone(),
                shape: spec.shape.clone(),
                offer: spec.offer.clone(),
                capacity_type: spec.capacity_type,
                replicas: spec.replicas,
                ready_replicas: status.ready_replicas,
                hourly_cost: billed(endpoint).map(|cost| cost.to_string()),
                url,
                api_key_secret_name: status.api_key_secret_name,
                endpoint: name,
            }
        })
        .collect()
}

fn releasing_status(former: &ModelDeploymentStatus, endpoint: &InferenceEndpoint, now: Timestamp) -> ReleasingStatus {
    let name = endpoint.name_any();
    let known = former.releasing.iter().find(|known| known.endpoint == name).map(|known| known.since.clone());
    let since = known.or_else(|| endpoint.metadata.deletion_timestamp.clone());
    let error = endpoint.status.as_ref().and_then(|status| status.last_error.as_ref());
    ReleasingStatus {
        endpoint: name,
        target: endpoint.spec.target.clone(),
        since: since.unwrap_or_else(|| convert::api_time(now)),
        last_error: error.map(|error| limits::message(&error.message)),
        hourly_cost: billed(endpoint).map(|cost| cost.to_string()),
    }
}

/// What the plan says of the endpoint that stays, most important first.
fn findings<'a>(plan: &'a Plan, main: &InferenceEndpoint) -> impl Iterator<Item = &'a Finding> {
    let name = main.name_any();
    let keep = plan.actions.iter().find_map(|action| match action {
        Action::Keep(keep) if keep.endpoint == name => Some(keep),
        _ => None,
    });
    keep.into_iter().flat_map(|keep| &keep.findings)
}

/// A plan's own sentence, and what it waits for; or what to do, where waiting does not help.
fn message(plan: &Plan) -> String {
    let waits = plan.waits.iter().map(|wait| match wait {
        Wait::Feasible if !plan.report.time_can_help => "edit the rules, the budget or a target".to_owned(),
        wait => roadstead_explain::wait(wait),
    });
    let waits: Vec<String> = waits.filter(|wait| !plan.message.contains(wait.as_str())).collect();
    if waits.is_empty() { plan.message.clone() } else { format!("{}; {}", plan.message, waits.join("; ")) }
}

/// How the summary condition reads.
struct Summary {
    status: &'static str,
    reason: String,
    message: String,
    /// The newest generation is not realised, and time or the operator can change that.
    reconciling: bool,
    /// Only an edit can help.
    stalled: bool,
}

impl Summary {
    fn new(status: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self { status, reason: reason.to_owned(), message: message.into(), reconciling: false, stalled: false }
    }

    fn reconciling(reason: &str, message: impl Into<String>) -> Self {
        Self { reconciling: true, ..Self::new(FALSE, reason, message) }
    }

    fn stalled(reason: &str, message: impl Into<String>) -> Self {
        Self { stalled: true, ..Self::new(FALSE, reason, message) }
    }
}

fn conditions_of(
    object: &ModelDeployment,
    stage: &Stage<'_>,
    main: Option<&Arc<InferenceEndpoint>>,
    live: &[&Arc<InferenceEndpoint>],
    now: Timestamp,
) -> Vec<Condition> {
    let former = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let mut set = Conditions::new(former, object.metadata.generation, now);
    let summary = summary(object, stage, main);
    set.set(conditions::READY, summary.status, &summary.reason, &summary.message);
    if summary.reconciling {
        set.set(conditions::RECONCILING, TRUE, &summary.reason, &summary.message);
    }
    if summary.stalled {
        set.set(conditions::STALLED, TRUE, &summary.reason, &summary.message);
    }
    placed(&mut set, stage, main);
    budget(&mut set, object, live);
    set.finish()
}

fn placed(set: &mut Conditions<'_>, stage: &Stage<'_>, main: Option<&Arc<InferenceEndpoint>>) {
    match (main, stage) {
        (Some(main), _) => {
            let spec = &main.spec;
            let cost = spec.hourly_cost.as_ref().map_or("an unknown price".to_owned(), |cost| format!("${cost}/h"));
            let text = format!(
                "{} x {} {} on {} ({} {}) at {cost}",
                spec.replicas, spec.accelerator.count, spec.accelerator.type_, spec.target, spec.cloud, spec.region
            );
            set.set(conditions::PLACED, TRUE, reasons::PLACED, text);
        }
        (None, Stage::Planned { plan, .. }) => {
            set.set(conditions::PLACED, FALSE, plan.decision.as_str(), message(plan));
        }
        (None, _) => {}
    }
}

fn budget(set: &mut Conditions<'_>, object: &ModelDeployment, live: &[&Arc<InferenceEndpoint>]) {
    let Some(limit) = object.spec.placement.cost.max_hourly_cost.as_deref() else { return };
    let Ok(allowed) = MicroDollars::parse(limit) else { return };
    if live.is_empty() {
        return;
    }
    // Overlap during a replacement does not count: the dearest single endpoint does.
    let costs: Option<Vec<MicroDollars>> = live
        .iter()
        .map(|endpoint| endpoint.spec.hourly_cost.as_deref().and_then(|cost| MicroDollars::parse(cost).ok()))
        .collect();
    match costs.map(|costs| costs.into_iter().max().unwrap_or(MicroDollars::ZERO)) {
        None => set.set(conditions::WITHIN_BUDGET, UNKNOWN, reasons::PRICE_UNKNOWN, "a price is unknown"),
        Some(cost) if cost <= allowed => {
            set.set(conditions::WITHIN_BUDGET, TRUE, reasons::WITHIN_BUDGET, format!("${cost}/h of ${allowed}/h"))
        }
        Some(cost) => {
            set.set(conditions::WITHIN_BUDGET, FALSE, reasons::OVER_BUDGET, format!("${cost}/h, over ${allowed}/h"))
        }
    };
}

fn summary(object: &ModelDeployment, stage: &Stage<'_>, main: Option<&Arc<InferenceEndpoint>>) -> Summary {
    match stage {
        Stage::Deleting => Summary::reconciling(reasons::DELETING, "its endpoints are being removed"),
        Stage::Invalid(problems) => Summary::stalled(reasons::INVALID_SPEC, validate::sentence(problems)),
        Stage::Planned { plan, .. } => match main {
            Some(main) => of_endpoint(object, plan, main),
            None => of_plan(object, plan),
        },
    }
}

/// Nothing runs.
fn of_plan(object: &ModelDeployment, plan: &Plan) -> Summary {
    let wanted = object.spec.replicas;
    match plan.decision {
        Decision::ScaledToZero => Summary::new(TRUE, reasons::SCALED_TO_ZERO, "no replicas are wanted"),
        _ if object.spec.suspend && wanted == 0 => {
            Summary::new(TRUE, reasons::SUSPENDED, "suspended; no replicas are wanted, and none run")
        }
        _ if object.spec.suspend => Summary::reconciling(
            reasons::SUSPENDED,
            format!("suspended: replicas wanted: {wanted}, nothing runs; set spec.suspend to false to place them"),
        ),
        Decision::NoFeasiblePlacement if !plan.report.time_can_help => {
            Summary::stalled(plan.decision.as_str(), message(plan))
        }
        decision => Summary::reconciling(decision.as_str(), message(plan)),
    }
}

/// Something runs or starts. It is as it should be only if it is all that this generation wants.
fn of_endpoint(object: &ModelDeployment, plan: &Plan, main: &InferenceEndpoint) -> Summary {
    let status = main.status.clone().unwrap_or_default();
    let current = Some(status.observed_generation) == main.metadata.generation;
    let ready = conditions::find(&status.conditions, conditions::READY);
    let is_ready = current && ready.is_some_and(|ready| ready.status == TRUE);
    let missing = build::missing(object, main);
    if object.spec.suspend {
        return suspended(plan, main, ready.filter(|_| current), &missing);
    }
    if let Some(finding) = findings(plan, main).find(|finding| matters(finding.reason, !missing.is_empty())) {
        let text = beside(&finding.message, message(plan));
        return if plan.report.time_can_help {
            Summary::reconciling(finding.reason.as_str(), text)
        } else {
            Summary::stalled(finding.reason.as_str(), text)
        };
    }
    let at_zero = object.spec.replicas == 0 && main.spec.replicas == 0;
    match ready {
        Some(ready) if is_ready => {
            let published = main.spec.replicas == 0 || status.url.is_some();
            let replaced = plan.waits.iter().any(|wait| matches!(wait, Wait::Publication { .. }));
            if published && !replaced && (missing.is_empty() || at_zero) {
                Summary::new(TRUE, &ready.reason, &ready.message)
            } else {
                Summary::reconciling(reasons::REPLACING, message(plan))
            }
        }
        Some(ready) if ready.status == UNKNOWN => {
            let reconciling = !current || !(missing.is_empty() || at_zero);
            Summary { reconciling, ..Summary::new(UNKNOWN, &ready.reason, &ready.message) }
        }
        Some(ready) if current && (is_refused_for_good(&status) || is_stuck(plan, &ready.reason)) => {
            Summary::stalled(&ready.reason, &ready.message)
        }
        Some(ready) if current => Summary::reconciling(&ready.reason, &ready.message),
        _ => Summary::reconciling(reasons::STARTING, "the endpoint takes up the newest spec"),
    }
}

/// A suspended deployment is as its endpoint is, unless an edit waits.
fn suspended(plan: &Plan, main: &InferenceEndpoint, ready: Option<&Condition>, missing: &[String]) -> Summary {
    let found = findings(plan, main).filter(|finding| matters(finding.reason, true)).map(|one| one.message.clone());
    let waiting: Vec<String> = missing.iter().cloned().chain(found).collect();
    if !waiting.is_empty() {
        let waiting = waiting.join(", ");
        let text =
            format!("suspended: this generation is not applied: {waiting}; set spec.suspend to false to apply it");
        return Summary::reconciling(reasons::SUSPENDED, text);
    }
    match ready {
        Some(ready) if ready.status == TRUE => {
            Summary::new(TRUE, reasons::SUSPENDED, "suspended; what runs is kept as it is")
        }
        Some(ready) => {
            let text = format!("suspended; {}: {}", ready.reason, ready.message);
            if ready.status == UNKNOWN {
                Summary::new(UNKNOWN, reasons::SUSPENDED, text)
            } else {
                Summary::reconciling(reasons::SUSPENDED, text)
            }
        }
        None => Summary::reconciling(reasons::SUSPENDED, "suspended; the endpoint takes up the newest spec"),
    }
}

/// A finding and the plan's sentence, which often begins with it.
fn beside(finding: &str, plan: String) -> String {
    if plan.contains(finding) { plan } else { format!("{finding}; {plan}") }
}

/// The provider says that the request can never succeed as it is, or a rule of the place refuses it: only an edit helps.
fn is_refused_for_good(status: &InferenceEndpointStatus) -> bool {
    let Some(ready) = conditions::find(&status.conditions, conditions::READY) else { return false };
    let class = match ready.reason.as_str() {
        reasons::PROVIDER_ERROR => ErrorClass::Invalid,
        reasons::PODS_REFUSED | reasons::ADMISSION_REFUSED => ErrorClass::Refused,
        _ => return false,
    };
    status.last_error.as_ref().is_some_and(|error| error.class == class.as_str())
}

/// Its first endpoint did not come up where it is, and no other place would do: as it is nothing more is tried.
fn is_stuck(plan: &Plan, reason: &str) -> bool {
    reason == reasons::STARTUP_TIMEOUT && plan.waits.contains(&Wait::Feasible)
}

/// Findings that mean that this generation is not what serves; some only if `something` is missing.
const fn matters(reason: FindingReason, something: bool) -> bool {
    match reason {
        FindingReason::PolicyViolated | FindingReason::SpecChanged | FindingReason::InsufficientCapacity => true,
        // Else WithinBudget says it.
        FindingReason::OverBudget | FindingReason::PriceUnknown => something,
        // The endpoint's own condition, or a note of the plan say these.
        FindingReason::TargetNotReady | FindingReason::OfferGone | FindingReason::StartupTimeout => false,
    }
}
