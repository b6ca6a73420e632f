//! Room that is promised to a write in flight is promised to nothing else, whatever a watch shows meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use roadstead_decision_engine::{Engine, Listing};
use roadstead_model::*;

const A: &str = "a-east-0";
const B: &str = "b-east-0";

/// One target with one node of eight, and `a` of one replica of two on it, as observed.
fn one_node() -> Engine {
    let mut engine = Engine::default();
    engine.observe_target(target("east", "aws", "us-east-1", 80, 1), None);
    let first = decide(&mut engine, "a", 1);
    assert_eq!(first.actions.len(), 1);
    let made = observed(&engine, A);
    land(&mut engine, made);
    engine.ended(&id("a"));
    engine
}

fn decide(engine: &mut Engine, name: &str, replicas: u32) -> Plan {
    let deployment = deployment(name, replicas);
    engine.decide(&deployment, BEGIN, name_of(&deployment)).expect("the plan is sound").plan
}

/// An endpoint as a watch shows it now.
fn observed(engine: &Engine, name: &str) -> Endpoint {
    engine.fleet().endpoint(&key(name)).expect("it is known").clone()
}

/// A write has landed: its answer shows the endpoint so.
fn land(engine: &mut Engine, endpoint: Endpoint) {
    let key = endpoint.key();
    engine.observe_endpoint(endpoint);
    engine.answered(&key);
}

fn is_placed(engine: &Engine, name: &str) -> bool {
    engine.fleet().endpoint(&key(name)).is_some()
}

#[test]
fn a_watch_that_shows_the_past_gives_no_promised_room_away() {
    let mut engine = one_node();
    let past = observed(&engine, A);
    decide(&mut engine, "a", 3);
    assert_eq!(observed(&engine, A).replicas, 3, "assumed at once");
    // Its own controller reports something, and the watch shows the record from before the write.
    engine.observe_endpoint(Endpoint { answer_by: Some(BEGIN.plus(600)), ..past });
    assert_eq!(observed(&engine, A).replicas, 3, "the write is still in flight");
    decide(&mut engine, "b", 2);
    assert!(!is_placed(&engine, B), "six of eight accelerators are promised, four are wanted");
    let now = Endpoint { replicas: 3, ..observed(&engine, A) };
    land(&mut engine, now);
    decide(&mut engine, "b", 1);
    assert!(is_placed(&engine, B), "two are left");
}

#[test]
fn room_that_is_given_back_is_free_once_that_is_answered() {
    let mut engine = Engine::default();
    // A place without nodes: only `maxInstances` limits.
    let mut place = target("east", "aws", "us-east-1", 80, 1);
    place.nodes = None;
    place.offers.iter_mut().for_each(|offer| offer.max_instances = Some(1));
    engine.observe_target(place, None);
    decide(&mut engine, "a", 4);
    let made = observed(&engine, A);
    land(&mut engine, made.clone());
    decide(&mut engine, "a", 1);
    decide(&mut engine, "b", 3);
    assert!(!is_placed(&engine, B), "a may keep its four if the write is refused");
    land(&mut engine, Endpoint { replicas: 1, ..made });
    decide(&mut engine, "b", 3);
    assert!(is_placed(&engine, B));
}

#[test]
fn a_refused_write_gives_its_room_back() {
    let mut engine = one_node();
    decide(&mut engine, "b", 3);
    assert!(is_placed(&engine, B));
    decide(&mut engine, "c", 1);
    assert!(!is_placed(&engine, "c-east-0"), "all is promised");
    engine.ended(&id("b"));
    assert!(!is_placed(&engine, B));
    decide(&mut engine, "c", 1);
    assert!(is_placed(&engine, "c-east-0"));
}

#[test]
fn a_write_without_an_answer_keeps_its_room_until_it_is_decided_again() {
    let mut engine = one_node();
    decide(&mut engine, "b", 3);
    // Nobody knows whether the record was made. Others are decided meanwhile.
    decide(&mut engine, "c", 1);
    assert!(!is_placed(&engine, "c-east-0"));
    // It was not: b is decided again, and gets its place again.
    decide(&mut engine, "b", 3);
    assert!(is_placed(&engine, B));
}

#[test]
fn a_deletion_in_flight_is_not_undone_by_a_watch() {
    let mut engine = one_node();
    let refused = Endpoint {
        failure: Some(Failure { kind: FailureKind::CapacityExhausted, since: BEGIN }),
        ..observed(&engine, A)
    };
    engine.observe_endpoint(refused.clone());
    let plan = decide(&mut engine, "a", 1);
    assert!(matches!(plan.actions.first(), Some(Action::Delete { .. })), "{plan:?}");
    engine.observe_endpoint(refused);
    assert_eq!(observed(&engine, A).state, EndpointState::Deleting);
    engine.observe_endpoint_gone(&key(A));
    assert!(!is_placed(&engine, A));
}

#[test]
fn bound_pods_are_those_of_the_target_whatever_is_in_flight() {
    let mut engine = one_node();
    decide(&mut engine, "a", 3);
    let bound = [(A.to_owned(), [("n0".to_owned(), 1)].into())].into();
    let mut east = target("east", "aws", "us-east-1", 80, 1);
    east.nodes = Some(vec![node("n0", 6)]);
    let listing = Listing { bound, ..Default::default() };
    assert!(engine.observe_target(east.clone(), Some(listing.clone())));
    assert_eq!((observed(&engine, A).bound_pods(), observed(&engine, A).replicas), (1, 3));
    assert!(!engine.observe_target(east, Some(listing)), "nothing new");
    engine.ended(&id("a"));
    assert_eq!((observed(&engine, A).bound_pods(), observed(&engine, A).replicas), (1, 1));
}

#[test]
fn a_listing_of_the_past_does_not_bring_a_removed_endpoint_back() {
    let mut engine = one_node();
    let east = target("east", "aws", "us-east-1", 80, 1);
    let past = Listing { found: vec![running(&observed(&engine, A))], ..Listing::default() };
    engine.observe_endpoint(Endpoint { state: EndpointState::Deleting, ..observed(&engine, A) });
    engine.observe_removed("east", A);
    engine.observe_endpoint(Endpoint { state: EndpointState::Deleting, ..observed(&engine, A) });
    engine.observe_endpoint_gone(&key(A));
    engine.observe_target(east.clone(), Some(past.clone()));
    assert_eq!(engine.fleet().found_of(&id("a")), Vec::<&Found>::new(), "its place said that it is gone");
    engine.observe_target(east.clone(), Some(Listing::default()));
    engine.observe_target(east, Some(past));
    assert_eq!(engine.fleet().found_of(&id("a")).len(), 1, "it was gone, and is there again");
}

/// The endpoint as its target lists it.
fn running(endpoint: &Endpoint) -> Found {
    Found {
        name: endpoint.name.clone(),
        id: "uid".to_owned(),
        deployment: endpoint.deployment.clone(),
        target: endpoint.target.clone(),
        offer: endpoint.offer.clone(),
        shape: endpoint.shape.clone(),
        capacity_type: endpoint.capacity_type,
        slot: endpoint.slot,
        accelerators: 1,
        replicas: endpoint.replicas,
        ready_replicas: endpoint.replicas,
        runs: None,
        created_at: BEGIN,
    }
}
