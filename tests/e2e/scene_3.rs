//! Edits: a forbidden place is replaced before it is removed; images and arguments change in place.

use anyhow::{Context, ensure};
use roadstead_ground::ground::GPU;
use serde_json::json;

use super::stage::{SOON, Stage, TEAM, condition, deployment, on_member, placed_on};

pub fn replaced_before_removed(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    ensure!(placed_on(&stage.ready("llama")?) == "east");
    let east = stage.ground.member("east")?;
    let west = stage.ground.member("west")?;

    stage.edit("llama", &json!({"spec": {"placement": {"jurisdictions": ["EU"]}}}))?;
    stage.until("the replacement answers while the old endpoint is still there", SOON, || {
        let endpoints: serde_json::Value =
            serde_json::from_str(&stage.ground.hub.kubectl(&["get", "iep", "-n", TEAM, "-o", "json"])?)?;
        let items = endpoints["items"].as_array().context("no list")?;
        let new = items.iter().find(|one| one["spec"]["target"] == "west").context("no replacement yet")?;
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
    let left = east.kubectl(&["get", "svc,pdb,secret,rs,pods", "-n", "roadstead", "-o", "name"])?;
    ensure!(left.is_empty(), "left on east: {left}");
    ensure!(stage.ask("llama")?.status == 200);
    Ok(())
}

pub fn edits_update_in_place(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    let before = stage.ready("llama")?;
    let east = stage.ground.member("east")?;
    let endpoint = before["status"]["placements"][0]["endpoint"].clone();

    stage.edit("llama", &json!({"spec": {"serving": {"args": ["--max-model-len=4096"]}}}))?;
    let after = stage.ready("llama")?;
    ensure!(after["status"]["placements"][0]["endpoint"] == endpoint, "it was replaced instead");
    let args = east.kubectl(&[
        "get",
        "deploy",
        "-n",
        "roadstead",
        "-o",
        "jsonpath={.items[0].spec.template.spec.containers[0].args}",
    ])?;
    ensure!(args.contains("--max-model-len=4096"), "{args}");
    ensure!(stage.ask("llama")?.status == 200);

    // The only accelerator is its own: it restarts in place, and says so.
    east.set_accelerators(GPU, 1)?;
    stage.capacity_is_seen("east", &[0])?;
    stage.edit("llama", &json!({"spec": {"serving": {"args": ["--max-model-len=8192"], "env": [{"name": "ENGINE_STARTUP_SECONDS", "value": "3"}]}}}))?;
    stage.until("it says that it restarts in place", SOON, || {
        let ready = condition(&stage.deployment("llama")?, "Ready");
        ensure!(ready["reason"] == "RecreateNoSpareCapacity", "{ready}");
        Ok(())
    })?;
    stage.ready("llama")?;
    ensure!(stage.ask("llama")?.status == 200);
    Ok(())
}
