//! A deployment's status from its spec, its plan and its endpoints. A pure function that writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use roadstead_explain::{self as explain, DeploymentMessage, account};
use roadstead_model::{Action, Decision, Finding, FindingReason, MicroDollars, Plan, Summary, Wait};

use super::cost::billed;
use super::home::home;
use super::last_move::last_move;
use super::moves::moves;
use super::place::place;
use super::roles::Roles;
use super::{build, candidates, hosted, standby};
use crate::controller::routing::requested_at;
use crate::controller::traffic::hosted::HostedEntry;
use roadstead_api::planning;
use roadstead_api::v1alpha1::conditions::{self, Conditions, FALSE, TRUE, UNKNOWN};
use roadstead_api::v1alpha1::validate::{self, Problem};
use roadstead_api::v1alpha1::{
    Dollars, HostedStatus, InferenceEndpoint, InferenceEndpointStatus, ModelDeployment, ModelDeploymentStatus,
    PlacementRole, PlacementStatus, ReleasingStatus, limits, reasons,
};
use roadstead_provider::ErrorClass;

/// Stage of a deployment beside the state of its endpoints.
pub enum ReconcileStage<'a> {
    /// A plan was made and carried out.
    Planned {
        /// The plan.
        plan: &'a Plan,
        /// A fact in the written candidates has changed.
        outdated: bool,
        /// A gateway leads to all endpoints of the deployment.
        has_gateway: bool,
        /// Hosted models that it names.
        hosted: &'a [HostedEntry],
    },
    /// Its spec says something that cannot be.
    Invalid(&'a [Problem]),
    /// It is being deleted.
    Deleting,
}

/// The status that follows.
pub fn status(
    object: &ModelDeployment,
    stage: &ReconcileStage<'_>,
    endpoints: &[Arc<InferenceEndpoint>],
    now: Timestamp,
) -> ModelDeploymentStatus {
    let former = object.status.clone().unwrap_or_default();
    let plan = match stage {
        ReconcileStage::Planned { plan, .. } => Some(*plan),
        ReconcileStage::Invalid(_) | ReconcileStage::Deleting => None,
    };
    let roles = Roles::of(endpoints, plan, &former);
    let hosted = match stage {
        ReconcileStage::Planned { hosted, .. } => hosted::statuses(&former, hosted, now),
        ReconcileStage::Invalid(_) | ReconcileStage::Deleting => former.hosted.clone(),
    };
    let sum = |of: fn(&InferenceEndpointStatus) -> i32| {
        let statuses = roles.serving.iter().filter_map(|endpoint| endpoint.status.as_ref());
        statuses.map(of).fold(0, i32::saturating_add)
    };
    let mut status = ModelDeploymentStatus {
        observed_generation: object.metadata.generation.unwrap_or(-1),
        url: former.url.clone(),
        keys_secret_name: former.keys_secret_name.clone(),
        conditions: conditions_of(object, stage, (&roles, &hosted), now),
        revision: plan.map_or(former.revision, |plan| i64::try_from(plan.revision).unwrap_or(i64::MAX)),
        replicas: sum(|status| status.replicas),
        ready_replicas: sum(|status| status.ready_replicas),
        selector: Some(format!("roadstead.dev/deployment-uid={}", object.uid().unwrap_or_default())),
        hourly_cost: hourly_cost(endpoints),
        placements: placements(&former, &roles, now),
        candidates: former.candidates.clone(),
        omitted_candidates: former.omitted_candidates,
        decided_at: former.decided_at.clone(),
        releasing: roles
            .draining
            .iter()
            .take(limits::RELEASING)
            .map(|endpoint| releasing_status(&former, endpoint, now))
            .collect(),
        hosted,
        moves: moves(&former, plan, endpoints),
        last_move: None,
        home: None,
        last_handled_reconcile_at: requested_at(object).map(|at| limits::echo(at)),
    };
    status.last_move = last_move(&former, &status.placements, endpoints);
    status.home = home(&former, &roles.serving, status.last_move.as_ref());
    if let ReconcileStage::Planned { plan, outdated, .. } = stage
        && (*outdated || candidates_are_due(object, &former, &status, plan))
    {
        status.candidates = candidates::of(plan);
        status.omitted_candidates = candidates::omitted(plan);
        status.decided_at = Some(planning::api_time(now));
    }
    status
}

