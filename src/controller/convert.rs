//! From the API's types to the planner's, and back. Nothing here decides.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::jiff;
use kube::ResourceExt;
use roadstead_explain as explain;
use roadstead_model::{self as model, Timestamp};

use super::connections::{Connection, ConnectionState};
use super::startup;
pub use roadstead_api::planning::{
    accelerator, api_capacity_type, api_time, capacity_type, count, now, offer, offer_of_record, planner_capacity_type,
    resource_name, resource_of_record, resources, selector, time, timestamp, tolerations,
};
use roadstead_api::v1alpha1::validate::{self, Problem};
use roadstead_api::v1alpha1::{
    self as api, CostObjective, Dollars, ExhaustedStatus, InferenceEndpoint, ModelDeployment, NodeCapacity, NodeRemark,
    OfferCapacity, ServingTarget, conditions, limits, names, quantity, reasons,
};
use roadstead_provider::{ErrorClass, Inventory};
use roadstead_runtime::cache::Key;
use roadstead_runtime::text::bounded;

/// The planner's name of a deployment.
#[must_use]
pub fn deployment_id(key: &Key) -> model::DeploymentId {
    model::DeploymentId { namespace: key.namespace.clone(), name: key.name.clone() }
}

/// The planner's name of an endpoint.
#[must_use]
pub fn endpoint_key(endpoint: &InferenceEndpoint) -> model::EndpointKey {
    model::EndpointKey { namespace: endpoint.namespace().unwrap_or_default(), name: endpoint.name_any() }
}

/// Rank of a deployment in the planning order; an unknown one comes first, because it needs no plan.
#[must_use]
pub fn queue_key(key: &Key, deployment: Option<&ModelDeployment>) -> model::QueueKey {
    let (priority, created) = deployment.map_or((i32::MAX, Timestamp::default()), |deployment| {
        (deployment.spec.priority, timestamp(deployment.metadata.creation_timestamp.as_ref()))
    });
    model::QueueKey::new(priority, created, deployment_id(key))
}

fn problem(field: &str, error: impl std::fmt::Display) -> Problem {
    Problem { field: field.to_owned(), message: error.to_string() }
}

fn patterns(field: &str, texts: Option<&Vec<String>>) -> Result<Option<Vec<model::Pattern>>, Problem> {
    let parse = |text: &String| model::Pattern::parse(text).map_err(|error| problem(field, error));
    texts.map(|texts| texts.iter().map(parse).collect()).transpose()
}

/// The request of a deployment, whose namespace has `namespace_labels`.
///
/// # Errors
/// The [`Problem`] with the first field that cannot be read.
pub fn deployment(
    deployment: &ModelDeployment,
    namespace_labels: BTreeMap<String, String>,
) -> Result<model::Deployment, Problem> {
    let spec = &deployment.spec;
    let cost = &spec.placement.cost;
    let max_hourly_cost = cost.max_hourly_cost.as_ref().map(Dollars::amount).transpose();
    let place_without = deployment.annotations().get(names::ANNOTATION_PLACE_WITHOUT);
    Ok(model::Deployment {
        id: deployment_id(&Key::of(deployment)),
        uid: deployment.uid().unwrap_or_default(),
        generation: deployment.metadata.generation.unwrap_or(0),
        decided: deployment.status.as_ref().map(decided).unwrap_or_default(),
        priority: spec.priority,
        created_at: timestamp(deployment.metadata.creation_timestamp.as_ref()),
        namespace_labels,
        engine: spec.serving.engine.as_str().to_owned(),
        source: spec.model.source.as_deref().and_then(scheme).map(ToOwned::to_owned),
        replicas: count(spec.replicas),
        resources: resources(&spec.serving.resources),
        shapes: spec
            .serving
            .shapes
            .iter()
            .map(|shape| model::Shape {
                name: shape.name.clone(),
                accelerator: accelerator(&shape.accelerator),
                tokens_per_second: shape.tokens_per_second.and_then(|tokens| u64::try_from(tokens).ok()),
            })
            .collect(),
        rules: rules(&spec.placement)?,
        objective: match cost.objective {
            CostObjective::HourlyCost => model::Objective::HourlyCost,
            CostObjective::CostPerMillionTokens => model::Objective::CostPerMillionTokens,
        },
        max_hourly_cost: max_hourly_cost.map_err(|error| problem("spec.placement.cost.maxHourlyCost", error))?,
        drain_timeout_seconds: count(spec.serving.drain_timeout_seconds),
        place_without: place_without
            .into_iter()
            .flat_map(|targets| targets.split(','))
            .map(|target| target.trim().to_owned())
            .collect(),
        suspended: spec.suspend,
    })
}

