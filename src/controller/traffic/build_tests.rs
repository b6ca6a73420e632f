use std::collections::{BTreeMap, BTreeSet};

use roadstead_gateway::{Caller, Key, Route, Scheme, State, VerificationQuestion, WitnessRequest};
use serde_json::{Value, json};

use super::build::{RouteFacts, route};
use super::services;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment};

fn deployment() -> ModelDeployment {
    serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": "llama", "namespace": "team", "uid": "d"},
        "spec": {
            "model": {"name": "llama-3"}, "traffic": {"idleTimeoutSeconds": 60},
            "serving": {"engine": "vllm", "image": "i:1", "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}}]},
        },
    }))
    .unwrap()
}

fn endpoint(name: &str, state: &str, status: &Value) -> InferenceEndpoint {
    serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
        "metadata": {"name": name, "namespace": "team", "uid": name},
        "spec": {
            "deploymentRef": {"name": "llama", "uid": "d"}, "target": "east", "cloud": "aws", "region": "us-east-1",
            "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
            "capacityType": "OnDemand", "slot": 0, "replicas": 2, "reason": "InitialPlacement", "state": state,
            "template": {"engine": "vllm", "image": "i", "port": 8000, "model": {"name": "llama"},
                         "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
        },
        "status": status,
    }))
    .unwrap()
}

fn ready(name: &str, state: &str, replicas: i32) -> InferenceEndpoint {
    endpoint(name, state, &json!({"url": format!("http://{name}.example.com:8000"), "readyReplicas": replicas}))
}

fn routed(endpoints: &[InferenceEndpoint], former: Option<&Route>) -> Route {
    verified(&deployment(), endpoints, former, Some(&[]))
}

fn verified(
    deployment: &ModelDeployment,
    endpoints: &[InferenceEndpoint],
    former: Option<&Route>,
    names: Option<&[&str]>,
) -> Route {
    at(0, deployment, endpoints, former, names)
}

fn at(
    now: i64,
    deployment: &ModelDeployment,
    endpoints: &[InferenceEndpoint],
    former: Option<&Route>,
    names: Option<&[&str]>,
) -> Route {
    let keys: BTreeMap<_, _> =
        ["a", "b"].map(|name| (name.to_owned(), Key::new(format!("key-of-{name}")))).into_iter().collect();
    let callers = vec![Caller { name: "alice".to_owned(), key: Key::new("key-of-alice") }];
    let names = names.map(|names| names.iter().map(ToString::to_string).collect());
    route(
        deployment,
        &endpoints,
        RouteFacts {
            keys: &keys,
            services: &BTreeMap::new(),
            renamed: &BTreeMap::new(),
            callers,
            verified: names,
            asked: [("a".to_owned(), WitnessRequest::Steadily)].into(),
            by_gateways: BTreeSet::new(),
            hosted: Vec::new(),
            former,
            now,
        },
    )
}

fn shown(route: &Route) -> Vec<(&str, u32, State)> {
    route.endpoints.iter().map(|endpoint| (endpoint.name.as_str(), endpoint.weight, endpoint.state)).collect()
}

#[test]
fn an_endpoint_is_on_the_route_from_its_first_answer_with_the_weight_of_its_ready_replicas() {
    let starting = endpoint("b", "Active", &json!({"url": "http://b.example.com:8000", "readyReplicas": 0}));
    let route = routed(&[ready("a", "Active", 2), starting], None);
    assert_eq!(shown(&route), [("a", 2, State::Active)]);
    let a = &route.endpoints[0];
    assert_eq!((a.scheme, a.host.as_str(), a.port), (Scheme::Http, "a.example.com", 8000));
    assert_eq!(a.credential.as_ref().unwrap().value(), "Bearer key-of-a");
    assert_eq!((route.model.as_str(), route.health_path.as_deref()), ("llama-3", Some("/health")));
    assert_eq!((route.limits.first_byte_seconds, route.limits.idle_seconds), (600, 60));
}

