//! Reports on an object that the operator panicked on it: nothing that it said before is confirmed any more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::{Api, Resource, ResourceExt};

use super::connections::{Connection, ConnectionState};
use super::context::Context;
use super::error::ActError;
use super::hub;
use super::news::{News, tell};
use crate::api::v1alpha1::conditions::{self, Conditions, TRUE, UNKNOWN};
use crate::api::v1alpha1::{
    InferenceEndpoint, InferenceEndpointStatus, ModelDeployment, ModelDeploymentStatus, ServingTarget,
    ServingTargetStatus, reasons,
};
use crate::kube_ext::cache::Key;

/// A defect is reported on an object at most this often: what else is true of it may be written in between.
const INTERVAL: Duration = Duration::from_mins(1);

/// What the conditions say.
const MESSAGE: &str = "internal error: the operator failed on this object and retries; running endpoints stay. Report the \
     operator's log to its maintainers";

/// When a defect was last reported on each object.
#[derive(Default)]
pub struct Reported {
    at: Mutex<HashMap<(&'static str, Key), Instant>>,
}

impl Reported {
    fn is_due(&self, kind: &'static str, key: &Key) -> bool {
        let mut at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        at.retain(|_, at| at.elapsed() < INTERVAL);
        let is_new = !at.contains_key(&(kind, key.clone()));
        if is_new {
            at.insert((kind, key.clone()), Instant::now());
        }
        is_new
    }
}

/// Reports a panic on a target: neither it nor its credentials are confirmed, and nothing is asked of it.
pub async fn on_target(context: &Context, key: &Key) {
    let Some(target) = context.caches.targets.get(key).filter(|_| context.defects.is_due("target", key)) else {
        return;
    };
    let former = context.connections.get(&key.name);
    let connection = Connection {
        provider: former.as_ref().and_then(|former| former.provider.clone()),
        identity: former.as_ref().and_then(|former| former.identity.clone()),
        fingerprint: former.as_ref().map(|former| former.fingerprint.clone()).unwrap_or_default(),
        state: ConnectionState::NotReady {
            reason: reasons::INTERNAL_ERROR,
            message: MESSAGE.to_owned(),
            since: former.and_then(|former| former.state.not_ready_since()).unwrap_or_else(Timestamp::now),
        },
    };
    context.connections.set(&key.name, connection);
    context.target_state_changed(&key.name);
    let told = target.status.clone().unwrap_or_default();
    let status = ServingTargetStatus { conditions: target_conditions(&target, &told), ..told.clone() };
    let api: Api<ServingTarget> = Api::all(context.client.clone());
    let written = hub::patch_status(&api, target.as_ref(), &told, &status).await;
    if let Some(written) = announce(context, target.as_ref(), written) {
        context.took_target(written);
    }
}

/// Reports a panic on an endpoint: whether it serves is not known.
pub async fn on_endpoint(context: &Context, key: &Key) {
    let Some(endpoint) = context.caches.endpoints.get(key).filter(|_| context.defects.is_due("endpoint", key)) else {
        return;
    };
    let told = endpoint.status.clone().unwrap_or_default();
    let status = InferenceEndpointStatus { conditions: endpoint_conditions(&endpoint, &told), ..told.clone() };
    let api: Api<InferenceEndpoint> = hub::api_of(&context.client, endpoint.as_ref());
    let written = hub::patch_status(&api, endpoint.as_ref(), &told, &status).await;
    if let Some(written) = announce(context, endpoint.as_ref(), written) {
        context.took_endpoint(written);
    }
}

/// Reports a panic on a deployment: whether it is as wanted is not known.
pub async fn on_deployment(context: &Context, key: &Key) {
    let Some(object) = context.caches.deployments.get(key).filter(|_| context.defects.is_due("deployment", key)) else {
        return;
    };
    let told = object.status.clone().unwrap_or_default();
    let status = ModelDeploymentStatus { conditions: deployment_conditions(&object, &told), ..told.clone() };
    let api: Api<ModelDeployment> = hub::api_of(&context.client, object.as_ref());
    let written = hub::patch_status(&api, object.as_ref(), &told, &status).await;
    if let Some(written) = announce(context, object.as_ref(), written) {
        context.took_deployment(written);
    }
}

type Told = Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>;

fn target_conditions(target: &ServingTarget, told: &ServingTargetStatus) -> Told {
    let mut set = Conditions::new(&told.conditions, target.metadata.generation, Timestamp::now());
    for type_ in [conditions::READY, conditions::REACHABLE, conditions::CREDENTIALS_VALID] {
        set.set(type_, UNKNOWN, reasons::INTERNAL_ERROR, MESSAGE);
    }
    set.finish()
}

fn endpoint_conditions(endpoint: &InferenceEndpoint, told: &InferenceEndpointStatus) -> Told {
    let mut set = Conditions::new(&told.conditions, endpoint.metadata.generation, Timestamp::now());
    set.keep(conditions::CREATED).keep(conditions::SERVING);
    set.set(conditions::READY, UNKNOWN, reasons::INTERNAL_ERROR, MESSAGE);
    set.finish()
}

fn deployment_conditions(object: &ModelDeployment, told: &ModelDeploymentStatus) -> Told {
    let mut set = Conditions::new(&told.conditions, object.metadata.generation, Timestamp::now());
    set.keep(conditions::PLACED).keep(conditions::WITHIN_BUDGET);
    set.set(conditions::READY, UNKNOWN, reasons::INTERNAL_ERROR, MESSAGE);
    set.set(conditions::RECONCILING, TRUE, reasons::INTERNAL_ERROR, MESSAGE);
    set.finish()
}

/// Tells of what was written; a report that failed is sent with the next panic.
fn announce<K>(context: &Context, object: &K, written: Result<Option<K>, ActError>) -> Option<K>
where
    K: Resource<DynamicType = ()>,
{
    match written {
        Ok(written) => {
            tell(context, object, &News::new(reasons::INTERNAL_ERROR, MESSAGE));
            written
        }
        Err(error) => {
            tracing::warn!(%error, object = object.name_any(), "cannot report the panic");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::test_context;

    #[test]
    fn nothing_stays_true_on_an_object_that_the_operator_panics_on() {
        let mut set = Conditions::new(&[], Some(1), Timestamp::UNIX_EPOCH);
        for type_ in [conditions::READY, conditions::REACHABLE, conditions::CREDENTIALS_VALID] {
            set.set(type_, TRUE, reasons::READY, "");
        }
        let told = ServingTargetStatus { conditions: set.finish(), ..ServingTargetStatus::default() };
        let target: ServingTarget = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
            "spec": {"cloud": "aws", "region": "us-east-1", "type": "Kubernetes", "offers": []},
        }))
        .unwrap();
        let now = target_conditions(&target, &told);
        assert!(now.iter().all(|condition| condition.status == UNKNOWN), "{now:?}");
        assert!(now.iter().all(|condition| condition.reason == reasons::INTERNAL_ERROR), "{now:?}");
        assert_eq!(now.len(), 3);
    }

