//! Small builders for targets, deployments and fleets. Each starts from something that just works.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod brute;
pub mod random;

use std::collections::{BTreeMap, BTreeSet};

use roadstead_explain::render_text;
use roadstead_model::*;
use roadstead_planner::*;

/// The time of every test: 2026-08-01T12:00:00Z.
pub const NOW: Timestamp = Timestamp(1_785_585_600);

pub const GIB: u64 = 1 << 30;

pub fn dollars(text: &str) -> MicroDollars {
    MicroDollars::parse(text).unwrap()
}

/// A price of one instance for an hour.
pub fn per_hour(text: &str) -> Price {
    Price::per_instance_hour(dollars(text))
}

pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub fn selector(pairs: &[(&str, &str)]) -> LabelSelector {
    LabelSelector { match_labels: labels(pairs), match_expressions: Vec::new() }
}

pub fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

pub fn accelerator(kind: &str, count: u32) -> Accelerator {
    Accelerator { kind: kind.to_owned(), count }
}

/// An offer of instances with eight H100 at this price.
/// A taint that evicts what runs on its target.
pub fn eviction() -> Taint {
    Taint { key: "maintenance".into(), value: String::new(), effect: Effect::Evict }
}

pub fn offer(name: &str, price: &str) -> Offer {
    Offer {
        name: name.to_owned(),
        instance_type: format!("{name}-8g"),
        accelerator: Some(accelerator("H100", 8)),
        capacity_type: CapacityType::OnDemand,
        price: (!price.is_empty()).then(|| per_hour(price)),
        max_instances: None,
        sold_out: false,
        autoscaled: false,
        resource_name: "nvidia.com/gpu".to_owned(),
        node_selector: LabelSelector::default(),
        node_tolerations: Vec::new(),
    }
}

/// A node with eight accelerators, so many of them free, and plenty of the rest.
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

/// A target with one offer `a3` and two empty nodes of eight H100.
pub fn target(name: &str, cloud: &str, region: &str, price: &str) -> Target {
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
        offers: vec![offer("a3", price)],
        nodes: Some(vec![node("n1", 8), node("n2", 8)]),
        exhausted: Vec::new(),
        inventory: Inventory::Answered,
        capabilities: Capabilities::default(),
    }
}

pub fn not_ready(since: Timestamp) -> TargetState {
    TargetState::NotReady {
        reason: "CredentialsMissing".to_owned(),
        message: "the kubeconfig Secret is missing".to_owned(),
        since,
    }
}

pub fn shape(name: &str, kind: &str, count: u32) -> Shape {
    Shape { name: name.to_owned(), accelerator: accelerator(kind, count), tokens_per_second: None }
}

pub fn id(name: &str) -> DeploymentId {
    DeploymentId { namespace: "team-a".to_owned(), name: name.to_owned() }
}

