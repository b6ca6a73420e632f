//! The rules of the sweep, one by one, and what holds for any course of events.

use std::time::Duration;

use proptest::prelude::*;
use roadstead_model::{
    Accelerator, CapacityType, DeploymentId, EndpointKey, Found, LabelSelector, MicroDollars, Offer, Price, Timestamp,
};

use roadstead_explain::Hold;

use super::judge::{Due, Fate, HubObjects, Moment, PER_CYCLE, SweepJudgement, SweepMemory, SweptTarget, judge};
use crate::controller::settings::OrphanPolicy;

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;

fn deployment(name: &str) -> DeploymentId {
    DeploymentId { namespace: "team".into(), name: name.into() }
}

/// The endpoint of the deployment of the same name, a day old.
fn found(name: &str) -> Found {
    Found {
        name: format!("{name}-endpoint"),
        id: format!("{name}-uid"),
        deployment: deployment(name),
        target: "east".into(),
        offer: "a3".into(),
        shape: "one".into(),
        capacity_type: CapacityType::OnDemand,
        slot: 0,
        accelerators: 2,
        replicas: 3,
        ready_replicas: 3,
        runs: None,
        created_at: Timestamp(NOW - DAY),
    }
}

fn offer() -> Offer {
    Offer {
        name: "a3".into(),
        instance_type: "a3-highgpu-8g".into(),
        accelerator: Some(Accelerator { kind: "H100".into(), count: 8 }),
        capacity_type: CapacityType::OnDemand,
        price: Some(Price::per_instance_hour(MicroDollars(80_000_000))),
        max_instances: None,
        sold_out: false,
        autoscaled: false,
        resource_name: "nvidia.com/gpu".into(),
        node_selector: LabelSelector::default(),
        node_tolerations: Vec::new(),
    }
}

fn east(found: Vec<Found>) -> SweptTarget {
    SweptTarget { target: "east".into(), found, offers: vec![offer()], whole_instances: false }
}

/// A hub that knows these deployments and the records of their endpoints.
fn knows(names: &[&str]) -> HubObjects {
    let endpoint = |name: &&str| EndpointKey { namespace: "team".into(), name: format!("{name}-endpoint") };
    HubObjects {
        listed: names.len(),
        deployments: names.iter().map(|name| deployment(name)).collect(),
        endpoints: names.iter().map(endpoint).collect(),
    }
}

/// A process that may delete, and what it remembers. Cycles come every minute.
struct World {
    policy: OrphanPolicy,
    memory: SweepMemory,
    known: HubObjects,
    found: Vec<Found>,
    whole_instances: bool,
    minutes: u64,
}

impl World {
    /// Ten recorded endpoints and an unknown one.
    fn new() -> Self {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        Self {
            policy: OrphanPolicy { delete: true, ..OrphanPolicy::default() },
            memory: SweepMemory::default(),
            known: knows(&names),
            found: names.iter().chain(&["lost"]).map(|name| found(name)).collect(),
            whole_instances: false,
            minutes: 0,
        }
    }

    /// The next cycle, a minute after the last.
    fn cycle(&mut self) -> SweepJudgement {
        self.minutes += 1;
        let leading = Duration::from_mins(self.minutes);
        let moment = Moment { now: Timestamp(NOW).plus(u32::try_from(leading.as_secs()).unwrap()), leading };
        let east = SweptTarget { whole_instances: self.whole_instances, ..east(self.found.clone()) };
        judge(&self.policy, moment, &self.known, &[east], &mut self.memory)
    }

    /// Cycles for so many minutes; the last one.
    fn cycles(&mut self, minutes: u64) -> SweepJudgement {
        (0..minutes).map(|_| self.cycle()).last().unwrap()
    }

    /// Cycles for so many minutes, in none of which anything is due; the last one.
    fn quiet(&mut self, minutes: u64) -> SweepJudgement {
        let all: Vec<SweepJudgement> = (0..minutes).map(|_| self.cycle()).collect();
        assert!(all.iter().all(|judgement| judgement.due.is_empty()), "something was due");
        all.into_iter().next_back().unwrap()
    }
}

fn names(due: &[Due]) -> Vec<&str> {
    due.iter().map(|due| due.orphan.found.deployment.name.as_str()).collect()
}

fn fates(judgement: &SweepJudgement) -> Vec<(&str, Fate)> {
    judgement.orphans["east"].iter().map(|orphan| (orphan.found.deployment.name.as_str(), orphan.fate)).collect()
}

