//! `ground`: real clusters on this machine, for trials and the demo.

mod demo;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use roadstead_ground::ground::Ground;
use roadstead_ground::tools::Tools;

#[derive(Debug, Parser)]
#[command(name = "ground", about = "Real Kubernetes clusters on this machine, for Roadstead's tests and its demo")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build Kubernetes, etcd and helm into the cache, if they are not there yet.
    Tools,
    /// Start a hub and three members with the operator, apply the examples, and ask the served model something.
    Demo,
    /// End the clusters and remove everything they left.
    Down,
    /// Run kubectl against one of the clusters: hub, east, west or north.
    Kubectl {
        /// The cluster.
        cluster: String,
        /// What kubectl is to do.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Tools => Tools::locate().map(drop),
        Command::Demo => demo::run(),
        Command::Down => {
            Ground::prepare()?.down();
            println!("nothing is left of the clusters");
            Ok(())
        }
        Command::Kubectl { cluster, args } => {
            let ground = Ground::prepare()?;
            let cluster =
                ground.all().find(|one| one.name == cluster).context("no such cluster: hub, east, west or north")?;
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            println!("{}", cluster.kubectl(&args)?);
            Ok(())
        }
    }
}