#[test]
fn a_faster_shape_gets_more_of_the_requests() {
    let mut deployment = deployment();
    let mut slow = deployment.spec.serving.shapes[0].clone();
    deployment.spec.serving.shapes[0].tokens_per_second = Some(4_000);
    slow.name = "slow".into();
    slow.tokens_per_second = Some(1_000);
    deployment.spec.serving.shapes.push(slow);
    let fast = deployment.spec.serving.shapes[0].name.clone();
    let on = |name: &str, shape: &str, replicas| {
        let mut endpoint = ready(name, "Active", replicas);
        endpoint.spec.shape = shape.to_owned();
        endpoint
    };
    let route = at(0, &deployment, &[on("a", &fast, 1), on("b", "slow", 2)], None, None);
    assert_eq!(shown(&route), [("a", 100, State::Active), ("b", 50, State::Active)]);
}

#[test]
fn an_endpoint_that_an_update_interrupts_takes_no_request_until_it_answers_again() {
    let before = routed(&[ready("a", "Active", 1), ready("b", "Active", 1)], None);
    let announced = json!({
        "url": "http://a.example.com:8000", "readyReplicas": 1,
        "interruption": {"since": "2026-03-05T12:00:00Z", "deadline": "2026-03-05T12:02:00Z"},
    });
    let interrupted = routed(&[endpoint("a", "Active", &announced), ready("b", "Active", 1)], Some(&before));
    assert_eq!(shown(&interrupted), [("a", 1, State::Draining), ("b", 1, State::Active)]);
    let mut restarts = announced.clone();
    restarts["readyReplicas"] = json!(0);
    let down = routed(&[endpoint("a", "Active", &restarts), ready("b", "Active", 1)], Some(&interrupted));
    assert_eq!(shown(&down), shown(&interrupted), "its replica restarts");
    let again = routed(&[ready("a", "Active", 1), ready("b", "Active", 1)], Some(&down));
    assert_eq!(shown(&again), shown(&before));
}

#[test]
fn gateways_are_asked_about_active_endpoints_alone() {
    let before = routed(&[ready("a", "Active", 2), ready("b", "Active", 2)], None);
    let asked = |route: &Route| route.endpoints.iter().map(|endpoint| endpoint.asked).collect::<Vec<_>>();
    assert_eq!(asked(&before), [WitnessRequest::Steadily, WitnessRequest::Nothing]);
    let after = routed(&[ready("a", "Draining", 2), ready("b", "Active", 2)], Some(&before));
    assert_eq!(asked(&after), [WitnessRequest::Nothing, WitnessRequest::Nothing]);
}

#[test]
fn the_first_endpoint_that_only_gateways_ask_is_verified_before_callers_reach_it() {
    let keys = [("a".to_owned(), Key::new("key-of-a"))].into();
    let by_gateways = |former: Option<&Route>, verified: Option<&[&str]>| {
        let facts = RouteFacts {
            keys: &keys,
            services: &BTreeMap::new(),
            renamed: &BTreeMap::new(),
            callers: Vec::new(),
            verified: verified.map(|names| names.iter().map(ToString::to_string).collect()),
            asked: [("a".to_owned(), WitnessRequest::Changes)].into(),
            by_gateways: ["a".to_owned()].into(),
            hosted: Vec::new(),
            former,
            now: 0,
        };
        route(&deployment(), &[ready("a", "Active", 1)].iter().collect::<Vec<_>>(), facts)
    };
    let new = by_gateways(None, None);
    assert_eq!(shown(&new), [("a", 1, State::Verifying)], "no gateway reports yet");
    assert_eq!(shown(&by_gateways(Some(&new), Some(&[]))), [("a", 1, State::Verifying)]);
    let verified = by_gateways(Some(&new), Some(&["a"]));
    assert_eq!(shown(&verified), [("a", 1, State::Active)]);
    assert_eq!(verified.endpoints[0].asked, WitnessRequest::Changes);
    assert_eq!(shown(&by_gateways(Some(&verified), Some(&[]))), [("a", 1, State::Active)], "it stays verified");
}

#[test]
fn an_endpoint_stays_on_the_route_whatever_the_hub_sees_of_it() {
    let before = routed(&[ready("a", "Active", 2)], None);
    let after = routed(&[ready("a", "Active", 0)], Some(&before));
    assert_eq!(shown(&after), [("a", 2, State::Active)]);
    assert_eq!(after.revision, before.revision, "nothing new");
}

