//! The numbers said yes and the scheduler says no: the next place is tried. What was ready once stays.

use std::time::Duration;

use anyhow::{Context, ensure};
use roadstead_ground::fake_node::FakeNode;
use roadstead_ground::ground::GPU;
use serde_json::json;

use super::stage::{SOON, Stage, candidate, condition, deployment, on_member, placed_on, tells};

pub fn backs_off_from_a_place_that_refused(stage: &Stage) -> anyhow::Result<()> {
    let east = stage.ground.member("east")?;
    // Room in every number that is counted, and none for a single pod.
    let full = json!({GPU: "8", "cpu": "64", "memory": "64Gi", "ephemeral-storage": "100Gi", "pods": "0"});
    let _node = FakeNode::add(east, "full", &json!({}), &full)?;
    stage.only_accelerators("east", 0)?;
    stage.apply(&deployment("llama", &json!({})))?;
    stage.until("east is chosen first", SOON, || {
        ensure!(placed_on(&stage.deployment("llama")?) == "east");
        Ok(())
    })?;
    let ready = stage.condition("mdep", super::stage::TEAM, "llama", "Ready", "True", Duration::from_secs(90))?;
    ensure!(placed_on(&ready) == "west", "placed on {}", placed_on(&ready));
    let refused = candidate(&ready, "east")?;
    ensure!(refused["reason"] == "Exhausted", "{refused}");
    let target = stage.ground.get("servingtarget", "", "east")?;
    let exhausted = &target["status"]["exhausted"][0];
    ensure!(exhausted["attempts"] == 1 && exhausted["offer"] == "h100", "{exhausted}");
    exhausted["until"].as_str().context("until when?")?;
    tells(
        &refused["message"],
        &["this offer refused a replica with 1 H100 (CapacityExhausted); the operator does not retry it before"],
    )?;
    stage.until("nothing is left on east", SOON, || {
        ensure!(on_member(east)?.is_empty());
        Ok(())
    })
}

pub fn keeps_an_endpoint_that_was_ready(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({"failover": {"policy": "Disabled"}})))?;
    stage.ready("llama")?;
    let east = stage.ground.member("east")?;
    // Its node is lost to it: the pod is evicted, and no other has room.
    east.kubectl(&["cordon", &east.node().name])?;
    let result = lost(stage);
    east.kubectl(&["uncordon", &east.node().name])?;
    result?;
    stage.ready("llama")?;
    ensure!(on_member(stage.ground.member("west")?)?.is_empty(), "it was doubled");
    Ok(())
}

fn lost(stage: &Stage) -> anyhow::Result<()> {
    let east = stage.ground.member("east")?;
    east.kubectl(&["delete", "pods", "-n", "roadstead", "--all", "--wait=true"])?;
    stage.until("it says what it lacks", Duration::from_secs(90), || {
        let object = stage.deployment("llama")?;
        let ready = condition(&object, "Ready");
        ensure!(ready["reason"] == "InsufficientCapacity" && placed_on(&object) == "east", "{ready}");
        Ok(())
    })?;
    ensure!(on_member(stage.ground.member("west")?)?.is_empty(), "it went elsewhere");
    Ok(())
}
