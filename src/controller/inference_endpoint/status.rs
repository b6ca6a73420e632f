//! An endpoint's status from an observation. A pure function that writes nothing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use roadstead_explain::EndpointMessage;
use std::time::Duration;

use super::health::{failing_since, health, witness};
use super::heard::Heard;
use super::seen::Seen;
use crate::controller::connections;
use crate::controller::startup;
use crate::controller::throttle::{self, Urgency};
use crate::controller::traffic::witness::GatewayWord;
use roadstead_api::planning;
use roadstead_api::v1alpha1::conditions::{self, Conditions, FALSE, TRUE, UNKNOWN};
use roadstead_api::v1alpha1::{
    ExternalId, Health, InferenceEndpoint, InferenceEndpointStatus, Interruption, LastError, names, reasons,
};
use roadstead_provider::probe::ProbeAnswer;
use roadstead_provider::{ErrorClass, Present, Progress, ProviderError, Trouble, TroubleKind};
use roadstead_runtime::text::bounded;

/// A replica without room is refused after this long, where the offer says of no time in which some may be added.
const ROOM_SECONDS: i32 = 30;
/// Time of repeated failures, for example of an admission webhook, after which a place counts as refusing a new
/// endpoint.
const PATIENCE_SECONDS: i32 = 120;

/// Content of the summary condition.
struct ReadySummary {
    status: &'static str,
    reason: &'static str,
    message: String,
    error: Option<ErrorClass>,
}

impl ReadySummary {
    fn new(status: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into(), error: None }
    }

    fn says(status: &'static str, reason: &'static str, message: EndpointMessage<'_>) -> Self {
        Self::new(status, reason, message.to_string())
    }

    fn failing(reason: &'static str, message: impl Into<String>, class: ErrorClass) -> Self {
        Self { error: Some(class), ..Self::new(FALSE, reason, message) }
    }
}

/// The status that follows.
pub fn status(
    endpoint: &InferenceEndpoint,
    former: &InferenceEndpointStatus,
    seen: &Seen,
    now: Timestamp,
) -> InferenceEndpointStatus {
    let starting_since = starting_since(endpoint, former, seen, now);
    let former = &InferenceEndpointStatus { starting_since, ..former.clone() };
    let health = health(endpoint, former, seen, now);
    let summary = summary(endpoint, former, seen, health, now);
    let mut set = Conditions::new(&former.conditions, endpoint.metadata.generation, now);
    if let Seen::Present { present, .. } = seen {
        set.set(conditions::CREATED, TRUE, conditions::CREATED, "");
        match &present.progress {
            Progress::Serving => set.set(conditions::SERVING, TRUE, conditions::SERVING, ""),
            Progress::Starting { message } => set.set(conditions::SERVING, FALSE, reasons::STARTING, message),
        };
        if let Some(message) = changed_by_admission(endpoint, present) {
            set.set(conditions::CHANGED_BY_ADMISSION, TRUE, reasons::CHANGED_BY_ADMISSION, message);
        }
    } else {
        set.keep(conditions::CREATED).keep(conditions::SERVING).keep(conditions::CHANGED_BY_ADMISSION);
    }
    set.set(conditions::READY, summary.status, summary.reason, &summary.message);
    let answers = summary.status == TRUE && endpoint.spec.replicas > 0;
    let served = answers || served_before(endpoint, former, seen);
    // With the first answer, in the same write.
    let health = health.or_else(|| answers.then_some(Health::Healthy));
    let mut status = InferenceEndpointStatus {
        observed_generation: observed_generation(endpoint, former, seen),
        conditions: set.finish(),
        starting_since: former.starting_since.clone().filter(|_| !served),
        first_ready_time: former.first_ready_time.clone().or_else(|| served.then(|| planning::api_time(now))),
        health,
        witness: witness(health, seen),
        failing_since: failing_since(former, health, seen, now),
        interruption: former.interruption.clone().filter(|_| !(answers && is_as_wanted(seen))),
        last_error: last_error(former, &summary, now),
        api_key_secret_name: Some(names::hub_key_secret(endpoint)),
        ..former.clone()
    };
    if let Seen::Present { present, .. } = seen {
        status.external_id = Some(present.external_id.clone());
        status.template_hash = Some(present.template_hash.clone());
        status.template_digest = Some(present.template_digest.clone());
        status.replicas = present.replicas;
        status.ready_replicas = present.ready_replicas;
        if present.url.is_some() {
            status.url.clone_from(&present.url);
        }
    }
    if let Seen::Failed { there, made, .. } = seen {
        if let Some(there) = there {
            status.replicas = there.replicas;
            status.ready_replicas = there.ready_replicas;
        }
        // An adopted endpoint has no id until its first full observation: see `served_before`.
        let id = made.as_ref().or_else(|| there.as_ref().map(|there| &there.external_id));
        if let Some(id) = id.filter(|_| endpoint.spec.reason != reasons::ADOPTED) {
            status.external_id = Some(id.clone());
        }
    }
    status
}

