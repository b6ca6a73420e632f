//! Messages about pods, from the states in which clusters show them.

use super::*;
use serde_json::{Value, json};

fn pod(status: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"}, "status": status,
    }))
    .unwrap()
}

fn container(state: &Value, last: &Value) -> Value {
    json!({"containerStatuses": [{
        "name": "engine", "image": "vllm:1", "imageID": "", "ready": false, "restartCount": 4,
        "state": state, "lastState": last,
    }]})
}

fn told(status: &Value) -> (&'static str, String) {
    let trouble = trouble([&pod(status)]).unwrap();
    (trouble.reason, trouble.message)
}

#[test]
fn each_kind_of_trouble_has_its_reason_and_number() {
    let (reason, message) = told(&json!({"conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes\nare available"},
    ]}));
    assert_eq!(
        (reason, message.as_str()),
        (super::UNSCHEDULABLE, "pod p cannot be scheduled: 0/3 nodes are available")
    );
    let waiting = |reason: &str| json!({"waiting": {"reason": reason, "message": "no such host"}});
    assert_eq!(told(&container(&waiting("ImagePullBackOff"), &json!({}))).0, "ImagePullFailed");
    assert_eq!(told(&container(&waiting("CreateContainerConfigError"), &json!({}))).0, "ContainerConfigError");
    let killed = json!({"terminated": {"reason": "OOMKilled", "exitCode": 137}});
    assert_eq!(told(&container(&waiting("CrashLoopBackOff"), &killed)).0, "OutOfMemory");
    let ended = json!({"terminated": {"reason": "Error", "exitCode": 3}});
    let (reason, message) = told(&container(&waiting("CrashLoopBackOff"), &ended));
    assert_eq!((reason, message.as_str()), ("CrashLoop", "pod p: the engine ended with exit code 3, 4 restarts"));
    // Without a restart, and while it runs again.
    assert_eq!(told(&container(&killed, &json!({}))).0, "OutOfMemory");
    assert_eq!(told(&container(&json!({"running": {}}), &ended)).0, "CrashLoop");
}

#[test]
fn a_pod_that_starts_has_no_trouble() {
    assert_eq!(trouble([&pod(&json!({}))]), None);
    assert_eq!(trouble([&pod(&container(&json!({"waiting": {"reason": "ContainerCreating"}}), &json!({})))]), None);
    assert_eq!(trouble([&pod(&container(&json!({"running": {}}), &json!({})))]), None);
}

#[test]
fn a_member_that_makes_no_pods_is_quoted_and_an_exceeded_quota_is_told_apart() {
    let told = |message: &str| {
        let deployment: Deployment = serde_json::from_value(json!({"metadata": {}, "status": {"conditions": [
            {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message},
        ]}}))
        .unwrap();
        let trouble = refused(&deployment).unwrap();
        assert!(trouble.message.contains(message), "{}", trouble.message);
        (trouble.class, trouble.reason)
    };
    let quota = "pods \"llama-x\" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=8";
    assert_eq!(told(quota), (ErrorClass::QuotaExceeded, "QuotaExceeded"));
    assert_eq!(told("violates PodSecurity \"restricted\""), (ErrorClass::Refused, "PodsRefused"));
    assert_eq!(told("failed calling webhook \"v\""), (ErrorClass::Transient, "PodsRefused"));
    assert_eq!(refused(&Deployment::default()), None);
}

#[test]
fn what_cannot_pass_by_itself_is_told_first() {
    let unschedulable = pod(&json!({"conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},
    ]}));
    let no_image = pod(&container(&json!({"waiting": {"reason": "ErrImagePull"}}), &json!({})));
    assert_eq!(trouble([&unschedulable, &no_image]).unwrap().reason, "ImagePullFailed");
}

/// One container of a pod: its name, whether it is ready, what it does, and how it ended before.
fn part(name: &str, ready: bool, state: &Value, last: &Value) -> Value {
    json!({
        "name": name, "image": format!("{name}:1"), "imageID": "", "ready": ready, "restartCount": 4,
        "state": state, "lastState": last,
    })
}

fn looping() -> Value {
    json!({"waiting": {"reason": "CrashLoopBackOff"}})
}

fn ended(code: i32) -> Value {
    json!({"terminated": {"reason": "Error", "exitCode": code}})
}

fn running() -> Value {
    json!({"running": {}})
}

