//! Events of a deployment: one for each transition, with names and numbers, and a warning only if somebody should act.

use std::collections::BTreeMap;
use std::sync::Arc;

use roadstead_model::{
    Action, Decision, DeploymentId, Finding, Keep, Pattern, Plan, PodFields, RegionRule, Rejection, Removal,
    ReplacementBudget, Report, Summary, Timestamp, Wait,
};
use serde_json::{Value, json};

use super::news::DeploymentTurn;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeploymentStatus};
use roadstead_runtime::events::EventSeverity;

const T0: &str = "2026-08-01T12:00:00Z";

/// A status at generation 1 with `Ready` as `status reason: message`, and these placements as `endpoint target replicas
/// cost`.
fn status(ready: &str, placements: &[&str]) -> ModelDeploymentStatus {
    let placements: Vec<Value> = placements
        .iter()
        .enumerate()
        .map(|(index, placement)| {
            let [endpoint, target, replicas, cost] = placement.split(' ').collect::<Vec<_>>()[..] else { panic!() };
            json!({
                "endpoint": endpoint, "target": target, "cloud": "aws", "region": "r", "shape": "s", "offer": "o",
                "capacityType": "OnDemand", "replicas": replicas.parse::<i32>().unwrap(), "readyReplicas": 0,
                "hourlyCost": cost, "role": if index == 0 { "Serving" } else { "Replacement" },
            })
        })
        .collect();
    let mut status = json!({
        "observedGeneration": 1, "replicas": 0, "readyReplicas": 0, "placements": placements, "candidates": [],
        "releasing": [], "conditions": [],
    });
    if let Some((state, rest)) = ready.split_once(' ') {
        let (reason, message) = rest.split_once(": ").unwrap_or((rest, "m"));
        status["conditions"] = json!([condition("Ready", state, reason, message)]);
    }
    serde_json::from_value(status).unwrap()
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message, "observedGeneration": 1,
           "lastTransitionTime": T0})
}

fn with(mut status: ModelDeploymentStatus, condition: Value) -> ModelDeploymentStatus {
    status.conditions.push(serde_json::from_value(condition).unwrap());
    status
}

/// The next generation's.
fn edited(mut status: ModelDeploymentStatus) -> ModelDeploymentStatus {
    status.observed_generation = 2;
    status.conditions.iter_mut().for_each(|condition| condition.observed_generation = Some(2));
    status
}

/// An endpoint with these fields of its spec and its status.
fn endpoint(name: &str, spec: &Value, status: &Value) -> Arc<InferenceEndpoint> {
    let mut object = json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
        "metadata": {"name": name, "namespace": "team"},
        "spec": {
            "deploymentRef": {"name": "llama", "uid": "u"}, "target": "east", "cloud": "aws", "region": "r",
            "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
            "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement",
            "template": {"engine": "vllm", "image": "i", "port": 8000, "model": {"name": "llama"},
                         "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
        },
        "status": status,
    });
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    Arc::new(serde_json::from_value(object).unwrap())
}

fn plan(actions: Vec<Action>, waits: Vec<Wait>) -> Plan {
    let report = Report {
        candidates: Vec::new(),
        omitted: BTreeMap::new(),
        namespace_not_allowed: 0,
        largest_fit: None,
        time_can_help: true,
    };
    Plan {
        deployment: DeploymentId { namespace: "team".to_owned(), name: "llama".to_owned() },
        revision: 1,
        decided_at: Timestamp(0),
        allocations: Vec::new(),
        actions,
        decision: Decision::Unchanged,
        summary: Summary::Suspended,
        waits,
        report,
        recheck_at: None,
    }
}

/// A finding that a rule forbids region `r`.
fn denied() -> Finding {
    let by = RegionRule::Denied(Pattern::parse("r").unwrap());
    Finding::PolicyViolated(Rejection::RegionDenied { region: "r".to_owned(), by })
}

/// The news as `N reason: note` or `W reason: note`.
fn told(
    former: &ModelDeploymentStatus,
    status: &ModelDeploymentStatus,
    plan: Option<&Plan>,
    endpoints: &[Arc<InferenceEndpoint>],
) -> Vec<String> {
    let again = DeploymentTurn { former: status, status, plan, endpoints };
    assert_eq!(again.news(), [], "a turn is told once");
    let news = DeploymentTurn { former, status, plan, endpoints }.news();
    let letter = |severity| if severity == EventSeverity::Warning { "W" } else { "N" };
    news.into_iter().map(|news| format!("{} {}: {}", letter(news.severity), news.reason, news.note)).collect()
}

fn turns(former: &ModelDeploymentStatus, status: &ModelDeploymentStatus) -> Vec<String> {
    told(former, status, None, &[])
}

