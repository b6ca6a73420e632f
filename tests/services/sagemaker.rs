//! The operator and SageMaker.

use anyhow::ensure;
use roadstead_clouds::faults::{Effect, ScriptedFault};
use roadstead_clouds::sagemaker::{ACCOUNT, KEY_ID, KEY_SECRET, SageMakerSettings};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_ground::wait::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::stage::{LONG, SYSTEM, ServiceStage, TEAM};

const LLAMA: (&str, &str, &str) = ("modeldeployments", TEAM, "llama");
const TARGET: (&str, &str, &str) = ("servingtargets", "", "ireland");

/// A fake whose creations take a few seconds. Its clock is the machine's, by which the operator dates the tokens of its probes.
async fn clouds() -> anyhow::Result<Clouds> {
    let sagemaker = SageMakerSettings {
        creating_seconds: 2,
        updating_seconds: 2,
        deleting_seconds: 1,
        ..SageMakerSettings::default()
    };
    Clouds::start(CloudSettings { pace: 1, sagemaker, ..CloudSettings::default() }).await
}

fn key() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "aws", "namespace": SYSTEM},
        "stringData": {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": KEY_SECRET},
    })
}

fn target() -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": TARGET.2},
        "spec": {
            "cloud": "aws", "region": "eu-west-1", "type": "SageMaker", "allowedNamespaces": {},
            "sageMaker": {
                "accountID": ACCOUNT, "executionRoleARN": format!("arn:aws:iam::{ACCOUNT}:role/containers"),
                "credentialsSecretRef": {"name": "aws"},
                "imageMirrors": [{"source": "vllm/vllm-openai",
                                  "mirror": format!("{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/vllm")}],
            },
            "offers": [{"name": "p5", "instanceType": "ml.p5.48xlarge", "accelerator": {"type": "H100", "count": 8},
                        "capacityType": "OnDemand", "hourlyPrice": "63.30", "maxInstances": 4}],
        },
    })
}

fn deployment(accelerators: u32) -> Value {
    json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": LLAMA.2, "namespace": TEAM},
        "spec": {
            "model": {"source": "hf://example/llama"},
            "serving": {
                "engine": "vllm", "image": "vllm/vllm-openai:v0.20.0", "drainTimeoutSeconds": 1,
                "args": ["--max-model-len=4096"],
                "shapes": [{"name": "h100", "accelerator": {"type": "H100", "count": accelerators}}],
            },
            "placement": {"jurisdictions": ["EU"]},
        },
    })
}

/// Numbers of endpoints, configurations and models that exist.
fn held(clouds: &Clouds) -> [usize; 3] {
    let state = clouds.state(ServiceName::SageMaker);
    ["endpoints", "configs", "models"].map(|kind| state[0][kind].as_array().map_or(0, Vec::len))
}

/// The answers to the first creations of everything are lost.
fn lose_answers(clouds: &Clouds) {
    for operation in ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"] {
        clouds.add_fault(ScriptedFault {
            service: ServiceName::SageMaker,
            operation: operation.to_owned(),
            skip: 0,
            times: Some(1),
            effect: Effect::LoseAnswer,
        });
    }
}

#[test]
fn a_deployment_is_served_scaled_and_removed_and_nothing_is_made_twice_or_left() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&[format!("--endpoint-override=SageMaker={}", clouds.urls.sagemaker)])?;
    stage.apply(&target())?;
    let missing = stage.condition(TARGET, "Ready", "False")?;
    ensure!(missing["reason"] == "CredentialsMissing", "{missing}");
    stage.apply(&key())?;
    stage.condition(TARGET, "Ready", "True")?;
    let pinned = stage.get(TARGET.0, TARGET.1, TARGET.2)?["status"]["clusterUID"].clone();
    ensure!(pinned == format!("{ACCOUNT}.eu-west-1"), "pinned: {pinned}");

    lose_answers(&clouds);
    stage.apply(&deployment(8))?;
    // Ready needs an answer of the engine, through SageMaker's own guard.
    stage.condition(LLAMA, "Ready", "True")?;
    ensure!(held(&clouds) == [1, 1, 1], "held: {:?}", held(&clouds));
    let cost = stage.get(LLAMA.0, LLAMA.1, LLAMA.2)?["status"]["hourlyCost"].clone();
    ensure!(cost == "63.30", "cost: {cost}");

    stage.kubectl(&["scale", "mdep", LLAMA.2, "-n", TEAM, "--replicas=2"])?;
    wait("two replicas are ready", LONG, || {
        let status = stage.get(LLAMA.0, LLAMA.1, LLAMA.2)?["status"].clone();
        ensure!(status["readyReplicas"] == 2, "{status}");
        Ok(())
    })?;
    ensure!(held(&clouds) == [1, 1, 1], "held: {:?}", held(&clouds));

    let metrics = stage.metrics()?;
    let counted =
        "roadstead_service_requests_total{service=\"sagemaker\",operation=\"CreateEndpoint\",code=\"unanswered\"} 1";
    ensure!(metrics.contains(counted), "{counted} is not in the metrics");

    stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--wait=true", "--timeout=120s"])?;
    ensure!(held(&clouds) == [0, 0, 0], "left: {:?}", held(&clouds));
    stage.kubectl(&["delete", "servingtarget", TARGET.2, "--wait=true", "--timeout=60s"]).map(drop)
}

#[test]
fn a_shape_that_uses_a_part_of_an_instance_is_rejected_with_the_cure() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&[format!("--endpoint-override=SageMaker={}", clouds.urls.sagemaker)])?;
    stage.apply(&key())?;
    stage.apply(&target())?;
    stage.condition(TARGET, "Ready", "True")?;
    stage.apply(&deployment(2))?;
    stage.condition(LLAMA, "Stalled", "True")?;
    let candidates = stage.get(LLAMA.0, LLAMA.1, LLAMA.2)?["status"]["candidates"].clone();
    let message = candidates[0]["message"].as_str().unwrap_or_default();
    ensure!(message.contains("whole instance") && message.contains("8 H100"), "{candidates}");
    ensure!(held(&clouds) == [0, 0, 0], "held: {:?}", held(&clouds));
    Ok(())
}
