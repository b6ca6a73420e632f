//! The candidates that a status tells of: of one decision with all that is told beside them, and told anew when a fact
//! that they show has changed.

use roadstead_model::{self as model, LabelSelector};
use serde_json::json;

use super::candidates;
use super::world::{Change, World, target};
use roadstead_api::v1alpha1::CandidateStatus;
use roadstead_api::v1alpha1::conditions;

impl World {
    fn candidate(&self, target: &str) -> Option<&CandidateStatus> {
        let status = self.object.status.as_ref().unwrap();
        status.candidates.iter().find(|candidate| candidate.target == target)
    }

    fn verdict(&self, target: &str) -> String {
        self.candidate(target).map_or("not listed".to_owned(), |one| format!("{}: {}", one.reason, one.message))
    }
}

#[test]
fn a_refusal_is_told_whole() {
    let mut world = World::new();
    world.edit(&json!({"placement": {"clouds": {"allow": ["aws"]}}}));
    world.reconcile();
    world.reconcile();
    assert_eq!(world.candidate("east").unwrap().reason, "Chosen");
    let writes = world.writes;
    world.refuse();
    world.reconcile();
    assert!(
        world.verdict("east").starts_with("Exhausted: this offer refused a replica with 1 H100 (CapacityExhausted"),
        "{}",
        world.verdict("east")
    );
    assert!(world.verdict("east").contains("does not retry it before"), "{}", world.verdict("east"));
    for type_ in [conditions::READY, conditions::PLACED] {
        let reads = world.reads(type_);
        assert!(reads.starts_with("False NoFeasiblePlacement: ") && reads.contains("1 Exhausted"), "{reads}");
    }
    assert_eq!(world.writes, writes + 1, "at once, and once");
}

#[test]
fn a_refusal_with_another_place_is_told_whole() {
    let mut world = World::new();
    world.reconcile();
    world.refuse();
    world.reconcile();
    assert_eq!(world.candidate("west").unwrap().reason, "Chosen");
    assert!(world.verdict("east").starts_with("Exhausted: "), "{}", world.verdict("east"));
    assert!(world.reads(conditions::PLACED).contains("on west"), "{}", world.reads(conditions::PLACED));
}

#[test]
fn a_decision_that_was_carried_out_and_not_told_is_told_with_its_candidates() {
    let mut world = World::new();
    world.reconcile();
    let first = world.object.status.clone().unwrap();
    assert_eq!((world.candidate("east").unwrap().reason.as_str(), first.revision), ("Chosen", 1));
    world.refuse();
    world.reconcile_untold();
    assert_eq!(world.object.status.as_ref(), Some(&first), "the operator ended before it told");
    world.reconcile();
    let status = world.object.status.clone().unwrap();
    assert_eq!((status.placements[0].target.as_str(), status.revision), ("west", 2));
    assert_eq!(world.candidate("west").unwrap().reason, "Chosen", "{:?}", status.candidates);
}