const fn is_as_wanted(seen: &Seen) -> bool {
    matches!(seen, Seen::Present { present, .. } if present.in_sync)
}

/// The status of an endpoint that takes no new request before an update.
pub fn interrupting(
    endpoint: &InferenceEndpoint,
    former: &InferenceEndpointStatus,
    interruption: Interruption,
    now: Timestamp,
) -> InferenceEndpointStatus {
    let deadline = interruption.deadline.0.to_string();
    let message = EndpointMessage::Interrupting { target: &endpoint.spec.target, deadline: &deadline };
    let mut set = Conditions::new(&former.conditions, endpoint.metadata.generation, now);
    set.keep(conditions::CREATED).keep(conditions::SERVING).keep(conditions::CHANGED_BY_ADMISSION);
    let ready =
        conditions::find(&former.conditions, conditions::READY).map_or(UNKNOWN, |ready| match ready.status.as_str() {
            TRUE => TRUE,
            FALSE => FALSE,
            _ => UNKNOWN,
        });
    set.set(conditions::READY, ready, reasons::RECREATE_NO_SPARE_CAPACITY, message.to_string());
    InferenceEndpointStatus { conditions: set.finish(), interruption: Some(interruption), ..former.clone() }
}

/// Message about the fields that admission on the target changes.
fn changed_by_admission(endpoint: &InferenceEndpoint, present: &Present) -> Option<String> {
    let fields = &present.changed_by_admission;
    let message = EndpointMessage::ChangedByAdmission { target: &endpoint.spec.target, fields };
    (!fields.is_empty()).then(|| bounded(&message.to_string()))
}

/// Time of the start in progress. A new template restarts it, because that may be the cure, and so does a creation that
/// succeeds after more than a start's time.
fn starting_since(
    endpoint: &InferenceEndpoint,
    former: &InferenceEndpointStatus,
    seen: &Seen,
    now: Timestamp,
) -> Option<Time> {
    if endpoint.spec.replicas == 0 {
        return None;
    }
    if former.first_ready_time.is_some() {
        return restarting_since(former, seen, now);
    }
    let anew = match seen {
        Seen::Present { present, .. } => match &former.template_hash {
            Some(hash) => *hash != present.template_hash,
            None => startup_limit(endpoint, former).is_some_and(|limit| limit <= now),
        },
        _ => false,
    };
    let known = startup::starting_since(former).filter(|_| !anew && !is_scaled_to_zero(former));
    Some(known.cloned().unwrap_or_else(|| planning::api_time(now)))
}

/// Time of the restart in progress of an endpoint that was ready: only a request begins one.
fn restarting_since(former: &InferenceEndpointStatus, seen: &Seen, now: Timestamp) -> Option<Time> {
    let new_template = match (seen, &former.template_hash) {
        (Seen::Present { present, .. }, Some(hash)) => *hash != present.template_hash,
        _ => false,
    };
    if new_template || is_scaled_to_zero(former) {
        return Some(planning::api_time(now));
    }
    former.starting_since.clone()
}

fn is_scaled_to_zero(status: &InferenceEndpointStatus) -> bool {
    conditions::find(&status.conditions, conditions::READY).is_some_and(|ready| ready.reason == reasons::SCALED_TO_ZERO)
}

/// A spec that could not be brought to its place yet is not observed.
fn observed_generation(endpoint: &InferenceEndpoint, former: &InferenceEndpointStatus, seen: &Seen) -> i64 {
    match seen {
        Seen::TargetNotReady { .. } | Seen::TargetGone => former.observed_generation,
        _ => endpoint.metadata.generation.unwrap_or(-1),
    }
}

/// An adopted endpoint with a ready replica at its first observation was ready before, under a former hub.
fn served_before(endpoint: &InferenceEndpoint, former: &InferenceEndpointStatus, seen: &Seen) -> bool {
    endpoint.spec.reason == reasons::ADOPTED
        && former.external_id.is_none()
        && matches!(seen, Seen::Present { present, .. } if present.ready_replicas > 0)
}

