//! Health by what was heard, and the time since which an endpoint fails.

use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use super::heard::Heard;
use super::seen::Seen;
use super::status::status;
use crate::controller::test_present;
use crate::controller::traffic::witness::GatewayWord;
use roadstead_api::planning;
use roadstead_api::v1alpha1::conditions::{self, find};
use roadstead_api::v1alpha1::{Health, InferenceEndpoint, InferenceEndpointStatus, Witness, reasons};
use roadstead_provider::probe::{Probe, ProbeAnswer, ProbeWay};
use roadstead_provider::{ErrorClass, Present, Progress, ProviderError, Redacted};

const STARTUP_SECONDS: i64 = 60;

fn endpoint(replicas: i32) -> InferenceEndpoint {
    serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
        "metadata": {"name": "llama-x", "namespace": "team", "generation": 1},
        "spec": {
            "deploymentRef": {"name": "llama", "uid": "u"}, "target": "east", "cloud": "aws", "region": "us-east-1",
            "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
            "capacityType": "OnDemand", "slot": 0, "replicas": replicas, "reason": "InitialPlacement",
            "template": {"engine": "vllm", "image": "i", "port": 8000, "model": {"name": "llama"},
                         "startupTimeoutSeconds": STARTUP_SECONDS, "drainTimeoutSeconds": 5},
        },
    }))
    .unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn refused() -> ProbeAnswer {
    ProbeAnswer::Unreachable { message: "connection refused".to_owned() }
}

const ANSWER: Option<ProbeAnswer> = Some(ProbeAnswer::Healthy);

fn there(template: &str, ready: i32, answer: Option<ProbeAnswer>) -> Seen {
    let progress =
        if ready == 2 { Progress::Serving } else { Progress::Starting { message: format!("{ready} of 2 replicas") } };
    let present =
        Present { template_hash: template.to_owned(), ready_replicas: ready, progress, ..test_present::present() };
    Seen::Present { present: Box::new(present), answer: answer.into() }
}

fn cut_off(reason: &'static str, answer: Option<ProbeAnswer>) -> Seen {
    Seen::TargetNotReady { reason, answer: answer.into(), hub_isolated: false }
}

fn unasked(class: ErrorClass, answer: Option<ProbeAnswer>) -> Seen {
    Seen::Failed { error: ProviderError::new(class, "no answer"), made: None, there: None, answer: answer.into() }
}

/// The status of an endpoint that is ready at second 10.
fn ready_at_10() -> InferenceEndpointStatus {
    status(&endpoint(2), &InferenceEndpointStatus::default(), &there("h", 2, ANSWER), at(10))
}

fn after(former: &InferenceEndpointStatus, seen: &Seen, second: i64) -> InferenceEndpointStatus {
    status(&endpoint(2), former, seen, at(second))
}

fn since(status: &InferenceEndpointStatus) -> Option<i64> {
    status.failing_since.as_ref().map(|since| since.0.as_second())
}

fn reason(status: &InferenceEndpointStatus) -> &str {
    &find(&status.conditions, conditions::READY).unwrap().reason
}

#[test]
fn health_is_what_both_witnesses_say() {
    use Health::{Failing, Healthy, Isolated, Lost, Unknown};
    let silent = || cut_off(reasons::UNREACHABLE, Some(refused()));
    for (seen, health) in [
        (there("h", 2, ANSWER), Healthy),
        (there("h", 2, Some(refused())), Failing),
        (there("h", 0, None), Failing),
        (there("h", 1, ANSWER), Healthy),
        (there("h", 2, Some(ProbeAnswer::NotProtected)), Healthy),
        (cut_off(reasons::UNREACHABLE, ANSWER), Isolated),
        (silent(), Lost),
        (cut_off(reasons::UNREACHABLE, None), Unknown),
        (cut_off(reasons::INTERNAL_ERROR, Some(refused())), Unknown),
        (unasked(ErrorClass::Transient, ANSWER), Isolated),
        (unasked(ErrorClass::Transient, Some(refused())), Lost),
        (unasked(ErrorClass::Refused, Some(refused())), Failing),
        (Seen::TargetGone, Unknown),
    ] {
        assert_eq!(after(&ready_at_10(), &seen, 20).health, Some(health));
    }
    assert_eq!(reason(&after(&ready_at_10(), &silent(), 20)), reasons::TARGET_LOST);
    assert_eq!(reason(&after(&ready_at_10(), &cut_off(reasons::UNREACHABLE, ANSWER), 20)), reasons::ISOLATED);
}

