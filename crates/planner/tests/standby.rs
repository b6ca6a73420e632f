//! The standby: when it is created and where, when it takes over, and when it goes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use roadstead_explain::render_text;
use roadstead_model::*;
use roadstead_planner::*;

const STANDBY: &str = "m-gke-eu-h100x2-1";

/// Two replicas behind a gateway, of which one stands by.
fn m() -> Deployment {
    Deployment { divisible: true, standby_replicas: 1, ..deployment("m") }
}

/// A cheap region with two targets, a dearer one and the dearest.
fn three_regions() -> Vec<Target> {
    let mut all = two();
    all.push(target("eks-us-b", "aws", "us-east-1", "81"));
    all.push(target("aks-uk", "azure", "uksouth", "95"));
    all
}

/// The deployment serves in the cheap region.
fn without_standby() -> Fleet {
    let mut fleet = fleet(three_regions());
    assert_eq!(placed_on(&settle(&mut fleet, &m(), NOW)), Some("eks-us"));
    serve(&mut fleet, US, NOW);
    fleet
}

/// The standby is created, and answers.
fn with_standby() -> Fleet {
    let mut fleet = without_standby();
    settle(&mut fleet, &m(), NOW);
    serve(&mut fleet, STANDBY, NOW.plus(30));
    fleet
}

/// The endpoint has failed for the whole toleration.
fn fail_for_long(fleet: &mut Fleet, name: &str, since: Timestamp) {
    change(fleet, name, |endpoint| {
        endpoint.ready = false;
        endpoint.health = Health::Lost;
        endpoint.failing_since = Some(since);
        endpoint.failed_at = Some(since.plus(60));
    });
}

fn promoted(plan: &Plan) -> Option<(&str, &str, Decision)> {
    plan.actions.iter().find_map(|action| match action {
        Action::Promote { endpoint, replaces, reason } => Some((endpoint.as_str(), replaces.as_str(), *reason)),
        _ => None,
    })
}

fn roles(plan: &Plan) -> Vec<(&str, Role)> {
    plan.allocations.iter().map(|one| (one.target.as_str(), one.role)).collect()
}

#[test]
fn it_is_created_once_all_replicas_serve_at_the_cheapest_place_in_another_region() {
    let mut fleet = fleet(three_regions());
    assert_eq!(all_created(&settle(&mut fleet, &m(), NOW)).count(), 1, "first what serves");
    assert_eq!(created(&settle(&mut fleet, &m(), NOW.plus(5))), None, "it does not serve yet");
    serve(&mut fleet, US, NOW.plus(10));
    let plan = settle(&mut fleet, &m(), NOW.plus(10));
    let placement = created(&plan).unwrap();
    assert_eq!((placement.target.as_str(), placement.replicas), ("gke-eu", 1), "{}", render_text(&plan));
    assert_eq!(roles(&plan), [("eks-us", Role::Serving), ("gke-eu", Role::Standby)]);
    assert_eq!(plan.decision, Decision::Unchanged);
    let plan = settle(&mut fleet, &m(), NOW.plus(20));
    assert_eq!((created(&plan), kept(&plan, STANDBY).replicas), (None, 1), "{}", render_text(&plan));
}

#[test]
fn the_topology_of_the_spread_says_what_another_failure_domain_is() {
    let spread = Some(SpreadRule { topology: Topology::Target, min_domains: 1 });
    let plan = settle(&mut without_standby(), &Deployment { spread, ..m() }, NOW);
    assert_eq!(placed_on(&plan), Some("eks-us-b"));
    let spread = Some(SpreadRule { topology: Topology::Cloud, min_domains: 1 });
    let plan = settle(&mut without_standby(), &Deployment { spread, ..m() }, NOW);
    assert_eq!(placed_on(&plan), Some("gke-eu"));
}

#[test]
fn there_is_none_without_a_gateway_or_at_zero_replicas() {
    let plan = settle(&mut without_standby(), &Deployment { divisible: false, ..m() }, NOW);
    assert_eq!(created(&plan), None);
    let mut fleet = with_standby();
    let plan = settle(&mut fleet, &Deployment { replicas: 0, ..m() }, NOW.plus(60));
    assert_eq!(drained(&plan, STANDBY), Some(NOW.plus(180)), "{}", render_text(&plan));
}

#[test]
fn where_it_has_no_place_the_plan_says_why_and_what_serves_stays() {
    let mut fleet = without_standby();
    fleet.remove_target("aks-uk");
    change_target(&mut fleet, "gke-eu", |target| target.nodes = Some(vec![node("n1", 0)]));
    let plan = settle(&mut fleet, &m(), NOW);
    assert_eq!((created(&plan), plan.decision), (None, Decision::Unchanged));
    assert!(render_text(&plan).contains("no place for a standby of 1 replica in another failure domain: "));
    assert!(!plan.waits.contains(&Wait::Feasible), "what serves waits for nothing");
    fleet.remove_target("gke-eu");
    let plan = settle(&mut fleet, &m(), NOW);
    assert!(plan.waits.contains(&Wait::StandbyPlace { replicas: 1, nowhere: None }), "{}", render_text(&plan));
}

