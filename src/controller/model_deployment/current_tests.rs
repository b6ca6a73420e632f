//! A deployment is Current for pipelines only while all that it wants is served, whatever was edited and whatever
//! happened to its targets and endpoints.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::kstatus::{Kstatus, kstatus};
use super::world::{Change, World, budget, with};
use roadstead_api::v1alpha1::{PlacementRole, conditions};

#[test]
fn a_scale_up_past_the_budget_is_not_ready_and_says_what_is_wanted_its_cost_and_the_budget() {
    for former in [0, 2] {
        let mut world = World::serving(&with(budget(20), &json!({"replicas": 2})));
        world.edit(&json!({"replicas": former}));
        world.settle();
        world.edit(&json!({"replicas": 5}));
        world.settle();
        let ready = world.reads(conditions::READY);
        assert!(ready.starts_with("False OverBudget: 5 replicas would cost $25.00/h, budget $20.00/h"), "{ready}");
        assert!(ready.contains(&format!("stays at {former}")), "{ready}");
        assert_eq!(ready.matches("would cost $25.00/h").count(), 1, "once: {ready}");
        assert_eq!(kstatus(&world.object), Kstatus::Failed, "no candidate is within the budget");
        assert!(ready.ends_with("edit the rules, the budget or a target"), "{ready}");
        world.edit(&budget(25));
        world.settle();
        assert_eq!(kstatus(&world.object), Kstatus::Current, "{}", world.reads(conditions::READY));
    }
}

#[test]
fn a_budget_below_what_runs_is_said_and_more_replicas_beyond_it_are_not_ready() {
    let mut world = World::serving(&json!({"replicas": 2}));
    world.edit(&budget(8));
    world.settle();
    assert!(world.reads(conditions::WITHIN_BUDGET).starts_with("False OverBudget"));
    assert_eq!(kstatus(&world.object), Kstatus::Current, "all that is wanted is served");
    world.edit(&json!({"replicas": 3}));
    world.settle();
    let ready = world.reads(conditions::READY);
    assert!(ready.starts_with("False OverBudget") && ready.contains("3 replicas would cost $15.00/h"), "{ready}");
}

#[test]
fn more_replicas_at_an_unknown_price_are_not_ready_where_a_budget_is_set() {
    let mut world = World::serving(&budget(20));
    for target in world.targets.values_mut() {
        target.offers[0].price = None;
    }
    for endpoint in &mut world.endpoints {
        endpoint.spec.replica_hourly_cost = None;
    }
    world.edit(&json!({"replicas": 2}));
    world.settle();
    assert!(world.reads(conditions::READY).starts_with("False PriceUnknown"), "{}", world.reads(conditions::READY));
    assert_eq!(kstatus(&world.object), Kstatus::InProgress, "a price may come");
}

#[test]
fn suspended_with_an_edit_waiting_is_not_ready_and_names_what_waits() {
    let cases = [
        (json!({"replicas": 5}), "replicas (5 wanted, 2 kept)"),
        (json!({"serving": {"image": "a:2"}}), "image"),
        (json!({"serving": {"engine": "custom"}}), "engine"),
        (json!({"serving": {"resources": {"requests": {"memory": "900Gi"}}}}), "resources"),
        (json!({"placement": {"jurisdictions": ["EU"]}}), "JurisdictionNotAllowed"),
        (
            json!({"serving": {"shapes": [{"name": "t", "accelerator": {"type": "H100", "count": 1}}]}}),
            "shape s was removed",
        ),
    ];
    for (edit, named) in cases {
        let mut world = World::serving(&json!({"replicas": 2}));
        world.edit(&json!({"suspend": true}));
        world.settle();
        assert!(world.reads(conditions::READY).starts_with("True Suspended"), "{}", world.reads(conditions::READY));
        world.edit(&edit);
        world.settle();
        let ready = world.reads(conditions::READY);
        assert!(ready.starts_with("False Suspended") && ready.contains(named), "{named}: {ready}");
        assert_eq!(kstatus(&world.object), Kstatus::InProgress);
        world.edit(&json!({"suspend": false}));
        world.settle();
        assert!(!world.reads(conditions::READY).contains("Suspended"));
    }
}

#[test]
fn a_finding_gives_the_same_kstatus_whether_something_serves_or_not() {
    let shape = |kind: &str, count: u32| json!({"serving": {"shapes": [{"name": "s", "accelerator": {"type": kind, "count": count}}]}});
    let cases = [
        ("over the budget everywhere", with(budget(20), &json!({"replicas": 5})), Kstatus::Failed),
        ("over the budget, and no room", with(budget(20), &json!({"replicas": 50})), Kstatus::Failed),
        ("no room", json!({"replicas": 50}), Kstatus::InProgress),
        ("no such accelerator", shape("B200", 1), Kstatus::Failed),
        ("more accelerators than an instance has", shape("H100", 8), Kstatus::Failed),
        ("no such jurisdiction", json!({"placement": {"jurisdictions": ["IN"]}}), Kstatus::Failed),
        ("no such cloud", json!({"placement": {"clouds": {"allow": ["azure"]}}}), Kstatus::Failed),
        ("no such capacity type", json!({"placement": {"capacityTypes": ["Spot"]}}), Kstatus::Failed),
        ("no label", json!({"placement": {"targetSelector": {"matchLabels": {"a": "b"}}}}), Kstatus::Failed),
        ("too much memory", json!({"serving": {"resources": {"requests": {"memory": "900Gi"}}}}), Kstatus::InProgress),
    ];
    for (name, edit, expected) in cases {
        let mut new = World::new();
        new.edit(&edit);
        new.settle();
        let mut served = World::serving(&json!({}));
        served.edit(&edit);
        served.settle();
        assert_eq!(kstatus(&new.object), expected, "{name}: new: {}", new.reads(conditions::READY));
        assert_eq!(kstatus(&served.object), expected, "{name}: served: {}", served.reads(conditions::READY));
    }
}

