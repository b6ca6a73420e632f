//! A member's node dies under an endpoint: the status stays true, and the member's own scheduler brings it back.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use roadstead_ground::cluster::Cluster;
use roadstead_ground::ground::GPU;
use serde_json::{Value, json};

use super::stage::{SOON, Stage, condition, deployment, on_member, placed_on};

/// The member finds its node lost after 20 s, and moves the pods ten seconds later.
const LOST: Duration = Duration::from_secs(90);

pub fn node_dies(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    stage.ready("llama")?;
    let east = stage.ground.member("east")?;
    let former = pod(east)?;
    east.kill_node();
    let result = lost(stage, east, &former);
    let start = Instant::now();
    east.start_node()?;
    // The plugin that counts the accelerators registers again.
    east.set_accelerators(GPU, 8)?;
    result?;
    let back = stage.condition("mdep", super::stage::TEAM, "llama", "Ready", "True", LOST)?;
    eprintln!("  the node is back; the endpoint is ready after {:.1} s", start.elapsed().as_secs_f64());
    ensure!(placed_on(&back) == "east" && back["status"]["readyReplicas"] == 1, "{}", back["status"]);
    ensure!(pod(east)? != former, "the scheduler had nothing to do");
    ensure!(stage.ask("llama")?.status == 200);
    ensure!(on_member(stage.ground.member("west")?)?.is_empty(), "it was doubled");
    stage.condition("servingtarget", "", "east", "Ready", "True", SOON).map(drop)
}

fn lost(stage: &Stage, east: &Cluster, former: &str) -> anyhow::Result<()> {
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
    let object = stage.until("the member wants another pod, and no replica is said to be ready", LOST, || {
        let new = pod(east)?;
        ensure!(new != former, "{new} is still the only one");
        let object = stage.deployment("llama")?;
        ensure!(object["status"]["readyReplicas"] == 0, "{}", object["status"]);
        Ok(object)
    })?;
    eprintln!("  the pod was given up after {:.1} s", start.elapsed().as_secs_f64());
    // It keeps its place, and what is paid for the place is still told.
    ensure!(placed_on(&object) == "east" && object["status"]["hourlyCost"] == "5.00", "{}", object["status"]);
    let target = stage.ground.get("servingtarget", "", "east")?;
    ensure!(condition(&target, "Ready")["status"] == "True", "its API server answers: {}", target["status"]);
    let object = stage.until("it says that its pod has no node", LOST, || {
        let object = stage.deployment("llama")?;
        ensure!(condition(&object, "Ready")["reason"] == "InsufficientCapacity", "{}", object["status"]);
        Ok(object)
    })?;
    eprintln!("  after {:.1} s it says: {}", start.elapsed().as_secs_f64(), condition(&object, "Ready")["message"]);
    ensure!(on_member(stage.ground.member("west")?)?.is_empty(), "what was ready once stays where it is");
    Ok(())
}

/// The endpoint's pod that is not ending.
fn pod(member: &Cluster) -> anyhow::Result<String> {
    let pods: Value = serde_json::from_str(&member.kubectl(&["get", "pods", "-n", "roadstead", "-o", "json"])?)?;
    let staying = pods["items"].as_array().context("no list")?.iter();
    let names: Vec<&str> = staying
        .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
        .filter_map(|pod| pod["metadata"]["name"].as_str())
        .collect();
    ensure!(names.len() == 1, "{names:?}");
    names.first().map(|name| (*name).to_owned()).context("no pod")
}