const _: () = assert!(limits::PLACEMENTS == model::MAX_PUBLISHED, "what is cut off would be news for ever");

/// The decision that a deployment's status publishes.
fn decided(status: &api::ModelDeploymentStatus) -> model::Decided {
    let published = |placement: &api::PlacementStatus| model::Published {
        role: match placement.role {
            api::PlacementRole::Serving => model::Role::Serving,
            api::PlacementRole::Standby => model::Role::Standby,
        },
        replicas: count(placement.replicas),
    };
    model::Decided {
        revision: u64::try_from(status.revision).unwrap_or(0),
        generation: status.observed_generation.max(0),
        allocations: status
            .placements
            .iter()
            .map(|placement| (placement.endpoint.clone(), published(placement)))
            .collect(),
    }
}

fn rules(placement: &api::PlacementRules) -> Result<model::Rules, Problem> {
    let regions = placement.regions.clone().unwrap_or_default();
    let set = |list: &Vec<String>| list.iter().cloned().collect::<BTreeSet<_>>();
    let prefer = regions.prefer.iter().map(|preference| {
        let region = preference.region.as_deref().map(model::Pattern::parse).transpose();
        Ok(model::Preference {
            name: preference.name.clone(),
            cloud: preference.cloud.clone(),
            region: region.map_err(|error| problem("spec.placement.regions.prefer", error))?,
            premium_percent: count(preference.premium_percent),
        })
    });
    Ok(model::Rules {
        target_selector: placement.target_selector.as_ref().map(selector).unwrap_or_default(),
        clouds: placement.clouds.as_ref().and_then(|clouds| clouds.allow.as_ref()).map(set),
        allow_regions: patterns("spec.placement.regions.allow", regions.allow.as_ref())?,
        deny_regions: patterns("spec.placement.regions.deny", regions.deny.as_ref())?.unwrap_or_default(),
        prefer: prefer.collect::<Result<_, Problem>>()?,
        jurisdictions: placement.jurisdictions.as_ref().map(set),
        capacity_types: placement.capacity_types.iter().copied().map(planner_capacity_type).collect(),
        target_tolerations: tolerations(&placement.target_tolerations),
    })
}

/// The scheme of a model's source.
fn scheme(source: &str) -> Option<&str> {
    source.split_once("://").map(|(scheme, _)| scheme)
}

/// A target with what its connection and its inventory say at this time.
#[must_use]
pub fn target(
    target: &ServingTarget,
    connection: Option<&Connection>,
    inventory: Option<&Inventory>,
    at: jiff::Timestamp,
) -> model::Target {
    let spec = &target.spec;
    let status = target.status.clone().unwrap_or_default();
    model::Target {
        name: target.name_any(),
        cloud: spec.cloud.clone(),
        region: spec.region.clone(),
        location: spec.location.as_ref().map(|location| model::Location {
            country: location.country.clone(),
            jurisdictions: location.jurisdictions.iter().cloned().collect(),
        }),
        labels: target.labels().clone(),
        state: target_state(target, connection, now(at)),
        allowed_namespaces: spec.allowed_namespaces.as_ref().map(selector),
        taints: spec
            .taints
            .iter()
            .map(|taint| model::Taint {
                key: taint.key.clone(),
                value: taint.value.clone(),
                effect: model::Effect::NoPlacement,
            })
            .collect(),
        offers: spec.offers.iter().map(offer).collect(),
        nodes: inventory.map_or_else(|| Some(Vec::new()), |inventory| inventory.nodes.clone()),
        exhausted: status.exhausted.iter().map(exhausted).collect(),
        inventory: match inventory {
            Some(known) if known.cut.is_none() && !is_listing(connection) => model::Inventory::Answered,
            _ => model::Inventory::Pending { since: timestamp(target.metadata.creation_timestamp.as_ref()) },
        },
        capabilities: connection
            .and_then(|connection| connection.provider.as_ref())
            .map_or_else(model::Capabilities::default, |provider| provider.capabilities()),
    }
}

/// An inventory comes a moment before the check that finds the target usable; until then it would count as a place that has
/// answered and cannot be used, and a dearer one would be chosen.
fn is_listing(connection: Option<&Connection>) -> bool {
    matches!(connection.map(|connection| &connection.state),
        Some(ConnectionState::NotReady { reason, .. }) if *reason == reasons::LISTING)
}

