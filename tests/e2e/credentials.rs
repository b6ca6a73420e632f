//! Broken credentials: distinct reasons, nothing deleted or doubled, healed by mending the Secret.

use anyhow::ensure;
use roadstead_ground::ground::SYSTEM;
use serde_json::json;

use super::stage::{SOON, Stage, condition, deployment, on_member, pods};

fn reason(stage: &Stage, expected: &str) -> anyhow::Result<()> {
    stage.until(&format!("east says {expected}"), SOON, || {
        let east = stage.ground.get("servingtarget", "", "east")?;
        let ready = condition(&east, "Ready");
        ensure!(ready["status"] == "False" && ready["reason"] == expected, "{ready}");
        for other in ["west", "north"] {
            let other = stage.ground.get("servingtarget", "", other)?;
            ensure!(condition(&other, "Ready")["status"] == "True", "another target is affected");
        }
        Ok(())
    })
}

fn healed(stage: &Stage, before: &str) -> anyhow::Result<()> {
    stage.ground.put_kubeconfig("east", &stage.ground.member_kubeconfig("east", "24h")?)?;
    stage.condition("servingtarget", "", "east", "Ready", "True", SOON)?;
    stage.ready("llama")?;
    ensure!(pods(stage.ground.member("east")?)? == before, "a pod was touched");
    for other in ["west", "north"] {
        ensure!(on_member(stage.ground.member(other)?)?.is_empty(), "it was doubled on {other}");
    }
    Ok(())
}

pub fn distinguishes_broken_credentials(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    stage.ready("llama")?;
    let east = stage.ground.member("east")?;
    let before = pods(east)?;
    let good = stage.ground.member_kubeconfig("east", "24h")?;

    stage.ground.put_kubeconfig("east", "not: a: kubeconfig")?;
    reason(stage, "KubeconfigInvalid")?;
    healed(stage, &before)?;
    stage.ground.put_kubeconfig(
        "east",
        &good.replace(
            "token:",
            "exec: {apiVersion: client.authentication.k8s.io/v1, command: touch, args: [/tmp/roadstead-exec]}, token:",
        ),
    )?;
    reason(stage, "KubeconfigRefused")?;
    healed(stage, &before)?;
    stage.ground.put_kubeconfig("east", &east.kubeconfig_with("an.expired.token")?)?;
    reason(stage, "Unauthorized")?;
    let object = stage.deployment("llama")?;
    ensure!(object["status"]["placements"].as_array().is_some_and(|all| all.len() == 1), "{object}");
    healed(stage, &before)?;
    stage.ground.hub.kubectl(&["delete", "secret", "east", "-n", SYSTEM])?;
    reason(stage, "CredentialsMissing")?;
    healed(stage, &before)
}

pub fn refuses_a_kubeconfig_of_another_cluster(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    stage.ready("llama")?;
    let before = pods(stage.ground.member("east")?)?;
    // North itself is not a target now, or the twin would be what is noticed.
    stage.ground.hub.kubectl(&["delete", "servingtarget", "north", "--timeout=30s"])?;
    stage.ground.put_kubeconfig("east", &stage.ground.member_kubeconfig("north", "24h")?)?;
    stage.until("east says IdentityChanged", SOON, || {
        let ready = condition(&stage.ground.get("servingtarget", "", "east")?, "Ready");
        ensure!(ready["reason"] == "IdentityChanged", "{ready}");
        Ok(())
    })?;
    ensure!(on_member(stage.ground.member("north")?)?.is_empty(), "it was doubled on north");
    healed(stage, &before)
}