/// Two replicas of two H100 each, anywhere.
pub fn deployment(name: &str) -> Deployment {
    Deployment {
        id: id(name),
        uid: format!("uid-{name}"),
        generation: 1,
        decided: Decided::default(),
        priority: 0,
        created_at: Timestamp(NOW.0 - 3_600),
        namespace_labels: labels(&[("kubernetes.io/metadata.name", "team-a")]),
        engine: "vllm".to_owned(),
        source: Some("hf://example/llama".to_owned()),
        settings: BTreeMap::new(),
        replicas: 2,
        resources: Resources { cpu_millis: 8_000, memory_bytes: 64 * GIB, ephemeral_storage_bytes: 200 * GIB },
        shapes: vec![shape("h100x2", "H100", 2)],
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

pub fn fleet(targets: impl IntoIterator<Item = Target>) -> Fleet {
    let mut fleet = Fleet::new();
    for target in targets {
        fleet.upsert_target(target);
    }
    fleet
}

/// The name that a placement gets in tests; the operator hashes the same things.
pub fn name_of(deployment: &Deployment) -> impl Fn(&Placement) -> String {
    let name = deployment.id.name.clone();
    move |placement| format!("{name}-{}-{}-{}", placement.target, placement.shape, placement.slot)
}

/// Plans, checks the plan against the hard rules, and puts it into the fleet.
pub fn settle(fleet: &mut Fleet, deployment: &Deployment, now: Timestamp) -> Plan {
    let plan = checked(fleet, deployment, now);
    fleet.assume(deployment, &plan, name_of(deployment));
    plan
}

/// Plans, and checks the plan against the hard rules.
pub fn checked(fleet: &Fleet, deployment: &Deployment, now: Timestamp) -> Plan {
    let plan = plan(fleet, deployment, now);
    let violations = roadstead_lint::check(fleet, deployment, &plan);
    assert!(violations.is_empty(), "{violations:?}\n{}", render_text(&plan));
    plan
}

pub fn key(name: &str) -> EndpointKey {
    EndpointKey { namespace: "team-a".to_owned(), name: name.to_owned() }
}

/// Changes an endpoint in the fleet.
pub fn change(fleet: &mut Fleet, name: &str, change: impl FnOnce(&mut Endpoint)) {
    let mut endpoint = fleet.endpoint(&key(name)).unwrap_or_else(|| panic!("no endpoint {name}")).clone();
    change(&mut endpoint);
    fleet.upsert_endpoint(endpoint);
}

/// Changes a target in the fleet.
pub fn change_target(fleet: &mut Fleet, name: &str, change: impl FnOnce(&mut Target)) {
    let mut target = fleet.target(name).unwrap_or_else(|| panic!("no target {name}")).clone();
    change(&mut target);
    fleet.upsert_target(target);
}

/// The endpoint becomes ready with all replicas, its pods on the first nodes where they fit, and is published.
pub fn serve(fleet: &mut Fleet, name: &str, at: Timestamp) {
    bind(fleet, name);
    change(fleet, name, |endpoint| {
        endpoint.ever_ready = true;
        endpoint.ready = true;
        endpoint.published_at = Some(at);
    });
}

/// Binds the pods of an endpoint to the first nodes where they fit.
pub fn bind(fleet: &mut Fleet, name: &str) {
    let mut endpoint = fleet.endpoint(&key(name)).unwrap().clone();
    let mut target = fleet.target(&endpoint.target).unwrap().clone();
    let offer = target.offers.iter().find(|offer| offer.name == endpoint.offer).cloned();
    let count = endpoint.accelerator.count;
    if let (Some(offer), Some(nodes)) = (offer, &mut target.nodes) {
        while endpoint.unbound() > 0 {
            let fits = |node: &&mut Node| {
                offer.node_selector.matches(&node.labels)
                    && node.schedulable
                    && node.free_accelerators.get(&offer.resource_name).is_some_and(|free| *free >= count)
                    && endpoint.resources.within(&node.free)
            };
            let Some(node) = nodes.iter_mut().find(fits) else {
                break;
            };
            *node.free_accelerators.get_mut(&offer.resource_name).unwrap() -= count;
            node.free = node.free.minus(&endpoint.resources);
            *endpoint.bound.entry(node.name.clone()).or_default() += 1;
        }
    }
    fleet.upsert_target(target);
    fleet.upsert_endpoint(endpoint);
}

/// The provider has confirmed that the endpoint is gone: its room is free again.
pub fn gone(fleet: &mut Fleet, name: &str) {
    let endpoint = fleet.remove_endpoint(&key(name)).unwrap();
    let Some(mut target) = fleet.target(&endpoint.target).cloned() else {
        return;
    };
    for (bound, pods) in &endpoint.bound {
        let nodes = target.nodes.iter_mut().flatten();
        for node in nodes.filter(|node| node.name == *bound) {
            *node.free_accelerators.get_mut("nvidia.com/gpu").unwrap() += pods * endpoint.accelerator.count;
            node.free = node.free.plus(&endpoint.resources.times(*pods));
        }
    }
    fleet.upsert_target(target);
}

/// The one placement that a plan creates.
pub fn created(plan: &Plan) -> Option<&Placement> {
    plan.actions.iter().find_map(|action| match action {
        Action::Create { placement, .. } => Some(placement),
        _ => None,
    })
}

/// The places of all endpoints that a plan creates.
pub fn all_created(plan: &Plan) -> impl Iterator<Item = &Placement> {
    plan.actions.iter().filter_map(|action| match action {
        Action::Create { placement, .. } => Some(placement),
        _ => None,
    })
}

/// The target that a plan creates an endpoint on.
pub fn placed_on(plan: &Plan) -> Option<&str> {
    created(plan).map(|placement| placement.target.as_str())
}

/// The plan's wanted state of an endpoint that stays.
pub fn kept<'p>(plan: &'p Plan, name: &str) -> &'p Keep {
    let keep = plan.actions.iter().find_map(|action| match action {
        Action::Keep(keep) if keep.endpoint == name => Some(keep),
        _ => None,
    });
    keep.unwrap_or_else(|| panic!("{name} is not kept\n{}", render_text(plan)))
}

