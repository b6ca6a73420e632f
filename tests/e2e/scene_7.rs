//! Install, upgrade with other values and with another build, uninstall: no served pod restarts.

use std::path::PathBuf;
use std::process::Command;

use anyhow::ensure;
use roadstead_ground::command::finish;
use roadstead_ground::ground::{SYSTEM, repository};
use serde_json::json;

use super::stage::{Stage, deployment, pods};

pub fn upgrades_restart_nothing(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({"replicas": 2})))?;
    stage.ready("llama")?;
    let east = stage.ground.member("east")?;
    let before = pods(east)?;

    stage.ground.install(&["log.level=debug", "concurrency=8"])?;
    stage.ground.load_operator("canary", &canary()?)?;
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

/// This source with a feature that changes the rendered template.
fn canary() -> anyhow::Result<PathBuf> {
    let target = repository().join("target/canary");
    finish(
        Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "roadstead", "--bin", "roadstead", "--features", "render-canary"])
            .arg("--target-dir")
            .arg(&target)
            .current_dir(repository()),
    )?;
    let name = "debug/roadstead";
    let found = std::fs::read_dir(&target)?.flatten().map(|entry| entry.path().join(name)).find(|path| path.is_file());
    found
        .or_else(|| Some(target.join(name)).filter(|path| path.is_file()))
        .ok_or_else(|| anyhow::anyhow!("the other build is not in {}", target.display()))
}
