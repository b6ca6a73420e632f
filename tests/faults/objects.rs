//! The objects of the fault tests.

use serde_json::{Value, json};

use super::rig::TEAM;

/// A simulated target with one offer of H100s.
pub fn target(name: &str, cloud: &str, region: &str, price: &str, simulated: &Value) -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": name},
        "spec": {
            "cloud": cloud, "region": region, "type": "Simulated", "simulated": simulated, "allowedNamespaces": {},
            "offers": [{
                "name": "h100", "instanceType": "i", "accelerator": {"type": "H100", "count": 8},
                "capacityType": "OnDemand", "hourlyPrice": price, "maxInstances": 4,
            }],
        },
    })
}

/// The two places of most tests: the cheaper one is in the US.
pub fn places(simulated: &Value) -> [Value; 2] {
    [target("east", "aws", "us-east-1", "40.00", simulated), target("west", "gcp", "europe-west4", "55.20", simulated)]
}

/// A deployment of two replicas in the EU.
pub fn deployment() -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": "llama", "namespace": TEAM},
        "spec": {
            "model": {"source": "hf://example/llama"},
            "serving": {
                "engine": "vllm", "image": "vllm/vllm-openai:v0.20.0", "drainTimeoutSeconds": 1,
                "shapes": [{"name": "h100x2", "accelerator": {"type": "H100", "count": 2}}],
            },
            "replicas": 2,
            "placement": {"jurisdictions": ["EU"]},
        },
    })
}