#[test]
fn an_orphan_that_was_seen_for_ten_minutes_is_due() {
    let mut world = World::new();
    assert_eq!(fates(&world.quiet(10)), [("lost", Fate::Waiting)]);
    assert_eq!(names(&world.cycle().due), ["lost"], "first seen after a minute, so due after eleven");
}

#[test]
fn an_orphan_has_its_cost() {
    let judgement = World::new().cycle();
    assert_eq!(judgement.orphans["east"][0].hourly_cost, Some(MicroDollars(60_000_000)), "3 x 2 of 8 for $80");
    let mut world = World::new();
    world.found.last_mut().unwrap().offer = "unknown".into();
    assert_eq!(world.cycle().orphans["east"][0].hourly_cost, None);
    let mut world = World::new();
    world.found.last_mut().unwrap().accelerators = 0;
    assert_eq!(world.cycle().orphans["east"][0].hourly_cost, None, "what cannot be told is never free");
    world.whole_instances = true;
    assert_eq!(world.cycle().orphans["east"][0].hourly_cost, Some(MicroDollars(240_000_000)), "3 whole ones for $80");
}

#[test]
fn what_has_a_record_is_no_orphan_even_without_its_deployment() {
    let mut world = World::new();
    world.known.deployments.remove(&deployment("a"));
    world.found.retain(|found| found.deployment.name != "lost");
    assert!(fates(&world.quiet(30)).is_empty());
}

#[test]
fn what_a_deployment_can_take_over_is_no_orphan() {
    let mut world = World::new();
    world.known.deployments.insert(deployment("lost"));
    assert!(fates(&world.quiet(30)).is_empty());
}

#[test]
fn orphans_are_only_reported_unless_the_operator_is_told_to_delete() {
    let mut world = World::new();
    world.policy.delete = false;
    assert!(!OrphanPolicy::default().delete);
    assert_eq!(fates(&world.quiet(60)), [("lost", Fate::Reported)]);
}

#[test]
fn what_its_provider_made_lately_is_left_alone() {
    let mut world = World::new();
    world.found.last_mut().unwrap().created_at = Timestamp(NOW + 1200);
    world.quiet(29);
    assert_eq!(names(&world.cycle().due), ["lost"], "ten minutes after it was made");
    let mut world = World::new();
    world.found.last_mut().unwrap().created_at = Timestamp::default();
    assert_eq!(fates(&world.quiet(60)), [("lost", Fate::Waiting)], "its provider does not say when it was made");
}

#[test]
fn what_was_seen_lately_is_left_alone_however_old_it_is() {
    let mut world = World::new();
    let lost = world.found.pop().unwrap();
    world.quiet(60);
    world.found.push(lost);
    world.quiet(10);
    assert_eq!(names(&world.cycle().due), ["lost"]);
}

#[test]
fn one_look_is_not_enough_however_long_the_process_has_led() {
    let mut world = World::new();
    world.policy.min_age = Duration::ZERO;
    assert!(world.cycle().due.is_empty());
    assert_eq!(names(&world.cycle().due), ["lost"]);
}

#[test]
fn nothing_is_deleted_in_the_first_ten_minutes_of_a_leader() {
    let mut world = World::new();
    world.quiet(9);
}

#[test]
fn a_cycle_that_failed_breaks_the_row() {
    let mut world = World::new();
    world.quiet(9);
    world.memory.break_off();
    world.quiet(10);
    assert_eq!(names(&world.cycle().due), ["lost"]);
}

#[test]
fn a_cycle_without_its_target_breaks_the_row() {
    let mut world = World::new();
    world.quiet(9);
    let moment = Moment { now: Timestamp(NOW), leading: Duration::from_mins(9) };
    let judgement = judge(&world.policy, moment, &world.known, &[], &mut world.memory);
    assert!(judgement.orphans.is_empty(), "of a target that does not answer nothing is said");
    world.quiet(10);
    assert_eq!(names(&world.cycle().due), ["lost"]);
}

#[test]
fn another_thing_of_the_same_name_begins_anew() {
    let mut world = World::new();
    world.quiet(9);
    world.found.last_mut().unwrap().id = "another-uid".into();
    world.quiet(10);
    assert_eq!(names(&world.cycle().due), ["lost"]);
}

