//! Credentials that lack one right after the other: the hub says which one, and nothing else breaks.

use anyhow::{Context, ensure};
use roadstead_clouds::faults::Effect;
use roadstead_clouds::{Clouds, ServiceName};
use roadstead_ground::wait::wait;
use serde_json::json;
use tokio::runtime::Runtime;

use super::choice::services;
use super::places::{HUGGING_FACE, LLAMA, SAGEMAKER, clouds, deployment, fault, held};
use super::stage::{Key, LONG, ServiceStage, TEAM};

/// A deployment that only Hugging Face serves.
const OTHER: Key = ("mdep", TEAM, "other");

/// Waits until the status of the deployment, of its endpoint or of the target names the right.
fn says(stage: &ServiceStage, right: &str) -> anyhow::Result<()> {
    wait(&format!("{right} is named"), LONG, || {
        let mut objects = stage.list("iep", TEAM)?;
        objects.extend(stage.list("mdep", TEAM)?);
        objects.push(stage.get(SAGEMAKER)?);
        let all = objects.iter().map(|object| object["status"].to_string()).collect::<Vec<_>>().join("\n");
        ensure!(all.contains(&format!("sagemaker:{right}")), "{all}");
        Ok(())
    })
}

/// Takes a right away while `act` is done, until the hub names it.
fn without(
    clouds: &Clouds,
    stage: &ServiceStage,
    right: &str,
    act: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    clouds.set_faults(vec![fault(ServiceName::SageMaker, right, None, Effect::Deny)]);
    act()?;
    says(stage, right).with_context(|| format!("without {right}"))?;
    clouds.set_faults(Vec::new());
    Ok(())
}

#[test]
fn each_missing_right_is_named_and_the_other_place_serves_on() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = services(&clouds, &[])?;
    let mut other = deployment(8);
    other["metadata"]["name"] = json!(OTHER.2);
    other["spec"]["placement"]["targetSelector"] = json!({"matchLabels": {"place": HUGGING_FACE.2}});
    stage.apply(&other)?;
    stage.served_on(OTHER, HUGGING_FACE.2)?;

    for right in ["CreateModel", "CreateEndpointConfig", "CreateEndpoint", "DescribeEndpoint"] {
        without(&clouds, &stage, right, || stage.apply(&deployment(8)))?;
        stage.served_on(LLAMA, SAGEMAKER.2)?;
        stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--wait=true", "--timeout=120s"])?;
        ensure!(held(&clouds) == [0, 0, 0], "left after {right}: {:?}", held(&clouds));
    }
    stage.apply(&deployment(8))?;
    stage.served_on(LLAMA, SAGEMAKER.2)?;
    without(&clouds, &stage, "UpdateEndpointWeightsAndCapacities", || {
        stage.patch(LLAMA, &json!({"spec": {"replicas": 2}}))
    })?;
    stage.served_on(LLAMA, SAGEMAKER.2)?;
    without(&clouds, &stage, "UpdateEndpoint", || {
        stage.patch(LLAMA, &json!({"spec": {"serving": {"args": ["--max-model-len=2048"]}}}))
    })?;
    stage.served_on(LLAMA, SAGEMAKER.2)?;
    without(&clouds, &stage, "DeleteEndpoint", || {
        stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--wait=false"]).map(drop)
    })?;
    wait("everything is gone", LONG, || {
        ensure!(held(&clouds) == [0, 0, 0], "left: {:?}", held(&clouds));
        Ok(())
    })?;
    stage.served_on(OTHER, HUGGING_FACE.2).map(drop)
}
