//! The operator and Vertex AI.

use anyhow::ensure;
use roadstead_clouds::faults::{Effect, ScriptedFault};
use roadstead_clouds::vertex_ai::PROJECT_NUMBER;
use roadstead_clouds::{Clouds, ServiceName};
use tokio::runtime::Runtime;

use super::places::{LLAMA, VERTEX_AI, clouds, deployment, fault, held_at_vertex_ai, overrides, vertex_ai};
use super::stage::{ServiceStage, TEAM};

/// The answers to the first creations of everything are lost.
fn lose_answers(clouds: &Clouds) {
    for operation in ["UploadModel", "CreateEndpoint", "DeployModel"] {
        // The claim is an endpoint too.
        let skip = u32::from(operation == "CreateEndpoint");
        let fault = fault(ServiceName::VertexAi, operation, Some(1), Effect::LoseAnswer);
        clouds.add_fault(ScriptedFault { skip, ..fault });
    }
}

#[test]
fn a_deployment_is_served_scaled_and_removed_and_nothing_is_made_twice_or_left() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    lose_answers(&clouds);
    stage.apply(&vertex_ai())?;
    stage.condition(VERTEX_AI, "Ready", "True")?;
    let pinned = stage.get(VERTEX_AI)?["status"]["clusterUID"].clone();
    ensure!(pinned == format!("{PROJECT_NUMBER}.europe-west4"), "pinned: {pinned}");

    stage.apply(&deployment(8))?;
    // Ready needs an answer of the engine, through Google's own guard.
    stage.condition(LLAMA, "Ready", "True")?;
    ensure!(held_at_vertex_ai(&clouds) == [1, 1, 1], "held: {:?}", held_at_vertex_ai(&clouds));

    stage.kubectl(&["scale", "mdep", LLAMA.2, "-n", TEAM, "--replicas=2"])?;
    stage.ready_replicas(LLAMA, 2)?;
    ensure!(held_at_vertex_ai(&clouds) == [1, 1, 1], "held: {:?}", held_at_vertex_ai(&clouds));

    let metrics = stage.metrics()?;
    let counted =
        "roadstead_service_requests_total{service=\"vertexai\",operation=\"DeployModel\",code=\"unanswered\"} 1";
    ensure!(metrics.contains(counted), "{counted} is not in the metrics");

    stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--wait=true", "--timeout=120s"])?;
    ensure!(held_at_vertex_ai(&clouds) == [0, 0, 0], "left: {:?}", held_at_vertex_ai(&clouds));
    stage.kubectl(&["delete", "servingtarget", VERTEX_AI.2, "--wait=true", "--timeout=60s"]).map(drop)
}
