//! What users do with kubectl.

use anyhow::ensure;
use roadstead_ground::ground::SYSTEM;
use serde_json::json;

use super::stage::{SOON, Stage, TEAM, condition, deployment};

pub fn kubectl_behaves(stage: &Stage) -> anyhow::Result<()> {
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

/// The same file a hundred times, ten of them by each kubectl: no generation, no write.
fn applied_again(stage: &Stage, manifest: &serde_json::Value) -> anyhow::Result<()> {
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