/// True if the new status names an operation that the former one does not: it is written before it is waited for.
pub fn names_new_operation(former: &InferenceEndpointStatus, status: &InferenceEndpointStatus) -> bool {
    let operation = |status: &InferenceEndpointStatus| {
        status.external_id.as_ref().and_then(|id| id.get(ExternalId::OPERATION)).map(ToOwned::to_owned)
    };
    operation(status).is_some_and(|named| operation(former).as_ref() != Some(&named))
}

/// Urgency of the new status. It can wait if it differs from the former one only in counts and messages, and neither
/// the first nor the last replica is what became ready. What runs and is billed although its place refuses a part cannot.
pub fn urgency(former: &InferenceEndpointStatus, status: &InferenceEndpointStatus, replicas: i32) -> Urgency {
    if former.observed_generation < 0 && is_plain_start(status) {
        return Urgency::Within(throttle::COUNTS);
    }
    let telling = status.ready_replicas != former.ready_replicas
        && (former.ready_replicas == 0 || status.ready_replicas == 0 || status.ready_replicas == replicas);
    let refused = conditions::find(&status.conditions, conditions::READY)
        .is_some_and(|ready| ready.reason == reasons::ADMISSION_REFUSED);
    let telling = telling || refused && (former.replicas == 0) != (status.replicas == 0);
    let mut same = former.clone();
    same.replicas = status.replicas;
    same.ready_replicas = status.ready_replicas;
    for condition in &mut same.conditions {
        if let Some(new) = conditions::find(&status.conditions, &condition.type_) {
            condition.message.clone_from(&new.message);
        }
    }
    if let (Some(error), Some(new)) = (&mut same.last_error, &status.last_error) {
        error.message.clone_from(&new.message);
    }
    if telling || former == status || same != *status {
        return Urgency::Now;
    }
    let of_replicas = conditions::find(&status.conditions, conditions::READY)
        .is_some_and(|ready| reasons::OF_REPLICAS.contains(&ready.reason.as_str()));
    Urgency::Within(if of_replicas { throttle::WORDS_OF_REPLICAS } else { throttle::COUNTS })
}

/// True if the only news is that the endpoint starts: usually more follows soon, and an immediate write would be followed
/// by a second one.
fn is_plain_start(status: &InferenceEndpointStatus) -> bool {
    let ready = conditions::find(&status.conditions, conditions::READY).map(|ready| ready.reason.as_str());
    matches!(ready, Some(reasons::STARTING | reasons::AWAITING_ADDRESS)) && status.last_error.is_none()
}

/// The status of an endpoint whose removal is not through.
pub fn removing(former: &InferenceEndpointStatus, error: &ProviderError, now: Timestamp) -> InferenceEndpointStatus {
    let summary = ReadySummary::failing(reasons::DELETING, error.message.clone(), error.class);
    InferenceEndpointStatus { last_error: last_error(former, &summary, now), ..former.clone() }
}

/// The time of a failure is that at which this run of its kind began.
fn last_error(former: &InferenceEndpointStatus, summary: &ReadySummary, now: Timestamp) -> Option<LastError> {
    let class = summary.error?.as_str();
    let known = former.last_error.as_ref().filter(|known| known.class == class && is_same_run(former, summary));
    let time = known.map_or_else(|| planning::api_time(now), |known| known.time.clone());
    Some(LastError { class: class.to_owned(), message: summary.message.clone(), time })
}

/// True if a reported failure continues. Failures of a provider, and troubles that it reports, are separate runs; a
/// start or a removal that lasts too long may belong to either.
fn is_same_run(former: &InferenceEndpointStatus, summary: &ReadySummary) -> bool {
    match summary.reason {
        reasons::STARTUP_TIMEOUT | reasons::DELETING => true,
        reason => (reason == reasons::PROVIDER_ERROR) == provider_failed(former),
    }
}

/// True if the provider failed at the last observation of the endpoint.
fn provider_failed(former: &InferenceEndpointStatus) -> bool {
    conditions::find(&former.conditions, conditions::READY).is_some_and(|ready| ready.reason == reasons::PROVIDER_ERROR)
}

fn summary(
    endpoint: &InferenceEndpoint,
    former: &InferenceEndpointStatus,
    seen: &Seen,
    health: Option<Health>,
    now: Timestamp,
) -> ReadySummary {
    let summary = in_time(endpoint, former, seen, health, now);
    let late = former.first_ready_time.is_none() && startup_limit(endpoint, former).is_some_and(|limit| limit <= now);
    if late && summary.status != TRUE && counts_as_a_start(endpoint, &summary) {
        too_late(endpoint, &summary)
    } else {
        summary
    }
}

