//! Health of an endpoint that was ready, from two witnesses: its target's API, and the endpoint itself. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use roadstead_model::Contact;

use super::seen::Seen;
use crate::controller::connections::contact;
use crate::controller::startup;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{Health, InferenceEndpoint, InferenceEndpointStatus};
use roadstead_provider::ErrorClass;
use roadstead_provider::probe::ProbeAnswer;

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
    let answers = |answer: &Option<ProbeAnswer>| answer.as_ref().map(serves);
    Some(match seen {
        Seen::TargetNotReady { answer, hub_isolated: true, .. } if answers(answer) != Some(true) => Health::Unknown,
        Seen::TargetNotReady { reason, answer, .. } => by_witnesses(contact(reason), answers(answer)),
        Seen::Failed { error, answer, .. } => by_witnesses(word_of(error.class), answers(answer)),
        Seen::Present { answer, .. } => match answers(answer).unwrap_or(false) {
            false if restarts(endpoint, former, now) => Health::Unknown,
            answers => by_witnesses(Contact::Answers, Some(answers)),
        },
        Seen::TargetGone | Seen::InputMissing { .. } | Seen::Forbidden { .. } | Seen::Foreign { .. } => Health::Unknown,
    })
}

/// True if the endpoint serves its callers. One without protection does, however wrong that is: a replacement would not be
/// protected either.
const fn serves(answer: &ProbeAnswer) -> bool {
    matches!(answer, ProbeAnswer::Healthy | ProbeAnswer::NotProtected)
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
