//! The check of plans finds what is wrong with one; the fleet keeps its books.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::*;
use roadstead_model::*;
use roadstead_planner::*;

const US: &str = "m-eks-us-h100x2-0";

fn world() -> Fleet {
    fleet([target("eks-us", "aws", "us-east-1", "80"), target("gke-eu", "gcp", "europe-west4", "88")])
}

fn serving() -> Fleet {
    let mut fleet = world();
    settle(&mut fleet, &deployment("m"), NOW);
    serve(&mut fleet, US, NOW);
    fleet
}

/// Spoils a plan, and expects the check to say so.
fn finds(fleet: &Fleet, deployment: &Deployment, spoil: impl FnOnce(&mut Plan), told: &str) {
    let mut plan = plan(fleet, deployment, NOW);
    spoil(&mut plan);
    let found: Vec<String> = lint(fleet, deployment, &plan).iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|violation| violation.contains(told)), "{told:?} is not among {found:?}");
}

fn placement(plan: &mut Plan) -> &mut Placement {
    let found = plan.actions.iter_mut().find_map(|action| match action {
        Action::Create { placement, .. } => Some(placement),
        _ => None,
    });
    found.expect("something is created")
}

#[test]
fn finds_places_that_are_not_allowed() {
    let eu = {
        let mut deployment = deployment("m");
        deployment.rules.jurisdictions = Some(BTreeSet::from(["EU".to_owned()]));
        deployment
    };
    finds(&world(), &eu, |plan| placement(plan).target = "eks-us".into(), "a rule of the deployment");
    let m = deployment("m");
    finds(&world(), &m, |plan| placement(plan).offer = "b4".into(), "does not exist");
    finds(&world(), &m, |plan| placement(plan).replicas = 1, "not all replicas are placed");
    finds(&world(), &m, |plan| placement(plan).hourly_cost = None, "the cost is not that of the offer");
    finds(&world(), &m, |plan| placement(plan).capacity_type = CapacityType::Spot, "do not match");
    finds(&world(), &m, |plan| plan.actions.extend(plan.actions.clone()), "more than one endpoint");
}

#[test]
fn finds_places_that_became_impossible() {
    let m = deployment("m");
    let late = plan(&world(), &m, NOW);
    let told = |edit: fn(&mut Target)| {
        let mut fleet = world();
        change_target(&mut fleet, "eks-us", edit);
        lint(&fleet, &m, &late).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert!(told(|target| target.state = not_ready(NOW)).contains("cannot be used"));
    assert!(told(|target| target.engines = Some(BTreeSet::new())).contains("cannot run the engine"));
    assert!(told(|target| target.nodes = Some(vec![])).contains("does not hold so many replicas"));
    assert!(told(|target| target.offers[0].hourly_price = Some(dollars("81"))).contains("the cost is not"));
    assert!(
        told(|target| {
            target.taints = vec![Taint { key: "k".into(), value: String::new(), effect: Effect::NoPlacement }];
        })
        .contains("a taint is not tolerated")
    );
    assert!(
        told(|target| {
            target.exhausted = vec![Exhausted {
                offer: "a3".into(),
                size: Size::default(),
                only_for: None,
                generation: 0,
                until: NOW.plus(1),
                attempts: 1,
                reason: "CapacityExhausted".into(),
            }];
        })
        .contains("refused this size lately")
    );
}

#[test]
fn finds_what_would_go_first() {
    let m = deployment("m");
    let delete = |name: &str| Action::Delete { endpoint: name.into(), reason: Removal::Superfluous, exhaust: None };
    finds(&serving(), &m, |plan| plan.actions = vec![delete(US)], "before another endpoint is ready");
    finds(&serving(), &m, |plan| plan.actions.push(delete(US)), "more than one action");
    finds(&serving(), &m, |plan| plan.actions = vec![delete("other")], "no such endpoint");
    let drain = Action::Drain { endpoint: US.into(), deadline: NOW, reason: Removal::Replaced };
    finds(&serving(), &m, |plan| plan.actions = vec![drain], "before another endpoint is ready");
}

#[test]
fn finds_replicas_that_nobody_asked_for() {
    let keep = |plan: &mut Plan, replicas| {
        for action in &mut plan.actions {
            if let Action::Keep(keep) = action {
                keep.replicas = replicas;
            }
        }
    };
    finds(&serving(), &deployment("m"), |plan| keep(plan, 3), "more replicas than are wanted");
    let mut forbidden = Deployment { replicas: 4, ..deployment("m") };
    forbidden.rules.clouds = Some(BTreeSet::from(["azure".to_owned()]));
    finds(&serving(), &forbidden, |plan| keep(plan, 4), "where a rule forbids it");
    let suspended = Deployment { suspended: true, ..deployment("m") };
    let drain = Action::Drain { endpoint: US.into(), deadline: NOW, reason: Removal::Replaced };
    finds(&serving(), &suspended, |plan| plan.actions = vec![drain], "suspended");
}

#[test]
fn the_fleet_forgets_without_a_trace() {
    let mut fleet = serving();
    let names = |fleet: &Fleet| fleet.endpoints_on("eks-us").map(|one| one.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&fleet), [US]);
    gone(&mut fleet, US);
    assert!(names(&fleet).is_empty());
    assert_eq!(fleet.endpoints_of(&id("m")).count(), 0);
    let wanted = plan(&world(), &deployment("m"), NOW);
    assert_eq!(plan(&fleet, &deployment("m"), NOW), wanted, "as if it had never been");
    assert!(fleet.remove_target("eks-us").is_some() && fleet.remove_target("eks-us").is_none());
    assert_eq!(fleet.targets().map(|target| target.name.as_str()).collect::<Vec<_>>(), ["gke-eu"]);
}

#[test]
fn an_endpoint_that_moves_is_counted_once() {
    let mut fleet = serving();
    change(&mut fleet, US, |endpoint| endpoint.target = "gke-eu".into());
    assert_eq!(fleet.endpoints_on("eks-us").count(), 0);
    assert_eq!(fleet.endpoints_on("gke-eu").count(), 1);
    assert_eq!(fleet.endpoints().count(), 1);
}

#[test]
fn what_was_found_goes_with_its_target() {
    let mut fleet = world();
    let found = Found {
        name: "m-found".into(),
        id: "uid".into(),
        deployment: id("m"),
        target: "eks-us".into(),
        offer: "a3".into(),
        shape: "h100x2".into(),
        capacity_type: CapacityType::OnDemand,
        slot: 0,
        accelerators: 2,
        replicas: 2,
        ready_replicas: 2,
        runs: None,
        created_at: NOW,
    };
    fleet.set_found("eks-us", vec![found.clone()]);
    assert_eq!(fleet.found_of(&id("m")), [&found]);
    assert!(fleet.found_of(&id("other")).is_empty());
    fleet.remove_target("eks-us");
    assert!(fleet.found_of(&id("m")).is_empty());
}

#[test]
fn what_names_another_target_is_taken_over_by_nobody() {
    let mut fleet = world();
    let found = Found {
        name: "m-found".into(),
        id: "uid".into(),
        deployment: id("m"),
        target: "gke-eu".into(),
        offer: "a3".into(),
        shape: "h100x2".into(),
        capacity_type: CapacityType::OnDemand,
        slot: 0,
        accelerators: 2,
        replicas: 2,
        ready_replicas: 2,
        runs: None,
        created_at: NOW,
    };
    fleet.set_found("eks-us", vec![found]);
    assert!(fleet.found_of(&id("m")).is_empty(), "a place cannot have something made at another one");
}
