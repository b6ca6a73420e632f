//! An endpoint's status from an observation.

use k8s_openapi::jiff::Timestamp;
use roadstead_model::{EndpointState, FailureKind};
use serde_json::json;

use super::heard::Heard;
use super::seen::Seen;
use super::status::{names_new_operation, status, urgency};
use crate::controller::convert;
use crate::controller::test_present;
use crate::controller::throttle::{self, Urgency};
use roadstead_api::planning;
use roadstead_api::v1alpha1::conditions::{self, Conditions, FALSE, find};
use roadstead_api::v1alpha1::{ExternalId, Health, InferenceEndpoint, InferenceEndpointStatus, LastError, reasons};
use roadstead_provider::probe::ProbeAnswer;
use roadstead_provider::{ErrorClass, Present, Progress, ProviderError, Trouble, TroubleKind};

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

fn present(ready: i32, answer: Option<ProbeAnswer>) -> Seen {
    let progress = match answer {
        Some(_) => Progress::Serving,
        None => Progress::Starting { message: "it loads".to_owned() },
    };
    let present = Present { ready_replicas: ready, progress, ..test_present::present() };
    Seen::Present { present: Box::new(present), answer: answer.into() }
}

fn failed(class: ErrorClass) -> Seen {
    Seen::Failed { error: ProviderError::new(class, "no answer"), made: None, there: None, answer: Heard::default() }
}

fn ready(status: &InferenceEndpointStatus) -> String {
    let ready = find(&status.conditions, conditions::READY).unwrap();
    format!("{} {}", ready.status, ready.reason)
}

#[test]
fn the_first_answer_is_one_status() {
    let (endpoint, answer) = (endpoint(1, "InitialPlacement"), present(2, Some(ProbeAnswer::Healthy)));
    let first = status(&endpoint, &InferenceEndpointStatus::default(), &answer, at(10));
    assert_eq!((ready(&first).as_str(), first.health), ("True Ready", Some(Health::Healthy)));
    assert_eq!(status(&endpoint, &first, &answer, at(40)), first, "the next look writes nothing");
}

#[test]
fn one_question_without_an_answer_does_not_make_what_served_fail() {
    let endpoint = endpoint(1, "InitialPlacement");
    let new = InferenceEndpointStatus::default();
    let serving = status(&endpoint, &new, &present(2, Some(ProbeAnswer::Healthy)), at(10));
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
    let serving = status(&endpoint(1, "InitialPlacement"), &new, &present(2, Some(ProbeAnswer::Healthy)), at(10));
    let edited = endpoint(2, "InitialPlacement");
    let refused = status(&edited, &serving, &failed(ErrorClass::Transient), at(20));
    assert_eq!(ready(&refused), "False ProviderError");
    assert_eq!(ready(&status(&edited, &refused, &failed(ErrorClass::Transient), at(30))), "False ProviderError");
}

#[test]
fn a_spec_that_could_not_be_brought_to_its_target_is_not_observed() {
    let new = InferenceEndpointStatus::default();
    let serving = status(&endpoint(1, "InitialPlacement"), &new, &present(2, Some(ProbeAnswer::Healthy)), at(10));
    let edited = endpoint(2, "InitialPlacement");
    for seen in [
        Seen::TargetNotReady { reason: reasons::UNREACHABLE, answer: Heard::default(), hub_isolated: false },
        Seen::TargetGone,
    ] {
        let cut_off = status(&edited, &serving, &seen, at(20));
        assert_eq!((ready(&cut_off).as_str(), cut_off.observed_generation), ("Unknown TargetNotReady", 1));
    }
    assert_eq!(status(&edited, &serving, &present(2, Some(ProbeAnswer::Healthy)), at(30)).observed_generation, 2);
}

/// True if the planner takes the endpoint for one that was ready once.
fn ever_ready(endpoint: &InferenceEndpoint, status: &InferenceEndpointStatus) -> bool {
    let mut endpoint = endpoint.clone();
    endpoint.status = Some(status.clone());
    let seen = convert::endpoint(&endpoint, None, std::collections::BTreeMap::new(), None);
    assert_eq!(seen.state, EndpointState::Active);
    seen.ever_ready
}

