//! Promises of the simulated cloud to drivers.

use super::*;
use crate::cloud::wire::{Capacity, Form};
use roadstead_api::v1alpha1::{CapacityType, SimulatedEffect, SimulatedFault};
use roadstead_provider::tags::EndpointTags;

fn order(name: &str, replicas: u32) -> CreateOrder {
    CreateOrder {
        name: name.to_owned(),
        tags: EndpointTags {
            install_id: "prod".to_owned(),
            namespace: "team".to_owned(),
            deployment: "llama".to_owned(),
            target: "east".to_owned(),
            offer: "h100".to_owned(),
            shape: "s".to_owned(),
            capacity_type: CapacityType::OnDemand,
            slot: 0,
        },
        form: form(replicas),
    }
}

fn form(replicas: u32) -> Form {
    Form {
        replicas,
        accelerators: 2,
        model: "llama".to_owned(),
        template_hash: "a".to_owned(),
        api_key: "rs-key".to_owned(),
        record: String::new(),
    }
}

fn world(profile: Profile) -> World {
    let mut world = World::default();
    world.identify("east", profile, 0).unwrap();
    world
}

fn class<T>(answer: CallResult<T>) -> String {
    answer.err().map(|refusal| refusal.class).unwrap_or_default()
}

fn names(world: &mut World, now: i64) -> Vec<String> {
    world.list("east", "prod", now).unwrap().endpoints.into_iter().map(|view| view.name).collect()
}

#[test]
fn a_place_is_the_same_for_ever_and_held_by_one_hub_of_an_installation() {
    let mut world = world(Profile::default());
    let identity = world.identify("east", Profile::default(), 99).unwrap().identity;
    assert_eq!(world.identify("east", Profile::default(), 0).unwrap().identity, identity);
    let mut claim = |hub: &str, takeover: Option<&str>| {
        let order = ClaimOrder { hub_uid: hub.to_owned(), takeover: takeover.map(ToOwned::to_owned) };
        world.claim("east", "prod", &order).unwrap().hub_uid
    };
    assert_eq!(claim("first", None), "first");
    assert_eq!(claim("second", None), "first");
    assert_eq!(claim("second", Some("first")), "second");
    assert_eq!(claim("first", None), "second");
}

#[test]
fn nothing_is_created_twice_nor_changed_or_deleted_unseen() {
    let mut world = world(Profile::default());
    let view = world.create("east", order("a", 1), 0).unwrap();
    assert_eq!(class(world.create("east", order("a", 1), 0)), "Conflict");
    let update = |version| UpdateOrder { version, form: form(2) };
    assert_eq!(class(world.update("east", "a", update(view.version + 1), 0)), "Conflict");
    assert_eq!(world.update("east", "a", update(view.version), 0).unwrap().replicas, 2);
    assert_eq!(class(world.delete("east", "a", "another", 0)), "Conflict");
    world.delete("east", "a", &view.uid, 0).unwrap();
    assert_eq!(class(world.get("east", "a", 0)), "NotFound");
    let outcomes: Vec<String> =
        world.log(0).into_iter().map(|entry| format!("{} {}", entry.call, entry.outcome)).collect();
    assert_eq!(
        outcomes,
        ["Create done", "Create Conflict", "Update Conflict", "Update done", "Delete Conflict", "Delete done"]
    );
}

#[test]
fn what_really_is_there_bounds_what_is_created_early_or_late() {
    let capacity = |late| Profile {
        capacity: [("h100".to_owned(), Capacity { accelerators: 4, late, quota: false })].into(),
        ..Profile::default()
    };
    let mut early = world(capacity(false));
    let view = early.create("east", order("a", 1), 0).unwrap();
    assert_eq!(class(early.create("east", order("b", 2), 0)), "CapacityExhausted");
    assert_eq!(
        class(early.update("east", "a", UpdateOrder { version: view.version, form: form(3) }, 0)),
        "CapacityExhausted"
    );
    assert!(early.update("east", "a", UpdateOrder { version: view.version, form: form(2) }, 0).is_ok());
    let mut late = world(capacity(true));
    late.create("east", order("a", 1), 0).unwrap();
    let view = late.create("east", order("b", 2), 0).unwrap();
    assert!(view.exhausted && view.ready_replicas == 0, "{view:?}");
}