/// True if an endpoint that is not ready for this reason has a start's time, and no more. The others are acted upon by
/// their own reason, or start nothing.
fn counts_as_a_start(endpoint: &InferenceEndpoint, summary: &ReadySummary) -> bool {
    let by_its_reason = match summary.error {
        Some(ErrorClass::CapacityExhausted | ErrorClass::QuotaExceeded | ErrorClass::Conflict) => true,
        Some(ErrorClass::Refused) => summary.reason != reasons::PROVIDER_ERROR,
        _ => false,
    };
    match summary.reason {
        _ if by_its_reason => false,
        reasons::TARGET_NOT_READY | reasons::NOT_ALLOWED => false,
        // Without its Secrets nothing is created or billed: only a replacement keeps others waiting.
        reasons::SECRET_MISSING | reasons::SECRET_TOO_LARGE => endpoint.spec.replaces.is_some(),
        _ => true,
    }
}

/// Condition before the time limit of the start.
fn in_time(
    endpoint: &InferenceEndpoint,
    former: &InferenceEndpointStatus,
    seen: &Seen,
    health: Option<Health>,
    now: Timestamp,
) -> ReadySummary {
    match seen {
        Seen::TargetNotReady { reason, hub_isolated, .. } => cut_off(endpoint, health, reason, *hub_isolated),
        Seen::TargetGone => {
            let message = EndpointMessage::TargetMissing(&endpoint.spec.target);
            ReadySummary::says(UNKNOWN, reasons::TARGET_NOT_READY, message)
        }
        Seen::InputMissing { reason, message } => ReadySummary::failing(reason, message, ErrorClass::Invalid),
        Seen::Forbidden { message } => ReadySummary::failing(reasons::NOT_ALLOWED, message, ErrorClass::Invalid),
        Seen::Foreign { message } => ReadySummary::failing(reasons::NAME_CONFLICT, message, ErrorClass::Conflict),
        Seen::Failed { error, .. } if error.class == ErrorClass::Conflict => {
            ReadySummary::failing(reasons::NAME_CONFLICT, error.message.clone(), error.class)
        }
        Seen::Failed { error, .. } if is_out_of_patience(former, error.class, now) => {
            ReadySummary::failing(reasons::PROVIDER_ERROR, error.message.clone(), ErrorClass::Refused)
        }
        Seen::Failed { error, .. } => failed(endpoint, former, error),
        Seen::Present { present, answer } => of_present(endpoint, former, present, answer, now),
    }
}

/// The target cannot be asked, and the endpoint answers or does not.
fn cut_off(endpoint: &InferenceEndpoint, health: Option<Health>, reason: &str, hub_isolated: bool) -> ReadySummary {
    let target = &endpoint.spec.target;
    let (told, message) = match health {
        Some(Health::Isolated) => (reasons::ISOLATED, EndpointMessage::Isolated { target, reason }),
        Some(_) if hub_isolated => (reasons::HUB_ISOLATED, EndpointMessage::HubIsolated { target }),
        Some(Health::Lost) if connections::refuses_credentials(reason) => {
            (reasons::TARGET_UNAUTHORIZED, EndpointMessage::TargetLost { target, reason })
        }
        Some(Health::Lost) => (reasons::TARGET_LOST, EndpointMessage::TargetLost { target, reason }),
        _ => (reasons::TARGET_NOT_READY, EndpointMessage::TargetUnusable { target, reason }),
    };
    ReadySummary::says(UNKNOWN, told, message)
}

/// True if the place of a new endpoint has failed for so long that another one is tried.
fn is_out_of_patience(former: &InferenceEndpointStatus, class: ErrorClass, now: Timestamp) -> bool {
    let known = former.last_error.as_ref().filter(|_| class == ErrorClass::Transient);
    let newcomer = former.first_ready_time.is_none();
    newcomer
        && known.is_some_and(|known| {
            known.class == ErrorClass::Refused.as_str()
                || known.class == class.as_str()
                    && provider_failed(former)
                    && patience_limit(&known.time).is_some_and(|limit| limit <= now)
        })
}

fn patience_limit(since: &Time) -> Option<Timestamp> {
    startup::after(since.0, PATIENCE_SECONDS)
}

