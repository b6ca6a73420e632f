//! An `InferenceEndpoint` as the planner's endpoint.

use std::collections::BTreeMap;

use kube::ResourceExt;
use roadstead_api::planning::{count, now, planner_capacity_type, resources, timestamp};
use roadstead_api::v1alpha1::{self as api, Dollars, InferenceEndpoint, ModelDeployment, conditions, reasons};
use roadstead_model::{self as model, Timestamp};
use roadstead_provider::ErrorClass;

use crate::controller::model_deployment::template;
use crate::controller::startup;

/// The planner's name of an endpoint.
#[must_use]
pub fn endpoint_key(endpoint: &InferenceEndpoint) -> model::EndpointKey {
    model::EndpointKey { namespace: endpoint.namespace().unwrap_or_default(), name: endpoint.name_any() }
}

/// An endpoint with what its status and its deployment's status say, and with its bound pods. The latest failed probe
/// that this process has seen began at `failed_at`.
#[must_use]
pub fn endpoint(
    endpoint: &InferenceEndpoint,
    owner: Option<&ModelDeployment>,
    bound: BTreeMap<String, u32>,
    failed_at: Option<Timestamp>,
) -> model::Endpoint {
    let spec = &endpoint.spec;
    let status = endpoint.status.clone().unwrap_or_default();
    let state = if endpoint.metadata.deletion_timestamp.is_some() {
        model::EndpointState::Deleting
    } else {
        match spec.state {
            api::EndpointState::Active => model::EndpointState::Active,
            api::EndpointState::Standby => model::EndpointState::Standby,
            api::EndpointState::Draining => {
                model::EndpointState::Draining { deadline: timestamp(spec.deadline.as_ref()) }
            }
        }
    };
    let ready = conditions::find(&status.conditions, conditions::READY);
    let is_ready = ready.is_some_and(|ready| ready.status == conditions::TRUE)
        && Some(status.observed_generation) == endpoint.metadata.generation;
    model::Endpoint {
        name: endpoint.name_any(),
        deployment: model::DeploymentId {
            namespace: endpoint.namespace().unwrap_or_default(),
            name: spec.deployment_ref.name.clone(),
        },
        priority: owner.map_or(0, |owner| owner.spec.priority),
        target: spec.target.clone(),
        offer: spec.offer.clone(),
        shape: spec.shape.clone(),
        accelerator: model::Accelerator { kind: spec.accelerator.type_.clone(), count: count(spec.accelerator.count) },
        engine: spec.template.engine.as_str().to_owned(),
        capacity_type: planner_capacity_type(spec.capacity_type),
        slot: count(spec.slot),
        replicas: count(spec.replicas),
        resources: resources(&spec.template.resources),
        outdated: owner.is_some_and(|owner| template::is_outdated(owner, spec)),
        bound,
        state,
        ever_ready: status.first_ready_time.is_some() || is_unseen_adoption(spec, &status),
        ready: is_ready,
        unverified: false,
        shifting: None,
        published_at: owner.and_then(|owner| published_at(owner, &endpoint.name_any())),
        failure: failure(endpoint, &status, ready.map(|ready| ready.reason.as_str())),
        answer_by: startup::answer_by(endpoint, &status).map(now),
        health: status.health.map_or(model::Health::Unknown, health),
        failing_since: status.failing_since.as_ref().map(|since| now(since.0)),
        failed_at,
        unschedulable: ready.is_some_and(|ready| ready.reason == reasons::INSUFFICIENT_CAPACITY),
        last_replica_cost: spec.replica_hourly_cost.as_ref().and_then(Dollars::known),
        replaces: spec.replaces.clone(),
        created_at: timestamp(endpoint.metadata.creation_timestamp.as_ref()),
        promoted_at: spec.promoted_at.as_ref().map(|at| now(at.0)),
    }
}

const fn health(health: api::Health) -> model::Health {
    match health {
        api::Health::Healthy => model::Health::Healthy,
        api::Health::Failing => model::Health::Failing,
        api::Health::Isolated => model::Health::Isolated,
        api::Health::Lost => model::Health::Lost,
        api::Health::Unknown => model::Health::Unknown,
    }
}

/// An adopted endpoint may serve somebody: until its first observation, it counts as if it had been ready.
fn is_unseen_adoption(spec: &api::InferenceEndpointSpec, status: &api::InferenceEndpointStatus) -> bool {
    spec.reason == reasons::ADOPTED && status.external_id.is_none()
}

/// Time when the endpoint's address was added to its deployment's status.
fn published_at(owner: &ModelDeployment, endpoint: &str) -> Option<Timestamp> {
    let placements = &owner.status.as_ref()?.placements;
    let placement = placements.iter().find(|placement| placement.endpoint == endpoint)?;
    placement.since.as_ref().map(|since| now(since.0))
}

fn failure(
    endpoint: &InferenceEndpoint,
    status: &api::InferenceEndpointStatus,
    ready_reason: Option<&str>,
) -> Option<model::Failure> {
    let error = status.last_error.as_ref()?;
    let since = now(error.time.0);
    let is = |class: ErrorClass| error.class == class.as_str();
    let (kind, since) = if is(ErrorClass::CapacityExhausted) {
        (model::FailureKind::CapacityExhausted, since)
    } else if is(ErrorClass::QuotaExceeded) {
        (model::FailureKind::QuotaExceeded, since)
    } else if is(ErrorClass::Refused) {
        (model::FailureKind::AdmissionRefused, since)
    } else if ready_reason == Some(reasons::STARTUP_TIMEOUT) {
        (model::FailureKind::StartupTimeout, startup::answer_by(endpoint, status).map_or(since, now))
    } else if ready_reason == Some(reasons::NAME_CONFLICT) && is(ErrorClass::Conflict) {
        (model::FailureKind::NameConflict, since)
    } else {
        return None;
    };
    Some(model::Failure { kind, since })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_endpoint_is_outdated_while_its_deployment_asks_for_other_pod_fields() {
        let deployment = |image: &str, replicas: i32| -> ModelDeployment {
            serde_json::from_value(json!({
                "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
                "metadata": {"name": "llama", "namespace": "team"},
                "spec": {"replicas": replicas, "serving": {
                    "engine": "custom", "image": image,
                    "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}}],
                }},
            }))
            .unwrap()
        };
        let mut record: InferenceEndpoint = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
            "metadata": {"name": "llama-a", "namespace": "team"},
            "spec": {
                "deploymentRef": {"name": "llama", "uid": "u"}, "target": "east", "cloud": "c", "region": "r", "offer": "o",
                "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
                "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement",
                "template": {"engine": "custom", "image": "a:1", "port": 1, "model": {"name": "m"},
                             "nodes": {"selector": {"pool": "gpu"}},
                             "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
            },
        }))
        .unwrap();
        record.spec.template = template::template(&deployment("a:1", 1), None, "s", record.spec.template.nodes.clone());
        let outdated = |owner: &ModelDeployment| endpoint(&record, Some(owner), BTreeMap::new(), None).outdated;
        assert!(!outdated(&deployment("a:1", 1)));
        assert!(!outdated(&deployment("a:1", 5)), "replicas are scaled, not updated");
        assert!(outdated(&deployment("a:2", 1)));
    }
}