#[test]
fn the_reason_of_a_place_is_placed_however_it_was_chosen() {
    let mut world = World::serving(&json!({}));
    world.edit(&json!({"placement": {"jurisdictions": ["EU"]}}));
    world.settle();
    assert_eq!(kstatus(&world.object), Kstatus::Current, "{}", world.reads(conditions::READY));
    assert!(world.reads(conditions::PLACED).starts_with("True Placed: 1 replica of shape s on west"));
}

#[test]
fn what_serves_is_counted_until_another_endpoint_has_taken_over() {
    let mut world = World::serving(&json!({"replicas": 2}));
    let counts = |world: &World| {
        let status = world.object.status.clone().unwrap();
        let placements: Vec<_> = status.placements.iter().map(|one| (one.target.clone(), one.role)).collect();
        (status.replicas, status.ready_replicas, placements)
    };
    let (east, west) = ("east".to_owned(), "west".to_owned());
    world.edit(&json!({"placement": {"jurisdictions": ["EU"]}}));
    world.reconcile();
    let moving = vec![(east, PlacementRole::Serving), (west.clone(), PlacementRole::Replacement)];
    assert_eq!(counts(&world), (2, 2, moving), "it goes on serving");
    let ready = world.reads(conditions::READY);
    assert!(ready.starts_with("False PolicyViolated: JurisdictionNotAllowed"), "what serves may not: {ready}");
    assert!(world.reads(conditions::PLACED).contains("on east") && world.reads(conditions::PLACED).contains("on west"));
    world.endpoints_say(conditions::TRUE);
    world.reconcile();
    world.reconcile();
    assert_eq!(counts(&world), (2, 2, vec![(west, PlacementRole::Serving)]), "the other drains");
    assert_eq!(kstatus(&world.object), Kstatus::Current, "{}", world.reads(conditions::READY));
}

#[test]
fn what_keeps_a_replacement_from_coming_up_is_told_of_the_deployment() {
    let mut world = World::serving(&json!({"replicas": 2}));
    world.edit(&json!({"placement": {"jurisdictions": ["EU"]}}));
    world.reconcile();
    world.endpoints_say(conditions::UNKNOWN);
    world.reconcile();
    let ready = world.reads(conditions::READY);
    assert!(ready.starts_with("False PolicyViolated") && ready.contains("llama-west-1: TargetNotReady: m"), "{ready}");
}

#[derive(Debug, Clone)]
enum Event {
    Edit(Value),
    Target(bool, Change),
    Endpoints(bool),
    Refused,
    Time(i64),
}

fn any_edit() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (0..7).prop_map(|replicas| json!({"replicas": replicas})),
        3 => proptest::option::of(5u32..40).prop_map(|dollars| dollars.map_or_else(|| json!({"placement": {"cost": {"maxHourlyCost": null}}}), budget)),
        1 => prop::sample::select(vec!["1Gi", "300Gi", "900Gi"])
            .prop_map(|memory| json!({"serving": {"resources": {"requests": {"memory": memory}}}})),
        1 => any::<bool>().prop_map(|new| json!({"serving": {"image": if new { "a:2" } else { "a:1" }}})),
        1 => any::<bool>().prop_map(|custom| json!({"serving": {"engine": if custom { "custom" } else { "vllm" }}})),
        1 => prop::sample::select(vec![1, 2, 8]).prop_map(|count| json!({"serving": {"shapes": [{"name": "s", "accelerator": {"type": "H100", "count": count}}]}})),
        1 => any::<bool>().prop_map(|eu| json!({"placement": {"jurisdictions": if eu { json!(["EU"]) } else { Value::Null }}})),
        1 => any::<bool>().prop_map(|prod| json!({"placement": {"targetSelector": if prod { json!({"matchLabels": {"env": "prod"}}) } else { Value::Null }}})),
        1 => any::<bool>().prop_map(|suspend| json!({"suspend": suspend})),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let change = prop_oneof![
        any::<bool>().prop_map(Change::Ready),
        proptest::option::weighted(0.8, 1u64..20).prop_map(Change::Price),
        any::<bool>().prop_map(Change::Taint),
        any::<bool>().prop_map(Change::Nodes),
        any::<bool>().prop_map(Change::Offer),
        any::<bool>().prop_map(Change::Label),
    ];
    prop_oneof![
        4 => any_edit().prop_map(Event::Edit),
        2 => (any::<bool>(), change).prop_map(|(east, change)| Event::Target(east, change)),
        1 => Just(Event::Refused),
        6 => prop::bool::weighted(0.8).prop_map(Event::Endpoints),
        1 => (1i64..300).prop_map(Event::Time),
    ]
}

impl World {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Edit(edit) => self.edit(&edit),
            Event::Endpoints(ready) => {
                self.endpoints_say(if ready { conditions::TRUE } else { conditions::UNKNOWN });
            }
            Event::Refused => self.refuse(),
            Event::Time(seconds) => self.now += seconds,
            Event::Target(east, change) => self.change_target(if east { "east" } else { "west" }, change),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn current_means_served_as_wanted_whatever_happens(events in prop::collection::vec(any_event(), 1..30)) {
        let mut world = World::new();
        world.reconcile();
        for event in events {
            world.happen(event);
            world.reconcile();
            world.reconcile();
            world.adds_up();
        }
    }
}
