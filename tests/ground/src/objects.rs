//! Objects of a cluster as JSON, read without starting a kubectl: what a test waits for it asks for ten times a second.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use kube::api::{Api, DynamicObject, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Config};
use serde_json::Value;
use tokio::runtime::Runtime;

/// Kinds that tests read, by a short name (or by the plural): group, version, kind, plural.
const KINDS: [(&str, [&str; 4]); 13] = [
    ("deploy", ["apps", "v1", "Deployment", "deployments"]),
    ("iep", ["roadstead.dev", "v1alpha1", "InferenceEndpoint", "inferenceendpoints"]),
    ("lease", ["coordination.k8s.io", "v1", "Lease", "leases"]),
    ("mdep", ["roadstead.dev", "v1alpha1", "ModelDeployment", "modeldeployments"]),
    ("namespace", ["", "v1", "Namespace", "namespaces"]),
    ("node", ["", "v1", "Node", "nodes"]),
    ("pdb", ["policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets"]),
    ("pod", ["", "v1", "Pod", "pods"]),
    ("rs", ["apps", "v1", "ReplicaSet", "replicasets"]),
    ("secret", ["", "v1", "Secret", "secrets"]),
    ("servingtarget", ["roadstead.dev", "v1alpha1", "ServingTarget", "servingtargets"]),
    ("svc", ["", "v1", "Service", "services"]),
    ("event", ["events.k8s.io", "v1", "Event", "events"]),
];
/// A frozen API server answers nothing.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);
/// Time within which a connection fails that the API server has closed since the last question.
const AT_ONCE: Duration = Duration::from_secs(1);

/// The object `kind` `name`; `namespace` is empty for those that have none.
///
/// # Errors
/// If it is not there, the API server does not answer, or the kind is unknown here.
pub fn get(kubeconfig: &Path, kind: &str, namespace: &str, name: &str) -> anyhow::Result<Value> {
    ask(kubeconfig, kind, namespace, async |api, resource| complete(&resource, &api.get(name).await?))
        .with_context(|| format!("get {kind} {namespace}/{name}"))
}

/// All objects of a kind in a namespace that `labels` (a selector, or nothing) chooses.
///
/// # Errors
/// If the API server does not answer, or the kind is unknown here.
pub fn list(kubeconfig: &Path, kind: &str, namespace: &str, labels: &str) -> anyhow::Result<Vec<Value>> {
    ask(kubeconfig, kind, namespace, async |api, resource| {
        let found = api.list(&ListParams::default().labels(labels)).await?;
        found.items.iter().map(|object| complete(&resource, object)).collect()
    })
    .with_context(|| format!("list {kind} in {namespace}"))
}

/// The answer to a read of `path`, such as `/readyz`.
///
/// # Errors
/// If the API server does not answer, or with an error.
pub fn raw(kubeconfig: &Path, path: &str) -> anyhow::Result<String> {
    let ask = || {
        connected(kubeconfig, &async |client| {
            Ok(client.request_text(http::Request::get(path).body(Vec::new())?).await?)
        })
    };
    // On a thread of its own: the caller's may drive a runtime already.
    let answer = std::thread::scope(|scope| scope.spawn(ask).join());
    answer.unwrap_or_else(|_| bail!("the read panicked")).with_context(|| format!("read {path}"))
}

/// True if the API server says that it is ready.
#[must_use]
pub fn is_ready(kubeconfig: &Path) -> bool {
    raw(kubeconfig, "/readyz").is_ok_and(|answer| answer == "ok")
}

fn ask<T>(
    kubeconfig: &Path,
    kind: &str,
    namespace: &str,
    question: impl AsyncFn(Api<DynamicObject>, ApiResource) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let Some((_, [group, version, kind, plural])) =
        KINDS.iter().find(|(short, [.., plural])| [*short, *plural].contains(&kind))
    else {
        bail!("add the kind {kind} to those that can be read");
    };
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    connected(kubeconfig, &async |client| {
        let api = match namespace {
            "" => Api::all_with(client, &resource),
            namespace => Api::namespaced_with(client, namespace, &resource),
        };
        question(api, resource.clone()).await
    })
}

thread_local! {
    /// Connection of this thread's last answer. A new one for each question costs the API server more than the question.
    static LAST: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// A client, with what it was made from.
struct Connection {
    kubeconfig: (PathBuf, String),
    runtime: Runtime,
    client: Client,
}

impl Connection {
    fn new(kubeconfig: (PathBuf, String)) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let client = runtime.block_on(async {
            let text = Kubeconfig::from_yaml(&kubeconfig.1)?;
            let mut config = Config::from_custom_kubeconfig(text, &KubeConfigOptions::default()).await?;
            config.read_timeout = Some(LONGEST_ANSWER);
            anyhow::Ok(Client::try_from(config)?)
        })?;
        Ok(Self { kubeconfig, runtime, client })
    }

    fn ask<T>(&self, question: &impl AsyncFn(Client) -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.runtime.block_on(question(self.client.clone()))
    }
}

/// Asks on the connection of this thread's last answer, or on a new one to another cluster, or if the cluster was made anew.
fn connected<T>(kubeconfig: &Path, question: &impl AsyncFn(Client) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(kubeconfig).with_context(|| kubeconfig.display().to_string())?;
    let kubeconfig = (kubeconfig.to_owned(), text);
    if let Some(last) = LAST.take().filter(|last| last.kubeconfig == kubeconfig) {
        let start = Instant::now();
        let answer = last.ask(question);
        if is_of_server(&answer) {
            LAST.set(Some(last));
            return answer;
        }
        if start.elapsed() > AT_ONCE {
            return answer;
        }
    }
    let connection = Connection::new(kubeconfig)?;
    let answer = connection.ask(question);
    if is_of_server(&answer) {
        LAST.set(Some(connection));
    }
    answer
}

/// True if the API server has answered, even with an error.
fn is_of_server<T>(answer: &anyhow::Result<T>) -> bool {
    answer.as_ref().err().is_none_or(|error| matches!(error.downcast_ref(), Some(kube::Error::Api(_))))
}

/// In a list, objects do not say what they are.
fn complete(resource: &ApiResource, object: &DynamicObject) -> anyhow::Result<Value> {
    let mut object = serde_json::to_value(object)?;
    object["kind"] = resource.kind.clone().into();
    object["apiVersion"] = resource.api_version.clone().into();
    Ok(object)
}
