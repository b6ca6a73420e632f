//! Placement of a deployment without endpoints, and the verdicts on the other places.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use roadstead_explain::render_text;
use roadstead_model::*;
use roadstead_planner::*;

/// Three clouds; the cheapest is in the United States.
fn three() -> Vec<Target> {
    vec![
        target("eks-us", "aws", "us-east-1", "80"),
        target("gke-eu", "gcp", "europe-west4", "88"),
        target("aks-uk", "azure", "uksouth", "84"),
    ]
}

#[test]
fn the_cheapest_place_is_chosen() {
    let plan = checked(&fleet(three()), &deployment("m"), NOW);
    let placement = created(&plan).expect("placed");
    assert_eq!(placement.target, "eks-us");
    assert_eq!(placement.hourly_cost, Some(dollars("40")), "4 of 8 accelerators");
    assert_eq!(placement.replica_cost, Some(dollars("20")));
    assert_eq!((plan.decision, placement.slot, placement.replicas), (Decision::InitialPlacement, 0, 2));
    assert!(plan.report.candidates[0].verdict.is_chosen());
    assert_eq!(verdict(&plan, "gke-eu").reason(), Reason::Feasible);
    assert!(in_words(verdict(&plan, "gke-eu")).contains("$4.00/h more"), "{}", in_words(verdict(&plan, "gke-eu")));
}

