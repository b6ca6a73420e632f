//! Replicas that are divided over places: more and fewer are wanted, and one place is lost.

use std::collections::BTreeMap;

use anyhow::ensure;
use serde_json::{Value, json};

use super::failover::{impatient, silence_at};
use super::objects::target;
use super::operator::Operator;
use super::rig::{LONG, Rig, TEAM, wait};
use super::weather::Call;

/// Ready replicas by target.
type Division<'a> = &'a [(&'a str, u64)];

/// A lost part is replaced, also though the operator is killed meanwhile, and the others are not touched by that.
pub fn a_lost_part_is_replaced_and_the_others_stay(rig: &Rig) -> anyhow::Result<()> {
    let operator = rig.start_publisher("division")?;
    serve(rig)?;
    scales_in_place(rig, &operator)?;

    operator.tape.rewind(None);
    silence_at(&operator.weather, is_west);
    wait("the part at west is lost", LONG, || {
        let all = rig.get(&["iep", "-n", TEAM])?["items"].clone();
        let lost = all.as_array().into_iter().flatten().any(|one| one["status"]["health"] == "Lost");
        ensure!(lost, "{all}");
        Ok(())
    })?;
    operator.stop();
    operator.start()?;
    is_divided(rig, &[("east", 2), ("north", 1)])?;
    let touched: Vec<String> = operator
        .tape
        .writes()
        .iter()
        .filter(|write| write.path.contains("/places/east/"))
        .map(|write| format!("{} {}", write.method, write.path))
        .collect();
    ensure!(touched.is_empty(), "what serves at east was touched: {touched:?}");
    operator.weather.clear();
    for (place, number) in [("east", 1), ("west", 0), ("north", 1)] {
        wait(&format!("{number} endpoints are at {place}"), LONG, || {
            let there = rig.cloud_endpoints(place)?;
            ensure!(there.len() == number, "{there:?}");
            Ok(())
        })?;
    }
    is_divided(rig, &[("east", 2), ("north", 1)])?;
    let counts = operator.tape.births_and_deaths();
    for method in ["POST", "DELETE"] {
        let of = counts.iter().filter(|(key, _)| key.starts_with(method) && key.contains("/inferenceendpoints"));
        let number: usize = of.map(|(_, count)| count).sum();
        ensure!(number == 1, "{number} times {method}: {counts:?}");
    }
    operator.stop();
    Ok(())
}

fn is_west(call: &Call) -> bool {
    call.path == "/places/west" || call.path.starts_with("/places/west/") || call.path.starts_with("/serve/west/")
}

/// A deployment of so many replicas in at least two places.
fn spread(replicas: u32) -> Value {
    let mut object = impatient();
    object["spec"]["replicas"] = json!(replicas);
    object["spec"]["placement"] = json!({"spread": {"topology": "Target", "minDomains": 2}});
    object
}

fn serve(rig: &Rig) -> anyhow::Result<()> {
    rig.apply(&target("east", "aws", "us-east-1", "40.00", &json!({})))?;
    rig.apply(&target("west", "gcp", "europe-west4", "55.20", &json!({})))?;
    rig.apply(&target("north", "azure", "germanywestcentral", "61.00", &json!({})))?;
    for name in ["east", "west", "north"] {
        rig.condition(&["servingtarget", name], "Ready", "True")?;
    }
    rig.apply(&spread(3))?;
    is_divided(rig, &[("east", 2), ("west", 1)])
}

/// More and fewer replicas: no endpoint is created or deleted.
fn scales_in_place(rig: &Rig, operator: &Operator) -> anyhow::Result<()> {
    operator.tape.rewind(None);
    for (replicas, division) in [(5, [("east", 4), ("west", 1)]), (3, [("east", 2), ("west", 1)])] {
        rig.apply(&spread(replicas))?;
        is_divided(rig, &division)?;
    }
    let counts = operator.tape.births_and_deaths();
    let moved: Vec<&String> = counts.keys().filter(|key| key.contains("endpoints")).collect();
    ensure!(moved.is_empty(), "{moved:?}");
    Ok(())
}

/// Waits until the deployment is Ready with this division.
fn is_divided(rig: &Rig, division: Division<'_>) -> anyhow::Result<()> {
    let wanted: BTreeMap<&str, u64> = division.iter().copied().collect();
    wait(&format!("the replicas are {wanted:?}"), LONG, || {
        let object = rig.get(&["mdep", "llama", "-n", TEAM])?;
        let placements = object["status"]["placements"].as_array().into_iter().flatten();
        let ready: BTreeMap<&str, u64> =
            placements.filter_map(|one| Some((one["target"].as_str()?, one["readyReplicas"].as_u64()?))).collect();
        ensure!(ready == wanted, "{}", object["status"]);
        Ok(())
    })?;
    rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True").map(drop)
}
