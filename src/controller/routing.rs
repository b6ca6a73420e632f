//! Which work a change makes: the change of one object in, the queue entries it concerns out. Pure; what is known of the
//! fleet is asked when [`Concerned`] is resolved.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::ResourceExt;

use super::hub;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, ServingTarget, names};
use roadstead_runtime::cache::{Change, Key};

/// Queue entries that a change concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concerned {
    /// One deployment.
    Deployment(Key),
    /// All deployments: what a target's spec means for each is decided again.
    AllDeployments,
    /// The deployments that wait for room, for a target or for their turn.
    WaitingDeployments,
    /// The deployments with an endpoint on this target, and those that a failover made leave it.
    DeploymentsOn(String),
    /// The deployments of this namespace.
    DeploymentsIn(String),
    /// One endpoint.
    Endpoint(Key),
    /// The endpoints of this deployment.
    EndpointsOf(Key),
    /// The endpoints on this target.
    EndpointsOn(String),
    /// One target.
    Target(String),
    /// The targets whose credentials are in this Secret.
    TargetsOfSecret(String),
}

/// Author of a change to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// Its own controller, to which a status that it wrote is no news.
    ItsController,
    /// Anybody.
    Anybody,
}

/// A deployment is planned again. Its endpoints have something to do when its users ask for a look, and when they have to
/// put our finalizer on it.
#[must_use]
pub fn of_deployment(change: &Change<ModelDeployment>) -> Vec<Concerned> {
    let (Change::Upserted { new: object, .. } | Change::Deleted(object)) = change;
    let key = Key::of(object.as_ref());
    let wakes_endpoints = match change {
        Change::Upserted { old: Some(old), new } => {
            requested_at(old) != requested_at(new) || (is_unheld(new) && !is_unheld(old))
        }
        Change::Upserted { old: None, new } => is_unheld(new),
        Change::Deleted(_) => false,
    };
    let endpoints = wakes_endpoints.then(|| Concerned::EndpointsOf(key.clone()));
    endpoints.into_iter().chain([Concerned::Deployment(key)]).collect()
}

/// An endpoint concerns its deployment and itself; one that goes leaves room to those who wait, and one that is gone may
/// let its target go.
#[must_use]
pub fn of_endpoint(change: &Change<InferenceEndpoint>, author: Author) -> Vec<Concerned> {
    let (Change::Upserted { new: endpoint, .. } | Change::Deleted(endpoint)) = change;
    let key = Key::of(endpoint.as_ref());
    let mut concerned = vec![Concerned::Deployment(Key::new(&key.namespace, &endpoint.spec.deployment_ref.name))];
    if matches!(change, Change::Deleted(_)) {
        concerned.push(Concerned::Target(endpoint.spec.target.clone()));
    }
    let own_status = author == Author::ItsController
        && matches!(change, Change::Upserted { old: Some(old), new } if differ_in_status_alone(old, new));
    if !own_status {
        concerned.push(Concerned::Endpoint(key));
    }
    if is_going(change) {
        concerned.push(Concerned::WaitingDeployments);
    }
    concerned
}

/// A target is checked again. An edit is decided about by all deployments, and may expose its endpoints otherwise.
#[must_use]
pub fn of_target(change: &Change<ServingTarget>) -> Vec<Concerned> {
    let (Change::Upserted { new: target, .. } | Change::Deleted(target)) = change;
    let name = target.name_any();
    let edited = match change {
        Change::Upserted { old: Some(old), new } => {
            old.spec != new.spec
                || old.labels() != new.labels()
                || old.taints() != new.taints()
                || old.metadata.deletion_timestamp != new.metadata.deletion_timestamp
        }
        Change::Upserted { old: None, .. } | Change::Deleted(_) => true,
    };
    let mut concerned = vec![Concerned::Target(name.clone())];
    if edited {
        concerned.extend([Concerned::AllDeployments, Concerned::EndpointsOn(name)]);
    }
    concerned
}

/// A target became usable or unusable: for those who wait, for those who are there, and for its endpoints.
#[must_use]
pub fn of_connection(target: &str) -> Vec<Concerned> {
    vec![
        Concerned::WaitingDeployments,
        Concerned::DeploymentsOn(target.to_owned()),
        Concerned::EndpointsOn(target.to_owned()),
    ]
}

