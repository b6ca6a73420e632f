//! The operator: reconcilers for the three kinds, and the one place where planning happens.
//!
//! `context` holds shared state, `fleet` the planner's view, `hub` the writes, `watches` the watches; each kind has its
//! folder. Watches enqueue, and [`run`] processes the queues: decisions run in queue order, effects concurrently.

mod api_key;
mod connections;
pub mod context;
pub mod convert;
pub mod drivers;
pub mod error;
pub mod figures;
pub mod find;
pub mod fleet;
pub mod hub;
pub mod inference_endpoint;
pub mod installation;
pub mod looks;
pub mod model_deployment;
pub mod named_secrets;
pub mod newcomers;
pub mod news;
pub mod orphans;
pub mod refusals;
pub mod routing;
pub mod secret_rounds;
pub mod serving_target;
pub mod settings;
pub mod startup;
pub mod tell;
#[cfg(test)]
pub mod test_context;
#[cfg(test)]
pub mod test_present;
pub mod throttle;
pub mod traffic;
pub mod trouble;
pub mod watches;

use std::sync::Arc;

use tokio::task::JoinSet;

use self::context::Context;
use crate::telemetry::figures::Figures;
use roadstead_api::planning;
use roadstead_runtime::cache::Key;
use roadstead_runtime::workers::{Concurrency, work};

/// Watches the hub and works until `stop` resolves; then waits for running tasks.
pub async fn run(context: Arc<Context>, concurrency: usize, stop: impl Future<Output = ()>) {
    let mut watches = JoinSet::new();
    watches::start(&context, &mut watches);
    let caches = &context.caches;
    tokio::pin!(stop);
    tokio::select! {
        () = &mut stop => return,
        _ = async { tokio::join!(
            caches.deployments.wait_synced(),
            caches.targets.wait_synced(),
            caches.endpoints.wait_synced(),
            caches.namespaces.wait_synced(),
            caches.secrets.wait_synced(),
        ) } => {}
    }
    tracing::info!(
        deployments = caches.deployments.len(),
        targets = caches.targets.len(),
        endpoints = caches.endpoints.len(),
        "caches synced; reconciling"
    );
    show_figures(&context);
    if context.settings.gateway.is_some() {
        caches.routes.wait_synced().await;
    }
    let mut workers = JoinSet::new();
    start_workers(&context, concurrency, &mut workers);
    let mut looks = JoinSet::new();
    looks.spawn(orphans::sweep(Arc::clone(&context)));
    looks.spawn(secret_rounds::follow(Arc::clone(&context)));
    looks.spawn(secret_rounds::follow_callers(Arc::clone(&context)));
    stop.await;
    looks.abort_all();
    tracing::info!("stopping after the running reconciles");
    context.queues.deployments.close();
    context.queues.targets.close();
    context.queues.endpoints.close();
    context.queues.traffic.close();
    while workers.join_next().await.is_some() {}
}

/// Lets metrics show what the caches hold, which is everything now.
fn show_figures(context: &Arc<Context>) {
    let weak = Arc::downgrade(context);
    context.metrics.read_fleet_from(Arc::new(move || {
        let Some(context) = weak.upgrade() else { return Figures::default() };
        let caches = &context.caches;
        figures::figures(
            &caches.deployments.list(),
            &caches.targets.list(),
            (
                context.fleet.replacements_under_way(planning::now(context.clock.wall())),
                context.settings.replacements.fleet,
            ),
            context.settings.metrics_deployments,
        )
    }));
}

fn start_workers(context: &Arc<Context>, concurrency: usize, workers: &mut JoinSet<()>) {
    let metrics = &context.metrics;

    let most = Concurrency::of(concurrency);

    let controller = Arc::new(model_deployment::DeploymentController::new(Arc::clone(context)));
    let shared = Arc::clone(context);
    let rank = move |key: &Key| shared.rank(key);
    let queue = Arc::clone(&context.queues.deployments);
    workers.spawn(work(queue, controller, most.clone(), rank, Arc::clone(metrics) as _));

    let controller = Arc::new(traffic::TrafficController::new(Arc::clone(context)));
    let queue = Arc::clone(&context.queues.traffic);
    workers.spawn(work(queue, controller, most.clone(), |_: &Key| (), Arc::clone(metrics) as _));

    let controller = Arc::new(serving_target::TargetController::new(Arc::clone(context)));
    let queue = Arc::clone(&context.queues.targets);
    workers.spawn(work(queue, controller, most, |_: &Key| (), Arc::clone(metrics) as _));

    // Placements are decided and published before earlier decisions continue.
    let after_planning = Concurrency { most: concurrency, after: Some(context.queues.deployments.backlog()) };
    let controller = Arc::new(inference_endpoint::EndpointController::new(Arc::clone(context)));
    let queue = Arc::clone(&context.queues.endpoints);
    workers.spawn(work(queue, controller, after_planning, |_: &Key| (), Arc::clone(metrics) as _));
}