/// True if the candidates of this plan are written: with a decision, and whenever the whole status describes them. A
/// status belongs to one plan as a whole, and is delayed as a whole.
fn candidates_are_due(
    object: &ModelDeployment,
    former: &ModelDeploymentStatus,
    status: &ModelDeploymentStatus,
    plan: &Plan,
) -> bool {
    let new_spec = Some(former.observed_generation) != object.metadata.generation;
    let news = || {
        let omitted = candidates::omitted(plan);
        status.conditions != former.conditions
            || omitted != former.omitted_candidates
            || candidates::of(plan) != former.candidates
    };
    new_spec || status.revision != former.revision || (candidates::seeks(plan) && news())
}

/// True if an endpoint is published to clients: from its first answer until its removal.
fn is_told(endpoint: &InferenceEndpoint) -> bool {
    endpoint.status.as_ref().is_some_and(|status| status.url.is_some() && status.first_ready_time.is_some())
}

/// Everything that may be billed; unknown as soon as one price is.
fn hourly_cost(endpoints: &[Arc<InferenceEndpoint>]) -> Option<Dollars> {
    let mut costs = endpoints.iter().map(|endpoint| billed(endpoint));
    let sum = costs.try_fold(MicroDollars::ZERO, |sum, cost| cost.map(|cost| sum.saturating_add(cost)));
    sum.map(Dollars::from)
}

fn placements(former: &ModelDeploymentStatus, roles: &Roles<'_>, now: Timestamp) -> Vec<PlacementStatus> {
    let since: BTreeMap<&str, _> = former
        .placements
        .iter()
        .filter_map(|placement| Some((placement.endpoint.as_str(), (placement.url.clone()?, placement.since.clone()?))))
        .collect();
    roles
        .live()
        .take(limits::PLACEMENTS)
        .map(|(endpoint, role)| {
            let name = endpoint.name_any();
            let spec = &endpoint.spec;
            let status = endpoint.status.clone().unwrap_or_default();
            let url = status.url.filter(|_| is_told(endpoint));
            let published = since.get(name.as_str()).map(|(_, since)| since.clone());
            PlacementStatus {
                role,
                since: url.as_ref().map(|_| published.unwrap_or_else(|| planning::api_time(now))),
                target: spec.target.clone(),
                cloud: spec.cloud.clone(),
                region: spec.region.clone(),
                shape: spec.shape.clone(),
                offer: spec.offer.clone(),
                capacity_type: spec.capacity_type,
                replicas: spec.replicas,
                ready_replicas: status.ready_replicas,
                hourly_cost: billed(endpoint).map(Dollars::from),
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
        since: since.unwrap_or_else(|| planning::api_time(now)),
        last_error: error.map(|error| limits::message(&error.message)),
        hourly_cost: billed(endpoint).map(Dollars::from),
    }
}

/// The plan's findings about the endpoint that stays, most important first.
fn findings<'a>(plan: &'a Plan, endpoint: &InferenceEndpoint) -> impl Iterator<Item = &'a Finding> {
    let name = endpoint.name_any();
    let keep = plan.actions.iter().find_map(|action| match action {
        Action::Keep(keep) if keep.endpoint == name => Some(keep),
        _ => None,
    });
    keep.into_iter().flat_map(|keep| &keep.findings)
}

/// Content of the summary condition.
struct ReadySummary {
    status: &'static str,
    reason: String,
    message: String,
    /// The newest generation is not realised, and time or the operator can change that.
    reconciling: bool,
    /// Only an edit can help.
    stalled: bool,
}

impl ReadySummary {
    fn new(status: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self { status, reason: reason.to_owned(), message: message.into(), reconciling: false, stalled: false }
    }

    fn says(status: &'static str, reason: &str, message: DeploymentMessage<'_>) -> Self {
        Self::new(status, reason, message.to_string())
    }

    fn reconciling(reason: &str, message: impl Into<String>) -> Self {
        Self { reconciling: true, ..Self::new(FALSE, reason, message) }
    }

    fn stalled(reason: &str, message: impl Into<String>) -> Self {
        Self { stalled: true, ..Self::new(FALSE, reason, message) }
    }

    /// Greater for what is worse.
    fn rank(&self) -> (bool, u8) {
        let status = match self.status {
            TRUE => 0,
            UNKNOWN => 1,
            _ => 2,
        };
        (self.stalled, status)
    }
}

