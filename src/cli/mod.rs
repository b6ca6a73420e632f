//! The command line: what can be asked of the `roadstead` binary.

pub mod crd;
pub mod gateway;
pub mod hub;
pub mod moves;
pub mod orphans;
pub mod run;
#[cfg(feature = "simulated")]
pub mod simulated_cloud;
pub mod status;
mod table;
pub mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Places model-serving workloads across clouds by price, region and rules.
#[derive(Debug, Parser)]
#[command(name = "roadstead", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator.
    Run(run::RunArgs),
    /// Run the process beside a gateway's Envoy: keep its files, and report what it has applied.
    Gateway(gateway::GatewayArgs),
    /// Print the custom resource definitions.
    Crd(crd::CrdArgs),
    /// Check files of Roadstead's objects without a cluster.
    Validate(validate::ValidateArgs),
    /// Run the simulated cloud that targets of type Simulated use; it spends nothing.
    #[cfg(feature = "simulated")]
    SimulatedCloud(simulated_cloud::SimulatedCloudArgs),
    /// Show a deployment with its endpoints, at once or as it changes.
    Status(status::StatusArgs),
    /// Move a deployment to a target, under its rules.
    Move(moves::MoveArgs),
    /// Keep new placements away from a target; its endpoints stay.
    Cordon(moves::CordonArgs),
    /// Let a target take placements again.
    Uncordon(moves::CordonArgs),
    /// Replace everything that runs on a target elsewhere.
    Evacuate(moves::EvacuateArgs),
    /// List orphans: endpoints of this installation without a record on the hub, with their cost and age.
    Orphans(orphans::OrphansArgs),
}

/// The program: runs the subcommand, and prints an error that ends it to standard error.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => block_on(run::run(args)),
        Command::Gateway(args) => block_on(gateway::run(args)),
        #[cfg(feature = "simulated")]
        Command::SimulatedCloud(args) => block_on(simulated_cloud::run(args)),
        Command::Crd(args) => crd::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Status(args) => block_on(status::run(args)),
        Command::Move(args) => block_on(moves::move_deployment(args)),
        Command::Cordon(args) => block_on(moves::cordon(args, true)),
        Command::Uncordon(args) => block_on(moves::cordon(args, false)),
        Command::Evacuate(args) => block_on(moves::evacuate(args)),
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

/// Output format of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Text for people.
    Text,
    /// One JSON object.
    Json,
}
