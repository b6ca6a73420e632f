//! Priority orders planning and never displaces.

use anyhow::ensure;
use roadstead_ground::ground::GPU;
use serde_json::json;

use super::stage::{SOON, Stage, condition, deployment, placed_on, pods, tells};

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
    let west = stage.ground.member("west")?;
    stage.only_accelerators("west", 0)?;
    stage.apply(&deployment("first-low", &only_west(0)))?;
    waits(stage, "first-low")?;
    stage.apply(&deployment("second-high", &only_west(10)))?;
    waits(stage, "second-high")?;
    west.set_accelerators(GPU, 1)?;
    ensure!(placed_on(&stage.ready("second-high")?) == "west");
    waits(stage, "first-low").map(drop)
}

pub fn preempts_no_running_model(stage: &Stage) -> anyhow::Result<()> {
    let west = stage.ground.member("west")?;
    stage.only_accelerators("west", 1)?;
    stage.apply(&deployment("low", &only_west(0)))?;
    stage.ready("low")?;
    let before = pods(west)?;
    stage.apply(&deployment("high", &only_west(100)))?;
    let waiting = waits(stage, "high")?;
    tells(&condition(&waiting, "Placed")["message"], &["low", "lower priority"])?;
    ensure!(pods(west)? == before, "the incumbent was touched");
    stage.ready("low").map(drop)
}