#[test]
fn what_was_adopted_while_it_served_was_ready_before() {
    let adopted = endpoint(1, reasons::ADOPTED);
    let new = InferenceEndpointStatus::default();
    assert!(ever_ready(&adopted, &new), "nobody has looked yet");
    let cut_off = status(
        &adopted,
        &new,
        &Seen::TargetNotReady { reason: reasons::UNREACHABLE, answer: Heard::default(), hub_isolated: false },
        at(5),
    );
    assert!(ever_ready(&adopted, &cut_off), "nobody could look yet");
    assert!(ever_ready(&adopted, &status(&adopted, &cut_off, &present(1, None), at(10))));
    let never = status(&adopted, &new, &present(0, None), at(10));
    assert!(!ever_ready(&adopted, &never), "it did not serve");
    assert!(!ever_ready(&adopted, &status(&adopted, &never, &present(1, None), at(20))));
    let made = endpoint(1, "InitialPlacement");
    assert!(!ever_ready(&made, &status(&made, &new, &present(1, None), at(10))));
}

fn counted(ready: i32, reason: &str, message: &str) -> InferenceEndpointStatus {
    let mut set = Conditions::new(&[], Some(1), at(1));
    set.set(conditions::READY, FALSE, reason, message);
    let error = LastError { class: "Invalid".to_owned(), message: message.to_owned(), time: planning::api_time(at(1)) };
    InferenceEndpointStatus {
        ready_replicas: ready,
        conditions: set.finish(),
        last_error: Some(error),
        ..InferenceEndpointStatus::default()
    }
}

#[test]
fn only_the_first_and_the_last_replica_are_told_at_once() {
    let starting = |ready, message| counted(ready, reasons::STARTING, message);
    let at = |from, to| urgency(&starting(from, "before"), &starting(to, "after"), 4);
    let soon = Urgency::Within(throttle::COUNTS);
    assert_eq!(at(0, 1), Urgency::Now, "the first");
    assert_eq!((at(1, 2), at(2, 3)), (soon, soon), "those between");
    assert_eq!(at(3, 4), Urgency::Now, "the last");
    assert_eq!(at(2, 0), Urgency::Now, "none is left");
    assert_eq!(at(2, 2), soon, "a sentence");
    assert_eq!(urgency(&starting(2, "same"), &starting(2, "same"), 4), Urgency::Now, "nothing is new");
}

#[test]
fn the_first_replica_that_runs_although_a_part_was_refused_is_told_at_once() {
    let refused =
        |replicas| InferenceEndpointStatus { replicas, ..counted(0, reasons::ADMISSION_REFUSED, "no Services") };
    assert_eq!(urgency(&refused(0), &refused(2), 2), Urgency::Now, "it is billed from now on");
    assert_eq!(urgency(&refused(1), &refused(2), 2), Urgency::Within(throttle::COUNTS));
}

#[test]
fn another_number_of_failed_pods_waits_longer_and_another_reason_not_at_all() {
    let evicted = |message| counted(0, reasons::EVICTED, message);
    assert_eq!(
        urgency(&evicted("2 pods failed"), &evicted("3 pods failed"), 4),
        Urgency::Within(throttle::WORDS_OF_REPLICAS)
    );
    assert_eq!(urgency(&evicted("2 pods failed"), &counted(0, reasons::CRASH_LOOP, "2 restarts"), 4), Urgency::Now);
}

#[test]
fn what_admission_changes_is_named_while_it_does_and_bounded() {
    let endpoint = endpoint(1, "InitialPlacement");
    let told = |fields: usize, former: &InferenceEndpointStatus| {
        let mut seen = present(2, Some(ProbeAnswer::Healthy));
        let Seen::Present { present, .. } = &mut seen else { panic!("it is there") };
        present.changed_by_admission = (0..fields).map(|field| format!("Deployment spec.f{field}")).collect();
        status(&endpoint, former, &seen, at(10))
    };
    let new = InferenceEndpointStatus::default();
    let changed = told(30, &new);
    let condition = find(&changed.conditions, conditions::CHANGED_BY_ADMISSION).unwrap();
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("True", "ChangedByAdmission"));
    let message = &condition.message;
    assert!(message.contains("target east") && message.contains("Deployment spec.f7 and 22 more"), "{message}");
    assert_eq!(ready(&changed), "True Ready");
    let cut_off = status(&endpoint, &changed, &failed(ErrorClass::Transient), at(20));
    assert!(find(&cut_off.conditions, conditions::CHANGED_BY_ADMISSION).is_some(), "nobody looked");
    assert!(find(&told(0, &changed).conditions, conditions::CHANGED_BY_ADMISSION).is_none());
}

/// An endpoint of a first placement, or one that is to take over, that has a minute to answer.
fn newcomer(replaces: Option<&str>) -> InferenceEndpoint {
    let mut endpoint = endpoint(1, "InitialPlacement");
    endpoint.spec.replaces = replaces.map(ToOwned::to_owned);
    endpoint
}

