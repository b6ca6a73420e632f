//! The allocations of a plan: serving, standby and draining endpoints, and the revision that counts decisions.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use roadstead_explain::render_text;
use roadstead_model::*;

/// The allocations of a plan as endpoint, role, replicas and phase; what is yet to be made has no name.
fn wanted(plan: &Plan) -> Vec<(&str, Role, u32, Phase)> {
    let one = |one: &'_ Allocation| (one.role, one.replicas, one.phase);
    let named = plan.allocations.iter().map(|allocation| {
        let (role, replicas, phase) = one(allocation);
        (allocation.endpoint.as_deref().unwrap_or_default(), role, replicas, phase)
    });
    named.collect()
}

/// The deployment once the decision of `plan` is published.
fn published(deployment: &Deployment, plan: &Plan) -> Deployment {
    let name = name_of(deployment);
    let live = plan.allocations.iter().filter(|allocation| allocation.role != Role::Draining);
    let allocations = live.map(|allocation| {
        let placement = created(plan).filter(|_| allocation.endpoint.is_none());
        let endpoint = placement.map(&name).or_else(|| allocation.endpoint.clone()).unwrap();
        (endpoint, Published { role: allocation.role, replicas: allocation.replicas })
    });
    let decided =
        Decided { revision: plan.revision, generation: deployment.generation, allocations: allocations.collect() };
    Deployment { decided, ..deployment.clone() }
}

#[test]
fn a_replacement_stands_by_until_it_serves_and_then_what_it_replaces_drains() {
    let mut fleet = fleet(two());
    let anywhere = deployment("m");
    let first = settle(&mut fleet, &anywhere, NOW);
    assert_eq!(wanted(&first), [("", Role::Serving, 2, Phase::Starting)]);
    serve(&mut fleet, US, NOW);
    let moving = settle(&mut fleet, &eu_only(), NOW.plus(10));
    assert_eq!(wanted(&moving), [(US, Role::Serving, 2, Phase::Ready), ("", Role::Replacement, 2, Phase::Starting)]);
    let starting = settle(&mut fleet, &eu_only(), NOW.plus(20));
    let standby = (EU_REPLACEMENT, Role::Replacement, 2, Phase::Starting);
    assert_eq!(wanted(&starting), [(US, Role::Serving, 2, Phase::Ready), standby]);
    serve(&mut fleet, EU_REPLACEMENT, NOW.plus(30));
    let moved = settle(&mut fleet, &eu_only(), NOW.plus(40));
    let serving = (EU_REPLACEMENT, Role::Serving, 2, Phase::Ready);
    assert_eq!(wanted(&moved), [serving, (US, Role::Draining, 2, Phase::Ready)]);
    let ending = settle(&mut fleet, &eu_only(), NOW.plus(200));
    assert_eq!(wanted(&ending), [serving, (US, Role::Draining, 2, Phase::Ending)]);
    gone(&mut fleet, US);
    assert_eq!(wanted(&settle(&mut fleet, &eu_only(), NOW.plus(300))), [serving]);
}

#[test]
fn requests_go_to_what_serves_alone() {
    let mut fleet = serving();
    settle(&mut fleet, &eu_only(), NOW.plus(10));
    let moving = settle(&mut fleet, &eu_only(), NOW.plus(20));
    let weights: Vec<u32> = moving.allocations.iter().map(|allocation| allocation.weight).collect();
    assert_eq!(weights, [2, 0]);
}

#[test]
fn what_served_and_does_not_now_still_has_its_role() {
    let mut fleet = serving();
    change(&mut fleet, US, |endpoint| endpoint.ready = false);
    assert_eq!(wanted(&checked(&fleet, &deployment("m"), NOW)), [(US, Role::Serving, 2, Phase::Failing)]);
}

#[test]
fn what_was_found_serves_or_drains() {
    let mut fleet = fleet(two());
    let found = |name: &str, target: &str, ready_replicas| Found { ready_replicas, ..common::found(name, target) };
    fleet.set_found("eks-us", vec![found("m-a", "eks-us", 2)]);
    fleet.set_found("gke-eu", vec![found("m-b", "gke-eu", 1)]);
    let adopted = checked(&fleet, &deployment("m"), NOW);
    let (best, other) = (("m-a", Role::Serving, 2, Phase::Ready), ("m-b", Role::Draining, 2, Phase::Starting));
    assert_eq!(wanted(&adopted), [best, other]);
}

#[test]
fn a_suspended_deployment_keeps_every_role() {
    let mut fleet = serving();
    settle(&mut fleet, &eu_only(), NOW.plus(10));
    let suspended = Deployment { suspended: true, ..eu_only() };
    let standby = (EU_REPLACEMENT, Role::Replacement, 2, Phase::Starting);
    assert_eq!(wanted(&checked(&fleet, &suspended, NOW.plus(20))), [(US, Role::Serving, 2, Phase::Ready), standby]);
}

