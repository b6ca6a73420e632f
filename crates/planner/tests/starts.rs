//! Starts that do not come to an end, and the turns of those that wait for a replacement.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use roadstead_explain::render_text;
use roadstead_model::*;
use roadstead_planner::*;

#[test]
fn a_first_endpoint_that_does_not_answer_or_is_refused_goes_to_the_next_place() {
    let cases = [
        (FailureKind::StartupTimeout, Removal::StartupTimeout),
        (FailureKind::AdmissionRefused, Removal::AdmissionRefused),
    ];
    for (kind, reason) in cases {
        let mut fleet = placed();
        fail(&mut fleet, US, kind);
        let plan = settle(&mut fleet, &deployment("m"), NOW);
        assert_eq!((deleted(&plan, US), placed_on(&plan)), (Some(reason), Some("gke-eu")));
        let Action::Delete { exhaust: Some(exhaust), .. } = &plan.actions[0] else { panic!("{plan:?}") };
        assert_eq!((exhaust.only_for.clone(), exhaust.reason.as_str()), (Some(id("m")), kind.as_str()));
        assert_eq!(placed_on(&checked(&fleet, &deployment("other"), NOW)), Some("eks-us"), "others may go there");
    }
}

#[test]
fn a_first_endpoint_that_does_not_answer_or_is_refused_stays_where_no_other_place_would_do() {
    for kind in [FailureKind::StartupTimeout, FailureKind::AdmissionRefused] {
        let mut fleet = fleet([two().remove(0)]);
        settle(&mut fleet, &deployment("m"), NOW);
        fail(&mut fleet, US, kind);
        let plan = settle(&mut fleet, &deployment("m"), NOW);
        assert_eq!((deleted(&plan, US), created(&plan)), (None, None), "{}", render_text(&plan));
        assert!(plan.waits.contains(&Wait::Feasible), "another place is taken as soon as there is one");
        fleet.upsert_target(two().remove(1));
        assert_eq!(placed_on(&settle(&mut fleet, &deployment("m"), NOW)), Some("gke-eu"));
    }
}

#[test]
fn a_replacement_that_answered_and_stopped_before_it_took_over_has_as_long_as_a_start() {
    let mut fleet = serving();
    fleet.upsert_target(target("gke-fr", "gcp", "europe-west9", "99"));
    settle(&mut fleet, &eu_only(), NOW);
    change(&mut fleet, EU_REPLACEMENT, |endpoint| {
        endpoint.ever_ready = true;
        endpoint.answer_by = Some(NOW.plus(100));
    });
    let plan = settle(&mut fleet, &eu_only(), NOW.plus(99));
    assert_eq!((deleted(&plan, EU_REPLACEMENT), plan.recheck_at), (None, Some(NOW.plus(100))));
    let plan = settle(&mut fleet, &eu_only(), NOW.plus(100));
    assert_eq!((deleted(&plan, EU_REPLACEMENT), placed_on(&plan)), (Some(Removal::StartupTimeout), Some("gke-fr")));
    assert_eq!(kept(&plan, US).replicas, 2);
}

#[test]
fn a_replacement_that_answered_once_leaves_a_target_that_does_not_answer() {
    let mut fleet = serving();
    settle(&mut fleet, &eu_only(), NOW);
    change(&mut fleet, EU_REPLACEMENT, |endpoint| endpoint.ever_ready = true);
    change_target(&mut fleet, "gke-eu", |target| target.state = not_ready(NOW));
    let plan = settle(&mut fleet, &eu_only(), NOW.plus(60));
    assert_eq!(deleted(&plan, EU_REPLACEMENT), Some(Removal::TargetNotReady));
}

#[test]
fn a_slow_replacement_is_rolled_back_and_left_alone_for_this_deployment() {
    let mut fleet = serving();
    settle(&mut fleet, &eu_only(), NOW);
    fail(&mut fleet, EU_REPLACEMENT, FailureKind::StartupTimeout);
    let mut third = target("gke-fr", "gcp", "europe-west9", "99");
    let plan = checked(&fleet, &eu_only(), NOW);
    assert_eq!(deleted(&plan, EU_REPLACEMENT), Some(Removal::StartupTimeout));
    assert_eq!(created(&plan), None, "{}", render_text(&plan));
    assert_eq!(verdict(&plan, "gke-eu").reason(), Reason::Exhausted);
    let Some(Action::Delete { exhaust: Some(exhaust), .. }) =
        plan.actions.iter().find(|action| matches!(action, Action::Delete { .. }))
    else {
        panic!("{plan:?}")
    };
    assert_eq!(exhaust.only_for, Some(id("m")));
    third.inventory = Inventory::Answered;
    fleet.upsert_target(third);
    let plan = settle(&mut fleet, &eu_only(), NOW);
    assert_eq!((deleted(&plan, EU_REPLACEMENT), placed_on(&plan)), (Some(Removal::StartupTimeout), Some("gke-fr")));
    assert_eq!(created(&plan).unwrap().slot, 2, "slots of what is being deleted are held");
    assert_eq!(kept(&plan, US).replicas, 2);
}

