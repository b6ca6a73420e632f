//! Statuses: what they are before the first look, who may write which part, and that none of ours is refused.

use serde_json::{Value, json};

use crate::server::{apply, kubectl, text};

const DEPLOYMENT: &str = include_str!("cases/model_deployment.base.yaml");
const TARGET: &str = include_str!("cases/serving_target.base.yaml");
const ENDPOINT: &str = include_str!("cases/inference_endpoint.base.yaml");

fn get(namespace: &str, object: &str) -> Value {
    serde_json::from_str(&text(kubectl(namespace).args(["get", object, "-o", "json"]))).unwrap()
}

#[test]
fn defaults_are_filled_in_and_a_new_object_counts_as_not_observed() {
    let namespace = "defaults";
    apply(namespace, DEPLOYMENT);
    apply(namespace, TARGET);
    apply(namespace, ENDPOINT);
    let deployment = get(namespace, "mdep/llama");
    assert_eq!(deployment["status"]["observedGeneration"], -1);
    assert_eq!(deployment["spec"]["suspend"], false);
    assert_eq!(deployment["spec"]["priority"], 0);
    assert_eq!(deployment["spec"]["serving"]["port"], 8000);
    assert_eq!(deployment["spec"]["serving"]["startupTimeoutSeconds"], 1200);
    assert_eq!(deployment["spec"]["serving"]["drainTimeoutSeconds"], 120);
    assert_eq!(
        deployment["spec"]["placement"],
        json!({"capacityTypes": ["Reserved", "OnDemand"], "cost": {"objective": "HourlyCost"}})
    );
    let target = get(namespace, "stgt/gke-eu");
    assert_eq!(target["status"]["observedGeneration"], -1);
    assert_eq!(target["spec"]["kubernetes"]["namespace"], "roadstead");
    assert_eq!(target["spec"]["kubernetes"]["expose"]["public"], false);
    assert_eq!(target["spec"]["offers"][0]["billing"], "PerAccelerator");
    let endpoint = get(namespace, "iep/llama-aaaaaaaaaaaa");
    assert_eq!(endpoint["status"]["observedGeneration"], -1);
    assert_eq!(endpoint["spec"]["state"], "Active");
}

#[test]
fn two_managers_can_each_own_a_condition() {
    let namespace = "conditions";
    apply(namespace, DEPLOYMENT);
    for (manager, type_) in [("roadstead", "Ready"), ("somebody", "Audited")] {
        let file = tempfile::NamedTempFile::new().unwrap();
        let status = json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "llama"},
            "status": {"conditions": [{"type": type_, "status": "True", "reason": "Because", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]},
        });
        std::fs::write(file.path(), status.to_string()).unwrap();
        let manager = format!("--field-manager={manager}");
        text(
            kubectl(namespace)
                .args(["apply", "--server-side", "--subresource=status", &manager, "-f"])
                .arg(file.path()),
        );
    }
    let conditions = get(namespace, "mdep/llama")["status"]["conditions"].clone();
    assert_eq!(conditions.as_array().map(Vec::len), Some(2), "{conditions}");
}

#[test]
fn a_spec_is_not_written_through_the_status_nor_the_other_way_round() {
    let namespace = "subresources";
    apply(namespace, DEPLOYMENT);
    let patch = r#"{"spec": {"replicas": 7}, "status": {"observedGeneration": 9}}"#;
    text(kubectl(namespace).args(["patch", "mdep", "llama", "--type=merge", "-p", patch]));
    let object = get(namespace, "mdep/llama");
    assert_eq!((&object["spec"]["replicas"], &object["status"]["observedGeneration"]), (&json!(7), &json!(-1)));
    let patch = r#"{"spec": {"replicas": 8}, "status": {"observedGeneration": 9}}"#;
    text(kubectl(namespace).args(["patch", "mdep", "llama", "--subresource=status", "--type=merge", "-p", patch]));
    let object = get(namespace, "mdep/llama");
    assert_eq!((&object["spec"]["replicas"], &object["status"]["observedGeneration"]), (&json!(7), &json!(9)));
}
