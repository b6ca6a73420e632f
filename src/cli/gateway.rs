//! `roadstead gateway`: the process beside Envoy.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use roadstead_gateway::render::{ACCESS_LOG, Addresses, HOSTED_LOG};
use roadstead_gateway::{HostedUses, Listener, Paths, Sees, Settings, Tls};
use roadstead_runtime::clock::Clock;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::run::stop_on_signals;
use crate::gateway::admin::Admin;
use crate::gateway::hosted::{HostedStage, MOST_LINES, SPENT};
use crate::gateway::keeper::Progress;
use crate::gateway::log::{AccessReader, HostedReader};
use crate::gateway::metrics::Metrics;
use crate::gateway::report::{Findings, Reporter};
use crate::gateway::saved::Saved;
use crate::gateway::server::Desk;
use crate::gateway::tokens::mint::PodMint;
use crate::gateway::tokens::renewal::RenewalOffset;
use crate::gateway::tokens::{MOST_REFUSALS, TokenStage};
use crate::gateway::{Routes, addresses, hub, keeper, log, server, sight, source, verify};
use crate::telemetry::logging::{self, LogFormat};

/// Options of `roadstead gateway`. Each can also be given by its environment variable.
#[derive(Debug, Args)]
pub struct GatewayArgs {
    /// Namespace of the routes on the hub.
    #[arg(long, env = "ROADSTEAD_ROUTES_NAMESPACE")]
    pub routes_namespace: String,
    /// Name of this gateway among all, such as the name of its pod.
    #[arg(long, env = "ROADSTEAD_IDENTITY")]
    pub identity: String,
    /// Folder of Envoy's files, in memory: the keys of callers and endpoints are in them.
    #[arg(long, env = "ROADSTEAD_GATEWAY_FILES", default_value = "/run/roadstead")]
    pub files: PathBuf,
    /// Folder of the last routes. On a volume, a gateway that starts while the hub is away serves what it served before.
    #[arg(long, env = "ROADSTEAD_GATEWAY_STATE", default_value = "/run/roadstead/routes")]
    pub state: PathBuf,
    /// Address for /livez, /startupz, /readyz and /metrics.
    #[arg(long, env = "ROADSTEAD_LISTEN", default_value = "0.0.0.0:8081")]
    pub listen: SocketAddr,
    /// Address for /drain, which ends the service of this gateway: for its kubelet alone.
    #[arg(long, env = "ROADSTEAD_DRAIN_LISTEN", default_value = "0.0.0.0:8082")]
    pub drain_listen: SocketAddr,
    /// Address that callers use.
    #[arg(long, env = "ROADSTEAD_GATEWAY_ADDRESS", default_value = "0.0.0.0:8080")]
    pub address: SocketAddr,
    /// Folder with tls.crt and tls.key for callers' connections; plain HTTP if absent.
    #[arg(long, env = "ROADSTEAD_GATEWAY_TLS")]
    pub tls: Option<String>,
    /// Domain below which each deployment has the host NAME.NAMESPACE.DOMAIN.
    #[arg(long, env = "ROADSTEAD_GATEWAY_DOMAIN")]
    pub domain: Option<String>,
    /// Also serve one /v1/ that routes by the caller's key and the body's model.
    #[arg(long, env = "ROADSTEAD_GATEWAY_SHARED", default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub shared: bool,
    /// Also log the tokens that an answer's usage states; whole answers are then kept until they are complete.
    #[arg(long, env = "ROADSTEAD_GATEWAY_LOG_TOKENS", default_value_t = false, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub log_tokens: bool,
    /// Number of proxies in front whose X-Forwarded-For is believed.
    #[arg(long, env = "ROADSTEAD_GATEWAY_TRUSTED_HOPS", default_value_t = 0)]
    pub trusted_hops: u32,
    /// Bytes of a request that are kept so that another endpoint can take it.
    #[arg(long, env = "ROADSTEAD_GATEWAY_BUFFER_BYTES", default_value_t = 8 << 20, value_parser = clap::value_parser!(u32).range(65_536..=268_435_456))]
    pub buffer_bytes: u32,
    /// Connections of callers at once; more are refused.
    #[arg(long, env = "ROADSTEAD_GATEWAY_MAX_CONNECTIONS", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,
    /// Bytes of Envoy's heap: above 90 % it frees memory, above 95 % it refuses new requests.
    #[arg(long, env = "ROADSTEAD_GATEWAY_MAX_HEAP_BYTES", default_value_t = 768 << 20, value_parser = clap::value_parser!(u64).range((64 << 20)..))]
    pub max_heap_bytes: u64,
    /// Milliseconds between two looks of Envoy at a changed file of endpoints.
    #[arg(long, env = "ROADSTEAD_GATEWAY_POLL_MILLIS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..=60_000))]
    pub poll_millis: u32,
    /// Seconds in which load balancers notice that this gateway takes no new request.
    #[arg(long, env = "ROADSTEAD_GATEWAY_NOTICE_SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=600))]
    pub notice_seconds: u32,
    /// File of the authorities that endpoints' certificates are judged by, where a target names none.
    #[arg(long, env = "ROADSTEAD_GATEWAY_AUTHORITIES", default_value = "/etc/ssl/certs/ca-certificates.crt")]
    pub authorities: String,
    /// Longest life in seconds of a token that is minted for an endpoint which wants one. It is renewed at half of its life.
    #[arg(long, env = "ROADSTEAD_GATEWAY_TOKEN_SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u32).range(10..=43_200))]
    pub token_seconds: u32,
    /// Seconds without a request after which a hosted model counts as standing by again.
    #[arg(long, env = "ROADSTEAD_GATEWAY_HOSTED_QUIET_SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub hosted_quiet_seconds: u32,
    /// Format of the log.
    #[arg(long, env = "ROADSTEAD_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Level of the log, or directives such as `info,roadstead=debug`.
    #[arg(long, env = "ROADSTEAD_LOG", default_value = "info")]
    pub log: String,
}

