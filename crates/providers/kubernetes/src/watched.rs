//! A member's own reports: its nodes, their pods, and our endpoints, kept current by three watches.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateTerminated, ContainerStatus, Node, Pod, PodCondition, PodSpec, PodStatus,
};
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::found::found;
use super::nodes::planner_nodes;
use roadstead_api::v1alpha1::names;
use roadstead_provider::{Inventory, Listener, ProviderEvent};
use roadstead_runtime::budget::{Budget, Overrun};
use roadstead_runtime::cache::{Cache, Change, Part};
use roadstead_runtime::panics::caught;
use roadstead_runtime::text::bounded;
use roadstead_runtime::watch::watch;

/// Time that changes are collected before the inventory is computed again, because pods change in bursts.
const GATHER: Duration = Duration::from_millis(200);

/// All nodes together, or all Deployments, are kept up to this size as JSON: some 10,000 nodes.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// The same for pods, of which there are more: some 100,000.
const MAX_POD_BYTES: usize = 64 * 1024 * 1024;

/// Lists are read in pages, so that a large member does not answer with one huge body.
const PAGE: u32 = 500;

/// The watched state of one member. Dropping it ends the watches.
pub struct Watched {
    namespace: String,
    nodes: Arc<Cache<Node>>,
    pods: Arc<Cache<Pod>>,
    deployments: Arc<Cache<Deployment>>,
    inventory: RwLock<Option<Arc<Inventory>>>,
    changed: Arc<Notify>,
    exceeded: Exceeded,
}

/// The member lists more than the operator keeps.
#[derive(Default)]
struct Exceeded {
    nodes: Overrun,
    pods: Overrun,
    deployments: Overrun,
}

impl Exceeded {
    fn any(&self) -> bool {
        [&self.nodes, &self.pods, &self.deployments].into_iter().any(Overrun::is)
    }
}

/// Keeps the watches of a member running; dropping it ends them.
pub struct Watches {
    _tasks: JoinSet<()>,
}

impl Watched {
    /// Starts the watches of the member behind `client`, for endpoints of `install_id` in `namespace`.
    pub fn start(client: &Client, namespace: &str, install_id: &str, listener: Listener) -> (Arc<Self>, Watches) {
        let watched = Arc::new(Self::new(namespace));
        let mut tasks = JoinSet::new();
        watched.watch_nodes(client, &mut tasks);
        watched.watch_pods(client, namespace, &mut tasks, Arc::clone(&listener));
        watched.watch_deployments(client, namespace, install_id, &mut tasks, Arc::clone(&listener));
        tasks.spawn(Arc::clone(&watched).keep_inventory(listener));
        (watched, Watches { _tasks: tasks })
    }

    fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            nodes: Arc::default(),
            pods: Arc::default(),
            deployments: Arc::default(),
            inventory: RwLock::new(None),
            changed: Arc::default(),
            exceeded: Exceeded::default(),
        }
    }

    fn watch_nodes(&self, client: &Client, tasks: &mut JoinSet<()>) {
        let changed = Arc::clone(&self.changed);
        let api: Api<DeserializeGuard<Node>> = Api::all(client.clone());
        let on_change = move |change: Change<Node>| {
            let same = matches!(&change, Change::Upserted { old: Some(old), new } if node_is_same(old, new));
            if !same {
                changed.notify_one();
            }
        };
        let budget = Budget::new(MAX_BYTES, self.exceeded.nodes.clone());
        tasks.spawn(watch(budget, api, pages(), Part::Everything, Arc::clone(&self.nodes), prune_node, on_change));
    }

    fn watch_pods(&self, client: &Client, namespace: &str, tasks: &mut JoinSet<()>, listener: Listener) {
        let changed = Arc::clone(&self.changed);
        let namespace = namespace.to_owned();
        let api: Api<DeserializeGuard<Pod>> = Api::all(client.clone());
        let on_change = move |change: Change<Pod>| {
            let (Change::Upserted { new: pod, .. } | Change::Deleted(pod)) = &change;
            if let Some(endpoint) = endpoint_of(pod, &namespace) {
                listener(ProviderEvent::Endpoint(endpoint.to_owned()));
            }
            changed.notify_one();
        };
        let budget = Budget::new(MAX_POD_BYTES, self.exceeded.pods.clone());
        tasks.spawn(watch(budget, api, pages(), Part::Everything, Arc::clone(&self.pods), prune_pod, on_change));
    }

    fn watch_deployments(
        &self,
        client: &Client,
        namespace: &str,
        install_id: &str,
        tasks: &mut JoinSet<()>,
        listener: Listener,
    ) {
        let changed = Arc::clone(&self.changed);
        let api: Api<DeserializeGuard<Deployment>> = Api::namespaced(client.clone(), namespace);
        let config = pages().labels(&format!("{}={install_id}", names::LABEL_INSTALL_ID));
        let on_change = move |change: Change<Deployment>| {
            let (Change::Upserted { new, .. } | Change::Deleted(new)) = &change;
            listener(ProviderEvent::Endpoint(new.name_any()));
            changed.notify_one();
        };
        let budget = Budget::new(MAX_BYTES, self.exceeded.deployments.clone());
        tasks.spawn(watch(budget, api, config, Part::Everything, Arc::clone(&self.deployments), |_| {}, on_change));
    }

    async fn keep_inventory(self: Arc<Self>, listener: Listener) {
        tokio::join!(self.nodes.wait_synced(), self.pods.wait_synced(), self.deployments.wait_synced());
        let [mut nodes, mut pods, mut deployments] =
            [&self.exceeded.nodes, &self.exceeded.pods, &self.exceeded.deployments].map(Overrun::news);
        loop {
            let inventory =
                Arc::new(caught("inventory of a member", || self.compute()).unwrap_or_else(|| self.unknown()));
            let news = {
                let mut known = self.inventory.write().unwrap_or_else(PoisonError::into_inner);
                let news = known.as_ref().is_none_or(|known| **known != *inventory);
                *known = Some(inventory);
                news
            };
            if news {
                caught("listener of a member", || listener(ProviderEvent::Inventory));
            }
            // The senders live as long as this does.
            tokio::select! {
                () = self.changed.notified() => {}
                _ = nodes.changed() => {}
                _ = pods.changed() => {}
                _ = deployments.changed() => {}
            }
            tokio::time::sleep(GATHER).await;
        }
    }

    /// Inventory where it cannot be computed: the found endpoints, and no nodes, so that nothing is placed.
    fn unknown(&self) -> Inventory {
        let known = self.inventory().map(|known| (*known).clone()).unwrap_or_default();
        Inventory { nodes: Some(Vec::new()), ..known }
    }

    fn compute(&self) -> Inventory {
        // Free capacity cannot be computed from a part of the listing: a target that lists more than is kept gets no
        // placements.
        let nodes = if self.exceeded.any() { Vec::new() } else { self.nodes.list() };
        let pods = self.pods.list();
        let mut bound: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
        for pod in pods.iter().filter(|pod| !super::pods::is_over(pod)) {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
            if let (Some(endpoint), Some(node)) = (endpoint_of(pod, &self.namespace), node) {
                *bound.entry(endpoint.to_owned()).or_default().entry(node).or_default() += 1;
            }
        }
        let found = self.deployments.list().iter().filter_map(|deployment| found(deployment)).collect();
        Inventory { nodes: Some(planner_nodes(&nodes, &pods)), bound, found, cut: self.cut(), ..Inventory::default() }
    }

    /// The reason if not every endpoint is found.
    fn cut(&self) -> Option<String> {
        self.exceeded.deployments.is().then(|| {
            format!(
                "Deployments labelled {} in namespace {} exceed {} MiB, so the inventory is incomplete: delete those \
                 there that do not belong to Roadstead",
                names::LABEL_INSTALL_ID,
                self.namespace,
                MAX_BYTES / (1024 * 1024)
            )
        })
    }

    /// The newest inventory; `None` until every watch has listed once.
    pub fn inventory(&self) -> Option<Arc<Inventory>> {
        self.inventory.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The member's nodes as last seen.
    pub fn nodes(&self) -> Vec<Arc<Node>> {
        self.nodes.list()
    }

    /// The pods of one endpoint as last seen.
    pub fn pods_of(&self, endpoint: &str) -> Vec<Arc<Pod>> {
        let ours = |pod: &Arc<Pod>| endpoint_of(pod, &self.namespace) == Some(endpoint);
        self.pods.list().into_iter().filter(ours).collect()
    }
}

/// The endpoint that a pod serves. Anybody may put our labels on a pod, but only ours are in our namespace.
fn endpoint_of<'a>(pod: &'a Pod, namespace: &str) -> Option<&'a str> {
    let ours = pod.metadata.namespace.as_deref() == Some(namespace);
    pod.labels().get(names::LABEL_ENDPOINT).filter(|_| ours).map(String::as_str)
}

fn pages() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// Nodes report their heartbeat in their status; that alone is no news.
fn node_is_same(old: &Node, new: &Node) -> bool {
    old.spec == new.spec && old.status == new.status && old.labels() == new.labels()
}

fn prune_node(node: &mut Node) {
    node.metadata.annotations = None;
    if let Some(status) = &mut node.status {
        status.images = None;
        status.volumes_attached = None;
        status.volumes_in_use = None;
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = None;
        }
    }
}