/// Status at `second`, after the first observation at 0.
fn told_at(endpoint: &InferenceEndpoint, seen: &Seen, second: i64) -> (String, String) {
    let first = status(endpoint, &InferenceEndpointStatus::default(), seen, at(0));
    let told = status(endpoint, &first, seen, at(second));
    (ready(&told), find(&told.conditions, conditions::READY).unwrap().message.clone())
}

fn serving(answer: Option<ProbeAnswer>) -> Seen {
    let Seen::Present { mut present, .. } = present(2, answer.clone()) else { unreachable!() };
    present.progress = Progress::Serving;
    Seen::Present { present, answer: answer.into() }
}

#[test]
fn a_start_counts_until_the_address_answers_and_says_what_was_missing() {
    let says = |what: &str| ProbeAnswer::Unreachable { message: what.to_owned() };
    let cases = [
        (serving(None), "False AwaitingAddress", "AwaitingAddress: the target has assigned no address to the endpoint"),
        (serving(Some(says("no route"))), "False UnreachableFromHub", "UnreachableFromHub: no route"),
        (
            serving(Some(ProbeAnswer::ModelNotListed { message: "lists other".to_owned() })),
            "False ModelNotListed",
            "ModelNotListed: lists other",
        ),
        (serving(Some(ProbeAnswer::NotProtected)), "False NotProtected", "NotProtected: the endpoint answers"),
        (present(0, None), "False Starting", "Starting: it loads"),
        (failed(ErrorClass::Transient), "False ProviderError", "ProviderError: no answer"),
        (failed(ErrorClass::Unauthorized), "False ProviderError", "ProviderError: no answer"),
        (failed(ErrorClass::Invalid), "False ProviderError", "ProviderError: no answer"),
    ];
    for (seen, before, missing) in cases {
        let mut endpoint = newcomer(None);
        assert_eq!(told_at(&endpoint, &seen, 59).0, before);
        let (ready, message) = told_at(&endpoint, &seen, 60);
        assert_eq!(ready, "False StartupTimeout", "{before}");
        assert!(message.contains("within 60 s (startupTimeoutSeconds 60)") && message.contains(missing), "{message}");
        endpoint.spec.provision_timeout_seconds = Some(30);
        assert_eq!(told_at(&endpoint, &seen, 89).0, before);
        let (ready, message) = told_at(&endpoint, &seen, 90);
        assert_eq!(ready, "False StartupTimeout");
        assert!(message.contains("90 s (startupTimeoutSeconds 60 + provisionTimeoutSeconds 30)"), "{message}");
    }
}

#[test]
fn what_is_acted_upon_by_its_own_reason_keeps_it_past_the_limit() {
    let endpoint = newcomer(None);
    for (seen, reason) in [
        (
            Seen::TargetNotReady { reason: reasons::UNREACHABLE, answer: Heard::default(), hub_isolated: false },
            "Unknown TargetNotReady",
        ),
        (Seen::Foreign { message: "somebody's".to_owned() }, "False NameConflict"),
        (failed(ErrorClass::CapacityExhausted), "False ProviderError"),
        (Seen::InputMissing { reason: reasons::SECRET_MISSING, message: "hf-token".to_owned() }, "False SecretMissing"),
    ] {
        assert_eq!(told_at(&endpoint, &seen, 600).0, reason);
    }
    let missing = Seen::InputMissing { reason: reasons::SECRET_MISSING, message: "hf-token".to_owned() };
    assert_eq!(told_at(&newcomer(Some("llama-a")), &missing, 600).0, "False StartupTimeout", "it keeps others waiting");
}

#[test]
fn what_answered_once_has_no_start_to_be_late_with() {
    let endpoint = newcomer(None);
    let ready_once =
        status(&endpoint, &InferenceEndpointStatus::default(), &present(2, Some(ProbeAnswer::Healthy)), at(10));
    assert_eq!(ready_once.starting_since, None);
    assert_eq!(ready(&status(&endpoint, &ready_once, &serving(None), at(600))), "False AwaitingAddress");
}

