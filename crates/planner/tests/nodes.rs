//! Which nodes an offer may use: never one that says it is something else, never more of one than its instance has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use common::*;
use roadstead_model::*;
use roadstead_planner::*;

const PRODUCT: &str = "nvidia.com/gpu.product";

/// A node with eight devices and these labels.
fn labelled(name: &str, with: &[(&str, &str)]) -> Node {
    Node { labels: labels(with), ..node(name, 8) }
}

/// A target whose only offer is of this type, with these nodes.
fn with_nodes(kind: &str, nodes: Vec<Node>) -> Target {
    let mut target = target("eks", "aws", "eu-central-1", "80");
    target.offers[0].accelerator = Some(accelerator(kind, 8));
    target.nodes = Some(nodes);
    target
}

/// One replica of all eight devices of this type.
fn wanting(kind: &str) -> Deployment {
    Deployment { replicas: 1, shapes: vec![shape("s", kind, 8)], ..deployment("llama") }
}

/// True if the only node of a target takes the replica, and what the target says about it.
fn verdict(target: Target) -> (bool, Vec<String>) {
    let kind = target.offers[0].kind().unwrap().to_owned();
    let fleet = fleet([target]);
    let plan = planned(&fleet, &wanting(&kind));
    let (offer, members, _) = fleet.members_of("eks").next().unwrap();
    let causes = members.causes();
    (
        placed_on(&plan).is_some(),
        causes.iter().map(|(cause, nodes)| roadstead_explain::left_out(cause, *nodes, offer)).collect(),
    )
}

fn planned(fleet: &Fleet, deployment: &Deployment) -> Plan {
    let plan = plan(fleet, deployment, NOW);
    assert_eq!(roadstead_lint::check(fleet, deployment, &plan), []);
    plan
}

#[test]
fn a_node_that_says_it_has_another_accelerator_does_not_belong_to_the_offer() {
    for (cloud, key, value, other) in [
        ("aws", PRODUCT, "Tesla-T4", "T4"),
        ("aws", "karpenter.k8s.aws/instance-gpu-name", "t4", "T4"),
        ("aws", "node.kubernetes.io/instance-type", "g4dn.12xlarge", "T4"),
        ("gcp", "cloud.google.com/gke-accelerator", "nvidia-l4", "L4"),
        ("azure", "node.kubernetes.io/instance-type", "Standard_NC64as_T4_v3", "T4"),
        ("coreweave", "gpu.nvidia.com/class", "A100_NVLINK_80GB", "A100-80GB"),
    ] {
        let mut target = with_nodes("H100", vec![labelled("n", &[(key, value)])]);
        cloud.clone_into(&mut target.cloud);
        let (placed, said) = verdict(target);
        assert!(!placed, "{key}={value}");
        assert_eq!(said.len(), 1);
        assert!(
            said[0].starts_with(&format!("1 node excluded: label {key}={value} names {other}, not H100")),
            "{said:?}"
        );
    }
}

#[test]
fn slices_shares_and_spot_do_not_belong_to_an_offer_of_whole_devices_on_demand() {
    for (key, value, said) in [
        (PRODUCT, "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", "slices"),
        (PRODUCT, "NVIDIA-H100-80GB-HBM3-SHARED", "shared"),
        ("nvidia.com/gpu.sharing-strategy", "time-slicing", "shared"),
        ("nvidia.com/gpu.sharing-strategy", "mps", "shared"),
        ("nvidia.com/gpu.replicas", "10", "shared"),
        ("nvidia.com/vgpu.present", "true", "shared"),
        ("cloud.google.com/gke-gpu-partition-size", "1g.10gb", "slices"),
        ("cloud.google.com/gke-gpu-sharing-strategy", "time-sharing", "shared"),
        ("karpenter.sh/capacity-type", "spot", "contradicts OnDemand"),
    ] {
        let (placed, told) = verdict(with_nodes("H100", vec![labelled("n", &[(key, value)])]));
        assert!(!placed && told[0].contains(said), "{key}={value}: {told:?}");
    }
}

#[test]
fn the_right_node_belongs_however_its_label_is_spelled_and_so_does_one_without_labels() {
    for with in [
        &[][..],
        &[(PRODUCT, "NVIDIA-H100-80GB-HBM3")],
        &[(PRODUCT, "NVIDIA-H100-SXM5-96GB")],
        &[(PRODUCT, "NVIDIA-H100-NVL"), ("nvidia.com/gpu.sharing-strategy", "none"), ("nvidia.com/gpu.replicas", "1")],
        &[("cloud.google.com/gke-accelerator", "nvidia-h100-mega-80gb")],
        &[("nvidia.com/mig.strategy", "single"), ("nvidia.com/mig.capable", "true")],
        &[("karpenter.sh/capacity-type", "on-demand")],
    ] {
        assert_eq!(verdict(with_nodes("H100", vec![labelled("n", with)])), (true, vec![]), "{with:?}");
    }
}