#[test]
fn a_draining_endpoint_stays_until_it_is_gone_and_takes_no_request() {
    let before = routed(&[ready("a", "Active", 1), ready("b", "Active", 1)], None);
    let draining = routed(&[ready("a", "Draining", 1), ready("b", "Active", 1)], Some(&before));
    assert_eq!(shown(&draining), [("a", 1, State::Draining), ("b", 1, State::Active)]);
    let gone = routed(&[ready("b", "Active", 1)], Some(&draining));
    assert_eq!(shown(&gone), [("b", 1, State::Active)]);
    assert_eq!([before.revision, draining.revision, gone.revision], [1, 2, 3]);
    assert_eq!(shown(&routed(&[ready("a", "Draining", 1)], None)), [], "it never took a request");
}

fn successor(name: &str, of: &str) -> InferenceEndpoint {
    let mut endpoint = ready(name, "Active", 1);
    endpoint.spec.replaces = Some(of.to_owned());
    endpoint
}

#[test]
fn a_successor_takes_requests_only_after_a_gateway_has_verified_it() {
    let before = routed(&[ready("a", "Active", 1)], None);
    let both = [ready("a", "Active", 1), successor("b", "a")];
    let answers = routed(&both, Some(&before));
    assert_eq!(shown(&answers), [("a", 1, State::Active), ("b", 1, State::Verifying)]);
    assert_eq!(routed(&both, Some(&answers)), answers, "nothing new");
    let known = verified(&deployment(), &both, Some(&answers), Some(&["b"]));
    assert_eq!(shown(&known), [("a", 1, State::Active), ("b", 1, State::Active)]);
    assert_eq!(shown(&routed(&both, Some(&known))), shown(&known), "it stays verified, whoever reports now");
}

#[test]
fn a_successor_is_not_verified_where_that_protects_nobody() {
    let before = routed(&[ready("a", "Active", 1)], None);
    let both = [ready("a", "Active", 1), successor("b", "a")];
    let served = [("a", 1, State::Active), ("b", 1, State::Active)];
    assert_eq!(shown(&verified(&deployment(), &both, Some(&before), None)), served, "there is no gateway");
    let of_role = |role: &str| {
        let mut deployment = deployment();
        let placement = json!({"endpoint": "b", "role": role, "target": "east", "cloud": "c", "region": "r", "shape": "s",
                               "offer": "o", "capacityType": "OnDemand", "replicas": 1, "readyReplicas": 1});
        deployment.status = Some(serde_json::from_value(json!({"placements": [placement]})).unwrap());
        verified(&deployment, &both, Some(&before), Some(&[]))
    };
    assert_eq!(shown(&of_role("Serving")), served, "the deployment relies on it already");
    assert_eq!(of_role("Replacement").endpoints[1].state, State::Verifying);
    let answers = routed(&both, Some(&before));
    let alone = [ready("a", "Draining", 1), successor("b", "a")];
    let last = routed(&alone, Some(&answers));
    assert_eq!(shown(&last), [("a", 1, State::Draining), ("b", 1, State::Active)], "no other endpoint serves");
    for health in ["Failing", "Lost"] {
        let failing = json!({"url": "http://a.example.com:8000", "readyReplicas": 1, "health": health});
        let failover = routed(&[endpoint("a", "Active", &failing), successor("b", "a")], Some(&before));
        assert_eq!(shown(&failover), served, "the other one does not answer: {health}");
    }
    let mut idle = successor("b", "a");
    idle.spec.replicas = 0;
    let with_idle = routed(&[ready("a", "Active", 1), idle], Some(&before));
    assert_eq!(shown(&with_idle), served, "it is to serve nobody");
}

fn in_steps() -> ModelDeployment {
    let mut deployment = deployment();
    deployment.spec.migration = serde_json::from_value(json!({"shift": {"steps": [
        {"weightPercent": 10, "durationSeconds": 60}, {"weightPercent": 50, "durationSeconds": 30},
    ]}}))
    .unwrap();
    deployment
}

