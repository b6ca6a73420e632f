//! Targets: connected, identified, claimed, watched over; in use they cannot vanish.
//!
//! `connect` turns credentials into a driver, `check` asks the place who it is, `status` says what came out, and
//! `retire` holds a deleted target until its last endpoint is gone.

mod attention;
mod check;
pub mod connect;
pub mod news;
mod retire;
mod status;

pub use connect::recorded_probe;

use std::sync::Arc;
use std::time::Duration;

use super::connections::{ConnectionState, TargetConnection};
use super::context::Context;
use super::error::ActError;
use super::orphans;
use super::trouble;
use roadstead_api::v1alpha1::ServingTarget;
use roadstead_provider::CHECK_INTERVAL;
use roadstead_runtime::cache::Key;
use roadstead_runtime::queue::Outcome;
use roadstead_runtime::workers::Reconcile;

/// The controller of `ServingTarget`s.
pub struct TargetController {
    context: Arc<Context>,
    capacity: status::CapacityWrites,
}

impl TargetController {
    /// The controller over `context`.
    #[must_use]
    pub fn new(context: Arc<Context>) -> Self {
        Self { context, capacity: status::CapacityWrites::default() }
    }
}

impl Reconcile<Key> for TargetController {
    const NAME: &'static str = "servingtarget";
    type Decision = Option<Arc<ServingTarget>>;
    type Error = ActError;

    fn is_ordinary(error: &ActError) -> bool {
        error.is_ordinary()
    }

    fn decide(&self, key: &Key) -> Self::Decision {
        self.context.caches.targets.get(key)
    }

    async fn act(&self, key: &Key, target: Self::Decision) -> Result<Outcome, ActError> {
        let result = self.look(key, target).await;
        if let Err(error) = &result {
            trouble::failed::<ServingTarget>(&self.context, key, error).await;
        }
        result
    }

    async fn panicked(&self, key: &Key) {
        trouble::panicked_on_target(&self.context, key).await;
    }
}

impl TargetController {
    async fn look(&self, key: &Key, target: Option<Arc<ServingTarget>>) -> Result<Outcome, ActError> {
        let Some(target) = target else {
            self.context.connections.remove(&key.name);
            self.context.metrics.target_gone(&key.name);
            self.context.orphans.forget(&key.name);
            self.capacity.forget(key);
            self.context.hub.forget::<ServingTarget>(key);
            return Ok(Outcome::Done);
        };
        if target.metadata.deletion_timestamp.is_some() && retire::retire(&self.context, &target).await? {
            return Ok(Outcome::Done);
        }
        let target = retire::protect(&self.context, target).await?;
        let connection = check::check(&self.context, &target).await;
        let before = self.context.connections.get(&key.name);
        let state_changed = before.is_none_or(|before| before.state != connection.state);
        let interval = interval(&connection);
        self.context.connections.set(&key.name, connection);
        self.context.refresh_target(&key.name);
        orphans::look_at(&self.context, &target);
        let reported = status::report(&self.context, &self.capacity, &target).await;
        // Whatever became of the report: the next check finds no change any more.
        if state_changed {
            self.context.target_state_changed(&key.name);
        }
        reported?;
        Ok(Outcome::Again(interval))
    }
}

/// Interval until the next check of a target: its own while it is usable.
fn interval(connection: &TargetConnection) -> Duration {
    let usable = connection.provider.as_ref().filter(|_| connection.state == ConnectionState::Ready);
    usable.map_or(CHECK_INTERVAL, |provider| provider.check_interval())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::routing::Author;
    use crate::controller::test_context::{context, show};
    use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, names};

    fn target() -> ServingTarget {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget",
            "metadata": {"name": "east", "uid": "t", "resourceVersion": "1", "finalizers": [names::FINALIZER_TARGET]},
            "spec": {"cloud": "aws", "region": "us-east-1", "type": "Kubernetes", "offers": [],
                     "kubernetes": {"connection": {"kubeconfigSecretRef": {"name": "east", "key": "kubeconfig"}},
                                    "expose": {"type": "NodePort", "public": true}}},
        }))
        .unwrap()
    }

    fn deployment() -> ModelDeployment {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": {"name": "llama", "namespace": "team", "uid": "d", "resourceVersion": "1"},
            "spec": {"serving": {"engine": "custom", "image": "i:1", "shapes": []}},
        }))
        .unwrap()
    }

    fn endpoint() -> InferenceEndpoint {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
            "metadata": {"name": "llama-x", "namespace": "team", "uid": "x", "generation": 1, "resourceVersion": "1"},
            "spec": {
                "deploymentRef": {"name": "llama", "uid": "d"}, "target": "east", "cloud": "aws", "region": "us-east-1",
                "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
                "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement",
                "template": {"engine": "custom", "image": "i:1", "port": 1, "model": {"name": "m"},
                             "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
            },
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn the_first_check_wakes_the_endpoints_also_where_the_hub_refuses_the_status() {
        let context = context();
        context.caches.targets.apply(target());
        show(&context, deployment(), [endpoint()]);
        let (controller, key, waiting) = (TargetController::new(Arc::clone(&context)), Key::cluster("east"), {
            let endpoint = context.queues.endpoints.pop().await.unwrap();
            context.queues.endpoints.done(&endpoint, (), Outcome::Done);
            endpoint
        });
        assert!(context.queues.endpoints.ready().is_empty(), "it waits for the first check");
        let checked = controller.act(&key, controller.decide(&key)).await;
        assert!(checked.is_err(), "the hub takes no status: {checked:?}");
        assert_eq!(context.queues.endpoints.ready(), [waiting]);
    }

    #[tokio::test]
    async fn an_endpoint_that_is_shown_after_it_is_gone_does_not_hold_its_target() {
        let context = context();
        show(&context, deployment(), [endpoint()]);
        assert!(context.is_in_use("east"));
        let gone = context.caches.endpoints.delete(&endpoint().metadata).unwrap();
        context.endpoint_changed(&gone, Author::Anybody);
        // The watch of deployments had read it before.
        context.see_endpoint_of(&endpoint(), Some(&deployment()));
        assert!(!context.is_in_use("east"));
        assert!(context.queues.targets.depth() > 0, "the target is looked at again");
    }
}
