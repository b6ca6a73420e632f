//! The status for pipelines (kstatus) and for people.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use roadstead_model::{self as model, Plan};
use roadstead_planner::{self as planner, Fleet};
use serde_json::{Value, json};

use super::candidates;
use super::progress::urgency;
use super::status::{ReconcileStage, status};
use crate::controller::convert;
use crate::controller::throttle::Urgency;
use roadstead_api::v1alpha1::conditions::{self, find};
use roadstead_api::v1alpha1::{
    Dollars, InferenceEndpoint, ModelDeployment, ModelDeploymentStatus, PlacementRole, ServingTarget, limits,
};

fn object(spec: &Value) -> ModelDeployment {
    let mut object = json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": "llama", "namespace": "team", "uid": "u", "generation": 3},
        "spec": {
            "model": {"source": "hf://a/b"},
            "serving": {"engine": "vllm", "image": "i", "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}}]},
        },
    });
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn target() -> model::Target {
    let target: ServingTarget = serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
        "spec": {
            "cloud": "aws", "region": "us-east-1", "type": "Kubernetes", "allowedNamespaces": {},
            "offers": [{"name": "o", "instanceType": "i", "accelerator": {"type": "H100", "count": 8},
                        "capacityType": "OnDemand", "hourlyPrice": "40.00"}],
        },
    }))
    .unwrap();
    model::Target {
        state: model::TargetState::Ready,
        contact: model::Contact::Answers,
        in_cluster: false,
        nodes: Some(Vec::new()),
        inventory: model::Inventory::Answered,
        ..convert::target(&target, None, None, jiff::Timestamp::UNIX_EPOCH)
    }
}

fn planned(object: &ModelDeployment, targets: Vec<model::Target>) -> Plan {
    let mut fleet = Fleet::new();
    for target in targets {
        fleet.upsert_target(target);
    }
    let request = convert::deployment(object, std::collections::BTreeMap::new()).unwrap();
    planner::plan(&fleet, &request, model::Timestamp(1_000))
}

fn told(object: &ModelDeployment, plan: &Plan, endpoints: &[Arc<InferenceEndpoint>]) -> ModelDeploymentStatus {
    told_at(1_000, object, plan, endpoints)
}

fn told_at(
    second: i64,
    object: &ModelDeployment,
    plan: &Plan,
    endpoints: &[Arc<InferenceEndpoint>],
) -> ModelDeploymentStatus {
    status(
        object,
        &ReconcileStage::Planned { plan, outdated: false, has_gateway: true, hosted: &[] },
        endpoints,
        Timestamp::from_second(second).unwrap(),
    )
}

/// A condition as `status reason`; empty where it is absent.
fn reads(status: &ModelDeploymentStatus, type_: &str) -> String {
    find(&status.conditions, type_)
        .map(|condition| format!("{} {}", condition.status, condition.reason))
        .unwrap_or_default()
}

#[test]
fn what_time_can_mend_is_reconciling_and_what_only_an_edit_can_is_stalled() {
    let waiting = object(&json!({}));
    let status = told(&waiting, &planned(&waiting, vec![target()]), &[]);
    assert_eq!(reads(&status, conditions::READY), "False NoFeasiblePlacement");
    assert_eq!(reads(&status, conditions::RECONCILING), "True NoFeasiblePlacement");
    assert_eq!(reads(&status, conditions::STALLED), "");

    let hopeless = object(&json!({"placement": {"jurisdictions": ["EU"]}}));
    let status = told(&hopeless, &planned(&hopeless, vec![target()]), &[]);
    assert_eq!(reads(&status, conditions::STALLED), "True NoFeasiblePlacement");
    assert_eq!(reads(&status, conditions::RECONCILING), "");
    assert_eq!(status.candidates[0].reason, "JurisdictionNotAllowed");

    // Without a target there may be one tomorrow.
    let status = told(&hopeless, &planned(&hopeless, Vec::new()), &[]);
    assert_eq!(reads(&status, conditions::STALLED), "");
}

