//! The operator and Azure OpenAI.

use anyhow::{Context, ensure};
use roadstead_clouds::faults::Effect;
use roadstead_clouds::{Clouds, ServiceName};
use roadstead_ground::wait::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::places::{
    AZURE_OPENAI, LLAMA, azure_key, azure_openai, clouds, deployment_of_units, fault, held_at_azure_openai, overrides,
};
use super::stage::{Key, LONG, ServiceStage, TEAM};

/// The answer to the first creation is lost.
fn lose_the_answer(clouds: &Clouds) {
    clouds.add_fault(fault(ServiceName::AzureOpenAi, "Deployments_CreateOrUpdate", Some(1), Effect::LoseAnswer));
}

#[test]
fn a_model_of_the_catalog_is_served_scaled_and_removed_and_nothing_is_made_twice_or_left() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    lose_the_answer(&clouds);
    stage.apply(&azure_key())?;
    stage.apply(&azure_openai())?;
    stage.condition(AZURE_OPENAI, "Ready", "True")?;

    stage.apply(&deployment_of_units())?;
    // Ready needs the answer of the account to a token of Entra ID.
    stage.condition(LLAMA, "Ready", "True")?;
    ensure!(held_at_azure_openai(&clouds) == [1, 8, 0], "held: {:?}", held_at_azure_openai(&clouds));
    let status = stage.served_on(LLAMA, AZURE_OPENAI.2)?;
    ensure!(status["hourlyCost"] == "16.00", "{status}");

    stage.kubectl(&["scale", "mdep", LLAMA.2, "-n", TEAM, "--replicas=2"])?;
    stage.ready_replicas(LLAMA, 2)?;
    ensure!(held_at_azure_openai(&clouds) == [1, 16, 0], "held: {:?}", held_at_azure_openai(&clouds));

    let metrics = stage.metrics()?;
    let counted = "roadstead_service_requests_total{service=\"azureopenai\",operation=\"Deployments_CreateOrUpdate\",code=\"unanswered\"} 1";
    ensure!(metrics.contains(counted), "{counted} is not in the metrics");

    stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--wait=true", "--timeout=120s"])?;
    ensure!(held_at_azure_openai(&clouds) == [0, 0, 0], "left: {:?}", held_at_azure_openai(&clouds));
    stage.kubectl(&["delete", "servingtarget", AZURE_OPENAI.2, "--wait=true", "--timeout=60s"]).map(drop)
}

/// The message of the verdict on a target.
fn message(stage: &ServiceStage, deployment: Key, target: &str) -> anyhow::Result<String> {
    let status = stage.get(deployment)?["status"].clone();
    let candidates = status["candidates"].as_array().context("no candidates")?;
    let of_target = candidates.iter().find(|candidate| candidate["target"] == target);
    let candidate = of_target.with_context(|| format!("{target} is no candidate: {candidates:?}"))?;
    Ok(candidate["message"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn weights_that_the_target_does_not_map_ignored_settings_and_an_unknown_jurisdiction_are_verdicts() -> anyhow::Result<()>
{
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    stage.apply(&azure_key())?;
    stage.apply(&azure_openai())?;
    stage.condition(AZURE_OPENAI, "Ready", "True")?;
    let mut other = deployment_of_units();
    other["spec"]["model"] = json!({"source": "hf://example/another"});
    stage.apply(&other)?;
    says(&stage, "does not serve hf://example/another; it serves hf://example/llama")?;

    // Azure's server has arguments of its own; the deployment must say that it does without its own.
    let mut with_args = deployment_of_units();
    with_args["spec"]["serving"]["overrides"] = json!([]);
    stage.apply(&with_args)?;
    says(
        &stage,
        "ignores serving.args: use another target, or leave this out there, with serving.overrides: [{type: AzureOpenAI, omit: [Args]}]",
    )?;

    stage.kubectl(&["delete", "servingtarget", AZURE_OPENAI.2, "--wait=true", "--timeout=60s"])?;
    let mut anywhere: Value = azure_openai();
    anywhere["spec"]["region"] = json!("global");
    anywhere["spec"]["offers"][0]["instanceType"] = json!("GlobalProvisionedManaged");
    stage.apply(&anywhere)?;
    stage.condition(AZURE_OPENAI, "Ready", "True")?;
    stage.apply(&deployment_of_units())?;
    says(&stage, "jurisdiction of global (azure) is unknown")?;
    ensure!(held_at_azure_openai(&clouds) == [0, 0, 0], "held: {:?}", held_at_azure_openai(&clouds));
    // Whoever declares where requests are processed allows it.
    stage.kubectl(&["delete", "servingtarget", AZURE_OPENAI.2, "--wait=true", "--timeout=60s"])?;
    anywhere["spec"]["location"] = json!({"country": "IE", "jurisdictions": ["EU"]});
    stage.apply(&anywhere)?;
    stage.served_on(LLAMA, AZURE_OPENAI.2).map(drop)
}

fn says(stage: &ServiceStage, words: &str) -> anyhow::Result<()> {
    wait("the verdict", LONG, || {
        let message = message(stage, LLAMA, AZURE_OPENAI.2)?;
        ensure!(message.contains(words), "{message}");
        Ok(())
    })
}
