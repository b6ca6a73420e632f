//! The operator and SageMaker.

use anyhow::ensure;
use roadstead_clouds::faults::Effect;
use roadstead_clouds::sagemaker::ACCOUNT;
use roadstead_clouds::{Clouds, ServiceName};
use roadstead_ground::wait::wait;
use serde_json::json;
use tokio::runtime::Runtime;

use super::places::{LLAMA, SAGEMAKER, aws_key, clouds, deployment, fault, held, overrides, sagemaker};
use super::stage::{LONG, ServiceStage, TEAM};

/// The answers to the first creations of everything are lost.
fn lose_answers(clouds: &Clouds) {
    for operation in ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"] {
        clouds.add_fault(fault(ServiceName::SageMaker, operation, Some(1), Effect::LoseAnswer));
    }
}

#[test]
fn a_deployment_is_served_scaled_and_removed_and_nothing_is_made_twice_or_left() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    stage.apply(&sagemaker())?;
    let missing = stage.condition(SAGEMAKER, "Ready", "False")?;
    ensure!(missing["reason"] == "CredentialsMissing", "{missing}");
    stage.apply(&aws_key())?;
    stage.condition(SAGEMAKER, "Ready", "True")?;
    let pinned = stage.get(SAGEMAKER)?["status"]["clusterUID"].clone();
    ensure!(pinned == format!("{ACCOUNT}.eu-west-1"), "pinned: {pinned}");

    lose_answers(&clouds);
    stage.apply(&deployment(8))?;
    // Ready needs an answer of the engine, through SageMaker's own guard.
    stage.condition(LLAMA, "Ready", "True")?;
    ensure!(held(&clouds) == [1, 1, 1], "held: {:?}", held(&clouds));
    let cost = stage.get(LLAMA)?["status"]["hourlyCost"].clone();
    ensure!(cost == "63.30", "cost: {cost}");

    stage.kubectl(&["scale", "mdep", LLAMA.2, "-n", TEAM, "--replicas=2"])?;
    stage.ready_replicas(LLAMA, 2)?;
    ensure!(held(&clouds) == [1, 1, 1], "held: {:?}", held(&clouds));

    let metrics = stage.metrics()?;
    let counted =
        "roadstead_service_requests_total{service=\"sagemaker\",operation=\"CreateEndpoint\",code=\"unanswered\"} 1";
    ensure!(metrics.contains(counted), "{counted} is not in the metrics");

    stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--wait=true", "--timeout=120s"])?;
    ensure!(held(&clouds) == [0, 0, 0], "left: {:?}", held(&clouds));
    stage.kubectl(&["delete", "servingtarget", SAGEMAKER.2, "--wait=true", "--timeout=60s"]).map(drop)
}

/// The bodies of the requests for this operation.
fn bodies(clouds: &Clouds, operation: &str) -> Vec<String> {
    let all = clouds.requests_after(0).into_iter();
    all.filter(|exchange| exchange.operation == operation).map(|exchange| exchange.body).collect()
}

#[test]
fn an_override_holds_at_its_type_and_an_edit_of_another_ones_changes_nothing_there() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    stage.apply(&aws_key())?;
    stage.apply(&sagemaker())?;
    let mut deployment = deployment(8);
    // The registry of SageMaker's images is not that of the mirror: the override needs none.
    let image = format!("{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/tuned:1");
    let own = json!({"type": "SageMaker", "image": image, "env": [{"name": "TUNED", "value": "yes"}]});
    let others = |level: &str| json!({"type": "VertexAI", "env": [{"name": "LEVEL", "value": level}]});
    deployment["spec"]["serving"]["overrides"] = json!([own, others("low")]);
    stage.apply(&deployment)?;
    stage.condition(LLAMA, "Ready", "True")?;
    let models = bodies(&clouds, "CreateModel");
    ensure!(models.len() == 1 && models[0].contains(&image) && models[0].contains("\"TUNED\":\"yes\""), "{models:?}");
    ensure!(!models[0].contains("LEVEL"), "{models:?}");

    deployment["spec"]["serving"]["overrides"] = json!([own, others("high")]);
    stage.apply(&deployment)?;
    stage.condition(LLAMA, "Ready", "True")?;
    ensure!(bodies(&clouds, "CreateModel").len() == 1, "an override for another type was applied");
    deployment["spec"]["serving"]["overrides"][0]["env"][0]["value"] = json!("more");
    stage.apply(&deployment)?;
    wait("the endpoint is updated", LONG, || {
        let models = bodies(&clouds, "CreateModel");
        ensure!(models.last().is_some_and(|body| body.contains("\"TUNED\":\"more\"")), "{models:?}");
        Ok(())
    })
}

#[test]
fn a_shape_that_uses_a_part_of_an_instance_is_rejected_with_the_cure() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    stage.apply(&aws_key())?;
    stage.apply(&sagemaker())?;
    stage.condition(SAGEMAKER, "Ready", "True")?;
    stage.apply(&deployment(2))?;
    stage.condition(LLAMA, "Stalled", "True")?;
    let candidates = stage.get(LLAMA)?["status"]["candidates"].clone();
    let message = candidates[0]["message"].as_str().unwrap_or_default();
    ensure!(message.contains("whole instance") && message.contains("8 H100"), "{candidates}");
    ensure!(held(&clouds) == [0, 0, 0], "held: {:?}", held(&clouds));
    Ok(())
}