fn endpoint(ready: &str, reason: &str) -> Arc<InferenceEndpoint> {
    Arc::new(
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
            "metadata": {"name": "llama-x", "namespace": "team", "generation": 1},
            "spec": {
                "deploymentRef": {"name": "llama", "uid": "u"}, "target": "east", "cloud": "aws", "region": "us-east-1",
                "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
                "capacityType": "OnDemand", "slot": 0, "replicas": 1, "hourlyCost": "5.00", "reason": "InitialPlacement",
                "template": {"engine": "vllm", "image": "i", "port": 8000,
                             "model": {"source": "hf://a/b", "name": "llama"},
                             "startupTimeoutSeconds": 1200, "drainTimeoutSeconds": 120},
            },
            "status": {
                "observedGeneration": 1, "url": "http://198.18.0.2:30000", "firstReadyTime": "1970-01-01T00:00:10Z",
                "replicas": 1, "readyReplicas": 1,
                "conditions": [{"type": "Ready", "status": ready, "reason": reason, "message": "m",
                                "lastTransitionTime": "1970-01-01T00:00:10Z"}],
            },
        }))
        .unwrap(),
    )
}

/// The plan for a deployment that has these endpoints.
fn plan_for(object: &ModelDeployment, endpoints: &[Arc<InferenceEndpoint>]) -> Plan {
    let mut fleet = Fleet::new();
    fleet.upsert_target(target());
    for endpoint in endpoints {
        fleet.upsert_endpoint(convert::endpoint(endpoint, Some(object), std::collections::BTreeMap::new(), None));
    }
    let request = convert::deployment(object, std::collections::BTreeMap::new()).unwrap();
    planner::plan(&fleet, &request, model::Timestamp(1_000))
}

fn with(endpoint: &Arc<InferenceEndpoint>, spec: &Value) -> ModelDeploymentStatus {
    let object = object(spec);
    let plan = plan_for(&object, std::slice::from_ref(endpoint));
    told(&object, &plan, std::slice::from_ref(endpoint))
}

#[test]
fn ready_is_said_of_this_generation_with_place_cost_and_address() {
    let status = with(&endpoint("True", "Ready"), &json!({"placement": {"cost": {"maxHourlyCost": "6"}}}));
    assert_eq!(reads(&status, conditions::READY), "True Ready");
    assert_eq!(reads(&status, conditions::WITHIN_BUDGET), "True WithinBudget");
    assert_eq!(status.observed_generation, 3);
    assert_eq!(status.hourly_cost.as_ref().map(Dollars::as_str), Some("5.00"));
    assert_eq!(status.placements[0].url.as_deref(), Some("http://198.18.0.2:30000"));
    assert!(status.placements[0].since.is_some());
}

#[test]
fn a_place_that_the_rules_forbid_is_not_ready_and_says_so() {
    let status = with(&endpoint("True", "Ready"), &json!({"placement": {"jurisdictions": ["EU"]}}));
    assert_eq!(reads(&status, conditions::READY), "False PolicyViolated");
    let status = with(&endpoint("True", "Ready"), &json!({"placement": {"cost": {"maxHourlyCost": "4"}}}));
    assert_eq!(reads(&status, conditions::READY), "True Ready");
    assert_eq!(reads(&status, conditions::WITHIN_BUDGET), "False OverBudget");
}

#[test]
fn a_target_that_cannot_be_asked_makes_it_unknown_not_false() {
    let status = with(&endpoint("Unknown", "TargetNotReady"), &json!({}));
    assert_eq!(reads(&status, conditions::READY), "Unknown TargetNotReady");
}

#[test]
fn suspended_tells_what_is() {
    let status = with(&endpoint("True", "Ready"), &json!({"suspend": true}));
    assert_eq!(reads(&status, conditions::READY), "True Suspended");
}

#[test]
fn a_spec_that_cannot_reach_its_target_is_reconciling() {
    let mut behind = endpoint("Unknown", "TargetNotReady").as_ref().clone();
    behind.metadata.generation = Some(2);
    let status = with(&Arc::new(behind), &json!({}));
    assert_eq!(reads(&status, conditions::READY), "Unknown TargetNotReady");
    assert_eq!(reads(&status, conditions::RECONCILING), "True TargetNotReady");
}

