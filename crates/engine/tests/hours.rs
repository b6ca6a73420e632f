//! Hours of a fleet's life in a second, from one seed: the engine driven by a small simulator instead of controllers.
//!
//! `ROADSTEAD_SEEDS` asks for more lives than usual; a life that fails prints its seed, and `ROADSTEAD_SEED` repeats it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;

use common::homes::STABILIZATION;
use common::outages::{CLOSE, TOLERATION};
use common::world::World;

const HOUR: u32 = 3_600;
/// The longest from a decision that is due to the landing of its first write.
const WRITES: u32 = 6;

/// Prints the seed of a life that fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed was {} (ROADSTEAD_SEED={} repeats it)", self.0, self.0);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The seeds of a test: so many, or the one that the environment names.
fn seeds(usual: u64) -> Vec<u64> {
    match number("ROADSTEAD_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("ROADSTEAD_SEEDS").unwrap_or(usual)).collect(),
    }
}

#[test]
fn six_hours_of_edits_outages_crashes_and_lost_answers_promise_nothing_twice_and_settle() {
    let mut promotions = 0;
    for seed in seeds(4) {
        let named = Seed(seed);
        let mut world = World::new(named.0);
        some_return(&mut world);
        world.run(6 * HOUR);
        assert!(world.decisions > 500 && world.moves > 10, "{} decisions, {} moves", world.decisions, world.moves);
        world.calm();
        world.run(2 * HOUR);
        world.is_settled();
        promotions += world.promotions;
    }
    assert!(promotions > 0 || number("ROADSTEAD_SEED").is_some(), "no standby took over");
}

#[test]
fn hours_of_outages_with_witnesses_that_fail_replace_nothing_early_and_leave_one_copy() {
    let (mut failovers, mut returns) = (0, 0);
    for seed in seeds(8) {
        let named = Seed(1_000 + seed);
        let mut world = World::new(named.0);
        some_return(&mut world);
        world.outages.blind = 4;
        world.run(2 * HOUR);
        failovers += world.outages.failovers.len();
        world.calm();
        world.run(2 * HOUR);
        world.is_settled();
        returns += world.homes.returns.len();
    }
    assert!(failovers > 0 && returns > 0, "{failovers} failovers, {returns} returns: nothing was tested");
}

#[test]
fn the_same_seed_gives_the_same_life() {
    let life = |seed| {
        let mut world = World::new(seed);
        world.run(HOUR);
        (world.digest, world.steps, world.decisions)
    };
    assert_eq!(life(7), life(7));
    assert_ne!(life(7), life(8));
}

/// Some of the deployments that are not divided return to the target that a failover left.
fn some_return(world: &mut World) {
    world.homes.returning = ["d0", "d4", "d8", "d12"].map(ToOwned::to_owned).into();
}

/// A world in which everything serves and only the test disturbs anything.
fn quiet(seed: u64) -> World {
    let mut world = World::new(seed);
    world.quiet = true;
    world.run(HOUR);
    assert!(world.outages.failovers.is_empty());
    world
}

#[test]
fn ten_outages_shorter_than_the_toleration_move_nothing() {
    for seed in seeds(5) {
        let named = Seed(seed);
        let mut world = quiet(named.0);
        let index = world.place_where("d0");
        for _ in 0..10 {
            world.cut_off(index, true, true, TOLERATION - 1);
            world.run(2 * TOLERATION + 60);
        }
        assert_eq!(world.outages.failovers, [], "an outage shorter than the toleration");
        world.is_settled();
    }
}

#[test]
fn a_lost_target_is_left_between_the_toleration_and_one_probe_later() {
    for seed in seeds(5) {
        let named = Seed(seed);
        let mut world = quiet(named.0);
        let index = world.place_where("d0");
        world.cut_off(index, true, true, HOUR);
        world.run(10 * TOLERATION);
        let first = world.outages.failovers.iter().take(5).cloned().collect::<Vec<_>>();
        assert!(!first.is_empty(), "nothing was replaced");
        for (name, since, decided_at) in first {
            let after = u32::try_from(decided_at.since(since)).unwrap();
            assert!((TOLERATION..=TOLERATION + CLOSE + WRITES).contains(&after), "{name}: {after} s");
        }
        world.run(2 * HOUR);
        world.is_settled();
    }
}

