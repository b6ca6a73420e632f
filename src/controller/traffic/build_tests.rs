use std::collections::BTreeMap;

use roadstead_gateway::{Caller, Key, Route, Scheme, State};
use serde_json::{Value, json};

use super::build::{RouteFacts, route};
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
    let keys: BTreeMap<_, _> =
        ["a", "b"].map(|name| (name.to_owned(), Key::new(format!("key-of-{name}")))).into_iter().collect();
    let callers = vec![Caller { name: "alice".to_owned(), key: Key::new("key-of-alice") }];
    let names = names.map(|names| names.iter().map(ToString::to_string).collect());
    route(deployment, endpoints, RouteFacts { keys: &keys, callers, verified: names, former })
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
    assert_eq!(of_role("Standby").endpoints[1].state, State::Verifying);
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
