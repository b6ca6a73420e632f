//! The operator and Baseten.

use anyhow::ensure;
use roadstead_clouds::ServiceName;
use roadstead_clouds::baseten::TEAM_ID;
use roadstead_clouds::faults::Effect;
use serde_json::json;
use tokio::runtime::Runtime;

use super::places::{BASETEN, LLAMA, baseten, baseten_key, clouds, deployment, fault, held_at_baseten, overrides};
use super::stage::{ServiceStage, TEAM};

#[test]
fn a_deployment_is_served_scaled_and_removed_and_its_key_is_issued_by_the_service() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    for operation in ["create", "createKey"] {
        clouds.add_fault(fault(ServiceName::Baseten, operation, Some(1), Effect::LoseAnswer));
    }
    stage.apply(&baseten_key())?;
    let mut target = baseten();
    // The price and the number of instances are the service's own.
    for field in ["hourlyPrice", "maxInstances"] {
        target["spec"]["offers"][0].as_object_mut().unwrap().remove(field);
    }
    stage.apply(&target)?;
    stage.condition(BASETEN, "Ready", "True")?;
    let seen = stage.get(BASETEN)?["status"].clone();
    ensure!(seen["clusterUID"] == format!("{TEAM_ID}.eu-west"), "pinned: {}", seen["clusterUID"]);
    let terms = &seen["terms"][0];
    ensure!(terms["hourlyPrice"] == "52.0002" && terms.get("quota").is_none(), "{terms}");

    stage.apply(&deployment(8))?;
    // Ready needs an answer of the engine, through Baseten's own guard, with a key that Baseten issued.
    stage.condition(LLAMA, "Ready", "True")?;
    ensure!(held_at_baseten(&clouds) == [1, 1, 1], "{}", clouds.state(ServiceName::Baseten));
    let placement = stage.get(LLAMA)?["status"]["placements"][0].clone();
    let secret = placement["apiKeySecretName"].as_str().unwrap_or_default().to_owned();
    let key = stage.get(("secret", TEAM, secret.leak()))?["data"]["apiKey"].clone();
    ensure!(
        key != json!(null) && clouds.state(ServiceName::Baseten)["keys"] == 2,
        "the answer to the first key was lost"
    );

    stage.kubectl(&["scale", "mdep", LLAMA.2, "-n", TEAM, "--replicas=2"])?;
    stage.ready_replicas(LLAMA, 2)?;
    ensure!(held_at_baseten(&clouds) == [1, 1, 1], "{}", clouds.state(ServiceName::Baseten));

    stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--wait=true", "--timeout=120s"])?;
    ensure!(held_at_baseten(&clouds) == [0, 0, 0], "left: {}", clouds.state(ServiceName::Baseten));
    stage.kubectl(&["delete", "servingtarget", BASETEN.2, "--wait=true", "--timeout=60s"]).map(drop)
}
