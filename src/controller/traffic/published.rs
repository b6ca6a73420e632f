//! The mark by which gateways know that the routes of all deployments have been published once.
//!
//! Before that, a hub that was rebuilt shows fewer routes than it will: gateways keep those that they served before.

use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use roadstead_gateway::{Route, State};

use super::stored::read;
use crate::controller::context::Context;
use crate::controller::error::ActError;
use roadstead_api::v1alpha1::{ModelDeployment, conditions, names, reasons};
use roadstead_runtime::cache::{Key, Part};

/// Writes the mark once.
#[derive(Default)]
pub struct PublishedMark {
    is_written: AtomicBool,
}

impl PublishedMark {
    /// Writes the mark if it is due and missing.
    ///
    /// # Errors
    /// [`ActError`] of the write.
    pub async fn keep(&self, context: &Context) -> Result<(), ActError> {
        if self.is_written.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some(gateway) = &context.settings.gateway else { return Ok(()) };
        let key = Key::new(&gateway.namespace, names::ROUTES_PUBLISHED);
        let is_known = context.caches.routes.get(&key).is_some();
        if !is_known {
            if !is_due(context) {
                return Ok(());
            }
            match context.hub.create_secret(&mark(context, &gateway.namespace)).await {
                Ok(_) => {}
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
        self.is_written.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// True if this process knows all deployments and routes, there is a deployment, and each has the traffic that it can have.
fn is_due(context: &Context) -> bool {
    let caches = &context.caches;
    let is_listed = caches.deployments.unlisted().is_empty() && !caches.routes.unlisted().contains(&Part::Everything);
    let all = caches.deployments.list();
    let settled = |deployment: &ModelDeployment| {
        is_settled(deployment, context.route_of(deployment).and_then(|secret| read(&secret)).as_ref())
    };
    is_listed && !all.is_empty() && all.iter().all(|deployment| settled(deployment))
}

/// True if the route of a deployment says what it will say: an endpoint takes requests, or none is to.
fn is_settled(deployment: &ModelDeployment, route: Option<&Route>) -> bool {
    let serves = route.is_some_and(|route| route.endpoints.iter().any(|endpoint| endpoint.state == State::Active));
    let is_off = deployment.spec.replicas == 0 || deployment.metadata.deletion_timestamp.is_some();
    serves || is_off || has_no_place(deployment)
}

/// True if it is decided that the deployment has no place, which is not so while inventories are missing.
fn has_no_place(deployment: &ModelDeployment) -> bool {
    let Some(status) = deployment.status.as_ref().filter(|status| status.placements.is_empty()) else { return false };
    conditions::find(&status.conditions, conditions::PLACED)
        .is_some_and(|placed| placed.status == conditions::FALSE && placed.reason != reasons::AWAITING_INVENTORY)
}

fn mark(context: &Context, namespace: &str) -> Secret {
    let labels = [
        (names::LABEL_ROUTE, names::ROUTES_PUBLISHED),
        (names::LABEL_INSTALL_ID, context.settings.install_id.as_str()),
        (names::LABEL_MANAGED_BY, names::MANAGED_BY),
    ];
    Secret {
        metadata: ObjectMeta {
            name: Some(names::ROUTES_PUBLISHED.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            ..ObjectMeta::default()
        },
        type_: Some("roadstead.dev/routes-published".to_owned()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn deployment(replicas: i32, status: &Value) -> ModelDeployment {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "llama", "namespace": "team"},
            "spec": {"replicas": replicas, "serving": {"engine": "custom", "image": "i:1",
                     "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}}]}},
            "status": status,
        }))
        .unwrap()
    }

    fn route(state: &str) -> Route {
        serde_json::from_value(json!({
            "namespace": "team", "name": "llama", "uid": "d", "revision": 1, "model": "m", "callers": [],
            "limits": {"firstByteSeconds": 1, "idleSeconds": 1, "maxRequestBytes": 1},
            "endpoints": [{"name": "a", "scheme": "http", "host": "192.0.2.1", "port": 1, "weight": 1, "state": state}],
        }))
        .unwrap()
    }

    #[test]
    fn a_deployment_is_published_when_an_endpoint_takes_requests_or_none_is_to() {
        let placed = |reason: &str| {
            json!({"conditions": [{"type": "Placed", "status": "False", "reason": reason, "message": "",
                                   "lastTransitionTime": "2026-03-05T12:00:00Z"}]})
        };
        let new = json!({});
        for (what, deployment, route, settled) in [
            ("it serves", deployment(1, &new), Some(route("Active")), true),
            ("its endpoint is being verified", deployment(1, &new), Some(route("Verifying")), false),
            ("it has no route", deployment(1, &new), None, false),
            ("it is scaled to zero", deployment(0, &new), None, true),
            ("it has no place", deployment(1, &placed("NoFeasiblePlacement")), None, true),
            ("inventories are missing", deployment(1, &placed("AwaitingInventory")), None, false),
        ] {
            assert_eq!(is_settled(&deployment, route.as_ref()), settled, "{what}");
        }
    }
}
