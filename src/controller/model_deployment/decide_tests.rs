//! Decisions about a deployment before or instead of a plan.

use serde_json::{Value, json};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::{DeploymentController, DeploymentDecision};
use crate::controller::test_context::{INSTALL_ID, context, show};
use roadstead_api::v1alpha1::{Dollars, InferenceEndpoint, ModelDeployment, names};
use roadstead_runtime::cache::Key;
use roadstead_runtime::queue::Outcome;
use roadstead_runtime::workers::Reconcile;

fn deployment(image: &str) -> ModelDeployment {
    serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": "llama", "namespace": "team", "uid": "u", "generation": 1, "resourceVersion": "1"},
        "spec": {
            "serving": {
                "engine": "custom", "image": image,
                "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}}],
            },
        },
    }))
    .unwrap()
}

fn endpoint(name: &str, image: &str, labels: &Value) -> InferenceEndpoint {
    serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
        "metadata": {"name": name, "namespace": "team", "uid": name, "generation": 1, "resourceVersion": "2",
                     "labels": labels},
        "spec": {
            "deploymentRef": {"name": "llama", "uid": "u"}, "target": "east", "cloud": "c", "region": "r", "offer": "o",
            "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
            "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement",
            "template": {"engine": "custom", "image": image, "port": 1, "model": {"name": "m"},
                         "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
        },
    }))
    .unwrap()
}

fn decide(deployment: ModelDeployment, endpoints: impl IntoIterator<Item = InferenceEndpoint>) -> DeploymentDecision {
    let context = context();
    let key = Key::of(&deployment);
    show(&context, deployment, endpoints);
    DeploymentController::new(context).decide(&key)
}

#[tokio::test]
async fn an_image_without_a_tag_stops_nothing_where_it_runs_already() {
    let runs = decide(deployment("a"), [endpoint("llama-a", "a", &json!({}))]);
    assert!(matches!(runs, DeploymentDecision::Planned(_)), "a move or a drain under way goes on");
    for endpoints in [Vec::new(), vec![endpoint("llama-a", "b:1", &json!({}))]] {
        let DeploymentDecision::Invalid(_, problems) = decide(deployment("a"), endpoints) else {
            panic!("it was planned")
        };
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].field, "spec.serving.image");
    }
    let mut also = deployment("a");
    also.spec.placement.cost.max_hourly_cost = Some(Dollars::read("9999999".to_owned()));
    let DeploymentDecision::Invalid(_, problems) = decide(also, [endpoint("llama-a", "a", &json!({}))]) else {
        panic!("it was planned")
    };
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[tokio::test]
async fn a_deployment_with_endpoints_of_another_installation_is_neither_planned_nor_told_about() {
    let made_by = |id: &str| json!({names::LABEL_INSTALL_ID: id});
    let ours = endpoint("llama-a", "a:1", &made_by(INSTALL_ID));
    assert!(matches!(decide(deployment("a:1"), [ours.clone()]), DeploymentDecision::Planned(_)));
    let theirs = endpoint("llama-b", "a:1", &made_by("staging"));
    assert!(matches!(decide(deployment("a:1"), [ours, theirs]), DeploymentDecision::Foreign));
    // Whatever is asked or written fails.
    let context = context();
    let key = Key::of(&deployment("a:1"));
    show(&context, deployment("a:1"), []);
    let acted = DeploymentController::new(context).act(&key, DeploymentDecision::Foreign).await;
    assert_eq!(acted.unwrap(), Outcome::Done);
}

#[tokio::test]
async fn a_deletion_leaves_the_endpoints_of_another_installation() {
    for (maker, asks) in [(INSTALL_ID, true), ("staging", false)] {
        let context = context();
        let mut going = deployment("a:1");
        going.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        let key = Key::of(&going);
        show(&context, going, [endpoint("llama-a", "a:1", &json!({names::LABEL_INSTALL_ID: maker}))]);
        let controller = DeploymentController::new(context);
        let decision = controller.decide(&key);
        assert!(matches!(decision, DeploymentDecision::Retire(_)));
        assert_eq!(controller.act(&key, decision).await.is_err(), asks, "{maker}");
    }
}