#[test]
fn a_refused_replacement_is_followed_by_the_next() {
    let mut fleet = serving();
    fleet.upsert_target(target("gke-fr", "gcp", "europe-west9", "99"));
    settle(&mut fleet, &eu_only(), NOW);
    fail(&mut fleet, EU_REPLACEMENT, FailureKind::CapacityExhausted);
    let plan = settle(&mut fleet, &eu_only(), NOW);
    assert_eq!((deleted(&plan, EU_REPLACEMENT), placed_on(&plan)), (Some(Removal::CapacityExhausted), Some("gke-fr")));
}

#[test]
fn at_most_five_replacements_are_under_way() {
    let mut targets = two();
    for target in &mut targets {
        target.nodes = Some((0..10).map(|index| node(&format!("n{index}"), 8)).collect());
    }
    let mut fleet = fleet(targets);
    let named = |index: usize, eu: bool| {
        let base = if eu { eu_only() } else { deployment("m") };
        Deployment { id: id(&format!("d{index}")), ..base }
    };
    for index in 0..6 {
        settle(&mut fleet, &named(index, false), NOW);
        serve(&mut fleet, &format!("d{index}-eks-us-h100x2-0"), NOW);
    }
    for index in 0..5 {
        assert!(created(&settle(&mut fleet, &named(index, true), NOW)).is_some(), "{index}");
    }
    assert_eq!(fleet.replacements_under_way(NOW), 5);
    let plan = settle(&mut fleet, &named(5, true), NOW);
    assert_eq!((plan.decision, created(&plan)), (Decision::PolicyViolated, None));
    assert!(plan.waits.contains(&full(ReplacementBudget::Fleet, 5)));
    let plan = settle(&mut fleet, &named(0, false), NOW);
    assert_eq!(deleted(&plan, "d0-gke-eu-h100x2-1"), Some(Removal::MoveAbandoned));
    assert!(created(&settle(&mut fleet, &named(5, true), NOW)).is_some(), "one is given up");
}

/// So many replacements are in progress, which is the limit.
fn full(budget: ReplacementBudget, limit: u32) -> Wait {
    Wait::ReplacementLimit { budget, under_way: limit, limit }
}

/// Deployments `d0` to `d2` that serve on the cheaper target, with these limits.
fn three_that_serve(limits: ReplacementLimits) -> Fleet {
    let mut fleet = Fleet::with_limits(limits);
    for mut target in two() {
        target.nodes = Some((0..10).map(|index| node(&format!("n{index}"), 8)).collect());
        fleet.upsert_target(target);
    }
    for index in 0..3 {
        settle(&mut fleet, &Deployment { id: id(&format!("d{index}")), ..deployment("m") }, NOW);
        serve(&mut fleet, &format!("d{index}-eks-us-h100x2-0"), NOW);
    }
    fleet
}

#[test]
fn a_namespace_and_a_destination_have_limits_of_their_own() {
    let (namespace, target) = ("team-a".to_owned(), "gke-eu".to_owned());
    for (limits, budget) in [
        (
            ReplacementLimits { namespace: Some(1), ..ReplacementLimits::default() },
            ReplacementBudget::Namespace { namespace },
        ),
        (
            ReplacementLimits { destination: Some(1), ..ReplacementLimits::default() },
            ReplacementBudget::Destination { target },
        ),
    ] {
        let mut fleet = three_that_serve(limits);
        let moves = |index: usize| Deployment { id: id(&format!("d{index}")), ..eu_only() };
        assert!(created(&settle(&mut fleet, &moves(0), NOW)).is_some());
        let plan = settle(&mut fleet, &moves(1), NOW);
        assert_eq!((created(&plan), plan.decision), (None, Decision::PolicyViolated));
        assert!(plan.waits.contains(&full(budget.clone(), 1)), "{}", render_text(&plan));
        serve(&mut fleet, "d0-gke-eu-h100x2-1", NOW.plus(10));
        settle(&mut fleet, &moves(0), NOW.plus(10));
        settle(&mut fleet, &moves(0), NOW.plus(130));
        assert_eq!(created(&settle(&mut fleet, &moves(2), NOW.plus(131))), None, "another one has waited longer");
        assert!(created(&settle(&mut fleet, &moves(1), NOW.plus(132))).is_some(), "the first move is done");
    }
}

