//! The scenes: the operator, installed by its chart, on real clusters.
//!
//! They run one after another on one ground (a hub and three members); each begins with an empty hub. Name one to run it
//! alone: `cargo test --test e2e -- scene_3`. `ROADSTEAD_FULL=1` plays the longest in full. Those called `trust_` are of crashes, strangers, two leaders and losses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod operators;
mod scene_1;
mod scene_10;
mod scene_2;
mod scene_3;
mod scene_4;
mod scene_5;
mod scene_6;
mod scene_7;
mod scene_8;
mod scene_9;
mod scene_load_balancer;
mod stage;
mod trust_1;
mod trust_2;
mod trust_3;
mod trust_4;
mod trust_5;
mod trust_6;
mod trust_7;
mod trust_8;
mod trust_9;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use libtest_mimic::{Arguments, Failed, Trial};

use stage::Stage;

type Scene = fn(&Stage) -> anyhow::Result<()>;

const SCENES: [(&str, Scene); 33] = [
    ("scene_1_the_cheapest_allowed_place_serves", scene_1::the_cheapest_allowed_place_serves),
    ("scene_1_an_engine_of_ones_own_serves", scene_1::an_engine_of_ones_own_serves),
    ("scene_2_too_few_accelerators", scene_2::too_few_accelerators),
    ("scene_2_too_few_on_one_node", scene_2::too_few_on_one_node),
    ("scene_2_too_little_memory", scene_2::too_little_memory),
    ("scene_3_a_forbidden_place_is_replaced_before_it_is_removed", scene_3::replaced_before_removed),
    ("scene_3_edits_update_in_place", scene_3::edits_update_in_place),
    ("scene_4_priority_decides_who_gets_the_slot", scene_4::priority_decides),
    ("scene_4_what_runs_keeps_its_place", scene_4::what_runs_keeps_its_place),
    ("scene_5_deletion_removes_everything", scene_5::deletion_removes_everything),
    ("scene_5_deletion_waits_for_a_member_that_is_cut_off", scene_5::deletion_waits),
    ("scene_6_kubectl_behaves", scene_6::kubectl_behaves),
    ("scene_8_broken_credentials_are_told_apart", scene_8::broken_credentials),
    ("scene_8_another_cluster_is_noticed", scene_8::another_cluster),
    ("scene_load_balancer_its_address_is_used", scene_load_balancer::its_address_is_used),
    ("scene_10_a_refused_place_is_left_alone", scene_10::refused_place),
    ("scene_10_what_was_ready_stays", scene_10::what_was_ready_stays),
    ("trust_1_killed_at_any_moment_nothing_is_lost_or_doubled", trust_1::killed_at_any_moment),
    ("trust_2_a_name_that_is_taken_sends_it_elsewhere", trust_2::goes_elsewhere),
    ("trust_2_a_name_that_is_taken_is_reported", trust_2::stays_and_reports),
    ("trust_3_a_killed_leader_is_followed", trust_3::killed),
    ("trust_3_a_frozen_leader_does_nothing_when_thawed", trust_3::frozen),
    ("trust_4_a_kubeconfig_runs_nothing", trust_4::nothing_is_executed),
    ("trust_5_a_forbidden_target_is_not_told", trust_5::forbidden_target),
    ("trust_5_a_secret_that_is_not_there_is_named", trust_5::secret_that_is_not_there),
    ("trust_6_a_lost_node_is_told_and_made_up_for", trust_6::node_dies),
    ("trust_7_the_hub_is_away_and_nobody_notices", trust_7::hub_is_away),
    ("trust_8_what_is_done_by_hand_on_the_hub_is_put_right", trust_8::on_the_hub),
    ("trust_8_what_is_done_by_hand_on_a_member_is_put_right", trust_8::on_the_member),
    ("trust_9_a_target_in_use_waits", trust_9::target_in_use),
    ("trust_9_a_lost_kubeconfig_releases_nothing", trust_9::kubeconfig_is_gone),
    ("scene_7_upgrades_restart_nothing", scene_7::upgrades_restart_nothing),
    ("scene_9_a_rebuilt_hub_finds_its_endpoints", scene_9::rebuilt_hub),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One ground for all: the scenes cannot run side by side.
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
        Trial::test(name, move || {
            let stage = stage.ok_or("there is no stage")?;
            let start = Instant::now();
            let result = stage.clear().and_then(|()| scene(&stage));
            eprintln!("  {} s", start.elapsed().as_secs());
            result.map_err(|error| {
                stage.tell();
                Failed::from(format!("{error:#}"))
            })
        })
    };
    SCENES.into_iter().map(trial).collect()
}
