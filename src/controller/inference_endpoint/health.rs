//! Health of an endpoint that was ready, from its target's API and from what was heard of the endpoint itself. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use roadstead_model::Contact;

use super::heard::Heard;
use super::seen::Seen;
use crate::controller::connections::contact;
use crate::controller::startup;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{Health, InferenceEndpoint, InferenceEndpointStatus, Witness};
use roadstead_provider::{ErrorClass, Present};

/// Health of the endpoint; `None` where it was never ready, or where nothing is to be served.
pub fn health(
    endpoint: &InferenceEndpoint,
    former: &InferenceEndpointStatus,
    seen: &Seen,
    now: Timestamp,
) -> Option<Health> {
    if former.first_ready_time.is_none() || endpoint.spec.replicas == 0 {
        return None;
    }
    let serves = |answer: &Heard| answer.serves().map(|(serves, _)| serves);
    Some(match seen {
        Seen::TargetNotReady { answer, hub_isolated: true, .. } if serves(answer) != Some(true) => Health::Unknown,
        Seen::TargetNotReady { reason, answer, .. } => by_witnesses(contact(reason), serves(answer)),
        Seen::Failed { error, answer, .. } => by_witnesses(word_of(error.class), serves(answer)),
        Seen::Present { present, answer } => match there(present, answer) {
            Some(false) if restarts(endpoint, former, now) => Health::Unknown,
            serves => by_witnesses(Contact::Answers, serves),
        },
        Seen::TargetGone | Seen::InputMissing { .. } | Seen::Forbidden { .. } | Seen::Foreign { .. } => Health::Unknown,
    })
}

/// True if an endpoint that its target shows serves. One without a ready replica does not, whatever was heard before.
fn there(present: &Present, answer: &Heard) -> Option<bool> {
    if shows_no_replica(present, answer) {
        return Some(false);
    }
    let serves = answer.serves().map(|(serves, _)| serves);
    // If the operator is to ask it and did not, something is missing: the address, or a ready replica.
    serves.or_else(|| (answer.probe.is_none() && !present.is_asked_by_gateways()).then_some(false))
}

/// True if the target itself shows that nothing can answer, so that no witness is needed.
const fn shows_no_replica(present: &Present, answer: &Heard) -> bool {
    present.ready_replicas == 0 && answer.probe.is_none()
}

/// The witness by which a health was decided; `None` where none was.
pub fn witness(health: Option<Health>, seen: &Seen) -> Option<Witness> {
    let (Seen::TargetNotReady { answer, .. } | Seen::Failed { answer, .. } | Seen::Present { answer, .. }) = seen
    else {
        return None;
    };
    if matches!(seen, Seen::Present { present, .. } if shows_no_replica(present, answer)) {
        return None;
    }
    let (_, witness) = answer.serves()?;
    health.filter(|health| *health != Health::Unknown).map(|_| witness)
}

/// The table of health: the target's API, and the endpoint's own answer.
const fn by_witnesses(api: Contact, answers: Option<bool>) -> Health {
    match (api, answers) {
        (Contact::Answers, Some(true)) => Health::Healthy,
        (Contact::Answers, Some(false)) => Health::Failing,
        (Contact::Silent, Some(true)) => Health::Isolated,
        (Contact::Silent, Some(false)) => Health::Lost,
        (Contact::Pending | Contact::Unknown, _) | (_, None) => Health::Unknown,
    }
}

/// Contact with an API of which a call failed. One that refuses something answers.
const fn word_of(class: ErrorClass) -> Contact {
    match class {
        ErrorClass::Transient | ErrorClass::Unauthorized | ErrorClass::NotFound => Contact::Silent,
        _ => Contact::Answers,
    }
}

/// True while the endpoint restarts by request, in the time that a start may take: a new template, or a scale-up from zero.
fn restarts(endpoint: &InferenceEndpoint, former: &InferenceEndpointStatus, now: Timestamp) -> bool {
    let limit = former
        .starting_since
        .as_ref()
        .and_then(|since| startup::after(since.0, startup::limit_seconds(&endpoint.spec)));
    limit.is_some_and(|limit| now < limit)
}

/// Time of the first failed probe of an unbroken run.
///
/// An answer ends the run, whether or not the target's API answers too. What is unknown neither begins nor ends it. While the
/// hub is cut off from all targets, failed probes prove nothing about an endpoint: the run begins again with the contact.
pub fn failing_since(
    former: &InferenceEndpointStatus,
    health: Option<Health>,
    seen: &Seen,
    now: Timestamp,
) -> Option<Time> {
    match health? {
        Health::Healthy | Health::Isolated => None,
        Health::Unknown if matches!(seen, Seen::TargetNotReady { hub_isolated: true, .. }) => None,
        Health::Unknown => former.failing_since.clone(),
        Health::Failing | Health::Lost => Some(former.failing_since.clone().unwrap_or_else(|| planning::api_time(now))),
    }
}
