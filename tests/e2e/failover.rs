//! A member is cut off from everyone, or only its API from the hub.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use roadstead_ground::network::API_PORT;
use serde_json::{Value, json};

use super::stage::{SOON, Stage, condition, deployment, on_member, placed_on, pods};

/// The shortest toleration that a deployment can have.
const TOLERATION: u64 = 10;
/// From the partition to the new endpoint: detection, toleration, one probe, and the start of an engine.
const MOVED: Duration = Duration::from_secs(90);

/// A deployment that serves on east.
fn serving(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({"failover": {"tolerationSeconds": TOLERATION}})))?;
    let object = stage.ready("llama")?;
    ensure!(placed_on(&object) == "east", "{}", object["status"]);
    Ok(())
}

pub fn leaves_a_lost_member_and_one_copy_remains(stage: &Stage) -> anyhow::Result<()> {
    serving(stage)?;
    let east = stage.ground.member("east")?;
    east.network().partition()?;
    let start = Instant::now();
    let moved = moved(stage);
    east.network().heal()?;
    eprintln!("  serves on another member after {:.1} s", start.elapsed().as_secs_f64());
    let object = moved?;
    let seconds = |stage: &str| -> anyhow::Result<i64> {
        let stages = object["status"]["lastMove"]["stages"].as_array().context("no stages")?;
        let at = stages.iter().find(|one| one["name"] == stage).and_then(|one| one["at"].as_str());
        Ok(at.context("no such stage")?.parse::<k8s_openapi::jiff::Timestamp>()?.as_second())
    };
    let after = seconds("Decided")? - seconds("Detected")?;
    eprintln!("  decided {after} s after the first failed probe; {}", object["status"]["lastMove"]);
    ensure!(after >= 10, "it moved early: {}", object["status"]["lastMove"]);
    stage.until("one copy remains", SOON, || {
        ensure!(on_member(east)?.is_empty(), "something is left on east");
        let object = stage.deployment("llama")?;
        ensure!(object["status"]["releasing"].is_null(), "{}", object["status"]["releasing"]);
        Ok(())
    })?;
    ensure!(placed_on(&stage.ready("llama")?) == "west" && stage.ask("llama")?.status == 200, "it does not serve");
    ensure!(on_member(stage.ground.member("north")?)?.is_empty(), "it was doubled");
    stage.condition("servingtarget", "", "east", "Ready", "True", SOON).map(drop)
}

fn moved(stage: &Stage) -> anyhow::Result<Value> {
    stage.until("another member serves", MOVED, || {
        let object = stage.deployment("llama")?;
        let ready = condition(&object, "Ready");
        ensure!(placed_on(&object) == "west" && ready["status"] == "True", "{}", object["status"]);
        ensure!(stage.ask("llama")?.status == 200, "it does not answer");
        ensure!(object["status"]["releasing"][0]["target"] == "east", "{}", object["status"]["releasing"]);
        Ok(object)
    })
}

pub fn leaves_an_isolated_member_alone(stage: &Stage) -> anyhow::Result<()> {
    serving(stage)?;
    let east = stage.ground.member("east")?;
    let before = pods(east)?;
    east.network().partition_port(API_PORT)?;
    let isolated = isolated(stage);
    east.network().heal()?;
    isolated?;
    let object = stage.ready("llama")?;
    ensure!(placed_on(&object) == "east" && pods(east)? == before, "something was changed");
    for other in ["west", "north"] {
        ensure!(on_member(stage.ground.member(other)?)?.is_empty(), "something was created on {other}");
    }
    Ok(())
}

fn isolated(stage: &Stage) -> anyhow::Result<()> {
    let is_isolated = || {
        let object = stage.deployment("llama")?;
        let ready = condition(&object, "Ready");
        ensure!(ready["status"] == "Unknown" && ready["reason"] == "Isolated", "{ready}");
        ensure!(stage.ask("llama")?.status == 200, "it does not answer");
        Ok(())
    };
    stage.until("the status says that it is isolated", SOON, is_isolated)?;
    std::thread::sleep(Duration::from_secs(TOLERATION + 5));
    is_isolated()
}
