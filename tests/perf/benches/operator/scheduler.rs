//! The measuring stick: how fast the real kube-scheduler binds pods on the same server.

use std::time::{Duration, Instant};

use anyhow::Result;
use kube::api::{ApiResource, GroupVersionKind};
use roadstead_ground::bound::Bound;
use serde_json::{Value, json};

use crate::fleet;
use crate::rig::Rig;
use crate::watched::Watched;

/// The namespace of the pods.
pub const PODS: &str = "pods";
const NODES: usize = 100;
const LIMIT: Duration = Duration::from_mins(5);

/// The measuring stick, and how many pods it has bound.
pub struct Stick<'a> {
    rig: &'a Rig,
    pods: usize,
}

impl<'a> Stick<'a> {
    /// A stick with its nodes.
    pub async fn new(rig: &'a Rig) -> Result<Self> {
        nodes(rig).await?;
        Ok(Self { rig, pods: 0 })
    }

    /// Seconds in which the scheduler binds so many pods more, from the first creation to the last binding.
    pub async fn bind(&mut self, pods: usize) -> Result<f64> {
        let client = &self.rig.client;
        let _scheduler = start(self.rig)?;
        let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("", "v1", "Pod"), "pods");
        let bound = Watched::start(client.clone(), &kind, PODS, |pod| {
            if pod["spec"]["nodeName"].is_string() { vec!["bound"] } else { Vec::new() }
        });
        let path = format!("/api/v1/namespaces/{PODS}/pods");
        // Once one more is bound, the scheduler is there.
        fleet::create(client, &path, &[pod(self.pods)]).await?;
        bound.all("bound", self.pods + 1, LIMIT).await?;
        let all: Vec<Value> = (self.pods + 1..=self.pods + pods).map(pod).collect();
        self.pods += pods + 1;
        let started = Instant::now();
        fleet::create(client, &path, &all).await?;
        let seen = bound.all("bound", self.pods, LIMIT).await?;
        let last = seen.values().max().copied().unwrap_or(started);
        Ok(last.duration_since(started).as_secs_f64())
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn count(number: usize) -> f64 {
    number as f64
}

async fn nodes(rig: &Rig) -> Result<()> {
    let room = json!({"cpu": "64", "memory": "256Gi", "pods": "110"});
    let node = |number: usize| {
        json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("node-{number:03}")},
            "status": {"capacity": room, "allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]},
        })
    };
    let nodes: Vec<Value> = (0..NODES).map(node).collect();
    fleet::create(&rig.client, "/api/v1/nodes", &nodes).await?;
    // Admission taints every new node as not ready; no controller runs here that would take it off.
    for number in 0..NODES {
        let path = format!("/api/v1/nodes/node-{number:03}");
        fleet::patch(&rig.client, &path, &json!({"spec": {"taints": null}})).await?;
    }
    Ok(())
}

fn pod(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("pod-{number:05}"), "namespace": PODS},
        "spec": {
            "containers": [{"name": "main", "image": "pause", "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}}],
        },
    })
}

/// A scheduler whose client is not held back, as the operator's is not.
fn start(rig: &Rig) -> Result<Bound> {
    let config = json!({
        "apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": rig.server.kubeconfig(), "qps": 5_000, "burst": 5_000},
        "leaderElection": {"leaderElect": false},
    });
    let file = rig.server.dir().join("scheduler.json");
    std::fs::write(&file, config.to_string())?;
    let args = [format!("--config={}", file.display()), "--secure-port=0".to_owned()];
    Bound::start(&rig.server.tool("kube-scheduler"), &args, &[], &rig.server.dir().join("kube-scheduler.log"))
}
