//! The command line: what can be asked of the `roadstead` binary.

pub mod crd;
pub mod orphans;
pub mod run;
pub mod simulated_cloud;
pub mod validate;

use clap::{Parser, Subcommand, ValueEnum};

/// Places model-serving workloads across clouds by price, region and rules.
#[derive(Debug, Parser)]
#[command(name = "roadstead", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator.
    Run(run::RunArgs),
    /// Print the custom resource definitions.
    Crd(crd::CrdArgs),
    /// Check files of Roadstead's objects without a cluster.
    Validate(validate::ValidateArgs),
    /// Run a cloud that spends nothing, for targets of type Simulated.
    SimulatedCloud(simulated_cloud::SimulatedCloudArgs),
    /// List what runs at targets although nobody on the hub answers for it, and what it costs.
    Orphans(orphans::OrphansArgs),
}

/// How a result is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Lines for people.
    Text,
    /// One JSON object.
    Json,
}
