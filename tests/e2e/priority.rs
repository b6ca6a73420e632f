//! Priority orders planning and never displaces.

use anyhow::ensure;
use roadstead_ground::ground::GPU;
use serde_json::json;

use super::stage::{SOON, Stage, TEAM, condition, deployment, placed_on, pods, tells};

fn only_west(priority: i32) -> serde_json::Value {
    json!({"priority": priority, "placement": {"clouds": {"allow": ["gcp"]}}})
}

fn waits(stage: &Stage, name: &str) -> anyhow::Result<serde_json::Value> {
    stage.until(&format!("{name} waits"), SOON, || {
        let object = stage.deployment(name)?;
        ensure!(condition(&object, "Placed")["reason"] == "NoFeasiblePlacement", "{object}");
        Ok(object)
    })
}

pub fn gives_the_slot_to_the_highest_priority(stage: &Stage) -> anyhow::Result<()> {
    let (hub, west) = (&stage.ground.hub, stage.ground.member("west")?);
    stage.only_accelerators("west", 0)?;
    stage.apply(&deployment("first-low", &only_west(0)))?;
    waits(stage, "first-low")?;
    stage.apply(&deployment("second-high", &only_west(10)))?;
    waits(stage, "second-high")?;
    west.set_accelerators(GPU, 1)?;
    ensure!(placed_on(&stage.ready("second-high")?) == "west");
    // The one slot has gone to one of them, and the other has nothing anywhere.
    let owners: Vec<_> =
        hub.list("iep", TEAM)?.iter().map(|one| one["spec"]["deploymentRef"]["name"].clone()).collect();
    ensure!(owners == ["second-high"], "{owners:?}");
    let placed = condition(&stage.deployment("first-low")?, "Placed");
    ensure!(placed["status"] == "False" && placed["reason"] == "NoFeasiblePlacement", "{placed}");
    Ok(())
}

pub fn preempts_no_running_model(stage: &Stage) -> anyhow::Result<()> {
    let west = stage.ground.member("west")?;
    stage.only_accelerators("west", 1)?;
    stage.apply(&deployment("incumbent", &only_west(0)))?;
    stage.ready("incumbent")?;
    let before = pods(west)?;
    stage.apply(&deployment("high", &only_west(100)))?;
    let waiting = waits(stage, "high")?;
    let held = "deployments of lower priority use offer h100 on west (incumbent); Roadstead does not preempt them";
    tells(&condition(&waiting, "Placed")["message"], &[held])?;
    ensure!(pods(west)? == before, "the incumbent was touched");
    stage.ready("incumbent").map(drop)
}
