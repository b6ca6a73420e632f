//! `roadstead orphans`: endpoints at targets without a record or a deployment on the hub, with their cost.

mod report;

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use kube::api::{Api, ListParams};

use super::Output;
use super::hub::HubArgs;
use report::OrphanReport;
use roadstead_api::v1alpha1::ServingTarget;
use roadstead_runtime::client::call;
use roadstead_runtime::clock::Clock;

/// Options of `roadstead orphans`.
#[derive(Debug, Args)]
#[command(
    after_help = "Reads the status of ServingTargets, and writes nothing. Without --kubeconfig, it uses KUBECONFIG, or \
                        else ~/.kube/config, as kubectl does."
)]
pub struct OrphansArgs {
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// Format of the result.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// Lists the orphans of all targets on standard output.
///
/// # Errors
/// If the hub cannot be asked, or standard output cannot be written.
pub async fn run(args: OrphansArgs) -> anyhow::Result<ExitCode> {
    let api: Api<ServingTarget> = Api::all(args.hub.connect().await?.0);
    let targets = call("list servingtargets", api.list(&ListParams::default())).await?;
    let report = OrphanReport::of(&targets.items);
    let text = match args.output {
        Output::Text => report.text(Clock::system().wall()),
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&report)?),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
