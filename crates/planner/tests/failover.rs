//! Failover: when an endpoint that fails is replaced, when it is not, and what becomes of it when it returns.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::*;
use roadstead_explain::render_text;
use roadstead_model::*;
use roadstead_planner::*;

const TOLERATION: u32 = 60;

fn m() -> Deployment {
    deployment("m")
}

/// The endpoint is seen in this health, failing since then.
fn seen(fleet: &mut Fleet, name: &str, health: Health, since: Option<Timestamp>) {
    change(fleet, name, |endpoint| {
        endpoint.ready = health == Health::Healthy;
        endpoint.health = health;
        endpoint.failing_since = since;
    });
}

/// The endpoint's probe at this time failed.
fn failed(fleet: &mut Fleet, name: &str, at: Timestamp) {
    change(fleet, name, |endpoint| endpoint.failed_at = Some(at));
}

/// The target's API does not answer any more.
fn lose(fleet: &mut Fleet, target: &str) {
    change_target(fleet, target, |target| {
        target.state = not_ready(NOW);
        target.contact = Contact::Silent;
    });
}

fn recover(fleet: &mut Fleet, target: &str) {
    change_target(fleet, target, |target| {
        target.state = TargetState::Ready;
        target.contact = Contact::Answers;
    });
}

/// `m` served in the US, and neither the target nor the endpoint has answered since [`NOW`].
fn lost() -> Fleet {
    let mut fleet = serving();
    lose(&mut fleet, "eks-us");
    seen(&mut fleet, US, Health::Lost, Some(NOW));
    failed(&mut fleet, US, due());
    fleet
}

/// The end of the toleration.
fn due() -> Timestamp {
    NOW.plus(TOLERATION)
}

/// The fleet in which the replacement of the lost endpoint was created.
fn replacing() -> Fleet {
    let mut fleet = lost();
    assert_eq!(placed_on(&settle(&mut fleet, &m(), due())), Some("gke-eu"));
    fleet
}

fn reason_of(plan: &Plan) -> Option<Decision> {
    plan.actions.iter().find_map(|action| match action {
        Action::Create { reason, .. } => Some(*reason),
        _ => None,
    })
}

#[test]
fn a_lost_endpoint_is_replaced_at_the_end_of_the_toleration_and_not_before() {
    let mut fleet = lost();
    failed(&mut fleet, US, NOW.plus(TOLERATION - 1));
    let before = checked(&fleet, &m(), NOW.plus(TOLERATION - 1));
    assert_eq!((placed_on(&before), before.recheck_at), (None, Some(due())), "{}", render_text(&before));
    let between = checked(&fleet, &m(), due().plus(4));
    assert_eq!(placed_on(&between), None, "it may have answered since its last probe");
    failed(&mut fleet, US, due());
    let plan = checked(&fleet, &m(), due());
    assert_eq!((placed_on(&plan), reason_of(&plan)), (Some("gke-eu"), Some(Decision::TargetLost)));
    assert_eq!(findings(&plan, US).first(), Some(&FindingReason::TargetLost));
}

#[test]
fn an_endpoint_that_does_not_answer_is_replaced_on_another_target() {
    let mut fleet = serving();
    seen(&mut fleet, US, Health::Failing, Some(NOW));
    failed(&mut fleet, US, due());
    let plan = checked(&fleet, &m(), due());
    assert_eq!((placed_on(&plan), reason_of(&plan)), (Some("gke-eu"), Some(Decision::EndpointFailing)));
    fleet.remove_target("gke-eu");
    let alone = checked(&fleet, &m(), due());
    assert_eq!(placed_on(&alone), None, "its own target is no better place\n{}", render_text(&alone));
    assert_eq!(alone.decision, Decision::EndpointFailing);
}

#[test]
fn what_is_isolated_or_unknown_or_was_never_ready_stays() {
    for health in [Health::Isolated, Health::Unknown] {
        let mut fleet = lost();
        seen(&mut fleet, US, health, Some(NOW));
        let plan = checked(&fleet, &m(), NOW.plus(86_400));
        assert_eq!((plan.actions.len(), placed_on(&plan)), (1, None), "{health:?}\n{}", render_text(&plan));
    }
    let mut fleet = placed();
    seen(&mut fleet, US, Health::Failing, Some(NOW));
    assert_eq!(placed_on(&checked(&fleet, &m(), NOW.plus(86_400))), None);
}