#[test]
fn who_waits_for_a_namespace_keeps_nobody_elsewhere_waiting() {
    let limits = ReplacementLimits { fleet: 2, namespace: Some(1), ..ReplacementLimits::default() };
    let mut fleet = three_that_serve(limits);
    let moves = |index: usize| Deployment { id: id(&format!("d{index}")), ..eu_only() };
    for index in 0..2 {
        settle(&mut fleet, &moves(index), NOW);
    }
    assert!(fleet.waits_for_turn(&id("d1")));
    let other = DeploymentId { namespace: "team-b".into(), name: "m".into() };
    let other = |base: Deployment| Deployment { id: other.clone(), ..base };
    settle(&mut fleet, &other(deployment("m")), NOW);
    let mut serving = fleet.endpoints_of(&other(eu_only()).id).next().unwrap().clone();
    (serving.ready, serving.ever_ready, serving.published_at) = (true, true, Some(NOW));
    fleet.upsert_endpoint(serving);
    let plan = settle(&mut fleet, &other(eu_only()), NOW.plus(1));
    assert!(created(&plan).is_some(), "{}", render_text(&plan));
}

#[test]
fn a_failover_waits_for_its_destination_and_not_for_its_namespace() {
    let fails = |limits: ReplacementLimits| {
        let mut fleet = three_that_serve(limits);
        settle(&mut fleet, &Deployment { id: id("d0"), ..eu_only() }, NOW);
        change(&mut fleet, "d1-eks-us-h100x2-0", |endpoint| {
            endpoint.ready = false;
            endpoint.health = Health::Failing;
            (endpoint.failing_since, endpoint.failed_at) = (Some(NOW), Some(NOW.plus(60)));
        });
        let fails = Deployment { id: id("d1"), failover_after_seconds: Some(60), ..deployment("m") };
        settle(&mut fleet, &fails, NOW.plus(60))
    };
    let plan = fails(ReplacementLimits { namespace: Some(1), ..ReplacementLimits::default() });
    assert_eq!((plan.decision, placed_on(&plan)), (Decision::EndpointFailing, Some("gke-eu")));
    let plan = fails(ReplacementLimits { destination: Some(1), ..ReplacementLimits::default() });
    assert_eq!((plan.decision, placed_on(&plan)), (Decision::EndpointFailing, None));
    let budget = ReplacementBudget::Destination { target: "gke-eu".into() };
    assert!(plan.waits.contains(&full(budget, 1)), "{}", render_text(&plan));
}

#[test]
fn the_limit_of_replacements_is_a_setting() {
    let mut fleet = three_that_serve(ReplacementLimits { fleet: 2, ..ReplacementLimits::default() });
    let moves = |index: usize| Deployment { id: id(&format!("d{index}")), ..eu_only() };
    for index in 0..2 {
        assert!(created(&settle(&mut fleet, &moves(index), NOW)).is_some(), "{index}");
    }
    let plan = settle(&mut fleet, &moves(2), NOW);
    assert!(plan.waits.contains(&full(ReplacementBudget::Fleet, 2)), "{}", render_text(&plan));
}

#[test]
fn a_replacement_whose_turn_it_is_may_be_tried_elsewhere_at_the_limit() {
    let mut targets = two();
    targets.push(target("gke-fr", "gcp", "europe-west9", "99"));
    for target in &mut targets {
        target.nodes = Some((0..10).map(|index| node(&format!("n{index}"), 8)).collect());
    }
    let mut fleet = fleet(targets);
    for index in 0..5 {
        let name = format!("d{index}");
        settle(&mut fleet, &Deployment { id: id(&name), ..deployment("m") }, NOW);
        serve(&mut fleet, &format!("{name}-eks-us-h100x2-0"), NOW);
        settle(&mut fleet, &Deployment { id: id(&name), ..eu_only() }, NOW);
    }
    fail(&mut fleet, "d0-gke-eu-h100x2-1", FailureKind::CapacityExhausted);
    let plan = settle(&mut fleet, &Deployment { id: id("d0"), ..eu_only() }, NOW);
    assert_eq!(placed_on(&plan), Some("gke-fr"));
}

/// Six deployments on the cheaper target that have to leave it, and what names them.
fn six_that_move(third: bool) -> (Fleet, impl Fn(usize) -> Deployment) {
    let mut targets = two();
    targets.extend(third.then(|| target("gke-fr", "gcp", "europe-west9", "99")));
    for target in &mut targets {
        target.nodes = Some((0..12).map(|index| node(&format!("n{index}"), 8)).collect());
    }
    let mut fleet = fleet(targets);
    for index in 0..6 {
        let named = Deployment { id: id(&format!("d{index}")), ..deployment("m") };
        settle(&mut fleet, &named, NOW);
        serve(&mut fleet, &format!("d{index}-eks-us-h100x2-0"), NOW);
    }
    let moves = |index: usize| Deployment { id: id(&format!("d{index}")), ..eu_only() };
    for index in 0..6 {
        settle(&mut fleet, &moves(index), NOW);
    }
    assert_eq!(fleet.replacements_under_way(NOW), DEFAULT_MAX_REPLACEMENTS);
    (fleet, moves)
}

