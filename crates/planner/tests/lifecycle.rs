//! Endpoints over time: new endpoints, incumbents, moves, adoption, and waits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::*;
use roadstead_explain::render_text;
use roadstead_model::*;

#[test]
fn a_refused_newcomer_goes_and_the_next_place_is_tried_at_once() {
    let mut fleet = placed();
    fail(&mut fleet, US, FailureKind::CapacityExhausted);
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!(deleted(&plan, US), Some(Removal::CapacityExhausted));
    let Action::Delete { exhaust: Some(exhaust), .. } = &plan.actions[0] else { panic!("{plan:?}") };
    assert_eq!((exhaust.target.as_str(), exhaust.offer.as_str(), exhaust.size.accelerators), ("eks-us", "a3", 2));
    assert_eq!(exhaust.only_for, None);
    assert_eq!(created(&plan).map(|p| (p.target.as_str(), p.slot)), Some(("gke-eu", 1)));
    assert_eq!(plan.decision, Decision::InitialPlacement);
    assert_eq!(verdict(&plan, "eks-us").reason(), Reason::Exhausted);
    let again = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!(again.decision, Decision::Unchanged);
    assert_eq!(verdict(&again, "eks-us").reason(), Reason::Exhausted, "while it is being deleted");
}

#[test]
fn a_refused_newcomer_without_an_alternative_leaves_it_pending() {
    let mut fleet = fleet([two().remove(0)]);
    settle(&mut fleet, &deployment("m"), NOW);
    fail(&mut fleet, US, FailureKind::QuotaExceeded);
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!(deleted(&plan, US), Some(Removal::CapacityExhausted));
    assert_eq!((plan.decision, created(&plan)), (Decision::NoFeasiblePlacement, None));
    assert!(plan.waits.contains(&Wait::Feasible));
}

#[test]
fn a_newcomer_whose_name_is_taken_goes_elsewhere_and_others_may_still_go_there() {
    let mut fleet = placed();
    fail(&mut fleet, US, FailureKind::NameConflict);
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!((deleted(&plan, US), placed_on(&plan)), (Some(Removal::NameConflict), Some("gke-eu")));
    let Action::Delete { exhaust: Some(exhaust), .. } = &plan.actions[0] else { panic!("{plan:?}") };
    assert_eq!((exhaust.target.as_str(), exhaust.only_for.clone()), ("eks-us", Some(id("m"))));
    assert_eq!(placed_on(&checked(&fleet, &deployment("other"), NOW)), Some("eks-us"));
}

#[test]
fn a_newcomer_whose_name_is_taken_stays_and_waits_if_there_is_no_other_place() {
    let mut fleet = fleet([two().remove(0)]);
    settle(&mut fleet, &deployment("m"), NOW);
    fail(&mut fleet, US, FailureKind::NameConflict);
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!((deleted(&plan, US), created(&plan)), (None, None), "{}", render_text(&plan));
    assert!(plan.waits.contains(&Wait::Feasible), "another place is taken as soon as there is one");
    fleet.upsert_target(two().remove(1));
    assert_eq!(placed_on(&settle(&mut fleet, &deployment("m"), NOW)), Some("gke-eu"));
}

#[test]
fn a_replacement_whose_name_is_taken_is_given_up_and_what_serves_stays() {
    let mut fleet = serving();
    settle(&mut fleet, &eu_only(), NOW);
    fail(&mut fleet, EU_REPLACEMENT, FailureKind::NameConflict);
    let plan = settle(&mut fleet, &eu_only(), NOW);
    assert_eq!((deleted(&plan, EU_REPLACEMENT), created(&plan)), (Some(Removal::NameConflict), None));
    assert_eq!(kept(&plan, US).replicas, 2);
}

#[test]
fn an_incumbent_whose_name_was_taken_stays_and_is_reported() {
    let mut fleet = serving();
    fail(&mut fleet, US, FailureKind::NameConflict);
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!((kept(&plan, US).replicas, created(&plan)), (2, None));
}