/// Percentage of a successor, end of its step, and the weights of the route as gateways use them.
fn shifted(route: &Route) -> (Option<(u32, i64)>, Vec<u32>) {
    let step = route.endpoint("b").and_then(|b| b.shift.as_ref()).map(|step| (step.percent, step.until));
    (step, route.endpoints.iter().map(|endpoint| route.shared_weight(endpoint)).collect())
}

/// The old endpoint `a`, its verified successor `b`, and the route on which `b` is to be verified.
fn before_the_shift() -> ([InferenceEndpoint; 2], Route) {
    let both = [ready("a", "Active", 2), successor("b", "a")];
    let before = routed(&both[..1], None);
    let verifying = at(0, &in_steps(), &both, Some(&before), Some(&[]));
    assert_eq!(shown(&verifying), [("a", 2, State::Active), ("b", 1, State::Verifying)]);
    (both, verifying)
}

#[test]
fn a_verified_successor_takes_requests_step_by_step_and_each_step_lasts_its_time() {
    let (both, verifying) = before_the_shift();
    let next = |now: i64, former: &Route| at(now, &in_steps(), &both, Some(former), Some(&["b"]));
    let first = next(1_000, &verifying);
    assert_eq!(shifted(&first), (Some((10, 1_060)), vec![180, 20]));
    assert_eq!(next(1_059, &first), first, "nothing new before the end of the step");
    let second = next(1_200, &first);
    assert_eq!(shifted(&second), (Some((50, 1_230)), vec![100, 100]), "an operator that was away cuts no step short");
    let last = next(1_230, &second);
    assert_eq!(shifted(&last), (None, vec![2, 1]));
    assert_eq!(next(9_000, &last), last, "it shifts once");
    assert_eq!([first.revision, second.revision, last.revision], [3, 4, 5]);
}

#[test]
fn a_successor_that_fails_in_a_shift_gives_all_requests_back_and_is_verified_anew() {
    let (both, verifying) = before_the_shift();
    let first = at(0, &in_steps(), &both, Some(&verifying), Some(&["b"]));
    let mut failing = successor("b", "a");
    failing.status.as_mut().unwrap().health = Some(serde_json::from_value(json!("Failing")).unwrap());
    let fails = [ready("a", "Active", 2), failing];
    for now in [10, 60] {
        let back = at(now, &in_steps(), &fails, Some(&first), Some(&["b"]));
        assert_eq!(shown(&back), [("a", 2, State::Active), ("b", 1, State::Verifying)], "at {now}");
        assert_eq!(shifted(&back).0, None);
        let again = at(now, &in_steps(), &fails, Some(&back), Some(&["b"]));
        assert_eq!(shown(&again), shown(&back), "a gateway alone does not begin the shift again");
        let answers = at(500, &in_steps(), &both, Some(&again), Some(&["b"]));
        assert_eq!(shifted(&answers).0, Some((10, 560)), "it begins with the first step");
    }
}

#[test]
fn a_failover_takes_no_steps() {
    let (both, verifying) = before_the_shift();
    let first = at(0, &in_steps(), &both, Some(&verifying), Some(&["b"]));
    let lost = json!({"url": "http://a.example.com:8000", "readyReplicas": 2, "health": "Lost"});
    for old in [endpoint("a", "Active", &lost), ready("a", "Draining", 2)] {
        let failover = [old, successor("b", "a")];
        for former in [&verifying, &first] {
            let route = at(10, &in_steps(), &failover, Some(former), Some(&["b"]));
            assert_eq!((route.endpoint("b").unwrap().state, shifted(&route).0), (State::Active, None));
        }
    }
}

#[test]
fn a_suspended_deployment_stays_in_its_step() {
    let (both, verifying) = before_the_shift();
    let first = at(0, &in_steps(), &both, Some(&verifying), Some(&["b"]));
    let mut suspended = in_steps();
    suspended.spec.suspend = true;
    assert_eq!(at(5_000, &suspended, &both, Some(&first), Some(&["b"])), first);
    assert_eq!(shifted(&at(5_000, &deployment(), &both, Some(&first), Some(&["b"]))).0, None, "steps can be removed");
}