#[test]
fn a_hub_without_deployments_deletes_nothing_ever() {
    let mut world = World::new();
    world.known = HubObjects::default();
    let judgement = world.quiet(24 * 60);
    assert_eq!(judgement.orphans["east"].len(), 11);
    assert!(fates(&judgement).iter().all(|(_, fate)| *fate == Fate::Held(Hold::NoDeployments)));
}

#[test]
fn a_hub_restored_from_an_old_backup_deletes_nothing_while_it_knows_less_than_half() {
    let mut world = World::new();
    world.known = knows(&["a", "b", "c", "d", "e"]);
    let judgement = world.quiet(24 * 60);
    assert_eq!(fates(&judgement)[0], ("f", Fate::Held(Hold::MostlyUnknown)));
    world.known = knows(&["a", "b", "c", "d", "e", "f"]);
    assert_eq!(world.cycle().due.len(), PER_CYCLE, "what is unknown is an orphan in truth, and goes bit by bit");
}

#[test]
fn a_number_of_deployments_that_falls_at_once_stops_the_sweep_for_an_hour() {
    let mut world = World::new();
    world.quiet(9);
    // Records stay, so that what runs is known; only the deployments are fewer.
    for name in ["a", "b", "c", "d", "e", "f"] {
        world.known.deployments.remove(&deployment(name));
    }
    world.known.listed = 4;
    assert_eq!(fates(&world.quiet(60)), [("lost", Fate::Held(Hold::FewDeployments))]);
    assert_eq!(names(&world.cycle().due), ["lost"], "after an hour the smaller fleet is the truth");
}

#[test]
fn a_number_of_deployments_that_falls_step_by_step_stops_nothing() {
    let mut world = World::new();
    for listed in [10, 7, 4, 2, 1] {
        world.known.listed = listed;
        assert_eq!(fates(&world.cycle()), [("lost", Fate::Waiting)], "{listed}");
    }
}

#[test]
fn a_number_of_deployments_that_comes_back_is_trusted_at_once() {
    let mut world = World::new();
    world.quiet(5);
    world.known.listed = 1;
    assert_eq!(fates(&world.cycle()), [("lost", Fate::Held(Hold::FewDeployments))]);
    world.known.listed = 10;
    assert_eq!(fates(&world.cycle()), [("lost", Fate::Waiting)]);
}

#[test]
fn a_few_go_in_one_cycle_the_longest_seen_first() {
    let mut world = World::new();
    world.found.insert(0, found("aa-late"));
    let late = world.found.remove(0);
    world.found.extend(["l1", "l2", "l3"].map(found));
    world.cycle();
    world.found.push(late);
    world.cycles(9);
    let judgement = world.cycles(2);
    assert_eq!(names(&judgement.due), ["l1", "l2", "l3"]);
    for due in &judgement.due {
        world.memory.gone(due);
        world.found.retain(|found| *found != due.orphan.found);
    }
    assert_eq!(names(&world.cycle().due), ["lost", "aa-late"]);
}

#[test]
fn what_names_another_target_is_shown_and_never_deleted() {
    let mut world = World::new();
    world.found.last_mut().unwrap().target = "west".into();
    assert_eq!(fates(&world.quiet(60)), [("lost", Fate::Misplaced)]);
    world.known.deployments.insert(deployment("lost"));
    assert_eq!(fates(&world.quiet(1)), [("lost", Fate::Misplaced)], "its deployment answers for the other place");
}

#[test]
fn what_was_asked_to_go_is_shown_and_asked_for_until_it_is_gone() {
    let mut world = World::new();
    let judgement = world.cycles(11);
    world.memory.asked(&judgement.due[0]);
    world.found.pop();
    let judgement = world.cycle();
    assert_eq!(fates(&judgement), [("lost", Fate::Removing)]);
    assert_eq!(names(&judgement.due), ["lost"]);
    world.memory.gone(&judgement.due[0]);
    assert!(fates(&world.quiet(1)).is_empty());
}

#[test]
fn a_deletion_that_is_refused_is_told_and_tried_again_until_it_is_not() {
    let refusal = |judgement: &SweepJudgement| judgement.orphans["east"][0].refusal.clone();
    let mut world = World::new();
    let judgement = world.cycles(11);
    world.memory.refused(&judgement.due[0], "forbidden".into());
    let judgement = world.cycle();
    assert_eq!((names(&judgement.due), refusal(&judgement).as_deref()), (vec!["lost"], Some("forbidden")));
    world.memory.asked(&judgement.due[0]);
    world.found.pop();
    let judgement = world.cycle();
    assert_eq!(refusal(&judgement), None);
    world.memory.refused(&judgement.due[0], "no answer".into());
    assert_eq!(refusal(&world.cycle()).as_deref(), Some("no answer"));
}