/// A world in which `d0` returns, and has left its home, which is back; and the index of its home.
fn away(seed: u64) -> (World, usize) {
    let mut world = quiet(seed);
    world.homes.returning.insert("d0".to_owned());
    let home = world.place_where("d0");
    // Longer than any start, so that the target does not return before the replacement serves.
    world.cut_off(home, true, true, 15 * TOLERATION);
    world.run(16 * TOLERATION);
    assert_ne!(world.place_where("d0"), home, "it has not left");
    assert_eq!(world.homes.returns, [], "it returned at once");
    (world, home)
}

#[test]
fn a_deployment_returns_home_once_home_is_stable_and_never_while_it_flaps() {
    for seed in seeds(5) {
        let named = Seed(seed);
        let (mut world, home) = away(named.0);
        for _ in 0..10 {
            world.cut_off(home, true, false, 30);
            world.run(STABILIZATION / 2);
            assert_eq!(world.homes.returns, [], "home flaps");
        }
        assert_ne!(world.place_where("d0"), home, "home flaps");
        world.run(3 * STABILIZATION);
        assert_eq!((world.homes.returns.len(), world.place_where("d0")), (1, home), "home is stable");
        world.run(HOUR);
        assert_eq!(world.homes.returns.len(), 1, "once");
        world.is_settled();
    }
}

#[test]
fn the_loss_of_home_in_the_middle_of_a_return_is_survived() {
    for seed in seeds(5) {
        let named = Seed(seed);
        let (mut world, home) = away(named.0);
        while world.homes.returns.is_empty() {
            world.run(1);
        }
        let away = world.place_where("d0");
        world.cut_off(home, true, true, HOUR);
        world.run(HOUR / 2);
        assert_eq!(world.place_where("d0"), away, "it serves where it was");
        world.run(3 * HOUR);
        assert_eq!(world.place_where("d0"), home, "it returned when home was stable again");
        world.is_settled();
    }
}

#[test]
fn health_that_alternates_with_unknown_does_not_keep_an_endpoint_that_fails() {
    let mut world = quiet(3);
    world.outages.blind = 2;
    let index = world.place_where("d0");
    world.cut_off(index, false, true, HOUR);
    world.run(10 * TOLERATION);
    assert!(!world.outages.failovers.is_empty(), "nothing was replaced");
}

#[test]
fn a_target_without_contact_whose_endpoints_answer_is_left_alone() {
    let mut world = quiet(4);
    let index = world.place_where("d0");
    let before = world.endpoints_of("d0").len();
    world.cut_off(index, true, false, HOUR);
    world.run(2 * HOUR);
    assert_eq!((world.outages.failovers.len(), world.endpoints_of("d0").len()), (0, before));
    world.is_settled();
}

#[test]
fn a_hub_that_is_cut_off_for_an_hour_finds_everything_as_it_was() {
    for seed in seeds(5) {
        let named = Seed(seed);
        let mut world = quiet(named.0);
        let moves = world.moves;
        for index in 0..4 {
            world.cut_off(index, true, true, HOUR);
        }
        world.run(2 * HOUR);
        assert_eq!((world.outages.failovers.len(), world.moves), (0, moves));
        world.is_settled();
    }
}

#[test]
fn a_crash_in_the_middle_of_the_toleration_neither_shortens_nor_restarts_it() {
    for seed in seeds(5) {
        let named = Seed(seed);
        let mut world = quiet(named.0);
        let index = world.place_where("d0");
        world.cut_off(index, true, true, HOUR);
        world.run(TOLERATION / 2 + 30);
        let begun: BTreeMap<_, _> = world.failing_since();
        assert!(!begun.is_empty(), "nothing fails yet");
        world.crash();
        world.run(10 * TOLERATION);
        let (name, since, decided_at) = world.outages.failovers[0].clone();
        assert_eq!(begun.get(&name), Some(&since), "the run of failures goes on over the crash");
        let after = u32::try_from(decided_at.since(since)).unwrap();
        assert!((TOLERATION..=TOLERATION + CLOSE + WRITES).contains(&after), "{name}: {after} s");
        world.run(2 * HOUR);
        world.is_settled();
    }
}