#[test]
fn it_counts_toward_the_budget_and_goes_first() {
    // Two replicas of two accelerators cost 40, the standby costs 22.
    let within = |budget: &str| Deployment { max_hourly_cost: Some(dollars(budget)), ..m() };
    assert_eq!(created(&settle(&mut without_standby(), &within("61"), NOW)), None);
    assert_eq!(placed_on(&settle(&mut without_standby(), &within("62"), NOW)), Some("gke-eu"));
    let mut fleet = with_standby();
    let plan = settle(&mut fleet, &within("61"), NOW.plus(60));
    assert_eq!(drained(&plan, STANDBY), Some(NOW.plus(180)), "{}", render_text(&plan));
    assert_eq!(kept(&plan, US).findings, []);
}

#[test]
fn at_the_end_of_the_toleration_it_takes_over_and_nothing_is_created_for_that() {
    let mut fleet = with_standby();
    fail_for_long(&mut fleet, US, NOW.plus(100));
    change(&mut fleet, US, |endpoint| endpoint.failed_at = Some(NOW.plus(159)));
    assert_eq!(promoted(&settle(&mut fleet.clone(), &m(), NOW.plus(159))), None, "not before");
    change(&mut fleet, US, |endpoint| endpoint.failed_at = Some(NOW.plus(160)));
    let plan = settle(&mut fleet, &m(), NOW.plus(160));
    assert_eq!(promoted(&plan), Some((STANDBY, US, Decision::TargetLost)), "{}", render_text(&plan));
    assert_eq!((created(&plan), deleted(&plan, US)), (None, None));
    assert!(render_text(&plan).contains("which stood by"));
    // It has one replica, and is to have two: it grows where it is.
    let plan = settle(&mut fleet, &m(), NOW.plus(161));
    assert_eq!((kept(&plan, STANDBY).replicas, deleted(&plan, US)), (2, None), "{}", render_text(&plan));
    serve(&mut fleet, STANDBY, NOW.plus(30));
    let plan = settle(&mut fleet, &m(), NOW.plus(200));
    assert!(drained(&plan, US).is_some(), "{}", render_text(&plan));
    // The next one stands by outside the region of what serves and of what was lost, though eks-us-b would cost less.
    assert_eq!(placed_on(&plan), Some("aks-uk"), "{}", render_text(&plan));
}

#[test]
fn it_takes_over_also_from_an_endpoint_that_is_younger() {
    let mut fleet = with_standby();
    change(&mut fleet, US, |endpoint| endpoint.created_at = NOW.plus(50));
    fail_for_long(&mut fleet, US, NOW.plus(100));
    let one = Deployment { replicas: 1, ..m() };
    assert!(promoted(&settle(&mut fleet, &one, NOW.plus(160))).is_some());
    let plan = settle(&mut fleet, &one, NOW.plus(161));
    assert_eq!(roles(&plan)[0], ("gke-eu", Role::Serving), "{}", render_text(&plan));
    assert!(drained(&plan, US).is_some());
}

#[test]
fn a_standby_that_does_not_answer_takes_over_from_nothing() {
    let mut fleet = with_standby();
    change(&mut fleet, STANDBY, |standby| standby.ready = false);
    fail_for_long(&mut fleet, US, NOW.plus(100));
    let plan = settle(&mut fleet, &m(), NOW.plus(160));
    assert_eq!((promoted(&plan), placed_on(&plan)), (None, Some("eks-us-b")), "{}", render_text(&plan));
}

#[test]
fn what_has_to_leave_goes_elsewhere_if_it_can_and_takes_the_standby_else() {
    let mut fleet = with_standby();
    change_target(&mut fleet, "eks-us", |target| target.taints = vec![eviction()]);
    let plan = settle(&mut fleet.clone(), &m(), NOW.plus(60));
    assert_eq!((promoted(&plan), placed_on(&plan)), (None, Some("eks-us-b")), "{}", render_text(&plan));
    for full in ["eks-us-b", "gke-eu", "aks-uk"] {
        change_target(&mut fleet, full, |target| target.nodes = Some(vec![node("n1", 0)]));
    }
    let plan = settle(&mut fleet, &m(), NOW.plus(60));
    assert_eq!(promoted(&plan), Some((STANDBY, US, Decision::TargetEvicted)), "{}", render_text(&plan));
}