#[test]
fn a_newcomer_goes_where_the_rules_now_send_it() {
    type Case = (&'static str, fn(&mut Deployment), Removal);
    let cases: [Case; 4] = [
        ("jurisdiction", |d| d.rules.jurisdictions = Some(BTreeSet::from(["EU".to_owned()])), Removal::PolicyViolated),
        ("shape is gone", |d| d.shapes[0].name = "other".into(), Removal::SpecChanged),
        ("engine", |d| d.engine = "custom".into(), Removal::SpecChanged),
        ("accelerators of its shape", |d| d.shapes[0].accelerator.count = 4, Removal::SpecChanged),
    ];
    for (name, edit, reason) in cases {
        let mut fleet = placed();
        let mut deployment = deployment("m");
        edit(&mut deployment);
        let plan = settle(&mut fleet, &deployment, NOW);
        assert_eq!(deleted(&plan, US), Some(reason), "{name}");
        assert!(created(&plan).is_some(), "{name}");
        assert!(plan.actions.iter().all(|action| !matches!(action, Action::Create { replaces: Some(_), .. })));
    }
    let mut fleet = placed();
    let budgeted = Deployment { max_hourly_cost: Some(dollars("39")), ..deployment("m") };
    let plan = settle(&mut fleet, &budgeted, NOW);
    assert_eq!((deleted(&plan, US), created(&plan)), (Some(Removal::OverBudget), None));
}

#[test]
fn a_newcomer_leaves_a_target_that_does_not_answer_for_a_minute() {
    let mut fleet = placed();
    change_target(&mut fleet, "eks-us", |target| target.state = not_ready(NOW));
    let plan = settle(&mut fleet, &deployment("m"), NOW.plus(59));
    assert_eq!(findings(&plan, US), [FindingReason::TargetNotReady]);
    assert_eq!(plan.recheck_at, Some(NOW.plus(60)));
    let plan = settle(&mut fleet, &deployment("m"), NOW.plus(60));
    assert_eq!(deleted(&plan, US), Some(Removal::TargetNotReady));
    assert_eq!(placed_on(&plan), Some("gke-eu"));
}

#[test]
fn a_newcomer_goes_on_at_a_target_whose_spec_has_become_invalid_and_nothing_new_comes() {
    let mut fleet = placed();
    change_target(&mut fleet, "eks-us", |target| {
        let (reason, message) = ("InvalidSpec".to_owned(), "a field is missing".to_owned());
        target.state = TargetState::Invalid { reason, message, since: NOW };
    });
    for later in [0, 60, 3_600] {
        let plan = settle(&mut fleet, &deployment("m"), NOW.plus(later));
        assert_eq!(deleted(&plan, US), None, "after {later} s: {}", render_text(&plan));
        assert_eq!(findings(&plan, US), [FindingReason::TargetNotReady]);
    }
    let plan = checked(&fleet, &deployment("other"), NOW.plus(3_600));
    assert_eq!((placed_on(&plan), verdict(&plan, "eks-us").reason()), (Some("gke-eu"), Reason::TargetNotReady));
}

/// A deployment whose engine has arguments.
fn with_args() -> Deployment {
    Deployment { settings: BTreeMap::from([(EngineSetting::Args, BTreeSet::new())]), ..deployment("m") }
}

#[test]
fn an_incumbent_stays_at_what_only_keeps_newcomers_away() {
    type Case = (&'static str, fn(&mut Target), &'static [FindingReason]);
    let cases: [Case; 9] = [
        (
            "taint",
            |t| {
                t.taints = vec![Taint { key: "k".into(), value: "v".into(), effect: Effect::NoPlacement }];
            },
            &[],
        ),
        ("not ready", |t| t.state = not_ready(Timestamp(0)), &[FindingReason::TargetNotReady]),
        ("engine", |t| t.capabilities.engines = Some(BTreeSet::new()), &[]),
        ("settings", |t| t.capabilities.own_server = Some("Bedrock".into()), &[]),
        ("fewer replicas", |t| t.capabilities.max_replicas = Some(1), &[]),
        ("offer is gone", |t| t.offers.clear(), &[FindingReason::OfferGone]),
        ("max instances", |t| t.offers[0].max_instances = Some(0), &[FindingReason::OfferGone]),
        ("price unknown", |t| t.offers[0].price = None, &[]),
        ("no nodes left", |t| t.nodes = Some(vec![]), &[]),
    ];
    for (name, edit, expected) in cases {
        let mut fleet = serving();
        change_target(&mut fleet, "eks-us", edit);
        let plan = settle(&mut fleet, &with_args(), NOW);
        assert_eq!(findings(&plan, US), expected, "{name}");
        assert_eq!(kept(&plan, US).hourly_cost, Some(dollars("40")), "{name}: its last known price");
        assert_eq!((plan.decision, plan.actions.len()), (Decision::Unchanged, 1), "{name}");
    }
    let mut fleet = serving();
    fleet.remove_target("eks-us");
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!(findings(&plan, US), [FindingReason::TargetNotReady]);
}

#[test]
fn a_cheaper_place_alone_moves_nobody() {
    let mut fleet = serving();
    change_target(&mut fleet, "gke-eu", |target| {
        target.offers[0].price = Some(per_hour("1"));
    });
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!((plan.decision, created(&plan)), (Decision::Unchanged, None));
    assert!(verdict(&plan, "eks-us").verdict.is_chosen());
    assert!(in_words(verdict(&plan, "gke-eu")).contains("$39.50/h less"));
}

#[test]
fn a_forbidden_incumbent_is_replaced_before_it_goes() {
    let mut fleet = serving();
    let deployment = eu_only();
    let plan = settle(&mut fleet, &deployment, NOW);
    assert_eq!((plan.decision, placed_on(&plan)), (Decision::PolicyViolated, Some("gke-eu")));
    assert_eq!(findings(&plan, US), [FindingReason::PolicyViolated]);
    assert_eq!(kept(&plan, US).pods, PodFields::StayAsPlaced);
    assert!(
        plan.actions
            .iter()
            .any(|action| { matches!(action, Action::Create { replaces: Some(name), .. } if name == US) })
    );

    let plan = settle(&mut fleet, &deployment, NOW.plus(10));
    assert_eq!((plan.decision, created(&plan)), (Decision::PolicyViolated, None));
    assert!(plan.waits.contains(&Wait::Readiness { endpoint: EU_REPLACEMENT.into() }));

    bind(&mut fleet, EU_REPLACEMENT);
    change(&mut fleet, EU_REPLACEMENT, |endpoint| {
        endpoint.ready = true;
        endpoint.ever_ready = true;
    });
    let plan = settle(&mut fleet, &deployment, NOW.plus(20));
    assert!(plan.waits.contains(&Wait::Publication { endpoint: EU_REPLACEMENT.into() }));
    assert_eq!((drained(&plan, US), deleted(&plan, US)), (None, None));

    change(&mut fleet, EU_REPLACEMENT, |endpoint| {
        endpoint.published_at = Some(NOW.plus(30));
    });
    let plan = settle(&mut fleet, &deployment, NOW.plus(31));
    assert_eq!(drained(&plan, US), Some(NOW.plus(151)), "drain timeout after the decision");
    assert_eq!(plan.recheck_at, Some(NOW.plus(151)));
    assert_eq!(plan.decision, Decision::Unchanged);

    let plan = settle(&mut fleet, &deployment, NOW.plus(150));
    assert_eq!(deleted(&plan, US), None);
    let plan = settle(&mut fleet, &deployment, NOW.plus(151));
    assert_eq!(deleted(&plan, US), Some(Removal::Replaced));
    gone(&mut fleet, US);
    let plan = settle(&mut fleet, &deployment, NOW.plus(160));
    assert_eq!(plan.actions, [Action::Keep(kept(&plan, EU_REPLACEMENT).clone())]);
    assert!(plan.waits.is_empty() && plan.recheck_at.is_none());
}

#[test]
fn a_forbidden_incumbent_without_an_alternative_stays_and_gets_nothing_new() {
    let mut fleet = fleet([two().remove(0)]);
    settle(&mut fleet, &deployment("m"), NOW);
    serve(&mut fleet, US, NOW);
    let more = Deployment { replicas: 4, ..eu_only() };
    let plan = settle(&mut fleet, &more, NOW);
    assert_eq!(plan.decision, Decision::PolicyViolated);
    assert_eq!((kept(&plan, US).replicas, kept(&plan, US).pods), (2, PodFields::FollowSpec));
    assert!(plan.waits.contains(&Wait::Feasible));
    assert_eq!(verdict(&plan, "eks-us").reason(), Reason::JurisdictionNotAllowed);
}

#[test]
fn targets_can_send_an_incumbent_away() {
    type Case = (&'static str, fn(&mut Target));
    let cases: [Case; 2] = [
        ("namespace", |target| target.allowed_namespaces = None),
        ("labels", |target| target.labels = labels(&[("env", "dev")])),
    ];
    for (name, edit) in cases {
        let mut deployment = deployment("m");
        deployment.rules.target_selector = selector(&[("env", "prod")]);
        let mut targets = two();
        for target in &mut targets {
            target.labels = labels(&[("env", "prod")]);
        }
        let mut fleet = fleet(targets);
        settle(&mut fleet, &deployment, NOW);
        serve(&mut fleet, US, NOW);
        change_target(&mut fleet, "eks-us", edit);
        let plan = settle(&mut fleet, &deployment, NOW);
        assert_eq!((plan.decision, placed_on(&plan)), (Decision::PolicyViolated, Some("gke-eu")), "{name}");
    }
}

#[test]
fn a_changed_shape_or_engine_is_a_replacement() {
    type Case = (&'static str, fn(&mut Deployment));
    let cases: [Case; 3] = [
        ("engine", |d| d.engine = "custom".into()),
        ("accelerators", |d| d.shapes[0].accelerator.count = 4),
        ("shape gone", |d| d.shapes[0].name = "other".into()),
    ];
    for (name, edit) in cases {
        let mut fleet = serving();
        let mut deployment = deployment("m");
        edit(&mut deployment);
        let plan = settle(&mut fleet, &deployment, NOW);
        assert_eq!((plan.decision, placed_on(&plan)), (Decision::SpecChanged, Some("eks-us")), "{name}");
        assert_eq!(kept(&plan, US).pods, PodFields::StayAsPlaced, "{name}");
        assert_eq!(created(&plan).unwrap().slot, 1, "{name}");
    }
}

#[test]
fn a_place_that_updates_nothing_in_place_gets_a_replacement() {
    type Case = (&'static str, fn(&mut Deployment), fn(&mut Endpoint));
    let cases: [Case; 2] = [
        ("resources", |d| d.resources.memory_bytes = 100 * GIB, |_| {}),
        ("another field", |_| {}, |endpoint| endpoint.outdated = true),
    ];
    for (name, edit, observe) in cases {
        for update_in_place in [true, false] {
            let mut fleet = serving();
            change_target(&mut fleet, "eks-us", |target| target.capabilities.update_in_place = update_in_place);
            change(&mut fleet, US, observe);
            let mut deployment = deployment("m");
            edit(&mut deployment);
            let plan = settle(&mut fleet, &deployment, NOW);
            if update_in_place {
                assert_eq!((plan.decision, created(&plan)), (Decision::Unchanged, None), "{name}");
                assert_eq!(kept(&plan, US).pods, PodFields::FollowSpec, "{name}");
                continue;
            }
            assert_eq!((plan.decision, placed_on(&plan)), (Decision::SpecChanged, Some("eks-us")), "{name}");
            assert_eq!(kept(&plan, US).pods, PodFields::StayAsPlaced, "{name}");
            assert_eq!(findings(&plan, US), [FindingReason::SpecChanged], "{name}");
            let sentence = roadstead_explain::finding(&kept(&plan, US).findings[0]);
            assert_eq!(sentence, "the spec changed, and target eks-us cannot update an endpoint in place");
        }
    }
}

#[test]
fn an_edit_whose_settings_a_place_ignores_gets_a_replacement_elsewhere() {
    let mut fleet = serving();
    change_target(&mut fleet, "eks-us", |target| target.capabilities.own_server = Some("AzureOpenAI".into()));
    change(&mut fleet, US, |endpoint| endpoint.outdated = true);
    let plan = settle(&mut fleet, &with_args(), NOW);
    assert_eq!((plan.decision, placed_on(&plan)), (Decision::SpecChanged, Some("gke-eu")));
    assert_eq!(kept(&plan, US).pods, PodFields::StayAsPlaced);
    let sentence = roadstead_explain::finding(&kept(&plan, US).findings[0]);
    assert_eq!(sentence, "the spec changed, and target eks-us ignores its serving.args");
}

#[test]
fn a_place_that_updates_nothing_in_place_is_scaled_all_the_same() {
    let mut fleet = serving();
    change_target(&mut fleet, "eks-us", |target| target.capabilities.update_in_place = false);
    let plan = settle(&mut fleet, &Deployment { replicas: 8, ..deployment("m") }, NOW);
    assert_eq!((plan.decision, kept(&plan, US).replicas, created(&plan)), (Decision::Scaled, 8, None));
}

#[test]
fn a_newcomer_that_cannot_be_updated_goes_and_is_placed_anew() {
    let mut fleet = placed();
    change_target(&mut fleet, "eks-us", |target| target.capabilities.update_in_place = false);
    change(&mut fleet, US, |endpoint| endpoint.outdated = true);
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!((deleted(&plan, US), placed_on(&plan)), (Some(Removal::SpecChanged), Some("eks-us")));
}

#[test]
fn order_of_shapes_and_priority_change_nothing() {
    let mut fleet = serving();
    let mut deployment = deployment("m");
    deployment.shapes.insert(0, shape("h100x1", "H100", 1));
    deployment.priority = 1_000;
    let plan = settle(&mut fleet, &deployment, NOW);
    assert_eq!((plan.decision, plan.actions.len()), (Decision::Unchanged, 1));
    assert_eq!(fleet.endpoint(&key(US)).unwrap().priority, 1_000, "others are told the new one");
}

#[test]
fn replicas_are_scaled_in_place_where_they_fit() {
    let mut fleet = serving();
    let eight = Deployment { replicas: 8, ..deployment("m") };
    let plan = settle(&mut fleet, &eight, NOW);
    assert_eq!((plan.decision, kept(&plan, US).replicas), (Decision::Scaled, 8), "its own pods do not count");
    assert_eq!(kept(&plan, US).hourly_cost, Some(dollars("160")));
    let plan = settle(&mut fleet, &eight, NOW);
    assert_eq!(plan.decision, Decision::Unchanged);
    let plan = settle(&mut fleet, &Deployment { replicas: 1, ..deployment("m") }, NOW);
    assert_eq!((plan.decision, kept(&plan, US).replicas), (Decision::Scaled, 1));
}

#[test]
fn replicas_that_do_not_fit_wait_for_a_place_for_all() {
    let mut fleet = serving();
    let nine = Deployment { replicas: 9, ..deployment("m") };
    let plan = settle(&mut fleet, &nine, NOW);
    assert_eq!((plan.decision, kept(&plan, US).replicas), (Decision::Scaled, 2));
    assert_eq!(findings(&plan, US), [FindingReason::InsufficientCapacity]);
    assert_eq!(kept(&plan, US).pods, PodFields::FollowSpec, "images can still change");
    assert!(plan.waits.contains(&Wait::Feasible));
    change_target(&mut fleet, "gke-eu", |target| {
        target.nodes.as_mut().unwrap().push(node("n3", 8));
    });
    let plan = settle(&mut fleet, &nine, NOW);
    assert_eq!((plan.decision, placed_on(&plan)), (Decision::Scaled, Some("gke-eu")));
    assert_eq!(created(&plan).unwrap().replicas, 9);
    change_target(&mut fleet, "eks-us", |target| {
        target.nodes.as_mut().unwrap().push(node("n3", 8));
    });
    let plan = settle(&mut fleet, &nine, NOW);
    assert_eq!(deleted(&plan, EU_REPLACEMENT), Some(Removal::MoveAbandoned), "now it fits in place");
    assert_eq!(kept(&plan, US).replicas, 9);
}

#[test]
fn resources_that_do_not_fit_in_place_are_a_replacement() {
    let mut fleet = serving();
    let mut larger = deployment("m");
    larger.resources.memory_bytes = 100 * GIB;
    let plan = settle(&mut fleet, &larger, NOW);
    assert_eq!((plan.decision, kept(&plan, US).pods), (Decision::Unchanged, PodFields::FollowSpec));
    assert_eq!(fleet.endpoint(&key(US)).unwrap().resources, larger.resources);
    change_target(&mut fleet, "eks-us", |target| {
        target.nodes.iter_mut().flatten().for_each(|node| node.free.memory_bytes = 0);
    });
    larger.resources.memory_bytes = 200 * GIB;
    let plan = settle(&mut fleet, &larger, NOW);
    assert_eq!((plan.decision, placed_on(&plan)), (Decision::SpecChanged, Some("gke-eu")));
    assert_eq!(kept(&plan, US).pods, PodFields::StayAsPlaced);
    let keep = kept(&plan, US);
    assert!(roadstead_explain::finding(&keep.findings[0]).contains("a replica requests 200 GiB of memory"), "{keep:?}");
}

#[test]
fn an_incumbent_over_budget_stays_until_a_cheaper_place_is_ready() {
    let mut fleet = serving();
    change_target(&mut fleet, "eks-us", |target| {
        target.offers[0].price = Some(per_hour("100"));
    });
    let budgeted = |budget| Deployment { max_hourly_cost: Some(dollars(budget)), ..deployment("m") };
    let plan = checked(&fleet, &budgeted("40"), NOW);
    assert_eq!(plan.decision, Decision::OverBudget);
    assert_eq!(findings(&plan, US), [FindingReason::OverBudget]);
    assert_eq!(created(&plan), None, "$44/h is over it too");
    let plan = settle(&mut fleet, &budgeted("45"), NOW);
    assert_eq!((plan.decision, placed_on(&plan)), (Decision::OverBudget, Some("gke-eu")));
}

#[test]
fn replicas_that_break_the_budget_are_not_added() {
    let mut fleet = serving();
    let more = Deployment { replicas: 4, max_hourly_cost: Some(dollars("50")), ..deployment("m") };
    let plan = settle(&mut fleet, &more, NOW);
    assert_eq!(kept(&plan, US).replicas, 2);
    assert_eq!(findings(&plan, US), [FindingReason::OverBudget]);
    assert_eq!((plan.decision, created(&plan)), (Decision::Scaled, None));
}

#[test]
fn pods_that_cannot_be_scheduled_keep_newcomers_away_only() {
    let mut fleet = serving();
    change(&mut fleet, US, |endpoint| {
        endpoint.unschedulable = true;
        endpoint.ready = false;
    });
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!(findings(&plan, US), [FindingReason::InsufficientCapacity]);
    assert_eq!(plan.decision, Decision::Unchanged);
    let plan = checked(&fleet, &deployment("other"), NOW);
    assert_eq!(placed_on(&plan), Some("gke-eu"));
    assert_eq!(verdict(&plan, "eks-us").reason(), Reason::Exhausted);
    let smaller = Deployment { shapes: vec![shape("h100x1", "H100", 1)], ..deployment("other") };
    assert_eq!(placed_on(&checked(&fleet, &smaller, NOW)), Some("eks-us"));
}

#[test]
fn an_edit_undone_in_mid_move_keeps_the_incumbent() {
    let mut fleet = serving();
    settle(&mut fleet, &eu_only(), NOW);
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!(deleted(&plan, EU_REPLACEMENT), Some(Removal::MoveAbandoned));
    assert_eq!((plan.decision, kept(&plan, US).pods), (Decision::Unchanged, PodFields::FollowSpec));
}

#[test]
fn an_edit_undone_after_the_replacement_is_ready_lets_the_move_end() {
    let mut fleet = serving();
    settle(&mut fleet, &eu_only(), NOW);
    bind(&mut fleet, EU_REPLACEMENT);
    change(&mut fleet, EU_REPLACEMENT, |endpoint| {
        endpoint.ready = true;
        endpoint.ever_ready = true;
    });
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert!(plan.waits.contains(&Wait::Publication { endpoint: EU_REPLACEMENT.into() }));
    change(&mut fleet, EU_REPLACEMENT, |endpoint| {
        endpoint.published_at = Some(NOW);
    });
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!(drained(&plan, US), Some(NOW.plus(120)));
}

#[test]
fn what_drains_stays_while_its_successor_does_not_serve() {
    let mut fleet = serving();
    settle(&mut fleet, &eu_only(), NOW);
    serve(&mut fleet, EU_REPLACEMENT, NOW);
    settle(&mut fleet, &eu_only(), NOW);
    change(&mut fleet, EU_REPLACEMENT, |endpoint| {
        endpoint.ready = false;
    });
    let plan = settle(&mut fleet, &eu_only(), NOW.plus(500));
    assert_eq!(deleted(&plan, US), None);
    assert!(plan.waits.contains(&Wait::Successor { endpoint: US.into() }));
    change(&mut fleet, EU_REPLACEMENT, |endpoint| endpoint.ready = true);
    let plan = settle(&mut fleet, &eu_only(), NOW.plus(501));
    assert_eq!(deleted(&plan, US), Some(Removal::Replaced));
}

#[test]
fn scaled_to_zero_keeps_place_and_holds_nothing() {
    let zero = Deployment { replicas: 0, ..deployment("m") };
    let mut fleet = fleet(two());
    let plan = settle(&mut fleet, &zero, NOW);
    assert_eq!((plan.decision, plan.actions.len()), (Decision::ScaledToZero, 0));
    settle(&mut fleet, &deployment("m"), NOW);
    serve(&mut fleet, US, NOW);
    let plan = settle(&mut fleet, &zero, NOW);
    assert_eq!((plan.decision, kept(&plan, US).replicas), (Decision::ScaledToZero, 0));
    assert_eq!(kept(&plan, US).hourly_cost, Some(MicroDollars::ZERO));
    let sixteen = Deployment { replicas: 8, ..deployment("other") };
    change(&mut fleet, US, |endpoint| endpoint.bound.clear());
    change_target(&mut fleet, "eks-us", |target| {
        target.nodes = two().remove(0).nodes;
    });
    assert_eq!(placed_on(&settle(&mut fleet, &sixteen, NOW)), Some("eks-us"), "all is free");
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!(kept(&plan, US).replicas, 0, "its former place is taken");
    assert_eq!((plan.decision, placed_on(&plan)), (Decision::Scaled, Some("gke-eu")));
}

#[test]
fn scaled_to_zero_it_stays_only_where_it_may_be() {
    let mut fleet = serving();
    let plan = settle(&mut fleet, &Deployment { replicas: 0, ..eu_only() }, NOW);
    assert_eq!((plan.decision, deleted(&plan, US)), (Decision::ScaledToZero, Some(Removal::PolicyViolated)));
    let plan = settle(&mut fleet, &Deployment { replicas: 0, ..eu_only() }, NOW);
    assert_eq!((plan.decision, plan.actions.len()), (Decision::ScaledToZero, 0));
    assert_eq!(placed_on(&settle(&mut fleet, &eu_only(), NOW)), Some("gke-eu"));
}

#[test]
fn suspended_means_nothing_is_decided() {
    let mut fleet = serving();
    let plan = settle(&mut fleet, &Deployment { suspended: true, replicas: 9, ..eu_only() }, NOW);
    assert_eq!(plan.decision, Decision::Suspended);
    assert_eq!((kept(&plan, US).replicas, kept(&plan, US).pods), (2, PodFields::StayAsPlaced));
    assert_eq!(plan.actions.len(), 1);
    let plan = settle(&mut fleet, &Deployment { suspended: true, ..deployment("new") }, NOW);
    assert_eq!((plan.decision, plan.actions.len()), (Decision::Suspended, 0));
}

fn found(name: &str, target: &str, ready_replicas: u32, created_at: i64) -> Found {
    Found { ready_replicas, created_at: Timestamp(created_at), ..common::found(name, target) }
}

#[test]
fn the_last_listing_of_a_target_counts() {
    let mut fleet = fleet(two());
    let (starting, ready) = (found("one", "gke-eu", 0, 10), found("one", "gke-eu", 2, 10));
    fleet.set_found("gke-eu", vec![starting]);
    fleet.set_found("gke-eu", vec![ready.clone()]);
    assert_eq!(fleet.found_of(&id("m")), [&ready]);
    let others = Found { deployment: id("other"), ..ready };
    fleet.set_found("gke-eu", vec![others.clone()]);
    assert_eq!((fleet.found_of(&id("m")), fleet.found_of(&id("other"))), (vec![], vec![&others]));
}

#[test]
fn what_was_found_is_taken_over_the_best_first() {
    let mut fleet = fleet(two());
    fleet.set_found("eks-us", vec![found("old", "eks-us", 1, 10), found("older", "eks-us", 2, 5)]);
    fleet.set_found("gke-eu", vec![found("new", "gke-eu", 2, 20)]);
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!(plan.decision, Decision::Adopted);
    let adopted: Vec<_> = plan
        .actions
        .iter()
        .map(|action| match action {
            Action::Adopt { found, state } => (found.name.as_str(), *state),
            other => panic!("{other:?}"),
        })
        .collect();
    let drains = EndpointState::Draining { deadline: NOW.plus(120) };
    assert_eq!(adopted, [("new", EndpointState::Active), ("older", drains), ("old", drains)]);
    let plan = settle(&mut fleet, &deployment("m"), NOW.plus(500));
    assert_eq!(kept(&plan, "new").replicas, 2);
    assert_eq!((deleted(&plan, "old"), deleted(&plan, "older")), (None, None), "nothing else serves yet");
    serve(&mut fleet, "new", NOW);
    let plan = settle(&mut fleet, &deployment("m"), NOW.plus(500));
    assert_eq!(deleted(&plan, "old"), Some(Removal::Superfluous));
}

#[test]
fn what_is_found_later_drains() {
    let mut fleet = serving();
    fleet.set_found("gke-eu", vec![found("late", "gke-eu", 2, 20), found(US, "eks-us", 2, 20)]);
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!(plan.decision, Decision::Unchanged);
    assert!(matches!(
        &plan.actions[0],
        Action::Adopt { found, state: EndpointState::Draining { .. } } if found.name == "late"
    ));
    let plan = settle(&mut fleet, &deployment("m"), NOW.plus(120));
    assert_eq!(deleted(&plan, "late"), Some(Removal::Superfluous));
}

#[test]
fn what_was_found_and_is_known_to_be_gone_is_not_taken_over() {
    let mut fleet = serving();
    fleet.set_found("gke-eu", vec![found("gone", "gke-eu", 2, 20), found("late", "gke-eu", 2, 20)]);
    fleet.remove_found("gke-eu", "gone");
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    let adopts = |action: &&Action| matches!(action, Action::Adopt { .. });
    let adopted: Vec<_> = plan.actions.iter().filter(adopts).collect();
    assert!(matches!(adopted[..], [Action::Adopt { found, .. }] if found.name == "late"), "{adopted:?}");
    let mut fleet = serving();
    fleet.set_found("gke-eu", vec![found("gone", "gke-eu", 2, 20)]);
    fleet.remove_found("gke-eu", "gone");
    assert!(!settle(&mut fleet, &deployment("m"), NOW).actions.iter().any(|action| adopts(&action)));
}

#[test]
fn a_move_that_is_not_needed_any_more_is_given_up_where_its_end_would_have_to_change_first() {
    let mut fleet = serving();
    settle(&mut fleet, &eu_only(), NOW);
    change(&mut fleet, EU_REPLACEMENT, |endpoint| {
        endpoint.ready = true;
        endpoint.ever_ready = true;
    });
    let mut scaled = deployment("m");
    scaled.replicas -= 1;
    let plan = settle(&mut fleet, &scaled, NOW);
    assert_eq!(deleted(&plan, EU_REPLACEMENT), Some(Removal::MoveAbandoned));
    assert_eq!(kept(&plan, US).replicas, scaled.replicas);
    let again = settle(&mut fleet, &scaled, NOW);
    assert_eq!(again.decision, Decision::Unchanged);
}

#[test]
fn what_its_tags_place_at_another_target_is_not_taken_over() {
    let mut fleet = fleet(two());
    fleet.set_found("gke-eu", vec![found("old", "eks-us", 2, 10), found("older", "renamed", 2, 5)]);
    let plan = settle(&mut fleet, &deployment("m"), NOW);
    assert_eq!(plan.decision, Decision::InitialPlacement);
}

#[test]
fn a_suspended_deployment_gets_only_its_place_back() {
    let mut fleet = fleet(two());
    fleet.set_found("eks-us", vec![found("one", "eks-us", 2, 10), found("two", "eks-us", 2, 5)]);
    let suspended = Deployment { suspended: true, ..deployment("m") };
    let plan = settle(&mut fleet, &suspended, NOW);
    assert_eq!(plan.actions.len(), 1);
    let plan = settle(&mut fleet, &suspended, NOW);
    assert_eq!((plan.decision, plan.actions.len()), (Decision::Suspended, 1));
}

#[test]
fn a_first_placement_waits_for_every_inventory_that_matters() {
    let pending = |since: Timestamp| {
        let mut targets = two();
        targets[1].inventory = Inventory::Pending { since };
        fleet(targets)
    };
    let plan = checked(&pending(NOW), &deployment("m"), NOW.plus(59));
    assert_eq!((plan.decision, created(&plan)), (Decision::AwaitingInventory, None));
    assert_eq!(plan.waits, [Wait::Inventory { targets: 1, overdue: vec![] }]);
    assert_eq!(plan.recheck_at, Some(NOW.plus(60)));
    let plan = checked(&pending(NOW), &deployment("m"), NOW.plus(60));
    assert_eq!(plan.waits, [Wait::Inventory { targets: 1, overdue: vec!["gke-eu".into()] }]);
    assert!(summed(&plan).contains("roadstead.dev/place-without"), "{}", summed(&plan));
    assert_eq!(plan.recheck_at, None);

    let without = Deployment { place_without: BTreeSet::from(["gke-eu".into()]), ..deployment("m") };
    let plan = checked(&pending(NOW), &without, NOW);
    assert_eq!(placed_on(&plan), Some("eks-us"));
    assert_eq!(verdict(&plan, "gke-eu").reason(), Reason::TargetNotReady, "without it, so not there");
    let mut elsewhere = deployment("m");
    elsewhere.rules.deny_regions = vec![pattern("europe-*")];
    assert_eq!(placed_on(&checked(&pending(NOW), &elsewhere, NOW)), Some("eks-us"), "a rule excludes it");
    let other_kind = Deployment { shapes: vec![shape("l4", "L4", 1)], ..deployment("m") };
    assert_eq!(checked(&pending(NOW), &other_kind, NOW).decision, Decision::NoFeasiblePlacement);

    let mut fleet = serving();
    change_target(&mut fleet, "gke-eu", |target| target.inventory = Inventory::Pending { since: NOW });
    assert_eq!(placed_on(&settle(&mut fleet, &eu_only(), NOW)), Some("gke-eu"), "it is placed already");
}

#[test]
fn an_incumbent_that_is_lost_stays_until_failover_exists() {
    let mut fleet = serving();
    change_target(&mut fleet, "eks-us", |target| target.state = not_ready(NOW));
    let more = Deployment { replicas: 9, ..deployment("m") };
    let plan = settle(&mut fleet, &more, NOW.plus(9_999));
    assert_eq!(created(&plan), None);
    assert_eq!(kept(&plan, US).replicas, 2);
    assert!(plan.waits.contains(&Wait::Target { target: "eks-us".into() }));
    let plan = settle(&mut fleet, &eu_only(), NOW);
    assert_eq!(placed_on(&plan), Some("gke-eu"), "a rule counts wherever it is");
}

#[test]
fn a_second_endpoint_that_nothing_explains_drains_too() {
    let mut fleet = serving();
    let mut other = fleet.endpoint(&key(US)).unwrap().clone();
    other.name = "m-other".into();
    other.slot = 7;
    other.created_at = Timestamp(1);
    other.published_at = None;
    fleet.upsert_endpoint(other);
    let plan = settle(&mut fleet, &deployment("m"), NOW.plus(9_000));
    assert_eq!(drained(&plan, "m-other"), Some(NOW.plus(9_120)), "somebody may still use it");
    let plan = settle(&mut fleet, &deployment("m"), NOW.plus(9_120));
    assert_eq!(deleted(&plan, "m-other"), Some(Removal::Superfluous));
}

#[test]
fn absurd_numbers_do_no_harm() {
    let mut fleet = fleet(two());
    let mut wild = found("wild", "eks-us", u32::MAX, i64::MAX);
    wild.replicas = u32::MAX;
    fleet.set_found("eks-us", vec![wild.clone(), Found { name: "wilder".into(), slot: u32::MAX, ..wild }]);
    settle(&mut fleet, &deployment("m"), Timestamp(i64::MAX));
    change(&mut fleet, "wild", |endpoint| {
        endpoint.bound = [("n1".to_owned(), u32::MAX), ("n2".to_owned(), u32::MAX)].into();
    });
    settle(&mut fleet, &deployment("m"), Timestamp(i64::MAX));
    let plan = settle(&mut fleet, &deployment("other"), Timestamp(i64::MIN));
    assert_eq!(placed_on(&plan), Some("gke-eu"));
}

#[test]
fn more_replicas_wait_for_an_update_that_rolls() {
    let mut fleet = serving();
    change_target(&mut fleet, "eks-us", |target| {
        target.nodes.iter_mut().flatten().for_each(|node| node.free.memory_bytes = 300 * GIB);
    });
    let mut larger = deployment("m");
    larger.resources.memory_bytes = 200 * GIB;
    let plan = settle(&mut fleet, &larger, NOW);
    assert_eq!((plan.decision, kept(&plan, US).pods), (Decision::Unchanged, PodFields::FollowSpec));
    // Its pods still ask for 64 GiB each, so giving back 200 GiB for each would be too much.
    let more = Deployment { replicas: 3, ..larger.clone() };
    let plan = settle(&mut fleet, &more, NOW);
    assert_eq!((kept(&plan, US).replicas, created(&plan)), (2, None));
    assert!(plan.waits.contains(&Wait::Readiness { endpoint: US.into() }));
    change(&mut fleet, US, |endpoint| endpoint.ready = true);
    change_target(&mut fleet, "eks-us", |target| {
        target.nodes.as_mut().unwrap()[0].free.memory_bytes = 28 * GIB;
    });
    let plan = settle(&mut fleet, &more, NOW);
    assert_eq!((plan.decision, kept(&plan, US).replicas), (Decision::Scaled, 3));
}

#[test]
fn more_memory_is_given_to_what_is_not_ready_for_lack_of_it() {
    let mut fleet = serving();
    change(&mut fleet, US, |endpoint| endpoint.ready = false);
    change_target(&mut fleet, "eks-us", |target| {
        target.nodes.iter_mut().flatten().for_each(|node| node.free.memory_bytes = 100 * GIB);
    });
    let mut larger = deployment("m");
    larger.resources.memory_bytes = 110 * GIB;
    let plan = settle(&mut fleet, &larger, NOW);
    assert_eq!((plan.decision, kept(&plan, US).pods), (Decision::Unchanged, PodFields::FollowSpec));
}

#[test]
fn a_target_that_keeps_no_endpoint_without_replicas_loses_it_at_zero() {
    let mut fleet = serving();
    change_target(&mut fleet, "eks-us", |target| target.capabilities.scale_to_zero = false);
    let zero = Deployment { replicas: 0, ..deployment("m") };
    let plan = settle(&mut fleet, &zero, NOW);
    assert_eq!((plan.decision, deleted(&plan, US)), (Decision::ScaledToZero, Some(Removal::ScaledToZero)));
    assert!(render_text(&plan).contains("eks-us cannot keep"), "{}", render_text(&plan));
    let plan = settle(&mut fleet, &zero, NOW);
    assert_eq!((plan.decision, plan.actions.len()), (Decision::ScaledToZero, 0));
}

#[test]
fn more_replicas_than_a_target_runs_are_looked_for_elsewhere() {
    let mut fleet = serving();
    change_target(&mut fleet, "eks-us", |target| target.capabilities.max_replicas = Some(2));
    let three = Deployment { replicas: 3, ..deployment("m") };
    let plan = settle(&mut fleet, &three, NOW);
    assert_eq!(findings(&plan, US), [FindingReason::ProviderUnsupported]);
    assert_eq!((kept(&plan, US).replicas, placed_on(&plan)), (2, Some("gke-eu")), "{}", render_text(&plan));

    let mut fleet = serving();
    for target in ["eks-us", "gke-eu"] {
        change_target(&mut fleet, target, |target| target.capabilities.max_replicas = Some(2));
    }
    let plan = settle(&mut fleet, &three, NOW);
    assert_eq!((kept(&plan, US).replicas, placed_on(&plan)), (2, None), "{}", render_text(&plan));
    assert!(!plan.report.time_can_help, "only an edit can help: {}", render_text(&plan));
}
