//! Every driver keeps what the core relies on: one list of cases, run against the simulated cloud, the fakes of managed
//! services, and a real API server whose controllers the test plays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod huggingface;
mod huggingface_rights;
mod kubernetes;
mod sagemaker;
mod sagemaker_rights;
mod simulated;
mod sweep;
mod vertex;
mod vertex_rights;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use roadstead_conformance::{CASES, Fixture};
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = Arc::new(Runtime::new().expect("a runtime"));
    let fixtures: [(&str, Arc<dyn Fixture>); 6] = [
        ("simulated", Arc::new(simulated::Clouds::of_everything())),
        ("limited", Arc::new(simulated::Clouds::of_little())),
        ("kubernetes", Arc::new(kubernetes::Members::default())),
        ("huggingface", Arc::new(huggingface::Namespaces)),
        ("sagemaker", Arc::new(sagemaker::Accounts)),
        ("vertex", Arc::new(vertex::Projects)),
    ];
    let for_token = Arc::clone(&runtime);
    let token = Trial::test("huggingface::the_token_grants_what_is_called_and_nothing_else", move || {
        let granted = huggingface_rights::the_token_grants_what_is_called_and_nothing_else();
        for_token.block_on(granted).map_err(|error| Failed::from(format!("{error:#}")))
    });
    let for_policy = Arc::clone(&runtime);
    let policy = Trial::test("sagemaker::the_policy_grants_what_is_called_and_nothing_else", move || {
        let granted = sagemaker_rights::the_policy_grants_what_is_called_and_nothing_else();
        for_policy.block_on(granted).map_err(|error| Failed::from(format!("{error:#}")))
    });
    let for_roles = Arc::clone(&runtime);
    let roles = Trial::test("vertex::the_roles_grant_what_is_called_and_nothing_else", move || {
        let granted = vertex_rights::the_roles_grant_what_is_called_and_nothing_else();
        for_roles.block_on(granted).map_err(|error| Failed::from(format!("{error:#}")))
    });
    let for_upload = Arc::clone(&runtime);
    let upload = Trial::test("vertex::an_upload_that_fails_says_why", move || {
        for_upload
            .block_on(vertex_rights::an_upload_that_fails_says_why())
            .map_err(|error| Failed::from(format!("{error:#}")))
    });
    let for_sweeps = Arc::clone(&runtime);
    let of_sagemaker = Trial::test("sagemaker::every_change_may_be_lost_or_repeated", move || {
        for_sweeps.block_on(sagemaker::sweep()).map_err(|error| Failed::from(format!("{error:#}")))
    });
    let for_sweeps = Arc::clone(&runtime);
    let of_vertex = Trial::test("vertex::every_change_may_be_lost_or_repeated", move || {
        for_sweeps.block_on(vertex::sweep()).map_err(|error| Failed::from(format!("{error:#}")))
    });
    let trials = fixtures.into_iter().flat_map(|(driver, fixture)| {
        let runtime = Arc::clone(&runtime);
        CASES.iter().map(move |case| {
            let (fixture, runtime) = (Arc::clone(&fixture), Arc::clone(&runtime));
            Trial::test(format!("{driver}::{}", case.name), move || {
                runtime.block_on(case.run(fixture.as_ref())).map_err(|error| Failed::from(format!("{error:#}")))
            })
        })
    });
    libtest_mimic::run(&arguments, trials.chain([token, policy, roles, upload, of_sagemaker, of_vertex]).collect())
        .exit_code()
}
