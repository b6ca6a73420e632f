//! `roadstead run`: the operator.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};
use kube::{Client, Config, ResourceExt};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::controller;
use crate::controller::context::Context;
use crate::controller::drivers::DriverSettings;
use crate::controller::installation::{self, Conflict};
use crate::controller::settings::{Gateway, OrphanPolicy, Settings, WatchedNamespaces};
use crate::telemetry::logging::{self, LogFormat};
use crate::telemetry::metrics::{LEASE, Metrics};
use crate::telemetry::server::{self, ProcessReadiness};
use roadstead_api::v1alpha1::{ServingTarget, names, syntax};
use roadstead_model::{DEFAULT_MAX_REPLACEMENTS, ReplacementLimits};
use roadstead_runtime::client::{WriteGate, call, client};
use roadstead_runtime::clock::Clock;
use roadstead_runtime::events::Events;
use roadstead_runtime::lease::{Elector, Leadership, LeaseConfig};

/// The clock of the whole operator.
const CLOCK: Clock = Clock::system();

/// Pause between attempts to reach an unreachable hub.
const HUB_RETRY: Duration = Duration::from_secs(2);
/// Interval of the check for endpoints of another installation.
const INSTALLATION_RETRY: Duration = Duration::from_secs(15);

/// Name of the readiness gate for the hub.
const HUB: &str = "hub";
const INSTALLATION: &str = "installation id";
const ELECTION: &str = "leader election";

/// Options of `roadstead run`. Each can also be given by its environment variable.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Id of this installation; it tags every object that the operator makes, and a rebuilt hub needs the same one.
    #[arg(long, env = "ROADSTEAD_INSTALL_ID", value_parser = install_id)]
    pub install_id: String,
    /// Namespace of the operator, with its Lease and the kubeconfig Secrets of targets.
    #[arg(long, env = "ROADSTEAD_NAMESPACE", value_parser = own_namespace)]
    pub namespace: String,
    /// Identity of this process in the Lease, such as the name of its pod.
    #[arg(long, env = "ROADSTEAD_IDENTITY", value_parser = object_name)]
    pub identity: String,
    /// UID of a lost hub (of its namespace kube-system) whose members this hub takes over.
    #[arg(long, env = "ROADSTEAD_TAKEOVER", value_parser = uid)]
    pub takeover: Option<String>,
    /// Namespaces to watch for deployments, and to need rights in; all namespaces if absent.
    #[arg(long, env = "ROADSTEAD_WATCH_NAMESPACES", value_delimiter = ',', value_parser = namespace)]
    pub watch_namespaces: Vec<String>,
    /// Address for /livez, /readyz and /metrics.
    #[arg(long, env = "ROADSTEAD_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// Number of deployments with series of their own in /metrics: the first by namespace and name.
    #[arg(long, env = "ROADSTEAD_METRICS_DEPLOYMENTS", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub metrics_deployments: u32,
    /// Format of the log.
    #[arg(long, env = "ROADSTEAD_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Level of the log, or directives such as `info,roadstead=debug`.
    #[arg(long, env = "ROADSTEAD_LOG", default_value = "info")]
    pub log: String,
    /// Number of objects of one kind that are reconciled at once.
    #[arg(long, env = "ROADSTEAD_CONCURRENCY", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
    /// Wait for the Lease before reconciling; set it to false only where no second process can run.
    #[arg(long, env = "ROADSTEAD_LEADER_ELECT", default_value_t = true, action = clap::ArgAction::Set)]
    pub leader_elect: bool,
    /// Namespace for the routes of deployments, which gateways read; no gateway if absent.
    #[arg(long, env = "ROADSTEAD_ROUTES_NAMESPACE", value_parser = own_namespace, requires = "gateway_url")]
    pub routes_namespace: Option<String>,
    /// Address of the gateway for callers, such as <https://models.example.com>.
    #[arg(long, env = "ROADSTEAD_GATEWAY_URL", value_parser = gateway_url, requires = "routes_namespace")]
    pub gateway_url: Option<String>,
    /// Flags of the drivers.
    #[command(flatten)]
    pub drivers: DriverSettings,
    /// Delete orphans: endpoints of this installation that run without a record and without a deployment on the hub.
    /// If false, the operator only reports them.
    #[arg(long, env = "ROADSTEAD_DELETE_ORPHANS", default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub delete_orphans: bool,
    /// Age in seconds at which an orphan may be deleted, by its provider's clock and by the sightings of this process,
    /// and the time that this process must have led. Use less than 600 in trials only.
    #[arg(long, env = "ROADSTEAD_ORPHAN_MIN_AGE_SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub orphan_min_age_seconds: u32,
    /// Number of replacements in progress at once in the fleet: failovers, requested moves, evacuations and edits.
    #[arg(long, env = "ROADSTEAD_MAX_REPLACEMENTS", default_value_t = DEFAULT_MAX_REPLACEMENTS, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_replacements: u32,
    /// Number of replacements in progress in one namespace at which others of that namespace wait; failovers do not. Unlimited if
    /// absent.
    #[arg(long, env = "ROADSTEAD_MAX_REPLACEMENTS_PER_NAMESPACE", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_replacements_per_namespace: Option<u32>,
    /// Number of replacements in progress to one target at which others to that target wait. Unlimited if absent.
    #[arg(long, env = "ROADSTEAD_MAX_REPLACEMENTS_PER_TARGET", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_replacements_per_target: Option<u32>,
    /// Seconds between two sweeps for orphans.
    #[arg(long, env = "ROADSTEAD_ORPHAN_INTERVAL_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub orphan_interval_seconds: u32,
}

