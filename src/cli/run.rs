//! `roadstead run`: the operator.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};
use kube::{Client, Config, ResourceExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::api::v1alpha1::{ModelDeployment, names};
use crate::cluster::kubeconfig::{AllowedKubeconfig, Feature};
use crate::controller;
use crate::controller::context::{Context, Settings};
use crate::kube_ext::client::{WriteGate, call, client};
use crate::kube_ext::events::Events;
use crate::kube_ext::lease::{Elector, Leadership, LeaseConfig};
use crate::telemetry::logging::{self, LogFormat};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::server::{self, Readiness};

/// Options of `roadstead run`. Each can also be given by its environment variable.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Id of this installation: tags everything it makes, and must survive a rebuild of the hub.
    #[arg(long, env = "ROADSTEAD_INSTALL_ID", value_parser = install_id)]
    pub install_id: String,
    /// The operator's own namespace: its lease and the kubeconfig Secrets of targets are there.
    #[arg(long, env = "ROADSTEAD_NAMESPACE")]
    pub namespace: String,
    /// Name under which this process holds the lease; the pod's name.
    #[arg(long, env = "ROADSTEAD_IDENTITY")]
    pub identity: String,
    /// UID of a former hub (its kube-system namespace) that is gone and whose members this hub takes over.
    #[arg(long, env = "ROADSTEAD_TAKEOVER")]
    pub takeover: Option<String>,
    /// Address for /livez, /readyz and /metrics.
    #[arg(long, env = "ROADSTEAD_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Form of the log lines.
    #[arg(long, env = "ROADSTEAD_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// What is logged: a level, or directives such as `info,roadstead=debug`.
    #[arg(long, env = "ROADSTEAD_LOG", default_value = "info")]
    pub log: String,
    /// How many objects of one kind are worked on at once.
    #[arg(long, env = "ROADSTEAD_CONCURRENCY", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// Whether to wait for the lease before working; switch it off only where a single process can ever run.
    #[arg(long, env = "ROADSTEAD_LEADER_ELECT", default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_elect: bool,
    /// Dangerous kubeconfig features that targets may use all the same.
    #[arg(long, env = "ROADSTEAD_ALLOW_KUBECONFIG", value_delimiter = ',')]
    pub allow_kubeconfig: Vec<Feature>,
}

fn install_id(text: &str) -> Result<String, String> {
    names::check_install_id(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// Runs the operator until it is told to stop or loses the lease.
///
/// # Errors
/// When the hub cannot be reached at the start, the listener cannot be opened, or the lease is lost.
pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    logging::init(args.log_format, &args.log)?;
    let config =
        Config::infer().await.context("no way to reach the hub: neither a pod's service account nor a kubeconfig")?;
    let metrics = Arc::new(Metrics::new());
    let readiness = Readiness::new(&["hub", "leader election"]);
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {} (--listen)", args.listen))?;
    let server =
        tokio::spawn(server::serve(listener, Arc::clone(&metrics), readiness.clone(), stop.clone().cancelled_owned()));

    let probe = client(config.clone(), Arc::new(|| false))?;
    let hub_uid = hub_uid(&probe).await?;
    check_crds(&probe).await?;
    readiness.ready("hub");

    let result = lead(&args, config, hub_uid, &metrics, &readiness, &stop).await;
    stop.cancel();
    server.await.context("the HTTP listener panicked")??;
    result
}

/// Waits for the lease and works while it is held.
async fn lead(
    args: &RunArgs,
    config: Config,
    hub_uid: String,
    metrics: &Arc<Metrics>,
    readiness: &Readiness,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let leadership = if args.leader_elect {
        let lease_client = client(config.clone(), Arc::new(|| true))?;
        let lease = LeaseConfig::new(&args.namespace, "roadstead", &args.identity);
        // A standby is ready: it answers, and takes over when it must.
        readiness.ready("leader election");
        tracing::info!(identity = args.identity, "ready to lead; waiting for the lease");
        tokio::select! {
            leadership = Elector::new(lease_client, lease).acquire() => leadership,
            () = stop.cancelled() => return Ok(()),
        }
    } else {
        readiness.ready("leader election");
        Leadership::unchallenged()
    };
    metrics.leader("roadstead", true);
    tracing::info!(identity = args.identity, install_id = args.install_id, hub_uid, "leading");

    let token = leadership.token();
    let gate: WriteGate = Arc::new(move || token.is_valid());
    let client = client(config, Arc::clone(&gate))?;
    let events = Events::new(client.clone(), args.identity.clone());
    let settings = Settings {
        install_id: args.install_id.clone(),
        namespace: args.namespace.clone(),
        hub_uid,
        takeover: args.takeover.clone(),
        allowed_kubeconfig: AllowedKubeconfig::new(args.allow_kubeconfig.iter().copied()),
    };
    let context = Arc::new(Context::new(settings, client, gate, events, Arc::clone(metrics)));
    let ended = tokio::select! {
        () = controller::run(context, usize::from(args.concurrency), stop.clone().cancelled_owned()) => Ok(()),
        () = leadership.lost() => Err(anyhow::anyhow!("the lease was lost; another process leads, and this one ends")),
    };
    metrics.leader("roadstead", false);
    leadership.release().await;
    ended
}

async fn hub_uid(client: &Client) -> anyhow::Result<String> {
    let api: Api<Namespace> = Api::all(client.clone());
    let namespace =
        call("get namespace kube-system", api.get("kube-system")).await.context("the hub does not answer")?;
    namespace.uid().context("the hub's namespace kube-system has no UID")
}

async fn check_crds(client: &Client) -> anyhow::Result<()> {
    let api: Api<ModelDeployment> = Api::all(client.clone());
    call("list modeldeployments", api.list(&ListParams::default().limit(1)))
        .await
        .context("the custom resource definitions are not installed: install the chart roadstead-crds, or run `roadstead crd | kubectl apply --server-side -f -`")?;
    Ok(())
}

/// Stops on SIGTERM and SIGINT.
fn stop_on_signals(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop");
        stop.cancel();
    });
    Ok(())
}
