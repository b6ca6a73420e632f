//! The operator and Bedrock.

use anyhow::ensure;
use roadstead_clouds::ServiceName;
use roadstead_clouds::faults::Effect;
use roadstead_clouds::sagemaker::ACCOUNT;
use serde_json::json;
use tokio::runtime::Runtime;

use super::places::{
    BEDROCK, LLAMA, SAGEMAKER, THROUGHPUT, aws_key, bedrock, clouds, deployment, deployment_of_units, fault,
    held_at_bedrock, held_of_throughput, overrides, sagemaker, throughput,
};
use super::stage::{ServiceStage, TEAM};

#[test]
fn a_model_is_imported_once_and_removed_and_nothing_is_billed_for_it_at_rest() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    clouds.add_fault(fault(ServiceName::Bedrock, "CreateModelImportJob", Some(1), Effect::LoseAnswer));
    stage.apply(&aws_key())?;
    stage.apply(&bedrock())?;
    stage.condition(BEDROCK, "Ready", "True")?;
    let pinned = stage.get(BEDROCK)?["status"]["clusterUID"].clone();
    ensure!(pinned == format!("{ACCOUNT}.eu-central-1.bedrock"), "pinned: {pinned}");

    stage.apply(&deployment(8))?;
    // Ready needs the control plane's word alone: a question to the model would start a copy of it.
    stage.condition(LLAMA, "Ready", "True")?;
    let shown = clouds.state(ServiceName::Bedrock);
    ensure!(held_at_bedrock(&clouds) == 1 && shown[0]["billedUnitWindows"] == 0, "held: {shown}");
    let is_source = |body: &str| body.contains("s3://weights/example/llama/");
    let imports = clouds.requests_after(0).into_iter().filter(|asked| asked.operation == "CreateModelImportJob");
    ensure!(imports.filter(|asked| is_source(&asked.body)).count() >= 1, "imported from another folder");

    // One model answers as many requests as come: a second replica is no form of it.
    stage.patch(LLAMA, &json!({"spec": {"replicas": 2}}))?;
    stage.condition(LLAMA, "Ready", "False")?;
    let status = stage.get(LLAMA)?["status"].to_string();
    ensure!(status.contains("ProviderUnsupported"), "{status}");
    stage.patch(LLAMA, &json!({"spec": {"replicas": 1}}))?;
    stage.condition(LLAMA, "Ready", "True")?;

    stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--wait=true", "--timeout=120s"])?;
    let shown = clouds.state(ServiceName::Bedrock);
    ensure!(held_at_bedrock(&clouds) == 0 && shown[0]["billedUnitWindows"] == 0, "left: {shown}");
    stage.kubectl(&["delete", "servingtarget", BEDROCK.2, "--wait=true", "--timeout=60s"]).map(drop)
}

#[test]
fn a_region_of_an_account_is_a_target_at_sagemaker_and_two_others_at_bedrock() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    stage.apply(&aws_key())?;
    let mut neighbour = sagemaker();
    neighbour["spec"]["region"] = bedrock()["spec"]["region"].clone();
    stage.apply(&neighbour)?;
    stage.condition(SAGEMAKER, "Ready", "True")?;
    stage.apply(&bedrock())?;
    stage.condition(BEDROCK, "Ready", "True")?;
    stage.apply(&throughput())?;
    stage.condition(THROUGHPUT, "Ready", "True").map(drop)
}

#[test]
fn model_units_are_bought_once_without_commitment_and_given_back() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    clouds.add_fault(fault(ServiceName::Bedrock, "CreateProvisionedModelThroughput", Some(1), Effect::LoseAnswer));
    stage.apply(&aws_key())?;
    stage.apply(&throughput())?;
    stage.condition(THROUGHPUT, "Ready", "True")?;
    let pinned = stage.get(THROUGHPUT)?["status"]["clusterUID"].clone();
    ensure!(pinned == format!("{ACCOUNT}.eu-central-1.bedrock-throughput"), "pinned: {pinned}");

    stage.apply(&deployment_of_units())?;
    stage.condition(LLAMA, "Ready", "True")?;
    let shown = clouds.state(ServiceName::Bedrock)[0]["throughputs"].clone();
    ensure!(held_of_throughput(&clouds) == [1, 2, 0] && shown[0]["commitment"].is_null(), "held: {shown}");

    // Units cannot be changed: a second replica is no form of it.
    stage.patch(LLAMA, &json!({"spec": {"replicas": 2}}))?;
    stage.condition(LLAMA, "Ready", "False")?;
    let status = stage.get(LLAMA)?["status"].to_string();
    ensure!(status.contains("ProviderUnsupported"), "{status}");
    stage.patch(LLAMA, &json!({"spec": {"replicas": 1}}))?;
    stage.condition(LLAMA, "Ready", "True")?;

    stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--wait=true", "--timeout=120s"])?;
    let shown = clouds.state(ServiceName::Bedrock);
    ensure!(held_of_throughput(&clouds) == [0, 0, 0], "left: {shown}");
    stage.kubectl(&["delete", "servingtarget", THROUGHPUT.2, "--wait=true", "--timeout=60s"]).map(drop)
}