/// The endpoint under another name, created at this second.
fn another(name: &str, created: i64, spec: &Value) -> Arc<InferenceEndpoint> {
    let mut object = serde_json::to_value(endpoint("True", "Ready").as_ref()).unwrap();
    object["metadata"]["name"] = json!(name);
    object["metadata"]["creationTimestamp"] = json!(Timestamp::from_second(created).unwrap());
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    Arc::new(serde_json::from_value(object).unwrap())
}

fn names(status: &ModelDeploymentStatus) -> Vec<&str> {
    status.placements.iter().map(|placement| placement.endpoint.as_str()).collect()
}

/// The serving part of a spec that asks for larger replicas.
fn larger() -> Value {
    json!({"engine": "vllm", "image": "i", "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 2}}]})
}

/// The replacement with larger replicas.
fn replacement() -> Value {
    let accelerator = json!({"type": "H100", "count": 2, "resourceName": "nvidia.com/gpu"});
    json!({"replaces": "z-old", "slot": 1, "accelerator": accelerator})
}

#[test]
fn what_serves_is_told_first_and_then_what_is_to_take_over() {
    let object = object(&json!({"serving": larger()}));
    let old = another("z-old", 10, &json!({}));
    let mut starting = another("a-new", 20, &replacement()).as_ref().clone();
    starting.status.as_mut().unwrap().first_ready_time = None;
    let endpoints = [Arc::new(starting), old];
    let status = told(&object, &plan_for(&object, &endpoints), &endpoints);
    assert_eq!(names(&status), ["z-old", "a-new"]);
    assert_eq!(status.placements[1].role, PlacementRole::Replacement);
    assert_eq!(status.placements[1].url, None, "it did not answer yet");
}

#[test]
fn what_drains_is_releasing_since_it_began_to() {
    let mut object = object(&json!({}));
    let draining = another("old", 10, &json!({"state": "Draining", "deadline": "1970-01-01T01:00:00Z"}));
    let endpoints = [another("new", 20, &json!({"slot": 1})), Arc::clone(&draining)];
    let status = told(&object, &plan_for(&object, &endpoints), &endpoints);
    assert_eq!(names(&status), ["new"]);
    assert_eq!(status.releasing[0].endpoint, "old");
    assert_eq!(status.hourly_cost.as_ref().map(Dollars::as_str), Some("10.00"), "it is billed until it is gone");
    let since = status.releasing[0].since.clone();
    object.status = Some(status);
    let later = told_at(2_000, &object, &plan_for(&object, std::slice::from_ref(&draining)), &[draining]);
    assert_eq!(later.releasing[0].since, since);
}

#[test]
fn without_a_plan_every_endpoint_keeps_the_role_that_was_told() {
    let mut object = object(&json!({"serving": larger()}));
    let old = another("z-old", 10, &json!({}));
    let new = another("a-new", 20, &replacement());
    let endpoints = [Arc::clone(&new), old];
    let now = Timestamp::from_second(1_000).unwrap();
    object.status = Some(told(&object, &plan_for(&object, &endpoints), &endpoints));
    let invalid = status(&object, &ReconcileStage::Invalid(&[]), &endpoints, now);
    assert_eq!(invalid.placements, object.status.as_ref().unwrap().placements);
    // Nothing was told of it yet, or by a release that told of no roles.
    object.status = None;
    let told = status(&object, &ReconcileStage::Invalid(&[]), &endpoints, now);
    let roles: Vec<_> = told.placements.iter().map(|one| (one.endpoint.as_str(), one.role)).collect();
    assert_eq!(roles, [("z-old", PlacementRole::Serving), ("a-new", PlacementRole::Replacement)]);
    let told = status(&object, &ReconcileStage::Invalid(&[]), &[new], now);
    assert_eq!((names(&told), told.replicas), (vec!["a-new"], 1), "what it replaced is gone");
}

#[test]
fn no_status_is_larger_than_its_schema_allows() {
    let mut object = object(&json!({}));
    let annotation = [(roadstead_api::v1alpha1::names::ANNOTATION_REQUESTED_AT.to_owned(), "x".repeat(1_000))];
    object.metadata.annotations = Some(annotation.into());
    let one = |number: i64, state| another(&format!("e{number}"), number, &json!({"state": state, "slot": number}));
    let many: Vec<_> = (0..100).map(|number| one(number, "Active")).collect();
    let status = told(&object, &plan_for(&object, &many), &many);
    assert_eq!(status.placements.len(), limits::PLACEMENTS);
    assert_eq!(status.last_handled_reconcile_at.map(|at| at.len()), Some(limits::ECHO));
    let many: Vec<_> = (0..100).map(|number| one(number, "Draining")).collect();
    assert_eq!(told(&object, &plan_for(&object, &many), &many).releasing.len(), limits::RELEASING);
}

#[test]
fn what_waits_is_told_of_changes_at_most_once_a_minute() {
    let mut object = object(&json!({"replicas": 9}));
    let full = model::Target {
        offers: vec![model::Offer { max_instances: Some(1), ..target().offers[0].clone() }],
        ..target()
    };
    let roomier = model::Target {
        offers: vec![model::Offer { max_instances: Some(1), ..full.offers[0].clone() }],
        nodes: None,
        ..full.clone()
    };
    let (before, after) = (planned(&object, vec![full]), planned(&object, vec![roomier]));
    assert_ne!(before.summary, after.summary, "the test would prove nothing");
    let first = told_at(1_000, &object, &before, &[]);
    object.status = Some(first.clone());
    let soon = told_at(1_059, &object, &after, &[]);
    assert_ne!(soon.candidates, first.candidates);
    for type_ in [conditions::READY, conditions::PLACED] {
        let condition = find(&soon.conditions, type_).unwrap();
        assert!(
            condition.message.contains(&roadstead_explain::summary(&after.summary)),
            "all speak of the same candidates: {}",
            condition.message
        );
    }
    assert_eq!(urgency(&first, &soon, 9), Urgency::InTurn, "they are told together");
    let wait = |second| candidates::wait(&first, Timestamp::from_second(second).unwrap());
    assert_eq!((wait(1_059), wait(1_060)), (Some(Duration::from_secs(1)), None));
    let mut hopeless = after.clone();
    hopeless.report.time_can_help = false;
    let turned = told_at(1_059, &object, &hopeless, &[]);
    assert_eq!(reads(&turned, conditions::STALLED), "True NoFeasiblePlacement");
    assert_eq!(urgency(&first, &turned, 9), Urgency::Now);
    assert_eq!(turned.candidates, soon.candidates);
    let again = told_at(1_200, &object, &before, &[]);
    assert_eq!(again, first, "nothing is news");
}

/// A first endpoint that did not come up for this reason, with its failure of this class.
fn failed_first(reason: &str, class: &str) -> Arc<InferenceEndpoint> {
    let mut endpoint = endpoint("False", reason).as_ref().clone();
    let status = endpoint.status.as_mut().unwrap();
    status.first_ready_time = None;
    status.url = None;
    let error = json!({"class": class, "message": "m", "time": "1970-01-01T00:00:10Z"});
    status.last_error = Some(serde_json::from_value(error).unwrap());
    Arc::new(endpoint)
}

#[test]
fn a_first_endpoint_that_does_not_come_up_and_has_no_other_place_is_stalled() {
    let status = with(&failed_first("StartupTimeout", "Transient"), &json!({}));
    assert_eq!(reads(&status, conditions::STALLED), "True StartupTimeout");
    assert_eq!(reads(&status, conditions::READY), "False StartupTimeout");
    assert_eq!(reads(&status, conditions::RECONCILING), "");
}

#[test]
fn what_admission_refuses_without_another_place_is_stalled_and_costs_nothing() {
    let mut refused = failed_first("PodsRefused", "Refused").as_ref().clone();
    refused.status.as_mut().unwrap().replicas = 0;
    let status = with(&Arc::new(refused), &json!({}));
    assert_eq!(reads(&status, conditions::STALLED), "True PodsRefused");
    assert_eq!(status.hourly_cost.as_ref().map(Dollars::as_str), Some("0.00"));
    assert_eq!(status.placements[0].hourly_cost.as_ref().map(Dollars::as_str), Some("0.00"));
    let passing = with(&failed_first("PodsRefused", "Transient"), &json!({}));
    assert_eq!(reads(&passing, conditions::STALLED), "", "a webhook that does not answer may come back");
}
