//! Install, upgrade with other values and with another build (`make canary`), uninstall: no served pod restarts.

use anyhow::{Context, ensure};
use roadstead_ground::ground::{SYSTEM, binary};
use serde_json::json;

use super::stage::{Stage, deployment, pods};

pub fn upgrades_without_restarting_pods(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({"replicas": 2})))?;
    stage.ready("llama")?;
    let east = stage.ground.member("east")?;
    let before = pods(east)?;

    stage.ground.install(&["log.level=debug", "concurrency=8"])?;
    stage.ground.load_operator("canary", &binary("roadstead-canary").context("run `make canary`")?)?;
    stage.ground.install(&["image.tag=canary"])?;
    stage.ready("llama")?;
    // The other build does render another template: one that is new with it shows that.
    stage.apply(&deployment("newer", &json!({})))?;
    stage.ready("newer")?;
    let canaries =
        east.kubectl(&["get", "pods", "-n", "roadstead", "-o", "jsonpath={.items[*].metadata.annotations}"])?;
    ensure!(
        canaries.contains("roadstead.dev/canary"),
        "the other build renders the same template, so this proves nothing"
    );
    let after = pods(east)?;
    ensure!(before.lines().all(|pod| after.contains(pod)), "a pod restarted:\n{before}\n{after}");

    stage.ground.helm(&["uninstall", "roadstead", "-n", SYSTEM, "--wait"])?;
    ensure!(pods(east)? == after, "uninstalling touched a pod");
    ensure!(stage.ask("llama")?.status == 200);
    stage.deployment("llama")?;
    stage.ground.install(&[])?;
    stage.ready("llama")?;
    let last = pods(east)?;
    ensure!(before.lines().all(|pod| last.contains(pod)), "a pod restarted:\n{before}\n{last}");
    Ok(())
}