#[test]
fn a_new_template_and_a_scale_up_from_zero_have_a_start_of_their_own() {
    let endpoint = newcomer(None);
    let new = InferenceEndpointStatus::default();
    let first = status(&endpoint, &new, &serving(None), at(0));
    let Seen::Present { present: mut edited, .. } = serving(None) else { unreachable!() };
    edited.template_hash = "edited".to_owned();
    let edited = Seen::Present { present: edited, answer: Heard::default() };
    let anew = status(&endpoint, &first, &edited, at(600));
    assert_eq!(ready(&anew), "False AwaitingAddress");
    assert_eq!(ready(&status(&endpoint, &anew, &edited, at(660))), "False StartupTimeout");

    let mut zero = endpoint.clone();
    zero.spec.replicas = 0;
    let scaled_down = status(&zero, &first, &serving(None), at(30));
    assert_eq!((ready(&scaled_down).as_str(), &scaled_down.starting_since), ("True ScaledToZero", &None));
    let up = status(&endpoint, &scaled_down, &serving(None), at(600));
    assert_eq!(ready(&up), "False AwaitingAddress");
    assert_eq!(ready(&status(&endpoint, &up, &serving(None), at(660))), "False StartupTimeout");
}

#[test]
fn what_could_not_be_made_for_longer_than_a_start_has_one_once_it_is_there() {
    let endpoint = newcomer(None);
    let new = InferenceEndpointStatus::default();
    let refused = status(&endpoint, &new, &failed(ErrorClass::Transient), at(0));
    let late = status(&endpoint, &refused, &failed(ErrorClass::Transient), at(100));
    assert_eq!(ready(&late), "False StartupTimeout");
    assert_eq!(ready(&status(&endpoint, &late, &serving(None), at(110))), "False AwaitingAddress");
}

#[test]
fn the_planner_learns_by_when_it_is_to_answer() {
    let mut endpoint = newcomer(None);
    let mut by = |told: InferenceEndpointStatus| {
        endpoint.status = Some(told);
        convert::endpoint(&endpoint, None, std::collections::BTreeMap::new(), None)
    };
    let new = InferenceEndpointStatus::default();
    let starting = status(&newcomer(None), &new, &serving(None), at(10));
    assert_eq!(by(starting.clone()).answer_by.map(|limit| limit.0), Some(70));
    let late = by(status(&newcomer(None), &starting, &serving(None), at(100))).failure.unwrap();
    assert_eq!((late.kind, late.since.0), (FailureKind::StartupTimeout, 70));
    let answers = status(&newcomer(None), &starting, &present(2, Some(ProbeAnswer::Healthy)), at(20));
    assert_eq!(by(answers.clone()).answer_by, None);
    let stopped = status(&newcomer(None), &answers, &serving(None), at(30));
    assert_eq!(by(stopped).answer_by.map(|limit| limit.0), Some(90));
}

fn pods_refused(class: ErrorClass, since: i64) -> Seen {
    let Seen::Present { mut present, answer } = present(0, None) else { unreachable!() };
    let since = Some(planning::time(roadstead_model::Timestamp(since)));
    present.trouble = Some(Trouble {
        kind: TroubleKind::Refused,
        class,
        reason: reasons::PODS_REFUSED,
        message: "no".to_owned(),
        since,
    });
    Seen::Present { present, answer }
}

/// The failure that the planner acts upon.
fn failure(endpoint: &InferenceEndpoint, status: &InferenceEndpointStatus) -> Option<FailureKind> {
    let mut endpoint = endpoint.clone();
    endpoint.status = Some(status.clone());
    convert::endpoint(&endpoint, None, std::collections::BTreeMap::new(), None).failure.map(|failure| failure.kind)
}

#[test]
fn what_admission_refuses_sends_a_newcomer_on_at_once_and_what_may_pass_after_a_while() {
    let mut endpoint = newcomer(None);
    endpoint.spec.template.startup_timeout_seconds = 1_200;
    let new = InferenceEndpointStatus::default();
    for (seen, reason) in [
        (pods_refused(ErrorClass::Refused, 0), "False PodsRefused"),
        (failed(ErrorClass::Refused), "False AdmissionRefused"),
    ] {
        let refused = status(&endpoint, &new, &seen, at(0));
        assert_eq!(ready(&refused), reason);
        assert_eq!(failure(&endpoint, &refused), Some(FailureKind::AdmissionRefused));
        assert_eq!(ready(&status(&endpoint, &refused, &seen, at(5_000))), reason, "past the limit of its start too");
    }
    for (seen, reason) in [
        (pods_refused(ErrorClass::Transient, 0), "False PodsRefused"),
        (failed(ErrorClass::Transient), "False ProviderError"),
    ] {
        let first = status(&endpoint, &new, &seen, at(0));
        let before = status(&endpoint, &first, &seen, at(119));
        assert_eq!((ready(&before).as_str(), failure(&endpoint, &before)), (reason, None));
        let after = status(&endpoint, &before, &seen, at(120));
        assert_eq!((ready(&after).as_str(), failure(&endpoint, &after)), (reason, Some(FailureKind::AdmissionRefused)));
        assert_eq!(failure(&endpoint, &status(&endpoint, &after, &seen, at(130))), Some(FailureKind::AdmissionRefused));
    }
}