/// A question that was not answered says nothing about an endpoint that was as it should be: that is not known then.
fn failed(endpoint: &InferenceEndpoint, former: &InferenceEndpointStatus, error: &ProviderError) -> ReadySummary {
    let refused = error.class == ErrorClass::Refused;
    let reason = if refused { reasons::ADMISSION_REFUSED } else { reasons::PROVIDER_ERROR };
    let summary = ReadySummary::failing(reason, error.message.clone(), error.class);
    let unanswered = refused
        || matches!(
            error.class,
            ErrorClass::Transient | ErrorClass::Throttled { .. } | ErrorClass::Unauthorized | ErrorClass::NotFound
        );
    let current = Some(former.observed_generation) == endpoint.metadata.generation;
    let ready = conditions::find(&former.conditions, conditions::READY).filter(|_| current);
    match ready {
        Some(ready) if unanswered && ready.status != FALSE => ReadySummary { status: UNKNOWN, ..summary },
        _ => summary,
    }
}

fn of_present(
    endpoint: &InferenceEndpoint,
    former: &InferenceEndpointStatus,
    present: &Present,
    answer: &Heard,
    now: Timestamp,
) -> ReadySummary {
    if let Progress::Starting { message } = &present.progress {
        return match &present.trouble {
            Some(trouble) => in_trouble(endpoint, former, trouble, now),
            None => ReadySummary::new(FALSE, reasons::STARTING, message),
        };
    }
    if endpoint.spec.replicas == 0 {
        return ReadySummary::says(TRUE, reasons::SCALED_TO_ZERO, EndpointMessage::ScaledToZero);
    }
    let replicas = u32::try_from(present.ready_replicas).unwrap_or(0);
    let url = present.url.as_deref().unwrap_or_default();
    match &answer.probe {
        Some(ProbeAnswer::Healthy) if answer.gateways == GatewayWord::Unreached => {
            ReadySummary::says(TRUE, reasons::UNREACHABLE_FROM_GATEWAYS, EndpointMessage::NotAtGateways { url })
        }
        Some(ProbeAnswer::Healthy) if answer.gateways == GatewayWord::WithoutToken => {
            ReadySummary::says(TRUE, reasons::GATEWAY_TOKEN_MISSING, EndpointMessage::WithoutToken { url })
        }
        Some(ProbeAnswer::Healthy) => {
            ReadySummary::says(TRUE, reasons::READY, EndpointMessage::Answers { replicas, url })
        }
        Some(ProbeAnswer::ModelNotListed { message }) => {
            ReadySummary::failing(reasons::MODEL_NOT_LISTED, message, ErrorClass::Invalid)
        }
        Some(ProbeAnswer::NotProtected) => ReadySummary::failing(
            reasons::NOT_PROTECTED,
            EndpointMessage::NotProtected.to_string(),
            ErrorClass::Invalid,
        ),
        Some(ProbeAnswer::Unreachable { message: why } | ProbeAnswer::NotPermitted { message: why })
            if answer.gateways == GatewayWord::Reached && former.first_ready_time.is_some() =>
        {
            ReadySummary::says(TRUE, reasons::REACHED_BY_GATEWAYS, EndpointMessage::AtGateways { url, why })
        }
        Some(ProbeAnswer::Unreachable { message } | ProbeAnswer::Unexpected { message }) => {
            ReadySummary::failing(reasons::UNREACHABLE_FROM_HUB, message, ErrorClass::Transient)
        }
        Some(ProbeAnswer::NotPermitted { message }) => {
            let status = if former.first_ready_time.is_some() { UNKNOWN } else { FALSE };
            ReadySummary { status, ..ReadySummary::failing(reasons::PROBE_FORBIDDEN, message, ErrorClass::Transient) }
        }
        None if present.is_asked_by_gateways() => by_gateways(former, replicas, url, answer.gateways),
        None => ReadySummary::says(FALSE, reasons::AWAITING_ADDRESS, EndpointMessage::NoAddress),
    }
}

