//! What all controllers share: the caches, the queues, the planner's view of the fleet and the connections to targets.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{Client, ResourceExt};
use roadstead_model::QueueKey;

use super::connections::Connections;
use super::defect;
use super::fleet::Fleet;
use super::hub;
use super::looks::Looks;
use super::named_secrets::NamedSecrets;
use super::orphans::judge::Policy;
use super::orphans::shown::Shown;
use super::watches::Watched;
use crate::api::v1alpha1::{InferenceEndpoint, ModelDeployment, ServingTarget, names};
use crate::cluster::kubeconfig::AllowedKubeconfig;
use crate::kube_ext::cache::{Cache, Change, Key};
use crate::kube_ext::client::WriteGate;
use crate::kube_ext::events::Events;
use crate::kube_ext::queue::Queue;
use crate::simulated_cloud::CloudAddress;
use crate::telemetry::metrics::Metrics;

/// What the operator was told at its start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The installation's id: the same for ever, also on a rebuilt hub.
    pub install_id: String,
    /// The operator's own namespace, where the Secrets of targets live.
    pub namespace: String,
    /// The UID of the hub's `kube-system` namespace.
    pub hub_uid: String,
    /// The UID of a former hub that is gone and whose members this hub takes over.
    pub takeover: Option<String>,
    /// Which dangerous features kubeconfigs may use.
    pub allowed_kubeconfig: AllowedKubeconfig,
    /// Where the simulated cloud is; without it no target of type Simulated is used.
    pub simulated_cloud: Option<CloudAddress>,
    /// The namespaces whose deployments are this operator's.
    pub watched: Watched,
    /// How orphans are treated.
    pub orphans: Policy,
    /// How many deployments have series of their own in metrics.
    pub metrics_deployments: usize,
}

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
}

impl Caches {
    /// Empty caches, for what is watched.
    #[must_use]
    pub fn new(watched: &Watched) -> Self {
        Self {
            deployments: Arc::new(Cache::new(watched.tenants())),
            targets: Arc::default(),
            endpoints: Arc::new(Cache::new(watched.tenants())),
            namespaces: Arc::new(Cache::new(watched.namespaces())),
            secrets: Arc::default(),
        }
    }
}

/// What waits to be looked at.
#[derive(Default)]
pub struct Queues {
    /// Deployments, in the order in which they are planned.
    pub deployments: Arc<Queue<Key, QueueKey>>,
    /// Targets.
    pub targets: Arc<Queue<Key, ()>>,
    /// Endpoints.
    pub endpoints: Arc<Queue<Key, ()>>,
}

/// When its users last asked that the deployment be looked at: any text.
#[must_use]
pub fn requested_at(deployment: &ModelDeployment) -> Option<&String> {
    deployment.annotations().get(names::ANNOTATION_REQUESTED_AT)
}

/// Whether the deployment tells of endpoints, and nothing holds it until they are gone.
#[must_use]
pub fn is_unheld(deployment: &ModelDeployment) -> bool {
    let told = deployment.status.as_ref();
    let placed = told.is_some_and(|status| !status.placements.is_empty() || !status.releasing.is_empty());
    placed
        && !hub::has_finalizer(deployment, names::FINALIZER_DEPLOYMENT)
        && deployment.metadata.deletion_timestamp.is_none()
}

/// Shared by all controllers.
pub struct Context {
    /// What the operator was told at its start.
    pub settings: Settings,
    /// The client of the hub.
    pub client: Client,
    /// Whether writes are allowed now; also built into the clients of members.
    pub gate: WriteGate,
    /// Where events go.
    pub events: Events,
    /// The operator's metrics.
    pub metrics: Arc<Metrics>,
    /// The local copies of the hub's objects.
    pub caches: Caches,
    /// What waits to be looked at.
    pub queues: Queues,
    /// The planner's view of the world.
    pub fleet: Fleet,
    /// The connections to the targets.
    pub connections: Connections,
    /// What runs at targets although nobody answers for it.
    pub orphans: Shown,
    /// How often endpoints are looked at.
    pub looks: Looks,
    /// The Secrets that endpoints use.
    pub named_secrets: NamedSecrets,
    /// When a panic was last reported on each object.
    pub defects: defect::Reported,
    /// Where the endpoint of a name (unique in an installation) lives on the hub.
    endpoint_keys: Mutex<HashMap<String, Key>>,
}

