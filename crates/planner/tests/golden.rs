//! Reports as people read them, compared with files. `UPDATE_GOLDEN=1` rewrites the files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use common::*;
use roadstead_explain::render_text;
use roadstead_model::*;
use roadstead_planner::*;

fn check(name: &str, plans: &[Plan]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    let found = plans.iter().map(render_text).collect::<Vec<_>>().join("\n----\n\n");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &found).unwrap();
        return;
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{} differs; if that is meant, run with UPDATE_GOLDEN=1\n{found}", path.display());
}

fn clouds() -> Vec<Target> {
    let mut spot = target("oci-fra", "oci", "eu-frankfurt-1", "40");
    spot.offers[0].capacity_type = CapacityType::Spot;
    let mut small = target("do-ams", "digitalocean", "ams3", "9.60");
    small.offers = vec![Offer { accelerator: Some(accelerator("L40S", 8)), ..offer("l40s", "9.60") }];
    vec![
        target("eks-us", "aws", "us-east-1", "78.10"),
        target("gke-eu", "gcp", "europe-west4", "88.49"),
        target("aks-uk", "azure", "uksouth", "84.25"),
        target("coreweave-es", "coreweave", "EU-SOUTH-03", "91.00"),
        spot,
        small,
    ]
}

fn in_the_union() -> Deployment {
    let mut deployment = deployment("llama-70b");
    deployment.rules.jurisdictions = Some(BTreeSet::from(["EU".to_owned()]));
    deployment
}

#[test]
fn cheapest_allowed_place() {
    let mut targets = clouds();
    targets.push(Target { allowed_namespaces: None, ..target("secret", "aws", "eu-west-1", "1") });
    let deployment = Deployment { max_hourly_cost: Some(dollars("45")), ..in_the_union() };
    check("cheapest-allowed-place", &[checked(&fleet(targets), &deployment, NOW)]);
}

#[test]
fn not_enough_room() {
    let mut scattered = target("eks-scattered", "aws", "eu-west-1", "70");
    scattered.nodes = Some((0..8).map(|index| node(&format!("n{index}"), 1)).collect());
    let mut small = target("gke-small-memory", "gcp", "europe-west1", "75");
    small.nodes.iter_mut().flatten().for_each(|node| node.free.memory_bytes = 16 * GIB);
    let mut cordoned = target("aks-cordoned", "azure", "westeurope", "80");
    cordoned.nodes.as_mut().unwrap()[0].schedulable = false;
    let mut limited = target("oci-limited", "oci", "eu-paris-1", "82");
    limited.offers[0].max_instances = Some(1);
    limited.offers[0].autoscaled = true;
    limited.nodes = Some(vec![]);
    let deployment = Deployment { replicas: 6, ..in_the_union() };
    check("not-enough-room", &[checked(&fleet([scattered, small, cordoned, limited]), &deployment, NOW)]);
}

#[test]
fn forbidden_while_serving() {
    let mut fleet = fleet(clouds());
    let mut plans = vec![settle(&mut fleet, &deployment("llama-70b"), NOW)];
    serve(&mut fleet, "llama-70b-eks-us-h100x2-0", NOW.plus(300));
    plans.push(settle(&mut fleet, &in_the_union(), NOW.plus(600)));
    plans.push(settle(&mut fleet, &in_the_union(), NOW.plus(601)));
    serve(&mut fleet, "llama-70b-gke-eu-h100x2-1", NOW.plus(900));
    plans.push(settle(&mut fleet, &in_the_union(), NOW.plus(901)));
    plans.push(settle(&mut fleet, &in_the_union(), NOW.plus(1_020)));
    check("forbidden-while-serving", &plans);
}

#[test]
fn forbidden_and_nowhere_to_go() {
    let mut fleet = fleet([clouds().remove(0)]);
    settle(&mut fleet, &deployment("llama-70b"), NOW);
    serve(&mut fleet, "llama-70b-eks-us-h100x2-0", NOW);
    check("forbidden-and-nowhere-to-go", &[settle(&mut fleet, &in_the_union(), NOW)]);
}

#[test]
fn refused_and_tried_elsewhere() {
    let mut fleet = fleet(clouds());
    settle(&mut fleet, &deployment("llama-70b"), NOW);
    change(&mut fleet, "llama-70b-eks-us-h100x2-0", |endpoint| {
        endpoint.failure = Some(Failure { kind: FailureKind::CapacityExhausted, since: NOW });
    });
    let mut plans = vec![settle(&mut fleet, &deployment("llama-70b"), NOW.plus(30))];
    gone(&mut fleet, "llama-70b-eks-us-h100x2-0");
    change_target(&mut fleet, "eks-us", |target| {
        target.exhausted = vec![Exhausted {
            offer: "a3".into(),
            size: Size { accelerators: 2, resources: deployment("llama-70b").resources },
            only_for: None,
            generation: 0,
            until: NOW.plus(90),
            attempts: 1,
            reason: "CapacityExhausted".into(),
        }];
    });
    plans.push(checked(&fleet, &deployment("mixtral"), NOW.plus(40)));
    check("refused-and-tried-elsewhere", &plans);
}