#[test]
fn a_first_placement_says_where_why_and_for_how_much() {
    let record = endpoint("a", &json!({}), &json!({}));
    let status = status("False Starting", &["a east 2 9.20"]);
    assert_eq!(
        told(&ModelDeploymentStatus::default(), &status, None, &[record]),
        ["N Placed: placed 2 replicas of shape s on east (aws r), offer o, OnDemand, for $9.20/h; InitialPlacement"]
    );
    let adopted = endpoint("a", &json!({"reason": "Adopted"}), &json!({}));
    let news = told(&ModelDeploymentStatus::default(), &status, None, &[adopted]);
    assert_eq!(
        news,
        [
            "N Adopted: adopted the running endpoint: 2 replicas of shape s on east (aws r), offer o, OnDemand, for $9.20/h"
        ]
    );
}

#[test]
fn a_healthy_move_says_from_where_to_where_and_why_and_warns_of_nothing() {
    let old = endpoint("a", &json!({}), &json!({"firstReadyTime": T0}));
    let keep = Keep {
        endpoint: "a".to_owned(),
        replicas: 1,
        pods: PodFields::StayAsPlaced,
        hourly_cost: None,
        findings: vec![denied()],
    };
    let plan = plan(vec![Action::Keep(keep)], Vec::new());
    let record = json!({"target": "west", "replaces": "a", "reason": "PolicyViolated"});
    let new = |status: Value| endpoint("b", &record, &status);
    let serving = status("True Ready", &["a east 1 5.00"]);
    let moving = status("False Starting", &["a east 1 5.00", "b west 1 6.00"]);
    assert_eq!(
        told(&serving, &moving, Some(&plan), &[Arc::clone(&old), new(json!({}))]),
        [
            "N Moving: moving from east ($5.00/h) to west ($6.00/h): 1 replica of shape s, aws r, offer o, OnDemand; cause: \
          PolicyViolated: RegionDenied: region r is denied by pattern r"
        ]
    );
    let violated = status("False PolicyViolated", &["a east 1 5.00", "b west 1 6.00"]);
    assert_eq!(turns(&moving, &violated), [""; 0]);
    let both = [old, new(json!({"firstReadyTime": T0}))];
    assert_eq!(told(&violated, &status("False Replacing", &["b west 1 6.00", "a east 1 5.00"]), None, &both), [""; 0]);
    let moved = status("True Ready: 1 replica answers", &["b west 1 6.00"]);
    assert_eq!(
        told(&violated, &moved, None, &both),
        [
            "N Moved: moved from east to west: $6.00/h instead of $5.00/h",
            "N Ready: 1 replica answers (was not ready for 0 s, last PolicyViolated)"
        ]
    );
}

#[test]
fn what_keeps_a_first_start_from_succeeding_is_told_whatever_its_reason() {
    let starting = status("False Starting", &["a east 1 5.00"]);
    for reason in ["SecretMissing", "ImagePullFailed", "RecreateNoSpareCapacity", "StartupTimeout", "NobodyKnowsYet"] {
        let trouble = status(&format!("False {reason}: what and how"), &["a east 1 5.00"]);
        assert_eq!(turns(&starting, &trouble), [format!("W {reason}: what and how")]);
        assert_eq!(turns(&trouble, &starting), [""; 0]);
    }
}

#[test]
fn a_budget_below_what_runs_and_a_spec_that_cannot_be_are_warnings() {
    let serving = |budget: &str, reason: &str| {
        with(status("True Ready", &["a east 1 5.00"]), condition("WithinBudget", budget, reason, "$5.00/h of …"))
    };
    let (within, over) = (serving("True", "WithinBudget"), serving("False", "OverBudget"));
    assert_eq!(turns(&within, &over), ["W OverBudget: $5.00/h of …"]);
    assert_eq!(turns(&over, &within), ["N WithinBudget: $5.00/h of …"]);
    let stalled = |message: &str| {
        with(
            status(&format!("False InvalidSpec: {message}"), &[]),
            condition("Stalled", "True", "InvalidSpec", message),
        )
    };
    assert_eq!(turns(&within, &stalled("one")), ["W InvalidSpec: one"]);
    assert_eq!(turns(&stalled("one"), &edited(stalled("two"))), ["W InvalidSpec: two"], "another mistake");
}

#[test]
fn a_refused_scale_is_a_warning_once_although_two_conditions_say_it() {
    let former = with(status("True Ready", &["a east 2 5.00"]), condition("WithinBudget", "True", "WithinBudget", ""));
    let refused = "5 replicas would cost $34.50/h, budget $20.00/h";
    let status = with(
        status(&format!("False OverBudget: {refused}"), &["a east 2 5.00"]),
        condition("WithinBudget", "False", "OverBudget", "x"),
    );
    assert_eq!(turns(&former, &edited(status)), [format!("W OverBudget: {refused}")]);
}

