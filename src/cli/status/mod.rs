//! `roadstead status`: one deployment with its endpoints, at once or as it changes.

mod view;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, ListParams};

use super::hub::HubArgs;
use crate::controller::traffic::stored;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, names};
use roadstead_gateway::Acks;
use roadstead_runtime::client::{call, call_opt};
use roadstead_runtime::clock::Clock;
use view::View;

/// Interval of `--watch`.
const AGAIN: Duration = Duration::from_secs(1);
/// Moves the cursor of a terminal to the top, and clears it.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Options of `roadstead status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Reads the ModelDeployment, its InferenceEndpoints and, where it may, the reports of gateways, and writes \
                        nothing. Without --kubeconfig, it uses KUBECONFIG, or else ~/.kube/config, as kubectl does."
)]
pub struct StatusArgs {
    /// Name of the deployment.
    pub name: String,
    /// Namespace of the deployment; the namespace of the context if absent.
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Prints the state again each second, until Ctrl+C.
    #[arg(short, long)]
    pub watch: bool,
    /// Namespace of the routes, where gateways report the requests in flight.
    #[arg(long, value_name = "NAME", default_value = "roadstead-routes")]
    pub routes_namespace: String,
    /// The hub.
    #[command(flatten)]
    pub hub: HubArgs,
}

/// Prints the state of a deployment on standard output.
///
/// # Errors
/// If the hub cannot be asked or has no such deployment, or standard output cannot be written.
pub async fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let (client, namespace) = args.hub.connect().await?;
    let namespace = args.namespace.clone().unwrap_or(namespace);
    let clears = args.watch && std::io::stdout().is_terminal();
    loop {
        let text = look(&client, &namespace, &args).await?.text(Clock::system().wall());
        let mut out = std::io::stdout().lock();
        write!(out, "{}{text}", if clears { CLEAR } else { "" })?;
        out.flush()?;
        drop(out);
        if !args.watch {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn look(client: &Client, namespace: &str, args: &StatusArgs) -> anyhow::Result<View> {
    let deployments: Api<ModelDeployment> = Api::namespaced(client.clone(), namespace);
    let deployment = call_opt("get modeldeployment", deployments.get(&args.name)).await?;
    let deployment =
        deployment.with_context(|| format!("no ModelDeployment {} in namespace {namespace}", args.name))?;
    let endpoints: Api<InferenceEndpoint> = Api::namespaced(client.clone(), namespace);
    let endpoints = call("list inferenceendpoints", endpoints.list(&ListParams::default())).await?.items;
    Ok(View::of(&deployment, &endpoints, &reports(client, &args.routes_namespace).await))
}

/// Reports of the gateways; none for a user who may not read them, or without a gateway.
async fn reports(client: &Client, namespace: &str) -> Vec<Acks> {
    let reports: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let labelled = ListParams::default().labels(names::LABEL_GATEWAY);
    let list = call("list configmaps", reports.list(&labelled)).await;
    list.map(|list| list.items.iter().map(stored::acks).collect()).unwrap_or_default()
}
