//! Three targets; the cheapest is in the US; the model must be in the EU.

use anyhow::ensure;
use roadstead_ground::client::chat;
use serde_json::json;

use super::stage::{Stage, candidate, deployment, placed_on, tells};

pub fn serves_at_the_cheapest_allowed_place(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({"replicas": 2, "placement": {"jurisdictions": ["EU"]}})))?;
    let ready = stage.ready("llama")?;
    ensure!(placed_on(&ready) == "west", "placed on {}", placed_on(&ready));
    ensure!(ready["status"]["hourlyCost"] == "13.80", "{}", ready["status"]["hourlyCost"]);

    let east = candidate(&ready, "east")?;
    ensure!(east["verdict"] == "Rejected" && east["reason"] == "JurisdictionNotAllowed", "{east}");
    ensure!(east["hourlyCost"] == "10.00", "{east}");
    tells(&east["message"], &["us-east-1", "EU", "10.00"])?;
    let north = candidate(&ready, "north")?;
    ensure!(north["verdict"] == "Feasible" && north["hourlyCost"] == "15.25", "{north}");

    let answer = stage.ask("llama")?;
    ensure!(answer.status == 200 && answer.text.contains("Ahoy?"), "{answer:?}");
    let url = ready["status"]["placements"][0]["url"].as_str().unwrap_or_default();
    ensure!(chat(url, None, "llama", "Ahoy?")?.status == 401);
    ensure!(chat(url, Some("rs-wrong"), "llama", "Ahoy?")?.status == 401);
    Ok(())
}

pub fn serves_a_custom_engine(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment(
        "own",
        &json!({"serving": {
            "engine": "custom",
            "custom": {"command": ["/usr/local/bin/vllm", "serve", "own"]},
            "args": ["--served-model-name", "own", "--port", "9000"],
            "port": 9000,
        }}),
    ))?;
    stage.ready("own")?;
    let answer = stage.ask("own")?;
    ensure!(answer.status == 200, "{answer:?}");
    Ok(())
}
