//! A target of many deployments is lost: the order and the pace of the replacements, the room of their targets, and a user who
//! needs a place meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::failover::{is_east, silence_at};
use super::objects::target;
use super::rig::{LONG, Rig, TEAM, condition, wait, wait_every};
use super::tape::Write;

/// Deployments on the target that is lost; every second one has a higher priority.
const DEPLOYMENTS: usize = 100;
/// Replacements in progress at once, by the operator's option.
const PACE: usize = 10;
/// Pause between two looks at all of them: each takes the API server a tenth of a second.
const PAUSE: Duration = Duration::from_secs(1);
/// Instances of eight accelerators of the other targets: a quarter more than is needed.
const INSTANCES: [(&str, usize); 3] = [("west", 4), ("north", 4), ("south", 8)];

/// All of it in one failover.
pub fn a_target_of_many_is_left_in_order_and_at_its_pace(rig: &Rig) -> anyhow::Result<()> {
    rig.stop_operator();
    let _ = rig.kubectl(&["delete", "lease", "roadstead", "-n", "roadstead-system"]);
    let mut operator = rig.elector("fleet")?;
    operator.add_option(format!("--max-replacements={PACE}"));
    operator.start()?;
    serve(rig)?;
    operator.tape.rewind(None);
    silence_at(&operator.weather, is_east);
    // All are known to be lost before there is room: what comes first then is the operator's choice.
    wait_every(PAUSE, "all are lost", LONG * 2, || lost(rig))?;
    make_room(rig)?;

    wait("a part is replaced", LONG, || {
        let count = replacements(&operator.tape.writes()).len();
        ensure!(count >= 2 * PACE, "{count}");
        Ok(())
    })?;
    let before = replacements(&operator.tape.writes()).len();
    rig.apply(&deployment("urgent", 0))?;
    rig.condition(&["mdep", "urgent", "-n", TEAM], "Placed", "True")?;
    wait_every(PAUSE, "all are served elsewhere", LONG * 3, || elsewhere(rig))?;

    let writes = operator.tape.writes();
    let overtaken = before_the_urgent(&writes)?.saturating_sub(before);
    ensure!(overtaken <= 2 * PACE, "a new deployment waited for {overtaken} replacements");
    keeps_its_pace(&writes)?;
    goes_by_priority(&writes)?;
    fills_no_target_beyond_its_room(rig)?;
    eprintln!("{overtaken} replacements were recorded before that of a new deployment");
    operator.weather.clear();
    wait("the lost target is empty", LONG * 2, || {
        let left = rig.cloud_endpoints("east")?.len();
        ensure!(left == 0, "{left} endpoints are left");
        Ok(())
    })?;
    elsewhere(rig)?;
    operator.stop();
    Ok(())
}

/// Replacements that were recorded before the new deployment.
fn before_the_urgent(writes: &[Write]) -> anyhow::Result<usize> {
    let is_urgent = |write: &Write| write.path.contains("/inferenceendpoints/urgent-");
    let position = writes.iter().position(is_urgent).context("the new deployment has no record")?;
    Ok(replacements(writes.get(..position).unwrap_or_default()).len())
}

fn serve(rig: &Rig) -> anyhow::Result<()> {
    let mut east = target("east", "aws", "us-east-1", "10.00", &json!({}));
    east["spec"]["offers"][0]["maxInstances"] = json!(DEPLOYMENTS);
    rig.apply(&east)?;
    rig.condition(&["servingtarget", "east"], "Ready", "True")?;
    let all: Vec<Value> = (0..DEPLOYMENTS)
        .map(|index| deployment(&format!("m{index:03}"), if is_high(index) { 10 } else { 0 }))
        .collect();
    rig.apply(&json!({"apiVersion": "v1", "kind": "List", "items": all}))?;
    wait_every(PAUSE, "all serve on east", LONG * 3, || placed(rig, |target| target == "east"))
}

fn make_room(rig: &Rig) -> anyhow::Result<()> {
    let capacity = |instances: usize| json!({"capacity": [{"name": "h100", "instances": instances}]});
    for (name, instances) in INSTANCES {
        let mut other = target(name, "gcp", "europe-west4", "40.00", &capacity(instances));
        other["spec"]["offers"][0]["maxInstances"] = json!(instances);
        rig.apply(&other)?;
    }
    Ok(())
}

const fn is_high(index: usize) -> bool {
    index % 2 == 1
}

