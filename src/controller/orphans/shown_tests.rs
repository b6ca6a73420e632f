//! A target's report of orphans, without repetition.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use roadstead_explain::Hold;
use roadstead_model::{self as model, CapacityType, DeploymentId, Found, MicroDollars};

use super::judge::{Fate, Orphan};
use super::shown::{Shown, Sweep, cost, put_into, tell_sweep};
use roadstead_api::v1alpha1::conditions::{self, Conditions, FALSE, TRUE, UNKNOWN};
use roadstead_api::v1alpha1::{Dollars, OrphanState, ServingTargetStatus, limits};
use roadstead_runtime::clock::Clock;

fn orphan(name: &str, fate: Fate) -> Orphan {
    Orphan {
        found: Found {
            name: name.into(),
            id: "uid".into(),
            deployment: DeploymentId { namespace: "team".into(), name: "llama".into() },
            target: "east".into(),
            offer: "a3".into(),
            shape: "one".into(),
            capacity_type: CapacityType::OnDemand,
            slot: 0,
            accelerators: 1,
            replicas: 2,
            ready_replicas: 1,
            runs: None,
            created_at: model::Timestamp(100),
        },
        hourly_cost: Some(MicroDollars(21_100_000)),
        fate,
        refusal: None,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn told(former: &ServingTargetStatus, orphans: &[Orphan], second: i64) -> ServingTargetStatus {
    let mut status = ServingTargetStatus::default();
    put_into(&mut status, former, Some(orphans), at(second));
    status
}

#[test]
fn an_orphan_is_told_with_its_owner_its_cost_and_its_age() {
    let status = told(&ServingTargetStatus::default(), &[orphan("llama-a", Fate::Reported)], 1000);
    let told = &status.orphans[0];
    assert_eq!((told.name.as_str(), told.namespace.as_str(), told.deployment.as_str()), ("llama-a", "team", "llama"));
    assert_eq!(
        (told.offer.as_str(), told.replicas, told.hourly_cost.as_ref().map(Dollars::as_str)),
        ("a3", 2, Some("21.10"))
    );
    assert_eq!((told.since.0, told.first_seen.0), (at(100), at(1000)));
    assert_eq!((told.state, told.message.as_deref()), (OrphanState::Reported, None));
}

#[test]
fn an_orphan_that_stays_as_it_is_changes_nothing() {
    let orphans = [orphan("llama-a", Fate::Reported)];
    let first = told(&ServingTargetStatus::default(), &orphans, 1000);
    assert_eq!(told(&first, &orphans, 5000), first);
}

#[test]
fn a_thing_made_later_under_the_same_name_is_seen_for_the_first_time() {
    let first = told(&ServingTargetStatus::default(), &[orphan("llama-a", Fate::Reported)], 1000);
    let mut later = orphan("llama-a", Fate::Reported);
    later.found.created_at = model::Timestamp(4000);
    assert_eq!(told(&first, &[later], 5000).orphans[0].first_seen.0, at(5000));
}

#[test]
fn before_the_first_look_the_status_stays_as_it_was() {
    let first = told(&ServingTargetStatus::default(), &[orphan("llama-a", Fate::Reported)], 1000);
    let mut status = ServingTargetStatus::default();
    put_into(&mut status, &first, None, at(2000));
    assert_eq!(status, first);
}

#[test]
fn what_stays_although_it_could_go_says_why() {
    for (hold, part) in [
        (Hold::NoDeployments, "the hub lists no ModelDeployment,"),
        (Hold::FewDeployments, "less than half as many ModelDeployments"),
        (Hold::MostlyUnknown, "old backup"),
    ] {
        let status = told(&ServingTargetStatus::default(), &[orphan("llama-a", Fate::Held(hold))], 1000);
        assert_eq!(status.orphans[0].state, OrphanState::Held);
        assert!(status.orphans[0].message.as_deref().unwrap().contains(part), "{:?}", status.orphans[0].message);
    }
    let status = told(&ServingTargetStatus::default(), &[orphan("llama-a", Fate::Misplaced)], 1000);
    assert!(status.orphans[0].message.as_deref().unwrap().contains("\"east\""));
}

#[test]
fn a_deletion_that_failed_says_why() {
    let refused = Orphan { refusal: Some("forbidden".into()), ..orphan("llama-a", Fate::Waiting) };
    let status = told(&ServingTargetStatus::default(), &[refused], 1000);
    assert!(status.orphans[0].message.as_deref().unwrap().ends_with("forbidden"));
}

#[test]
fn a_list_that_is_too_long_is_cut_and_counted() {
    let many: Vec<Orphan> = (0..100).map(|number| orphan(&format!("llama-{number}"), Fate::Reported)).collect();
    let status = told(&ServingTargetStatus::default(), &many, 1000);
    assert_eq!((status.orphans.len(), status.omitted_orphans), (limits::ORPHANS, Some(36)));
    assert_eq!(told(&status, &many[..1], 1000).omitted_orphans, None);
}

#[test]
fn the_cost_of_all_is_what_is_known_of_it() {
    let unknown = Orphan { hourly_cost: None, ..orphan("b", Fate::Reported) };
    assert_eq!(cost(&[orphan("a", Fate::Reported), unknown, orphan("c", Fate::Reported)]), MicroDollars(42_200_000));
}

#[test]
fn what_is_shown_is_news_once() {
    let shown = Shown::new(Clock::system());
    assert!(shown.get("east").is_none());
    assert!(shown.set("east", Vec::new()));
    assert!(!shown.set("east", Vec::new()));
    assert!(shown.set("east", vec![orphan("a", Fate::Reported)]));
    assert!(shown.set("east", vec![orphan("a", Fate::Waiting)]));
    shown.forget("east");
    assert!(shown.get("east").is_none());
}

/// The condition Swept after the sweeps so far, starting from a former process' report.
fn swept(former: Option<&str>, sweep: Sweep, obstacle: Option<&str>) -> (String, String, String) {
    let mut set = Conditions::new(&[], Some(1), at(1));
    if let Some(status) = former {
        set.set(conditions::SWEPT, status, "Former", "as before");
    }
    let former = set.finish();
    let mut set = Conditions::new(&former, Some(1), at(2));
    tell_sweep(&mut set, &former, sweep, obstacle);
    let told = conditions::find(&set.finish(), conditions::SWEPT).unwrap().clone();
    (told.status, told.reason, told.message)
}

#[test]
fn a_target_that_no_sweep_has_come_to_does_not_pass_for_one_without_orphans() {
    for sweep in [Sweep::NotYet, Sweep::Missed] {
        for former in [None, Some(FALSE)] {
            let (status, reason, message) = swept(former, sweep, None);
            assert_eq!((status.as_str(), reason.as_str()), (FALSE, "SweepPending"));
            assert!(message.contains("has not run"), "{message}");
            assert!(swept(former, sweep, Some("Unreachable")).2.contains("not Ready (Unreachable)"));
        }
    }
    assert_eq!(swept(None, Sweep::Current, None).0, TRUE);
}

#[test]
fn a_result_that_no_sweep_confirms_for_a_while_is_stale_and_a_restart_alone_makes_none_so() {
    for former in [TRUE, UNKNOWN] {
        let (status, reason, message) = swept(Some(former), Sweep::Missed, Some("Unreachable"));
        assert_eq!((status.as_str(), reason.as_str()), (UNKNOWN, "SweepStale"));
        assert!(message.contains("not Ready (Unreachable)") && message.contains("last sweep"), "{message}");
        assert!(swept(Some(former), Sweep::Missed, None).2.contains("operator's log"));
        let kept = (former.to_owned(), "Former".to_owned(), "as before".to_owned());
        assert_eq!(swept(Some(former), Sweep::NotYet, Some("Unreachable")), kept);
        assert_eq!(swept(Some(former), Sweep::Current, None).0, TRUE);
    }
}

#[test]
fn a_target_is_current_from_the_time_that_it_was_judged() {
    let shown = Shown::new(Clock::system());
    let minute = Duration::from_mins(1);
    assert_eq!(shown.sweep("east", minute), Sweep::NotYet);
    shown.set("east", Vec::new());
    assert_eq!(shown.sweep("east", minute), Sweep::Current);
    assert_eq!(shown.sweep("west", minute), Sweep::NotYet);
}