#[test]
fn an_unknown_product_counts_and_is_said() {
    let fleet = fleet([with_nodes("H100", vec![labelled("n", &[(PRODUCT, "NVIDIA-Rubin-R100")])])]);
    assert!(placed_on(&planned(&fleet, &wanting("H100"))).is_some());
    let (offer, members, _) = fleet.members_of("eks").next().unwrap();
    let (label, nodes) = members.unknown.first_key_value().unwrap();
    assert_eq!(
        roadstead_explain::unknown_product(label, *nodes, offer),
        "1 node counts as H100, but the product in label nvidia.com/gpu.product=NVIDIA-Rubin-R100 is unknown; if it is not, \
         set nodes.selector of offer a3 to exclude it"
    );
}

#[test]
fn a_selector_that_asks_for_exactly_that_has_it() {
    let takes = |kind: &str, selector: &[(&str, &str)], with: &[(&str, &str)]| {
        let mut target = with_nodes(kind, vec![labelled("n", with)]);
        target.offers[0].node_selector.match_labels = labels(selector);
        verdict(target).0
    };
    let t4 = [(PRODUCT, "Tesla-T4"), ("karpenter.k8s.aws/instance-gpu-name", "t4"), ("pool", "gpu")];
    assert!(takes("H100", &[(PRODUCT, "Tesla-T4")], &t4), "the whole node is asked for by one of its labels");
    assert!(!takes("H100", &[("pool", "gpu")], &t4), "another label does not ask for it");
    let mig = [(PRODUCT, "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb"), ("nvidia.com/gpu.slices.gi", "1")];
    assert!(takes("H100-MIG-1g.10gb", &mig[..1], &mig));
    assert!(!takes("H100-MIG-1g.10gb", &[], &mig), "a name alone does not ask for slices");
    let shared =
        [("nvidia.com/gpu.sharing-strategy", "mps"), (PRODUCT, "NVIDIA-L4-SHARED"), ("nvidia.com/gpu.replicas", "4")];
    assert!(takes("L4", &shared[..1], &shared));
}

#[test]
fn a_resource_that_is_a_slice_or_a_share_asks_for_it() {
    for resource in ["nvidia.com/mig-1g.10gb", "nvidia.com/gpu.shared"] {
        let mut node = labelled("n", &[(PRODUCT, "NVIDIA-H100-80GB-HBM3-SHARED"), ("nvidia.com/gpu.slices.gi", "1")]);
        node.labels.remove(if resource.contains("mig") { PRODUCT } else { "nvidia.com/gpu.slices.gi" });
        node.allocatable_accelerators = BTreeMap::from([(resource.to_owned(), 8)]);
        node.free_accelerators = node.allocatable_accelerators.clone();
        let mut target = with_nodes("H100", vec![node]);
        resource.clone_into(&mut target.offers[0].resource_name);
        assert!(verdict(target).0, "{resource}");
    }
}

#[test]
fn no_node_holds_more_than_one_instance_of_the_offer() {
    let shown = |free: u32| Node {
        allocatable_accelerators: BTreeMap::from([("nvidia.com/gpu".to_owned(), 80)]),
        ..node("n", free)
    };
    let fits = |free: u32, replicas: u32| {
        let fleet = fleet([with_nodes("H100", vec![shown(free)])]);
        placed_on(&planned(&fleet, &Deployment { replicas, ..wanting("H100") })).is_some()
    };
    assert!(fits(80, 1));
    assert!(!fits(80, 2), "two replicas of eight are two instances");
    assert!(!fits(72, 1), "eight of one instance's eight are taken");
    let plan = planned(&fleet([with_nodes("H100", vec![shown(80)])]), &Deployment { replicas: 3, ..wanting("H100") });
    let said = &in_words(&plan.report.candidates[0]);
    assert!(said.contains("room for 1 of ") && said.contains("1 node has 80 nvidia.com/gpu"), "{said}");
}

#[test]
fn an_endpoint_that_fills_its_instance_on_such_a_node_stays_and_cannot_grow() {
    let mut wide = node("n", 80);
    wide.allocatable_accelerators = BTreeMap::from([("nvidia.com/gpu".to_owned(), 80)]);
    let mut fleet = fleet([with_nodes("H100", vec![wide])]);
    let mut request = wanting("H100");
    let plan = planned(&fleet, &request);
    fleet.assume(&request, &plan, name_of(&request));
    let name = fleet.endpoints_of(&request.id).next().unwrap().name.clone();
    bind(&mut fleet, &name);
    let kept = planned(&fleet, &request);
    assert!(matches!(kept.actions.as_slice(), [Action::Keep(keep)] if keep.replicas == 1), "{:?}", kept.actions);
    request.replicas = 2;
    let grown = planned(&fleet, &request);
    assert!(matches!(grown.actions.as_slice(), [Action::Keep(keep)] if keep.replicas == 1), "{:?}", grown.actions);
}

