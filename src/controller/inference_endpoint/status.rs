//! What an endpoint's status says, from what was seen of it. Decides nothing and writes nothing.

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::time::Duration;

use crate::api::v1alpha1::conditions::{self, Conditions, FALSE, TRUE, UNKNOWN};
use crate::api::v1alpha1::{InferenceEndpoint, InferenceEndpointStatus, LastError, names, reasons};
use crate::controller::convert;
use crate::provider::probe::Answer;
use crate::provider::{ErrorClass, Present, Progress, ProviderError, Trouble};

/// A pod without a node is refused after this long, where no autoscaler may add nodes.
const UNSCHEDULABLE_SECONDS: i32 = 30;

/// What was seen of an endpoint.
pub enum Seen {
    /// Its target cannot be asked.
    TargetNotReady {
        /// Why; the sentence stands in the target's own status, for it changes with every try.
        reason: &'static str,
    },
    /// There is no such target any more.
    TargetGone,
    /// Something that it is made from is not there.
    InputMissing {
        /// A `CamelCase` reason.
        reason: &'static str,
        /// What is missing.
        message: String,
    },
    /// It may not be created there.
    Forbidden {
        /// Why.
        message: String,
    },
    /// Something that is not ours has its name.
    Foreign {
        /// What.
        message: String,
    },
    /// The provider refused or did not answer.
    Failed {
        /// How.
        error: ProviderError,
    },
    /// It is there.
    Present {
        /// As the provider shows it.
        present: Box<Present>,
        /// What it answered, if it was asked.
        answer: Option<Answer>,
    },
}

/// How the summary condition reads.
struct Summary {
    status: &'static str,
    reason: &'static str,
    message: String,
    error: Option<ErrorClass>,
}