fn target_state(target: &ServingTarget, connection: Option<&Connection>, at: Timestamp) -> model::TargetState {
    let not_ready = |reason: &str, message: String, since: Timestamp| model::TargetState::NotReady {
        reason: reason.to_owned(),
        message,
        since,
    };
    if let Some(deleted) = &target.metadata.deletion_timestamp {
        return not_ready(reasons::DELETING, explain::TargetMessage::Deleting(&[]).to_string(), now(deleted.0));
    }
    let problems = validate::serving_target(target);
    if !problems.is_empty() {
        let conditions = target.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let told = conditions::find(conditions, conditions::STALLED).map(|told| told.last_transition_time.0);
        let since = told.map_or(at, now);
        let message = validate::sentence(&problems);
        // What starts at a place that does not answer either is not left to wait for an edit.
        return match connection.filter(|_| !is_listing(connection)).and_then(|seen| seen.state.not_ready_since()) {
            Some(failing) => not_ready(reasons::INVALID_SPEC, message, now(failing)),
            None => model::TargetState::Invalid { reason: reasons::INVALID_SPEC.to_owned(), message, since },
        };
    }
    match connection.map(|connection| &connection.state) {
        None => not_ready(reasons::UNKNOWN, explain::TargetMessage::Unchecked.to_string(), at),
        Some(ConnectionState::Ready) => model::TargetState::Ready,
        Some(ConnectionState::NotReady { reason, message, since }) => not_ready(reason, message.clone(), now(*since)),
    }
}

/// A recorded refusal as the planner sees it.
#[must_use]
pub fn exhausted(entry: &ExhaustedStatus) -> model::Exhausted {
    let only_for = entry
        .only_for
        .as_deref()
        .and_then(|id| id.split_once('/'))
        .map(|(namespace, name)| model::DeploymentId { namespace: namespace.to_owned(), name: name.to_owned() });
    model::Exhausted {
        offer: entry.offer.clone(),
        size: model::Size {
            accelerators: count(entry.accelerator_count),
            resources: model::Resources {
                cpu_millis: quantity::millis(&entry.cpu).unwrap_or(0),
                memory_bytes: quantity::units(&entry.memory).unwrap_or(0),
                ephemeral_storage_bytes: quantity::units(&entry.ephemeral_storage).unwrap_or(0),
            },
        },
        only_for,
        generation: entry.generation.unwrap_or(0),
        until: now(entry.until.0),
        attempts: count(entry.attempts),
        reason: entry.reason.clone(),
    }
}

/// A refusal in a target's status.
#[must_use]
pub fn exhausted_status(refusal: &model::Exhaust, until: Timestamp, attempts: i32) -> ExhaustedStatus {
    let resources = &refusal.size.resources;
    ExhaustedStatus {
        offer: refusal.offer.clone(),
        accelerator_count: i32::try_from(refusal.size.accelerators).unwrap_or(i32::MAX),
        cpu: Quantity(format!("{}m", resources.cpu_millis)),
        memory: Quantity(resources.memory_bytes.to_string()),
        ephemeral_storage: Quantity(resources.ephemeral_storage_bytes.to_string()),
        only_for: refusal.only_for.as_ref().map(ToString::to_string),
        generation: Some(refusal.generation).filter(|generation| *generation > 0),
        until: time(until),
        attempts,
        reason: refusal.reason.clone(),
    }
}

