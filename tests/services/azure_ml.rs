//! The operator and Azure ML.

use anyhow::ensure;
use roadstead_clouds::azure::WORKSPACE_ID;
use roadstead_clouds::faults::Effect;
use roadstead_clouds::{Clouds, ServiceName};
use tokio::runtime::Runtime;

use super::places::{AZURE_ML, LLAMA, azure_key, azure_ml, clouds, deployment, fault, held_at_azure_ml, overrides};
use super::stage::{ServiceStage, TEAM};

/// The answers to the first creations of everything are lost.
fn lose_answers(clouds: &Clouds) {
    for kind in ["EnvironmentVersions", "OnlineEndpoints", "OnlineDeployments"] {
        let operation = format!("{kind}_CreateOrUpdate");
        clouds.add_fault(fault(ServiceName::Azure, &operation, Some(1), Effect::LoseAnswer));
    }
}

#[test]
fn a_deployment_is_served_scaled_and_removed_and_nothing_is_made_twice_or_left() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    lose_answers(&clouds);
    stage.apply(&azure_key())?;
    stage.apply(&azure_ml())?;
    stage.condition(AZURE_ML, "Ready", "True")?;
    let pinned = stage.get(AZURE_ML)?["status"]["clusterUID"].clone();
    ensure!(pinned == WORKSPACE_ID, "pinned: {pinned}");

    stage.apply(&deployment(8))?;
    // Ready needs an answer of the engine with the endpoint's own key, and a refusal without it.
    stage.condition(LLAMA, "Ready", "True")?;
    ensure!(held_at_azure_ml(&clouds) == [1, 1, 1], "held: {:?}", held_at_azure_ml(&clouds));

    stage.kubectl(&["scale", "mdep", LLAMA.2, "-n", TEAM, "--replicas=2"])?;
    stage.ready_replicas(LLAMA, 2)?;
    ensure!(held_at_azure_ml(&clouds) == [1, 1, 1], "held: {:?}", held_at_azure_ml(&clouds));

    let metrics = stage.metrics()?;
    let counted = "roadstead_service_requests_total{service=\"azureml\",operation=\"OnlineDeployments_CreateOrUpdate\",code=\"unanswered\"} 1";
    ensure!(metrics.contains(counted), "{counted} is not in the metrics");

    stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--wait=true", "--timeout=120s"])?;
    ensure!(held_at_azure_ml(&clouds) == [0, 0, 0], "left: {:?}", held_at_azure_ml(&clouds));
    stage.kubectl(&["delete", "servingtarget", AZURE_ML.2, "--wait=true", "--timeout=60s"]).map(drop)
}