#[test]
fn nothing_is_replaced_where_failover_is_disabled() {
    let disabled = Deployment { failover_after_seconds: None, ..m() };
    let plan = checked(&lost(), &disabled, NOW.plus(86_400));
    assert_eq!((placed_on(&plan), plan.decision), (None, Decision::Unchanged));
}

#[test]
fn health_that_alternates_between_failing_and_unknown_is_replaced_when_it_is_seen_to_fail() {
    let mut fleet = lost();
    seen(&mut fleet, US, Health::Unknown, Some(NOW));
    assert_eq!(placed_on(&checked(&fleet, &m(), due())), None);
    seen(&mut fleet, US, Health::Failing, Some(NOW));
    assert_eq!(placed_on(&checked(&fleet, &m(), due().plus(5))), Some("gke-eu"));
}

#[test]
fn a_failure_that_is_only_on_record_replaces_nothing() {
    let mut fleet = lost();
    change(&mut fleet, US, |endpoint| endpoint.failed_at = None);
    assert_eq!(placed_on(&checked(&fleet, &m(), NOW.plus(86_400))), None, "the operator has just started");
}

#[test]
fn a_target_that_returns_before_the_replacement_is_ready_keeps_its_endpoint() {
    let mut fleet = replacing();
    recover(&mut fleet, "eks-us");
    seen(&mut fleet, US, Health::Healthy, None);
    let plan = settle(&mut fleet, &m(), due().plus(10));
    assert_eq!(deleted(&plan, EU_REPLACEMENT), Some(Removal::MoveAbandoned));
    assert!(kept(&plan, US).findings.is_empty());
}

#[test]
fn a_replacement_goes_on_while_it_is_not_known_whether_the_endpoint_answers_its_target() {
    for health in [Health::Unknown, Health::Isolated] {
        let mut fleet = replacing();
        seen(&mut fleet, US, health, None);
        let plan = settle(&mut fleet, &m(), due().plus(10));
        assert_eq!(deleted(&plan, EU_REPLACEMENT), None, "{health:?}\n{}", render_text(&plan));
    }
}

#[test]
fn a_replacement_that_fails_is_not_followed_by_another_one_while_it_is_not_known_whether_the_endpoint_fails() {
    let mut fleet = replacing();
    seen(&mut fleet, US, Health::Unknown, Some(NOW));
    fail(&mut fleet, EU_REPLACEMENT, FailureKind::CapacityExhausted);
    let plan = settle(&mut fleet, &m(), due().plus(10));
    assert_eq!((deleted(&plan, EU_REPLACEMENT), placed_on(&plan)), (Some(Removal::CapacityExhausted), None));
}

#[test]
fn a_replacement_that_serves_takes_over_and_the_lost_endpoint_goes_when_its_target_confirms_it() {
    let mut fleet = replacing();
    let published = due().plus(30);
    serve(&mut fleet, EU_REPLACEMENT, published);
    let plan = settle(&mut fleet, &m(), published);
    assert_eq!(drained(&plan, US), Some(published.plus(120)));
    let plan = settle(&mut fleet, &m(), published.plus(120));
    assert_eq!(deleted(&plan, US), Some(Removal::Replaced));
    // The target returns, and with it the copy that it still runs.
    recover(&mut fleet, "eks-us");
    let plan = settle(&mut fleet, &m(), published.plus(500));
    assert_eq!(plan.actions.len(), 1, "{}", render_text(&plan));
    gone(&mut fleet, US);
    let plan = settle(&mut fleet, &m(), published.plus(600));
    assert_eq!((plan.decision, fleet.endpoints().count()), (Decision::Unchanged, 1));
}

#[test]
fn a_place_without_capacity_leads_to_the_next_one_at_once() {
    let mut fleet = lost();
    fleet.upsert_target(target("aks-uk", "azure", "uksouth", "90"));
    settle(&mut fleet, &m(), due());
    fail(&mut fleet, EU_REPLACEMENT, FailureKind::CapacityExhausted);
    let plan = settle(&mut fleet, &m(), due().plus(1));
    assert_eq!((deleted(&plan, EU_REPLACEMENT), placed_on(&plan)), (Some(Removal::CapacityExhausted), Some("aks-uk")));
}

#[test]
fn nothing_moves_while_no_target_answers_and_nothing_has_happened_afterwards() {
    let mut fleet = lost();
    lose(&mut fleet, "gke-eu");
    fleet.upsert_target(Target { in_cluster: true, ..target("hub", "metal", "cellar", "99") });
    let plan = settle(&mut fleet, &m(), due());
    assert_eq!(placed_on(&plan), None, "{}", render_text(&plan));
    assert!(plan.waits.contains(&Wait::HubContact { endpoint: US.to_owned() }));
    recover(&mut fleet, "eks-us");
    seen(&mut fleet, US, Health::Healthy, None);
    let plan = settle(&mut fleet, &m(), due().plus(1));
    assert_eq!((plan.decision, plan.waits.len()), (Decision::Unchanged, 0));
}

