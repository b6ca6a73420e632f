//! The `roadstead` binary.

use std::process::ExitCode;

use clap::Parser;
use roadstead::cli::{Cli, Command, crd, orphans, run, simulated_cloud, validate};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => block_on(run::run(args)),
        Command::SimulatedCloud(args) => block_on(simulated_cloud::run(args)),
        Command::Crd(args) => crd::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Orphans(args) => block_on(orphans::run(args)),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
