//! Deletion removes everything; while the member is cut off the object stays and says what may be billed.

use anyhow::{Context, ensure};
use serde_json::json;

use super::stage::{EVERYTHING, SOON, Stage, TEAM, deployment};

fn gone(stage: &Stage, name: &str) -> anyhow::Result<()> {
    stage.until(&format!("{name} is gone"), SOON, || {
        let left = stage.ground.hub.names(&["mdep", "iep", "secret"], TEAM)?;
        ensure!(left.is_empty(), "left on the hub: {left:?}");
        Ok(())
    })
}

pub fn deletes_everything(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hf-token", "namespace": TEAM},
        "stringData": {"HF_TOKEN": "hf_example"},
    }))?;
    stage.apply(&deployment("llama", &json!({"model": {"credentialsSecretRef": {"name": "hf-token"}}})))?;
    stage.ready("llama")?;
    let east = stage.ground.member("east")?;
    let secrets = east.names(&["secret"], "roadstead")?;
    ensure!(secrets.len() == 2, "the key and the copy: {secrets:?}");
    stage.ground.hub.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--timeout=60s"])?;
    let left = east.names(&EVERYTHING, "roadstead")?;
    ensure!(left.is_empty(), "left on the member: {left:?}");
    stage.ground.hub.kubectl(&["delete", "secret", "hf-token", "-n", TEAM])?;
    gone(stage, "llama")
}

pub fn ends_with_its_namespace(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    stage.ready("llama")?;
    // The namespace's keys may go before the endpoint that uses them.
    stage.ground.hub.kubectl(&["delete", "namespace", TEAM, "--timeout=90s"])?;
    let left = stage.ground.member("east")?.names(&EVERYTHING, "roadstead")?;
    ensure!(left.is_empty(), "left on the member: {left:?}");
    stage.team()
}

pub fn keeps_a_deletion_until_the_member_confirms_it(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    stage.ready("llama")?;
    let east = stage.ground.member("east")?;
    east.network().partition()?;
    let result = cut_off(stage);
    east.network().heal()?;
    result?;
    gone(stage, "llama")?;
    stage.until("nothing is left on the member", SOON, || {
        let left = east.names(&EVERYTHING, "roadstead")?;
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}

fn cut_off(stage: &Stage) -> anyhow::Result<()> {
    stage.ground.hub.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=false"])?;
    stage.until("the object says what may still be billed", SOON, || {
        let object = stage.deployment("llama")?;
        let releasing = object["status"]["releasing"][0].clone();
        ensure!(releasing["target"] == "east" && releasing["hourlyCost"] == "5.00", "{releasing}");
        // The call to the member that failed comes first.
        let error = releasing["lastError"].as_str().unwrap_or_default();
        ensure!(error.starts_with("get: ") && error.len() > "get: ".len(), "{releasing}");
        releasing["since"].as_str().context("since when?")?;
        Ok(())
    })
}