/// A Secret of the operator's namespace concerns the targets that name it.
#[must_use]
pub fn of_secret(change: &Change<Secret>) -> Vec<Concerned> {
    let (Change::Upserted { new: secret, .. } | Change::Deleted(secret)) = change;
    vec![Concerned::TargetsOfSecret(secret.name_any())]
}

/// The labels of a namespace decide which targets its deployments may use.
#[must_use]
pub fn of_namespace(change: &Change<Namespace>) -> Vec<Concerned> {
    match change {
        Change::Upserted { old: Some(old), new } if old.labels() == new.labels() => Vec::new(),
        Change::Upserted { new: namespace, .. } | Change::Deleted(namespace) => {
            vec![Concerned::DeploymentsIn(namespace.name_any())]
        }
    }
}

/// The last request of its users to look at the deployment: any text.
#[must_use]
pub fn requested_at(deployment: &ModelDeployment) -> Option<&String> {
    deployment.annotations().get(names::ANNOTATION_REQUESTED_AT)
}

/// True if the status names endpoints, and no finalizer of ours holds the deployment until they are gone.
#[must_use]
pub fn is_unheld(deployment: &ModelDeployment) -> bool {
    let told = deployment.status.as_ref();
    let placed = told.is_some_and(|status| !status.placements.is_empty() || !status.releasing.is_empty());
    placed
        && !hub::has_finalizer(deployment, names::FINALIZER_DEPLOYMENT)
        && deployment.metadata.deletion_timestamp.is_none()
}

/// True if the change brings a deployment without a decision so far.
#[must_use]
pub fn is_newcomer(change: &Change<ModelDeployment>) -> bool {
    let is_decided =
        |object: &ModelDeployment| object.status.as_ref().is_some_and(|told| told.observed_generation >= 0);
    matches!(change, Change::Upserted { old: None, new } if !is_decided(new))
}

/// True if an endpoint is gone, or if this change requests its deletion.
#[must_use]
pub fn is_going(change: &Change<InferenceEndpoint>) -> bool {
    match change {
        Change::Deleted(_) => true,
        Change::Upserted { old, new } => {
            let requested = |endpoint: &InferenceEndpoint| endpoint.metadata.deletion_timestamp.is_some();
            requested(new) && !old.as_ref().is_some_and(|old| requested(old))
        }
    }
}