#[test]
fn what_keeps_nodes_away_is_named_with_its_cure() {
    let said = |nodes: Vec<Node>, selector: &[(&str, &str)]| {
        let mut target = with_nodes("H100", nodes);
        target.offers[0].node_selector.match_labels = labels(selector);
        in_words(&planned(&fleet([target]), &wanting("H100")).report.candidates[0])
    };
    let tainted = Node {
        taints: vec![Taint { key: "dedicated".into(), value: "ml".into(), effect: Effect::NoSchedule }],
        ..node("a", 8)
    };
    assert!(
        said(vec![tainted], &[])
            .contains("1 node has taint dedicated=ml:NoSchedule: tolerate it in nodes.tolerations of offer a3")
    );
    let cordoned = Node { schedulable: false, ..node("b", 8) };
    assert!(said(vec![cordoned], &[]).contains("1 node is cordoned or not ready"));
    let bare = |name: &str, with: &[(&str, &str)]| Node {
        allocatable_accelerators: BTreeMap::new(),
        free_accelerators: BTreeMap::new(),
        ..labelled(name, with)
    };
    assert!(said(vec![bare("c", &[])], &[]).contains("no node has nvidia.com/gpu"));
    let by_claims = said(vec![bare("d", &[(PRODUCT, "NVIDIA-H100-80GB-HBM3")])], &[]);
    assert!(
        by_claims.contains("1 node has the offer's labels but no nvidia.com/gpu") && by_claims.contains("DRA"),
        "{by_claims}"
    );
    let unlike = said(vec![labelled("e", &[("pool", "b")])], &[("pool", "a")]);
    assert!(unlike.contains("none of 1 node with nvidia.com/gpu has the labels pool=a"), "{unlike}");
}

#[test]
fn the_scheduler_is_kept_from_what_the_planner_does_not_count() {
    let target = target("eks", "aws", "eu-central-1", "80");
    let offer = &target.offers[0];
    let kept_from: BTreeMap<_, _> = Membership::of("aws", offer).keeps_from().into_iter().collect();
    let keeps = |key: &str, value: &str| kept_from.get(key).is_some_and(|values| values.contains(&value));
    assert!(keeps(PRODUCT, "Tesla-T4") && !keeps(PRODUCT, "NVIDIA-H100-80GB-HBM3"));
    assert!(keeps("node.kubernetes.io/instance-type", "g4dn.xlarge"));
    assert!(!keeps("node.kubernetes.io/instance-type", "p5.48xlarge"));
    assert!(!keeps("node.kubernetes.io/instance-type", "trn2.48xlarge"), "it has no nvidia.com/gpu anyway");
    assert!(keeps("nvidia.com/gpu.sharing-strategy", "mps") && keeps("karpenter.sh/capacity-type", "spot"));
    assert!(!kept_from.contains_key("cloud.google.com/gke-accelerator"), "another cloud's label");
    let asked = Offer {
        node_selector: LabelSelector { match_labels: labels(&[(PRODUCT, "Tesla-T4")]), ..LabelSelector::default() },
        ..offer.clone()
    };
    let kept_from: BTreeMap<_, _> = Membership::of("aws", &asked).keeps_from().into_iter().collect();
    assert!(!kept_from.keys().any(|key| key.contains("gpu-name") || *key == PRODUCT), "the selector says it all");
    let on_gke: Vec<_> = Membership::of("gcp", offer).keeps_from().into_iter().map(|(key, _)| key).collect();
    assert!(
        on_gke.contains(&"cloud.google.com/gke-accelerator")
            && on_gke.iter().all(|key| key.starts_with("cloud.google.com/")),
        "Autopilot refuses pods that name other labels: {on_gke:?}"
    );
}

#[test]
fn what_runs_on_a_node_that_turns_out_to_be_something_else_stays() {
    let mut fleet = fleet([with_nodes("H100", vec![node("n", 8)])]);
    let request = wanting("H100");
    let plan = planned(&fleet, &request);
    fleet.assume(&request, &plan, name_of(&request));
    let name = fleet.endpoints_of(&request.id).next().unwrap().name.clone();
    bind(&mut fleet, &name);
    let mut target = fleet.target("eks").unwrap().clone();
    for node in target.nodes.iter_mut().flatten() {
        node.labels = labels(&[(PRODUCT, "Tesla-T4")]);
    }
    fleet.upsert_target(target);
    let kept = planned(&fleet, &request);
    assert!(matches!(kept.actions.as_slice(), [Action::Keep(keep)] if keep.replicas == 1), "{:?}", kept.actions);
    assert!(placed_on(&planned(&fleet, &Deployment { id: id("other"), ..wanting("H100") })).is_none());
}

#[test]
fn a_misspelled_cloud_does_not_hide_what_its_instance_types_say() {
    let mut target = with_nodes("H100", vec![labelled("n", &[("node.kubernetes.io/instance-type", "g4dn.12xlarge")])]);
    "AWS".clone_into(&mut target.cloud);
    assert!(!verdict(target).0);
}