/// A deployment of one accelerator with the shortest toleration.
fn deployment(name: &str, priority: i32) -> Value {
    let mut object = super::failover::impatient();
    object["metadata"]["name"] = json!(name);
    object["spec"]["priority"] = json!(priority);
    object["spec"]["serving"]["shapes"] = json!([{"name": "one", "accelerator": {"type": "H100", "count": 1}}]);
    object
}

/// Every deployment's status says that it is lost.
fn lost(rig: &Rig) -> anyhow::Result<()> {
    let all = rig.get(&["mdep", "-n", TEAM])?;
    let is_lost = |one: &&Value| condition(one, "Ready").is_some_and(|ready| ready["reason"] == "TargetLost");
    let count = all["items"].as_array().into_iter().flatten().filter(is_lost).count();
    ensure!(count == DEPLOYMENTS, "{count} of {DEPLOYMENTS}");
    Ok(())
}

fn elsewhere(rig: &Rig) -> anyhow::Result<()> {
    placed(rig, |target| target != "east")
}

/// All deployments are Ready, and their first placement is on such a target.
fn placed(rig: &Rig, on: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let all = rig.get(&["mdep", "-n", TEAM])?;
    let is_served = |one: &&Value| {
        let target = one["status"]["placements"][0]["target"].as_str();
        target.is_some_and(&on) && condition(one, "Ready").is_some_and(|ready| ready["status"] == "True")
    };
    let count = all["items"].as_array().into_iter().flatten().filter(is_served).count();
    ensure!(count >= DEPLOYMENTS, "{count} of {DEPLOYMENTS}");
    Ok(())
}

/// The record that a write is about, if it is one.
fn record(write: &Write) -> Option<&str> {
    let (_, name) = write.path.split_once("/inferenceendpoints/")?;
    (name.starts_with('m') && !name.contains('/')).then_some(name)
}

/// The records of replacements in the order of their creation.
fn replacements(writes: &[Write]) -> Vec<&str> {
    writes.iter().filter(|write| write.method == "POST" && write.code == Some(201)).filter_map(record).collect()
}

/// Between the record of a replacement and the drain or the removal of the former endpoint there are never more than the limit.
fn keeps_its_pace(writes: &[Write]) -> anyhow::Result<()> {
    let (mut in_progress, mut most) = (BTreeSet::new(), 0);
    let mut created = BTreeSet::new();
    for write in writes {
        let Some(name) = record(write) else { continue };
        let deployment = name.split('-').next().unwrap_or_default();
        match write.method.as_str() {
            "POST" => drop((created.insert(name), in_progress.insert(deployment))),
            "PATCH" | "DELETE" if !created.contains(name) => drop(in_progress.remove(deployment)),
            _ => {}
        }
        most = most.max(in_progress.len());
    }
    eprintln!("at most {most} replacements were in progress");
    ensure!(most <= PACE, "{most} replacements in progress at once");
    ensure!(most > PACE / 2, "only {most}: nothing was tested");
    Ok(())
}

/// Those of high priority come first. The targets become ready one after the other, and not in one plan.
fn goes_by_priority(writes: &[Write]) -> anyhow::Result<()> {
    let index = |name: &str| name.get(1..4).and_then(|digits| digits.parse::<usize>().ok());
    let order: Vec<usize> = replacements(writes).into_iter().filter_map(index).collect();
    let last = order.iter().rposition(|index| is_high(*index)).context("none of high priority")?;
    let overtook = order.iter().take(last).filter(|index| !is_high(**index)).count();
    eprintln!("{overtook} of low priority came before the last of high priority");
    ensure!(overtook <= 2 * PACE, "{overtook} of low priority came first: {order:?}");
    Ok(())
}

fn fills_no_target_beyond_its_room(rig: &Rig) -> anyhow::Result<()> {
    let log: Vec<Value> = serde_json::from_str(&rig.cloud_get("/log")?)?;
    let places: BTreeSet<&str> = INSTANCES.map(|(name, _)| name).into();
    let of_these = |entry: &&Value| entry["place"].as_str().is_some_and(|place| places.contains(place));
    let refused: Vec<&Value> =
        log.iter().filter(of_these).filter(|entry| entry["call"] == "Create" && entry["outcome"] != "done").collect();
    ensure!(refused.is_empty(), "a place refused what was too much: {refused:?}");
    for (name, instances) in INSTANCES {
        let count = rig.cloud_endpoints(name)?.len();
        ensure!(count <= instances * 8, "{count} accelerators on {name}");
        ensure!(count > 0, "{name} was not used");
    }
    Ok(())
}