fn differ_in_status_alone(old: &InferenceEndpoint, new: &InferenceEndpoint) -> bool {
    old.metadata.generation == new.metadata.generation
        && old.metadata.deletion_timestamp == new.metadata.deletion_timestamp
        && old.metadata.finalizers == new.metadata.finalizers
        && old.metadata.uid == new.metadata.uid
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn object<K: DeserializeOwned>(kind: &str, metadata: &Value, spec: &Value, status: &Value) -> Arc<K> {
        let mut object =
            json!({"apiVersion": "roadstead.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
        if !status.is_null() {
            object["status"] = status.clone();
        }
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn deployment(metadata: &Value, status: &Value) -> Arc<ModelDeployment> {
        let spec = json!({"serving": {"engine": "custom", "image": "i:1",
                                      "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}}]}});
        object("ModelDeployment", metadata, &spec, status)
    }

    fn changed<K>(old: &Arc<K>, new: &Arc<K>) -> Change<K> {
        Change::Upserted { old: Some(Arc::clone(old)), new: Arc::clone(new) }
    }

    fn llama() -> Key {
        Key::new("team", "llama")
    }

    #[test]
    fn a_deployment_concerns_its_endpoints_when_a_look_is_asked_for_or_it_is_to_be_held() {
        let plain = json!({"namespace": "team", "name": "llama"});
        let asked =
            json!({"namespace": "team", "name": "llama", "annotations": {names::ANNOTATION_REQUESTED_AT: "now"}});
        let held = json!({"namespace": "team", "name": "llama", "finalizers": [names::FINALIZER_DEPLOYMENT]});
        let placed = json!({"observedGeneration": 1, "placements": [{
            "target": "east", "cloud": "aws", "region": "us-east-1", "shape": "s", "offer": "o",
            "capacityType": "OnDemand", "replicas": 1, "readyReplicas": 0, "endpoint": "llama-x",
        }]});
        let (none, itself) = (Value::Null, vec![Concerned::Deployment(llama())]);
        let all = vec![Concerned::EndpointsOf(llama()), Concerned::Deployment(llama())];
        let bare = deployment(&plain, &none);
        for (new, concerned) in [
            (deployment(&plain, &none), &itself),
            (deployment(&asked, &none), &all),
            (deployment(&plain, &placed), &all),
            (deployment(&held, &placed), &itself),
        ] {
            assert_eq!(of_deployment(&changed(&bare, &new)), *concerned, "{:?}", new.metadata);
        }
        assert_eq!(of_deployment(&Change::Deleted(bare)), itself);
    }

    fn endpoint(metadata: &Value, status: &Value) -> Arc<InferenceEndpoint> {
        let spec = json!({
            "deploymentRef": {"name": "llama", "uid": "u"}, "target": "east", "cloud": "c", "region": "r", "offer": "o",
            "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
            "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement",
            "template": {"engine": "custom", "image": "i:1", "port": 1, "model": {"name": "m"},
                         "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
        });
        object("InferenceEndpoint", metadata, &spec, status)
    }

    #[test]
    fn an_endpoint_concerns_its_controller_unless_that_wrote_its_status() {
        let metadata = json!({"namespace": "team", "name": "llama-x", "uid": "x", "generation": 1});
        let (old, new) = (endpoint(&metadata, &Value::Null), endpoint(&metadata, &json!({"observedGeneration": 1})));
        let itself = Concerned::Endpoint(Key::new("team", "llama-x"));
        let its_deployment = Concerned::Deployment(llama());
        assert_eq!(of_endpoint(&changed(&old, &new), Author::ItsController), std::slice::from_ref(&its_deployment));
        assert_eq!(of_endpoint(&changed(&old, &new), Author::Anybody), [its_deployment.clone(), itself.clone()]);
        let edited =
            endpoint(&json!({"namespace": "team", "name": "llama-x", "uid": "x", "generation": 2}), &Value::Null);
        assert_eq!(of_endpoint(&changed(&old, &edited), Author::ItsController), [its_deployment, itself]);
    }

    #[test]
    fn an_endpoint_that_goes_concerns_those_who_wait_and_at_last_its_target() {
        let metadata = json!({"namespace": "team", "name": "llama-x", "uid": "x", "generation": 1});
        let mut going = metadata.clone();
        going["deletionTimestamp"] = json!("2026-08-01T12:00:00Z");
        let (old, going) = (endpoint(&metadata, &Value::Null), endpoint(&going, &Value::Null));
        let concerns = |change: &Change<InferenceEndpoint>| {
            let all = of_endpoint(change, Author::Anybody);
            (all.contains(&Concerned::WaitingDeployments), all.contains(&Concerned::Target("east".to_owned())))
        };
        assert_eq!(concerns(&changed(&old, &going)), (true, false));
        assert_eq!(concerns(&changed(&going, &going)), (false, false), "they were told");
        assert_eq!(concerns(&Change::Deleted(going)), (true, true));
    }

    #[test]
    fn an_edit_of_a_target_concerns_everybody_and_its_status_itself_alone() {
        let spec = |price: &str| {
            json!({"cloud": "aws", "region": "us-east-1", "type": "Kubernetes", "offers": [{
                "name": "o", "instanceType": "i", "accelerator": {"type": "H100", "count": 8},
                "capacityType": "OnDemand", "hourlyPrice": price,
            }]})
        };
        let target = |price: &str, status: &Value| -> Arc<ServingTarget> {
            object("ServingTarget", &json!({"name": "east"}), &spec(price), status)
        };
        let itself = Concerned::Target("east".to_owned());
        let old = target("1.00", &Value::Null);
        assert_eq!(
            of_target(&changed(&old, &target("1.00", &json!({"observedGeneration": 1})))),
            std::slice::from_ref(&itself)
        );
        let everybody = [itself, Concerned::AllDeployments, Concerned::EndpointsOn("east".to_owned())];
        for change in [changed(&old, &target("2.00", &Value::Null)), Change::Deleted(old)] {
            assert_eq!(of_target(&change), everybody);
        }
    }

    #[test]
    fn a_namespace_concerns_its_deployments_when_its_labels_change() {
        let namespace = |labels: Value| -> Arc<Namespace> {
            Arc::new(serde_json::from_value(json!({"metadata": {"name": "team", "labels": labels}})).unwrap())
        };
        let (old, same, new) =
            (namespace(json!({"a": "b"})), namespace(json!({"a": "b"})), namespace(json!({"a": "c"})));
        assert_eq!(of_namespace(&changed(&old, &same)), []);
        assert_eq!(of_namespace(&changed(&old, &new)), [Concerned::DeploymentsIn("team".to_owned())]);
    }
}