#[test]
fn a_target_that_cannot_be_asked_does_not_prove_that_the_hub_is_connected() {
    let mut fleet = lost();
    change_target(&mut fleet, "gke-eu", |target| target.contact = Contact::Unknown);
    assert!(fleet.is_hub_isolated());
    assert_eq!(placed_on(&checked(&fleet, &m(), due())), None);
}

#[test]
fn a_target_that_has_not_been_asked_yet_proves_nothing_about_the_hub() {
    let mut fleet = lost();
    change_target(&mut fleet, "gke-eu", |target| target.contact = Contact::Pending);
    assert!(!fleet.is_hub_isolated(), "a process that has just begun is not cut off");
    let plan = checked(&fleet, &m(), due());
    assert_eq!(placed_on(&plan), None, "nothing is replaced before a target answers");
    assert!(plan.waits.iter().any(|wait| matches!(wait, Wait::Target { .. })), "decided again once a target answers");
}

#[test]
fn one_target_alone_is_no_sign_of_a_hub_that_is_cut_off() {
    let mut fleet = lost();
    fleet.remove_target("gke-eu");
    assert!(!fleet.is_hub_isolated());
}

/// So many deployments on a lost target, while another one is lost as well and a third one has room.
fn many_lost(count: u32) -> (Fleet, Vec<Deployment>) {
    let mut wide = target("eks-us", "aws", "us-east-1", "80");
    wide.nodes = Some((0..16).map(|index| node(&format!("n{index}"), 8)).collect());
    let room = Target { nodes: wide.nodes.clone(), ..target("gke-eu", "gcp", "europe-west4", "88") };
    let mut fleet = fleet([wide, room, target("aks-uk", "azure", "uksouth", "90")]);
    let deployments: Vec<Deployment> = (0..count).map(|index| deployment(&format!("d{index}"))).collect();
    for deployment in &deployments {
        settle(&mut fleet, deployment, NOW);
        let name = format!("{}-eks-us-h100x2-0", deployment.id.name);
        serve(&mut fleet, &name, NOW);
        seen(&mut fleet, &name, Health::Lost, Some(NOW));
        failed(&mut fleet, &name, due());
    }
    lose(&mut fleet, "eks-us");
    (fleet, deployments)
}

#[test]
fn the_pace_is_a_tenth_while_most_targets_do_not_answer() {
    let moves = |fleet: &mut Fleet, deployments: &[Deployment]| {
        deployments.iter().filter(|deployment| created(&settle(fleet, deployment, due())).is_some()).count()
    };
    let (mut fleet, deployments) = many_lost(8);
    assert_eq!(moves(&mut fleet, &deployments), 5, "one of three targets is lost");
    let (mut fleet, deployments) = many_lost(8);
    lose(&mut fleet, "aks-uk");
    assert_eq!(moves(&mut fleet, &deployments), 1, "two of three targets are lost");
}

#[test]
fn an_edit_is_replaced_at_the_full_pace_while_most_targets_do_not_answer() {
    let (mut fleet, deployments) = many_lost(2);
    lose(&mut fleet, "aks-uk");
    assert!(created(&settle(&mut fleet, &deployments[0], due())).is_some());
    let edited = Deployment { engine: "custom".into(), ..deployments[1].clone() };
    let plan = settle(&mut fleet, &edited, due());
    assert_eq!((placed_on(&plan), reason_of(&plan)), (Some("gke-eu"), Some(Decision::SpecChanged)));
}

/// `m` serves in the EU after it left the US at [`NOW`], and returns after half an hour.
fn away(only_if_cheaper: bool) -> (Fleet, Deployment) {
    let mut fleet = fleet(two());
    let eu = Deployment { rules: eu_only().rules, ..m() };
    settle(&mut fleet, &eu, NOW);
    serve(&mut fleet, EU, NOW);
    let failback = Failback { home: "eks-us".into(), left_at: NOW, stabilization_seconds: 1_800, only_if_cheaper };
    (fleet, Deployment { failback: Some(failback), ..m() })
}

const EU: &str = "m-gke-eu-h100x2-0";
const HOME: &str = "m-eks-us-h100x2-1";