impl Context {
    /// A context with empty caches.
    #[must_use]
    pub fn new(settings: Settings, client: Client, gate: WriteGate, events: Events, metrics: Arc<Metrics>) -> Self {
        Self {
            caches: Caches::new(&settings.watched),
            settings,
            client,
            gate,
            events,
            metrics,
            queues: Queues::default(),
            fleet: Fleet::default(),
            connections: Connections::default(),
            orphans: Shown::default(),
            looks: Looks::default(),
            named_secrets: NamedSecrets::default(),
            defects: defect::Reported::default(),
            endpoint_keys: Mutex::default(),
        }
    }

    /// Whether everything in a namespace is known. Nothing may be concluded of what is missing in one that is not.
    #[must_use]
    pub fn knows(&self, namespace: &str) -> bool {
        let inside = Key::new(namespace, "");
        self.caches.deployments.has_listed(&inside)
            && self.caches.endpoints.has_listed(&inside)
            && self.caches.namespaces.has_listed(&Key::cluster(namespace))
    }

    /// Where `key` stands in the planning order; an unknown deployment comes first, for there is nothing to plan.
    #[must_use]
    pub fn rank(&self, key: &Key) -> QueueKey {
        let deployment = self.caches.deployments.get(key);
        super::convert::queue_key(key, deployment.as_deref())
    }

    /// Has the deployment under `key` looked at now.
    pub fn enqueue_deployment(&self, key: Key) {
        let rank = self.rank(&key);
        self.queues.deployments.add(key, rank);
    }

    /// Has the deployment under `key` looked at after `delay`.
    pub fn enqueue_deployment_after(&self, key: Key, delay: Duration) {
        let rank = self.rank(&key);
        self.queues.deployments.add_after(key, rank, delay);
    }

    /// Has several deployments looked at, strictly in their planning order.
    pub fn enqueue_deployments(&self, keys: impl IntoIterator<Item = Key>) {
        self.queues.deployments.add_all(keys.into_iter().map(|key| {
            let rank = self.rank(&key);
            (key, rank)
        }));
    }

    /// A deployment changed: it is looked at, and its endpoints take over what its status says of them. They are looked
    /// at as well if its users ask for that, and if they have to hold it.
    pub fn deployment_changed(&self, change: &Change<ModelDeployment>) {
        let (Change::Upserted { new: object, .. } | Change::Deleted(object)) = change;
        let wakes = match change {
            Change::Upserted { old: Some(old), new } => {
                requested_at(old) != requested_at(new) || (is_unheld(new) && !is_unheld(old))
            }
            Change::Upserted { old: None, new } => is_unheld(new),
            Change::Deleted(_) => false,
        };
        for endpoint in self.endpoints_of(object) {
            self.fleet.endpoint_changed(&endpoint, Some(object));
            if wakes {
                self.wake_endpoints([Key::of(endpoint.as_ref())]);
            }
        }
        self.enqueue_deployment(Key::of(object.as_ref()));
    }

    /// Takes in the answer to a write of a deployment.
    pub fn took_deployment(&self, written: ModelDeployment) {
        if let Some(change) = self.caches.deployments.apply_answer(written) {
            self.deployment_changed(&change);
        }
    }

    /// Takes in the answer to a write of an endpoint; returns the newest that is known.
    pub fn took_endpoint(&self, written: InferenceEndpoint) -> Arc<InferenceEndpoint> {
        let key = Key::of(&written);
        let fallback = Arc::new(written.clone());
        if let Some(change) = self.caches.endpoints.apply_answer(written) {
            // What its own controller has just told is no news to it; whoever else tells something changes more.
            let told = matches!(&change, Change::Upserted { old: Some(old), new } if differ_in_status_alone(old, new));
            self.endpoint_news(&change, !told);
        }
        self.caches.endpoints.get(&key).unwrap_or(fallback)
    }