impl GatewayArgs {
    /// The settings of Envoy.
    fn settings(&self) -> Settings {
        Settings {
            listener: Listener {
                address: self.address.ip().to_string(),
                port: self.address.port(),
                tls: self.tls.clone().map(|folder| Tls { folder }),
                domain: self.domain.clone(),
                shared: self.shared,
                tokens: self.log_tokens,
                trusted_hops: self.trusted_hops,
                buffer_bytes: self.buffer_bytes,
                max_connections: self.max_connections,
            },
            paths: Paths {
                files: self.files.display().to_string(),
                admin: self.files.join("admin.sock").display().to_string(),
                verification: self.files.join("verification.sock").display().to_string(),
                authorities: self.authorities.clone(),
            },
            max_heap_bytes: self.max_heap_bytes,
            poll_millis: self.poll_millis,
            drain_seconds: 3600,
        }
    }
}

/// Keeps Envoy's files until it receives a signal to stop.
///
/// # Errors
/// If the hub's address is unknown or the listener cannot be opened.
pub async fn run(args: GatewayArgs) -> anyhow::Result<ExitCode> {
    logging::init(args.log_format, &args.log)?;
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    let (hub_in, hub) = watch::channel(hub::connect().await?);
    let settings = args.settings();
    let admin = Admin::new(PathBuf::from(&settings.paths.admin));
    let metrics = Arc::new(Metrics::default());
    let (raw_in, raw) = watch::channel::<Option<Routes>>(None);
    let (routes_in, routes) = watch::channel::<Option<Routes>>(None);
    let (with_tokens_in, with_tokens) = watch::channel::<Option<Routes>>(None);
    let (lines_in, lines) = mpsc::channel(MOST_LINES);
    let (uses_in, uses) = watch::channel(HostedUses::new());
    let (refused_in, refused) = mpsc::channel(MOST_REFUSALS);
    let (addresses_in, resolved) = watch::channel(Addresses::new());
    let (progress_in, progress) = watch::channel(Progress::default());
    let (verified_in, verified) = watch::channel(verify::Verified::new());
    let (sees_in, sees) = watch::channel(Sees::new());

    let listener = listen(args.listen, "--listen").await?;
    let drain_listener = listen(args.drain_listen, "--drain-listen").await?;
    let desk = Arc::new(Desk {
        admin: admin.clone(),
        progress: progress.clone(),
        addresses: resolved.clone(),
        uses: uses.clone(),
        metrics: Arc::clone(&metrics),
        notice: Duration::from_secs(args.notice_seconds.into()),
    });
    let drains = tokio::spawn(server::serve_drain(drain_listener, Arc::clone(&desk), stop.clone().cancelled_owned()));
    let server = tokio::spawn(server::serve(listener, desk, stop.clone().cancelled_owned()));
    let reporter =
        Reporter { hub: hub.clone(), namespace: args.routes_namespace.clone(), identity: args.identity.clone() };
    let tokens = TokenStage {
        raw,
        refused,
        mint: Arc::new(PodMint::new(Duration::from_secs(args.token_seconds.into()))),
        metrics: Arc::clone(&metrics),
        clock: Clock::system(),
        offset: offset(&args.identity),
        filled: with_tokens_in,
    };
    let hosted = HostedStage {
        raw: with_tokens,
        lines,
        metrics: Arc::clone(&metrics),
        clock: Clock::system(),
        spent: args.files.join(SPENT),
        quiet: Duration::from_secs(args.hosted_quiet_seconds.into()),
        open: routes_in,
        uses: uses_in,
    };
    let readers = AccessReader { metrics, refused: refused_in };
    let verification = PathBuf::from(&settings.paths.verification);
    let work = async {
        tokio::join!(
            hub::follow(hub_in),
            source::follow(hub, args.routes_namespace.clone(), Saved::new(args.state.clone()), raw_in),
            tokens.run(),
            hosted.run(),
            addresses::resolve(routes.clone(), addresses_in),
            log::follow(args.files.join(ACCESS_LOG), admin.clone(), readers),
            log::follow(args.files.join(HOSTED_LOG), admin.clone(), HostedReader(lines_in)),
            keeper::keep(settings, admin.clone(), routes.clone(), resolved.clone(), progress_in),
            verify::verify(verification, progress.clone(), verified_in),
            sight::look(admin.clone(), progress.clone(), resolved.clone(), sees_in),
        )
    };
    let findings = Findings { progress: progress.clone(), addresses: resolved.clone(), verified, sees, hosted: uses };
    tokio::select! {
        _ = work => {}
        () = reporter.report(&admin, findings, &stop) => {}
    }
    drains.await.context("the HTTP listener panicked")??;
    server.await.context("the HTTP listener panicked")??;
    Ok(ExitCode::SUCCESS)
}

/// Position of the gateway of this name among all.
fn offset(identity: &str) -> RenewalOffset {
    let digest: [u8; 32] = Sha256::digest(identity).into();
    RenewalOffset::of(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

async fn listen(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address} ({option})"))
}
