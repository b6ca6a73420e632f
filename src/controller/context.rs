//! The state that all controllers share: the caches, the queues, the planner's view of the fleet, the connections to targets.
//! A change is taken into it here; `routing` says whom the change concerns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::{Client, ResourceExt};
use roadstead_model::{QueueKey, Timestamp};
use tokio::time::Instant;

use super::connections::Connections;
use super::fleet::SharedFleet;
use super::hub::{Hub, Object, WriteAnswer};
use super::installation::is_foreign;
use super::looks::Looks;
use super::named_secrets::NamedSecrets;
use super::newcomers::Newcomers;
use super::orphans::shown::Shown;
use super::routing::{self, Author, Concerned};
use super::settings::{Settings, WatchedNamespaces};
use super::throttle::Subject;
use super::traffic::witness::GatewayWord;
use crate::telemetry::metrics::Metrics;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{FailoverPolicy, Health, InferenceEndpoint, ModelDeployment, ServingTarget};
use roadstead_runtime::cache::{Cache, Change, Key};
use roadstead_runtime::client::WriteGate;
use roadstead_runtime::clock::Clock;
use roadstead_runtime::events::Events;
use roadstead_runtime::kept::Kept;
use roadstead_runtime::queue::Queue;
use roadstead_runtime::rate::Spent;

/// Interval of polls of a Secret with callers' keys: with the pace of Envoy, a revoked key is refused within 5 s.
const CALLERS_ROUND: Duration = Duration::from_secs(3);

/// The local copies of the hub's objects.
pub struct Caches {
    /// The deployments of the watched namespaces.
    pub deployments: Arc<Cache<ModelDeployment>>,
    /// All targets.
    pub targets: Arc<Cache<ServingTarget>>,
    /// The endpoints of the watched namespaces.
    pub endpoints: Arc<Cache<InferenceEndpoint>>,
    /// The watched namespaces, for their labels.
    pub namespaces: Arc<Cache<Namespace>>,
    /// The Secrets of the operator's own namespace.
    pub secrets: Arc<Cache<Secret>>,
    /// The routes of deployments.
    pub routes: Arc<Cache<Secret>>,
    /// Reports of gateways.
    pub reports: Arc<Cache<ConfigMap>>,
}

impl Caches {
    /// Empty caches, for what is watched.
    #[must_use]
    pub fn new(watched: &WatchedNamespaces) -> Self {
        Self {
            deployments: Arc::new(Cache::new(watched.tenants())),
            targets: Arc::default(),
            endpoints: Arc::new(Cache::new(watched.tenants())),
            namespaces: Arc::new(Cache::new(watched.namespaces())),
            secrets: Arc::default(),
            routes: Arc::default(),
            reports: Arc::default(),
        }
    }
}

/// A kind that the operator watches and writes.
pub trait Cached: Object {
    /// The local copies of this kind.
    fn cache(caches: &Caches) -> &Cache<Self>;

    /// Takes in a change by a write of our own.
    fn wrote(context: &Context, change: &Change<Self>);
}

impl Cached for ModelDeployment {
    fn cache(caches: &Caches) -> &Cache<Self> {
        &caches.deployments
    }

    fn wrote(context: &Context, change: &Change<Self>) {
        context.deployment_changed(change);
    }
}

impl Cached for InferenceEndpoint {
    fn cache(caches: &Caches) -> &Cache<Self> {
        &caches.endpoints
    }

    fn wrote(context: &Context, change: &Change<Self>) {
        context.endpoint_changed(change, Author::ItsController);
    }
}

impl Cached for ServingTarget {
    fn cache(caches: &Caches) -> &Cache<Self> {
        &caches.targets
    }

    fn wrote(context: &Context, change: &Change<Self>) {
        context.target_changed(change);
    }
}

/// The work queues.
pub struct Queues {
    /// Deployments, in the order in which they are planned.
    pub deployments: Arc<Queue<Key, QueueKey>>,
    /// Targets.
    pub targets: Arc<Queue<Key, ()>>,
    /// Endpoints.
    pub endpoints: Arc<Queue<Key, ()>>,
    /// Deployments whose routes may have changed.
    pub traffic: Arc<Queue<Key, ()>>,
}

