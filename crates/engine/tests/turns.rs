//! Deployments that are decided again when the turn of a replacement has come: the next few, however many wait.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::*;
use roadstead_decision_engine::{Engine, Sound};
use roadstead_model::*;

const WAITING: usize = 200;
const LIMIT: u32 = 3;

fn name(index: usize) -> String {
    format!("d{index:03}")
}

/// A deployment that may serve only in the EU.
fn moves(index: usize) -> Deployment {
    let mut moves = deployment(&name(index), 1);
    moves.rules.jurisdictions = Some(BTreeSet::from(["EU".to_owned()]));
    moves
}

fn decide(engine: &mut Engine, deployment: &Deployment, now: Timestamp) -> Sound {
    engine.decide(deployment, now, name_of(deployment)).expect("the plan is sound")
}

/// Every deployment serves in the US and has to leave it.
fn many_that_have_to_move() -> Engine {
    let mut engine = Engine::new(ReplacementLimits { fleet: LIMIT, ..ReplacementLimits::default() });
    engine.observe_target(target("east", "aws", "us-east-1", 80, 60), None);
    engine.observe_target(target("europe", "gcp", "europe-west4", 88, 60), None);
    for index in 0..WAITING {
        let request = deployment(&name(index), 1);
        decide(&mut engine, &request, BEGIN);
        let mut serving = engine.fleet().endpoints_of(&request.id).next().expect("it is placed").clone();
        (serving.ready, serving.ever_ready, serving.published_at) = (true, true, Some(BEGIN));
        land(&mut engine, serving);
    }
    let moved = (0..WAITING).filter(|index| creates(&decide(&mut engine, &moves(*index), BEGIN).plan)).count();
    assert_eq!(moved, LIMIT as usize);
    engine
}

fn land(engine: &mut Engine, endpoint: Endpoint) {
    let key = endpoint.key();
    engine.observe_endpoint(endpoint);
    engine.answered(&key);
}

fn creates(plan: &Plan) -> bool {
    plan.actions.iter().any(|action| matches!(action, Action::Create { .. }))
}

/// The replacement of `d<index>` has taken over, and its former endpoint is gone.
fn finish(engine: &mut Engine, index: usize) {
    let mut new = engine.fleet().endpoint(&key(&format!("{}-europe-1", name(index)))).expect("it is replaced").clone();
    (new.ready, new.ever_ready, new.published_at) = (true, true, Some(BEGIN));
    land(engine, new);
    let old = key(&format!("{}-east-0", name(index)));
    engine.answered(&old);
    engine.observe_endpoint_gone(&old);
}

/// Decides whom the end of a replacement concerns until nothing changes; returns how many decisions that took, and who moved.
fn follow(engine: &mut Engine, now: Timestamp) -> (usize, Vec<String>) {
    let (mut decisions, mut moved) = (0, Vec::new());
    let mut queue = engine.unsettled(now);
    while let Some(id) = queue.pop_first() {
        let index = id.name[1..].parse().expect("its number");
        let Sound { plan, again, .. } = decide(engine, &moves(index), now);
        decisions += 1;
        moved.extend(creates(&plan).then_some(id.name));
        queue.extend(again);
    }
    (decisions, moved)
}

#[test]
fn a_turn_wakes_the_next_few_and_never_all_who_wait() {
    let mut engine = many_that_have_to_move();
    let (mut decisions, mut moved) = (0, LIMIT as usize);
    for index in 0..WAITING {
        finish(&mut engine, index);
        let (these, names) = follow(&mut engine, BEGIN.plus(10));
        assert!(these <= 4, "{these} decisions for one turn");
        assert!(moved == WAITING || names == [name(moved)], "{names:?} after {moved}");
        decisions += these;
        moved += names.len();
    }
    assert_eq!(moved, WAITING, "everybody has a turn");
    assert!(decisions <= 3 * WAITING, "{decisions} decisions");
}

#[test]
fn several_turns_that_come_at_once_are_all_taken() {
    let mut engine = many_that_have_to_move();
    (0..LIMIT as usize).for_each(|index| finish(&mut engine, index));
    let (_, names) = follow(&mut engine, BEGIN.plus(10));
    assert_eq!(names, [name(3), name(4), name(5)]);
}

#[test]
fn one_that_gives_its_turn_up_lets_the_next_one_have_it() {
    let mut engine = many_that_have_to_move();
    finish(&mut engine, 0);
    // d003 is next, and is deleted before it is decided again.
    let again = engine.forget(&id(&name(3)), BEGIN.plus(10));
    assert!(again.contains(&id(&name(4))), "{again:?}");
    // d004 would be next, and may stay after all.
    let stays = deployment(&name(4), 1);
    let Sound { again, .. } = decide(&mut engine, &stays, BEGIN.plus(10));
    assert!(again.contains(&id(&name(5))), "{again:?}");
    assert!(creates(&decide(&mut engine, &moves(5), BEGIN.plus(10)).plan));
}

#[test]
fn of_those_that_wait_for_the_fleet_only_the_first_are_decided_again_when_time_alone_lets_one_go() {
    let mut engine = many_that_have_to_move();
    let mut new = engine.fleet().endpoint(&key(&format!("{}-europe-1", name(0)))).unwrap().clone();
    new.answer_by = Some(BEGIN.plus(600));
    land(&mut engine, new);
    let looks = |engine: &mut Engine, index| decide(engine, &moves(index), BEGIN.plus(1)).plan.recheck_at;
    assert_eq!(looks(&mut engine, 3), Some(BEGIN.plus(600)));
    assert_eq!(looks(&mut engine, WAITING - 1), None, "those before it have to go first");
}