#[test]
fn a_deployment_returns_home_after_the_stabilization_and_not_before() {
    let (mut fleet, m) = away(false);
    let plan = settle(&mut fleet, &m, NOW.plus(1_799));
    assert_eq!((plan.decision, created(&plan), plan.recheck_at), (Decision::Unchanged, None, Some(NOW.plus(1_800))));
    let plan = settle(&mut fleet, &m, NOW.plus(1_800));
    assert_eq!((plan.decision, placed_on(&plan)), (Decision::FailedBack, Some("eks-us")));
    assert_eq!(findings(&plan, EU), [FindingReason::FailedBack]);
    let plan = settle(&mut fleet, &m, NOW.plus(1_810));
    assert_eq!((plan.decision, deleted(&plan, EU), deleted(&plan, HOME)), (Decision::FailedBack, None, None));
    serve(&mut fleet, HOME, NOW.plus(1_820));
    let plan = settle(&mut fleet, &Deployment { failback: None, ..m }, NOW.plus(1_820));
    assert_eq!(drained(&plan, EU), Some(NOW.plus(1_940)), "replaced before it is removed");
}

#[test]
fn a_home_that_flaps_moves_nothing() {
    let (mut fleet, m) = away(false);
    for hour in 1..=12 {
        let back = NOW.plus(hour * 3_600);
        for now in [back, back.plus(1_799)] {
            change_target(&mut fleet, "eks-us", |target| target.ready_since = Some(back));
            assert_eq!(created(&settle(&mut fleet, &m, now)), None, "hour {hour}");
        }
        lose(&mut fleet, "eks-us");
        assert_eq!(created(&settle(&mut fleet, &m, back.plus(2_000))), None, "hour {hour}: it is lost again");
        recover(&mut fleet, "eks-us");
    }
    change_target(&mut fleet, "eks-us", |target| target.ready_since = None);
    assert_eq!(created(&settle(&mut fleet, &m, NOW.plus(90_000))), None, "nobody knows since when it is usable");
}

#[test]
fn a_deployment_returns_only_to_a_cheaper_home_if_it_says_so() {
    let (mut fleet, m) = away(true);
    change_target(&mut fleet, "eks-us", |target| {
        target.offers[0].price = Some(Price::per_instance_hour(dollars("90")));
    });
    let plan = settle(&mut fleet, &m, NOW.plus(1_800));
    assert_eq!((plan.decision, created(&plan)), (Decision::Unchanged, None));
    change_target(&mut fleet, "eks-us", |target| {
        target.offers[0].price = Some(Price::per_instance_hour(dollars("80")));
    });
    assert_eq!(placed_on(&settle(&mut fleet, &m, NOW.plus(1_801))), Some("eks-us"));
}

#[test]
fn a_home_without_room_or_forbidden_by_a_rule_is_no_home() {
    let (mut fleet, m) = away(false);
    let plan = settle(&mut fleet, &Deployment { rules: eu_only().rules, ..m.clone() }, NOW.plus(1_800));
    assert_eq!((plan.decision, created(&plan)), (Decision::Unchanged, None));
    assert!(plan.waits.is_empty(), "{:?}", plan.waits);
    change_target(&mut fleet, "eks-us", |target| target.nodes = Some(Vec::new()));
    let plan = settle(&mut fleet, &m, NOW.plus(1_800));
    assert_eq!((plan.decision, created(&plan), plan.waits.len()), (Decision::Unchanged, None, 0));
}

#[test]
fn the_loss_of_home_during_a_failback_withdraws_the_replacement_and_the_deployment_serves_on() {
    let (mut fleet, m) = away(false);
    settle(&mut fleet, &m, NOW.plus(1_800));
    lose(&mut fleet, "eks-us");
    let plan = settle(&mut fleet, &m, NOW.plus(1_830));
    assert_eq!((deleted(&plan, HOME), deleted(&plan, EU)), (Some(Removal::MoveAbandoned), None));
    assert_eq!(plan.decision, Decision::Unchanged);
}

#[test]
fn a_home_that_refuses_is_left_alone_until_its_back_off_ends() {
    let (mut fleet, m) = away(false);
    settle(&mut fleet, &m, NOW.plus(1_800));
    fail(&mut fleet, HOME, FailureKind::CapacityExhausted);
    let plan = settle(&mut fleet, &m, NOW.plus(1_830));
    assert_eq!((deleted(&plan, HOME), created(&plan)), (Some(Removal::CapacityExhausted), None));
}
