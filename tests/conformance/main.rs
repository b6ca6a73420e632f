//! Every driver keeps what the core relies on: one list of cases, run against the simulated cloud, the fakes of managed
//! services, and a real API server whose controllers the test plays. With `ROADSTEAD_REAL_TARGET` it runs them on a real service.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod azureml;
mod azureml_rights;
mod azureopenai;
mod azureopenai_rights;
mod baseten;
mod baseten_rights;
mod bedrock;
mod bedrock_rights;
mod digitalocean;
mod digitalocean_names;
mod digitalocean_rights;
mod huggingface;
mod huggingface_rights;
mod kubernetes;
mod life;
mod odd;
mod real;
mod real_on_fakes;
mod refused;
mod sagemaker;
mod sagemaker_rights;
mod simulated;
mod sweep;
mod trust;
mod upstream;
mod vertex;
mod vertex_rights;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use libtest_mimic::{Arguments, Failed, Trial};
use roadstead_conformance::{CASES, Conduct, Fixture};
use roadstead_provider::CHECK_INTERVAL;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let runtime = Arc::new(Runtime::new().expect("a runtime"));
    if std::env::var_os(real::TARGET).is_some() {
        return real::main(&runtime);
    }
    let arguments = Arguments::from_args();
    let lone = lone(&runtime);
    let trials = fixtures().into_iter().flat_map(|(driver, fixture)| {
        let runtime = Arc::clone(&runtime);
        CASES.iter().map(move |case| {
            let (fixture, runtime) = (Arc::clone(&fixture), Arc::clone(&runtime));
            // Counted as ignored, with the reason before its name.
            let reason = case.oddity.and_then(|oddity| fixture.cannot_play(oddity));
            Trial::test(format!("{driver}::{}", case.name), move || {
                runtime.block_on(case.run(fixture.as_ref())).map_err(|error| Failed::from(format!("{error:#}")))
            })
            .with_ignored_flag(reason.is_some())
            .with_kind(reason.unwrap_or_default())
        })
    });
    libtest_mimic::run(&arguments, trials.chain(lone).collect()).exit_code()
}