/// Why a plan deletes an endpoint, if it does.
pub fn deleted(plan: &Plan, name: &str) -> Option<Removal> {
    plan.actions.iter().find_map(|action| match action {
        Action::Delete { endpoint, reason, .. } if endpoint == name => Some(*reason),
        _ => None,
    })
}

/// Until when a plan drains an endpoint, if it does.
pub fn drained(plan: &Plan, name: &str) -> Option<Timestamp> {
    plan.actions.iter().find_map(|action| match action {
        Action::Drain { endpoint, deadline, .. } if endpoint == name => Some(*deadline),
        _ => None,
    })
}

/// The verdict on a target.
pub fn verdict<'p>(plan: &'p Plan, target: &str) -> &'p Candidate {
    let candidate = plan.report.candidates.iter().find(|candidate| candidate.target == target);
    candidate.unwrap_or_else(|| panic!("no verdict on {target}\n{}", render_text(plan)))
}

/// The verdict as people read it.
pub fn in_words(candidate: &Candidate) -> String {
    roadstead_explain::verdict(candidate)
}

/// The sum of a plan as people read it.
pub fn summed(plan: &Plan) -> String {
    roadstead_explain::summary(&plan.summary)
}

/// The findings about an endpoint that stays.
pub fn findings(plan: &Plan, name: &str) -> Vec<FindingReason> {
    kept(plan, name).findings.iter().map(Finding::reason).collect()
}

/// The first endpoint of `m`.
pub const US: &str = "m-eks-us-h100x2-0";
/// Its replacement in the EU.
pub const EU_REPLACEMENT: &str = "m-gke-eu-h100x2-1";

/// Two targets, the cheaper one in the US.
pub fn two() -> Vec<Target> {
    vec![target("eks-us", "aws", "us-east-1", "80"), target("gke-eu", "gcp", "europe-west4", "88")]
}

/// `m` placed on the cheaper target, and not ready yet.
pub fn placed() -> Fleet {
    let mut fleet = fleet(two());
    assert_eq!(placed_on(&settle(&mut fleet, &deployment("m"), NOW)), Some("eks-us"));
    fleet
}

/// `m` serving on the cheaper target.
pub fn serving() -> Fleet {
    let mut fleet = placed();
    serve(&mut fleet, US, NOW);
    fleet
}

pub fn eu_only() -> Deployment {
    let mut deployment = deployment("m");
    deployment.rules.jurisdictions = Some(BTreeSet::from(["EU".to_owned()]));
    deployment
}

pub fn fail(fleet: &mut Fleet, name: &str, kind: FailureKind) {
    change(fleet, name, |endpoint| {
        endpoint.failure = Some(Failure { kind, since: NOW });
    });
}

/// Two ready replicas of the deployment `m` at a target, without a record.
pub fn found(name: &str, target: &str) -> Found {
    Found {
        name: name.into(),
        id: "uid".into(),
        deployment: id("m"),
        target: target.into(),
        offer: "a3".into(),
        shape: "h100x2".into(),
        capacity_type: CapacityType::OnDemand,
        slot: 0,
        accelerators: 2,
        replicas: 2,
        ready_replicas: 2,
        runs: None,
        created_at: NOW,
    }
}