/// Condition of an endpoint that only gateways ask.
fn by_gateways(former: &InferenceEndpointStatus, replicas: u32, url: &str, word: GatewayWord) -> ReadySummary {
    match word {
        GatewayWord::Reached => ReadySummary::says(TRUE, reasons::READY, EndpointMessage::Answers { replicas, url }),
        GatewayWord::Unreached => {
            let message = EndpointMessage::NotAtGateways { url }.to_string();
            ReadySummary::failing(reasons::UNREACHABLE_FROM_GATEWAYS, message, ErrorClass::Transient)
        }
        GatewayWord::WithoutToken => {
            let message = EndpointMessage::WithoutToken { url }.to_string();
            ReadySummary::failing(reasons::GATEWAY_TOKEN_MISSING, message, ErrorClass::Unauthorized)
        }
        GatewayWord::Silent => {
            let status = if former.first_ready_time.is_some() { UNKNOWN } else { FALSE };
            ReadySummary::says(status, reasons::AWAITING_GATEWAYS, EndpointMessage::AwaitingGateways { url })
        }
    }
}

fn in_trouble(
    endpoint: &InferenceEndpoint,
    former: &InferenceEndpointStatus,
    trouble: &Trouble,
    now: Timestamp,
) -> ReadySummary {
    match trouble.kind {
        TroubleKind::AwaitsRoom => awaiting_room(endpoint, former, trouble, now),
        TroubleKind::Refused => refused(former, trouble, now),
        TroubleKind::Plain => ReadySummary::failing(trouble.reason, &trouble.message, trouble.class),
    }
}

/// Condition after the time limit: the missing step.
fn too_late(endpoint: &InferenceEndpoint, missing: &ReadySummary) -> ReadySummary {
    let limit = startup::limit(&endpoint.spec);
    let message = EndpointMessage::StartupTimeout { limit, reason: missing.reason, message: &missing.message };
    ReadySummary::failing(reasons::STARTUP_TIMEOUT, message.to_string(), ErrorClass::Transient)
}

/// Replicas that the place refuses: at once where it said no, after a while where it could not say.
fn refused(former: &InferenceEndpointStatus, trouble: &Trouble, now: Timestamp) -> ReadySummary {
    let newcomer = former.first_ready_time.is_none();
    let out_of_patience = trouble.since.as_ref().and_then(patience_limit).is_some_and(|limit| limit <= now);
    let class = if newcomer && out_of_patience { ErrorClass::Refused } else { trouble.class };
    ReadySummary::failing(trouble.reason, &trouble.message, class)
}

/// A new endpoint without room leads to another place; an endpoint that was ready waits.
fn awaiting_room(
    endpoint: &InferenceEndpoint,
    former: &InferenceEndpointStatus,
    trouble: &Trouble,
    now: Timestamp,
) -> ReadySummary {
    let refused = room_limit(endpoint, trouble).is_some_and(|limit| limit <= now);
    match (refused, former.first_ready_time.is_some()) {
        (false, _) => ReadySummary::new(FALSE, reasons::STARTING, &trouble.message),
        (true, false) => {
            ReadySummary::failing(reasons::CAPACITY_EXHAUSTED, &trouble.message, ErrorClass::CapacityExhausted)
        }
        (true, true) => ReadySummary::failing(reasons::INSUFFICIENT_CAPACITY, &trouble.message, ErrorClass::Transient),
    }
}

fn room_limit(endpoint: &InferenceEndpoint, trouble: &Trouble) -> Option<Timestamp> {
    let seconds = endpoint.spec.provision_timeout_seconds.unwrap_or(ROOM_SECONDS);
    startup::after(trouble.since.as_ref()?.0, seconds)
}

/// End of a start, including the time to add nodes.
fn startup_limit(endpoint: &InferenceEndpoint, former: &InferenceEndpointStatus) -> Option<Timestamp> {
    startup::after(startup::starting_since(former)?.0, startup::limit_seconds(&endpoint.spec))
}

/// Time until the meaning of this observation changes by itself, if it does.
pub fn next_limit(endpoint: &InferenceEndpoint, present: &Present, now: Timestamp) -> Option<Duration> {
    let former = endpoint.status.clone().unwrap_or_default();
    let starting =
        startup_limit(endpoint, &former).filter(|_| former.first_ready_time.is_none() && endpoint.spec.replicas > 0);
    let awaiting_room = present
        .trouble
        .as_ref()
        .filter(|trouble| trouble.kind == TroubleKind::AwaitsRoom)
        .and_then(|trouble| room_limit(endpoint, trouble));
    let refused = present
        .trouble
        .as_ref()
        .filter(|trouble| trouble.kind == TroubleKind::Refused)
        .and_then(|trouble| patience_limit(trouble.since.as_ref()?));
    [awaiting_room, refused, starting]
        .into_iter()
        .flatten()
        .filter(|limit| *limit > now)
        .map(|limit| Duration::from_secs(limit.duration_since(now).as_secs().unsigned_abs() + 1))
        .min()
}
