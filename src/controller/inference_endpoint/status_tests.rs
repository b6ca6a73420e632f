//! What an endpoint's status says of what was seen.

use k8s_openapi::jiff::Timestamp;
use roadstead_planner::EndpointState;
use serde_json::json;

use super::status::{Seen, only_counts_up, status};
use crate::api::v1alpha1::conditions::{self, Conditions, FALSE, find};
use crate::api::v1alpha1::{ExternalId, InferenceEndpoint, InferenceEndpointStatus, reasons};
use crate::controller::convert;
use crate::provider::probe::Answer;
use crate::provider::{ErrorClass, Present, Progress, ProviderError};

fn endpoint(generation: i64, reason: &str) -> InferenceEndpoint {
    serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
        "metadata": {"name": "llama-x", "namespace": "team", "generation": generation},
        "spec": {
            "deploymentRef": {"name": "llama", "uid": "u"}, "target": "east", "cloud": "aws", "region": "us-east-1",
            "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
            "capacityType": "OnDemand", "slot": 0, "replicas": 2, "reason": reason,
            "template": {"engine": "vllm", "image": "i", "port": 8000, "model": {"name": "llama"},
                         "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
        },
    }))
    .unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn present(ready: i32, answer: Option<Answer>) -> Seen {
    let progress = match answer {
        Some(_) => Progress::Serving,
        None => Progress::Starting { message: "it loads".to_owned() },
    };
    Seen::Present {
        present: Box::new(Present {
            in_sync: true,
            external_id: ExternalId {
                cluster_uid: "c".to_owned(),
                namespace: "n".to_owned(),
                uid: "d".to_owned(),
                owner_uid: None,
            },
            template_hash: "h".to_owned(),
            template_digest: "g".to_owned(),
            replicas: 2,
            ready_replicas: ready,
            url: Some("http://198.18.0.2:30000".to_owned()),
            progress,
            trouble: None,
        }),
        answer,
    }
}

fn failed(class: ErrorClass) -> Seen {
    Seen::Failed { error: ProviderError::new(class, "no answer") }
}

fn ready(status: &InferenceEndpointStatus) -> String {
    let ready = find(&status.conditions, conditions::READY).unwrap();
    format!("{} {}", ready.status, ready.reason)
}

#[test]
fn one_question_without_an_answer_does_not_make_what_served_fail() {
    let endpoint = endpoint(1, "InitialPlacement");
    let new = InferenceEndpointStatus::default();
    let serving = status(&endpoint, &new, &present(2, Some(Answer::Healthy)), at(10));
    assert_eq!(ready(&serving), "True Ready");
    for class in [ErrorClass::Transient, ErrorClass::Unauthorized, ErrorClass::NotFound] {
        let unasked = status(&endpoint, &serving, &failed(class), at(20));
        assert_eq!(ready(&unasked), "Unknown ProviderError");
        assert_eq!(unasked.failing_since, None);
        assert_eq!(unasked.last_error.as_ref().unwrap().class, class.as_str());
        assert_eq!(ready(&status(&endpoint, &unasked, &failed(class), at(30))), "Unknown ProviderError");
    }
    assert_eq!(ready(&status(&endpoint, &serving, &failed(ErrorClass::Invalid), at(20))), "False ProviderError");
}

#[test]
fn a_new_spec_that_the_provider_does_not_take_is_not_ready() {
    let new = InferenceEndpointStatus::default();
    let serving = status(&endpoint(1, "InitialPlacement"), &new, &present(2, Some(Answer::Healthy)), at(10));
    let edited = endpoint(2, "InitialPlacement");
    let refused = status(&edited, &serving, &failed(ErrorClass::Transient), at(20));
    assert_eq!(ready(&refused), "False ProviderError");
    assert_eq!(ready(&status(&edited, &refused, &failed(ErrorClass::Transient), at(30))), "False ProviderError");
}

#[test]
fn a_spec_that_could_not_be_brought_to_its_target_is_not_observed() {
    let new = InferenceEndpointStatus::default();
    let serving = status(&endpoint(1, "InitialPlacement"), &new, &present(2, Some(Answer::Healthy)), at(10));
    let edited = endpoint(2, "InitialPlacement");
    for seen in [Seen::TargetNotReady { reason: reasons::UNREACHABLE }, Seen::TargetGone] {
        let cut_off = status(&edited, &serving, &seen, at(20));
        assert_eq!((ready(&cut_off).as_str(), cut_off.observed_generation), ("Unknown TargetNotReady", 1));
    }
    assert_eq!(status(&edited, &serving, &present(2, Some(Answer::Healthy)), at(30)).observed_generation, 2);
}

/// Whether the planner takes the endpoint for one that was ready once.
fn ever_ready(endpoint: &InferenceEndpoint, status: &InferenceEndpointStatus) -> bool {
    let mut endpoint = endpoint.clone();
    endpoint.status = Some(status.clone());
    let seen = convert::endpoint(&endpoint, None, std::collections::BTreeMap::new());
    assert_eq!(seen.state, EndpointState::Active);
    seen.ever_ready
}

#[test]
fn what_was_adopted_while_it_served_was_ready_before() {
    let adopted = endpoint(1, reasons::ADOPTED);
    let new = InferenceEndpointStatus::default();
    assert!(ever_ready(&adopted, &new), "nobody has looked yet");
    let cut_off = status(&adopted, &new, &Seen::TargetNotReady { reason: reasons::UNREACHABLE }, at(5));
    assert!(ever_ready(&adopted, &cut_off), "nobody could look yet");
    assert!(ever_ready(&adopted, &status(&adopted, &cut_off, &present(1, None), at(10))));
    let never = status(&adopted, &new, &present(0, None), at(10));
    assert!(!ever_ready(&adopted, &never), "it did not serve");
    assert!(!ever_ready(&adopted, &status(&adopted, &never, &present(1, None), at(20))));
    let made = endpoint(1, "InitialPlacement");
    assert!(!ever_ready(&made, &status(&made, &new, &present(1, None), at(10))));
}

fn counted(ready: i32, message: &str) -> InferenceEndpointStatus {
    let mut set = Conditions::new(&[], Some(1), at(1));
    set.set(conditions::READY, FALSE, reasons::STARTING, message);
    InferenceEndpointStatus { ready_replicas: ready, conditions: set.finish(), ..InferenceEndpointStatus::default() }
}

#[test]
fn only_the_first_and_the_last_replica_are_told_at_once() {
    let at = |from, to| only_counts_up(&counted(from, "before"), &counted(to, "after"), 4);
    assert!(!at(0, 1), "the first");
    assert!(at(1, 2) && at(2, 3), "those between");
    assert!(!at(3, 4), "the last");
    assert!(!at(2, 0), "none is left");
    assert!(at(2, 2), "a sentence");
    assert!(!only_counts_up(&counted(2, "same"), &counted(2, "same"), 4), "nothing is new");
}
