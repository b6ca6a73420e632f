//! The crash sweep's moves: a failover whose target returns, a move on request, and an evacuation.

use anyhow::ensure;
use serde_json::{Value, json};

use super::crash_sweep::{Scenario, is_ready};
use super::failover::{impatient, is_east, look, silence};
use super::objects::places;
use super::rig::{Rig, TEAM, condition};

/// Each ends with an edit that changes no pod, and so with new verdicts about both places: those of the move itself differ by the
/// moment at which a place was asked.
pub const MOVES: [Scenario; 3] = [
    Scenario {
        name: "failover",
        begin,
        act: |rig| {
            silence(rig, is_east);
            look(rig, "outage")
        },
        until: |rig| serves_at(rig, "west").map(drop),
        then: &[
            (
                |rig| {
                    rig.weather.clear();
                    Ok(())
                },
                |rig| serves_at_alone(rig, "west"),
            ),
            (decide_again, |rig| serves_at_alone(rig, "west")),
        ],
        serves_on: true,
    },
    Scenario {
        name: "requested move",
        begin,
        act: |rig| annotate(rig, &["mdep", "llama", "-n", TEAM], "roadstead.dev/move-to=west"),
        until: |rig| serves_at_alone(rig, "west"),
        then: &[(decide_again, |rig| serves_at_alone(rig, "west"))],
        serves_on: true,
    },
    Scenario {
        name: "evacuation",
        begin,
        act: |rig| annotate(rig, &["servingtarget", "east"], "roadstead.dev/evacuate="),
        until: |rig| serves_at_alone(rig, "west"),
        then: &[
            (|rig| annotate(rig, &["servingtarget", "east"], "roadstead.dev/evacuate-"), |_| Ok(())),
            (decide_again, |rig| serves_at_alone(rig, "west")),
        ],
        serves_on: true,
    },
];

/// Two places whose endpoints take a second to start, and the deployment that serves at the cheaper one, east.
fn begin(rig: &Rig) -> anyhow::Result<()> {
    rig.clear()?;
    for target in places(&json!({"startupSeconds": 1})) {
        rig.apply(&target)?;
    }
    for target in ["east", "west"] {
        rig.condition(&["servingtarget", target], "Ready", "True")?;
    }
    rig.apply(&impatient())?;
    rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True")?;
    rig.quiet()
}

fn annotate(rig: &Rig, object: &[&str], annotation: &str) -> anyhow::Result<()> {
    rig.kubectl(&[&["annotate", "--overwrite"], object, &[annotation]].concat()).map(drop)
}

/// An edit that changes no endpoint.
fn decide_again(rig: &Rig) -> anyhow::Result<()> {
    let patch = json!({"spec": {"failover": {"tolerationSeconds": 11}}}).to_string();
    rig.kubectl(&["patch", "mdep", "llama", "-n", TEAM, "--type=merge", "-p", &patch]).map(drop)
}

/// The deployment is Ready, and its published endpoint is at this target.
fn serves_at(rig: &Rig, target: &str) -> anyhow::Result<Value> {
    let llama = rig.get(&["mdep", "llama", "-n", TEAM])?;
    let first = &llama["status"]["placements"][0];
    ensure!(first["target"] == target && first["url"].is_string(), "{}", llama["status"]);
    Ok(llama)
}

/// The same, nothing else is left anywhere, nothing is asked for, and both targets are Ready.
fn serves_at_alone(rig: &Rig, target: &str) -> anyhow::Result<()> {
    let llama = serves_at(rig, target)?;
    is_ready(rig)?;
    let status = &llama["status"];
    ensure!(status["releasing"].is_null() && condition(&llama, "Migrating").is_none(), "{status}");
    ensure!(condition(&llama, "FailoverActive").is_none(), "{status}");
    ensure!(llama["metadata"]["annotations"]["roadstead.dev/move-to"].is_null(), "{}", llama["metadata"]);
    for name in ["east", "west"] {
        let left = rig.cloud_endpoints(name)?;
        ensure!(left.len() == usize::from(name == target), "at {name}: {left:?}");
        let ready = condition(&rig.get(&["servingtarget", name])?, "Ready");
        ensure!(ready.is_some_and(|ready| ready["status"] == "True"), "{name} is not Ready");
    }
    Ok(())
}
