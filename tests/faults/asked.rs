//! Moves that people ask for: of one deployment to a target, and of everything away from one.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::crash_sweep::begin;
use super::objects::deployment;
use super::rig::{LONG, Rig, TEAM, condition, wait};

const LLAMA: [&str; 4] = ["mdep", "llama", "-n", TEAM];

/// A deployment goes where it is asked to go, once, leaves an evacuated target, and says why it cannot go back there.
pub fn moves_go_where_people_ask(rig: &Rig) -> anyhow::Result<()> {
    begin(rig, false)?;
    let mut anywhere = deployment();
    anywhere["spec"]["placement"] = json!({});
    rig.apply(&anywhere)?;
    serves_at(rig, "east")?;

    annotate(rig, &LLAMA, "roadstead.dev/move-to=west")?;
    let moved = serves_at(rig, "west").context("after a request to move")?;
    ensure!(reason(&moved, "west") == "MoveRequested", "{moved}");

    annotate(rig, &["servingtarget", "west"], "roadstead.dev/evacuate=")?;
    let moved = serves_at(rig, "east").context("after an evacuation")?;
    ensure!(reason(&moved, "east") == "TargetEvicted", "{moved}");

    annotate(rig, &LLAMA, "roadstead.dev/move-to=west")?;
    let told = rig.condition(&LLAMA, "Migrating", "False")?;
    let message = told["message"].as_str().unwrap_or_default();
    ensure!(told["reason"] == "MoveRequested" && message.contains("1 TaintNotTolerated"), "{told}");
    rig.condition(&LLAMA, "Ready", "True").context("it serves on")?;
    Ok(())
}

fn annotate(rig: &Rig, object: &[&str], annotation: &str) -> anyhow::Result<()> {
    rig.kubectl(&[&["annotate", "--overwrite"], object, &[annotation]].concat()).map(drop)
}

/// Waits until the deployment is Ready at this target alone, and nothing is asked of it any more.
fn serves_at(rig: &Rig, target: &str) -> anyhow::Result<Value> {
    wait(&format!("it serves at {target} alone"), LONG, || {
        let object = rig.get(&LLAMA)?;
        let status = &object["status"];
        let targets: Vec<_> = status["placements"].as_array().into_iter().flatten().map(|one| &one["target"]).collect();
        ensure!(targets == [target] && status["releasing"].is_null(), "{status}");
        ensure!(condition(&object, "Ready").is_some_and(|ready| ready["status"] == "True"), "{status}");
        ensure!(condition(&object, "Migrating").is_none(), "{status}");
        ensure!(object["metadata"]["annotations"]["roadstead.dev/move-to"].is_null(), "{}", object["metadata"]);
        rig.get(&["iep", "-n", TEAM])
    })
}

/// Reason of the creation of the endpoint on a target.
fn reason(endpoints: &Value, target: &str) -> String {
    let of = |one: &&Value| one["spec"]["target"] == target;
    let found = endpoints["items"].as_array().into_iter().flatten().find(of);
    found.map_or_else(String::new, |one| one["spec"]["reason"].as_str().unwrap_or_default().to_owned())
}
