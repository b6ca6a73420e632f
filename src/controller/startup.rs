//! The time limit of an endpoint's start. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use roadstead_explain::StartLimit;

use roadstead_api::v1alpha1::conditions::{self, TRUE};
use roadstead_api::v1alpha1::{InferenceEndpoint, InferenceEndpointSpec, InferenceEndpointStatus};

/// Seconds that a start may take: the engine's own, and those in which nodes may be added.
#[must_use]
pub fn limit_seconds(spec: &InferenceEndpointSpec) -> i32 {
    spec.template.startup_timeout_seconds.saturating_add(spec.provision_timeout_seconds.unwrap_or(0))
}

/// The limit with the fields that it consists of.
#[must_use]
pub fn limit(spec: &InferenceEndpointSpec) -> StartLimit {
    StartLimit { startup: spec.template.startup_timeout_seconds, provision: spec.provision_timeout_seconds }
}

/// By when an endpoint must have answered, as its status says it; `None` where it answers, or where nothing is to be
/// served.
///
/// One that never answered has from its start, one that did from when it stopped.
#[must_use]
pub fn answer_by(endpoint: &InferenceEndpoint, status: &InferenceEndpointStatus) -> Option<Timestamp> {
    let ready = conditions::find(&status.conditions, conditions::READY);
    let answers = ready.is_some_and(|ready| ready.status == TRUE);
    if endpoint.spec.replicas == 0 || answers {
        return None;
    }
    let since = if status.first_ready_time.is_some() {
        status.failing_since.as_ref().or_else(|| ready.map(|ready| &ready.last_transition_time))
    } else {
        starting_since(status).or(endpoint.metadata.creation_timestamp.as_ref())
    };
    after(since?.0, limit_seconds(&endpoint.spec))
}

/// By when a gateway must have verified an endpoint that answers the operator: as long as its start may take.
#[must_use]
pub fn verify_by(endpoint: &InferenceEndpoint) -> Option<Timestamp> {
    let answered = endpoint.status.as_ref()?.first_ready_time.as_ref()?;
    after(answered.0, limit_seconds(&endpoint.spec))
}

/// Time of the start in progress. Older operators recorded only the creation.
#[must_use]
pub fn starting_since(status: &InferenceEndpointStatus) -> Option<&Time> {
    status.starting_since.as_ref().or_else(|| status.create_intent.as_ref().map(|intent| &intent.time))
}

/// So many seconds later.
#[must_use]
pub fn after(start: Timestamp, seconds: i32) -> Option<Timestamp> {
    start.checked_add(SignedDuration::from_secs(i64::from(seconds))).ok()
}
