//! The operator and Vertex AI.

use anyhow::ensure;
use roadstead_clouds::faults::{Effect, ScriptedFault};
use roadstead_clouds::vertex_ai::{PROJECT, PROJECT_NUMBER, ServiceAccount, VertexAiSettings, WORKLOAD};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_ground::wait::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::stage::{LONG, ServiceStage, TEAM};

const LLAMA: (&str, &str, &str) = ("modeldeployments", TEAM, "llama");
const TARGET: (&str, &str, &str) = ("servingtargets", "", "europe");
const ACCOUNT: &str = "roadstead@other.iam.gserviceaccount.com";

/// A fake whose operations take a second each, and an account that the operator may act as.
async fn clouds() -> anyhow::Result<Clouds> {
    let vertex_ai = VertexAiSettings {
        uploading_seconds: 1,
        creating_seconds: 1,
        deploying_seconds: 2,
        mutating_seconds: 1,
        undeploying_seconds: 1,
        deleting_seconds: 1,
        accounts: vec![ServiceAccount {
            email: ACCOUNT.to_owned(),
            public_key: String::new(),
            impersonated_by: vec![WORKLOAD.to_owned()],
        }],
        ..VertexAiSettings::default()
    };
    Clouds::start(CloudSettings { pace: 1, vertex_ai, ..CloudSettings::default() }).await
}

fn target() -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": TARGET.2},
        "spec": {
            "cloud": "gcp", "region": "europe-west4", "type": "VertexAI", "allowedNamespaces": {},
            "vertexAI": {
                "project": PROJECT, "impersonateServiceAccount": ACCOUNT,
                "imageMirrors": [{"source": "vllm/", "mirror": format!("europe-west4-docker.pkg.dev/{PROJECT}/images/")}],
            },
            "offers": [{"name": "a3", "instanceType": "a3-highgpu-8g", "accelerator": {"type": "H100", "count": 8},
                        "capacityType": "OnDemand", "hourlyPrice": "101.00", "maxInstances": 4}],
        },
    })
}

fn deployment() -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": LLAMA.2, "namespace": TEAM},
        "spec": {
            "model": {"source": "hf://example/llama"},
            "serving": {
                "engine": "vllm", "image": "vllm/vllm-openai:v0.20.0", "drainTimeoutSeconds": 1,
                "shapes": [{"name": "h100", "accelerator": {"type": "H100", "count": 8}}],
            },
            "placement": {"jurisdictions": ["EU"]},
        },
    })
}

/// Numbers of endpoints and models that exist; one endpoint is the claim of the hub.
fn held(clouds: &Clouds) -> [usize; 2] {
    let state = clouds.state(ServiceName::VertexAi);
    ["endpoints", "models"].map(|kind| state[0][kind].as_array().map_or(0, Vec::len))
}

/// The answers to the first creations of everything are lost.
fn lose_answers(clouds: &Clouds) {
    for operation in ["UploadModel", "CreateEndpoint", "DeployModel"] {
        clouds.add_fault(ScriptedFault {
            service: ServiceName::VertexAi,
            operation: operation.to_owned(),
            // The claim is an endpoint too.
            skip: u32::from(operation == "CreateEndpoint"),
            times: Some(1),
            effect: Effect::LoseAnswer,
        });
    }
}

#[test]
fn a_deployment_is_served_scaled_and_removed_and_nothing_is_made_twice_or_left() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&[format!("--endpoint-override=VertexAI={}", clouds.urls.vertex_ai)])?;
    lose_answers(&clouds);
    stage.apply(&target())?;
    stage.condition(TARGET, "Ready", "True")?;
    let pinned = stage.get(TARGET)?["status"]["clusterUID"].clone();
    ensure!(pinned == format!("{PROJECT_NUMBER}.europe-west4"), "pinned: {pinned}");

    stage.apply(&deployment())?;
    // Ready needs an answer of the engine, through Google's own guard.
    stage.condition(LLAMA, "Ready", "True")?;
    ensure!(held(&clouds) == [2, 1], "held: {:?}", held(&clouds));

    stage.kubectl(&["scale", "mdep", LLAMA.2, "-n", TEAM, "--replicas=2"])?;
    wait("two replicas are ready", LONG, || {
        let status = stage.get(LLAMA)?["status"].clone();
        ensure!(status["readyReplicas"] == 2, "{status}");
        Ok(())
    })?;
    ensure!(held(&clouds) == [2, 1], "held: {:?}", held(&clouds));

    let metrics = stage.metrics()?;
    let counted =
        "roadstead_service_requests_total{service=\"vertexai\",operation=\"DeployModel\",code=\"unanswered\"} 1";
    ensure!(metrics.contains(counted), "{counted} is not in the metrics");

    stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--wait=true", "--timeout=120s"])?;
    ensure!(held(&clouds) == [1, 0], "left: {:?}", held(&clouds));
    stage.kubectl(&["delete", "servingtarget", TARGET.2, "--wait=true", "--timeout=60s"]).map(drop)
}