fn conditions_of(
    object: &ModelDeployment,
    stage: &ReconcileStage<'_>,
    (roles, hosted): (&Roles<'_>, &[HostedStatus]),
    now: Timestamp,
) -> Vec<Condition> {
    let former = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let mut set = Conditions::new(former, object.metadata.generation, now);
    let summary = summary(object, stage, roles);
    set.set(conditions::READY, summary.status, &summary.reason, &summary.message);
    if summary.reconciling {
        set.set(conditions::RECONCILING, TRUE, &summary.reason, &summary.message);
    }
    if summary.stalled {
        set.set(conditions::STALLED, TRUE, &summary.reason, &summary.message);
    }
    placed(&mut set, stage, roles);
    migrating(&mut set, stage);
    budget(&mut set, object, roles);
    failover(&mut set, stage);
    if let ReconcileStage::Planned { plan, has_gateway, .. } = stage
        && let Some((status, reason, message)) = standby::condition(object, plan, *has_gateway, roles)
    {
        set.set(conditions::STANDBY_READY, status, &reason, message);
    }
    if let Some((status, reason, message)) = hosted::condition(hosted) {
        set.set(conditions::HOSTED_FALLBACK, status, reason, message);
    }
    set.finish()
}

fn placed(set: &mut Conditions<'_>, stage: &ReconcileStage<'_>, roles: &Roles<'_>) {
    let of = |role: PlacementRole| {
        let live = roles.live().filter(move |(_, its)| *its == role);
        live.map(|(endpoint, _)| place(&endpoint.spec))
    };
    let [serving, replacements, standby] =
        [PlacementRole::Serving, PlacementRole::Replacement, PlacementRole::Standby].map(of);
    let places = explain::deployment::places(serving, replacements, standby);
    match stage {
        _ if !places.is_empty() => {
            set.set(conditions::PLACED, TRUE, reasons::PLACED, places);
        }
        ReconcileStage::Planned { plan, .. } => {
            set.set(conditions::PLACED, FALSE, plan.decision.as_str(), account(plan));
        }
        ReconcileStage::Invalid(_) | ReconcileStage::Deleting => {}
    }
}

/// A replacement that is wanted: under way, or waiting for a place or its turn.
fn migrating(set: &mut Conditions<'_>, stage: &ReconcileStage<'_>) {
    let ReconcileStage::Planned { plan, .. } = stage else { return };
    let status = match plan.summary {
        Summary::IsReplaced { .. }
        | Summary::Replaces { .. }
        | Summary::Promotes { .. }
        | Summary::RemovesFirst { .. }
        | Summary::AwaitsRemoval { .. } => TRUE,
        Summary::AwaitsItsTurn { .. } | Summary::HasNoReplacement { .. } | Summary::CannotRemoveFirst { .. } => FALSE,
        _ => return,
    };
    set.set(conditions::MIGRATING, status, plan.decision.as_str(), account(plan));
}

/// A failover that is under way or waits; false while nothing is replaced because the hub reaches no target.
fn failover(set: &mut Conditions<'_>, stage: &ReconcileStage<'_>) {
    let ReconcileStage::Planned { plan, .. } = stage else { return };
    if matches!(plan.decision, Decision::TargetLost | Decision::EndpointFailing) {
        set.set(conditions::FAILOVER_ACTIVE, TRUE, plan.decision.as_str(), account(plan));
    } else if let Some(wait) = plan.waits.iter().find(|wait| matches!(wait, Wait::HubContact { .. })) {
        set.set(conditions::FAILOVER_ACTIVE, FALSE, reasons::HUB_ISOLATED, explain::wait(wait));
    }
}

fn budget(set: &mut Conditions<'_>, object: &ModelDeployment, roles: &Roles<'_>) {
    let Some(allowed) = object.spec.placement.cost.max_hourly_cost.as_ref().and_then(Dollars::known) else { return };
    if roles.live().next().is_none() {
        return;
    }
    // Overlap during a replacement does not count: the dearer of what serves and what is to take over does.
    let costs = decided_cost(&roles.serving).zip(decided_cost(&roles.replacements));
    let costs = costs.zip(decided_cost(&roles.standby));
    // The ceilings of hosted models count whether they are used or not.
    let ceilings = object.spec.failover.hosted_ceiling();
    let sum = |((serving, replacing), standby): ((MicroDollars, MicroDollars), MicroDollars)| {
        serving.max(replacing).saturating_add(standby).saturating_add(ceilings)
    };
    match costs.map(sum) {
        None => {
            let message = DeploymentMessage::CostUnknown(allowed).to_string();
            set.set(conditions::WITHIN_BUDGET, UNKNOWN, reasons::PRICE_UNKNOWN, message)
        }
        Some(cost) => {
            let message = DeploymentMessage::Cost { cost, budget: allowed }.to_string();
            let within = cost <= allowed;
            let (status, reason) = if within { (TRUE, reasons::WITHIN_BUDGET) } else { (FALSE, reasons::OVER_BUDGET) };
            set.set(conditions::WITHIN_BUDGET, status, reason, message)
        }
    };
}

/// Total cost of endpoints as decided; unknown if one price is.
fn decided_cost(endpoints: &[&Arc<InferenceEndpoint>]) -> Option<MicroDollars> {
    let mut costs = endpoints.iter().map(|endpoint| endpoint.spec.hourly_cost.as_ref()?.known());
    costs.try_fold(MicroDollars::ZERO, |sum, cost| cost.map(|cost| sum.saturating_add(cost)))
}

fn summary(object: &ModelDeployment, stage: &ReconcileStage<'_>, roles: &Roles<'_>) -> ReadySummary {
    match stage {
        ReconcileStage::Deleting => {
            ReadySummary::reconciling(reasons::DELETING, DeploymentMessage::Deleting.to_string())
        }
        ReconcileStage::Invalid(problems) => ReadySummary::stalled(reasons::INVALID_SPEC, validate::sentence(problems)),
        ReconcileStage::Planned { plan, .. } => of_all(object, plan, roles).unwrap_or_else(|| of_plan(object, plan)),
    }
}

/// All that serves is ready, or the worst of it; nothing where nothing serves.
fn of_all(object: &ModelDeployment, plan: &Plan, roles: &Roles<'_>) -> Option<ReadySummary> {
    let missing = build::missing(object, &roles.serving);
    let summaries = roles.serving.iter().map(|serving| of_endpoint(object, plan, serving, &missing));
    let mut summary = summaries.reduce(|worst, next| if next.rank() > worst.rank() { next } else { worst })?;
    if summary.status == TRUE && is_partial(plan) {
        summary = ReadySummary::reconciling(plan.decision.as_str(), account(plan));
    }
    Some(beside_replacement(summary, roles))
}

/// True if replicas are divided, and some have no place, or too few failure domains have one.
const fn is_partial(plan: &Plan) -> bool {
    matches!(plan.decision, Decision::PartlyPlaced | Decision::SpreadUnsatisfied)
}

/// Progress of the replacement. If it is refused permanently, only an edit helps.
fn beside_replacement(mut summary: ReadySummary, roles: &Roles<'_>) -> ReadySummary {
    if summary.status == TRUE {
        return summary;
    }
    for endpoint in &roles.replacements {
        let Some(status) = &endpoint.status else { continue };
        let Some(ready) = conditions::find(&status.conditions, conditions::READY) else { continue };
        if ready.status != TRUE {
            let (endpoint, reason, message) = (&endpoint.name_any(), &ready.reason, &ready.message);
            let progress = DeploymentMessage::Replacement { endpoint, reason, message };
            summary.message = format!("{}; {progress}", summary.message);
        }
        if summary.reconciling && is_refused_for_good(status) {
            (summary.reconciling, summary.stalled) = (false, true);
        }
    }
    summary
}

/// Nothing runs.
fn of_plan(object: &ModelDeployment, plan: &Plan) -> ReadySummary {
    let wanted = object.spec.replicas;
    match plan.decision {
        Decision::ScaledToZero => ReadySummary::new(TRUE, reasons::SCALED_TO_ZERO, explain::summary(&plan.summary)),
        _ if object.spec.suspend && wanted == 0 => {
            ReadySummary::says(TRUE, reasons::SUSPENDED, DeploymentMessage::SuspendedAtZero)
        }
        _ if object.spec.suspend => ReadySummary::reconciling(
            reasons::SUSPENDED,
            DeploymentMessage::SuspendedUnplaced(u32::try_from(wanted).unwrap_or(0)).to_string(),
        ),
        Decision::NoFeasiblePlacement if !plan.report.time_can_help => {
            ReadySummary::stalled(plan.decision.as_str(), account(plan))
        }
        decision => ReadySummary::reconciling(decision.as_str(), account(plan)),
    }
}

/// Something runs or starts. It is as it should be only if it is all that this generation wants.
fn of_endpoint(object: &ModelDeployment, plan: &Plan, serving: &InferenceEndpoint, missing: &[String]) -> ReadySummary {
    let status = serving.status.clone().unwrap_or_default();
    let current = Some(status.observed_generation) == serving.metadata.generation;
    let ready = conditions::find(&status.conditions, conditions::READY);
    let is_ready = current && ready.is_some_and(|ready| ready.status == TRUE);
    if object.spec.suspend {
        return suspended(plan, serving, ready.filter(|_| current), missing);
    }
    if let Some(finding) = findings(plan, serving).find(|finding| matters(finding.reason(), !missing.is_empty())) {
        let text = beside(&explain::finding(finding), account(plan));
        return if plan.report.time_can_help {
            ReadySummary::reconciling(finding.reason().as_str(), text)
        } else {
            ReadySummary::stalled(finding.reason().as_str(), text)
        };
    }
    let at_zero = object.spec.replicas == 0 && serving.spec.replicas == 0;
    match ready {
        Some(ready) if is_ready => {
            let published = serving.spec.replicas == 0 || status.url.is_some();
            if published && (missing.is_empty() || at_zero) {
                ReadySummary::new(TRUE, &ready.reason, &ready.message)
            } else {
                let reason = if is_partial(plan) { plan.decision.as_str() } else { reasons::REPLACING };
                ReadySummary::reconciling(reason, account(plan))
            }
        }
        Some(ready) if ready.status == UNKNOWN => {
            let reconciling = !current || !(missing.is_empty() || at_zero);
            ReadySummary { reconciling, ..ReadySummary::new(UNKNOWN, &ready.reason, &ready.message) }
        }
        Some(ready) if current && (is_refused_for_good(&status) || is_stuck(plan, &ready.reason)) => {
            ReadySummary::stalled(&ready.reason, &ready.message)
        }
        Some(ready) if current => ReadySummary::reconciling(&ready.reason, &ready.message),
        _ => ReadySummary::reconciling(reasons::STARTING, DeploymentMessage::RollingOut.to_string()),
    }
}

/// A suspended deployment is as its endpoint is, unless an edit waits.
fn suspended(plan: &Plan, serving: &InferenceEndpoint, ready: Option<&Condition>, missing: &[String]) -> ReadySummary {
    let found: Vec<String> =
        findings(plan, serving).filter(|finding| matters(finding.reason(), true)).map(explain::finding).collect();
    let untold = missing.iter().filter(|missing| !found.iter().any(|found| found.starts_with(*missing)));
    let waiting: Vec<String> = untold.chain(&found).cloned().collect();
    if !waiting.is_empty() {
        return ReadySummary::reconciling(reasons::SUSPENDED, DeploymentMessage::SuspendedEdit(&waiting).to_string());
    }
    match ready {
        Some(ready) if ready.status == TRUE => {
            ReadySummary::says(TRUE, reasons::SUSPENDED, DeploymentMessage::SuspendedReady)
        }
        Some(ready) => {
            let (reason, message) = (&ready.reason, &ready.message);
            let text = DeploymentMessage::SuspendedUnready { reason, message }.to_string();
            if ready.status == UNKNOWN {
                ReadySummary::new(UNKNOWN, reasons::SUSPENDED, text)
            } else {
                ReadySummary::reconciling(reasons::SUSPENDED, text)
            }
        }
        None => ReadySummary::reconciling(reasons::SUSPENDED, DeploymentMessage::SuspendedRollingOut.to_string()),
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
        FindingReason::PolicyViolated
        | FindingReason::SpecChanged
        | FindingReason::InsufficientCapacity
        | FindingReason::ProviderUnsupported => true,
        // Else WithinBudget says it.
        FindingReason::OverBudget | FindingReason::PriceUnknown => something,
        // The endpoint's own condition, or a note of the plan say these.
        FindingReason::TargetLost
        | FindingReason::EndpointFailing
        | FindingReason::TargetEvicted
        | FindingReason::MoveRequested
        | FindingReason::FailedBack
        | FindingReason::TargetNotReady
        | FindingReason::OfferGone
        | FindingReason::StartupTimeout => false,
    }
}