#[test]
fn held_by_lower_priority() {
    let mut fleet = fleet([clouds().remove(1)]);
    let low = Deployment { replicas: 7, priority: -10, ..deployment("batch") };
    settle(&mut fleet, &low, NOW);
    serve(&mut fleet, "batch-gke-eu-h100x2-0", NOW);
    let high = Deployment { priority: 100, ..in_the_union() };
    check("held-by-lower-priority", &[checked(&fleet, &high, NOW)]);
}

#[test]
fn awaiting_inventory() {
    let mut targets = clouds();
    targets[1].inventory = Inventory::Pending { since: Timestamp(NOW.0 - 90) };
    targets[3].inventory = Inventory::Pending { since: Timestamp(NOW.0 - 5) };
    check("awaiting-inventory", &[checked(&fleet(targets), &in_the_union(), NOW)]);
}

#[test]
fn final_rejections() {
    let mut targets = clouds();
    targets[1].taints = vec![Taint { key: "frozen".into(), value: "yes".into(), effect: Effect::NoPlacement }];
    targets[3].capabilities.engines = Some(BTreeSet::from(["custom".to_owned()]));
    let mut deployment = Deployment { max_hourly_cost: Some(dollars("20")), ..in_the_union() };
    deployment.rules.deny_regions = vec![pattern("us-*")];
    deployment.rules.target_selector = LabelSelector::default();
    check("final-rejections", &[checked(&fleet(targets), &deployment, NOW)]);
}

#[test]
fn preferences_tokens_and_prices() {
    let mut targets = clouds();
    targets[0].offers[0].price = None;
    targets[1].offers[0] = Offer { capacity_type: CapacityType::Reserved, ..offer("a3-reserved", "88.49") };
    let mut deployment = deployment("llama-70b");
    deployment.shapes = vec![
        Shape { tokens_per_second: Some(4_200), ..shape("h100x2", "H100", 2) },
        Shape { tokens_per_second: Some(1_500), ..shape("l40sx4", "L40S", 4) },
    ];
    deployment.objective = Objective::CostPerMillionTokens;
    deployment.rules.prefer = vec![Preference {
        name: "near-users".into(),
        cloud: Some("gcp".into()),
        region: Some(pattern("europe-*")),
        premium_percent: 10,
    }];
    check("preferences-tokens-and-prices", &[checked(&fleet(targets), &deployment, NOW)]);
}

#[test]
fn scaled_beyond_its_place() {
    let mut fleet = fleet([clouds().remove(1)]);
    settle(&mut fleet, &in_the_union(), NOW);
    serve(&mut fleet, "llama-70b-gke-eu-h100x2-0", NOW);
    let more = Deployment { replicas: 12, ..in_the_union() };
    let mut plans = vec![settle(&mut fleet, &more, NOW.plus(60))];
    fleet.upsert_target(Target {
        nodes: Some((0..4).map(|index| node(&format!("n{index}"), 8)).collect()),
        ..clouds().remove(3)
    });
    plans.push(settle(&mut fleet, &more, NOW.plus(120)));
    check("scaled-beyond-its-place", &plans);
}

#[test]
fn taken_over_after_a_rebuild() {
    let mut fleet = fleet(clouds());
    let found = |name: &str, target: &str, ready_replicas| Found {
        name: name.into(),
        id: "uid".into(),
        deployment: id("llama-70b"),
        target: target.into(),
        offer: "a3".into(),
        shape: "h100x2".into(),
        capacity_type: CapacityType::OnDemand,
        slot: 0,
        accelerators: 2,
        replicas: 2,
        ready_replicas,
        runs: None,
        created_at: Timestamp(NOW.0 - 86_400),
    };
    fleet.set_found("gke-eu", vec![found("llama-70b-k3x", "gke-eu", 2)]);
    fleet.set_found("eks-us", vec![found("llama-70b-q9d", "eks-us", 0)]);
    let plans = [settle(&mut fleet, &in_the_union(), NOW), settle(&mut fleet, &in_the_union(), NOW)];
    check("taken-over-after-a-rebuild", &plans);
}

#[test]
fn no_targets() {
    check("no-targets", &[checked(&Fleet::new(), &deployment("llama-70b"), NOW)]);
}