fn heard(probe: Option<ProbeAnswer>, gateways: GatewayWord) -> Heard {
    Heard { probe, gateways }
}

/// The same with the word of the gateways about it.
fn with_word(seen: Seen, word: GatewayWord) -> Seen {
    match seen {
        Seen::Present { present, answer } => Seen::Present { present, answer: heard(answer.probe, word) },
        Seen::TargetNotReady { reason, answer, hub_isolated } => {
            Seen::TargetNotReady { reason, answer: heard(answer.probe, word), hub_isolated }
        }
        other => other,
    }
}

/// An endpoint that only gateways ask.
fn by_gateways(ready: i32, word: GatewayWord) -> Seen {
    let Seen::Present { mut present, .. } = there("h", ready, None) else { unreachable!() };
    let direct = Probe::of_engine("http://198.18.0.2:30000", Redacted::new("rs-key".to_owned()), "llama");
    present.probe = Some(Probe { way: ProbeWay::Gateways, ..direct });
    Seen::Present { present, answer: heard(None, word) }
}

fn told(status: &InferenceEndpointStatus) -> (Option<Health>, Option<Witness>, String) {
    let ready = find(&status.conditions, conditions::READY).unwrap();
    (status.health, status.witness, format!("{} {}", ready.status, ready.reason))
}

#[test]
fn an_endpoint_that_only_gateways_reach_is_not_lost_and_says_so() {
    use GatewayWord::{Reached, Silent, Unreached, WithoutToken};
    use Health::{Failing, Healthy, Isolated, Lost};
    let (probe, gateways) = (Some(Witness::Probe), Some(Witness::Gateways));
    let present = |answer: Option<ProbeAnswer>| there("h", 2, answer);
    let silent = |answer: Option<ProbeAnswer>| cut_off(reasons::UNREACHABLE, answer);
    for (seen, word, expected) in [
        (present(ANSWER), Silent, (Some(Healthy), probe, "True Ready")),
        (present(ANSWER), Unreached, (Some(Healthy), probe, "True UnreachableFromGateways")),
        (present(ANSWER), WithoutToken, (Some(Healthy), probe, "True GatewayTokenMissing")),
        (present(Some(refused())), Reached, (Some(Healthy), gateways, "True ReachedByGateways")),
        (present(Some(refused())), Unreached, (Some(Failing), probe, "False UnreachableFromHub")),
        (there("h", 0, None), Reached, (Some(Failing), None, "False Starting")),
        (silent(Some(refused())), Reached, (Some(Isolated), gateways, "Unknown Isolated")),
        (silent(Some(refused())), Silent, (Some(Lost), probe, "Unknown TargetLost")),
        (silent(None), Reached, (Some(Isolated), gateways, "Unknown Isolated")),
        (silent(None), Unreached, (Some(Lost), gateways, "Unknown TargetLost")),
    ] {
        let (health, witness, ready) = expected;
        let status = after(&ready_at_10(), &with_word(seen, word), 20);
        assert_eq!(told(&status), (health, witness, ready.to_owned()));
    }
    let failing = after(&ready_at_10(), &there("h", 2, Some(refused())), 20);
    let reached = after(&failing, &with_word(there("h", 2, Some(refused())), Reached), 25);
    assert_eq!((since(&failing), since(&reached)), (Some(20), None), "the word of a gateway ends the run");
}

