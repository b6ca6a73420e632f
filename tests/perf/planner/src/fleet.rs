//! Fleets in which deployments have been placed, and their pods bound.

use std::collections::BTreeMap;

use roadstead_model::{Decision, Deployment, Endpoint, Found, Node, Placement, Resources, Target};
use roadstead_planner::{Fleet, plan};

use crate::NOW;
use crate::targets::fresh_node;

/// A fleet of these targets in which nothing runs.
pub fn empty(targets: Vec<Target>) -> Fleet {
    let mut fleet = Fleet::new();
    for target in targets {
        fleet.upsert_target(target);
    }
    fleet
}

/// Plans every deployment in turn and puts what was decided in; returns how many got a place.
pub fn place(fleet: &mut Fleet, deployments: &[Deployment]) -> u32 {
    let mut placed = 0;
    for deployment in deployments {
        let plan = plan(fleet, deployment, NOW);
        placed += u32::from(plan.decision == Decision::InitialPlacement);
        fleet.assume(deployment, &plan, |placement| name(deployment, placement));
    }
    placed
}

/// As the operator names endpoints: the deployment's name, and what tells its places apart.
fn name(deployment: &Deployment, placement: &Placement) -> String {
    format!("{}-{}-{}-{}", deployment.id.name, placement.target, placement.shape, placement.slot)
}

/// Everything that was decided serves: pods are bound to the first nodes where they fit, autoscalers add nodes.
pub fn settle(fleet: &mut Fleet) {
    let names: Vec<String> = fleet.targets().map(|target| target.name.clone()).collect();
    for name in names {
        let Some(mut target) = fleet.target(&name).cloned() else { continue };
        let mut endpoints: Vec<Endpoint> = fleet.endpoints_on(&name).cloned().collect();
        for endpoint in &mut endpoints {
            bind(&mut target, endpoint);
            endpoint.ever_ready = true;
            endpoint.ready = true;
            endpoint.published_at = Some(NOW);
        }
        facts_arrive(fleet, target, endpoints.iter().map(found).collect());
        for endpoint in endpoints {
            fleet.upsert_endpoint(endpoint);
        }
    }
}

/// The operator's work after a change of a target, even of one pod.
pub fn facts_arrive(fleet: &mut Fleet, target: Target, found: Vec<Found>) {
    let name = target.name.clone();
    fleet.upsert_target(target);
    fleet.set_found(&name, found);
}

/// An endpoint as a target's listing shows it.
pub fn found(endpoint: &Endpoint) -> Found {
    Found {
        name: endpoint.name.clone(),
        id: format!("uid-{}", endpoint.name),
        deployment: endpoint.deployment.clone(),
        target: endpoint.target.clone(),
        offer: endpoint.offer.clone(),
        shape: endpoint.shape.clone(),
        capacity_type: endpoint.capacity_type,
        slot: endpoint.slot,
        accelerators: endpoint.accelerator.count,
        replicas: endpoint.replicas,
        ready_replicas: endpoint.replicas,
        runs: None,
        created_at: endpoint.created_at,
    }
}

fn bind(target: &mut Target, endpoint: &mut Endpoint) {
    let Some(offer) = target.offers.iter().find(|offer| offer.name == endpoint.offer) else { return };
    let Some(nodes) = &mut target.nodes else { return };
    let asked = endpoint.accelerator.count;
    while endpoint.unbound() > 0 {
        let fits = |node: &Node| {
            node.schedulable
                && offer.node_selector.matches(&node.labels)
                && node.free_accelerators.get(&offer.resource_name).is_some_and(|free| *free >= asked)
                && endpoint.resources.within(&node.free)
        };
        let index = nodes.iter().position(fits).unwrap_or_else(|| {
            let added = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
            nodes.push(fresh_node(offer, LARGE, added + 1_000));
            nodes.len() - 1
        });
        let node = &mut nodes[index];
        take(&mut node.free_accelerators, &offer.resource_name, asked);
        node.free = node.free.minus(&endpoint.resources);
        *endpoint.bound.entry(node.name.clone()).or_default() += 1;
    }
}

/// Resources of an added node beside accelerators.
const LARGE: Resources =
    Resources { cpu_millis: 192_000, memory_bytes: 2_048 << 30, ephemeral_storage_bytes: 4_000 << 30 };

fn take(free: &mut BTreeMap<String, u32>, resource: &str, count: u32) {
    if let Some(free) = free.get_mut(resource) {
        *free = free.saturating_sub(count);
    }
}