#[test]
fn one_that_fails_is_made_elsewhere_unless_only_it_answers() {
    let mut fleet = with_standby();
    fail_for_long(&mut fleet, STANDBY, NOW.plus(100));
    let plan = settle(&mut fleet, &m(), NOW.plus(160));
    assert_eq!(deleted(&plan, STANDBY), Some(Removal::StandbyMoved), "{}", render_text(&plan));
    change_target(&mut fleet, "gke-eu", |target| target.state = not_ready(NOW));
    assert_eq!(placed_on(&settle(&mut fleet, &m(), NOW.plus(161))), Some("aks-uk"));

    let mut fleet = with_standby();
    change_target(&mut fleet, "gke-eu", |target| target.taints = vec![eviction()]);
    change(&mut fleet, US, |endpoint| endpoint.ready = false);
    let plan = settle(&mut fleet, &m(), NOW.plus(60));
    assert_eq!((deleted(&plan, STANDBY), drained(&plan, STANDBY)), (None, None), "{}", render_text(&plan));
    assert!(plan.waits.contains(&Wait::Successor { endpoint: STANDBY.into() }));
}

#[test]
fn it_moves_away_from_what_serves() {
    let mut fleet = with_standby();
    let to_eu = Deployment { move_to: Some("gke-eu".into()), ..m() };
    let plan = settle(&mut fleet, &to_eu, NOW.plus(60));
    assert_eq!(placed_on(&plan), Some("gke-eu"));
    assert_eq!(drained(&plan, STANDBY), None, "{}", render_text(&plan));
    serve(&mut fleet, "m-gke-eu-h100x2-2", NOW.plus(70));
    let plan = settle(&mut fleet, &to_eu, NOW.plus(70));
    assert_eq!(drained(&plan, STANDBY), Some(NOW.plus(190)), "{}", render_text(&plan));
    assert_eq!(placed_on(&settle(&mut fleet, &to_eu, NOW.plus(71))), Some("eks-us"));
}

#[test]
fn an_edit_reaches_it_after_what_serves() {
    let mut fleet = with_standby();
    for name in [US, STANDBY] {
        change(&mut fleet, name, |endpoint| endpoint.outdated = true);
    }
    let plan = settle(&mut fleet, &m(), NOW.plus(60));
    assert_eq!((kept(&plan, US).pods, kept(&plan, STANDBY).pods), (PodFields::FollowSpec, PodFields::StayAsPlaced));
    change(&mut fleet, US, |endpoint| (endpoint.outdated, endpoint.ready) = (false, false));
    let plan = settle(&mut fleet, &m(), NOW.plus(61));
    assert_eq!(kept(&plan, STANDBY).pods, PodFields::StayAsPlaced, "the new form may be broken");
    change(&mut fleet, US, |endpoint| endpoint.ready = true);
    let plan = settle(&mut fleet, &m(), NOW.plus(62));
    assert_eq!(kept(&plan, STANDBY).pods, PodFields::FollowSpec);
}

#[test]
fn a_suspended_deployment_keeps_it_and_one_that_wants_none_drains_it() {
    let plan = settle(&mut with_standby(), &Deployment { suspended: true, ..m() }, NOW.plus(60));
    assert_eq!((kept(&plan, STANDBY).replicas, plan.actions.len()), (1, 2));
    let plan = settle(&mut with_standby(), &Deployment { standby_replicas: 0, ..m() }, NOW.plus(60));
    assert_eq!(drained(&plan, STANDBY), Some(NOW.plus(180)));
    let plan = settle(&mut with_standby(), &Deployment { standby_replicas: 2, ..m() }, NOW.plus(60));
    assert_eq!(kept(&plan, STANDBY).replicas, 2);
}

#[test]
fn a_rebuilt_hub_finds_all_parts_and_the_standby_again() {
    let found = |name: &str, target: &str, replicas: u32| Found {
        name: name.into(),
        id: name.into(),
        deployment: id("m"),
        target: target.into(),
        offer: "a3".into(),
        shape: "h100x2".into(),
        capacity_type: CapacityType::OnDemand,
        slot: replicas,
        accelerators: 2,
        runs: None,
        replicas,
        ready_replicas: replicas,
        created_at: NOW,
    };
    let three = Deployment { replicas: 5, ..m() };
    let mut fleet = fleet(three_regions());
    fleet.set_found("eks-us", vec![found("most", "eks-us", 3)]);
    fleet.set_found("eks-us-b", vec![found("rest", "eks-us-b", 2)]);
    fleet.set_found("gke-eu", vec![found("standby", "gke-eu", 1)]);
    let plan = settle(&mut fleet, &three, NOW);
    let states = plan.actions.iter().map(|action| match action {
        Action::Adopt { found, state } => (found.name.as_str(), *state),
        other => panic!("{other:?}"),
    });
    let expected =
        [("most", EndpointState::Active), ("rest", EndpointState::Active), ("standby", EndpointState::Standby)];
    assert_eq!(states.collect::<Vec<_>>(), expected);
}