#[test]
fn the_hub_isolated_guard_gives_way_to_a_gateway_that_reaches_the_endpoint() {
    let seen = |word| {
        let cut_off =
            Seen::TargetNotReady { reason: reasons::UNREACHABLE, answer: heard(None, word), hub_isolated: true };
        after(&ready_at_10(), &cut_off, 20).health
    };
    assert_eq!(seen(GatewayWord::Silent), Some(Health::Unknown));
    assert_eq!(seen(GatewayWord::Unreached), Some(Health::Unknown));
    assert_eq!(seen(GatewayWord::Reached), Some(Health::Isolated));
}

#[test]
fn an_endpoint_that_gateways_ask_is_what_they_say() {
    use GatewayWord::{Reached, Silent, Unreached};
    let new = InferenceEndpointStatus::default();
    let waits = status(&endpoint(2), &new, &by_gateways(2, Silent), at(5));
    assert_eq!(told(&waits), (None, None, "False AwaitingGateways".to_owned()));
    let ready = status(&endpoint(2), &waits, &by_gateways(2, Reached), at(10));
    assert_eq!(told(&ready), (Some(Health::Healthy), Some(Witness::Gateways), "True Ready".to_owned()));
    assert_eq!(status(&endpoint(2), &ready, &by_gateways(2, Reached), at(40)), ready, "nothing new");
    let lost = after(&ready, &by_gateways(2, Unreached), 50);
    assert_eq!(
        told(&lost),
        (Some(Health::Failing), Some(Witness::Gateways), "False UnreachableFromGateways".to_owned())
    );
    assert_eq!(since(&lost), Some(50));
    let unknown = after(&lost, &by_gateways(2, Silent), 60);
    assert_eq!(told(&unknown), (Some(Health::Unknown), None, "Unknown AwaitingGateways".to_owned()));
    assert_eq!(since(&unknown), Some(50), "no word neither begins nor ends a run");
    assert_eq!(after(&ready, &by_gateways(0, Silent), 60).health, Some(Health::Failing), "the member shows no replica");
}

#[test]
fn a_missing_right_to_probe_says_nothing_of_the_endpoint() {
    let forbidden = Some(ProbeAnswer::NotPermitted { message: "services/proxy".to_owned() });
    let asked = after(&ready_at_10(), &there("h", 2, forbidden.clone()), 20);
    assert_eq!(told(&asked), (Some(Health::Unknown), None, "Unknown ProbeForbidden".to_owned()));
    let new = status(&endpoint(2), &InferenceEndpointStatus::default(), &there("h", 2, forbidden), at(20));
    assert_eq!(told(&new), (None, None, "False ProbeForbidden".to_owned()));
}

#[test]
fn refused_credentials_take_the_path_of_a_lost_network_with_their_own_reason() {
    for why in [reasons::UNAUTHORIZED, reasons::CREDENTIALS_MISSING, reasons::KUBECONFIG_INVALID] {
        let lost = after(&ready_at_10(), &cut_off(why, Some(refused())), 20);
        assert_eq!((lost.health, since(&lost)), (Some(Health::Lost), Some(20)));
        assert_eq!(reason(&lost), reasons::TARGET_UNAUTHORIZED);
    }
}

#[test]
fn an_endpoint_that_never_was_ready_or_is_to_serve_nothing_has_no_health() {
    let new = InferenceEndpointStatus::default();
    assert_eq!(status(&endpoint(2), &new, &cut_off(reasons::UNREACHABLE, None), at(20)).health, None);
    assert_eq!(status(&endpoint(2), &new, &there("h", 0, None), at(20)).health, None);
    let empty = status(&endpoint(0), &ready_at_10(), &there("h", 0, None), at(20));
    assert_eq!((empty.health, since(&empty)), (None, None));
}