    /// Takes in the answer to a write of a target; returns the newest that is known.
    pub fn took_target(&self, written: ServingTarget) -> Arc<ServingTarget> {
        let key = Key::of(&written);
        let fallback = Arc::new(written.clone());
        if let Some(change) = self.caches.targets.apply_answer(written) {
            self.target_changed(&change);
        }
        self.caches.targets.get(&key).unwrap_or(fallback)
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

    /// The names of the endpoints on a target, as namespace/name.
    #[must_use]
    pub fn endpoints_on(&self, target: &str) -> Vec<Key> {
        let keys = self.fleet.endpoint_keys_on(target);
        keys.into_iter().filter(|key| self.caches.endpoints.get(key).is_some()).collect()
    }

    /// Whether an endpoint is on a target, was decided to be and is being written, or may be in a namespace that is not
    /// known.
    #[must_use]
    pub fn is_in_use(&self, target: &str) -> bool {
        !self.fleet.endpoint_keys_on(target).is_empty() || !self.caches.endpoints.unlisted().is_empty()
    }

    /// What uses a target, in words: its endpoints, and whatever may be in namespaces that are not known.
    #[must_use]
    pub fn users_of(&self, target: &str) -> Vec<String> {
        let unknown = self.caches.endpoints.unlisted().into_iter();
        let endpoints = self.endpoints_on(target).into_iter().map(|key| key.to_string());
        endpoints.chain(unknown.map(|part| format!("whatever is in {part}, which may not be listed"))).collect()
    }

    /// Has the endpoints on a target looked at.
    pub fn wake_endpoints_on(&self, target: &str) {
        self.wake_endpoints(self.endpoints_on(target));
    }

    /// Has endpoints looked at now, and in full.
    fn wake_endpoints(&self, keys: impl IntoIterator<Item = Key>) {
        let news = keys.into_iter().inspect(|key| self.looks.news(key));
        self.queues.endpoints.add_all(news.map(|key| (key, ())));
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

    /// Puts what the cache knows of a deployment's endpoints back into the planner's view.
    pub fn restore_endpoints(&self, key: &Key) {
        let owner = self.caches.deployments.get(key);
        let known = self.fleet.endpoint_keys_of(key).into_iter().filter_map(|key| self.caches.endpoints.get(&key));
        self.fleet.restore(key, known.collect::<Vec<_>>(), owner.as_deref());
    }

    /// An endpoint changed: its own controller, its deployment and its target may have something to do.
    pub fn endpoint_changed(&self, change: &Change<InferenceEndpoint>) {
        self.endpoint_news(change, true);
    }

    fn endpoint_news(&self, change: &Change<InferenceEndpoint>, to_its_controller: bool) {
        let (Change::Upserted { new: endpoint, .. } | Change::Deleted(endpoint)) = change;
        let key = Key::of(endpoint.as_ref());
        let mut keys = self.endpoint_keys.lock().unwrap_or_else(PoisonError::into_inner);
        match change {
            Change::Upserted { .. } => {
                keys.insert(key.name.clone(), key.clone());
                self.fleet.endpoint_changed(endpoint, self.deployment_of(endpoint).as_deref());
            }
            Change::Deleted(_) => {
                keys.remove(&key.name);
                self.fleet.endpoint_deleted(&key);
                self.queues.targets.add(Key::cluster(&endpoint.spec.target), ());
            }
        }
        drop(keys);
        self.enqueue_deployment(Key::new(&key.namespace, &endpoint.spec.deployment_ref.name));
        if to_its_controller {
            self.wake_endpoints([key.clone()]);
        }
        if is_going(change) {
            // Its removal is looked at soon at first, however rarely it was looked at before.
            self.looks.paid_off(&key);
            // Whoever waits for room, or for a turn to be replaced, may have it now.
            self.enqueue_deployments(self.fleet.unsettled());
        }
    }

    /// The endpoint of this name changed on `target`, which speaks for no other target's endpoints.
    pub fn endpoint_changed_at_provider(&self, target: &str, name: &str) {
        let key = self.endpoint_keys.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let endpoint = key.and_then(|key| self.caches.endpoints.get(&key));
        if let Some(endpoint) = endpoint.filter(|endpoint| endpoint.spec.target == target) {
            self.wake_endpoints([Key::of(endpoint.as_ref())]);
        }
    }

    /// A target changed: it is looked at, and what its new spec means for everybody is decided again.
    pub fn target_changed(&self, change: &Change<ServingTarget>) {
        let (Change::Upserted { new: target, .. } | Change::Deleted(target)) = change;
        self.queues.targets.add(Key::of(target.as_ref()), ());
        let decided_by_spec = match change {
            Change::Upserted { old: Some(old), new } => {
                old.spec != new.spec
                    || old.labels() != new.labels()
                    || old.metadata.deletion_timestamp != new.metadata.deletion_timestamp
            }
            Change::Upserted { old: None, .. } | Change::Deleted(_) => true,
        };
        self.refresh_target(&target.name_any());
        if decided_by_spec {
            self.enqueue_all_deployments();
            // How it exposes its endpoints may have changed.
            self.wake_endpoints_on(&target.name_any());
        }
    }

    /// Puts what is known of a target (spec, state, facts) into the planner's view. Those who wait for something are
    /// looked at if that can matter to them, and not otherwise: facts come several times a second while endpoints start,
    /// and thousands may wait.
    pub fn refresh_target(&self, name: &str) {
        let Some(target) = self.caches.targets.get(&Key::cluster(name)) else {
            return self.fleet.target_deleted(name);
        };
        if self.fleet.target_changed(&target, self.connections.get(name).as_deref()) {
            self.enqueue_deployments(self.fleet.unsettled());
        }
    }

    /// The facts of a target changed.
    pub fn target_facts_changed(&self, name: &str) {
        self.refresh_target(name);
        let connection = self.connections.get(name);
        if connection.is_some_and(|connection| connection.usable().is_none()) {
            // Its first facts may be all that it waited for.
            self.queues.targets.add(Key::cluster(name), ());
        }
    }

    /// Whether a target can be used changed: those who wait, those who are there, and its endpoints are looked at.
    pub fn target_state_changed(&self, name: &str) {
        self.refresh_target(name);
        let mut keys = self.fleet.unsettled();
        keys.extend(self.fleet.deployments_on(name));
        self.enqueue_deployments(keys);
        self.wake_endpoints_on(name);
    }

    /// Has every deployment decided again.
    pub fn enqueue_all_deployments(&self) {
        let all = self.caches.deployments.list();
        self.enqueue_deployments(all.iter().map(|deployment| Key::of(deployment.as_ref())));
    }

    /// A Secret in the operator's namespace changed: the targets that name it are looked at.
    pub fn target_secret_changed(&self, change: &Change<Secret>) {
        let (Change::Upserted { new: secret, .. } | Change::Deleted(secret)) = change;
        let name = secret.name_any();
        for target in self.caches.targets.list() {
            if target.spec.secret_name() == Some(name.as_str()) {
                self.queues.targets.add(Key::of(target.as_ref()), ());
            }
        }
    }

    /// A namespace changed: its labels decide which targets it may use.
    pub fn namespace_changed(&self, change: &Change<Namespace>) {
        let namespace = match change {
            Change::Upserted { old: Some(old), new } if old.labels() == new.labels() => return,
            Change::Upserted { new: namespace, .. } | Change::Deleted(namespace) => namespace.name_any(),
        };
        let all = self.caches.deployments.list();
        let inside = all.iter().map(|deployment| Key::of(deployment.as_ref())).filter(|key| key.namespace == namespace);
        self.enqueue_deployments(inside.collect::<Vec<_>>());
    }
}

/// Whether an endpoint is gone, or its deletion is requested by now.
fn is_going(change: &Change<InferenceEndpoint>) -> bool {
    match change {
        Change::Deleted(_) => true,
        Change::Upserted { old, new } => {
            let requested = |endpoint: &InferenceEndpoint| endpoint.metadata.deletion_timestamp.is_some();
            requested(new) && !old.as_ref().is_some_and(|old| requested(old))
        }
    }
}

/// Whether one of our own writes changed the status and nothing else.
fn differ_in_status_alone(old: &InferenceEndpoint, new: &InferenceEndpoint) -> bool {
    old.metadata.generation == new.metadata.generation
        && old.metadata.deletion_timestamp == new.metadata.deletion_timestamp
        && old.metadata.finalizers == new.metadata.finalizers
        && old.metadata.uid == new.metadata.uid
}
