//! News about an endpoint itself. A pure function that publishes nothing.
//!
//! News that the deployment's `Ready` copies is published only about the deployment.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use roadstead_explain::{EndpointEvent, per_hour};

use crate::controller::news::{News, of_ready, price};
use roadstead_api::v1alpha1::conditions::{self, FALSE, TRUE, find};
use roadstead_api::v1alpha1::{EndpointState, InferenceEndpoint, InferenceEndpointStatus, reasons};

/// An address may answer this long after the replicas are ready: proxies and load balancers take their time.
const ANSWER: SignedDuration = SignedDuration::from_secs(30);
/// A load balancer may take this long to have an address.
const ADDRESS: SignedDuration = SignedDuration::from_mins(5);

/// The news of an endpoint that serves while another one takes over: `others` are its deployment's endpoints. Its
/// deployment's `Ready` speaks of the other one.
#[must_use]
pub fn of_predecessor<'a>(
    endpoint: &InferenceEndpoint,
    others: impl IntoIterator<Item = &'a InferenceEndpoint>,
    former: &InferenceEndpointStatus,
    status: &InferenceEndpointStatus,
) -> Option<News> {
    let name = endpoint.name_any();
    let replaced = || others.into_iter().any(|other| other.spec.replaces.as_deref() == Some(&name));
    if endpoint.spec.state == EndpointState::Draining || replaced() {
        of_ready(&former.conditions, &status.conditions, false)
    } else {
        None
    }
}

/// An unusually long wait since its replicas were available: for its address, or for an answer from there.
#[must_use]
pub fn overdue(status: &InferenceEndpointStatus, now: Timestamp) -> Option<News> {
    let ready = find(&status.conditions, conditions::READY).filter(|ready| ready.status == FALSE)?;
    let serving = find(&status.conditions, conditions::SERVING).filter(|serving| serving.status == TRUE)?;
    let patience = match ready.reason.as_str() {
        reasons::UNREACHABLE_FROM_HUB => ANSWER,
        reasons::AWAITING_ADDRESS => ADDRESS,
        _ => return None,
    };
    let since = ready.last_transition_time.0.max(serving.last_transition_time.0);
    let waited = now.duration_since(since);
    (waited >= patience).then(|| {
        let overdue = EndpointEvent::Overdue { message: &ready.message, seconds: waited.as_secs() };
        News::new(&ready.reason, overdue.to_string())
    })
}

/// The list of fields that admission on its target changes is another one than before.
#[must_use]
pub fn changed_by_admission(former: &InferenceEndpointStatus, status: &InferenceEndpointStatus) -> Option<News> {
    let fields = |status: &InferenceEndpointStatus| {
        find(&status.conditions, conditions::CHANGED_BY_ADMISSION).map(|changed| changed.message.clone())
    };
    let changed = fields(status)?;
    (fields(former).as_ref() != Some(&changed)).then(|| News::new(reasons::CHANGED_BY_ADMISSION, changed))
}

/// Time from the endpoint's record to its first answer, if this is its first answer. An adopted endpoint has answered
/// before.
#[must_use]
pub fn time_to_ready(
    endpoint: &InferenceEndpoint,
    former: &InferenceEndpointStatus,
    status: &InferenceEndpointStatus,
) -> Option<Duration> {
    if former.first_ready_time.is_some() || endpoint.spec.reason == reasons::ADOPTED {
        return None;
    }
    let (created, ready) = (endpoint.metadata.creation_timestamp.as_ref()?, status.first_ready_time.as_ref()?);
    Duration::try_from(ready.0.duration_since(created.0)).ok()
}

/// Its provider has confirmed that it is gone.
#[must_use]
pub fn removed(endpoint: &InferenceEndpoint) -> News {
    let (name, target) = (endpoint.name_any(), &endpoint.spec.target);
    let cost = per_hour(price(endpoint.spec.hourly_cost.as_ref()));
    let note = EndpointEvent::Removed { name: &name, target, cost: &cost }.to_string();
    let why = Some(endpoint.spec.reason.clone());
    News { from: Some(target.clone()), why, ..News::new(reasons::REMOVED, note) }
}

/// Its removal has failed in another way than before.
#[must_use]
pub fn removal_delayed(
    endpoint: &InferenceEndpoint,
    former: &InferenceEndpointStatus,
    status: &InferenceEndpointStatus,
) -> Option<News> {
    let error = status.last_error.as_ref()?;
    if former.last_error.as_ref().is_some_and(|known| known.class == error.class) {
        return None;
    }
    let (name, target) = (endpoint.name_any(), &endpoint.spec.target);
    let cost = per_hour(price(endpoint.spec.hourly_cost.as_ref()));
    let delayed = EndpointEvent::RemovalDelayed { name: &name, target, cost: &cost, error: &error.message };
    let note = delayed.to_string();
    let (from, why) = (Some(target.clone()), Some(error.class.clone()));
    Some(News { from, why, ..News::new(reasons::REMOVAL_DELAYED, note) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use roadstead_runtime::events::EventSeverity;

    #[test]
    fn what_admission_changes_is_told_once_for_each_list_of_fields() {
        let status = |fields: Option<&str>| InferenceEndpointStatus {
            conditions: serde_json::from_value(json!(fields.map_or_else(Vec::new, |fields| vec![json!({
                "type": "ChangedByAdmission", "status": "True", "reason": "ChangedByAdmission", "message": fields,
                "lastTransitionTime": Timestamp::from_second(100).unwrap(),
            })])))
            .unwrap(),
            ..InferenceEndpointStatus::default()
        };
        let told = |former: Option<&str>, new: Option<&str>| {
            changed_by_admission(&status(former), &status(new)).map(|news| (news.severity, news.reason, news.note))
        };
        let news = |note: &str| Some((EventSeverity::Normal, "ChangedByAdmission".to_owned(), note.to_owned()));
        assert_eq!(told(None, Some("a")), news("a"));
        assert_eq!(told(Some("a"), Some("a")), None);
        assert_eq!(told(Some("a"), Some("a, b")), news("a, b"));
        assert_eq!(told(Some("a"), None), None);
    }

    #[test]
    fn an_address_that_does_not_answer_is_told_of_when_it_has_had_its_time() {
        let status = |ready: &str, serving: &str| -> InferenceEndpointStatus {
            let condition = |type_: &str, status: &str, reason: &str, at: i64| {
                let since = Timestamp::from_second(at).unwrap();
                json!({"type": type_, "status": status, "reason": reason, "message": "m", "lastTransitionTime": since})
            };
            let conditions = json!([condition("Ready", "False", ready, 100), condition("Serving", serving, "s", 200)]);
            InferenceEndpointStatus {
                conditions: serde_json::from_value(conditions).unwrap(),
                ..InferenceEndpointStatus::default()
            }
        };
        let at = |second| Timestamp::from_second(second).unwrap();
        let silent = status("UnreachableFromHub", "True");
        assert_eq!(overdue(&silent, at(229)), None);
        let told = overdue(&silent, at(230)).unwrap();
        assert_eq!(
            (told.reason.as_str(), told.note.as_str()),
            ("UnreachableFromHub", "m; the replicas have been ready for 30 s")
        );
        assert_eq!(overdue(&status("AwaitingAddress", "True"), at(499)), None);
        assert!(overdue(&status("AwaitingAddress", "True"), at(500)).is_some());
        assert_eq!(overdue(&status("UnreachableFromHub", "False"), at(500)), None, "its replicas are not ready");
        assert_eq!(overdue(&status("ModelNotListed", "True"), at(500)), None, "told of at once");
    }
}
