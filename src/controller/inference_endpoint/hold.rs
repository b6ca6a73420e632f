//! Finalizers: an endpoint's own, and that of its deployment, on before anything is spent.

use std::sync::Arc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::first_creation::FirstCreation;
use super::intent;
use super::memory::Memory;
use crate::controller::context::Context;
use crate::controller::error::ActError;
use crate::controller::hub;
use crate::controller::newcomers::LULL;
use crate::controller::routing::is_unheld;
use roadstead_api::v1alpha1::{InferenceEndpoint, names};
use roadstead_runtime::queue::Outcome;

/// Age at which a first endpoint is started, however many newcomers there are. Shorter would let starts compete with planning
/// and prolong the burst.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);
/// The same of a replacement, for which callers may wait.
const PATIENCE_FOR_CALLERS: SignedDuration = SignedDuration::from_secs(10);

/// Adds our finalizer to an endpoint that has lost it: without it the record would be deleted before the endpoint's
/// objects.
///
/// # Errors
/// [`ActError`] of the write.
pub async fn endpoint(context: &Context, endpoint: Arc<InferenceEndpoint>) -> Result<Arc<InferenceEndpoint>, ActError> {
    match context.hub.set_finalizer(endpoint.as_ref(), names::FINALIZER_ENDPOINT, true).await? {
        Some(written) => Ok(context.took(written)),
        None => Ok(endpoint),
    }
}

/// Puts our finalizer on the deployment of an endpoint, for nothing is made for a deployment that could go first; `None`
/// once it is there, or when to look again.
///
/// It is added once the deployment's status contains the placement, which wakes the endpoint. In a burst, all
/// deployments are placed or replaced before the first of them is started, within limits. A deleted deployment gets no
/// finalizer.
///
/// # Errors
/// [`ActError`] of the write.
pub async fn deployment(
    context: &Context,
    memory: &Memory,
    endpoint: &InferenceEndpoint,
) -> Result<Option<Outcome>, ActError> {
    let Some(deployment) = context.deployment_of(endpoint) else { return Ok(None) };
    if deployment.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    let held = hub::has_finalizer(deployment.as_ref(), names::FINALIZER_DEPLOYMENT);
    if !held && !is_unheld(&deployment) {
        return Ok(Some(Outcome::Done));
    }
    let begins = !held || endpoint.spec.replaces.is_some();
    if begins && gives_way(context, endpoint) {
        return Ok(Some(Outcome::Again(LULL)));
    }
    if held {
        return Ok(None);
    }
    let held = context.hub.set_finalizer(deployment.as_ref(), names::FINALIZER_DEPLOYMENT, true).await?;
    let Some(written) = held else { return Ok(Some(Outcome::Done)) };
    memory.first_creation(endpoint, FirstCreation::announce);
    context.took(written);
    Ok(None)
}

/// True while an endpoint that no provider was asked for gives way to a burst of decisions.
fn gives_way(context: &Context, endpoint: &InferenceEndpoint) -> bool {
    if intent::is_told(endpoint) {
        return false;
    }
    let patience = if endpoint.spec.replaces.is_some() { PATIENCE_FOR_CALLERS } else { PATIENCE };
    context.newcomers.were_a_crowd(LULL, context.clock.now()) && age_of(endpoint, context.clock.wall()) < patience
}

