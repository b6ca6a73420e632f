//! What the operator watches on the hub: everything, or what it needs of the namespaces that it was told to watch.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use kube::{Client, Resource};
use tokio::task::JoinSet;

use super::PAGE;
use super::context::Context;
use crate::kube_ext::cache::Part;
use crate::kube_ext::watch::watch;

/// When to look again at an object in a namespace that has not been listed yet.
pub const LIST_AGAIN: Duration = Duration::from_secs(30);

/// The namespaces whose deployments are this operator's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched(BTreeSet<String>);

impl Watched {
    /// The deployments of these namespaces alone; of all namespaces if there are none.
    #[must_use]
    pub fn new(namespaces: impl IntoIterator<Item = String>) -> Self {
        Self(namespaces.into_iter().collect())
    }

    /// Whether the deployments of this namespace are this operator's.
    #[must_use]
    pub fn includes(&self, namespace: &str) -> bool {
        self.0.is_empty() || self.0.contains(namespace)
    }

    /// The parts of kinds that live in tenants' namespaces.
    #[must_use]
    pub fn tenants(&self) -> Vec<Part> {
        self.parts(Part::Namespace)
    }

    /// The parts of the kind Namespace.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Part> {
        self.parts(Part::Named)
    }

    fn parts(&self, part: fn(String) -> Part) -> Vec<Part> {
        if self.0.is_empty() { vec![Part::Everything] } else { self.0.iter().cloned().map(part).collect() }
    }
}

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
}

fn watch_deployments(context: &Arc<Context>, part: Part, watches: &mut JoinSet<()>) {
    let (shared, cache) = (Arc::clone(context), Arc::clone(&context.caches.deployments));
    let api = tenants_api(&context.client, &part);
    watches.spawn(watch(api, pages(), part, cache, |_| {}, move |change| shared.deployment_changed(&change)));
}

fn watch_endpoints(context: &Arc<Context>, part: Part, watches: &mut JoinSet<()>) {
    let (shared, cache) = (Arc::clone(context), Arc::clone(&context.caches.endpoints));
    let api = tenants_api(&context.client, &part);
    watches.spawn(watch(api, pages(), part, cache, |_| {}, move |change| shared.endpoint_changed(&change)));
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
    watches.spawn(watch(api, config, part, cache, prune_namespace, on_change));
}

fn watch_targets(context: &Arc<Context>, watches: &mut JoinSet<()>) {
    let (shared, cache) = (Arc::clone(context), Arc::clone(&context.caches.targets));
    let api = Api::all(context.client.clone());
    let on_change = move |change| shared.target_changed(&change);
    watches.spawn(watch(api, pages(), Part::Everything, cache, |_| {}, on_change));
}

fn watch_target_secrets(context: &Arc<Context>, watches: &mut JoinSet<()>) {
    let (shared, cache) = (Arc::clone(context), Arc::clone(&context.caches.secrets));
    let api = Api::namespaced(context.client.clone(), &context.settings.namespace);
    let on_change = move |change| shared.target_secret_changed(&change);
    watches.spawn(watch(api, pages(), Part::Everything, cache, prune_secret, on_change));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_namespaces_are_all_of_them() {
        let watched = Watched::default();
        assert_eq!((watched.tenants(), watched.namespaces()), (vec![Part::Everything], vec![Part::Everything]));
    }

    #[test]
    fn each_namespace_is_a_part_of_its_own() {
        let watched = Watched::new(["b".to_owned(), "a".to_owned(), "b".to_owned()]);
        assert_eq!(watched.tenants(), [Part::Namespace("a".into()), Part::Namespace("b".into())]);
        assert_eq!(watched.namespaces(), [Part::Named("a".into()), Part::Named("b".into())]);
    }
}