#[test]
fn a_replacement_that_failed_lets_those_go_first_that_have_waited_longer() {
    let (mut fleet, moves) = six_that_move(true);
    fail(&mut fleet, "d0-gke-eu-h100x2-1", FailureKind::StartupTimeout);
    let later = NOW.plus(1_200);
    let plan = settle(&mut fleet, &moves(0), later);
    assert_eq!((deleted(&plan, "d0-gke-eu-h100x2-1"), created(&plan)), (Some(Removal::StartupTimeout), None));
    assert!(plan.waits.iter().any(|wait| matches!(wait, Wait::ReplacementLimit { .. })), "{}", render_text(&plan));
    assert_eq!(created(&settle(&mut fleet, &moves(0), later)), None, "however often it is asked");
    assert!(created(&settle(&mut fleet, &moves(5), later)).is_some(), "it has waited longest");
    gone(&mut fleet, "d0-gke-eu-h100x2-1");
    fail(&mut fleet, "d1-gke-eu-h100x2-1", FailureKind::CapacityExhausted);
    let plan = settle(&mut fleet, &moves(1), later.plus(1));
    assert_eq!((deleted(&plan, "d1-gke-eu-h100x2-1"), created(&plan)), (Some(Removal::CapacityExhausted), None));
    assert!(created(&settle(&mut fleet, &moves(0), later.plus(1))).is_some());
}

#[test]
fn a_turn_goes_to_the_highest_priority_and_then_to_who_has_waited_longest() {
    let (mut fleet, moves) = six_that_move(true);
    let waits = |fleet: &mut Fleet, name: &str, priority: i32, now: Timestamp| {
        let before = Deployment { id: id(name), priority, ..deployment("m") };
        settle(fleet, &before, now);
        serve(fleet, &format!("{name}-eks-us-h100x2-0"), now);
        let after = Deployment { id: id(name), priority, ..eu_only() };
        assert_eq!(created(&settle(fleet, &after, now)), None);
        after
    };
    // d5 waits since the beginning, with priority 0.
    let urgent = waits(&mut fleet, "urgent", 10, NOW.plus(20));
    let later = waits(&mut fleet, "later", 0, NOW.plus(1));
    let now = NOW.plus(1_200);
    for (ended, next) in [("d0", urgent), ("d1", moves(5)), ("d2", later.clone())] {
        assert_eq!(created(&settle(&mut fleet, &later, now)), None, "before {}", next.id);
        let key = key(&format!("{ended}-gke-eu-h100x2-1"));
        fleet.remove_endpoint(&key);
        assert!(created(&settle(&mut fleet, &next, now)).is_some(), "{}", next.id);
    }
}

#[test]
fn a_deployment_that_is_gone_keeps_nobody_waiting() {
    let (mut fleet, moves) = six_that_move(true);
    assert!(fleet.waits_for_turn(&id("d5")));
    fleet.leave_turn(&id("d5"));
    fail(&mut fleet, "d0-gke-eu-h100x2-1", FailureKind::StartupTimeout);
    assert_eq!(placed_on(&settle(&mut fleet, &moves(0), NOW)), Some("gke-fr"));
}

#[test]
fn no_replacement_counts_for_longer_than_it_may_take() {
    type Case = (&'static str, fn(&mut Fleet));
    let cases: [Case; 3] = [
        ("it was to answer by then, and nothing may be decided about it", |fleet| {
            change(fleet, "d0-gke-eu-h100x2-1", |endpoint| endpoint.answer_by = Some(NOW.plus(100)));
        }),
        ("it serves, and what it replaces is kept as it is", |fleet| {
            serve(fleet, "d0-gke-eu-h100x2-1", NOW.plus(40));
        }),
        ("what it replaces was to be gone by then", |fleet| {
            serve(fleet, "d0-gke-eu-h100x2-1", NOW);
            change(fleet, "d0-gke-eu-h100x2-1", |endpoint| endpoint.ready = false);
            change(fleet, "d0-eks-us-h100x2-0", |endpoint| {
                endpoint.state = EndpointState::Draining { deadline: NOW.plus(100) };
            });
        }),
    ];
    for (what, happens) in cases {
        let (mut fleet, moves) = six_that_move(false);
        happens(&mut fleet);
        let plan = settle(&mut fleet, &moves(5), NOW.plus(99));
        assert_eq!((created(&plan), plan.recheck_at), (None, Some(NOW.plus(100))), "{what}");
        assert!(created(&settle(&mut fleet, &moves(5), NOW.plus(100))).is_some(), "{what}");
    }
}