impl RunArgs {
    fn watched(&self) -> WatchedNamespaces {
        WatchedNamespaces::new(self.watch_namespaces.iter().cloned())
    }

    fn gateway(&self) -> Option<Gateway> {
        let (namespace, url) = (self.routes_namespace.clone()?, self.gateway_url.clone()?);
        Some(Gateway { namespace, url })
    }

    const fn replacements(&self) -> ReplacementLimits {
        ReplacementLimits {
            fleet: self.max_replacements,
            namespace: self.max_replacements_per_namespace,
            destination: self.max_replacements_per_target,
        }
    }

    fn orphans(&self) -> OrphanPolicy {
        OrphanPolicy {
            delete: self.delete_orphans,
            interval: Duration::from_secs(self.orphan_interval_seconds.into()),
            min_age: Duration::from_secs(self.orphan_min_age_seconds.into()),
        }
    }
}

fn install_id(text: &str) -> Result<String, String> {
    names::check_install_id(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// The operator's own namespace by its name.
fn own_namespace(text: &str) -> Result<String, String> {
    let valid = syntax::is_dns_label(text);
    if valid { Ok(text.to_owned()) } else { Err(format!("{text:?} is not a namespace name")) }
}

/// The address of a gateway, without a slash at its end.
fn gateway_url(text: &str) -> Result<String, String> {
    let uri: Result<http::Uri, _> = text.parse();
    let is_plain = |uri: &http::Uri| {
        ["http", "https"].contains(&uri.scheme_str().unwrap_or_default()) && uri.path() == "/" && uri.query().is_none()
    };
    // A fragment is no part of the parsed address, and a user is no part of one that is published.
    if !text.contains(['@', '#']) && uri.is_ok_and(|uri| is_plain(&uri)) {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(format!("{text:?} is not an http or https address without a path, such as https://models.example.com"))
    }
}

/// The name of a pod.
fn object_name(text: &str) -> Result<String, String> {
    let valid = text.len() <= 253 && text.split('.').all(syntax::is_dns_label);
    if valid { Ok(text.to_owned()) } else { Err(format!("{text:?} is not a pod name")) }
}

/// The UID of a namespace.
fn uid(text: &str) -> Result<String, String> {
    let valid = names::is_uid(text);
    if valid {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is not a UID; read the UID of the namespace with kubectl get namespace kube-system -o jsonpath='{{.metadata.uid}}'"
        ))
    }
}

/// Name of a namespace. An empty one is refused, because it must not mean all namespaces.
fn namespace(text: &str) -> Result<String, String> {
    if !syntax::is_dns_label(text) {
        return Err(format!("{text:?} is not a namespace name; to watch all namespaces, omit the option"));
    }
    Ok(text.to_owned())
}

