//! The operator's watches on the hub: all namespaces, or the selected ones.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use kube::{Client, Resource};
use tokio::task::JoinSet;

use super::context::Context;
use super::routing::Author;
use roadstead_api::v1alpha1::names;
use roadstead_runtime::budget::Budget;
use roadstead_runtime::cache::Part;
use roadstead_runtime::client::PAGE;
use roadstead_runtime::watch::watch;

/// Pause before the next reconcile of an object in a namespace that has not been listed.
pub const LIST_AGAIN: Duration = Duration::from_secs(30);

/// Starts all watches of the hub; they end with `watches`.
pub fn start(context: &Arc<Context>, watches: &mut JoinSet<()>) {
    let namespaces = &context.settings.watched;
    for part in namespaces.tenants() {
        watch_endpoints(context, part.clone(), watches);
        watch_deployments(context, part, watches);
    }
    for part in namespaces.namespaces() {
        watch_namespaces(context, part, watches);
    }
    watch_targets(context, watches);
    watch_target_secrets(context, watches);
    watch_routes(context, watches);
}

fn watch_deployments(context: &Arc<Context>, part: Part, watches: &mut JoinSet<()>) {
    let (shared, cache) = (Arc::clone(context), Arc::clone(&context.caches.deployments));
    let api = tenants_api(&context.client, &part);
    watches.spawn(watch(
        endless(),
        api,
        pages(),
        part,
        cache,
        |_| {},
        move |change| shared.deployment_changed(&change),
    ));
}

fn watch_endpoints(context: &Arc<Context>, part: Part, watches: &mut JoinSet<()>) {
    let (shared, cache) = (Arc::clone(context), Arc::clone(&context.caches.endpoints));
    let api = tenants_api(&context.client, &part);
    watches.spawn(watch(
        endless(),
        api,
        pages(),
        part,
        cache,
        |_| {},
        move |change| shared.endpoint_changed(&change, Author::Anybody),
    ));
}

fn watch_namespaces(context: &Arc<Context>, part: Part, watches: &mut JoinSet<()>) {
    let (shared, cache) = (Arc::clone(context), Arc::clone(&context.caches.namespaces));
    let api: Api<DeserializeGuard<Namespace>> = Api::all(context.client.clone());
    let config = match &part {
        // The one form of list and watch that a role may restrict to a name.
        Part::Named(name) => pages().fields(&format!("metadata.name={name}")),
        Part::Everything | Part::Namespace(_) => pages(),
    };
    let on_change = move |change| shared.namespace_changed(&change);
    watches.spawn(watch(endless(), api, config, part, cache, prune_namespace, on_change));
}

fn watch_targets(context: &Arc<Context>, watches: &mut JoinSet<()>) {
    let (shared, cache) = (Arc::clone(context), Arc::clone(&context.caches.targets));
    let api = Api::all(context.client.clone());
    let on_change = move |change| shared.target_changed(&change);
    watches.spawn(watch(endless(), api, pages(), Part::Everything, cache, |_| {}, on_change));
}

fn watch_target_secrets(context: &Arc<Context>, watches: &mut JoinSet<()>) {
    let (shared, cache) = (Arc::clone(context), Arc::clone(&context.caches.secrets));
    let api = Api::namespaced(context.client.clone(), &context.settings.namespace);
    let on_change = move |change| shared.target_secret_changed(&change);
    watches.spawn(watch(endless(), api, pages(), Part::Everything, cache, prune_secret, on_change));
}

fn watch_routes(context: &Arc<Context>, watches: &mut JoinSet<()>) {
    let Some(gateway) = &context.settings.gateway else { return };
    let (shared, cache) = (Arc::clone(context), Arc::clone(&context.caches.routes));
    let api = Api::namespaced(context.client.clone(), &gateway.namespace);
    let config = pages().labels(names::LABEL_ROUTE);
    let on_change = move |change| shared.route_changed(&change);
    watches.spawn(watch(endless(), api, config, Part::Everything, cache, prune_secret, on_change));
    let (shared, cache) = (Arc::clone(context), Arc::clone(&context.caches.reports));
    let api: Api<DeserializeGuard<ConfigMap>> = Api::namespaced(context.client.clone(), &gateway.namespace);
    let config = pages().labels(names::LABEL_GATEWAY);
    let on_change = move |change| shared.gateways_reported(&change);
    watches.spawn(watch(endless(), api, config, Part::Everything, cache, |_| {}, on_change));
}

/// The API of a kind that lives in tenants' namespaces, as far as `part` goes.
#[must_use]
pub fn tenants_api<K>(client: &Client, part: &Part) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope>,
    K::DynamicType: Default,
{
    match part {
        Part::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        Part::Everything | Part::Named(_) => Api::all(client.clone()),
    }
}

/// The hub bounds its own objects.
fn endless() -> Budget {
    Budget::endless()
}

fn pages() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

fn prune_namespace(namespace: &mut Namespace) {
    namespace.metadata.annotations = None;
    namespace.spec = None;
    namespace.status = None;
}

fn prune_secret(secret: &mut Secret) {
    secret.metadata.annotations = None;
}