#[test]
fn the_engine_is_asked_first_wherever_it_is_listed() {
    let sidecar = part("a-mesh", false, &looping(), &ended(9));
    let engine = part("engine", false, &looping(), &ended(3));
    for order in [json!([sidecar, engine]), json!([engine, sidecar])] {
        let (reason, message) = told(&json!({"containerStatuses": order}));
        assert_eq!((reason, message.as_str()), ("CrashLoop", "pod p: the engine ended with exit code 3, 4 restarts"));
    }
    // A sidecar that only is not ready hides nothing.
    let waits = part("a-mesh", false, &running(), &json!({}));
    assert_eq!(told(&json!({"containerStatuses": [waits, engine]})).0, "CrashLoop");
}

#[test]
fn a_container_that_was_injected_is_named_and_not_taken_for_the_engine() {
    let engine = part("engine", false, &json!({"waiting": {"reason": "PodInitializing"}}), &json!({}));
    let of_init = |init: Value| json!({"initContainerStatuses": [init], "containerStatuses": [engine]});
    let (reason, message) = told(&of_init(part("vault-agent-init", false, &looping(), &ended(2))));
    assert_eq!(reason, "InjectedContainerFailed");
    for words in ["container vault-agent-init", "injected on the member", "exit code 2, 4 restarts", "fix the injector"]
    {
        assert!(message.contains(words), "{message}");
    }
    let no_image = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such host"}});
    let (reason, message) = told(&of_init(part("vault-agent-init", false, &no_image, &json!({}))));
    assert!(
        reason == "InjectedContainerFailed" && message.contains("image vault-agent-init:1 of container"),
        "{message}"
    );
    assert_eq!(told(&of_init(part("once", false, &ended(1), &json!({})))).0, "InjectedContainerFailed");

    let beside =
        |mesh: Value, ready: bool| json!({"containerStatuses": [mesh, part("engine", ready, &running(), &json!({}))]});
    let (reason, message) = told(&beside(part("a-mesh", false, &looping(), &ended(9)), true));
    assert!(reason == "InjectedContainerFailed" && message.contains("container a-mesh"), "{message}");
    let (reason, message) = told(&beside(part("a-mesh", false, &running(), &json!({})), true));
    assert!(reason == "InjectedContainerNotReady" && message.contains("the engine is ready, but"), "{message}");
    assert_eq!(trouble([&pod(&beside(part("a-mesh", false, &running(), &json!({})), false))]), None, "both start");
}

