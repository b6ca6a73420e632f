//! A member's only node dies under an endpoint: the status stays true, nothing is doubled, and the member brings it back
//! with its node.

use std::time::{Duration, Instant};

use anyhow::ensure;
use roadstead_ground::ground::GPU;
use serde_json::json;

use super::stage::{SOON, Stage, condition, deployment, on_member, placed_on};

/// The member finds its node lost after 20 s.
const LOST: Duration = Duration::from_secs(90);

pub fn node_dies(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    stage.ready("llama")?;
    let east = stage.ground.member("east")?;
    east.kill_node();
    let result = lost(stage);
    let start = Instant::now();
    east.start_node()?;
    // The plugin that counts the accelerators registers again.
    east.set_accelerators(GPU, 8)?;
    result?;
    let back = stage.condition("mdep", super::stage::TEAM, "llama", "Ready", "True", LOST)?;
    eprintln!("  the node is back; the endpoint is ready after {:.1} s", start.elapsed().as_secs_f64());
    ensure!(placed_on(&back) == "east" && back["status"]["readyReplicas"] == 1, "{}", back["status"]);
    ensure!(stage.ask("llama")?.status == 200);
    ensure!(on_member(stage.ground.member("west")?)?.is_empty(), "it was doubled");
    stage.condition("servingtarget", "", "east", "Ready", "True", SOON).map(drop)
}

fn lost(stage: &Stage) -> anyhow::Result<()> {
    let start = Instant::now();
    stage.until("the status says that it does not serve", LOST, || {
        let object = stage.deployment("llama")?;
        let ready = condition(&object, "Ready");
        ensure!(ready["status"] == "False", "{ready}");
        eprintln!(
            "  not ready after {:.1} s: {}: {}",
            start.elapsed().as_secs_f64(),
            ready["reason"],
            ready["message"]
        );
        Ok(())
    })?;
    let object = stage.until("no replica is said to be ready", LOST, || {
        let object = stage.deployment("llama")?;
        ensure!(object["status"]["readyReplicas"] == 0, "{}", object["status"]);
        Ok(object)
    })?;
    // It keeps its place, and what is paid for the place is still told.
    ensure!(placed_on(&object) == "east" && object["status"]["hourlyCost"] == "5.00", "{}", object["status"]);
    let target = stage.ground.get("servingtarget", "", "east")?;
    ensure!(condition(&target, "Ready")["status"] == "True", "its API server answers: {}", target["status"]);
    ensure!(on_member(stage.ground.member("west")?)?.is_empty(), "what was ready once stays where it is");
    Ok(())
}
