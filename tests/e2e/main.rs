//! End-to-end tests: the operator, installed by its chart, on real clusters.
//!
//! They run one after another on one ground (a hub and three members); each starts with an empty hub. To run one alone, name it:
//! `cargo test --test e2e -- replaces_before_removing`. `ROADSTEAD_FULL=1` runs the longest in full.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

mod capacity;
mod clouds;
mod credentials;
mod deletion;
mod division;
mod edits;
mod failover;
mod gateway;
mod kills;
mod kubeconfig;
mod kubectl;
mod leaders;
mod load_balancer;
mod lost_node;
mod manual_changes;
mod moves;
mod operators;
mod outage;
mod priority;
mod private;
mod rebuild;
mod refusal;
mod services;
mod serving;
mod stage;
mod taken_names;
mod targets;
mod tenants;
mod upgrades;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};

use stage::{Stage, in_full};

type Scene = fn(&Stage) -> anyhow::Result<()>;

/// Scenes whose parts other tests show in seconds, on the planner, the drivers or one API server: only a full run plays them
/// on real clusters.
const ONLY_IN_FULL: [&str; 22] = [
    "moves_once_though_the_operator_is_killed_in_every_step",
    "rolls_back_from_an_image_that_crashes_and_tries_the_next_place",
    "returns_home_when_home_is_stable_and_not_before",
    "waits_for_a_lost_target_if_it_is_to_remove_first",
    "edits_without_losing_a_request",
    "serves_while_a_rebuilt_hub_takes_over",
    "waits_for_enough_accelerators_on_one_node",
    "waits_for_free_memory",
    "preempts_no_running_model",
    "reports_a_taken_name",
    "runs_no_command_of_a_kubeconfig",
    "hides_forbidden_targets",
    "names_a_missing_secret",
    "renews_tokens_while_the_operator_is_away",
    "distinguishes_broken_credentials",
    "loses_only_the_connections_of_a_killed_gateway",
    "backs_off_from_a_place_that_refused",
    "keeps_an_endpoint_that_was_ready",
    "leaves_an_isolated_member_alone",
    "refuses_a_revoked_key",
    "releases_nothing_without_a_kubeconfig",
    "stops_a_frozen_leader_when_it_thaws",
];

