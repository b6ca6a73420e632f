//! The operator and `DigitalOcean`.

use anyhow::ensure;
use roadstead_clouds::ServiceName;
use roadstead_clouds::digital_ocean::TEAM as TEAM_ID;
use roadstead_clouds::faults::Effect;
use serde_json::json;
use tokio::runtime::Runtime;

use super::places::{
    DIGITAL_OCEAN, LLAMA, clouds, deployment, digital_ocean, digital_ocean_key, fault, held_at_digital_ocean, overrides,
};
use super::stage::{ServiceStage, TEAM};

#[test]
fn a_deployment_is_served_scaled_and_removed_under_a_name_that_says_whose_it_is() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    for operation in ["create", "createToken"] {
        clouds.add_fault(fault(ServiceName::DigitalOcean, operation, Some(1), Effect::LoseAnswer));
    }
    stage.apply(&digital_ocean_key())?;
    let mut target = digital_ocean();
    // The price is the service's own.
    target["spec"]["offers"][0].as_object_mut().unwrap().remove("hourlyPrice");
    stage.apply(&target)?;
    stage.condition(DIGITAL_OCEAN, "Ready", "True")?;
    let seen = stage.get(DIGITAL_OCEAN)?["status"].clone();
    ensure!(seen["clusterUID"] == format!("{TEAM_ID}.tor1"), "pinned: {}", seen["clusterUID"]);
    let terms = &seen["terms"][0];
    ensure!(terms["hourlyPrice"] == "23.92" && terms.get("quota").is_none(), "{terms}");

    let mut wanted = deployment(8);
    wanted["spec"]["placement"] = json!({"jurisdictions": ["CA"]});
    stage.apply(&wanted)?;
    // Ready needs an answer of the engine, which knows the model by the service's name, with a token that the service issued.
    stage.condition(LLAMA, "Ready", "True")?;
    ensure!(held_at_digital_ocean(&clouds)[..2] == [1, 1], "{}", clouds.state(ServiceName::DigitalOcean));
    let instance = clouds.state(ServiceName::DigitalOcean)["instances"][0].clone();
    let placement = stage.get(LLAMA)?["status"]["placements"][0].clone();
    let endpoint = placement["endpoint"].as_str().unwrap_or_default().to_owned();
    let name = instance["name"].as_str().unwrap_or_default();
    ensure!(name.starts_with(&format!("{endpoint}__")) && name.contains(TEAM), "{name} of {endpoint}");
    let secret = placement["apiKeySecretName"].as_str().unwrap_or_default().to_owned();
    let key = stage.get(("secret", TEAM, secret.leak()))?["data"]["apiKey"].clone();
    // Beside the service's own and the one whose answer was lost.
    ensure!(key != json!(null) && instance["tokens"] == 3, "{instance}");

    stage.kubectl(&["scale", "mdep", LLAMA.2, "-n", TEAM, "--replicas=2"])?;
    stage.ready_replicas(LLAMA, 2)?;
    ensure!(held_at_digital_ocean(&clouds)[..2] == [1, 2], "{}", clouds.state(ServiceName::DigitalOcean));

    stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--wait=true", "--timeout=120s"])?;
    ensure!(held_at_digital_ocean(&clouds)[0] == 0, "left: {}", clouds.state(ServiceName::DigitalOcean));
    stage.kubectl(&["delete", "servingtarget", DIGITAL_OCEAN.2, "--wait=true", "--timeout=60s"]).map(drop)
}