/// Runs the operator until it receives a signal to stop or loses the lease.
///
/// # Errors
/// If the hub cannot be reached at the start, the listener cannot be opened, or the lease is lost.
pub async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    logging::init(args.log_format, &args.log)?;
    let config = Config::infer()
        .await
        .context("cannot connect to the hub: found neither a pod's service account nor a kubeconfig")?;
    let metrics = Arc::new(Metrics::new(CLOCK));
    let readiness = ProcessReadiness::new(&[HUB, INSTALLATION, ELECTION]);
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {} (--listen)", args.listen))?;
    let server =
        tokio::spawn(server::serve(listener, Arc::clone(&metrics), readiness.clone(), stop.clone().cancelled_owned()));

    let result = work(&args, config, &metrics, &readiness, &stop).await;
    stop.cancel();
    server.await.context("the HTTP listener panicked")??;
    match result {
        // The last line is a JSON object like all before it.
        Err(error) if args.log_format == LogFormat::Json => {
            tracing::error!(error = format!("{error:#}"), "the operator exits");
            Ok(ExitCode::FAILURE)
        }
        result => result.map(|()| ExitCode::SUCCESS),
    }
}

/// Waits for the hub, then until no other installation has endpoints there, then for the lease.
async fn work(
    args: &RunArgs,
    config: Config,
    metrics: &Arc<Metrics>,
    readiness: &ProcessReadiness,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let probe = client(config.clone(), Arc::new(|| false))?;
    let hub_uid = tokio::select! {
        hub_uid = greet(&probe) => hub_uid?,
        () = stop.cancelled() => return Ok(()),
    };
    readiness.ready(HUB);
    tokio::select! {
        () = belong(args, &probe, readiness) => {}
        () = stop.cancelled() => return Ok(()),
    }
    readiness.ready(INSTALLATION);
    lead(args, config, hub_uid, metrics, readiness, stop).await
}

/// Waits for the lease and works while it is held.
async fn lead(
    args: &RunArgs,
    config: Config,
    hub_uid: String,
    metrics: &Arc<Metrics>,
    readiness: &ProcessReadiness,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let leadership = if args.leader_elect {
        let lease_client = client(config.clone(), Arc::new(|| true))?;
        let lease = LeaseConfig::new(&args.namespace, LEASE, &args.identity);
        // A standby is ready: it answers, and takes over when it must.
        readiness.ready(ELECTION);
        tracing::info!(identity = args.identity, "ready to lead; waiting for the lease");
        tokio::select! {
            leadership = Elector::new(lease_client, lease, CLOCK).acquire() => leadership,
            () = stop.cancelled() => return Ok(()),
        }
    } else {
        readiness.ready(ELECTION);
        Leadership::unchallenged(CLOCK)
    };
    metrics.leader(LEASE, true);
    tracing::info!(identity = args.identity, install_id = args.install_id, hub_uid, "leading");

    let token = leadership.token();
    let gate: WriteGate = Arc::new(move || token.is_valid());
    let client = client(config, Arc::clone(&gate))?;
    // While this process waited for the lease, another installation may have led.
    let conflict = tokio::select! {
        conflict = other_installation(args, &client) => conflict,
        () = stop.cancelled() => None,
    };
    if let Some(conflict) = conflict {
        metrics.leader(LEASE, false);
        leadership.release().await;
        anyhow::bail!("{conflict}");
    }
    let events = Events::new(client.clone(), &args.identity, CLOCK);
    let settings = Settings {
        install_id: args.install_id.clone(),
        namespace: args.namespace.clone(),
        hub_uid,
        takeover: args.takeover.clone(),
        drivers: args.drivers.clone(),
        watched: args.watched(),
        orphans: args.orphans(),
        replacements: args.replacements(),
        gateway: args.gateway(),
        metrics_deployments: usize::try_from(args.metrics_deployments).unwrap_or(usize::MAX),
    };
    let context = Arc::new(Context::new(settings, CLOCK, client, gate, events, Arc::clone(metrics)));
    let ended = tokio::select! {
        () = controller::run(context, usize::from(args.concurrency), stop.clone().cancelled_owned()) => Ok(()),
        () = leadership.lost() => Err(anyhow::anyhow!("lost the lease; another process leads, and this one exits")),
    };
    metrics.leader(LEASE, false);
    leadership.release().await;
    ended
}

