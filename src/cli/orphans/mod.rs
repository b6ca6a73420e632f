//! `roadstead orphans`: endpoints at targets without a record or a deployment on the hub, with their cost.

mod report;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::Output;
use report::OrphanReport;
use roadstead_api::v1alpha1::ServingTarget;
use roadstead_runtime::client::{call, client};
use roadstead_runtime::clock::Clock;

/// Options of `roadstead orphans`.
#[derive(Debug, Args)]
#[command(
    after_help = "Reads the status of ServingTargets, and writes nothing. Without --kubeconfig, it uses KUBECONFIG, or \
                        else ~/.kube/config, as kubectl does."
)]
pub struct OrphansArgs {
    /// Kubeconfig of the hub.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig; the current context if absent.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Lists the orphans of all targets on standard output.
///
/// # Errors
/// If the hub cannot be asked, or standard output cannot be written.
pub async fn run(args: OrphansArgs) -> anyhow::Result<ExitCode> {
    let api: Api<ServingTarget> = Api::all(hub(&args).await?);
    let targets = call("list servingtargets", api.list(&ListParams::default())).await?;
    let report = OrphanReport::of(&targets.items);
    let text = match args.output {
        Output::Text => report.text(Clock::system().wall()),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&report)?),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

async fn hub(args: &OrphansArgs) -> anyhow::Result<Client> {
    let kubeconfig = match &args.kubeconfig {
        Some(path) => Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => Kubeconfig::read().context("no kubeconfig of the hub: set --kubeconfig")?,
    };
    let options = KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    let config =
        Config::from_custom_kubeconfig(kubeconfig, &options).await.context("cannot use the kubeconfig of the hub")?;
    Ok(client(config, Arc::new(|| false))?)
}