#[test]
fn what_was_asked_to_go_and_has_a_record_now_is_let_alone() {
    let mut world = World::new();
    let judgement = world.cycles(11);
    world.memory.asked(&judgement.due[0]);
    world.found.pop();
    world.known.deployments.insert(deployment("lost"));
    assert!(fates(&world.quiet(1)).is_empty());
}

/// One minute of a fleet: the listed deployments and records out of six, the found endpoints, and the failure of the
/// cycle.
#[derive(Debug, Clone)]
struct Minute {
    deployments: Vec<bool>,
    records: Vec<bool>,
    found: Vec<bool>,
    fails: bool,
}

fn minute() -> impl Strategy<Value = Minute> {
    let six = |p: f64| prop::collection::vec(prop::bool::weighted(p), 6);
    (six(0.8), six(0.8), six(0.9), prop::bool::weighted(0.05)).prop_map(|(deployments, records, found, fails)| Minute {
        deployments,
        records,
        found,
        fails,
    })
}

const SIX: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn chosen(flags: &[bool]) -> impl Iterator<Item = &'static str> {
    SIX.into_iter().zip(flags.to_vec()).filter(|(_, flag)| *flag).map(|(name, _)| name)
}

fn listed(minute: &Minute) -> HubObjects {
    let endpoint = |name: &str| EndpointKey { namespace: "team".into(), name: format!("{name}-endpoint") };
    let deployments: Vec<&str> = chosen(&minute.deployments).collect();
    HubObjects {
        listed: deployments.len(),
        deployments: deployments.into_iter().map(deployment).collect(),
        endpoints: chosen(&minute.records).map(endpoint).collect(),
    }
}

proptest! {
    #[test]
    fn nothing_is_due_that_was_not_an_orphan_all_the_time(
        minutes in prop::collection::vec(minute(), 1..40), delete: bool, min_age in 0_u64..8,
    ) {
        let policy = OrphanPolicy { delete, min_age: Duration::from_mins(min_age), ..OrphanPolicy::default() };
        let mut memory = SweepMemory::default();
        let mut row = [0_u64; 6];
        for (number, minute) in minutes.iter().enumerate() {
            if minute.fails {
                memory.break_off();
                row = [0; 6];
                continue;
            }
            let leading = Duration::from_mins(number as u64);
            let moment = Moment { now: Timestamp(NOW), leading };
            let known = listed(minute);
            let places = [east(chosen(&minute.found).map(found).collect())];
            let judgement = judge(&policy, moment, &known, &places, &mut memory);
            for (index, name) in SIX.iter().enumerate() {
                let orphan = minute.found[index] && !minute.deployments[index] && !minute.records[index];
                row[index] = if orphan { row[index] + 1 } else { 0 };
                prop_assert_eq!(fates(&judgement).iter().any(|(orphan, _)| orphan == name), orphan);
                if names(&judgement.due).contains(name) {
                    prop_assert!(delete && known.listed > 0);
                    prop_assert!(row[index] >= 2 && number as u64 >= min_age);
                }
            }
            prop_assert!(judgement.due.len() <= PER_CYCLE);
            prop_assert!(judgement.due.len() * 2 <= places[0].found.len() || judgement.due.is_empty());
        }
    }

    #[test]
    fn the_order_in_which_things_are_found_never_matters(order in Just(SIX.to_vec()).prop_shuffle()) {
        let run = |order: &[&str]| {
            let mut world = World::new();
            world.found.extend(order.iter().map(|name| found(&format!("lost-{name}"))));
            let judgement = world.cycles(11);
            (judgement.orphans, judgement.due)
        };
        prop_assert_eq!(run(&order), run(&SIX));
    }

    #[test]
    fn a_hub_that_is_restored_under_a_running_operator_deletes_nothing(left in 0_usize..5, minutes in 1_u64..200) {
        let mut world = World::new();
        world.found.pop();
        world.quiet(20);
        // Deployments and records are gone, what runs is there.
        world.known = knows(&SIX[..left]);
        world.quiet(minutes);
    }
}