const SCENES: [(&str, Scene); 53] = [
    ("serves_at_the_cheapest_allowed_place", serving::serves_at_the_cheapest_allowed_place),
    ("serves_a_custom_engine", serving::serves_a_custom_engine),
    ("waits_for_free_accelerators", capacity::waits_for_free_accelerators),
    ("waits_for_enough_accelerators_on_one_node", capacity::waits_for_enough_accelerators_on_one_node),
    ("waits_for_free_memory", capacity::waits_for_free_memory),
    ("replaces_before_removing", edits::replaces_before_removing),
    ("updates_edits_in_place", edits::updates_edits_in_place),
    ("gives_the_slot_to_the_highest_priority", priority::gives_the_slot_to_the_highest_priority),
    ("preempts_no_running_model", priority::preempts_no_running_model),
    ("deletes_everything", deletion::deletes_everything),
    ("ends_with_its_namespace", deletion::ends_with_its_namespace),
    ("keeps_a_deletion_until_the_member_confirms_it", deletion::keeps_a_deletion_until_the_member_confirms_it),
    ("works_with_kubectl", kubectl::works_with_kubectl),
    ("distinguishes_broken_credentials", credentials::distinguishes_broken_credentials),
    ("refuses_a_kubeconfig_of_another_cluster", credentials::refuses_a_kubeconfig_of_another_cluster),
    ("uses_the_address_of_a_load_balancer", load_balancer::uses_the_address_of_a_load_balancer),
    ("backs_off_from_a_place_that_refused", refusal::backs_off_from_a_place_that_refused),
    ("keeps_an_endpoint_that_was_ready", refusal::keeps_an_endpoint_that_was_ready),
    ("survives_kills_at_any_moment", kills::survives_kills_at_any_moment),
    ("places_elsewhere_when_the_name_is_taken", taken_names::places_elsewhere_when_the_name_is_taken),
    ("reports_a_taken_name", taken_names::reports_a_taken_name),
    ("replaces_a_killed_leader", leaders::replaces_a_killed_leader),
    ("stops_a_frozen_leader_when_it_thaws", leaders::stops_a_frozen_leader_when_it_thaws),
    ("runs_no_command_of_a_kubeconfig", kubeconfig::runs_no_command_of_a_kubeconfig),
    ("hides_forbidden_targets", tenants::hides_forbidden_targets),
    ("names_a_missing_secret", tenants::names_a_missing_secret),
    ("leaves_a_lost_member_and_one_copy_remains", failover::leaves_a_lost_member_and_one_copy_remains),
    ("leaves_an_isolated_member_alone", failover::leaves_an_isolated_member_alone),
    ("recovers_from_a_lost_node", lost_node::recovers_from_a_lost_node),
    ("serves_while_the_hub_is_away", outage::serves_while_the_hub_is_away),
    ("reverts_manual_changes_on_the_hub", manual_changes::reverts_manual_changes_on_the_hub),
    ("reverts_manual_changes_on_a_member", manual_changes::reverts_manual_changes_on_a_member),
    ("keeps_a_target_in_use", targets::keeps_a_target_in_use),
    ("releases_nothing_without_a_kubeconfig", targets::releases_nothing_without_a_kubeconfig),
    ("refuses_a_revoked_key", gateway::refuses_a_revoked_key),
    ("moves_without_losing_a_request", gateway::moves_without_losing_a_request),
    ("restarts_and_updates_without_losing_a_request", gateway::restarts_and_updates_without_losing_a_request),
    ("loses_only_the_connections_of_a_killed_gateway", gateway::loses_only_the_connections_of_a_killed_gateway),
    ("hands_a_lost_member_over_to_the_standby", gateway::hands_a_lost_member_over_to_the_standby),
    ("probes_through_an_api_server", private::probes_through_an_api_server),
    ("probes_by_the_gateways", private::probes_by_the_gateways),
    ("serves_from_another_cluster_without_the_hub", gateway::serves_from_another_cluster_without_the_hub),
    ("serves_while_a_rebuilt_hub_takes_over", gateway::serves_while_a_rebuilt_hub_takes_over),
    ("serves_divided_and_survives_the_loss_of_a_part", division::serves_divided_and_survives_the_loss_of_a_part),
    (
        "moves_once_though_the_operator_is_killed_in_every_step",
        moves::moves_once_though_the_operator_is_killed_in_every_step,
    ),
    (
        "rolls_back_from_an_image_that_crashes_and_tries_the_next_place",
        moves::rolls_back_from_an_image_that_crashes_and_tries_the_next_place,
    ),
    ("returns_home_when_home_is_stable_and_not_before", moves::returns_home_when_home_is_stable_and_not_before),
    ("waits_for_a_lost_target_if_it_is_to_remove_first", moves::waits_for_a_lost_target_if_it_is_to_remove_first),
    ("edits_without_losing_a_request", moves::edits_without_losing_a_request),
    ("fails_over_to_a_service_and_returns", services::fails_over_to_a_service_and_returns),
    ("renews_tokens_while_the_operator_is_away", services::renews_tokens_while_the_operator_is_away),
    ("upgrades_without_restarting_pods", upgrades::upgrades_without_restarting_pods),
    ("adopts_its_endpoints_after_a_rebuild", rebuild::adopts_its_endpoints_after_a_rebuild),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // All tests share one ground, so they cannot run concurrently.
    arguments.test_threads = Some(1);
    if arguments.list {
        return libtest_mimic::run(&arguments, trials(None)).exit_code();
    }
    let stage = match Stage::set() {
        Ok(stage) => Arc::new(stage),
        Err(error) => {
            eprintln!("the stage cannot be set: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let conclusion = libtest_mimic::run(&arguments, trials(Some(&stage)));
    let left = stage.lower();
    if !left.is_empty() {
        eprintln!("error: this machine is not as it was before the clusters were started:\n{}", left.join("\n"));
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn trials(stage: Option<&Arc<Stage>>) -> Vec<Trial> {
    let trial = |(name, scene): (&'static str, Scene)| {
        let stage = stage.cloned();
        let trial = Trial::test(name, move || {
            let stage = stage.ok_or("there is no stage")?;
            let start = Instant::now();
            let result = stage.clear().and_then(|()| scene(&stage));
            eprintln!("  {} s", start.elapsed().as_secs());
            result.map_err(|error| {
                stage.tell();
                Failed::from(format!("{error:#}"))
            })
        });
        trial.with_ignored_flag(ONLY_IN_FULL.contains(&name) && !in_full())
    };
    SCENES.into_iter().map(trial).collect()
}
