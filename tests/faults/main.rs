//! Faults: the operator against a real API server and a simulated cloud, killed, lied to and cut off.
//!
//! They run two at a time, each on a rig of its own. Name one to run it alone: `cargo test --test faults -- crash_sweep`.
//! `ROADSTEAD_SWEEP=all` tries every interruption and `ROADSTEAD_SEQUENCES=all` every change instead of a sample;
//! `ROADSTEAD_SEED` chooses the sample.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod collector;
mod crash_sweep;
mod credentials;
mod gitops;
mod leaders;
mod link;
mod member;
mod metrics;
mod objects;
mod operator;
mod picture;
mod provider_faults;
mod proxy;
mod restart;
mod rig;
mod secrets;
mod sequences;
mod silent;
mod stale;
mod successor;
mod tape;
mod told;
mod unseen;
mod views;
mod weather;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};

use rig::Rig;

type Test = fn(&Rig) -> anyhow::Result<()>;

const TESTS: [(&str, Test); 36] = [
    ("metrics_tell_of_the_fleet", metrics::tell_of_the_fleet),
    ("restart_in_a_settled_world_writes_nothing", restart::writes_nothing),
    ("provider_refuses_to_create", provider_faults::refused_creations),
    ("provider_asks_to_slow_down", provider_faults::throttled_creations),
    ("provider_has_no_room", provider_faults::no_room),
    ("provider_loses_answers_or_gives_them_late", provider_faults::lost_and_late_answers),
    ("provider_refuses_to_update", provider_faults::refused_updates),
    ("provider_refuses_to_delete", provider_faults::refused_deletions),
    ("provider_refuses_to_tell", provider_faults::refused_reads),
    ("provider_lists_lag_behind", provider_faults::lagging_lists),
    ("provider_takes_spot_capacity_away", provider_faults::preemption),
    ("silent_first_endpoint_goes_on_to_the_next_place", silent::a_first_endpoint_goes_on),
    ("silent_place_that_refuses_by_its_rules_sends_on", silent::a_refusal_by_a_rule_of_the_place_sends_on),
    ("silent_replacements_hold_nobody_up", silent::replacements_hold_nobody_up),
    ("successor_does_not_wait_for_the_collector", successor::does_not_wait_for_the_collector),
    ("successor_has_the_key_of_what_it_finds_whenever_the_collector_comes", successor::has_the_key_of_what_it_finds),
    ("sequences_of_changes_are_told_and_healed_by_going_back", sequences),
    ("crash_sweep_every_interruption_ends_as_if_there_were_none", crash_sweep),
    ("crash_sweep_what_is_withdrawn_while_it_is_made_leaves_nothing", crash_sweep::withdrawn),
    ("views_any_weather_ends_like_calm", views::any_weather_ends_like_calm),
    ("views_an_outage_is_met_with_patience", views::an_outage_is_met_with_patience),
    ("told_what_is_wanted_and_not_served_is_not_ready", told::what_is_wanted_and_not_served_is_not_ready),
    (
        "told_candidates_follow_edits_and_belong_to_the_decision",
        told::candidates_follow_edits_and_belong_to_the_decision,
    ),
    ("unseen_events_are_made_up_for", unseen::what_was_not_seen_is_made_up_for),
    ("unseen_rotations_of_a_secret_end_with_the_last", unseen::a_secret_that_was_rotated_twice_is_read_once),
    (
        "credentials_a_token_with_a_line_break_is_said_and_confirms_nothing",
        credentials::a_token_with_a_line_break_is_said_and_confirms_nothing,
    ),
    ("secrets_a_deleted_key_is_made_again", secrets::a_deleted_key_is_made_again),
    ("secrets_a_named_one_is_followed", secrets::a_named_secret_is_followed),
    ("stale_past_is_not_acted_upon", stale::believes_nothing_that_spends_or_destroys),
    ("member_evictions_are_told_in_few_writes", member::evictions_are_told_in_few_writes),
    ("member_admission_is_accepted_and_settled_is_silent", member::admission_is_accepted_and_settled_is_silent),
    ("member_that_refuses_services_does_not_hide_what_runs", member::refused_services_do_not_hide_what_runs),
    ("leaders_a_frozen_leader_does_no_harm", leaders::a_frozen_leader_does_no_harm),
    (
        "leaders_one_that_cannot_renew_stops_before_another_begins",
        leaders::a_leader_that_cannot_renew_stops_before_another_begins,
    ),
    ("leaders_a_thawed_holder_does_not_renew", leaders::a_thawed_holder_does_not_renew),
    ("gitops_every_state_is_recorded", gitops::every_state_is_recorded),
];

fn crash_sweep(rig: &Rig) -> anyhow::Result<()> {
    match std::env::var("ROADSTEAD_SWEEP").as_deref() {
        Ok("all") => crash_sweep::exhaustive(rig),
        _ => crash_sweep::sample(rig, seed()),
    }
}

fn sequences(rig: &Rig) -> anyhow::Result<()> {
    let all = std::env::var("ROADSTEAD_SEQUENCES").is_ok_and(|which| which == "all");
    sequences::every_step_is_told_and_going_back_heals(rig, (!all).then(seed))
}

/// The seed of the sample, unless another is asked for: the same for everybody, so that a failure is a change's.
const SEED: u64 = 1_795_846_671;

/// The seed that was asked for, else [`SEED`].
fn seed() -> u64 {
    std::env::var("ROADSTEAD_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED)
}

/// So many tests run side by side, each on a rig of its own: they wait more than they work.
const RIGS: usize = 2;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(arguments.test_threads.map_or(RIGS, |threads| threads.min(RIGS)));
    let idle = Arc::default();
    libtest_mimic::run(&arguments, trials(&idle)).exit_code()
}

/// The rigs that no test stands on.
type Idle = Mutex<Vec<Rig>>;

fn trials(idle: &Arc<Idle>) -> Vec<Trial> {
    let trial = |(name, test): (&'static str, Test)| {
        let idle = Arc::clone(idle);
        Trial::test(name, move || {
            let former = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let rig = former.map_or_else(Rig::set, Ok).map_err(|error| format!("the rig cannot be set: {error:#}"))?;
            let start = Instant::now();
            let result = rig.clear().and_then(|()| test(&rig)).map_err(|error| {
                let log = std::fs::read_to_string(rig.log()).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(30).collect();
                let tail: Vec<&str> = tail.into_iter().rev().collect();
                Failed::from(format!("{error:#}\nthe end of the operator's log:\n{}", tail.join("\n")))
            });
            eprintln!("{name}: {:.0} s", start.elapsed().as_secs_f64());
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(rig);
            result
        })
    };
    TESTS.into_iter().map(trial).collect()
}