#[test]
fn the_revision_goes_up_when_what_serves_or_stands_by_changes_and_only_then() {
    let mut fleet = fleet(two());
    let first = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!(first.revision, 1);
    let unpublished = checked(&fleet, &deployment("m"), NOW.plus(1));
    assert_eq!(unpublished.revision, 1, "it is decided, and nobody was told");
    let told = published(&deployment("m"), &first);
    serve(&mut fleet, US, NOW);
    assert_eq!(settle(&mut fleet, &told, NOW.plus(5)).revision, 1, "readiness is no decision");
    let more = Deployment { replicas: 3, ..told.clone() };
    let scaled = settle(&mut fleet, &more, NOW.plus(6));
    assert_eq!(scaled.revision, 2);
    serve(&mut fleet, US, NOW);
    let mut told = published(&Deployment { rules: eu_only().rules, ..more }, &scaled);
    for (at, revision, why) in [
        (10, 3, "a replacement is made"),
        (20, 3, "it starts"),
        (40, 4, "it has taken over"),
        (50, 4, "the other drains"),
        (200, 4, "the other is deleted"),
    ] {
        if revision == 4 {
            serve(&mut fleet, EU_REPLACEMENT, NOW.plus(30));
        }
        let plan = settle(&mut fleet, &told, NOW.plus(at));
        assert_eq!(plan.revision, revision, "{why}: {:?}", wanted(&plan));
        told = published(&told, &plan);
    }
}

#[test]
fn a_full_list_of_published_allocations_is_no_news_for_ever() {
    let mut fleet = fleet(two());
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    let mut many = published(&deployment("m"), &plan);
    for number in 0..MAX_PUBLISHED + 4 {
        let name = format!("m-{number}");
        let mut endpoint = fleet.endpoint(&key(US)).unwrap().clone();
        (endpoint.name, endpoint.slot) = (name, 10 + u32::try_from(number).unwrap());
        endpoint.ever_ready = true;
        fleet.upsert_endpoint(endpoint);
    }
    let plan = checked(&fleet, &many, NOW.plus(1));
    let cut = plan.allocations.iter().filter(|one| one.role != Role::Draining).take(MAX_PUBLISHED);
    let published = |one: &Allocation| Published { role: one.role, replicas: one.replicas };
    many.decided.allocations = cut.map(|one| (one.endpoint.clone().unwrap(), published(one))).collect();
    many.decided.revision = plan.revision;
    assert_eq!(checked(&fleet, &many, NOW.plus(2)).revision, plan.revision);
}

#[test]
fn a_place_that_refused_one_generation_may_be_tried_with_the_next() {
    let mut fleet = placed();
    let mut m = Deployment { generation: 3, ..deployment("m") };
    m.decided.generation = 3;
    fail(&mut fleet, US, FailureKind::AdmissionRefused);
    let refused = checked(&fleet, &m, NOW.plus(10));
    let exhaust = refused.actions.iter().find_map(|action| match action {
        Action::Delete { exhaust, .. } => exhaust.clone(),
        _ => None,
    });
    let exhaust = exhaust.expect("another place would do");
    assert_eq!((exhaust.generation, exhaust.only_for.clone()), (3, Some(id("m"))));
    let left_alone = Exhausted {
        offer: exhaust.offer,
        size: exhaust.size,
        only_for: exhaust.only_for,
        generation: exhaust.generation,
        until: NOW.plus(300),
        attempts: 1,
        reason: exhaust.reason,
    };
    gone(&mut fleet, US);
    change_target(&mut fleet, "eks-us", |target| target.exhausted = vec![left_alone.clone()]);
    assert_eq!(placed_on(&checked(&fleet, &m, NOW.plus(20))), Some("gke-eu"));
    let edited = Deployment { generation: 4, ..m.clone() };
    assert_eq!(placed_on(&checked(&fleet, &edited, NOW.plus(20))), Some("eks-us"), "the edit may be the cure");
    let by_a_former_release = Exhausted { generation: 0, ..left_alone };
    change_target(&mut fleet, "eks-us", |target| target.exhausted = vec![by_a_former_release]);
    assert_eq!(placed_on(&checked(&fleet, &edited, NOW.plus(20))), Some("gke-eu"));
}

#[test]
fn a_failure_that_was_seen_before_an_edit_is_no_refusal_of_the_edit() {
    let mut fleet = placed();
    let mut edited = Deployment { generation: 4, ..deployment("m") };
    edited.decided.generation = 3;
    fail(&mut fleet, US, FailureKind::AdmissionRefused);
    let plan = checked(&fleet, &edited, NOW.plus(10));
    let refused = plan
        .actions
        .iter()
        .any(|action| matches!(action, Action::Delete { exhaust: Some(exhaust), .. } if exhaust.generation == 3));
    assert!(refused, "{}", render_text(&plan));
}
