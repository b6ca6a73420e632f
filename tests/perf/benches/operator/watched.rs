//! The view of a watching user, with times.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures::StreamExt;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher::{self, Event};
use serde_json::Value;
use tokio::task::AbortHandle;

/// Time of the first sighting of each object of a kind, by name.
pub type Sightings = BTreeMap<String, Instant>;

/// A watch that remembers when an object first was as wanted, in one or several ways; it ends when this is dropped.
pub struct Watched {
    seen: Arc<Mutex<BTreeMap<&'static str, Sightings>>>,
    task: AbortHandle,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Watched {
    /// Watches the objects of a kind in a namespace, from now on. `ways` says in which ways an object is as wanted.
    pub fn start(
        client: Client,
        kind: &ApiResource,
        namespace: &str,
        ways: impl Fn(&Value) -> Vec<&'static str> + Send + 'static,
    ) -> Self {
        Self::with(client, kind, namespace, watcher::Config::default(), ways)
    }

    /// Watches one object, from now on.
    pub fn one(
        client: Client,
        kind: &ApiResource,
        namespace: &str,
        name: &str,
        ways: impl Fn(&Value) -> Vec<&'static str> + Send + 'static,
    ) -> Self {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        Self::with(client, kind, namespace, config, ways)
    }

    fn with(
        client: Client,
        kind: &ApiResource,
        namespace: &str,
        config: watcher::Config,
        ways: impl Fn(&Value) -> Vec<&'static str> + Send + 'static,
    ) -> Self {
        let seen: Arc<Mutex<BTreeMap<&'static str, Sightings>>> = Arc::default();
        let api: Api<DynamicObject> = Api::namespaced_with(client, namespace, kind);
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut events = watcher::watcher(api, config).boxed();
            while let Some(event) = events.next().await {
                let Ok(Event::Apply(object) | Event::InitApply(object)) = event else { continue };
                let name = object.metadata.name.unwrap_or_default();
                let mut seen = shared.lock().unwrap_or_else(PoisonError::into_inner);
                for way in ways(&object.data) {
                    seen.entry(way).or_default().entry(name.clone()).or_insert_with(Instant::now);
                }
            }
        });
        Self { seen, task: task.abort_handle() }
    }

    fn count(&self, way: &str) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(way).map_or(0, BTreeMap::len)
    }

    /// Waits until so many have been seen to be as wanted in this way.
    pub async fn all(&self, way: &str, count: usize, limit: Duration) -> Result<Sightings> {
        let start = Instant::now();
        let mut told = start;
        while self.count(way) < count {
            if start.elapsed() > limit {
                bail!("after {} s only {} of {count} are {way}", limit.as_secs(), self.count(way));
            }
            if told.elapsed() > Duration::from_secs(10) {
                eprintln!("\n  {} of {count} {way} after {} s", self.count(way), start.elapsed().as_secs());
                told = Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(way).cloned().unwrap_or_default())
    }
}

/// The kind of deployments.
pub fn deployment_kind() -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("roadstead.dev", "v1alpha1", "ModelDeployment"),
        "modeldeployments",
    )
}

/// The kind of endpoints.
pub fn endpoint_kind() -> ApiResource {
    ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("roadstead.dev", "v1alpha1", "InferenceEndpoint"),
        "inferenceendpoints",
    )
}

/// Those of the conditions that are true of the object.
pub fn true_of(object: &Value, mut conditions: Vec<&'static str>) -> Vec<&'static str> {
    let known = object["status"]["conditions"].as_array();
    let is_true =
        |condition: &str| known.into_iter().flatten().any(|one| one["type"] == condition && one["status"] == "True");
    conditions.retain(|condition| is_true(condition));
    conditions
}