    #[test]
    fn a_panic_at_every_try_is_reported_once_a_minute() {
        let (reported, key) = (Reported::default(), Key::cluster("east"));
        assert!(reported.is_due("target", &key));
        assert!(!reported.is_due("target", &key));
        assert!(reported.is_due("endpoint", &key), "another kind of the same name");
    }

    #[tokio::test]
    async fn a_target_that_the_operator_panics_on_again_is_not_usable_since_the_first_time() {
        let context = test_context::context();
        let target: ServingTarget = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget",
            "metadata": {"name": "east", "uid": "u", "resourceVersion": "1"},
            "spec": {"cloud": "aws", "region": "us-east-1", "type": "Kubernetes", "offers": []},
        }))
        .unwrap();
        context.caches.targets.apply(target);
        let first = Timestamp::UNIX_EPOCH;
        let state =
            ConnectionState::NotReady { reason: reasons::INTERNAL_ERROR, message: MESSAGE.to_owned(), since: first };
        let connection = Connection { provider: None, identity: None, state, fingerprint: String::new() };
        context.connections.set("east", connection);
        on_target(&context, &Key::cluster("east")).await;
        let state = context.connections.get("east").unwrap().state.clone();
        assert!(matches!(state, ConnectionState::NotReady { since, .. } if since == first), "{state:?}");
    }
}