impl Summary {
    fn new(status: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into(), error: None }
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
    let summary = summary(endpoint, former, seen, now);
    let mut set = Conditions::new(&former.conditions, endpoint.metadata.generation, now);
    if let Seen::Present { present, .. } = seen {
        set.set(conditions::CREATED, TRUE, conditions::CREATED, "");
        match &present.progress {
            Progress::Serving => set.set(conditions::SERVING, TRUE, conditions::SERVING, ""),
            Progress::Starting { message } => set.set(conditions::SERVING, FALSE, reasons::STARTING, message),
        };
    } else {
        set.keep(conditions::CREATED).keep(conditions::SERVING);
    }
    set.set(conditions::READY, summary.status, summary.reason, &summary.message);
    let served = summary.status == TRUE && endpoint.spec.replicas > 0 || served_before(endpoint, former, seen);
    let mut status = InferenceEndpointStatus {
        observed_generation: observed_generation(endpoint, former, seen),
        conditions: set.finish(),
        first_ready_time: former.first_ready_time.clone().or_else(|| served.then(|| convert::api_time(now))),
        failing_since: failing_since(former, &summary, now),
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
    status
}

/// A spec that could not be brought to its place yet is not observed.
fn observed_generation(endpoint: &InferenceEndpoint, former: &InferenceEndpointStatus, seen: &Seen) -> i64 {
    match seen {
        Seen::TargetNotReady { .. } | Seen::TargetGone => former.observed_generation,
        _ => endpoint.metadata.generation.unwrap_or(-1),
    }
}

/// What was adopted and had a ready replica when it was first seen was ready before, under a hub that is gone.
fn served_before(endpoint: &InferenceEndpoint, former: &InferenceEndpointStatus, seen: &Seen) -> bool {
    endpoint.spec.reason == reasons::ADOPTED
        && former.external_id.is_none()
        && matches!(seen, Seen::Present { present, .. } if present.ready_replicas > 0)
}

/// Whether the new status differs from the former in counts and sentences alone, and neither the first nor the last
/// replica is what became ready: such progress can wait a little.
pub fn only_counts_up(former: &InferenceEndpointStatus, status: &InferenceEndpointStatus, replicas: i32) -> bool {
    let telling = status.ready_replicas != former.ready_replicas
        && (former.ready_replicas == 0 || status.ready_replicas == 0 || status.ready_replicas == replicas);
    let mut same = former.clone();
    same.replicas = status.replicas;
    same.ready_replicas = status.ready_replicas;
    for condition in &mut same.conditions {
        if let Some(new) = conditions::find(&status.conditions, &condition.type_) {
            condition.message.clone_from(&new.message);
        }
    }
    !telling && former != status && same == *status
}

/// The status of an endpoint whose removal is not through.
pub fn removing(former: &InferenceEndpointStatus, error: &ProviderError, now: Timestamp) -> InferenceEndpointStatus {
    let summary = Summary::failing(reasons::DELETING, error.message.clone(), error.class);
    InferenceEndpointStatus { last_error: last_error(former, &summary, now), ..former.clone() }
}

/// The time of a failure is that at which this kind of it began.
fn last_error(former: &InferenceEndpointStatus, summary: &Summary, now: Timestamp) -> Option<LastError> {
    let class = summary.error?.as_str();
    let known = former.last_error.as_ref().filter(|known| known.class == class);
    let time = known.map_or_else(|| convert::api_time(now), |known| known.time.clone());
    Some(LastError { class: class.to_owned(), message: summary.message.clone(), time })
}

fn failing_since(
    former: &InferenceEndpointStatus,
    summary: &Summary,
    now: Timestamp,
) -> Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time> {
    match summary.status {
        TRUE => None,
        // Not known: the run neither starts nor ends.
        UNKNOWN => former.failing_since.clone(),
        _ if former.first_ready_time.is_none() => None,
        _ => former.failing_since.clone().or_else(|| Some(convert::api_time(now))),
    }
}

fn summary(endpoint: &InferenceEndpoint, former: &InferenceEndpointStatus, seen: &Seen, now: Timestamp) -> Summary {
    match seen {
        Seen::TargetNotReady { reason } => Summary::new(
            UNKNOWN,
            reasons::TARGET_NOT_READY,
            format!("target {} cannot be asked ({reason}); see its status", endpoint.spec.target),
        ),
        Seen::TargetGone => Summary::new(
            UNKNOWN,
            reasons::TARGET_NOT_READY,
            format!("target {} does not exist any more, so nobody knows what runs there", endpoint.spec.target),
        ),
        Seen::InputMissing { reason, message } => Summary::failing(reason, message, ErrorClass::Invalid),
        Seen::Forbidden { message } => Summary::failing(reasons::NOT_ALLOWED, message, ErrorClass::Invalid),
        Seen::Foreign { message } => Summary::failing(reasons::NAME_CONFLICT, message, ErrorClass::Conflict),
        Seen::Failed { error } if error.class == ErrorClass::Conflict => {
            Summary::failing(reasons::NAME_CONFLICT, error.message.clone(), error.class)
        }
        Seen::Failed { error } => failed(endpoint, former, error),
        Seen::Present { present, answer } => of_present(endpoint, former, present, answer.as_ref(), now),
    }
}

/// A question that was not answered says nothing about an endpoint that was as it should be: that is not known then.
fn failed(endpoint: &InferenceEndpoint, former: &InferenceEndpointStatus, error: &ProviderError) -> Summary {
    let summary = Summary::failing(reasons::PROVIDER_ERROR, error.message.clone(), error.class);
    let unanswered = matches!(
        error.class,
        ErrorClass::Transient | ErrorClass::Throttled { .. } | ErrorClass::Unauthorized | ErrorClass::NotFound
    );
    let current = Some(former.observed_generation) == endpoint.metadata.generation;
    let ready = conditions::find(&former.conditions, conditions::READY).filter(|_| current);
    match ready {
        Some(ready) if unanswered && ready.status != FALSE => Summary { status: UNKNOWN, ..summary },
        _ => summary,
    }
}

fn of_present(
    endpoint: &InferenceEndpoint,
    former: &InferenceEndpointStatus,
    present: &Present,
    answer: Option<&Answer>,
    now: Timestamp,
) -> Summary {
    if let Progress::Starting { message } = &present.progress {
        let late = startup_limit(endpoint, former).filter(|limit| *limit <= now && former.first_ready_time.is_none());
        return match &present.trouble {
            Some(trouble) if trouble.reason == Trouble::UNSCHEDULABLE => unschedulable(endpoint, former, trouble, now),
            Some(trouble) if late.is_none() => Summary::failing(trouble.reason, &trouble.message, trouble.class),
            Some(trouble) => too_late(endpoint, &trouble.message),
            None if late.is_some() => too_late(endpoint, message),
            None => Summary::new(FALSE, reasons::STARTING, message),
        };
    }
    if endpoint.spec.replicas == 0 {
        return Summary::new(TRUE, reasons::SCALED_TO_ZERO, "no replicas are wanted; address and key stay");
    }
    match answer {
        Some(Answer::Healthy) => {
            let address = present.url.clone().unwrap_or_default();
            Summary::new(TRUE, reasons::READY, format!("{} at {address}", answering(present.ready_replicas)))
        }
        Some(Answer::ModelNotListed { message }) => {
            Summary::failing(reasons::MODEL_NOT_LISTED, message, ErrorClass::Invalid)
        }
        Some(Answer::NotProtected) => Summary::failing(
            reasons::NOT_PROTECTED,
            "it answers /v1/models without the key; the engine must check it",
            ErrorClass::Invalid,
        ),
        Some(Answer::Unreachable { message }) => {
            Summary::failing(reasons::UNREACHABLE_FROM_HUB, message, ErrorClass::Transient)
        }
        None => Summary::new(FALSE, reasons::AWAITING_ADDRESS, "its Service has no address yet"),
    }
}

fn answering(replicas: i32) -> String {
    if replicas == 1 { "1 replica answers".to_owned() } else { format!("{replicas} replicas answer") }
}

fn too_late(endpoint: &InferenceEndpoint, message: &str) -> Summary {
    let seconds = endpoint.spec.template.startup_timeout_seconds;
    let text = format!("it did not answer within startupTimeoutSeconds ({seconds} s): {message}");
    Summary::failing(reasons::STARTUP_TIMEOUT, text, ErrorClass::Transient)
}

/// For a newcomer no room means another place; for one that was ready once it means waiting.
fn unschedulable(
    endpoint: &InferenceEndpoint,
    former: &InferenceEndpointStatus,
    trouble: &Trouble,
    now: Timestamp,
) -> Summary {
    let refused = unschedulable_limit(endpoint, trouble).is_some_and(|limit| limit <= now);
    match (refused, former.first_ready_time.is_some()) {
        (false, _) => Summary::new(FALSE, reasons::STARTING, &trouble.message),
        (true, false) => Summary::failing(reasons::CAPACITY_EXHAUSTED, &trouble.message, ErrorClass::CapacityExhausted),
        (true, true) => Summary::failing(reasons::INSUFFICIENT_CAPACITY, &trouble.message, ErrorClass::Transient),
    }
}

fn unschedulable_limit(endpoint: &InferenceEndpoint, trouble: &Trouble) -> Option<Timestamp> {
    let seconds = endpoint.spec.provision_timeout_seconds.unwrap_or(UNSCHEDULABLE_SECONDS);
    after(trouble.since.as_ref()?.0, seconds)
}

/// When a start has taken too long; nodes may have to be added first.
fn startup_limit(endpoint: &InferenceEndpoint, former: &InferenceEndpointStatus) -> Option<Timestamp> {
    let intent = former.create_intent.as_ref()?;
    let seconds = endpoint.spec.template.startup_timeout_seconds;
    after(intent.time.0, seconds.saturating_add(endpoint.spec.provision_timeout_seconds.unwrap_or(0)))
}

fn after(start: Timestamp, seconds: i32) -> Option<Timestamp> {
    start.checked_add(SignedDuration::from_secs(i64::from(seconds))).ok()
}

/// How long until time alone changes what this sight means, if it does.
pub fn next_limit(endpoint: &InferenceEndpoint, present: &Present, now: Timestamp) -> Option<Duration> {
    if present.progress == Progress::Serving {
        return None;
    }
    let former = endpoint.status.clone().unwrap_or_default();
    let unschedulable = present
        .trouble
        .as_ref()
        .filter(|trouble| trouble.reason == Trouble::UNSCHEDULABLE)
        .and_then(|trouble| unschedulable_limit(endpoint, trouble));
    [unschedulable, startup_limit(endpoint, &former)]
        .into_iter()
        .flatten()
        .filter(|limit| *limit > now)
        .map(|limit| Duration::from_secs(limit.duration_since(now).as_secs().unsigned_abs() + 1))
        .min()
}