/// Waits until the hub answers; returns the UID of its `kube-system` namespace.
///
/// A process that ended because the hub is away would be started again ever later, and be back long after the hub.
async fn greet(client: &Client) -> anyhow::Result<String> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    // Targets belong to the cluster, so they may be listed whatever namespaces are watched; the kinds come together.
    let targets: Api<ServingTarget> = Api::all(client.clone());
    loop {
        let answers = async {
            let namespace = call("get namespace kube-system", namespaces.get("kube-system")).await?;
            call("list servingtargets", targets.list(&ListParams::default().limit(1))).await.map(|_| namespace)
        };
        match answers.await {
            Ok(namespace) => return namespace.uid().context("the hub's namespace kube-system has no UID"),
            Err(error) if error.is_not_found() => {
                return Err(error).context("the custom resource definitions are not installed: install the chart roadstead-crds, or run `roadstead crd | kubectl apply --server-side -f -`");
            }
            Err(error) => tracing::warn!(%error, "the hub did not answer the first requests; retrying"),
        }
        tokio::time::sleep(HUB_RETRY).await;
    }
}

/// Waits until no endpoint of another installation is on the hub.
async fn belong(args: &RunArgs, client: &Client, readiness: &ProcessReadiness) {
    while let Some(conflict) = other_installation(args, client).await {
        tracing::error!(install_id = args.install_id, "{conflict}");
        readiness.refused(INSTALLATION, conflict.to_string());
        tokio::time::sleep(INSTALLATION_RETRY).await;
    }
}

/// An endpoint of another installation on the hub, once the hub has answered.
async fn other_installation(args: &RunArgs, client: &Client) -> Option<Conflict> {
    loop {
        match installation::conflict(client, &args.install_id, &args.watched()).await {
            Ok(conflict) => return conflict,
            Err(error) => tracing::warn!(%error, "the hub did not list its InferenceEndpoints; retrying"),
        }
        tokio::time::sleep(HUB_RETRY).await;
    }
}

/// Stops on SIGTERM and SIGINT.
///
/// # Errors
/// If the process cannot listen for them.
pub fn stop_on_signals(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping on a signal");
        stop.cancel();
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::{CommandFactory, FromArgMatches};

    #[test]
    fn the_address_of_a_gateway_is_one_without_a_path() {
        assert_eq!(gateway_url("https://models.example.com/").as_deref(), Ok("https://models.example.com"));
        for bad in ["models.example.com", "https://a/v1", "https://a?q", "https://a#f", "https://user@a", "ftp://a"] {
            assert!(gateway_url(bad).is_err(), "{bad}");
        }
    }

    /// Options of `roadstead run`, parsed.
    fn parse(more: &[&str]) -> Result<RunArgs, clap::Error> {
        let needed = ["--install-id=prod", "--namespace=system", "--identity=pod"];
        let given = |option: &&str| more.iter().any(|more| more.split('=').next() == option.split('=').next());
        let args = ["roadstead", "run"].into_iter().chain(needed.into_iter().filter(|option| !given(option)));
        let matches = Cli::command().try_get_matches_from(args.chain(more.iter().copied()))?;
        RunArgs::from_arg_matches(matches.subcommand_matches("run").unwrap())
    }

    #[test]
    fn all_namespaces_are_watched_unless_some_are_named() {
        assert!(parse(&[]).unwrap().watch_namespaces.is_empty());
        assert_eq!(parse(&["--watch-namespaces=a,b"]).unwrap().watch_namespaces, ["a", "b"]);
    }

    #[test]
    fn texts_that_become_names_and_addresses_are_refused_where_they_cannot() {
        for option in [
            "--namespace=a/../b",
            "--namespace=",
            "--identity=",
            "--identity=a b",
            "--takeover=",
            "--takeover=a\nb",
            "--install-id=A",
            "--install-id=a\n",
            "--listen=0.0.0.0:65536",
            "--listen=0.0.0.0",
            "--simulated-cloud=http://a:65536",
        ] {
            let name = option.split('=').next().unwrap();
            let error = parse(&[option]).unwrap_err().to_string();
            assert!(error.contains(name), "{option}: {error}");
        }
    }

    #[test]
    fn an_empty_list_of_namespaces_does_not_come_to_mean_all() {
        for list in ["", ",", "a,", "a b", "A"] {
            let error = parse(&[&format!("--watch-namespaces={list}")]).unwrap_err().to_string();
            assert!(error.contains("not a namespace name"), "{list:?}: {error}");
        }
    }
}
