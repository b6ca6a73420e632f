//! Replacements that remove first: there are never two endpoints, and nothing is removed without a place for its replacement.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use roadstead_explain::render_text;
use roadstead_model::*;
use roadstead_planner::*;

/// A deployment that may be in the EU alone, and removes first.
fn wish() -> Deployment {
    Deployment { removes_first: true, ..eu_only() }
}

fn waits_for_removal(plan: &Plan) -> bool {
    plan.waits.iter().any(|wait| matches!(wait, Wait::Removal { endpoint, .. } if endpoint == US))
}

/// The fleet while the endpoint in the US is being deleted.
fn deleting() -> Fleet {
    let mut fleet = serving();
    settle(&mut fleet, &wish(), NOW);
    settle(&mut fleet, &wish(), NOW.plus(120));
    fleet
}

#[test]
fn an_endpoint_drains_and_is_gone_before_its_replacement_is_created() {
    let mut fleet = serving();
    let first = settle(&mut fleet, &wish(), NOW);
    assert_eq!((first.decision, placed_on(&first)), (Decision::PolicyViolated, None), "{}", render_text(&first));
    assert!(matches!(first.summary, Summary::RemovesFirst { .. }));
    assert!(matches!(&first.actions[..], [Action::Drain { endpoint, .. }] if endpoint == US));
    let draining = settle(&mut fleet, &wish(), NOW.plus(60));
    assert_eq!((draining.decision, placed_on(&draining)), (Decision::AwaitingRemoval, None));
    let ending = settle(&mut fleet, &wish(), NOW.plus(120));
    assert!(matches!(&ending.actions[..], [Action::Delete { endpoint, .. }] if endpoint == US));
    let unconfirmed = settle(&mut fleet, &wish(), NOW.plus(3_600));
    assert!(waits_for_removal(&unconfirmed) && placed_on(&unconfirmed).is_none(), "{}", render_text(&unconfirmed));
    gone(&mut fleet, US);
    let after = settle(&mut fleet, &wish(), NOW.plus(3_700));
    assert_eq!((after.decision, placed_on(&after)), (Decision::InitialPlacement, Some("gke-eu")));
}

#[test]
fn without_a_place_for_the_replacement_nothing_is_removed() {
    let mut fleet = serving();
    change_target(&mut fleet, "gke-eu", |target| target.nodes = Some(vec![]));
    let plan = checked(&fleet, &wish(), NOW);
    assert!(matches!(&plan.actions[..], [Action::Keep(_)]), "{}", render_text(&plan));
}

#[test]
fn an_endpoint_whose_target_cannot_confirm_its_removal_stays() {
    let mut fleet = serving();
    change_target(&mut fleet, "eks-us", |target| target.state = not_ready(NOW));
    let plan = checked(&fleet, &wish(), NOW.plus(3_600));
    assert!(matches!(plan.summary, Summary::CannotRemoveFirst { .. }), "{}", render_text(&plan));
    assert!(matches!(&plan.actions[..], [Action::Keep(_)]));
}

#[test]
fn an_endpoint_whose_target_is_back_is_probed_once_more_before_it_is_removed() {
    let anywhere = Deployment { removes_first: true, ..deployment("m") };
    let mut fleet = serving();
    change(&mut fleet, US, |endpoint| {
        endpoint.ready = false;
        endpoint.health = Health::Lost;
        endpoint.failing_since = Some(NOW);
        endpoint.failed_at = Some(NOW.plus(90));
    });
    change_target(&mut fleet, "eks-us", |target| target.ready_since = Some(NOW.plus(91)));
    let back = checked(&fleet, &anywhere, NOW.plus(92));
    assert_eq!((deleted(&back, US), drained(&back, US)), (None, None), "{}", render_text(&back));
    change(&mut fleet, US, |endpoint| endpoint.failed_at = Some(NOW.plus(96)));
    let failing = checked(&fleet, &anywhere, NOW.plus(97));
    assert!(deleted(&failing, US).is_some() || drained(&failing, US).is_some(), "{}", render_text(&failing));
}

#[test]
fn a_lost_endpoint_waits_for_its_target_and_a_failing_one_is_removed() {
    let anywhere = Deployment { removes_first: true, ..deployment("m") };
    let mut fleet = serving();
    change(&mut fleet, US, |endpoint| {
        endpoint.ready = false;
        endpoint.health = Health::Failing;
        endpoint.failing_since = Some(NOW);
        endpoint.failed_at = Some(NOW.plus(61));
    });
    let mut lost = fleet.clone();
    change(&mut lost, US, |endpoint| endpoint.health = Health::Lost);
    change_target(&mut lost, "eks-us", |target| target.state = not_ready(NOW));
    let waiting = checked(&lost, &anywhere, NOW.plus(62));
    assert_eq!(waiting.decision, Decision::TargetLost);
    assert!(matches!(waiting.summary, Summary::CannotRemoveFirst { .. }), "{}", render_text(&waiting));
    let removed = settle(&mut fleet, &anywhere, NOW.plus(62));
    assert_eq!(removed.decision, Decision::EndpointFailing);
    let left_alone =
        matches!(&removed.actions[..], [Action::Delete { endpoint, exhaust: Some(_), .. }] if endpoint == US);
    assert!(left_alone, "{}", render_text(&removed));
}

#[test]
fn a_newcomer_that_is_refused_is_gone_before_the_next_place_is_tried() {
    let anywhere = Deployment { removes_first: true, ..deployment("m") };
    let mut fleet = fleet(two());
    settle(&mut fleet, &anywhere, NOW);
    change(&mut fleet, US, |endpoint| {
        endpoint.failure = Some(Failure { kind: FailureKind::CapacityExhausted, since: NOW });
    });
    let refused = settle(&mut fleet, &anywhere, NOW.plus(10));
    assert!(waits_for_removal(&refused) && placed_on(&refused).is_none(), "{}", render_text(&refused));
}

#[test]
fn an_order_that_changes_back_in_the_middle_replaces_first_again() {
    let fleet = deleting();
    let plan = checked(&fleet, &eu_only(), NOW.plus(130));
    assert_eq!(placed_on(&plan), Some("gke-eu"), "{}", render_text(&plan));
}

#[test]
fn a_first_place_is_on_the_target_that_was_asked_for() {
    let fleet = fleet(two());
    let asked = Deployment { move_to: Some("gke-eu".into()), ..deployment("m") };
    assert_eq!(placed_on(&checked(&fleet, &asked, NOW)), Some("gke-eu"));
    let nowhere = Deployment { move_to: Some("gone".into()), ..deployment("m") };
    assert_eq!(placed_on(&checked(&fleet, &nowhere, NOW)), Some("eks-us"));
}