impl Queues {
    /// Empty queues.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            deployments: Arc::new(Queue::new(clock)),
            targets: Arc::new(Queue::new(clock)),
            endpoints: Arc::new(Queue::new(clock)),
            traffic: Arc::new(Queue::new(clock)),
        }
    }
}

/// Shared by all controllers.
pub struct Context {
    /// The operator's settings.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// The client of the hub, for reads.
    pub client: Client,
    /// The hub, for writes.
    pub hub: Hub,
    /// Gate for writes; also part of the clients of members.
    pub gate: WriteGate,
    /// Sink for events.
    pub events: Events,
    /// The operator's metrics.
    pub metrics: Arc<Metrics>,
    /// The local copies of the hub's objects.
    pub caches: Caches,
    /// Queues of the controllers.
    pub queues: Queues,
    /// The planner's view of the world.
    pub fleet: SharedFleet,
    /// The connections to the targets.
    pub connections: Connections,
    /// Orphans: endpoints that run at targets without a record or a deployment.
    pub orphans: Shown,
    /// The deployments that have never been planned.
    pub newcomers: Newcomers,
    /// Schedule of observations of endpoints.
    pub looks: Looks,
    /// The Secrets that endpoints use.
    pub named_secrets: NamedSecrets,
    /// The Secrets with callers' keys, by deployment.
    pub caller_secrets: NamedSecrets,
    /// The reports of panics on each object, by kind.
    pub panics: Kept<Subject, Spent>,
    /// Draining endpoints without a request in flight at any gateway.
    pub(super) drained: Kept<Key, ()>,
    /// Word of the gateways about endpoints, when they last reported.
    pub(super) words: Kept<Key, GatewayWord>,
    /// Time at which this process saw each report of a gateway, and whether it saw it being written.
    pub(super) reported_at: Kept<String, Option<(Instant, bool)>>,
    /// Keys on the hub by endpoint name, which is unique in an installation.
    endpoint_keys: Kept<String, Option<Key>>,
}