#[test]
fn the_run_begins_with_the_first_failed_probe_and_outlives_a_restart_of_the_operator() {
    let failing = after(&ready_at_10(), &there("h", 2, Some(refused())), 20);
    assert_eq!(since(&failing), Some(20));
    // All that a new process knows is the status.
    let stored: InferenceEndpointStatus = serde_json::from_value(serde_json::to_value(&failing).unwrap()).unwrap();
    let lost = after(&stored, &cut_off(reasons::UNREACHABLE, Some(refused())), 50);
    assert_eq!((lost.health, since(&lost)), (Some(Health::Lost), Some(20)));
    assert_eq!(since(&after(&lost, &there("h", 2, ANSWER), 60)), None);
}

#[test]
fn unknown_neither_begins_nor_ends_the_run() {
    let unknown = || cut_off(reasons::UNREACHABLE, None);
    assert_eq!(since(&after(&ready_at_10(), &unknown(), 20)), None);
    let failing = after(&ready_at_10(), &there("h", 2, Some(refused())), 20);
    let unclear = after(&failing, &unknown(), 30);
    assert_eq!((unclear.health, since(&unclear)), (Some(Health::Unknown), Some(20)));
    assert_eq!(since(&after(&unclear, &there("h", 2, Some(refused())), 40)), Some(20));
}

#[test]
fn an_answer_ends_the_run_even_if_the_target_does_not_answer() {
    let lost = after(&ready_at_10(), &cut_off(reasons::UNREACHABLE, Some(refused())), 20);
    let isolated = after(&lost, &cut_off(reasons::UNREACHABLE, ANSWER), 30);
    assert_eq!((isolated.health, since(&isolated)), (Some(Health::Isolated), None));
    assert_eq!(since(&after(&isolated, &cut_off(reasons::UNREACHABLE, Some(refused())), 40)), Some(40));
}

#[test]
fn a_hub_that_is_cut_off_learns_nothing_and_begins_again_with_the_contact() {
    let lost = after(&ready_at_10(), &cut_off(reasons::UNREACHABLE, Some(refused())), 20);
    let seen = |answer: Option<ProbeAnswer>| Seen::TargetNotReady {
        reason: reasons::UNREACHABLE,
        answer: answer.into(),
        hub_isolated: true,
    };
    let isolated = after(&lost, &seen(Some(refused())), 30);
    assert_eq!((isolated.health, since(&isolated)), (Some(Health::Unknown), None));
    assert_eq!(reason(&isolated), reasons::HUB_ISOLATED);
    assert_eq!(since(&after(&isolated, &cut_off(reasons::UNREACHABLE, Some(refused())), 40)), Some(40));
    let answers = after(&lost, &seen(ANSWER), 30);
    assert_eq!((answers.health, reason(&answers)), (Some(Health::Isolated), reasons::ISOLATED));
}

#[test]
fn a_restart_by_request_has_the_time_of_a_start_before_it_counts_as_failing() {
    let restarting = after(&ready_at_10(), &there("another", 0, None), 100);
    assert_eq!((restarting.health, since(&restarting)), (Some(Health::Unknown), None));
    assert_eq!(restarting.starting_since, Some(planning::api_time(at(100))));
    let long = after(&restarting, &there("another", 0, None), 100 + STARTUP_SECONDS - 1);
    assert_eq!(long.health, Some(Health::Unknown));
    let late = after(&long, &there("another", 0, None), 100 + STARTUP_SECONDS);
    assert_eq!((late.health, since(&late)), (Some(Health::Failing), Some(100 + STARTUP_SECONDS)));
    let done = after(&long, &there("another", 2, ANSWER), 130);
    assert_eq!((done.health, &done.starting_since), (Some(Health::Healthy), &None));
    let crashed = after(&done, &there("another", 0, None), 140);
    assert_eq!(crashed.health, Some(Health::Failing), "nobody asked for this restart");
}

#[test]
fn nothing_but_the_first_failed_probe_is_written_of_a_run() {
    let lost = after(&ready_at_10(), &cut_off(reasons::UNREACHABLE, Some(refused())), 20);
    let timeout = Some(ProbeAnswer::Unreachable { message: "no answer within 5 s".to_owned() });
    assert_eq!(after(&lost, &cut_off(reasons::UNREACHABLE, timeout), 25), lost);
}