/// A rule of the place refused a part, and this is there nevertheless.
fn refused_beside(there: Seen) -> Seen {
    let Seen::Present { present, .. } = there else { unreachable!() };
    Seen::Failed {
        error: ProviderError::new(ErrorClass::Refused, "no Services"),
        made: None,
        there: Some(present),
        answer: Heard::default(),
    }
}

#[test]
fn what_runs_although_a_part_was_refused_is_counted_and_on_record() {
    let endpoint = newcomer(None);
    let told = status(&endpoint, &InferenceEndpointStatus::default(), &refused_beside(present(1, None)), at(10));
    assert_eq!(ready(&told), "False AdmissionRefused");
    assert_eq!((told.replicas, told.ready_replicas), (2, 1));
    assert_eq!(told.external_id.as_ref().and_then(|id| id.get("uid")), Some("d"));
    assert_eq!(told.template_hash, None, "what is there is not what is wanted yet");
}

#[test]
fn what_was_adopted_keeps_its_rights_although_a_part_was_refused() {
    let adopted = endpoint(1, reasons::ADOPTED);
    let new = InferenceEndpointStatus::default();
    let refused = status(&adopted, &new, &refused_beside(present(2, None)), at(10));
    assert_eq!((refused.replicas, &refused.external_id), (2, &None));
    assert!(ever_ready(&adopted, &refused), "it may serve somebody");
    assert!(ever_ready(&adopted, &status(&adopted, &refused, &present(2, None), at(20))));
}

#[test]
fn a_provider_that_fails_for_a_moment_does_not_send_on_what_starts_slowly() {
    let mut endpoint = newcomer(None);
    endpoint.spec.template.startup_timeout_seconds = 1_200;
    let silent = serving(Some(ProbeAnswer::Unreachable { message: "it does not answer yet".to_owned() }));
    let blip = failed(ErrorClass::Transient);
    let mut told = InferenceEndpointStatus::default();
    for (seen, second, reason) in [
        (&silent, 0, "False UnreachableFromHub"),
        (&silent, 150, "False UnreachableFromHub"),
        (&blip, 151, "False ProviderError"),
        (&blip, 152, "False ProviderError"),
        (&silent, 160, "False UnreachableFromHub"),
        (&blip, 280, "False ProviderError"),
        (&blip, 399, "False ProviderError"),
    ] {
        told = status(&endpoint, &told, seen, at(second));
        assert_eq!((ready(&told).as_str(), failure(&endpoint, &told)), (reason, None), "at {second} s");
    }
    told = status(&endpoint, &told, &blip, at(400));
    assert_eq!(failure(&endpoint, &told), Some(FailureKind::AdmissionRefused), "failing for 120 s without a break");
}

#[test]
fn what_served_once_is_not_sent_on_by_admission() {
    let endpoint = newcomer(None);
    let answers =
        status(&endpoint, &InferenceEndpointStatus::default(), &present(2, Some(ProbeAnswer::Healthy)), at(10));
    let refused = status(&endpoint, &answers, &pods_refused(ErrorClass::Transient, 10), at(900));
    assert_eq!((ready(&refused).as_str(), failure(&endpoint, &refused)), ("False PodsRefused", None));
    let unanswered = status(&endpoint, &answers, &failed(ErrorClass::Refused), at(20));
    assert_eq!(ready(&unanswered), "Unknown AdmissionRefused", "it serves, and is not what it is to be");
}

#[test]
fn an_operation_is_recorded_before_it_is_waited_for() {
    let of = |entries: &[(&str, &str)]| InferenceEndpointStatus {
        external_id: Some(ExternalId::new("c", entries.iter().copied())),
        ..InferenceEndpointStatus::default()
    };
    let new = InferenceEndpointStatus::default();
    let (made, asked) = (of(&[("uid", "d")]), of(&[(ExternalId::OPERATION, "op-1")]));
    assert!(names_new_operation(&new, &asked) && names_new_operation(&made, &asked));
    assert!(names_new_operation(&asked, &of(&[(ExternalId::OPERATION, "op-2")])));
    assert!(!names_new_operation(&asked, &asked) && !names_new_operation(&asked, &made));
    assert!(!names_new_operation(&new, &made), "it is found again by its name");
}
