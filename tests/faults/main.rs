//! Fault tests: the operator is killed, gets wrong and stale answers and loses connections, on a real API server and a simulated
//! cloud.
//!
//! Two tests run at a time, each on its own rig. To run one alone, name it: `cargo test --test faults -- crash_sweep`.
//! `ROADSTEAD_SWEEP=all` tries every interruption and `ROADSTEAD_SEQUENCES=all` every change instead of a sample;
//! `ROADSTEAD_SEED` chooses the sample.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

mod asked;
mod client;
mod collector;
mod crash_moves;
mod crash_sweep;
mod credentials;
mod division;
mod failover;
mod fleet;
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
mod rebuilt;
mod refused;
mod restart;
mod rig;
mod secrets;
mod sequences;
mod silent;
mod stale;
mod standby;
mod successor;
mod tape;
mod told;
mod unseen;
mod vanished;
mod views;
mod weather;
mod witness;
mod writes;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};

use rig::Rig;

type Test = fn(&Rig) -> anyhow::Result<()>;

const TESTS: [(&str, Test); 54] = [
    ("leaves_a_lost_place_and_one_copy_remains", failover::a_lost_place_is_left_and_one_copy_remains),
    ("leaves_an_isolated_place_alone", failover::an_isolated_place_is_left_alone),
    ("moves_nothing_that_gateways_reach", witness::what_gateways_reach_stays),
    ("moves_nothing_in_short_outages", failover::short_outages_move_nothing),
    ("moves_though_health_is_unknown_now_and_then", failover::health_that_is_unknown_now_and_then_moves_in_time),
    ("moves_nothing_while_the_hub_is_cut_off", failover::a_hub_that_is_cut_off_moves_nothing),
    ("fails_over_in_time_though_it_is_killed", failover::a_kill_in_every_phase_changes_nothing),
    ("hands_a_lost_place_over_to_the_standby", standby::takes_over_from_a_lost_place),
    ("returns_home_after_a_failover", failover::a_deployment_returns_home),
    ("leaves_a_target_of_many_in_order_and_at_its_pace", fleet::a_target_of_many_is_left_in_order_and_at_its_pace),
    ("replaces_a_lost_part_and_leaves_the_others_alone", division::a_lost_part_is_replaced_and_the_others_stay),
    ("answers_every_request_during_a_replacement", client::has_every_answer_during_a_replacement),
    ("makes_nothing_again_that_drains", vanished::what_drains_is_not_made_again),
    ("moves_where_people_ask", asked::moves_go_where_people_ask),
    ("reports_writes_that_the_hub_refuses", refused::writes_show_on_the_object_at_once),
    ("reports_metrics_of_the_fleet", metrics::tell_of_the_fleet),
    ("restarts_without_a_write", restart::writes_nothing),
    ("reaches_ready_in_six_writes_and_three_kilobytes", writes::are_few_at_any_replica_count),
    ("recovers_from_refused_creations", provider_faults::refused_creations),
    ("waits_as_long_as_a_provider_asks", provider_faults::throttled_creations),
    ("tries_the_next_place_without_room", provider_faults::no_room),
    ("creates_once_when_answers_are_lost_or_late", provider_faults::lost_and_late_answers),
    ("recovers_from_refused_updates", provider_faults::refused_updates),
    ("retries_refused_deletions", provider_faults::refused_deletions),
    ("recovers_from_refused_reads", provider_faults::refused_reads),
    ("tolerates_lagging_listings", provider_faults::lagging_lists),
    ("reports_preempted_spot_capacity", provider_faults::preemption),
    ("moves_a_first_endpoint_that_does_not_answer", silent::a_first_endpoint_goes_on),
    ("tries_the_next_place_after_a_refusal_by_admission", silent::a_refusal_by_a_rule_of_the_place_sends_on),
    ("limits_the_turn_of_a_replacement", silent::replacements_hold_nobody_up),
    ("recreates_an_endpoint_before_garbage_collection", successor::does_not_wait_for_the_collector),
    ("keeps_the_key_of_an_adopted_endpoint", successor::has_the_key_of_what_it_finds),
    ("schema_sweep_reports_every_change_and_recovers_when_reverted", sequences),
    ("crash_sweep_converges_after_every_interruption", crash_sweep),
    ("crash_sweep_of_moves_converges_after_every_interruption", crash_sweep_of_moves),
    ("crash_sweep_leaves_nothing_of_a_withdrawn_deployment", crash_sweep::withdrawn),
    ("adopts_endpoints_as_they_run", rebuilt::an_edited_file_ends_no_replica_before_another_serves),
    ("converges_in_any_network_weather", views::any_weather_ends_like_calm),
    ("backs_off_during_an_outage", views::an_outage_is_met_with_patience),
    ("is_not_ready_while_a_wanted_change_is_not_served", told::what_is_wanted_and_not_served_is_not_ready),
    ("refreshes_candidates_with_their_decision", told::candidates_follow_edits_and_belong_to_the_decision),
    ("notices_changes_that_the_watch_missed", unseen::what_was_not_seen_is_made_up_for),
    ("ends_with_the_last_rotation_of_a_secret", unseen::a_secret_that_was_rotated_twice_is_read_once),
    ("reports_a_token_with_a_line_break", credentials::a_token_with_a_line_break_is_said_and_confirms_nothing),
    ("recreates_a_deleted_key", secrets::a_deleted_key_is_made_again),
    ("follows_a_named_secret", secrets::a_named_secret_is_followed),
    ("acts_on_no_stale_read", stale::believes_nothing_that_spends_or_destroys),
    ("reports_evictions_in_few_writes", member::evictions_are_told_in_few_writes),
    ("accepts_admission_and_stays_silent", member::admission_is_accepted_and_settled_is_silent),
    ("counts_replicas_beside_a_refused_service", member::refused_services_do_not_hide_what_runs),
    ("ignores_the_requests_of_a_frozen_leader", leaders::a_frozen_leader_does_no_harm),
    ("stops_before_another_process_leads", leaders::a_leader_that_cannot_renew_stops_before_another_begins),
    ("renews_no_lease_after_a_thaw", leaders::a_thawed_holder_does_not_renew),
    ("gitops_records_every_state", gitops::every_state_is_recorded),
];

fn crash_sweep(rig: &Rig) -> anyhow::Result<()> {
    crash_sweep::sweep(rig, &crash_sweep::SCENARIOS, seed())
}

fn crash_sweep_of_moves(rig: &Rig) -> anyhow::Result<()> {
    crash_sweep::sweep(rig, &crash_moves::MOVES, seed())
}

fn sequences(rig: &Rig) -> anyhow::Result<()> {
    let all = std::env::var("ROADSTEAD_SEQUENCES").is_ok_and(|which| which == "all");
    sequences::every_step_is_told_and_going_back_heals(rig, (!all).then(seed))
}

/// Default seed of the sample: fixed, so that a failure comes from a change of the code.
const SEED: u64 = 1_795_846_671;

/// Seed from `ROADSTEAD_SEED`, otherwise [`SEED`].
fn seed() -> u64 {
    std::env::var("ROADSTEAD_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED)
}

/// Number of concurrent tests, each on its own rig. More than one, because tests mostly wait.
const RIGS: usize = 2;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(arguments.test_threads.map_or(RIGS, |threads| threads.min(RIGS)));
    let idle = Arc::default();
    libtest_mimic::run(&arguments, trials(&idle)).exit_code()
}

/// Rigs that no test uses.
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