fn age_of(endpoint: &InferenceEndpoint, now: Timestamp) -> SignedDuration {
    let created = endpoint.metadata.creation_timestamp.as_ref();
    created.map_or(SignedDuration::MAX, |created| now.duration_since(created.0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::controller::routing::Concerned;
    use crate::controller::test_context::{context, show};
    use roadstead_api::v1alpha1::ModelDeployment;
    use roadstead_runtime::cache::Key;

    fn deployment(name: &str, status: &Value) -> ModelDeployment {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": {"name": name, "namespace": "team", "uid": name, "generation": 1, "resourceVersion": "1"},
            "spec": {"serving": {"engine": "custom", "image": "i:1",
                                 "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}}]}},
            "status": status,
        }))
        .unwrap()
    }

    /// A deployment that was just placed, and its endpoint.
    fn placed(created: Timestamp) -> (ModelDeployment, InferenceEndpoint) {
        let placement = json!({
            "target": "east", "cloud": "aws", "region": "us-east-1", "shape": "s", "offer": "o",
            "capacityType": "OnDemand", "replicas": 1, "readyReplicas": 0, "endpoint": "new-x",
        });
        let endpoint = json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
            "metadata": {"name": "new-x", "namespace": "team", "uid": "x", "generation": 1, "resourceVersion": "2",
                         "creationTimestamp": created.to_string()},
            "spec": {
                "deploymentRef": {"name": "new", "uid": "new"}, "target": "east", "cloud": "c", "region": "r",
                "offer": "o", "shape": "s", "capacityType": "OnDemand", "slot": 0, "replicas": 1,
                "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
                "reason": "InitialPlacement",
                "template": {"engine": "custom", "image": "i:1", "port": 1, "model": {"name": "m"},
                             "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
            },
        });
        let deployment = deployment("new", &json!({"observedGeneration": 1, "placements": [placement]}));
        (deployment, serde_json::from_value(endpoint).unwrap())
    }

    /// True if a replacement of this age is held back while the endpoints of so many deployments have just failed for too long.
    async fn is_replacement_held_back(failed: usize, age: i64, status: &Value) -> bool {
        let context = context();
        let (mut new, mut endpoint) = placed(context.clock.wall() - SignedDuration::from_secs(age));
        new.metadata.finalizers = Some(vec![names::FINALIZER_DEPLOYMENT.to_owned()]);
        endpoint.spec.replaces = Some("new-y".to_owned());
        endpoint.status = serde_json::from_value(status.clone()).unwrap();
        show(&context, new, [endpoint.clone()]);
        for number in 0..failed {
            context.newcomers.came(Key::new("team", format!("d{number}")), context.clock.now());
        }
        super::deployment(&context, &Memory::default(), &endpoint)
            .await
            .is_ok_and(|outcome| outcome == Some(Outcome::Again(LULL)))
    }

    #[tokio::test]
    async fn the_start_of_a_replacement_waits_for_the_records_of_others_and_not_for_long() {
        let (untold, asked) = (json!({}), json!({"createIntent": {"attempt": 1, "time": "1970-01-01T00:00:10Z"}}));
        assert!(is_replacement_held_back(16, 1, &untold).await);
        assert!(!is_replacement_held_back(15, 1, &untold).await, "they are a few");
        assert!(!is_replacement_held_back(16, 11, &untold).await, "callers wait");
        assert!(!is_replacement_held_back(16, 1, &asked).await, "it has begun");
    }

    /// True if the placed one is held back among so many others with this status, all of which are being planned.
    async fn is_held_back(others: usize, status: &Value) -> bool {
        let context = context();
        let (new, endpoint) = placed(context.clock.wall());
        show(&context, new, [endpoint.clone()]);
        for number in 0..others {
            show(&context, deployment(&format!("d{number}"), status), []);
        }
        context.wake([Concerned::AllDeployments]);
        context.queues.deployments.pop().await;
        // Where it is not held back, the hub is asked, which answers with an error.
        super::deployment(&context, &Memory::default(), &endpoint)
            .await
            .is_ok_and(|outcome| outcome == Some(Outcome::Again(LULL)))
    }

    #[tokio::test]
    async fn a_start_waits_for_a_crowd_of_newcomers_and_not_for_those_that_are_planned_again() {
        assert!(is_held_back(16, &json!({"observedGeneration": -1})).await, "they are new");
        assert!(!is_held_back(15, &json!({"observedGeneration": -1})).await, "they are a few");
        assert!(!is_held_back(100, &json!({"observedGeneration": 1})).await, "they wait for capacity");
    }
}