/// Of other people's pods only what counts against a node's room is kept.
fn prune_pod(pod: &mut Pod) {
    pod.metadata.annotations = None;
    pod.metadata.owner_references = None;
    let ours = pod.labels().contains_key(names::LABEL_ENDPOINT);
    if super::pods::is_over(pod) {
        prune_over(pod, ours);
        return;
    }
    if ours {
        return;
    }
    pod.metadata.labels = None;
    if let Some(spec) = &mut pod.spec {
        let spec = std::mem::take(spec);
        let slim = |container: Container| Container {
            name: container.name,
            resources: container.resources,
            restart_policy: container.restart_policy,
            ..Default::default()
        };
        pod.spec = Some(PodSpec {
            node_name: spec.node_name,
            overhead: spec.overhead,
            resources: spec.resources,
            containers: spec.containers.into_iter().map(slim).collect(),
            init_containers: spec.init_containers.map(|all| all.into_iter().map(slim).collect()),
            ..Default::default()
        });
    }
    let spec = pod.spec.as_ref();
    pod.status = pod.status.take().map(|status| slim_status(status, spec));
}

/// Of pods that are over, of which a member keeps thousands, nothing but how those of ours ended.
fn prune_over(pod: &mut Pod, ours: bool) {
    let node_name = pod.spec.take().and_then(|spec| spec.node_name);
    pod.spec = ours.then(|| PodSpec { node_name, ..PodSpec::default() });
    pod.metadata.finalizers = None;
    pod.metadata.labels = pod.metadata.labels.take().filter(|_| ours).map(|mut labels| {
        labels.retain(|label, _| [names::LABEL_ENDPOINT, names::LABEL_TEMPLATE].contains(&label.as_str()));
        labels
    });
    pod.status = pod.status.take().map(|status| {
        let phase = status.phase.clone();
        if ours { over_status(status) } else { PodStatus { phase, ..PodStatus::default() } }
    });
}

fn over_status(status: PodStatus) -> PodStatus {
    let ended = |container: ContainerStatus| {
        let terminated = container.state.and_then(|state| state.terminated).map(|ended| ContainerStateTerminated {
            exit_code: ended.exit_code,
            reason: ended.reason,
            finished_at: ended.finished_at,
            ..ContainerStateTerminated::default()
        });
        ContainerStatus {
            name: container.name,
            restart_count: container.restart_count,
            state: Some(ContainerState { terminated, ..ContainerState::default() }),
            ..ContainerStatus::default()
        }
    };
    let statuses = |all: Option<Vec<ContainerStatus>>| all.map(|all| all.into_iter().map(ended).collect());
    let disrupted = |conditions: Vec<PodCondition>| {
        conditions.into_iter().filter(|condition| condition.type_ == "DisruptionTarget").collect()
    };
    PodStatus {
        phase: status.phase,
        reason: status.reason,
        message: status.message.map(|message| bounded(&message)),
        conditions: status.conditions.map(disrupted),
        container_statuses: statuses(status.container_statuses),
        init_container_statuses: statuses(status.init_container_statuses),
        ..PodStatus::default()
    }
}