/// An endpoint with what its status and its deployment's status say, and with its bound pods.
#[must_use]
pub fn endpoint(
    endpoint: &InferenceEndpoint,
    owner: Option<&ModelDeployment>,
    bound: BTreeMap<String, u32>,
) -> model::Endpoint {
    let spec = &endpoint.spec;
    let status = endpoint.status.clone().unwrap_or_default();
    let state = if endpoint.metadata.deletion_timestamp.is_some() {
        model::EndpointState::Deleting
    } else {
        match spec.state {
            api::EndpointState::Active => model::EndpointState::Active,
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
        bound,
        state,
        ever_ready: status.first_ready_time.is_some() || is_unseen_adoption(spec, &status),
        ready: is_ready,
        published_at: owner.and_then(|owner| published_at(owner, &endpoint.name_any())),
        failure: failure(endpoint, &status, ready.map(|ready| ready.reason.as_str())),
        answer_by: startup::answer_by(endpoint, &status).map(now),
        unschedulable: ready.is_some_and(|ready| ready.reason == reasons::INSUFFICIENT_CAPACITY),
        last_replica_cost: spec.replica_hourly_cost.as_ref().and_then(Dollars::known),
        replaces: spec.replaces.clone(),
        created_at: timestamp(endpoint.metadata.creation_timestamp.as_ref()),
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

/// Free capacity of an offer, grouped by free accelerators on a node, with remarks on its nodes.
#[must_use]
pub fn capacity(offer: &model::Offer, members: &model::Members, usable: &[&model::Node]) -> OfferCapacity {
    let mut free: BTreeMap<std::cmp::Reverse<u32>, i32> = BTreeMap::new();
    for node in usable {
        *free.entry(std::cmp::Reverse(model::free_devices(offer, node, 0))).or_default() += 1;
    }
    let nodes = free
        .into_iter()
        .take(limits::NODE_GROUPS)
        .map(|(amount, count)| NodeCapacity { free: i32::try_from(amount.0).unwrap_or(i32::MAX), count })
        .collect();
    OfferCapacity { offer: offer.name.clone(), nodes, remarks: remarks(offer, members) }
}

/// Remarks on the nodes of an offer: excluded nodes, and used nodes that are unusual.
fn remarks(offer: &model::Offer, members: &model::Members) -> Vec<NodeRemark> {
    let remark = |reason: &str, nodes: u32, message: String| NodeRemark {
        reason: reason.to_owned(),
        nodes: i32::try_from(nodes).unwrap_or(i32::MAX),
        message: bounded(&message),
    };
    let excess = members.excess.map(|excess| remark("ExcessDevices", excess.nodes, explain::excess(&excess, offer)));
    let unknown = members
        .unknown
        .iter()
        .map(|(label, nodes)| remark("UnknownProduct", *nodes, explain::unknown_product(label, *nodes, offer)));
    // An autoscaler's nodes come when they are asked for.
    let none =
        members.no_nodes().filter(|_| !offer.autoscaled).map(|why| remark("NoNodes", 0, explain::no_nodes(why, offer)));
    let left_out = members
        .causes()
        .into_iter()
        .map(|(cause, nodes)| remark(cause.reason(), nodes, explain::left_out(cause, nodes, offer)));
    none.into_iter().chain(excess).chain(unknown).chain(left_out).take(limits::REMARKS).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    #[test]
    fn a_time_that_a_member_invents_is_one_that_a_status_can_hold() {
        for invented in ["-009999-01-02T01:59:59Z", "0000-01-01T00:00:00Z", "1969-12-31T23:59:59Z"] {
            let parsed: jiff::Timestamp = invented.parse().unwrap();
            assert_eq!(timestamp(Some(&Time(parsed))), Timestamp::default(), "{invented}");
        }
        for seconds in [i64::MIN, -1, i64::MAX] {
            assert_eq!(time(Timestamp(seconds)).0, jiff::Timestamp::UNIX_EPOCH, "{seconds}");
        }
        let last: jiff::Timestamp = "9999-12-30T00:00:00Z".parse().unwrap();
        assert_eq!(time(timestamp(Some(&Time(last)))).0, last);
    }

    #[test]
    fn nodes_that_are_left_out_or_look_odd_are_told_with_their_number() {
        let declared: ServingTarget = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
            "spec": {
                "cloud": "aws", "region": "us-east-1", "type": "Kubernetes",
                "offers": [{"name": "o", "instanceType": "i", "accelerator": {"type": "H100", "count": 8},
                            "capacityType": "Reserved"}],
            },
        }))
        .unwrap();
        let node = |name: &str, count: u32, labels: &[(&str, &str)]| model::Node {
            name: name.to_owned(),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            taints: Vec::new(),
            schedulable: true,
            allocatable_accelerators: [("nvidia.com/gpu".to_owned(), count)].into(),
            free_accelerators: [("nvidia.com/gpu".to_owned(), count)].into(),
            free: model::Resources::default(),
        };
        let nodes = vec![
            node("a", 8, &[]),
            node("b", 80, &[]),
            node("c", 8, &[("nvidia.com/gpu.product", "Tesla-T4")]),
            node("d", 8, &[("nvidia.com/gpu.product", "Tesla-T4\nReady=True")]),
        ];
        let inventory = Inventory { nodes: Some(nodes), ..Inventory::default() };
        let mut fleet = roadstead_planner::Fleet::new();
        fleet.upsert_target(target(&declared, None, Some(&inventory), jiff::Timestamp::UNIX_EPOCH));
        let (offer, members, usable) = fleet.members_of("east").next().unwrap();
        let told = capacity(offer, members, &usable);
        assert_eq!(told.nodes, [NodeCapacity { free: 8, count: 2 }], "eight of eighty, as an instance has");
        let remarks: Vec<_> = told.remarks.iter().map(|remark| (remark.reason.as_str(), remark.nodes)).collect();
        assert_eq!(remarks, [("ExcessDevices", 1), ("OtherAccelerator", 1), ("OtherAccelerator", 1)]);
        assert!(told.remarks.iter().all(|remark| !remark.message.contains('\n')));
    }

    #[test]
    fn no_resource_is_guessed() {
        let named = |type_: &str, nodes: serde_json::Value| {
            let declared: api::Offer = serde_json::from_value(json!({
                "name": "o", "instanceType": "i", "accelerator": {"type": type_, "count": 8},
                "capacityType": "Reserved", "nodes": nodes,
            }))
            .unwrap();
            resource_name(&declared)
        };
        assert_eq!(named("MI355X", json!({})).as_deref(), Some("amd.com/gpu"));
        assert_eq!(named("mi355x", json!({})), None);
        assert_eq!(named("MI999X", json!({"resourceName": "amd.com/gpu"})).as_deref(), Some("amd.com/gpu"));
    }

    #[test]
    fn what_has_a_limit_and_no_request_asks_for_its_limit() {
        let read = |text| resources(&serde_json::from_value(text).unwrap());
        let asked = read(json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}));
        assert_eq!((asked.cpu_millis, asked.memory_bytes, asked.ephemeral_storage_bytes), (1_000, 1 << 30, 0));
    }

    #[test]
    fn a_target_whose_spec_is_invalid_is_left_for_that_only_if_it_does_not_answer_either() {
        let declared: ServingTarget = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
            "spec": {
                "cloud": "aws", "region": "us-east-1", "type": "Kubernetes",
                "offers": [{"name": "o", "instanceType": "i", "accelerator": {"type": "MI999X", "count": 8},
                            "capacityType": "Reserved"}],
            },
        }))
        .unwrap();
        let failing = jiff::Timestamp::UNIX_EPOCH;
        let seen = |reason| {
            let state = match reason {
                None => ConnectionState::Ready,
                Some(reason) => ConnectionState::NotReady { reason, message: String::new(), since: failing },
            };
            let connection = Connection { provider: None, identity: None, state, fingerprint: String::new() };
            target(&declared, Some(&connection), None, jiff::Timestamp::UNIX_EPOCH).state
        };
        let is_invalid = |state| matches!(state, model::TargetState::Invalid { .. });
        assert!(is_invalid(seen(None)) && is_invalid(seen(Some(reasons::LISTING))));
        assert!(
            is_invalid(target(&declared, None, None, jiff::Timestamp::UNIX_EPOCH).state),
            "the target has not been checked"
        );
        let model::TargetState::NotReady { reason, since, .. } = seen(Some(reasons::UNREACHABLE)) else {
            panic!("it would be waited for")
        };
        assert_eq!((reason.as_str(), since), (reasons::INVALID_SPEC, now(failing)));
    }

    #[test]
    fn a_target_has_answered_once_it_was_listed_and_found_usable() {
        let declared: ServingTarget = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
            "spec": {"cloud": "aws", "region": "us-east-1", "type": "Kubernetes", "offers": []},
        }))
        .unwrap();
        let seen = |state, inventory| {
            let connection = Connection { provider: None, identity: None, state, fingerprint: String::new() };
            target(&declared, Some(&connection), inventory, jiff::Timestamp::UNIX_EPOCH).inventory
                == model::Inventory::Answered
        };
        let not_ready =
            |reason| ConnectionState::NotReady { reason, message: String::new(), since: jiff::Timestamp::UNIX_EPOCH };
        let inventory = Inventory::default();
        assert!(!seen(not_ready(reasons::LISTING), None));
        assert!(!seen(not_ready(reasons::LISTING), Some(&inventory)), "its next check finds it usable");
        assert!(seen(ConnectionState::Ready, Some(&inventory)));
        assert!(seen(not_ready(reasons::UNREACHABLE), Some(&inventory)), "what ran there was said before");
        let cut = Inventory { cut: Some("too much".to_owned()), ..Inventory::default() };
        assert!(!seen(ConnectionState::Ready, Some(&cut)), "what was left out may be anything");
    }
}
