//! The HTTP listener of the process beside Envoy: probes, the end of the pod, metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use roadstead_gateway::HostedUses;
use roadstead_gateway::render::Addresses;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::admin::Admin;
use super::keeper::Progress;
use super::metrics::Metrics;

/// Pause between two looks at the requests in flight.
const LOOK: Duration = Duration::from_millis(250);

/// State behind the answers.
pub struct Desk {
    /// Envoy.
    pub admin: Admin,
    /// The files so far.
    pub progress: watch::Receiver<Progress>,
    /// Addresses of endpoints.
    pub addresses: watch::Receiver<Addresses>,
    /// Use of hosted models.
    pub uses: watch::Receiver<HostedUses>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Time in which load balancers learn that the pod takes no new request.
    pub notice: Duration,
}

/// Answers until `stop` resolves.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    desk: Arc<Desk>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let app = Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/startupz", get(started))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(desk);
    axum::serve(listener, app).with_graceful_shutdown(stop).await
}

/// Answers `/drain` until `stop` resolves: at an address of its own, so that whoever may read metrics cannot end the
/// service.
///
/// # Errors
/// If the listener fails.
pub async fn serve_drain(
    listener: TcpListener,
    desk: Arc<Desk>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let app = Router::new().route("/drain", get(drain)).with_state(desk);
    axum::serve(listener, app).with_graceful_shutdown(stop).await
}

type Shared = State<Arc<Desk>>;

/// Envoy can start: its files are there.
async fn started(State(desk): Shared) -> Response {
    let written = desk.progress.borrow().routes.is_some();
    if written { "ok".into_response() } else { not_ready("the hub has not shown its routes yet") }
}

async fn ready(State(desk): Shared) -> Response {
    if desk.progress.borrow().routes.is_none() {
        return not_ready("the hub has not shown its routes yet");
    }
    if desk.admin.is_ready().await { "ok".into_response() } else { not_ready("Envoy does not serve") }
}

fn not_ready(why: &'static str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}")).into_response()
}

async fn metrics(State(desk): Shared) -> Response {
    let hosts = desk.admin.hosts("").await.unwrap_or_default();
    let (progress, addresses) = (desk.progress.borrow().clone(), desk.addresses.borrow().clone());
    let uses = desk.uses.borrow().clone();
    match desk.metrics.encode(&progress, &addresses, &hosts, &uses) {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Ends Envoy's work without losing a request: it answers once nothing is in flight. The pod's grace period bounds it.
///
/// First the health check fails, and answers ask callers to close their connections; then, once load balancers have
/// noticed, the listeners drain with their sockets open, because a closed socket would refuse whoever has not noticed.
async fn drain(State(desk): Shared) -> Response {
    let begun = async {
        desk.admin.fail_health_check().await?;
        tokio::time::sleep(desk.notice).await;
        desk.admin.drain_listeners().await
    };
    if let Err(error) = begun.await {
        tracing::warn!(%error, "Envoy does not drain");
        return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response();
    }
    while desk.admin.number("http.gateway.downstream_rq_active").await.is_ok_and(|active| active > 0) {
        tokio::time::sleep(LOOK).await;
    }
    "drained".into_response()
}