/// Places of each driver, by its name.
fn fixtures() -> [(&'static str, Arc<dyn Fixture>); 12] {
    [
        ("simulated", Arc::new(simulated::Clouds::of_everything())),
        ("limited", Arc::new(simulated::Clouds::of_little())),
        ("kubernetes", Arc::new(kubernetes::Members::default())),
        ("baseten", Arc::new(baseten::Teams)),
        ("bedrock", Arc::new(bedrock::BedrockAccounts::Imports)),
        ("bedrock_throughput", Arc::new(bedrock::BedrockAccounts::Throughput)),
        ("digitalocean", Arc::new(digitalocean::OceanTeams)),
        ("huggingface", Arc::new(huggingface::Namespaces)),
        ("sagemaker", Arc::new(sagemaker::Accounts)),
        ("vertex", Arc::new(vertex::Projects)),
        ("azureml", Arc::new(azureml::Workspaces)),
        ("azureopenai", Arc::new(azureopenai::CognitiveAccounts)),
    ]
}

/// Tests of one driver alone.
#[expect(clippy::too_many_lines, reason = "it is a list")]
fn lone(runtime: &Arc<Runtime>) -> Vec<Trial> {
    vec![
        trial(
            runtime,
            "azureml::the_role_grants_what_is_called_and_nothing_else",
            azureml_rights::the_role_grants_what_is_called_and_nothing_else,
        ),
        trial(
            runtime,
            "azureml::a_failure_whose_cause_may_not_be_read_says_which_right_is_missing",
            azureml_rights::a_failure_whose_cause_may_not_be_read_says_which_right_is_missing,
        ),
        trial(
            runtime,
            "azureopenai::a_failure_whose_cause_may_not_be_read_says_which_right_is_missing",
            azureopenai_rights::a_failure_whose_cause_may_not_be_read_says_which_right_is_missing,
        ),
        trial(
            runtime,
            "azureopenai::the_role_of_gateways_grants_traffic_and_nothing_else",
            azureopenai_rights::the_role_of_gateways_grants_traffic_and_nothing_else,
        ),
        trial(runtime, "azureml::every_change_may_be_lost_or_repeated", azureml::sweep),
        trial(
            runtime,
            "azureopenai::the_role_grants_what_is_called_and_nothing_else",
            azureopenai_rights::the_role_grants_what_is_called_and_nothing_else,
        ),
        trial(runtime, "azureopenai::every_change_may_be_lost_or_repeated", azureopenai::sweep),
        trial(
            runtime,
            "azureopenai::an_account_outside_the_data_zone_is_refused",
            azureopenai::an_account_outside_the_data_zone_is_refused,
        ),
        trial(
            runtime,
            "azureopenai::a_deployment_that_was_made_meanwhile_is_not_overwritten",
            azureopenai::a_deployment_that_was_made_meanwhile_is_not_overwritten,
        ),
        trial(runtime, "rights::roles_trust_their_users_alone", trust::roles_trust_their_users_alone),
        trial(
            runtime,
            "rights::every_file_with_rights_is_held_by_a_test",
            trust::every_file_with_rights_is_held_by_a_test,
        ),
        trial(runtime, "services::are_checked_less_often_than_clusters", checks),
        trial(
            runtime,
            "real::calm_cases_pass_and_leave_only_what_others_have",
            real_on_fakes::calm_cases_pass_and_leave_only_what_others_have,
        ),
        trial(runtime, "real::nothing_is_made_above_the_limit", real_on_fakes::nothing_is_made_above_the_limit),
        trial(
            runtime,
            "real::a_sweep_removes_what_a_killed_run_left",
            real_on_fakes::a_sweep_removes_what_a_killed_run_left,
        ),
        trial(
            runtime,
            "real::every_service_takes_its_credentials_from_the_environment",
            real_on_fakes::every_service_takes_its_credentials_from_the_environment,
        ),
        trial(runtime, "bedrock::every_change_may_be_lost_or_repeated", bedrock::sweep),
        trial(
            runtime,
            "bedrock::the_policy_grants_what_is_called_and_nothing_else",
            bedrock_rights::the_policy_grants_what_is_called_and_nothing_else,
        ),
        trial(
            runtime,
            "bedrock::the_role_of_imports_reads_weights_alone",
            bedrock_rights::the_role_of_imports_reads_weights_alone,
        ),
        trial(
            runtime,
            "bedrock_throughput::the_policy_grants_what_is_called_and_nothing_else",
            bedrock_rights::the_policy_for_throughput_grants_what_is_called_and_nothing_else,
        ),
        trial(runtime, "bedrock::a_rotated_secret_changes_nothing", || {
            bedrock_rights::a_rotated_secret_changes_nothing(bedrock::BedrockAccounts::Imports)
        }),
        trial(runtime, "bedrock_throughput::a_rotated_secret_changes_nothing", || {
            bedrock_rights::a_rotated_secret_changes_nothing(bedrock::BedrockAccounts::Throughput)
        }),
        trial(runtime, "bedrock_throughput::every_change_may_be_lost_or_repeated", bedrock::sweep_of_throughput),
        trial(
            runtime,
            "bedrock_throughput::what_was_bought_meanwhile_is_left_alone",
            bedrock::throughput_that_was_bought_meanwhile_is_left_alone,
        ),
        trial(
            runtime,
            "baseten::every_operation_is_called_and_no_other",
            baseten_rights::every_operation_is_called_and_no_other,
        ),
        trial(
            runtime,
            "baseten::a_new_key_leaves_the_former_one_valid",
            baseten_rights::a_new_key_leaves_the_former_one_valid,
        ),
        trial(
            runtime,
            "baseten::of_two_claims_at_once_the_older_one_is_left",
            baseten_rights::of_two_claims_at_once_the_older_one_is_left,
        ),
        trial(runtime, "baseten::every_change_may_be_lost_or_repeated", baseten::sweep),
        trial(
            runtime,
            "baseten::a_deployment_that_is_listed_late_is_not_pushed_again",
            baseten::a_deployment_that_is_listed_late_is_not_pushed_again,
        ),
        trial(
            runtime,
            "digitalocean::the_token_grants_what_is_called_and_nothing_else",
            digitalocean_rights::the_token_grants_what_is_called_and_nothing_else,
        ),
        trial(
            runtime,
            "digitalocean::a_model_that_is_not_on_offer_is_refused_before_anything_is_created",
            digitalocean_rights::a_model_that_is_not_on_offer_is_refused_before_anything_is_created,
        ),
        trial(
            runtime,
            "digitalocean::a_renamed_instance_is_neither_made_again_nor_gone",
            digitalocean_names::a_renamed_instance_is_neither_made_again_nor_gone,
        ),
        trial(
            runtime,
            "digitalocean::a_foreign_name_with_the_same_beginning_does_not_hide_ours",
            digitalocean_names::a_foreign_name_with_the_same_beginning_does_not_hide_ours,
        ),
        trial(
            runtime,
            "digitalocean::a_place_that_was_taken_over_stays_taken_over",
            digitalocean_names::a_place_that_was_taken_over_stays_taken_over,
        ),
        trial(runtime, "digitalocean::every_change_may_be_lost_or_repeated", digitalocean::sweep),
        trial(
            runtime,
            "huggingface::the_token_grants_what_is_called_and_nothing_else",
            huggingface_rights::the_token_grants_what_is_called_and_nothing_else,
        ),
        trial(runtime, "huggingface::every_change_may_be_lost_or_repeated", huggingface::sweep),
        trial(
            runtime,
            "sagemaker::the_policy_grants_what_is_called_and_nothing_else",
            sagemaker_rights::the_policy_grants_what_is_called_and_nothing_else,
        ),
        trial(runtime, "sagemaker::every_change_may_be_lost_or_repeated", sagemaker::sweep),
        trial(
            runtime,
            "sagemaker::a_form_that_comes_back_keeps_the_instances_that_serve",
            sagemaker::a_form_that_comes_back_keeps_the_instances_that_serve,
        ),
        trial(
            runtime,
            "sagemaker::form_and_number_change_one_after_the_other",
            sagemaker::form_and_number_change_one_after_the_other,
        ),
        trial(
            runtime,
            "vertex::the_roles_grant_what_is_called_and_nothing_else",
            vertex_rights::the_roles_grant_what_is_called_and_nothing_else,
        ),
        trial(runtime, "vertex::an_upload_that_fails_says_why", vertex_rights::an_upload_that_fails_says_why),
        trial(runtime, "vertex::every_change_may_be_lost_or_repeated", vertex::sweep),
    ]
}

/// Services count the calls of a check; a place that counts none is checked more often.
async fn checks() -> anyhow::Result<()> {
    let services: [&dyn Fixture; 9] = [
        &azureml::Workspaces,
        &azureopenai::CognitiveAccounts,
        &baseten::Teams,
        &bedrock::BedrockAccounts::Imports,
        &bedrock::BedrockAccounts::Throughput,
        &digitalocean::OceanTeams,
        &huggingface::Namespaces,
        &sagemaker::Accounts,
        &vertex::Projects,
    ];
    for fixture in services {
        let driver = fixture.place(Conduct::Ordinary).await?.driver("prod").await?;
        ensure!(driver.check_interval() == Duration::from_secs(30), "{}: {:?}", driver.name(), driver.check_interval());
    }
    let simulated = simulated::Clouds::of_everything().place(Conduct::Ordinary).await?.driver("prod").await?;
    ensure!(simulated.check_interval() == CHECK_INTERVAL, "{:?}", simulated.check_interval());
    Ok(())
}

/// A test of one driver alone.
fn trial<F>(runtime: &Arc<Runtime>, name: &str, test: impl FnOnce() -> F + Send + 'static) -> Trial
where
    F: Future<Output = anyhow::Result<()>>,
{
    let runtime = Arc::clone(runtime);
    Trial::test(name, move || runtime.block_on(test()).map_err(|error| Failed::from(format!("{error:#}"))))
}
