//! The `roadstead` binary.

use std::process::ExitCode;

use clap::Parser;
use roadstead::cli::{Cli, Command, crd, run};

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Run(args) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(run::run(args))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Crd(args) => crd::run(&args),
    }
}