#[test]
fn a_listing_lags_behind_what_was_created_and_deleted() {
    let mut world = world(Profile { list_lag_millis: 100, ..Profile::default() });
    let view = world.create("east", order("a", 1), 0).unwrap();
    assert!(names(&mut world, 99).is_empty());
    assert_eq!(world.next_change("east", 99), Some(100));
    assert_eq!(names(&mut world, 100), ["a"]);
    world.delete("east", "a", &view.uid, 200).unwrap();
    assert_eq!(class(world.get("east", "a", 200)), "NotFound");
    assert_eq!(names(&mut world, 299), ["a"]);
    assert!(names(&mut world, 300).is_empty());
}

#[test]
fn another_installation_sees_nothing_of_ours() {
    let mut world = world(Profile::default());
    world.create("east", order("a", 1), 0).unwrap();
    assert!(world.list("east", "other", 0).unwrap().endpoints.is_empty());
}

#[test]
fn only_the_key_opens_an_endpoint() {
    let mut world = world(Profile { startup_millis: 10, ..Profile::default() });
    world.create("east", order("a", 1), 0).unwrap();
    assert_eq!(world.serves("east", "a", Some("rs-key"), 9), None);
    assert_eq!(world.serves("east", "a", Some("rs-key"), 10), Some("llama"));
    assert_eq!(world.serves("east", "a", Some("wrong"), 10), Some(""));
    assert_eq!(world.serves("east", "a", None, 10), Some(""));
}

#[test]
fn the_world_survives_its_process() {
    let mut world = world(Profile { deletion_millis: 5, ..Profile::default() });
    let view = world.create("east", order("a", 1), 0).unwrap();
    world.create("east", order("b", 1), 0).unwrap();
    world.delete("east", "a", &view.uid, 1).unwrap();
    world.get("east", "b", 10).unwrap();
    let mut again = World::restore(world.take_journal());
    assert_eq!(again.entries(), world.entries());
    let identity = world.identify("east", Profile::default(), 20).unwrap();
    assert_eq!(again.identify("east", Profile::default(), 20).unwrap(), identity);
    assert_eq!(names(&mut again, 20), ["b"]);
}

#[test]
fn faults_hit_the_calls_of_their_place() {
    let fault = SimulatedFault {
        calls: vec![SimulatedCall::Create],
        effect: SimulatedEffect::Lost,
        class: None,
        seconds: None,
        percent: None,
        times: Some(1),
    };
    let mut world = world(Profile { faults: vec![fault], ..Profile::default() });
    assert_eq!(world.hit("west", SimulatedCall::Create), None);
    assert_eq!(world.hit("east", SimulatedCall::Create), Some(Hit::Lost));
    assert_eq!(world.hit("east", SimulatedCall::Create), None);
}

#[test]
fn the_version_of_a_place_changes_with_what_happens_there_and_with_nothing_else() {
    let mut world = world(Profile::default());
    world.identify("west", Profile::default(), 0).unwrap();
    let east = world.version("east");
    world.identify("east", Profile::default(), 1).unwrap();
    world.create("west", order("a", 1), 1).unwrap();
    assert_eq!(world.version("east"), east, "another place, and the same profile again");
    let uid = world.create("east", order("a", 1), 1).unwrap().uid;
    let created = world.version("east");
    world.delete("east", "a", &uid, 2).unwrap();
    let deleted = world.version("east");
    world.identify("east", Profile { list_lag_millis: 1, ..Profile::default() }, 3).unwrap();
    assert!(east < created && created < deleted && deleted < world.version("east"));
}