impl Context {
    /// A context with empty caches.
    #[must_use]
    pub fn new(
        settings: Settings,
        clock: Clock,
        client: Client,
        gate: WriteGate,
        events: Events,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            caches: Caches::new(&settings.watched),
            fleet: SharedFleet::new(settings.replacements, clock),
            settings,
            clock,
            hub: Hub::new(client.clone(), clock),
            client,
            gate,
            events,
            metrics,
            queues: Queues::new(clock),
            connections: Connections::default(),
            orphans: Shown::new(clock),
            newcomers: Newcomers::default(),
            looks: Looks::default(),
            named_secrets: NamedSecrets::default(),
            caller_secrets: NamedSecrets::every(CALLERS_ROUND),
            panics: Kept::default(),
            drained: Kept::default(),
            words: Kept::default(),
            reported_at: Kept::default(),
            endpoint_keys: Kept::default(),
        }
    }

    /// True if a namespace is completely listed. In any other namespace, a missing object proves nothing.
    #[must_use]
    pub fn knows(&self, namespace: &str) -> bool {
        let inside = Key::new(namespace, "");
        self.caches.deployments.has_listed(&inside)
            && self.caches.endpoints.has_listed(&inside)
            && self.caches.namespaces.has_listed(&Key::cluster(namespace))
    }

    /// Rank of `key` in the planning order; an unknown deployment comes first, because it needs no plan.
    #[must_use]
    pub fn rank(&self, key: &Key) -> QueueKey {
        let deployment = self.caches.deployments.get(key);
        super::convert::queue_key(key, deployment.as_deref())
    }

    /// Requeues several deployments, strictly in their planning order.
    pub fn enqueue_deployments(&self, keys: impl IntoIterator<Item = Key>) {
        self.queues.deployments.add_all(keys.into_iter().map(|key| {
            let rank = self.rank(&key);
            (key, rank)
        }));
    }

    /// A deployment changed: its endpoints take over what its status says of them.
    pub fn deployment_changed(&self, change: &Change<ModelDeployment>) {
        let (Change::Upserted { new: object, .. } | Change::Deleted(object)) = change;
        for endpoint in self.endpoints_of(object) {
            self.see_endpoint_of(&endpoint, Some(object));
        }
        if routing::is_newcomer(change) {
            self.newcomers.came(Key::of(object.as_ref()), self.clock.now());
        }
        self.wake(routing::of_deployment(change));
    }

    /// Takes in the answer to a write; returns the newest object that is known.
    pub fn took<K: Cached>(&self, answer: WriteAnswer<K>) -> Arc<K> {
        let written = answer.open();
        let key = Key::of(&written);
        let fallback = Arc::new(written.clone());
        if let Some(change) = K::cache(&self.caches).apply_answer(written) {
            K::wrote(self, &change);
        }
        K::cache(&self.caches).get(&key).unwrap_or(fallback)
    }

    /// The endpoints of a deployment, those of a former one of the same name included.
    #[must_use]
    pub fn endpoints_of(&self, deployment: &ModelDeployment) -> Vec<Arc<InferenceEndpoint>> {
        self.fleet
            .endpoint_keys_of(&Key::of(deployment))
            .iter()
            .filter_map(|key| self.caches.endpoints.get(key))
            .collect()
    }

    /// True if another installation made an endpoint.
    #[must_use]
    pub fn is_foreign(&self, endpoint: &InferenceEndpoint) -> bool {
        is_foreign(endpoint, &self.settings.install_id)
    }

    /// The endpoints on a target.
    #[must_use]
    pub fn known_endpoints_on(&self, target: &str) -> Vec<Arc<InferenceEndpoint>> {
        let keys = self.fleet.endpoint_keys_on(target);
        keys.iter().filter_map(|key| self.caches.endpoints.get(key)).collect()
    }

    /// The names of the endpoints on a target, as namespace/name.
    #[must_use]
    pub fn endpoints_on(&self, target: &str) -> Vec<Key> {
        self.known_endpoints(self.fleet.endpoint_keys_on(target))
    }

    /// True if an endpoint is on a target, was decided to be and is being written, or may be in a namespace that is not
    /// known.
    #[must_use]
    pub fn is_in_use(&self, target: &str) -> bool {
        !self.fleet.endpoint_keys_on(target).is_empty() || !self.caches.endpoints.unlisted().is_empty()
    }

    /// Users of a target, for messages: its endpoints, and namespaces that have not been listed.
    #[must_use]
    pub fn users_of(&self, target: &str) -> Vec<String> {
        let unknown = self.caches.endpoints.unlisted().into_iter();
        let endpoints = self.endpoints_on(target).into_iter().map(|key| key.to_string());
        endpoints.chain(unknown.map(|part| format!("unlisted objects in {part}"))).collect()
    }

    /// The deployment of an endpoint.
    #[must_use]
    pub fn deployment_of(&self, endpoint: &InferenceEndpoint) -> Option<Arc<ModelDeployment>> {
        let namespace = endpoint.namespace().unwrap_or_default();
        self.caches.deployments.get(&Key::new(namespace, &endpoint.spec.deployment_ref.name))
    }

    /// The labels of a deployment's namespace.
    #[must_use]
    pub fn namespace_labels(&self, deployment: &ModelDeployment) -> BTreeMap<String, String> {
        let namespace = deployment.namespace().unwrap_or_default();
        let known = self.caches.namespaces.get(&Key::cluster(namespace));
        known.map(|namespace| namespace.labels().clone()).unwrap_or_default()
    }

    /// The identity that was pinned for a target at first contact.
    #[must_use]
    pub fn pinned_identity(&self, target: &str) -> Option<String> {
        self.caches.targets.get(&Key::cluster(target))?.status.as_ref()?.cluster_uid.clone()
    }

    /// An endpoint changed, by the word of its own controller or of anybody.
    pub fn endpoint_changed(&self, change: &Change<InferenceEndpoint>, author: Author) {
        let (Change::Upserted { new: endpoint, .. } | Change::Deleted(endpoint)) = change;
        let key = Key::of(endpoint.as_ref());
        match change {
            Change::Upserted { .. } => {
                self.endpoint_keys.change(&key.name, |known| *known = Some(key.clone()));
                self.see_endpoint(endpoint);
            }
            Change::Deleted(_) => {
                self.endpoint_keys.forget(&key.name);
                self.drained.forget(&key);
                self.words.forget(&key);
                self.fleet.endpoint_deleted(&key);
            }
        }
        if routing::is_going(change) {
            // Its removal is checked soon at first, however rarely it was observed before.
            self.looks.paid_off(&key);
        }
        self.wake(routing::of_endpoint(change, author));
    }

    /// The endpoint of this name changed on `target`, which speaks for no other target's endpoints.
    pub fn endpoint_changed_at_provider(&self, target: &str, name: &str) {
        let key = self.endpoint_keys.see(&name.to_owned(), Clone::clone).flatten();
        let endpoint = key.and_then(|key| self.caches.endpoints.get(&key));
        if let Some(endpoint) = endpoint.filter(|endpoint| endpoint.spec.target == target) {
            self.wake([Concerned::Endpoint(Key::of(endpoint.as_ref()))]);
        }
    }

    /// A target changed.
    pub fn target_changed(&self, change: &Change<ServingTarget>) {
        let (Change::Upserted { new: target, .. } | Change::Deleted(target)) = change;
        self.refresh_target(&target.name_any());
        self.wake(routing::of_target(change));
    }

    /// Puts what is known of a target (spec, state, inventory) into the planner's view. Those who wait for something are
    /// looked at if that can matter to them, and not otherwise: inventories come several times a second while endpoints start,
    /// and thousands may wait.
    pub fn refresh_target(&self, name: &str) {
        let Some(target) = self.caches.targets.get(&Key::cluster(name)) else {
            return self.fleet.target_deleted(name);
        };
        if self.fleet.target_changed(&target, self.connections.get(name).as_deref()) {
            self.wake([Concerned::WaitingDeployments]);
        }
    }

    /// The inventory of a target changed.
    pub fn target_inventory_changed(&self, name: &str) {
        self.refresh_target(name);
        let connection = self.connections.get(name);
        if connection.is_some_and(|connection| connection.usable().is_none()) {
            // Its first inventory may be all that it waited for.
            self.wake([Concerned::Target(name.to_owned())]);
        }
    }

    /// A target became usable or unusable.
    pub fn target_state_changed(&self, name: &str) {
        self.refresh_target(name);
        self.wake(routing::of_connection(name));
    }

    /// A Secret in the operator's namespace changed.
    pub fn target_secret_changed(&self, change: &Change<Secret>) {
        self.wake(routing::of_secret(change));
    }

    /// End of the toleration of an endpoint that fails; `None` if it does not, or is not replaced for that.
    #[must_use]
    pub fn tolerated_until(&self, endpoint: &InferenceEndpoint) -> Option<Timestamp> {
        let status = endpoint.status.as_ref().filter(|status| status.health.is_some_and(Health::is_failing))?;
        let rules = self.deployment_of(endpoint).map(|deployment| deployment.spec.failover.clone())?;
        let since = planning::now(status.failing_since.as_ref()?.0);
        let seconds = u32::try_from(rules.toleration_seconds).ok()?;
        (rules.policy == FailoverPolicy::Automatic).then(|| since.plus(seconds))
    }

    /// A probe of an endpoint that began then failed, as its status says. The planner learns of the first one that this process
    /// has seen, and of the first one after the toleration.
    pub fn probe_failed(&self, endpoint: &InferenceEndpoint, at: Timestamp) {
        let key = Key::of(endpoint);
        let Some(until) = self.tolerated_until(endpoint) else { return };
        if self.looks.failed_at(&key).is_none_or(|known| known < until && until <= at) {
            self.looks.failed(&key, at);
            self.see_endpoint(endpoint);
            let deployment = Key::new(&key.namespace, &endpoint.spec.deployment_ref.name);
            if until <= at {
                self.newcomers.came(deployment.clone(), self.clock.now());
            }
            self.wake([Concerned::Deployment(deployment)]);
        }
    }

    /// A namespace changed.
    pub fn namespace_changed(&self, change: &Change<Namespace>) {
        self.wake(routing::of_namespace(change));
    }

    /// Has all that are concerned looked at now: deployments strictly in their planning order, endpoints in full.
    pub fn wake(&self, concerned: impl IntoIterator<Item = Concerned>) {
        let (mut deployments, mut endpoints, mut targets) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for one in concerned {
            match one {
                Concerned::Deployment(key) => deployments.extend([key]),
                Concerned::AllDeployments => deployments.extend(self.deployment_keys(|_| true)),
                Concerned::WaitingDeployments => deployments.extend(self.fleet.unsettled()),
                Concerned::DeploymentsOn(target) => {
                    deployments.extend(self.fleet.deployments_on(&target));
                    deployments.extend(self.deployments_away_from(&target));
                }
                Concerned::DeploymentsIn(namespace) => {
                    deployments.extend(self.deployment_keys(|key| key.namespace == namespace));
                }
                Concerned::Endpoint(key) => endpoints.extend([key]),
                Concerned::EndpointsOf(key) => {
                    endpoints.extend(self.known_endpoints(self.fleet.endpoint_keys_of(&key)));
                }
                Concerned::EndpointsOn(target) => endpoints.extend(self.endpoints_on(&target)),
                Concerned::Target(name) => targets.extend([Key::cluster(name)]),
                Concerned::TargetsOfSecret(secret) => {
                    let those = self.targets_of_secret(&secret);
                    deployments.extend(self.deployments_of_vendors(&those));
                    targets.extend(those);
                }
            }
        }
        if self.settings.gateway.is_some() {
            self.queues.traffic.add_all(deployments.iter().map(|key| (key.clone(), ())));
        }
        self.enqueue_deployments(deployments);
        for key in &endpoints {
            self.looks.news(key);
        }
        self.queues.endpoints.add_all(endpoints.into_iter().map(|key| (key, ())));
        self.queues.targets.add_all(targets.into_iter().map(|key| (key, ())));
    }

    /// The deployments whose home is this target: they may have nothing there any more, and return when it is stable.
    fn deployments_away_from(&self, target: &str) -> Vec<Key> {
        let all = self.caches.deployments.list();
        let home = |one: &ModelDeployment| one.status.as_ref()?.home.as_ref().map(|home| home.target.clone());
        let away = all.iter().filter(|one| home(one.as_ref()).as_deref() == Some(target));
        away.map(|one| Key::of(one.as_ref())).collect()
    }

    fn deployment_keys(&self, fits: impl Fn(&Key) -> bool) -> Vec<Key> {
        let all = self.caches.deployments.list();
        all.iter().map(|deployment| Key::of(deployment.as_ref())).filter(fits).collect()
    }

    fn known_endpoints(&self, keys: Vec<Key>) -> Vec<Key> {
        keys.into_iter().filter(|key| self.caches.endpoints.get(key).is_some()).collect()
    }

    fn targets_of_secret(&self, secret: &str) -> Vec<Key> {
        let all = self.caches.targets.list();
        let named = all.iter().filter(|target| target.spec.secret_name() == Some(secret));
        named.map(|target| Key::of(target.as_ref())).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::test_context::{context, show};

    #[tokio::test]
    async fn a_target_that_returns_wakes_those_whose_home_it_is() {
        let context = context();
        let (home, key) = (json!({"target": "east", "since": "2026-08-01T12:00:00Z"}), Key::new("team", "away"));
        let away = json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": {"name": "away", "namespace": "team", "uid": "away", "generation": 1, "resourceVersion": "1"},
            "spec": {"serving": {"engine": "custom", "image": "i:1",
                                 "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}}]}},
            "status": {"observedGeneration": 1, "home": home},
        });
        show(&context, serde_json::from_value(away).unwrap(), []);
        let queue = &context.queues.deployments;
        assert_eq!(queue.pop().await.as_ref(), Some(&key));
        queue.done(&key, context.rank(&key), roadstead_runtime::queue::Outcome::Done);
        context.wake(routing::of_connection("west"));
        assert_eq!(queue.depth(), 0, "it is at home elsewhere");
        context.wake(routing::of_connection("east"));
        assert_eq!(queue.ready(), [key]);
    }
}
