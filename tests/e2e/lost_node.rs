//! A member's node dies under an endpoint: the status stays true, nothing is doubled, and the member's own scheduler
//! brings it back on another node.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use roadstead_ground::cluster::Cluster;
use roadstead_ground::ground::GPU;
use roadstead_ground::node::Node;
use serde_json::{Value, json};

use super::stage::{SOON, Stage, TEAM, condition, deployment, on_member, placed_on};

/// The member finds its node lost after 20 s, and moves its pods 5 s later.
const LOST: Duration = Duration::from_secs(90);

pub fn recovers_from_a_lost_node(stage: &Stage) -> anyhow::Result<()> {
    let east = stage.ground.member("east")?;
    let second = east.second_node();
    second.up(&stage.ground.images()?)?;
    let result = on_two_nodes(stage, east, [&east.node(), &second]);
    stage.ground.hub.kubectl(&["delete", "mdep", "--all", "-n", TEAM, "--timeout=60s"])?;
    second.down();
    east.kubectl(&["delete", "node", &second.name])?;
    result
}

fn on_two_nodes(stage: &Stage, east: &Cluster, nodes: [&Node; 2]) -> anyhow::Result<()> {
    for node in nodes {
        is_ready(stage, east, node)?;
    }
    // Longer than the member needs to bring it back.
    stage.apply(&deployment("llama", &json!({"failover": {"tolerationSeconds": 300}})))?;
    let before = stage.ready("llama")?;
    ensure!(placed_on(&before) == "east", "{}", before["status"]);
    let (deployments, at) = (east.list("deploy", "roadstead")?, node_of_the_pod(east)?);
    let dying = nodes.into_iter().find(|node| node.name == at).with_context(|| format!("it runs on {at}"))?;
    dying.kill();
    let start = Instant::now();
    let result = lost(stage, start).and_then(|()| brought_back(stage, east, &deployments, start));
    dying.start()?;
    result?;
    is_ready(stage, east, dying)?;
    stage.condition("servingtarget", "", "east", "Ready", "True", SOON)?;
    let pods = stage.until("the pod of the dead node is gone", SOON, || {
        let pods = east.list("pod", "roadstead")?;
        ensure!(pods.len() == 1, "{} pods", pods.len());
        Ok(pods)
    })?;
    ensure!(pods.iter().all(|pod| pod["spec"]["nodeName"] != dying.name.as_str()), "it went back");
    stage.ready("llama").map(drop)
}

/// Waits until a node is ready, and gives it its accelerators: the plugin that counts them registers again.
fn is_ready(stage: &Stage, east: &Cluster, node: &Node) -> anyhow::Result<()> {
    stage.until(&format!("{} is ready", node.name), SOON, || {
        let ready = condition(&east.get("node", "", &node.name)?, "Ready");
        ensure!(ready["status"] == "True", "{ready}");
        Ok(())
    })?;
    east.set_accelerators_of(&node.name, GPU, 8)
}

fn node_of_the_pod(east: &Cluster) -> anyhow::Result<String> {
    let pods = east.list("pod", "roadstead")?;
    ensure!(pods.len() == 1, "{} pods", pods.len());
    pods[0]["spec"]["nodeName"].as_str().map(ToOwned::to_owned).context("it is on no node")
}

fn lost(stage: &Stage, start: Instant) -> anyhow::Result<()> {
    let object = stage.until("the status says that it does not serve", LOST, || {
        let object = stage.deployment("llama")?;
        let ready = condition(&object, "Ready");
        ensure!(ready["status"] == "False" && object["status"]["readyReplicas"] == 0, "{}", object["status"]);
        Ok(object)
    })?;
    let ready = condition(&object, "Ready");
    eprintln!("  not ready after {:.1} s: {}: {}", start.elapsed().as_secs_f64(), ready["reason"], ready["message"]);
    // It keeps its place, and what is paid for the place is still told.
    ensure!(placed_on(&object) == "east" && object["status"]["hourlyCost"] == "5.00", "{}", object["status"]);
    let target = stage.ground.get("servingtarget", "", "east")?;
    ensure!(condition(&target, "Ready")["status"] == "True", "its API server answers: {}", target["status"]);
    Ok(())
}

/// The same Deployment has a pod on the other node, and what is told of it is true again.
fn brought_back(stage: &Stage, east: &Cluster, before: &[Value], start: Instant) -> anyhow::Result<()> {
    let back = stage.condition("mdep", TEAM, "llama", "Ready", "True", LOST)?;
    eprintln!("  brought back on the other node after {:.1} s", start.elapsed().as_secs_f64());
    ensure!(placed_on(&back) == "east" && back["status"]["readyReplicas"] == 1, "{}", back["status"]);
    ensure!(back["status"]["hourlyCost"] == "5.00", "{}", back["status"]);
    let uids = |deployments: &[Value]| deployments.iter().map(|one| one["metadata"]["uid"].clone()).collect::<Vec<_>>();
    ensure!(uids(&east.list("deploy", "roadstead")?) == uids(before), "it was made anew");
    ensure!(on_member(stage.ground.member("west")?)?.is_empty(), "it was doubled");
    ensure!(stage.ask("llama")?.status == 200, "it does not answer at its address");
    Ok(())
}