/// One rule of a deployment, and what each of three targets is told.
type RuleCase = (&'static str, fn(&mut Deployment), Option<&'static str>, &'static str, Reason);

#[test]
fn rules_exclude_and_tell_what_it_would_have_cost() {
    let cases: [RuleCase; 8] = [
        (
            "jurisdiction",
            |d| d.rules.jurisdictions = Some(BTreeSet::from(["EU".to_owned()])),
            Some("gke-eu"),
            "eks-us",
            Reason::JurisdictionNotAllowed,
        ),
        (
            "the United Kingdom is not in the Union",
            |d| d.rules.jurisdictions = Some(BTreeSet::from(["EU".to_owned()])),
            Some("gke-eu"),
            "aks-uk",
            Reason::JurisdictionNotAllowed,
        ),
        (
            "cloud",
            |d| d.rules.clouds = Some(BTreeSet::from(["gcp".to_owned(), "azure".to_owned()])),
            Some("aks-uk"),
            "eks-us",
            Reason::CloudNotAllowed,
        ),
        (
            "region allowed",
            |d| d.rules.allow_regions = Some(vec![pattern("europe-*")]),
            Some("gke-eu"),
            "eks-us",
            Reason::RegionDenied,
        ),
        (
            "region denied",
            |d| d.rules.deny_regions = vec![pattern("us-*")],
            Some("aks-uk"),
            "eks-us",
            Reason::RegionDenied,
        ),
        (
            "selector",
            |d| d.rules.target_selector = selector(&[("env", "prod")]),
            None,
            "eks-us",
            Reason::SelectorMismatch,
        ),
        (
            "capacity type",
            |d| d.rules.capacity_types = BTreeSet::from([CapacityType::Spot]),
            None,
            "eks-us",
            Reason::CapacityTypeNotAllowed,
        ),
        ("budget", |d| d.max_hourly_cost = Some(dollars("39.99")), None, "eks-us", Reason::OverBudget),
    ];
    for (name, rule, chosen, excluded, reason) in cases {
        let mut deployment = deployment("m");
        rule(&mut deployment);
        let plan = checked(&fleet(three()), &deployment, NOW);
        assert_eq!(placed_on(&plan), chosen, "{name}");
        let verdict = verdict(&plan, excluded);
        assert_eq!(verdict.reason(), reason, "{name}");
        assert!(is_rejected(verdict), "{name}");
        assert!(verdict.hourly_cost.is_some(), "{name}: would have cost");
        assert!(in_words(verdict).contains('$'), "{name}: {}", in_words(verdict));
    }
}

/// A change of the target `eks-us`, and what is told about it.
type TargetCase = (&'static str, fn(&mut Target), Reason, &'static str);

#[test]
fn targets_exclude_themselves() {
    let cases: [TargetCase; 11] = [
        ("not ready", |t| t.state = not_ready(NOW), Reason::TargetNotReady, "CredentialsMissing"),
        (
            "taint",
            |t| {
                t.taints = vec![Taint { key: "maintenance".into(), value: "yes".into(), effect: Effect::NoPlacement }];
            },
            Reason::TaintNotTolerated,
            "taint maintenance=yes:NoPlacement",
        ),
        (
            "no such engine",
            |t| t.capabilities.engines = Some(BTreeSet::from(["tgi".into()])),
            Reason::ProviderUnsupported,
            "cannot run engine vllm, only tgi",
        ),
        (
            "no such source",
            |t| t.capabilities.sources = Some(BTreeSet::from(["s3".into()])),
            Reason::ProviderUnsupported,
            "does not serve hf://example/llama; it serves models from s3://",
        ),
        (
            "too many replicas",
            |t| t.capabilities.max_replicas = Some(1),
            Reason::ProviderUnsupported,
            "at most 1 replica per endpoint, 2 are wanted",
        ),
        (
            "other accelerator",
            |t| t.offers[0].accelerator = Some(accelerator("L4", 8)),
            Reason::AcceleratorMissing,
            "no offer has H100; offered: L4",
        ),
        (
            "small instances",
            |t| t.offers[0].accelerator = Some(accelerator("H100", 1)),
            Reason::AcceleratorMissing,
            "an instance has 1 H100, a replica needs 2",
        ),
        ("no nodes", |t| t.nodes = Some(vec![]), Reason::InsufficientCapacity, "the target reports no nodes"),
        (
            "cordoned",
            |t| {
                t.nodes.iter_mut().flatten().for_each(|n| n.schedulable = false);
            },
            Reason::InsufficientCapacity,
            "0 accelerators free on 0 nodes; 2 nodes are cordoned or not ready",
        ),
        (
            "tainted nodes",
            |t| {
                let taint = Taint { key: "gpu".into(), value: String::new(), effect: Effect::NoSchedule };
                t.nodes.iter_mut().flatten().for_each(|n| n.taints = vec![taint.clone()]);
            },
            Reason::InsufficientCapacity,
            "2 nodes have taint gpu:NoSchedule: tolerate it in nodes.tolerations of offer a3",
        ),
        (
            "refused lately",
            |t| t.exhausted = vec![exhausted(None, NOW.plus(1))],
            Reason::Exhausted,
            "does not retry it before 2026-08-01T12:00:01Z",
        ),
    ];
    for (name, edit, reason, told) in cases {
        let mut targets = three();
        edit(&mut targets[0]);
        let plan = checked(&fleet(targets), &deployment("m"), NOW);
        assert_eq!(placed_on(&plan), Some("aks-uk"), "{name}");
        let verdict = verdict(&plan, "eks-us");
        assert_eq!(verdict.reason(), reason, "{name}");
        assert!(in_words(verdict).contains(told), "{name}: {}", in_words(verdict));
    }
}

#[test]
fn a_server_of_the_services_own_takes_no_deployment_whose_settings_it_ignores() {
    let mut targets = three();
    targets[0].capabilities.own_server = Some("Bedrock".into());
    let fleet = fleet(targets);
    let with = |settings| Deployment { settings, ..deployment("m") };
    let left_out = BTreeSet::from(["Bedrock".to_owned()]);
    let all = [EngineSetting::Args, EngineSetting::Env, EngineSetting::Revision];
    for setting in all {
        let plan = checked(&fleet, &with(BTreeMap::from([(setting, BTreeSet::new())])), NOW);
        assert_eq!(
            (placed_on(&plan), verdict(&plan, "eks-us").reason()),
            (Some("aks-uk"), Reason::ProviderUnsupported)
        );
        let plan = checked(&fleet, &with(BTreeMap::from([(setting, left_out.clone())])), NOW);
        assert_eq!(placed_on(&plan), Some("eks-us"), "{setting:?} is left out there");
    }
    let plan = checked(&fleet, &with(all.map(|setting| (setting, BTreeSet::new())).into()), NOW);
    assert_eq!(
        in_words(verdict(&plan, "eks-us")),
        "the target runs a server of its own, which ignores serving.args, serving.env, model.revision: use another target, \
         or leave this out there, with serving.overrides: [{type: Bedrock, omit: [Args, Env, Revision]}]; it would cost $40.00/h"
    );
}

fn exhausted(only_for: Option<DeploymentId>, until: Timestamp) -> Exhausted {
    Exhausted {
        offer: "a3".into(),
        size: Size { accelerators: 2, resources: deployment("m").resources },
        only_for,
        generation: 0,
        until,
        attempts: 3,
        reason: "CapacityExhausted".into(),
    }
}

#[test]
fn a_refusal_holds_for_as_large_replicas_for_a_while() {
    let with = |exhausted: Exhausted| {
        let mut targets = three();
        targets[0].exhausted = vec![exhausted];
        fleet(targets)
    };
    let smaller = Deployment { shapes: vec![shape("h100x1", "H100", 1)], ..deployment("m") };
    let larger = Deployment { shapes: vec![shape("h100x4", "H100", 4)], ..deployment("m") };
    let lighter =
        Deployment { resources: Resources { memory_bytes: GIB, ..deployment("m").resources }, ..deployment("m") };
    let now = exhausted(None, NOW.plus(60));
    for (deployment, chosen) in
        [(smaller, "eks-us"), (lighter, "eks-us"), (larger, "aks-uk"), (deployment("m"), "aks-uk")]
    {
        assert_eq!(placed_on(&checked(&with(now.clone()), &deployment, NOW)), Some(chosen));
    }
    let over = with(exhausted(None, NOW));
    assert_eq!(placed_on(&checked(&over, &deployment("m"), NOW)), Some("eks-us"), "it is over");
    let mine = with(exhausted(Some(id("m")), NOW.plus(60)));
    assert_eq!(placed_on(&checked(&mine, &deployment("m"), NOW)), Some("aks-uk"));
    assert_eq!(placed_on(&checked(&mine, &deployment("other"), NOW)), Some("eks-us"));
}

#[test]
fn a_pending_deployment_is_looked_at_again_when_a_refusal_ends() {
    let mut only = target("eks-us", "aws", "us-east-1", "80");
    only.exhausted = vec![exhausted(None, NOW.plus(60))];
    let plan = checked(&fleet([only]), &deployment("m"), NOW);
    assert_eq!(plan.decision, Decision::NoFeasiblePlacement);
    assert_eq!(plan.recheck_at, Some(NOW.plus(60)));
}

#[test]
fn fragments_do_not_add_up() {
    let mut scattered = target("eks-us", "aws", "us-east-1", "80");
    scattered.nodes = Some((0..8).map(|index| node(&format!("n{index}"), 1)).collect());
    let four = Deployment { replicas: 4, ..deployment("m") };
    let plan = checked(&fleet([scattered.clone()]), &four, NOW);
    let told = &in_words(verdict(&plan, "eks-us"));
    assert_eq!(told, "room for 0 of 4 replicas (2 H100 each): 8 accelerators free on 8 nodes");
    scattered.nodes.as_mut().unwrap().push(node("whole", 2));
    let plan = checked(&fleet([scattered]), &four, NOW);
    assert_eq!(
        in_words(verdict(&plan, "eks-us")),
        "room for 1 of 4 replicas (2 H100 each): 10 accelerators free on 9 nodes"
    );
    let fit = plan.report.largest_fit.as_ref().expect("one fits");
    assert_eq!((fit.target.as_str(), fit.replicas), ("eks-us", 1));
    assert!(summed(&plan).contains("the largest fit is 1 replica of h100x2 on eks-us"), "{}", summed(&plan));
    assert!(plan.report.time_can_help);
}

#[test]
fn memory_cpu_and_disk_bound_too() {
    type Case = (fn(&mut Resources), &'static str);
    let cases: [Case; 3] = [
        (|free| free.memory_bytes = 16 * GIB, "a replica requests 64 GiB of memory, the best node has 16 GiB free"),
        (|free| free.cpu_millis = 7_500, "a replica requests 8 cores, the best node has 7.5 cores free"),
        (
            |free| free.ephemeral_storage_bytes = 100 * GIB,
            "a replica requests 200 GiB of ephemeral storage, the best node has 100 GiB free",
        ),
    ];
    for (edit, told) in cases {
        let mut small = target("eks-us", "aws", "us-east-1", "80");
        small.nodes.iter_mut().flatten().for_each(|node| edit(&mut node.free));
        let plan = checked(&fleet([small]), &deployment("m"), NOW);
        let message = &in_words(verdict(&plan, "eks-us"));
        assert!(message.contains(told), "{message}");
    }
}

#[test]
fn pods_go_to_the_nodes_whose_price_was_used() {
    let mut mixed = target("eks-us", "aws", "us-east-1", "80");
    mixed.offers[0].node_selector = selector(&[("pool", "h100")]);
    assert_eq!(placed_on(&checked(&fleet([mixed.clone()]), &deployment("m"), NOW)), None);
    mixed.nodes.as_mut().unwrap()[0].labels = labels(&[("pool", "h100")]);
    assert_eq!(placed_on(&checked(&fleet([mixed]), &deployment("m"), NOW)), Some("eks-us"));
}

#[test]
fn an_autoscaler_adds_up_to_its_limit() {
    let mut empty = target("eks-us", "aws", "us-east-1", "80");
    empty.nodes = Some(vec![node("busy", 0)]);
    let slots = |target: &Target| {
        let many = Deployment { replicas: 128, ..deployment("m") };
        let plan = checked(&fleet([target.clone()]), &many, NOW);
        plan.report.largest_fit.map_or(0, |fit| fit.replicas)
    };
    assert_eq!(slots(&empty), 0);
    empty.offers[0].max_instances = Some(3);
    assert_eq!(slots(&empty), 0, "nobody adds nodes");
    empty.offers[0].autoscaled = true;
    assert_eq!(slots(&empty), 8, "two more nodes of eight");
    empty.nodes = None;
    assert_eq!(slots(&empty), 12, "without nodes the limit is all there is");
}

#[test]
fn max_instances_limits_what_is_held() {
    let mut limited = target("eks-us", "aws", "us-east-1", "80");
    limited.offers[0].max_instances = Some(1);
    let mut fleet = fleet([limited]);
    let first = Deployment { replicas: 3, ..deployment("first") };
    assert_eq!(placed_on(&settle(&mut fleet, &first, NOW)), Some("eks-us"));
    serve(&mut fleet, "first-eks-us-h100x2-0", NOW);
    let plan = checked(&fleet, &deployment("second"), NOW);
    assert_eq!(
        in_words(verdict(&plan, "eks-us")),
        "room for 1 of 2 replicas (2 H100 each): maxInstances 1 allows 8 H100, 6 are in use"
    );
}

#[test]
fn an_offer_that_is_sold_out_takes_nothing_new_and_keeps_what_it_has() {
    let mut fleet = fleet([target("eks-us", "aws", "us-east-1", "80")]);
    let first = Deployment { replicas: 3, ..deployment("first") };
    assert_eq!(placed_on(&settle(&mut fleet, &first, NOW)), Some("eks-us"));
    serve(&mut fleet, "first-eks-us-h100x2-0", NOW);
    change_target(&mut fleet, "eks-us", |target| target.offers[0].sold_out = true);
    let plan = checked(&fleet, &deployment("second"), NOW);
    assert_eq!(
        in_words(verdict(&plan, "eks-us")),
        "room for 0 of 2 replicas (2 H100 each): the service has no a3-8g available at present"
    );
    assert_eq!(checked(&fleet, &first, NOW).decision.as_str(), "Unchanged");
}

#[test]
fn what_is_decided_counts_before_it_is_bound() {
    let mut fleet = fleet(three());
    let eight = Deployment { replicas: 8, ..deployment("first") };
    assert_eq!(placed_on(&settle(&mut fleet, &eight, NOW)), Some("eks-us"));
    let plan = settle(&mut fleet, &deployment("second"), NOW);
    assert_eq!(placed_on(&plan), Some("aks-uk"));
    assert!(in_words(verdict(&plan, "eks-us")).contains("8 replicas placed but not bound to a node"));
}

#[test]
fn a_preference_is_money() {
    let preferring = |premium_percent| {
        let mut deployment = deployment("m");
        deployment.rules.prefer = vec![Preference {
            name: "near".into(),
            cloud: Some("gcp".into()),
            region: Some(pattern("europe-*")),
            premium_percent,
        }];
        deployment
    };
    // 88 is exactly 10 % more than 80.
    for (premium, chosen) in [(9, "eks-us"), (10, "gke-eu"), (11, "gke-eu")] {
        let plan = checked(&fleet(three()), &preferring(premium), NOW);
        assert_eq!(placed_on(&plan), Some(chosen), "premium {premium}: what is preferred wins ties");
    }
    let plan = checked(&fleet(three()), &preferring(11), NOW);
    assert_eq!(created(&plan).unwrap().hourly_cost, Some(dollars("44")), "the raw cost is told");
    assert!(in_words(verdict(&plan, "eks-us")).contains("$4.00/h less"), "{}", in_words(verdict(&plan, "eks-us")));
}

#[test]
fn tokens_can_be_what_is_cheap() {
    let mut mixed = target("eks-us", "aws", "us-east-1", "80");
    mixed.offers.push(Offer { accelerator: Some(accelerator("L40S", 8)), ..offer("g6e", "30") });
    mixed.offers[0].node_selector = selector(&[("pool", "a3")]);
    let mut nodes = vec![node("n1", 8), node("n2", 8)];
    nodes[0].labels = labels(&[("pool", "a3")]);
    mixed.nodes = Some(nodes);
    let mut deployment = deployment("m");
    deployment.shapes = vec![
        Shape { tokens_per_second: Some(4_200), ..shape("h100x2", "H100", 2) },
        Shape { tokens_per_second: Some(1_500), ..shape("l40sx2", "L40S", 2) },
    ];
    let chosen =
        |deployment: &Deployment| created(&checked(&fleet([mixed.clone()]), deployment, NOW)).unwrap().shape.clone();
    assert_eq!(chosen(&deployment), "l40sx2", "$15/h instead of $40/h");
    deployment.objective = Objective::CostPerMillionTokens;
    assert_eq!(chosen(&deployment), "h100x2", "$40/h for 8,400 tokens/s instead of $15/h for 3,000");
}

#[test]
fn ties_go_by_shape_then_preference_then_names() {
    let mut same = vec![target("b", "aws", "us-east-1", "80"), target("a", "aws", "us-east-2", "80")];
    same[0].offers.push(offer("a0", "80"));
    let mut deployment = deployment("m");
    let chosen = |deployment: &Deployment| {
        let plan = checked(&fleet(same.clone()), deployment, NOW);
        let placement = created(&plan).unwrap().clone();
        (placement.target, placement.offer, placement.shape)
    };
    assert_eq!(chosen(&deployment), ("a".into(), "a3".into(), "h100x2".into()));
    deployment.shapes = vec![shape("z", "H100", 2), shape("y", "H100", 2)];
    assert_eq!(chosen(&deployment).2, "z");
    let prefer = |name: &str, region: &str| Preference {
        name: name.into(),
        cloud: None,
        region: Some(pattern(region)),
        premium_percent: 0,
    };
    deployment.rules.prefer = vec![prefer("first", "us-east-1"), prefer("second", "us-east-2")];
    assert_eq!(chosen(&deployment), ("b".into(), "a0".into(), "z".into()));
}

#[test]
fn unknown_prices_rank_last_and_never_where_a_budget_is_set() {
    let mut targets = three();
    targets[0].offers[0].price = None;
    let plan = checked(&fleet(targets.clone()), &deployment("m"), NOW);
    assert_eq!(placed_on(&plan), Some("aks-uk"));
    assert_eq!(verdict(&plan, "eks-us").hourly_cost, None);
    let alone = fleet([targets[0].clone()]);
    let plan = checked(&alone, &deployment("m"), NOW);
    assert_eq!(created(&plan).unwrap().hourly_cost, None, "better than nothing");
    let budgeted = Deployment { max_hourly_cost: Some(dollars("1000")), ..deployment("m") };
    let plan = checked(&alone, &budgeted, NOW);
    assert_eq!(verdict(&plan, "eks-us").reason(), Reason::PriceUnknown);
    assert!(plan.report.time_can_help);
}

#[test]
fn reserved_capacity_without_a_price_counts_as_paid() {
    let mut targets = three();
    targets[1].offers[0] = Offer { capacity_type: CapacityType::Reserved, ..offer("a3", "") };
    let budgeted = Deployment { max_hourly_cost: Some(dollars("1")), ..deployment("m") };
    let plan = checked(&fleet(targets), &budgeted, NOW);
    assert_eq!(placed_on(&plan), Some("gke-eu"));
    assert_eq!(created(&plan).unwrap().hourly_cost, Some(MicroDollars::ZERO));
    assert!(in_words(verdict(&plan, "gke-eu")).contains("reserved without a price"));
}

#[test]
fn unknown_regions_are_outside_every_jurisdiction_unless_their_owner_says_where_they_are() {
    let mut odd = target("onprem", "metal", "cellar", "1");
    let mut deployment = deployment("m");
    assert_eq!(placed_on(&checked(&fleet([odd.clone()]), &deployment, NOW)), Some("onprem"));
    deployment.rules.jurisdictions = Some(BTreeSet::from(["EU".to_owned()]));
    let plan = checked(&fleet([odd.clone()]), &deployment, NOW);
    assert_eq!(verdict(&plan, "onprem").reason(), Reason::JurisdictionUnknown);
    odd.location = Some(Location { country: "NL".into(), jurisdictions: BTreeSet::new() });
    assert_eq!(placed_on(&checked(&fleet([odd]), &deployment, NOW)), Some("onprem"));
    let mut london = target("london", "aws", "eu-west-2", "1");
    london.location = Some(Location { country: "DE".into(), jurisdictions: BTreeSet::from(["EU".into()]) });
    let plan = checked(&fleet([london]), &deployment, NOW);
    assert_eq!(verdict(&plan, "london").reason(), Reason::JurisdictionNotAllowed, "what is known is known");
}

#[test]
fn namespaces_that_are_not_let_in_learn_only_a_number() {
    let mut targets = three();
    targets[0].allowed_namespaces = None;
    targets[1].allowed_namespaces = Some(selector(&[("kubernetes.io/metadata.name", "team-b")]));
    let plan = checked(&fleet(targets.clone()), &deployment("m"), NOW);
    assert_eq!(placed_on(&plan), Some("aks-uk"));
    assert_eq!(plan.report.namespace_not_allowed, 2);
    targets[2].allowed_namespaces = None;
    let plan = checked(&fleet(targets), &deployment("m"), NOW);
    let text = render_text(&plan);
    assert!(!["eks-us", "gke-eu", "aks-uk"].iter().any(|name| text.contains(name)), "{text}");
    assert!(!plan.report.time_can_help);
    assert_eq!(
        summed(&plan),
        "none of the 3 targets allows namespace team-a; label the namespace to match the allowedNamespaces of a target, or edit them"
    );
}

#[test]
fn only_what_time_cannot_change_is_final() {
    let final_rule = Deployment { max_hourly_cost: Some(dollars("1")), ..deployment("m") };
    assert!(!checked(&fleet(three()), &final_rule, NOW).report.time_can_help);
    let mut pending = three();
    pending[1].inventory = Inventory::Pending { since: NOW };
    assert!(checked(&fleet(pending), &final_rule, NOW).report.time_can_help, "not all have reported");
    let mut down = three();
    down[1].state = not_ready(NOW);
    assert!(!checked(&fleet(down), &final_rule, NOW).report.time_can_help, "the budget decides first");
    assert!(checked(&Fleet::new(), &final_rule, NOW).report.time_can_help, "no targets exist");
    assert_eq!(summed(&checked(&Fleet::new(), &final_rule, NOW)), "no ServingTarget exists; create one");
}

#[test]
fn the_report_is_bounded_and_shows_every_kind() {
    let mut targets: Vec<Target> =
        (0..30).map(|index| target(&format!("ok-{index:02}"), "aws", "eu-west-1", "90")).collect();
    targets.extend((0..30).map(|index| target(&format!("us-{index:02}"), "aws", "us-east-1", "10")));
    targets[31].taints = vec![Taint { key: "k".into(), value: "v".into(), effect: Effect::NoPlacement }];
    targets[32].offers[0].accelerator = Some(accelerator("T4", 8));
    let mut deployment = deployment("m");
    deployment.rules.jurisdictions = Some(BTreeSet::from(["EU".to_owned()]));
    let report = checked(&fleet(targets), &deployment, NOW).report;
    assert_eq!(report.candidates.len(), MAX_CANDIDATES);
    let count = |wanted: fn(&Candidate) -> bool| report.candidates.iter().filter(|candidate| wanted(candidate)).count();
    let (chosen, rejected) = (count(|candidate| candidate.verdict.is_chosen()), count(is_rejected));
    assert_eq!((chosen, count(|candidate| candidate.reason() == Reason::Feasible), rejected), (1, 8, 7));
    let listed = u32::try_from(report.candidates.len()).unwrap();
    assert_eq!(report.omitted.values().sum::<u32>() + listed, 60);
    let told = report.candidates.iter().find(|candidate| is_rejected(candidate)).unwrap();
    assert_eq!(told.hourly_cost, Some(dollars("5")), "the cheapest that was not allowed");
}

#[test]
fn who_is_in_the_way_is_told_but_not_to_other_namespaces() {
    let mut fleet = fleet([target("eks-us", "aws", "us-east-1", "80")]);
    let mine = Deployment { replicas: 4, priority: -1, ..deployment("mine") };
    let mut other = Deployment { replicas: 3, priority: -2, ..deployment("other") };
    settle(&mut fleet, &mine, NOW);
    serve(&mut fleet, "mine-eks-us-h100x2-0", NOW);
    other.id.namespace = "team-b".into();
    settle(&mut fleet, &other, NOW);
    let plan = checked(&fleet, &deployment("m"), NOW);
    assert_eq!(plan.decision, Decision::NoFeasiblePlacement);
    let held = plan.waits.iter().find(|wait| matches!(wait, Wait::LowerPriority { .. })).expect("told");
    assert_eq!(
        roadstead_explain::wait(held),
        "deployments of lower priority use offer a3 on eks-us (mine and 1 deployment in other namespaces); Roadstead does not preempt them"
    );
    let equal = Deployment { priority: -2, ..deployment("m") };
    let plan = checked(&fleet, &equal, NOW);
    assert!(!plan.waits.iter().any(|wait| matches!(wait, Wait::LowerPriority { .. })));
}

fn is_rejected(candidate: &Candidate) -> bool {
    matches!(candidate.verdict, Verdict::Rejected(_))
}

/// The targets, and a hosted vendor beside them.
fn three_and_a_vendor() -> Vec<Target> {
    let vendor = Target {
        offers: Vec::new(),
        nodes: Some(Vec::new()),
        capabilities: Capabilities::of_vendor(),
        ..target("vendor", "openai", "us", "1")
    };
    three().into_iter().chain([vendor]).collect()
}

#[test]
fn nothing_is_placed_at_a_hosted_vendor_and_no_candidate_is_there() {
    let plan = checked(&fleet(three_and_a_vendor()), &deployment("m"), NOW);
    assert_eq!(plan.report.candidates.len(), checked(&fleet(three()), &deployment("m"), NOW).report.candidates.len());
    assert!(!render_text(&plan).contains("vendor"));
}

#[test]
fn the_rules_for_endpoints_keep_requests_from_a_hosted_vendor_too() {
    let reason = |targets: Vec<Target>, deployment: &Deployment| {
        fleet(targets).rejection_of_vendor(deployment, "vendor").map(|rejection| rejection.reason())
    };
    assert_eq!(reason(three_and_a_vendor(), &deployment("m")), None);
    let mut in_the_union = deployment("m");
    in_the_union.rules.jurisdictions = Some(BTreeSet::from(["EU".to_owned()]));
    assert_eq!(reason(three_and_a_vendor(), &in_the_union), Some(Reason::JurisdictionUnknown));
    let mut tainted = three_and_a_vendor();
    tainted[3].taints = vec![Taint { key: "k".into(), value: "v".into(), effect: Effect::NoPlacement }];
    assert_eq!(reason(tainted, &deployment("m")), Some(Reason::TaintNotTolerated));
    let mut closed = three_and_a_vendor();
    closed[3].allowed_namespaces = None;
    assert_eq!(reason(closed, &deployment("m")), Some(Reason::NamespaceNotAllowed));
}

#[test]
fn endpoints_get_what_the_ceilings_of_hosted_models_leave_of_the_budget() {
    let with = |ceiling: &str| Deployment {
        max_hourly_cost: Some(dollars("1000")),
        hosted_ceiling: dollars(ceiling),
        ..deployment("m")
    };
    let cost = created(&checked(&fleet(three()), &with("0"), NOW)).unwrap().hourly_cost.unwrap();
    let rest = |over: u64| MicroDollars(1_000_000_000 - cost.0 + over);
    let exactly = Deployment { hosted_ceiling: rest(0), ..with("0") };
    assert!(created(&checked(&fleet(three()), &exactly, NOW)).is_some());
    let more = Deployment { hosted_ceiling: rest(1), ..with("0") };
    assert!(created(&checked(&fleet(three()), &more, NOW)).is_none());
}
