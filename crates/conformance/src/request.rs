//! Requests of the cases to a driver.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use kube::ResourceExt;
use kube::api::ObjectMeta;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{ExternalId, InferenceEndpoint, ServingTarget, names};
use roadstead_model::{CapacityType, DeploymentId, Found, Timestamp};
use roadstead_provider::{Redacted, Wanted};
use serde_json::json;

/// The namespace of the deployments.
pub const TEAM: &str = "team";
/// The deployment that most cases serve.
pub const LLAMA: &str = "llama";

/// The record of an endpoint of this name: one replica of [`LLAMA`] on target `east`, not asked for yet.
///
/// # Panics
/// Never: the record is complete.
#[must_use]
#[allow(clippy::unwrap_used, reason = "a constant of the tests")]
pub fn record(name: &str) -> InferenceEndpoint {
    serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
        "metadata": {"name": name, "namespace": TEAM},
        "spec": {
            "deploymentRef": {"name": LLAMA, "uid": "u"}, "target": "east", "cloud": "aws", "region": "eu-west-1",
            "offer": "a3", "shape": "one",
            "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
            "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement",
            "template": {
                "engine": "vllm", "image": "example.com/vllm:1", "port": 8000, "args": ["--max-model-len=1024"],
                "model": {"source": "hf://example/llama", "name": LLAMA},
                "startupTimeoutSeconds": 600, "drainTimeoutSeconds": 1,
            },
        },
    }))
    .unwrap()
}

/// The inventory's entry for the endpoint of [`record`].
#[must_use]
pub fn found(name: &str, id: &str) -> Found {
    Found {
        name: name.to_owned(),
        id: id.to_owned(),
        deployment: DeploymentId { namespace: TEAM.to_owned(), name: LLAMA.to_owned() },
        target: "east".to_owned(),
        offer: "a3".to_owned(),
        shape: "one".to_owned(),
        capacity_type: CapacityType::OnDemand,
        slot: 0,
        accelerators: 1,
        replicas: 1,
        ready_replicas: 1,
        runs: None,
        created_at: Timestamp::default(),
    }
}

/// A request to make an endpoint what its record says.
#[must_use]
pub fn request(endpoint: InferenceEndpoint, target: &ServingTarget) -> Wanted {
    Wanted {
        endpoint: Arc::new(endpoint),
        target: Arc::new(target.clone()),
        api_key: Redacted::new(format!("{}{}", names::API_KEY_PREFIX, "k".repeat(43))),
        secrets: Arc::new(BTreeMap::new()),
    }
}

/// A request for one replica of the endpoint of `deployment` on `target`, for the installation `install_id`.
///
/// # Errors
/// If the target has no offer.
pub fn wanted(target: &ServingTarget, install_id: &str, deployment: &str) -> anyhow::Result<Wanted> {
    let offer = target.spec.offers.first().context("the target has no offer")?;
    let capacity = offer.capacity_type.as_str();
    let name = names::endpoint_name(install_id, TEAM, deployment, &target.name_any(), "one", capacity, 0);
    let mut endpoint = record(&name);
    deployment.clone_into(&mut endpoint.spec.deployment_ref.name);
    endpoint.spec.target = target.name_any();
    endpoint.spec.offer.clone_from(&offer.name);
    endpoint.spec.capacity_type = offer.capacity_type;
    endpoint.spec.instance = planning::instance_of_record(target, &offer.name);
    endpoint.spec.accelerator.type_.clone_from(&offer.accelerator.type_);
    Ok(request(endpoint, target))
}

/// The same request with another spec.
pub fn edited(wanted: &Wanted, edit: impl FnOnce(&mut InferenceEndpoint)) -> Wanted {
    let mut endpoint = wanted.endpoint.as_ref().clone();
    edit(&mut endpoint);
    Wanted { endpoint: Arc::new(endpoint), ..wanted.clone() }
}

/// The same request, with what was made on record.
#[must_use]
pub fn recorded(wanted: &Wanted, id: &ExternalId) -> Wanted {
    edited(wanted, |endpoint| {
        endpoint.status.get_or_insert_default().external_id = Some(id.clone());
    })
}

/// The same request by a hub that was built anew: it knows nothing of what was made, and its objects have other UIDs.
#[must_use]
pub fn of_rebuilt_hub(wanted: &Wanted) -> Wanted {
    edited(wanted, |endpoint| {
        endpoint.status = None;
        "uid-of-a-rebuilt-hub".clone_into(&mut endpoint.spec.deployment_ref.uid);
        endpoint.metadata = ObjectMeta {
            name: endpoint.metadata.name.take(),
            namespace: endpoint.metadata.namespace.take(),
            ..ObjectMeta::default()
        };
    })
}
