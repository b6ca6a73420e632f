//! Edits: a forbidden place is replaced before it is removed; images and arguments change in place.

use anyhow::{Context, ensure};
use roadstead_ground::ground::GPU;
use serde_json::json;

use super::stage::{EVERYTHING, SOON, Stage, TEAM, condition, deployment, on_member, placed_on};

pub fn replaces_before_removing(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    ensure!(placed_on(&stage.ready("llama")?) == "east");
    let east = stage.ground.member("east")?;
    let west = stage.ground.member("west")?;

    stage.edit("llama", &json!({"spec": {"placement": {"jurisdictions": ["EU"]}}}))?;
    stage.until("the replacement answers while the old endpoint is still there", SOON, || {
        let endpoints = stage.ground.hub.list("iep", TEAM)?;
        let new = endpoints.iter().find(|one| one["spec"]["target"] == "west").context("no replacement yet")?;
        let old = on_member(east)?;
        // At no time may both be missing: either the old one is there, or the new one is ready.
        let new_ready = condition(new, "Ready")["status"] == "True";
        assert!(new_ready || old.len() == 1, "the old endpoint went before the new one was ready");
        ensure!(new_ready, "not ready yet");
        Ok(())
    })?;
    stage.until("nothing is left behind on east", SOON, || {
        ensure!(on_member(east)?.is_empty() && on_member(west)?.len() == 1);
        let object = stage.deployment("llama")?;
        ensure!(object["status"]["placements"].as_array().is_some_and(|all| all.len() == 1));
        ensure!(object["status"]["releasing"].is_null());
        Ok(())
    })?;
    ensure!(placed_on(&stage.ready("llama")?) == "west");
    let left = east.names(&EVERYTHING, "roadstead")?;
    ensure!(left.is_empty(), "left on east: {left:?}");
    ensure!(stage.ask("llama")?.status == 200);
    Ok(())
}

pub fn updates_edits_in_place(stage: &Stage) -> anyhow::Result<()> {
    stage.only_accelerators("east", 1)?;
    stage.apply(&deployment("llama", &json!({})))?;
    let before = stage.ready("llama")?;
    ensure!(placed_on(&before) == "east");
    let east = stage.ground.member("east")?;
    let endpoint = before["status"]["placements"][0]["endpoint"].clone();

    // The only accelerator is its own: it restarts in place, and says so.
    stage.edit("llama", &json!({"spec": {"serving": {"args": ["--max-model-len=8192"], "env": [{"name": "ENGINE_STARTUP_SECONDS", "value": "3"}]}}}))?;
    stage.until("it says that it restarts in place", SOON, || {
        let ready = condition(&stage.deployment("llama")?, "Ready");
        ensure!(ready["reason"] == "RecreateNoSpareCapacity", "{ready}");
        Ok(())
    })?;
    stage.ready("llama")?;
    ensure!(stage.ask("llama")?.status == 200);

    east.set_accelerators(GPU, 8)?;
    stage.edit("llama", &json!({"spec": {"serving": {"args": ["--max-model-len=4096"]}}}))?;
    let after = stage.ready("llama")?;
    ensure!(after["status"]["placements"][0]["endpoint"] == endpoint, "it was replaced instead");
    let deployments = east.list("deploy", "roadstead")?;
    let args = &deployments.first().context("no Deployment")?["spec"]["template"]["spec"]["containers"][0]["args"];
    ensure!(args.to_string().contains("--max-model-len=4096"), "{args}");
    ensure!(stage.ask("llama")?.status == 200);
    Ok(())
}