#[test]
fn what_a_pod_waits_for_beside_its_engine_is_said() {
    let engine = part("engine", false, &json!({"waiting": {"reason": "PodInitializing"}}), &json!({}));
    let done = part("first", true, &json!({"terminated": {"exitCode": 0}}), &json!({}));
    let second = part("vault-agent-init", false, &running(), &json!({}));
    let starting = pod(&json!({"initContainerStatuses": [done, second], "containerStatuses": [engine]}));
    assert_eq!(trouble([&starting]), None);
    assert!(waits_for([&starting]).unwrap().contains("waits for its init container vault-agent-init"));
    let gated = pod(&json!({"conditions": [
        {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": "target-health.elbv2/x"},
    ]}));
    assert!(waits_for([&gated]).unwrap().contains("target-health.elbv2/x"));
    assert_eq!(waits_for([&pod(&json!({}))]), None);
}

#[test]
fn only_pods_of_the_newest_template_are_asked() {
    let deployment = |labels: Value| -> Deployment {
        serde_json::from_value(json!({"metadata": {}, "spec": {
            "selector": {}, "template": {"metadata": {"labels": labels}},
        }}))
        .unwrap()
    };
    let of = |labels: Value| -> Pod { serde_json::from_value(json!({"metadata": {"labels": labels}})).unwrap() };
    let newest = deployment(json!({names::LABEL_TEMPLATE: "new"}));
    assert!(is_current(&of(json!({names::LABEL_TEMPLATE: "new"})), &newest));
    assert!(!is_current(&of(json!({names::LABEL_TEMPLATE: "old"})), &newest));
    assert!(!is_current(&of(json!({})), &newest), "rendered before there was such a label");
    assert!(is_current(&of(json!({})), &deployment(json!({}))), "nothing was rendered since");
}

/// A pod that failed a few seconds after minute `minute`.
fn failed(name: &str, minute: i32, status: &Value) -> Pod {
    let mut status = status.clone();
    status["phase"] = json!("Failed");
    let created = format!("2026-01-01T00:{minute:02}:00Z");
    serde_json::from_value(json!({
        "metadata": {"name": name, "creationTimestamp": created}, "spec": {"nodeName": "n1", "containers": []},
        "status": status,
    }))
    .unwrap()
}

#[test]
fn every_reason_for_which_pods_fail_has_its_own_and_its_cure() {
    let disrupted = |reason: &str| {
        json!({"conditions": [
            {"type": "DisruptionTarget", "status": "True", "reason": reason, "lastTransitionTime": "2026-01-01T00:00:09Z"},
        ]})
    };
    let evicted = |said: &str| json!({"reason": "Evicted", "message": said});
    let refused = |reason: &str| json!({"reason": reason, "message": "said so"});
    let of_engine = |reason: &str| {
        json!({"containerStatuses": [part(
            "engine", false, &json!({"terminated": {"reason": reason, "exitCode": 137}}), &json!({}),
        )]})
    };
    let of_sidecar = json!({"containerStatuses": [part("a-mesh", false, &ended(9), &json!({}))]});
    for (status, reason, words) in [
        (
            evicted("The node was low on resource: ephemeral-storage."),
            "Evicted",
            "requests.ephemeral-storage to the size",
        ),
        (evicted("Usage of EmptyDir volume \"cache\" exceeds the limit \"1Gi\"."), "Evicted", "more ephemeral storage"),
        (evicted("The node was low on resource: memory."), "Evicted", "requests.memory"),
        (evicted("The node was low on resource: pids."), "Evicted", "process ids"),
        (evicted("The node had condition: [DiskPressure]."), "Evicted", "ephemeral-storage"),
        (evicted("something new"), "Evicted", "something new"),
        (refused("Terminated"), "NodeShutdown", "node n1"),
        (refused("NodeShutdown"), "NodeShutdown", "node n1"),
        (refused("NodeLost"), "NodeLost", "node n1"),
        (disrupted("DeletionByPodGC"), "NodeLost", "node n1"),
        (refused("Preempting"), "Preempted", "higher priority"),
        (disrupted("PreemptionByScheduler"), "Preempted", "higher priority"),
        (refused("DeadlineExceeded"), "DeadlineExceeded", "activeDeadlineSeconds"),
        (refused("UnexpectedAdmissionError"), "NodeRefusedPod", "UnexpectedAdmissionError"),
        (refused("OutOfcpu"), "NodeRefusedPod", "OutOfcpu"),
        (refused("OutOfnvidia.com/gpu"), "NodeRefusedPod", "OutOfnvidia.com/gpu"),
        (refused("NodeAffinity"), "NodeRefusedPod", "NodeAffinity"),
        (refused("TopologyAffinityError"), "NodeRefusedPod", "device plugin"),
        (json!({}), "NodeRefusedPod", "without a reason"),
        (of_engine("OOMKilled"), "OutOfMemory", "request more memory"),
        (of_engine("Error"), "CrashLoop", "exit code 137"),
        (of_sidecar, "InjectedContainerFailed", "container a-mesh"),
    ] {
        let trouble = trouble([&failed("p", 0, &status)]).unwrap_or_else(|| panic!("nothing of {status}"));
        assert_eq!(trouble.reason, reason, "{status}");
        assert!(trouble.message.starts_with("1 pod failed within 10 minutes: "), "{}", trouble.message);
        assert!(trouble.message.contains(words), "{words:?} is not in {}", trouble.message);
    }
}

#[test]
fn pods_that_failed_lately_are_counted_and_older_ones_forgotten() {
    let evicted = json!({"reason": "Evicted", "message": "The node was low on resource: memory."});
    let of = |minutes: &[i32]| -> Vec<Pod> {
        minutes.iter().enumerate().map(|(number, minute)| failed(&format!("p{number}"), *minute, &evicted)).collect()
    };
    let living = |minute: i32| Pod { status: None, ..failed("q", minute, &json!({})) };
    let told = |pods: Vec<Pod>| trouble(&pods).map(|trouble| trouble.message).unwrap_or_default();
    let with = |mut pods: Vec<Pod>, minute| {
        pods.push(living(minute));
        pods
    };
    assert!(told(with(of(&[1, 20, 25]), 26)).starts_with("2 pods failed within 10 minutes"));
    assert_eq!(told(with(of(&[1, 2]), 40)), "", "its replacement has nothing to do with them");
    assert!(told(of(&[20; 30])).starts_with("more than 20 pods failed"));
}

#[test]
fn what_is_wrong_with_the_living_comes_before_what_ended_others() {
    let evicted = failed("p", 0, &json!({"reason": "Evicted", "message": "The node was low on resource: memory."}));
    let no_image = pod(&container(&json!({"waiting": {"reason": "ErrImagePull"}}), &json!({})));
    assert_eq!(trouble([&evicted, &no_image]).unwrap().reason, "ImagePullFailed");
    let unschedulable = pod(&json!({"conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"},
    ]}));
    let both = trouble([&evicted, &unschedulable]).unwrap();
    assert_eq!(both.reason, super::UNSCHEDULABLE, "the planner counts on it");
    assert!(both.message.contains("0/1 nodes") && both.message.contains("ran out of memory"), "{}", both.message);
}
