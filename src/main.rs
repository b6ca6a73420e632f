//! The `roadstead` binary.

use std::process::ExitCode;

use clap::Parser;
use roadstead::cli::{Cli, Command, crd, run, validate};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => operate(args),
        Command::Crd(args) => crd::run(&args),
        Command::Validate(args) => validate::run(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn operate(args: run::RunArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run::run(args))?;
    Ok(ExitCode::SUCCESS)
}
