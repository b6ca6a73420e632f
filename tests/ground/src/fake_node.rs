//! Nodes without a machine: an object whose heartbeat is kept alive by a thread. Pods bound there never start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use crate::cluster::Cluster;

/// A node without a machine; it is removed when this is dropped.
pub struct FakeNode {
    cluster: Cluster,
    name: String,
    stop: Arc<AtomicBool>,
    heartbeat: Option<JoinHandle<()>>,
}

impl FakeNode {
    /// Adds the node `name` with `allocatable` resources and `labels`, both as JSON objects.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub fn add(
        cluster: &Cluster,
        name: &str,
        labels: &serde_json::Value,
        allocatable: &serde_json::Value,
    ) -> anyhow::Result<Self> {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
        cluster.apply(&node.to_string())?;
        let mut node = Self {
            cluster: cluster.clone(),
            name: name.to_owned(),
            stop: Arc::new(AtomicBool::new(false)),
            heartbeat: None,
        };
        node.set(allocatable)?;
        beat(cluster, name)?;
        let (cluster, name, stop) = (node.cluster.clone(), node.name.clone(), Arc::clone(&node.stop));
        node.heartbeat = Some(std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let _ = beat(&cluster, &name);
                std::thread::sleep(Duration::from_secs(4));
            }
        }));
        Ok(node)
    }

    /// Sets what the node can give, and that it is ready.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn set(&self, allocatable: &serde_json::Value) -> anyhow::Result<()> {
        let status = json!({"status": {
            "allocatable": allocatable,
            "capacity": allocatable,
            "addresses": [{"type": "InternalIP", "address": "198.18.255.1"}],
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Fake", "message": "kept ready by the test ground",
                "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        }});
        let patch = status.to_string();
        self.cluster.kubectl(&["patch", "node", &self.name, "--subresource=status", "--type=merge", "-p", &patch])?;
        Ok(())
    }

    /// Sets the node's taints, a JSON list.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn taint(&self, taints: &serde_json::Value) -> anyhow::Result<()> {
        let patch = json!({"spec": {"taints": taints}}).to_string();
        self.cluster.kubectl(&["patch", "node", &self.name, "--type=merge", "-p", &patch]).map(drop)
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(heartbeat) = self.heartbeat.take() {
            let _ = heartbeat.join();
        }
        let _ = self.cluster.kubectl(&["delete", "node", &self.name, "--ignore-not-found", "--wait=false"]);
    }
}

/// Renews the node's lease, which the node lifecycle controller watches.
fn beat(cluster: &Cluster, name: &str) -> anyhow::Result<()> {
    let now = crate::command::run("date", &["-u", "+%Y-%m-%dT%H:%M:%S.000000Z"])?;
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now},
    });
    cluster.apply(&lease.to_string()).map(drop)
}
