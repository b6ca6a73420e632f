//! The fleet of the benchmark: targets in a simulated cloud, and deployments of many sizes under a few rules.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use kube::Client;
use serde_json::{Value, json};

/// The namespace of the deployments.
pub const TEAM: &str = "team";
/// Objects that the client creates at once.
const AT_ONCE: usize = 16;

const TARGETS: usize = 20;
const REGIONS: [(&str, &str); 5] = [
    ("aws", "us-east-1"),
    ("gcp", "europe-west4"),
    ("azure", "germanywestcentral"),
    ("aws", "eu-central-1"),
    ("gcp", "us-central1"),
];
/// Replicas of the deployments, one after another.
const REPLICAS: [usize; 4] = [1, 2, 4, 8];

/// Targets with room for so many deployments, and a quarter more.
pub fn targets(deployments: usize, startup_seconds: u32) -> Vec<Value> {
    let accelerators = deployments * REPLICAS.iter().sum::<usize>() / REPLICAS.len();
    let instances = (accelerators * 5 / 4).div_ceil(TARGETS * 8).max(2);
    (0..TARGETS)
        .map(|number| {
            let (cloud, region) = REGIONS[number % REGIONS.len()];
            let offer = |name: &str, price: usize, instances: usize| {
                json!({
                    "name": name, "instanceType": format!("{name}.metal"), "accelerator": {"type": "H100", "count": 8},
                    "capacityType": "OnDemand", "hourlyPrice": format!("{price}.00"), "maxInstances": instances,
                })
            };
            json!({
                "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget",
                "metadata": {"name": format!("target-{number:02}")},
                "spec": {
                    "cloud": cloud, "region": region, "type": "Simulated", "allowedNamespaces": {},
                    "simulated": {"startupSeconds": startup_seconds},
                    "offers": [offer("near", 40 + number, instances / 2), offer("far", 60 + number, instances - instances / 2)],
                },
            })
        })
        .collect()
}

/// So many deployments; a third of them must stay in the EU. Nothing but a hyphen or a dot follows their name in the
/// names of what is made for them.
pub fn deployments(count: usize) -> Vec<Value> {
    (0..count)
        .map(|number| {
            let placement = if number.is_multiple_of(3) { json!({"jurisdictions": ["EU"]}) } else { json!({}) };
            json!({
                "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
                "metadata": {"name": format!("m{number:05}"), "namespace": TEAM},
                "spec": {
                    "model": {"source": "hf://example/model"},
                    "serving": {
                        "engine": "vllm", "image": "vllm/vllm-openai:v0.20.0",
                        "args": ["--max-model-len=32768", "--gpu-memory-utilization=0.92"],
                        "env": [{"name": "VLLM_LOGGING_LEVEL", "value": "INFO"}],
                        "resources": {"requests": {"cpu": "4", "memory": "32Gi"}},
                        "shapes": [{"name": "h100", "accelerator": {"type": "H100", "count": 1}}],
                    },
                    "replicas": REPLICAS[number % REPLICAS.len()],
                    "placement": placement,
                },
            })
        })
        .collect()
}

/// Creates objects as a client does that has many at once; says when each was answered.
pub async fn create(client: &Client, path: &str, objects: &[Value]) -> Result<BTreeMap<String, Instant>> {
    let create = |object: Value| async move {
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        send(client, http::Method::POST, path, "application/json", &object).await?;
        anyhow::Ok((name, Instant::now()))
    };
    stream::iter(objects.iter().cloned()).map(create).buffer_unordered(AT_ONCE).try_collect().await
}

/// Patches an object by a merge patch; returns what it is then.
pub async fn patch(client: &Client, path: &str, change: &Value) -> Result<Value> {
    send(client, http::Method::PATCH, path, "application/merge-patch+json", change).await
}

async fn send(client: &Client, method: http::Method, path: &str, kind: &str, body: &Value) -> Result<Value> {
    let what = format!("{method} {path}");
    let request = http::Request::builder().method(method).uri(path).header(http::header::CONTENT_TYPE, kind);
    client.request(request.body(body.to_string().into_bytes())?).await.context(what)
}
