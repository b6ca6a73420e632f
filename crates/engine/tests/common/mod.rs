//! Targets and deployments that just work.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod homes;
pub mod outages;
pub mod world;

use std::collections::{BTreeMap, BTreeSet};

use roadstead_model::*;

/// The beginning of every test.
pub const BEGIN: Timestamp = Timestamp(1_785_585_600);

const GIB: u64 = 1 << 30;

/// A node with eight H100, so many of them free.
pub fn node(name: &str, free: u32) -> Node {
    Node {
        name: name.to_owned(),
        labels: Labels::new(),
        taints: Vec::new(),
        schedulable: true,
        allocatable_accelerators: BTreeMap::from([("nvidia.com/gpu".to_owned(), 8)]),
        free_accelerators: BTreeMap::from([("nvidia.com/gpu".to_owned(), free)]),
        free: Resources { cpu_millis: 192_000, memory_bytes: 2_000 * GIB, ephemeral_storage_bytes: 2_000 * GIB },
    }
}

/// An offer of instances with eight H100 at so many dollars an hour.
pub fn offer(dollars: u64) -> Offer {
    Offer {
        name: "a3".to_owned(),
        instance_type: "a3-8g".to_owned(),
        accelerator: Some(Accelerator { kind: "H100".to_owned(), count: 8 }),
        capacity_type: CapacityType::OnDemand,
        price: Some(Price::per_instance_hour(MicroDollars(dollars * 1_000_000))),
        max_instances: None,
        sold_out: false,
        autoscaled: false,
        resource_name: "nvidia.com/gpu".to_owned(),
        node_selector: LabelSelector::default(),
        node_tolerations: Vec::new(),
    }
}

/// A target with so many empty nodes.
pub fn target(name: &str, cloud: &str, region: &str, dollars: u64, nodes: usize) -> Target {
    Target {
        name: name.to_owned(),
        cloud: cloud.to_owned(),
        region: region.to_owned(),
        location: None,
        labels: Labels::new(),
        state: TargetState::Ready,
        ready_since: Some(Timestamp(0)),
        contact: Contact::Answers,
        in_cluster: false,
        allowed_namespaces: Some(LabelSelector::default()),
        taints: Vec::new(),
        offers: vec![offer(dollars)],
        nodes: Some((0..nodes).map(|index| node(&format!("n{index}"), 8)).collect()),
        exhausted: Vec::new(),
        inventory: Inventory::Answered,
        capabilities: Capabilities::default(),
    }
}

pub fn id(name: &str) -> DeploymentId {
    DeploymentId { namespace: "team".to_owned(), name: name.to_owned() }
}

/// So many replicas of two H100 each, anywhere.
pub fn deployment(name: &str, replicas: u32) -> Deployment {
    Deployment {
        id: id(name),
        uid: format!("uid-{name}"),
        generation: 1,
        decided: Decided::default(),
        priority: 0,
        created_at: BEGIN,
        namespace_labels: Labels::new(),
        engine: "vllm".to_owned(),
        source: Some("hf://example/llama".to_owned()),
        settings: BTreeMap::new(),
        replicas,
        resources: Resources { cpu_millis: 8_000, memory_bytes: 64 * GIB, ephemeral_storage_bytes: 200 * GIB },
        shapes: vec![Shape {
            name: "s".to_owned(),
            accelerator: Accelerator { kind: "H100".to_owned(), count: 2 },
            tokens_per_second: None,
        }],
        rules: Rules::default(),
        objective: Objective::HourlyCost,
        max_hourly_cost: None,
        hosted_ceiling: MicroDollars::ZERO,
        drain_timeout_seconds: 120,
        failover_after_seconds: Some(60),
        place_without: BTreeSet::new(),
        failback: None,
        move_to: None,
        removes_first: false,
        divisible: false,
        spread: None,
        standby_replicas: 0,
        suspended: false,
    }
}

/// The name of the endpoint of a placement.
pub fn name_of(deployment: &Deployment) -> impl Fn(&Placement) -> String {
    let name = deployment.id.name.clone();
    move |placement| format!("{name}-{}-{}", placement.target, placement.slot)
}

pub fn key(name: &str) -> EndpointKey {
    EndpointKey { namespace: "team".to_owned(), name: name.to_owned() }
}
