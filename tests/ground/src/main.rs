//! `ground`: real clusters on this machine, for trials and the demo.

#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

mod demo;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::{Parser, Subcommand};
use roadstead_ground::envoy;
use roadstead_ground::ground::{Ground, MEMBERS};
use roadstead_ground::packages;
use roadstead_ground::tools::{Tools, cache};

#[derive(Debug, Parser)]
#[command(name = "ground", about = "Real Kubernetes clusters on this machine, for Roadstead's tests and its demo")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build Kubernetes, etcd, helm, the linters and a Lua interpreter into the cache and fetch Envoy, where they
    /// are missing, and print the folder of Kubernetes, etcd and helm.
    Tools,
    /// Install the Debian packages that clusters with nodes need, if they are not there yet.
    Packages,
    /// Start a hub and members, with nothing installed on them. What a former run left is removed first.
    Up {
        /// Number of members: east, west and north, in this order.
        #[arg(long, value_name = "N", default_value_t = MEMBERS.len(), value_parser = members)]
        members: usize,
        /// Print nothing but errors.
        #[arg(long)]
        quiet: bool,
    },
    /// Start a hub and three members with the operator, apply the examples, and ask the served model something.
    Demo,
    /// End the clusters and remove everything they left.
    #[command(visible_alias = "demo-down")]
    Down,
    /// Tell which clusters run.
    Status,
    /// Run kubectl against one of the clusters: hub, east, west or north.
    Kubectl {
        /// The cluster.
        cluster: String,
        /// Arguments of kubectl.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    run(Cli::parse().command).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Tools => {
            Tools::linters()?;
            Tools::health()?;
            envoy::envoy()?;
            let tools = Tools::locate()?.path("kubectl");
            println!("{}", tools.parent().context("the tools are in no folder")?.display());
        }
        Command::Packages => packages::ensure()?,
        Command::Up { members, quiet } => up(members, quiet)?,
        Command::Demo => demo::run()?,
        Command::Down => down()?,
        Command::Status => status()?,
        Command::Kubectl { cluster, args } => return kubectl(&cluster, &args),
    }
    Ok(ExitCode::SUCCESS)
}

fn members(text: &str) -> Result<usize, String> {
    let most = MEMBERS.len();
    text.parse().ok().filter(|count| *count <= most).ok_or(format!("must be a number from 0 to {most}"))
}

fn up(members: usize, quiet: bool) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut ground = Ground::prepare()?;
    // Members of a former run that are not wanted now must go as well.
    drop(ground.down());
    ground.members.truncate(members);
    let names: Vec<_> = ground.all().map(|cluster| cluster.name.clone()).collect();
    if !quiet {
        println!("starting {}", names.join(", "));
    }
    ground.up()?;
    if !quiet {
        for cluster in ground.all() {
            println!("  {:<6} KUBECONFIG={}", cluster.name, cluster.kubeconfig().display());
        }
        println!("ready after {:.1} s; `ground down` ends them", start.elapsed().as_secs_f64());
    }
    Ok(())
}

fn down() -> anyhow::Result<()> {
    let differences = Ground::take()?.down();
    if differences.is_empty() {
        println!("nothing is left of the clusters");
    } else {
        println!("the clusters are gone; since they were started, they or others have changed on this machine:");
        for difference in &differences {
            println!("  {difference}");
        }
    }
    println!("what was built stays in {}", cache()?.display());
    let packages = packages::installed();
    if !packages.is_empty() {
        println!("packages that were installed for clusters stay: apt-get purge {}", packages.join(" "));
    }
    Ok(())
}

fn status() -> anyhow::Result<()> {
    for cluster in Ground::look()?.all() {
        let answers = cluster.kubeconfig().is_file()
            && cluster.kubectl(&["get", "--raw", "/readyz", "--request-timeout=3s"]).is_ok_and(|answer| answer == "ok");
        let state = if answers { "answers" } else { "does not answer" };
        println!("{:<6} {state:<16} KUBECONFIG={}", cluster.name, cluster.kubeconfig().display());
    }
    Ok(())
}

/// In the terminal of the caller, so that `edit`, `exec` and `logs -f` work, and with kubectl's own exit code.
fn kubectl(cluster: &str, args: &[String]) -> anyhow::Result<ExitCode> {
    let ground = Ground::look()?;
    let mut command = ground.cluster(cluster)?.command("kubectl");
    let status = command.args(args).status().context("cannot start kubectl")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