/// Of a pod's status its phase, and of its containers those whose resources are not (only) what the spec says.
fn slim_status(status: PodStatus, spec: Option<&PodSpec>) -> PodStatus {
    let conditions: Vec<_> =
        status.conditions.into_iter().flatten().filter(|one| one.type_ == "PodResizePending").collect();
    let resizing = !conditions.is_empty();
    let wanted = |name: &str| {
        let containers =
            spec.into_iter().flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
        let container = containers.into_iter().find(|container| container.name == name);
        container.and_then(|container| container.resources.as_ref()?.requests.clone()).unwrap_or_default()
    };
    let differs = |status: &ContainerStatus| {
        let wanted = wanted(&status.name);
        let actual = status.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        [status.allocated_resources.as_ref(), actual].into_iter().flatten().any(|amounts| *amounts != wanted)
    };
    let slim = |status: ContainerStatus| ContainerStatus {
        name: status.name,
        allocated_resources: status.allocated_resources,
        resources: status.resources,
        ..ContainerStatus::default()
    };
    let statuses = |all: Option<Vec<ContainerStatus>>| {
        let kept: Vec<_> = all.into_iter().flatten().filter(|status| resizing || differs(status)).map(slim).collect();
        Some(kept).filter(|kept| !kept.is_empty())
    };
    PodStatus {
        phase: status.phase,
        container_statuses: statuses(status.container_statuses),
        init_container_statuses: statuses(status.init_container_statuses),
        conditions: Some(conditions).filter(|conditions| !conditions.is_empty()),
        ..PodStatus::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::requests::requests;
    use super::*;

    #[test]
    fn what_is_kept_of_a_foreign_pod_asks_for_the_same() {
        let pod = |status: Value, pod_level: Value| -> Pod {
            serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status, "spec": {
                "nodeName": "n", "resources": {"requests": pod_level}, "overhead": {"cpu": "1"},
                "containers": [
                    {"name": "a", "image": "i", "resources": {"requests": {"cpu": "4"}}},
                    {"name": "b", "image": "i", "resources": {"requests": {"cpu": "2"}}},
                ],
            }}))
            .unwrap()
        };
        let of = |name: &str, cpu: &str| {
            json!({"name": name, "image": "i", "imageID": "", "ready": true, "restartCount": 0,
                   "allocatedResources": {"cpu": cpu}, "resources": {"requests": {"cpu": cpu}}})
        };
        let infeasible = json!([{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}]);
        for (status, pod_level, cpu) in [
            (json!({"containerStatuses": [of("a", "4"), of("b", "2")]}), json!({}), 7_000),
            (json!({"containerStatuses": [of("a", "8"), of("b", "2")]}), json!({}), 11_000),
            (json!({"containerStatuses": [of("a", "3"), of("b", "2")], "conditions": infeasible}), json!({}), 6_000),
            (json!({"containerStatuses": [of("a", "4"), of("b", "2")]}), json!({"cpu": "16"}), 17_000),
        ] {
            let whole = pod(status, pod_level);
            let mut kept = whole.clone();
            prune_pod(&mut kept);
            assert_eq!(requests(&whole)["cpu"], cpu);
            assert_eq!(requests(&kept), requests(&whole));
        }
        let mut settled =
            pod(json!({"phase": "Running", "containerStatuses": [of("a", "4"), of("b", "2")]}), json!({}));
        prune_pod(&mut settled);
        assert_eq!(settled.status.unwrap().container_statuses, None, "no memory for what says nothing new");
    }

    #[test]
    fn of_thousands_of_failed_pods_only_how_they_ended_is_kept() {
        let long = "x".repeat(20_000);
        let pod = |labels: Value| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"name": "p", "namespace": "roadstead", "labels": labels},
                "spec": {"nodeName": "n", "containers": [{"name": "engine", "image": "i", "args": [long]}]},
                "status": {
                    "phase": "Failed", "reason": "Evicted", "message": long,
                    "conditions": [{"type": "Ready", "status": "False", "message": long}],
                    "containerStatuses": [{
                        "name": "engine", "image": long, "imageID": "", "ready": false, "restartCount": 2,
                        "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": long}},
                    }],
                },
            }))
            .unwrap()
        };
        let mut ours = pod(json!({names::LABEL_ENDPOINT: "llama", names::LABEL_TEMPLATE: "h", "theirs": long}));
        prune_pod(&mut ours);
        let size = serde_json::to_string(&ours).unwrap().len();
        // A control plane keeps 12,500 pods that are over.
        assert!(size * 12_500 < MAX_POD_BYTES / 2, "{size} bytes each");
        let status = ours.status.as_ref().unwrap();
        assert_eq!((status.reason.as_deref(), status.message.as_ref().unwrap().len()), (Some("Evicted"), 512));
        let ended = status.container_statuses.as_ref().unwrap()[0].state.as_ref().unwrap().terminated.as_ref().unwrap();
        assert_eq!(ended.reason.as_deref(), Some("OOMKilled"));
        assert_eq!(endpoint_of(&ours, "roadstead"), Some("llama"));
        let mut theirs = pod(json!({"app": long}));
        prune_pod(&mut theirs);
        assert!(serde_json::to_string(&theirs).unwrap().len() < 200, "{theirs:?}");
    }

    #[test]
    fn a_pod_of_another_namespace_speaks_for_no_endpoint() {
        let pod = |namespace: &str| -> Pod {
            serde_json::from_value(serde_json::json!({
                "metadata": {"name": "p", "namespace": namespace, "labels": {names::LABEL_ENDPOINT: "llama"}},
            }))
            .unwrap()
        };
        assert_eq!(endpoint_of(&pod("roadstead"), "roadstead"), Some("llama"));
        assert_eq!(endpoint_of(&pod("else"), "roadstead"), None);
    }

    #[test]
    fn an_inventory_that_lacks_deployments_says_so_and_one_that_lacks_pods_does_not() {
        let watched = Watched::new("roadstead");
        assert_eq!(watched.compute().cut, None);
        watched.exceeded.pods.set(true);
        assert_eq!(watched.compute().cut, None, "every endpoint is found");
        watched.exceeded.deployments.set(true);
        let cut = watched.compute().cut.unwrap();
        assert!(cut.contains("exceed 32 MiB") && cut.contains("namespace roadstead"), "{cut}");
    }
}
