//! `roadstead simulated-cloud`: the other side of targets of type Simulated.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::run::stop_on_signals;
use crate::telemetry::logging::{self, LogFormat};
use roadstead_runtime::clock::Clock;
use roadstead_simulated::cloud as simulated_cloud;

/// Options of `roadstead simulated-cloud`. Each can also be given by its environment variable.
#[derive(Debug, Args)]
pub struct SimulatedCloudArgs {
    /// Address to listen on; any client that can connect to it can use the cloud.
    #[arg(long, env = "ROADSTEAD_CLOUD_LISTEN", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// File that keeps the state of the cloud between runs; without it, the state is lost at the end.
    #[arg(long, env = "ROADSTEAD_CLOUD_STATE")]
    pub state: Option<PathBuf>,
    /// Format of the log.
    #[arg(long, env = "ROADSTEAD_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Level of the log, or directives such as `info,roadstead=debug`.
    #[arg(long, env = "ROADSTEAD_LOG", default_value = "info")]
    pub log: String,
}

/// Runs the cloud until it receives a signal to stop.
///
/// # Errors
/// If the address or the state file cannot be used.
pub async fn run(args: SimulatedCloudArgs) -> anyhow::Result<ExitCode> {
    logging::init(args.log_format, &args.log)?;
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    let listener =
        TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {} (--listen)", args.listen))?;
    let state = args.state.as_deref();
    tracing::info!(address = %listener.local_addr()?, state = state.map(|path| path.display().to_string()), "simulated cloud started");
    simulated_cloud::serve(listener, state, Clock::system(), stop.cancelled_owned()).await?;
    Ok(ExitCode::SUCCESS)
}
