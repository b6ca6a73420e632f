//! Typical uses of kubectl.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use roadstead_ground::command::finish;
use roadstead_ground::ground::{SYSTEM, repository};
use serde_json::{Value, json};

use super::stage::{SOON, Stage, TEAM, condition, deployment};

pub fn works_with_kubectl(stage: &Stage) -> anyhow::Result<()> {
    let hub = &stage.ground.hub;
    let manifest = deployment("llama", &json!({}));
    stage.apply(&manifest)?;
    stage.ready("llama")?;
    hub.kubectl(&["wait", "-n", TEAM, "mdep/llama", "--for=condition=Ready", "--timeout=30s"])?;
    applied_again(stage, &manifest)?;

    ensure!(hub.kubectl(&["explain", "mdep.spec.placement.jurisdictions"])?.contains("jurisdictions"));
    // In a full run it is up for more than a minute: long enough for a kubelet to take the logs of others for rubbish.
    let logs = hub.kubectl(&["logs", "-n", SYSTEM, "-l", "app.kubernetes.io/name=roadstead", "--tail=-1"])?;
    ensure!(logs.contains("waiting for the lease") && logs.contains("leading"), "{logs}");
    let wide = hub.kubectl(&["get", "mdep", "-n", TEAM, "-o", "wide"])?;
    for column in ["READY", "TARGET", "REGION", "REPLICAS", "COST/H", "AGE", "REASON", "MODEL"] {
        ensure!(wide.contains(column), "no column {column}:\n{wide}");
    }
    ensure!(hub.kubectl(&["get", "inference", "-n", TEAM])?.contains("llama"));

    let answer = sample(stage, "Which \"way\" to the roadstead?")?;
    ensure!(
        answer["choices"][0]["message"]["content"].as_str().is_some_and(|text| text.contains("\"way\"")),
        "{answer}"
    );

    hub.kubectl(&["scale", "mdep/llama", "-n", TEAM, "--replicas=2"])?;
    stage.until("two replicas are ready", SOON, || {
        let object = stage.deployment("llama")?;
        ensure!(object["status"]["readyReplicas"] == 2 && condition(&object, "Ready")["status"] == "True");
        Ok(())
    })?;
    let url = stage.deployment("llama")?["status"]["placements"][0]["url"].clone();
    hub.kubectl(&["scale", "mdep/llama", "-n", TEAM, "--replicas=0"])?;
    stage.until("it is scaled to zero", SOON, || {
        let object = stage.deployment("llama")?;
        ensure!(condition(&object, "Ready")["reason"] == "ScaledToZero" && object["status"]["hourlyCost"] == "0.00");
        Ok(())
    })?;
    hub.kubectl(&["scale", "mdep/llama", "-n", TEAM, "--replicas=1"])?;
    let back = stage.until("it is back", SOON, || {
        let object = stage.deployment("llama")?;
        ensure!(object["status"]["readyReplicas"] == 1 && condition(&object, "Ready")["reason"] == "Ready");
        Ok(object)
    })?;
    ensure!(back["status"]["placements"][0]["url"] == url, "the address changed");
    ensure!(stage.ask("llama")?.status == 200);
    hub.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--timeout=60s"]).map(drop)
}

/// Answer to the sample client with curl.
fn sample(stage: &Stage, question: &str) -> anyhow::Result<Value> {
    let kubectl = stage.ground.hub.command("kubectl");
    let tools = Path::new(kubectl.get_program()).parent().context("kubectl is in no folder")?;
    let path = format!("{}:{}", tools.display(), std::env::var("PATH")?);
    let mut client = Command::new(repository().join("examples/clients/ask.sh"));
    client
        .args([TEAM, "llama", question])
        .env("PATH", path)
        .envs(kubectl.get_envs().filter_map(|(key, value)| Some((key, value?))));
    Ok(serde_json::from_str(&finish(&mut client)?)?)
}

/// The same file a hundred times, ten of them by each kubectl: no generation, no write.
fn applied_again(stage: &Stage, manifest: &Value) -> anyhow::Result<()> {
    let hub = &stage.ground.hub;
    let versions = || {
        let columns = "custom-columns=N:.metadata.name,V:.metadata.resourceVersion,G:.metadata.generation";
        hub.kubectl(&["get", "mdep,iep", "-n", TEAM, "--no-headers", "-o", columns])
    };
    let before = versions()?;
    let ten = vec![manifest.to_string(); 10].join("\n---\n");
    for _ in 0..10 {
        hub.apply(&ten)?;
    }
    ensure!(versions()? == before, "written:\n{before}\n{}", versions()?);
    Ok(())
}
