//! Moves that people ask for: to a named target, or away from one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use roadstead_explain::render_text;
use roadstead_model::*;
use roadstead_planner::*;

fn to(target: &str) -> Deployment {
    Deployment { move_to: Some(target.into()), ..deployment("m") }
}

fn evicted(target: &str) -> Fleet {
    let mut fleet = serving();
    change_target(&mut fleet, target, |target| target.taints = vec![eviction()]);
    fleet
}

#[test]
fn a_requested_move_replaces_before_it_removes_also_where_the_place_costs_more() {
    let mut fleet = serving();
    let plan = settle(&mut fleet, &to("gke-eu"), NOW);
    assert_eq!((plan.decision, placed_on(&plan)), (Decision::MoveRequested, Some("gke-eu")));
    assert_eq!(findings(&plan, US), [FindingReason::MoveRequested]);
    assert_eq!(deleted(&plan, US), None);
    assert!(render_text(&plan).contains("a move to target gke-eu is requested"), "{}", render_text(&plan));
}

#[test]
fn the_old_endpoint_has_its_whole_drain_however_long_gateways_took() {
    let mut fleet = serving();
    settle(&mut fleet, &to("gke-eu"), NOW);
    serve(&mut fleet, EU_REPLACEMENT, NOW.plus(10));
    let step = Shifting { percent: 10, until: NOW.plus(600) };
    change(&mut fleet, EU_REPLACEMENT, |endpoint| (endpoint.ready, endpoint.shifting) = (false, Some(step)));
    let plan = settle(&mut fleet, &to("gke-eu"), NOW.plus(20));
    assert!(plan.waits.contains(&Wait::Shift { endpoint: EU_REPLACEMENT.into(), step }), "{:?}", plan.waits);
    assert_eq!((drained(&plan, US), deleted(&plan, US)), (None, None));
    change(&mut fleet, EU_REPLACEMENT, |endpoint| (endpoint.ready, endpoint.shifting) = (true, None));
    let plan = settle(&mut fleet, &to("gke-eu"), NOW.plus(600));
    assert_eq!((drained(&plan, US), deleted(&plan, US)), (Some(NOW.plus(600 + 120)), None));
}

#[test]
fn a_deployment_that_is_where_it_was_asked_to_go_stays() {
    let plan = settle(&mut serving(), &to("eks-us"), NOW);
    assert_eq!((plan.decision, created(&plan)), (Decision::Unchanged, None));
}

#[test]
fn a_requested_move_breaks_no_rule_and_says_which_one_it_would_break() {
    let asked = Deployment { max_hourly_cost: Some(dollars("41")), ..to("gke-eu") };
    let plan = settle(&mut serving(), &asked, NOW);
    assert_eq!((plan.decision, created(&plan)), (Decision::MoveRequested, None));
    assert!(render_text(&plan).contains("1 OverBudget"), "{}", render_text(&plan));
    let plan = settle(&mut serving(), &to("nowhere"), NOW);
    assert_eq!(created(&plan), None);
    let said = "target nowhere does not exist or does not allow namespace";
    assert!(render_text(&plan).contains(said), "{}", render_text(&plan));
}

#[test]
fn a_withdrawn_request_ends_a_move_whose_replacement_is_not_ready() {
    let mut fleet = serving();
    settle(&mut fleet, &to("gke-eu"), NOW);
    let plan = settle(&mut fleet, &deployment("m"), NOW.plus(5));
    assert_eq!(deleted(&plan, EU_REPLACEMENT), Some(Removal::MoveAbandoned));
    assert_eq!(deleted(&plan, US), None);
}

#[test]
fn an_eviction_replaces_what_does_not_tolerate_it() {
    let plan = settle(&mut evicted("eks-us"), &deployment("m"), NOW);
    assert_eq!((plan.decision, placed_on(&plan)), (Decision::TargetEvicted, Some("gke-eu")));
    assert_eq!(findings(&plan, US), [FindingReason::TargetEvicted]);
    assert_eq!(deleted(&plan, US), None, "it stays until the replacement serves");

    let mut tolerant = deployment("m");
    let operator = TolerationOperator::Exists;
    tolerant.rules.target_tolerations =
        vec![Toleration { key: Some("maintenance".into()), operator, ..Toleration::default() }];
    let plan = settle(&mut evicted("eks-us"), &tolerant, NOW);
    assert_eq!((plan.decision, created(&plan)), (Decision::Unchanged, None));
}

#[test]
fn an_eviction_without_another_place_removes_nothing() {
    let mut fleet = evicted("eks-us");
    fleet.remove_target("gke-eu");
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!((plan.decision, created(&plan), deleted(&plan, US)), (Decision::TargetEvicted, None, None));
    assert!(plan.waits.contains(&Wait::Feasible));
}

#[test]
fn an_evicted_target_takes_nothing_new() {
    let plan = settle(&mut evicted("eks-us"), &deployment("other"), NOW);
    assert_eq!(verdict(&plan, "eks-us").reason(), Reason::TaintNotTolerated);
    assert_eq!(placed_on(&plan), Some("gke-eu"));
}
