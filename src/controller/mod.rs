//! The operator: reconcilers for the three kinds, and the one place where planning happens.
//!
//! `context` is what they share, `fleet` the planner's view of the world, `hub` the writes; each kind has its folder.
//! Watches enqueue, [`run`] works the queues off: every decision is taken in queue order, its effects run side by side.

pub mod connections;
pub mod context;
pub mod convert;
pub mod error;
pub mod fleet;
pub mod hub;
pub mod inference_endpoint;
pub mod model_deployment;
pub mod orphans;
pub mod serving_target;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::Api;
use kube::runtime::watcher;
use tokio::task::JoinSet;

use self::context::Context;
use crate::kube_ext::cache::Key;
use crate::kube_ext::watch::watch;
use crate::kube_ext::workers::work;

/// Lists are read in pages.
pub(crate) const PAGE: u32 = 500;

/// Watches the hub and works until `stop` resolves; then lets what is under way end.
pub async fn run(context: Arc<Context>, concurrency: usize, stop: impl Future<Output = ()>) {
    let mut watches = JoinSet::new();
    start_watches(&context, &mut watches);
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
        "all objects are known; working"
    );
    let mut workers = JoinSet::new();
    start_workers(&context, concurrency, &mut workers);
    let mut sweep = JoinSet::new();
    sweep.spawn(orphans::sweep(Arc::clone(&context)));
    stop.await;
    sweep.abort_all();
    tracing::info!("stopping: nothing new is begun, what is under way ends");
    context.queues.deployments.close();
    context.queues.targets.close();
    context.queues.endpoints.close();
    while workers.join_next().await.is_some() {}
}

fn start_watches(context: &Arc<Context>, watches: &mut JoinSet<()>) {
    let caches = &context.caches;
    let client = &context.client;
    let config = || watcher::Config::default().page_size(PAGE);

    let shared = Arc::clone(context);
    let on_change = move |change| shared.deployment_changed(&change);
    watches.spawn(watch(Api::all(client.clone()), config(), Arc::clone(&caches.deployments), |_| {}, on_change));

    let shared = Arc::clone(context);
    let on_change = move |change| shared.target_changed(&change);
    watches.spawn(watch(Api::all(client.clone()), config(), Arc::clone(&caches.targets), |_| {}, on_change));

    let shared = Arc::clone(context);
    let on_change = move |change| shared.endpoint_changed(&change);
    watches.spawn(watch(Api::all(client.clone()), config(), Arc::clone(&caches.endpoints), |_| {}, on_change));

    let shared = Arc::clone(context);
    let on_change = move |change| shared.namespace_changed(&change);
    let namespaces: Api<_> = Api::all(client.clone());
    watches.spawn(watch(namespaces, config(), Arc::clone(&caches.namespaces), prune_namespace, on_change));

    let shared = Arc::clone(context);
    let on_change = move |change| shared.target_secret_changed(&change);
    let secrets: Api<_> = Api::namespaced(client.clone(), &context.settings.namespace);
    watches.spawn(watch(secrets, config(), Arc::clone(&caches.secrets), prune_secret, on_change));
}

fn start_workers(context: &Arc<Context>, concurrency: usize, workers: &mut JoinSet<()>) {
    let metrics = &context.metrics;

    let controller = Arc::new(model_deployment::DeploymentController::new(Arc::clone(context)));
    let shared = Arc::clone(context);
    let rank = move |key: &Key| shared.rank(key);
    workers.spawn(work(Arc::clone(&context.queues.deployments), controller, concurrency, rank, Arc::clone(metrics)));

    let controller = Arc::new(serving_target::TargetController::new(Arc::clone(context)));
    workers.spawn(work(
        Arc::clone(&context.queues.targets),
        controller,
        concurrency,
        |_: &Key| (),
        Arc::clone(metrics),
    ));

    let controller = Arc::new(inference_endpoint::EndpointController::new(Arc::clone(context)));
    workers.spawn(work(
        Arc::clone(&context.queues.endpoints),
        controller,
        concurrency,
        |_: &Key| (),
        Arc::clone(metrics),
    ));
}

fn prune_namespace(namespace: &mut Namespace) {
    namespace.metadata.annotations = None;
    namespace.spec = None;
    namespace.status = None;
}

fn prune_secret(secret: &mut Secret) {
    secret.metadata.annotations = None;
}
