//! Hours of a fleet's life in a second, from one seed: the engine driven by a small simulator instead of controllers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::world::World;

const HOUR: u32 = 3_600;

#[test]
fn six_hours_of_edits_outages_and_lost_answers_promise_nothing_twice_and_settle() {
    for seed in [1, 2, 3] {
        let mut world = World::new(seed);
        world.run(6 * HOUR);
        assert!(world.decisions > 500 && world.moves > 10, "{} decisions, {} moves", world.decisions, world.moves);
        world.calm();
        world.run(2 * HOUR);
        world.is_settled();
    }
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
