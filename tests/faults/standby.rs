//! A standby behind a gateway: created last, promoted in time though the operator is killed, and replaced by another one.

use anyhow::{Context, ensure};
use roadstead_api::v1alpha1::{LastMove, StageName};
use serde_json::{Value, json};

use super::failover::{impatient, is_east, llama, silence_at};
use super::objects::target;
use super::operator::Operator;
use super::rig::{LONG, Rig, TEAM, wait};

/// Targets of the placements, with their roles; without one it serves.
fn roles(status: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("Serving").to_owned();
    let placements = status["placements"].as_array().into_iter().flatten();
    placements.map(|one| (text(&one["target"]), text(&one["role"]))).collect()
}

fn has_roles(rig: &Rig, wanted: &[(&str, &str)]) -> anyhow::Result<()> {
    wait(&format!("the placements are {wanted:?}"), LONG, || {
        let status = llama(rig)?["status"].clone();
        let roles = roles(&status);
        let same = roles.iter().map(|(target, role)| (target.as_str(), role.as_str())).eq(wanted.iter().copied());
        ensure!(same, "{roles:?}: {status}");
        Ok(())
    })
}

/// Records and endpoints that were made since the tape was rewound.
fn births(operator: &Operator) -> usize {
    let counts = operator.tape.births_and_deaths();
    let of = counts.iter().filter(|(key, _)| key.starts_with("POST") && key.contains("/inferenceendpoints"));
    of.map(|(_, count)| count).sum()
}

/// The standby waits for what serves; at the end of the toleration it is promoted, though the operator was killed, and
/// nothing is created for that but the next standby.
pub fn takes_over_from_a_lost_place(rig: &Rig) -> anyhow::Result<()> {
    let operator = rig.start_publisher("standby")?;
    for (name, cloud, region, price) in [
        ("east", "aws", "us-east-1", "40.00"),
        ("west", "gcp", "europe-west4", "55.20"),
        ("north", "azure", "germanywestcentral", "61.00"),
    ] {
        rig.apply(&target(name, cloud, region, price, &json!({})))?;
    }
    let mut wanted = impatient();
    wanted["spec"]["failover"]["standby"] = json!({"replicas": 1});
    rig.apply(&wanted)?;
    has_roles(rig, &[("east", "Serving"), ("west", "Standby")])?;
    let told = rig.condition(&["mdep", "llama", "-n", TEAM], "StandbyReady", "True")?;
    ensure!(told["message"].as_str().is_some_and(|message| message.contains("on west")), "{told}");
    operator.tape.rewind(None);

    silence_at(&operator.weather, is_east);
    wait("the operator has seen the failure", LONG, || {
        let endpoints = rig.get(&["iep", "-n", TEAM])?;
        let failing = endpoints["items"].as_array().context("no list")?;
        ensure!(failing.iter().any(|one| one["status"]["failingSince"].is_string()), "{endpoints}");
        Ok(())
    })?;
    operator.stop();
    operator.start()?;
    has_roles(rig, &[("west", "Serving"), ("north", "Standby")])?;
    let moved: LastMove = serde_json::from_value(llama(rig)?["status"]["lastMove"].clone()).context("no lastMove")?;
    let at = |name| moved.stages.iter().find(|stage| stage.name == name).map(|stage| stage.at.0);
    let (detected, decided) = at(StageName::Detected).zip(at(StageName::Decided)).context("two stages")?;
    let after = decided.duration_since(detected).as_secs();
    eprintln!("promoted {after} s after the first failed probe");
    ensure!((10..=20).contains(&after) && moved.to == "west", "{moved:?}");

    operator.weather.clear();
    wait("one copy and one standby are left", LONG, || {
        for (place, number) in [("east", 0), ("west", 1), ("north", 1)] {
            let found = rig.cloud_endpoints(place)?;
            ensure!(found.len() == number, "at {place}: {found:?}");
        }
        Ok(())
    })?;
    rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True")?;
    rig.condition(&["mdep", "llama", "-n", TEAM], "StandbyReady", "True")?;
    ensure!(births(&operator) == 1, "only the next standby was created: {:?}", operator.tape.births_and_deaths());
    operator.stop();
    Ok(())
}
