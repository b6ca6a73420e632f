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

    let move_to_west = ["move", "llama", "--namespace", TEAM, "--to", "west"];
    let known = rig.roadstead(&[&move_to_west[..], &["--dry-run"]].concat())?;
    ensure!(known.contains("west, h100, h100x2: Feasible"), "{known}");
    rig.roadstead(&move_to_west)?;
    let moved = serves_at(rig, "west").context("after a request to move")?;
    ensure!(reason(&moved, "west") == "MoveRequested", "{moved}");

    let leaving = rig.roadstead(&["evacuate", "west"])?;
    ensure!(leaving.contains("1 deployment leaves target west"), "{leaving}");
    let moved = serves_at(rig, "east").context("after an evacuation")?;
    ensure!(reason(&moved, "east") == "TargetEvicted", "{moved}");

    rig.roadstead(&["evacuate", "west", "--cancel"])?;
    rig.roadstead(&["cordon", "west"])?;
    wait("the cordon is among the taints of the target", LONG, || {
        let taints = rig.get(&["servingtargets", "west"])?["status"]["taints"].clone();
        ensure!(taints[0]["key"] == "roadstead.dev/cordon" && taints[1].is_null(), "{taints}");
        Ok(())
    })?;
    let refused = rig.roadstead(&move_to_west)?;
    ensure!(refused.contains("west, h100, h100x2: Rejected"), "{refused}");
    let told = rig.condition(&LLAMA, "Migrating", "False")?;
    let message = told["message"].as_str().unwrap_or_default();
    ensure!(told["reason"] == "MoveRequested" && message.contains("1 TaintNotTolerated"), "{told}");
    rig.condition(&LLAMA, "Ready", "True").context("it serves on")?;

    rig.roadstead(&["move", "llama", "--namespace", TEAM, "--cancel"])?;
    rig.roadstead(&["uncordon", "west"])?;
    serves_at(rig, "east").context("after the requests were withdrawn")?;
    Ok(())
}

/// Waits until the deployment is Ready at this target alone, and nothing is asked of it any more.
fn serves_at(rig: &Rig, target: &str) -> anyhow::Result<Value> {
    wait(&format!("it serves at {target} alone"), LONG, || {
        let object = rig.get(&LLAMA)?;
        let status = &object["status"];
        let targets: Vec<_> = status["placements"].as_array().into_iter().flatten().map(|one| &one["target"]).collect();
        ensure!(targets == [target] && status["releasing"].is_null(), "{status}");
        ensure!(status["moves"].is_null(), "{status}");
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
