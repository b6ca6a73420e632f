//! Endpoints of another installation are left alone.

use serde_json::json;

use super::EndpointController;
use crate::controller::error::ActError;
use crate::controller::test_context::{INSTALL_ID, context, show};
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, names};
use roadstead_runtime::cache::Key;
use roadstead_runtime::queue::Outcome;
use roadstead_runtime::workers::Reconcile;

fn deployment() -> ModelDeployment {
    serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": "llama", "namespace": "team", "uid": "u", "generation": 1, "resourceVersion": "1"},
        "spec": {
            "serving": {
                "engine": "custom", "image": "a:1",
                "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}}],
            },
        },
    }))
    .unwrap()
}

/// An endpoint that waits for its finalizer, or for its removal.
fn endpoint(maker: &str, is_going: bool) -> InferenceEndpoint {
    let deleted = is_going.then_some("2026-01-01T00:00:00Z");
    serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
        "metadata": {"name": "llama-a", "namespace": "team", "uid": "e", "generation": 1, "resourceVersion": "2",
                     "labels": {names::LABEL_INSTALL_ID: maker}, "deletionTimestamp": deleted,
                     "finalizers": if is_going { json!([names::FINALIZER_ENDPOINT]) } else { json!([]) }},
        "spec": {
            "deploymentRef": {"name": "llama", "uid": "u"}, "target": "east", "cloud": "c", "region": "r", "offer": "o",
            "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
            "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement",
            "template": {"engine": "custom", "image": "a:1", "port": 1, "model": {"name": "m"},
                         "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
        },
    }))
    .unwrap()
}

/// One look at an endpoint; whatever is written or asked fails.
async fn act(endpoint: InferenceEndpoint) -> Result<Outcome, ActError> {
    let context = context();
    let key = Key::of(&endpoint);
    show(&context, deployment(), [endpoint]);
    let controller = EndpointController::new(context);
    let decision = controller.decide(&key);
    controller.act(&key, decision).await
}

#[tokio::test]
async fn nothing_is_asked_or_written_about_an_endpoint_of_another_installation() {
    for is_going in [false, true] {
        assert!(act(endpoint(INSTALL_ID, is_going)).await.is_err(), "our own is looked at");
        assert_eq!(act(endpoint("staging", is_going)).await.unwrap(), Outcome::Done);
    }
}
