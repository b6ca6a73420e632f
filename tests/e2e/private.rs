//! Members whose endpoints the hub does not ask itself: their API server passes its questions on, or the gateways ask.

use std::fs;

use anyhow::ensure;
use roadstead_ground::ground::repository;
use serde_json::{Value, json};

use super::gateway::service;
use super::stage::{SOON, Stage, TEAM, condition, deployment, placed_on, tells};

/// Changes how the endpoints at a target are exposed and asked.
fn change_target(stage: &Stage, name: &str, kubernetes: &Value) -> anyhow::Result<()> {
    let change = json!({"spec": {"kubernetes": kubernetes}}).to_string();
    stage.ground.hub.kubectl(&["patch", "servingtarget", name, "--type=merge", "-p", &change]).map(drop)
}

fn endpoint(stage: &Stage) -> anyhow::Result<Value> {
    let all = stage.ground.hub.list("iep", TEAM)?;
    ensure!(all.len() == 1, "{all:?}");
    Ok(all[0].clone())
}

/// Waits until the only endpoint is ready and healthy by the word of this witness.
fn is_healthy_by(stage: &Stage, witness: &str) -> anyhow::Result<()> {
    stage.until(&format!("the endpoint is healthy by the word of {witness}"), SOON, || {
        let status = endpoint(stage)?["status"].clone();
        ensure!(status["health"] == "Healthy" && status["witness"] == witness, "{status}");
        Ok(())
    })
}

/// The endpoint has an address of its member alone. The hub asks it through the member's API server, once it has that right.
pub fn probes_through_an_api_server(stage: &Stage) -> anyhow::Result<()> {
    change_target(
        stage,
        "east",
        &json!({"expose": {"type": "ClusterIP", "public": null}, "probe": {"via": "APIServerProxy"}}),
    )?;
    stage.apply(&deployment("llama", &json!({})))?;
    stage.until("the endpoint says which right is missing", SOON, || {
        let ready = condition(&endpoint(stage)?, "Ready");
        ensure!(ready["status"] == "False" && ready["reason"] == "ProbeForbidden", "{ready}");
        tells(&ready["message"], &["services/proxy"])
    })?;

    let east = stage.ground.member("east")?;
    east.apply(&fs::read_to_string(repository().join("deploy/member-proxy.yaml"))?)?;
    ensure!(placed_on(&stage.ready("llama")?) == "east");
    is_healthy_by(stage, "Probe")?;
    let services = east.list("svc", "roadstead")?;
    ensure!(services.len() == 1 && services[0]["spec"]["type"] == "ClusterIP", "{services:?}");
    east.kubectl(&["delete", "role,rolebinding", "roadstead-hub-proxy", "-n", "roadstead"])?;
    stage.until("a right that is gone is no failure of the endpoint", SOON, || {
        let status = endpoint(stage)?["status"].clone();
        let ready = condition(&json!({"status": status}), "Ready");
        ensure!(ready["status"] == "Unknown" && ready["reason"] == "ProbeForbidden", "{ready}");
        ensure!(status["health"] == "Unknown" && status["failingSince"].is_null(), "{status}");
        Ok(())
    })
}

/// Only the gateways ask the endpoint: by their word it becomes ready, and serves their callers.
pub fn probes_by_the_gateways(stage: &Stage) -> anyhow::Result<()> {
    stage.ground.install_gateway()?;
    change_target(stage, "east", &json!({"probe": {"via": "Gateway"}}))?;
    stage.apply(&deployment("llama", &json!({})))?;
    ensure!(placed_on(&stage.ready("llama")?) == "east");
    is_healthy_by(stage, "Gateways")?;
    service(stage, "default").map(drop)
}