#[test]
fn what_runs_is_told_of_candidates_whose_facts_changed() {
    type Case = (&'static str, fn(&mut World), &'static str, &'static str);
    let cases: [Case; 8] = [
        (
            "price of another place",
            |w| w.change_target("west", Change::Price(Some(9))),
            "west",
            "costs $9.00/h, $4.00/h more",
        ),
        ("its own price", |w| w.change_target("east", Change::Price(Some(7))), "east", "stays at $7.00/h"),
        ("its own price, compared", |w| w.change_target("east", Change::Price(Some(8))), "west", "$2.00/h less"),
        ("a taint", |w| w.change_target("west", Change::Taint(true)), "west", "TaintNotTolerated: taint t:NoPlacement"),
        (
            "its own taint",
            |w| w.change_target("east", Change::Taint(true)),
            "east",
            "TaintNotTolerated: taint t:NoPlacement",
        ),
        ("an offer that is gone", |w| w.change_target("west", Change::Offer(false)), "west", "AcceleratorMissing"),
        (
            "a target that is being deleted",
            |w| {
                let (reason, message) = ("Deleting".to_owned(), String::new());
                let state = model::TargetState::NotReady { reason, message, since: model::Timestamp(0) };
                w.targets.get_mut("west").unwrap().state = state;
            },
            "west",
            "TargetNotReady",
        ),
        ("a target that is gone", |w| drop(w.targets.remove("west")), "west", "not listed"),
    ];
    for (name, happen, candidate, expected) in cases {
        let mut world = World::serving(&json!({}));
        world.reconcile();
        let writes = world.writes;
        happen(&mut world);
        world.now += 60;
        world.reconcile();
        assert!(world.verdict(candidate).contains(expected), "{name}: {}", world.verdict(candidate));
        world.endpoints_say(conditions::TRUE);
        for _ in 0..5 {
            world.now += 100;
            world.reconcile();
        }
        assert!(world.writes <= writes + 2, "{name}: told once, and of its endpoint's new cost");
        let settled = world.writes;
        world.now += 1_000;
        world.reconcile();
        assert_eq!(world.writes, settled, "{name}: silent again");
    }
}

#[test]
fn a_target_that_is_new_or_opened_is_told() {
    let mut world = World::serving(&json!({}));
    let north = target("north", "azure", "germanywestcentral", 7);
    world.targets.insert("north".to_owned(), model::Target { allowed_namespaces: None, ..north });
    world.now += 60;
    world.reconcile();
    assert_eq!(world.object.status.as_ref().unwrap().omitted_candidates, Some(1));
    world.targets.get_mut("north").unwrap().allowed_namespaces = Some(LabelSelector::default());
    world.now += 60;
    world.reconcile();
    assert!(world.verdict("north").starts_with("Feasible"), "{}", world.verdict("north"));
    world.targets.get_mut("north").unwrap().allowed_namespaces = None;
    world.now += 60;
    world.reconcile();
    assert_eq!(world.verdict("north"), "not listed");
}

#[test]
fn a_change_is_told_at_most_once_a_minute() {
    let mut world = World::serving(&json!({}));
    world.now += 60;
    world.change_target("west", Change::Taint(true));
    world.reconcile();
    let writes = world.writes;
    world.change_target("west", Change::Taint(false));
    world.reconcile();
    assert_eq!(world.writes, writes);
    assert!(world.verdict("west").starts_with("TaintNotTolerated"));
    world.now += 60;
    world.reconcile();
    assert!(world.verdict("west").starts_with("Feasible"), "{}", world.verdict("west"));
}

#[test]
fn room_refusals_and_outages_elsewhere_are_not_told_to_what_runs() {
    let mut world = World::serving(&json!({}));
    world.now += 100;
    world.reconcile();
    let before = world.object.status.clone();
    let flickers: [fn(&mut World); 5] = [
        |w| w.change_target("west", Change::Nodes(false)),
        |w| w.change_target("west", Change::Nodes(true)),
        |w| w.change_target("west", Change::Ready(false)),
        |w| w.change_target("west", Change::Ready(true)),
        |w| {
            let node = w.targets.get_mut("west").unwrap().nodes.as_mut().unwrap().first_mut().unwrap();
            node.free_accelerators.insert("nvidia.com/gpu".to_owned(), 1);
        },
    ];
    for flicker in flickers {
        flicker(&mut world);
        world.now += 100;
        world.reconcile();
        assert_eq!(world.object.status, before);
    }
}

#[test]
fn the_end_of_an_outage_that_was_told_is_told() {
    let mut world = World::new();
    world.change_target("west", Change::Ready(false));
    world.settle();
    assert!(world.verdict("west").starts_with("TargetNotReady"), "{}", world.verdict("west"));
    world.change_target("west", Change::Ready(true));
    world.now += 100;
    world.reconcile();
    assert!(world.verdict("west").starts_with("Feasible"), "{}", world.verdict("west"));
}

#[test]
fn where_more_places_are_known_than_are_listed_room_does_not_reshuffle_what_is_told() {
    let mut world = World::new();
    for number in 0..30 {
        let name = format!("t{number:02}");
        world.targets.insert(name.clone(), target(&name, "aws", "us-east-1", 6 + number));
    }
    world.settle();
    world.now += 100;
    world.reconcile();
    let before = world.object.status.clone();
    assert_eq!(before.as_ref().unwrap().candidates.len(), candidates::LISTED_WITH_A_PLACE);
    for number in 0..20 {
        world.targets.get_mut(&format!("t{number:02}")).unwrap().nodes = Some(Vec::new());
        world.now += 100;
        world.reconcile();
        assert_eq!(world.object.status, before);
    }
    world.targets.get_mut("t02").unwrap().offers[0].price =
        Some(model::Price::per_instance_hour(model::MicroDollars(44_000_000)));
    world.now += 100;
    world.reconcile();
    assert_eq!(world.candidate("east").unwrap().reason, "Chosen");
    let told: Vec<_> = world.object.status.iter().flat_map(|status| &status.candidates).collect();
    assert!(told.iter().any(|one| one.reason == "InsufficientCapacity"), "all of it is told anew: {told:?}");
    let writes = world.writes;
    world.now += 100;
    world.reconcile();
    assert_eq!(world.writes, writes);
}