#[test]
fn a_successor_that_goes_unverified_leaves_nothing_to_drain() {
    let before = routed(&[ready("a", "Active", 1)], None);
    let answers = routed(&[ready("a", "Active", 1), successor("b", "a")], Some(&before));
    let mut gone = successor("b", "a");
    gone.spec.state = serde_json::from_value(json!("Draining")).unwrap();
    assert_eq!(shown(&routed(&[ready("a", "Active", 1), gone], Some(&answers))), [("a", 1, State::Active)]);
}

#[test]
fn an_address_that_no_gateway_can_use_is_left_out() {
    for url in ["ftp://a.example.com", "nonsense", "/v1"] {
        let odd = endpoint("a", "Active", &json!({"url": url, "readyReplicas": 1}));
        assert_eq!(shown(&routed(&[odd], None)), [], "{url}");
    }
    let secure = endpoint("a", "Active", &json!({"url": "https://a.example.com/serve/a/", "readyReplicas": 1}));
    let route = routed(&[secure], None);
    let a = &route.endpoints[0];
    assert_eq!((a.scheme, a.port, a.prefix.as_str()), (Scheme::Https, 443, "/serve/a"));
}

#[test]
fn an_endpoint_whose_token_gateways_mint_has_its_source_instead_of_a_key() {
    let target = serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
        "spec": {
            "cloud": "aws", "region": "eu-west-1", "type": "SageMaker", "offers": [],
            "sageMaker": {
                "accountID": "123456789012", "executionRoleARN": "arn:aws:iam::123456789012:role/containers",
                "assumeRole": {"roleARN": "arn:aws:iam::123456789012:role/operator"},
                "gatewayRole": {"roleARN": "arn:aws:iam::123456789012:role/callers", "externalID": "tenant-7"},
            },
        },
    }))
    .unwrap();
    let url = "https://runtime.sagemaker.eu-west-1.amazonaws.com/endpoints/a/openai";
    let served = endpoint("a", "Active", &json!({"url": url, "readyReplicas": 1}));
    let routed = |known: bool, former: Option<&Route>| {
        let known = services::access(&target, "a").filter(|_| known).map(|access| ("a".to_owned(), access));
        let facts = RouteFacts {
            keys: &[("a".to_owned(), Key::new("key-of-a"))].into(),
            services: &known.into_iter().collect(),
            renamed: &BTreeMap::new(),
            callers: Vec::new(),
            verified: None,
            asked: BTreeMap::new(),
            by_gateways: BTreeSet::new(),
            hosted: Vec::new(),
            former,
            now: 0,
        };
        route(&deployment(), &[&served], facts)
    };
    let first = routed(true, None);
    let a = &first.endpoints[0];
    assert_eq!(
        (&a.credential, a.question, a.prefix.as_str()),
        (&None, VerificationQuestion::Completion, "/endpoints/a/openai")
    );
    let role = json!({"arn": "arn:aws:iam::123456789012:role/callers", "externalId": "tenant-7"});
    let source = json!({"type": "SageMaker", "region": "eu-west-1", "role": role});
    assert_eq!(serde_json::to_value(&a.token).unwrap(), source, "the operator's own role has more rights");
    assert_eq!(routed(false, Some(&first)), first, "its target is not known for the moment");
}

#[test]
fn a_service_that_names_the_model_itself_gets_its_own_name_in_requests() {
    let served = endpoint("a", "Active", &json!({"url": "https://a.do-infra.ai", "readyReplicas": 1}));
    let routed = |renamed: &[(&str, &str)], former: Option<&Route>| {
        let facts = RouteFacts {
            keys: &[("a".to_owned(), Key::new("key-of-a"))].into(),
            services: &BTreeMap::new(),
            renamed: &renamed.iter().map(|(name, model)| ((*name).to_owned(), (*model).to_owned())).collect(),
            callers: Vec::new(),
            verified: None,
            asked: BTreeMap::new(),
            by_gateways: BTreeSet::new(),
            hosted: Vec::new(),
            former,
            now: 0,
        };
        route(&deployment(), &[&served], facts)
    };
    let first = routed(&[("a", "org/model-1"), ("b", "other")], None);
    assert_eq!(first.endpoints[0].model.as_deref(), Some("org/model-1"));
    assert_eq!(routed(&[], Some(&first)), first, "its target is not known for the moment");
    assert_eq!(routed(&[], None).endpoints[0].model, None);
}
