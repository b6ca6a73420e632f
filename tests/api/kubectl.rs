//! Typical uses of kubectl.

use crate::server::{apply, kubectl, text};

const DEPLOYMENT: &str = include_str!("cases/model_deployment.base.yaml");
const TARGET: &str = include_str!("cases/serving_target.base.yaml");
const ENDPOINT: &str = include_str!("cases/inference_endpoint.base.yaml");

/// The words of a table without its last column, the age.
fn table(output: &str) -> Vec<Vec<&str>> {
    output.lines().map(|line| line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect()
}

#[test]
fn a_deployment_is_shown_with_place_and_cost() {
    let namespace = "columns";
    apply(namespace, DEPLOYMENT);
    let fresh = text(kubectl(namespace).args(["get", "mdep"]));
    assert_eq!(table(&fresh)[0], ["NAME", "READY", "TARGET", "REGION", "REPLICAS", "COST/H", "AGE"]);
    assert_eq!(table(&fresh)[1][..2], ["llama", "2"], "{fresh}");
    let status = r#"{"status": {
        "observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "hourlyCost": "21.10",
        "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        "moves": [{"endpoint": "llama-aaaaaaaaaaaa", "replaces": "llama-bbbbbbbbbbbb", "kind": "Failover", "reason": "TargetLost",
            "step": "Drain", "startedAt": "2026-01-01T00:00:00Z", "message": ""}],
        "placements": [{"endpoint": "llama-aaaaaaaaaaaa", "target": "gke-eu", "cloud": "gcp", "region": "europe-west4",
            "shape": "h100x2", "offer": "a3", "capacityType": "OnDemand", "replicas": 2, "readyReplicas": 2}]}}"#;
    text(kubectl(namespace).args(["patch", "mdep", "llama", "--subresource=status", "--type=merge", "-p", status]));
    let wide = text(kubectl(namespace).args(["get", "mdep", "-o", "wide"]));
    let rows = table(&wide);
    assert_eq!(rows[0], ["NAME", "READY", "TARGET", "REGION", "REPLICAS", "COST/H", "REASON", "MOVE", "MODEL", "AGE"]);
    let expected = [
        "llama",
        "True",
        "gke-eu",
        "europe-west4",
        "2",
        "21.10",
        "Ready",
        "Drain",
        "hf://meta-llama/Llama-3.3-70B-Instruct",
    ];
    assert_eq!(rows[1][..9], expected, "{wide}");
    text(kubectl(namespace).args(["wait", "mdep/llama", "--for=condition=Ready", "--timeout=5s"]));
}

#[test]
fn targets_and_endpoints_are_shown() {
    let namespace = "columns-of-others";
    apply(namespace, TARGET);
    apply(namespace, ENDPOINT);
    let targets = text(kubectl(namespace).args(["get", "stgt", "-o", "wide"]));
    assert_eq!(table(&targets)[0], ["NAME", "READY", "CLOUD", "REGION", "TYPE", "REASON", "AGE"]);
    assert_eq!(table(&targets)[1][..4], ["gke-eu", "gcp", "europe-west4", "Kubernetes"], "{targets}");
    let endpoints = text(kubectl(namespace).args(["get", "iep", "-o", "wide"]));
    let columns = ["NAME", "READY", "STATE", "TARGET", "REGION", "REPLICAS", "COST/H", "REASON", "MODEL", "URL", "AGE"];
    assert_eq!(table(&endpoints)[0], columns);
    let expected = ["llama-aaaaaaaaaaaa", "Active", "gke-eu", "europe-west4", "2", "21.10", "llama"];
    assert_eq!(table(&endpoints)[1][..7], expected, "{endpoints}");
    let all = text(kubectl(namespace).args(["get", "inference", "-o", "name"]));
    assert!(all.contains("servingtarget.roadstead.dev/gke-eu") && all.contains("inferenceendpoint"), "{all}");
}

#[test]
fn a_deployment_is_scaled() {
    let namespace = "scale";
    apply(namespace, DEPLOYMENT);
    text(kubectl(namespace).args(["scale", "mdep/llama", "--replicas=5"]));
    let status =
        r#"{"status": {"observedGeneration": 2, "replicas": 3, "selector": "roadstead.dev/deployment-uid=u"}}"#;
    text(kubectl(namespace).args(["patch", "mdep", "llama", "--subresource=status", "--type=merge", "-p", status]));
    let scale = text(kubectl(namespace).args(["get", "mdep", "llama", "--subresource=scale", "-o", "json"]));
    let scale: serde_json::Value = serde_json::from_str(&scale).unwrap();
    assert_eq!(scale["spec"]["replicas"], 5);
    assert_eq!(scale["status"], serde_json::json!({"replicas": 3, "selector": "roadstead.dev/deployment-uid=u"}));
    let refused = kubectl(namespace).args(["scale", "mdep/llama", "--replicas=129"]).output().unwrap();
    assert!(!refused.status.success());
}

#[test]
fn applying_the_same_file_again_changes_nothing() {
    let namespace = "again";
    let observed = |jsonpath: &str| text(kubectl(namespace).args(["get", "mdep", "llama", "-o", jsonpath]));
    apply(namespace, DEPLOYMENT);
    let first = observed("jsonpath={.metadata.generation} {.metadata.resourceVersion}");
    for _ in 0..5 {
        apply(namespace, DEPLOYMENT);
    }
    assert_eq!(observed("jsonpath={.metadata.generation} {.metadata.resourceVersion}"), first);
}