#[test]
fn a_place_that_refuses_is_left_for_the_next_one_without_a_warning() {
    let refused = json!({"conditions": [condition("Ready", "False", "CapacityExhausted", "0/3 nodes are available")]});
    let both = [endpoint("a", &json!({}), &refused), endpoint("b", &json!({"target": "west"}), &json!({}))];
    let delete = Action::Delete { endpoint: "a".to_owned(), reason: Removal::CapacityExhausted, exhaust: None };
    let plan = plan(vec![delete], Vec::new());
    let (former, next) = (status("False Starting", &["a east 1 5.00"]), status("False Starting", &["b west 1 6.00"]));
    let news = told(&former, &next, Some(&plan), &both);
    assert_eq!(news[0], "N Withdrawn: withdrew endpoint a from east; CapacityExhausted: 0/3 nodes are available");
    assert!(news[1].starts_with("N Placed: placed 1 replica of shape s on west"), "{news:?}");
    assert_eq!(news.len(), 2);
}

#[test]
fn a_withdrawn_return_has_the_name_of_what_was_left_and_is_no_move() {
    let created = |mut one: Arc<InferenceEndpoint>, at: &str| {
        let time = serde_json::from_value(json!(at)).unwrap();
        Arc::make_mut(&mut one).metadata.creation_timestamp = Some(time);
        one
    };
    let serving = endpoint("west", &json!({"target": "west", "replaces": "east"}), &json!({"firstReadyTime": T0}));
    let returning = endpoint("east", &json!({"replaces": "west", "reason": "FailedBack"}), &json!({}));
    let both = [created(serving, T0), created(returning, "2026-08-01T12:30:00Z")];
    let delete = Action::Delete { endpoint: "east".to_owned(), reason: Removal::MoveAbandoned, exhaust: None };
    let former = status("True Ready", &["west west 1 6.00", "east east 1 5.00"]);
    let news =
        told(&former, &status("True Ready", &["west west 1 6.00"]), Some(&plan(vec![delete], Vec::new())), &both);
    assert_eq!(news, ["N Withdrawn: withdrew endpoint east from east; MoveAbandoned"]);
}

#[test]
fn scaling_in_place_says_from_how_many_to_how_many_for_how_much() {
    let scaled = edited(status("False Starting", &["a east 4 10.00"]));
    assert_eq!(
        turns(&status("True Ready", &["a east 2 5.00"]), &scaled),
        ["N Scaled: scaled from 2 to 4 replicas on east: $10.00/h instead of $5.00/h"]
    );
}

#[test]
fn readiness_that_is_lost_is_a_warning_unless_somebody_asked_for_what_takes_it() {
    let (ready, starting) = (status("True Ready", &["a east 1 5.00"]), status("False Starting", &["a east 1 5.00"]));
    assert_eq!(turns(&ready, &starting), ["W NotReady: Starting: m"]);
    assert_eq!(turns(&ready, &edited(starting.clone())), [""; 0]);
    assert_eq!(turns(&starting, &ready), ["N Ready: m"]);
    let mut back = status("True Ready", &["a east 1 5.00"]);
    back.conditions[0].last_transition_time.0 = "2026-08-01T12:01:35Z".parse().unwrap();
    let news = turns(&status("Unknown TargetNotReady", &["a east 1 5.00"]), &back);
    assert_eq!(news, ["N Ready: m (was not ready for 95 s, last TargetNotReady)"]);
}

#[test]
fn suspension_its_end_deletion_and_waiting_for_a_turn_need_nobody() {
    let (ready, suspended) = (status("True Ready", &["a east 1 5.00"]), status("True Suspended", &["a east 1 5.00"]));
    assert_eq!(turns(&ready, &suspended), ["N Suspended: m"]);
    assert_eq!(turns(&suspended, &ready), ["N Resumed: m"]);
    let starting = edited(status("False Starting", &["a east 1 5.00"]));
    assert_eq!(turns(&suspended, &starting), ["N Resumed: m"]);

    let mut deleting = status("False Deleting: removing its endpoints", &[]);
    deleting.releasing =
        serde_json::from_value(json!([{"endpoint": "a", "target": "east", "since": T0, "hourlyCost": "5.00"}]))
            .unwrap();
    assert_eq!(turns(&ready, &deleting), ["N Deleting: removing its endpoints: a on east ($5.00/h)"]);

    let violated = status("False PolicyViolated", &["a east 1 5.00"]);
    assert_eq!(turns(&ready, &violated), ["W PolicyViolated: m"]);
    let plan =
        plan(Vec::new(), vec![Wait::ReplacementLimit { budget: ReplacementBudget::Fleet, under_way: 5, limit: 5 }]);
    assert_eq!(told(&ready, &violated, Some(&plan), &[]), ["N PolicyViolated: m"]);
}
