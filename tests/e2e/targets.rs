//! A target that is in use is deleted; its kubeconfig is deleted: it waits, it says so, and deletes still work.

use anyhow::ensure;
use roadstead_ground::ground::SYSTEM;
use serde_json::json;

use super::stage::{SOON, Stage, TEAM, condition, deployment, on_member, placed_on, pods, tells};

pub fn keeps_a_target_in_use(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    stage.apply(&deployment("tiny", &json!({})))?;
    stage.ready("llama")?;
    stage.ready("tiny")?;
    let east = stage.ground.member("east")?;
    let before = pods(east)?;
    let hub = &stage.ground.hub;
    hub.kubectl(&["delete", "servingtarget", "east", "--wait=false"])?;
    let endpoints = hub.names(&["iep"], TEAM)?;
    let names: Vec<String> = endpoints.iter().map(|name| name.replace("iep", TEAM)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    stage.until("it waits and names its endpoints", SOON, || {
        let ready = condition(&stage.ground.get("servingtarget", "", "east")?, "Ready");
        ensure!(ready["status"] == "False" && ready["reason"] == "InUse", "{ready}");
        tells(&ready["message"], &names)
    })?;
    // What runs goes on, what is new goes elsewhere.
    stage.apply(&deployment("newer", &json!({})))?;
    ensure!(placed_on(&stage.ready("newer")?) == "west");
    ensure!(stage.ask("llama")?.status == 200 && pods(east)? == before, "what runs was touched");

    hub.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--timeout=60s"])?;
    stage.until("it names what is left", SOON, || {
        let ready = condition(&stage.ground.get("servingtarget", "", "east")?, "Ready");
        let gone = names.iter().find(|name| name.contains("/llama-")).copied().unwrap_or_default();
        ensure!(!ready["message"].as_str().unwrap_or_default().contains(gone), "{ready}");
        tells(&ready["message"], &["team/tiny-"])
    })?;
    hub.kubectl(&["delete", "mdep", "tiny", "-n", TEAM, "--timeout=60s"])?;
    hub.kubectl(&["wait", "servingtarget", "east", "--for=delete", "--timeout=30s"])?;
    ensure!(on_member(east)?.is_empty(), "something is left");
    Ok(())
}

pub fn releases_nothing_without_a_kubeconfig(stage: &Stage) -> anyhow::Result<()> {
    stage.apply(&deployment("llama", &json!({})))?;
    stage.ready("llama")?;
    let east = stage.ground.member("east")?;
    let before = pods(east)?;
    stage.ground.hub.kubectl(&["delete", "secret", "east", "-n", SYSTEM])?;
    stage.until("the target says what is missing", SOON, || {
        let ready = condition(&stage.ground.get("servingtarget", "", "east")?, "Ready");
        ensure!(ready["status"] == "False" && ready["reason"] == "CredentialsMissing", "{ready}");
        tells(&ready["message"], &["Secret roadstead-system/east", "create it"])
    })?;
    let object =
        stage.until("the deployment says that its target is unknown and its endpoint answers", SOON, || {
            let object = stage.deployment("llama")?;
            let ready = condition(&object, "Ready");
            ensure!(ready["status"] == "Unknown" && ready["reason"] == "Isolated", "{ready}");
            Ok(object)
        })?;
    ensure!(placed_on(&object) == "east" && object["status"]["hourlyCost"] == "5.00", "{}", object["status"]);
    ensure!(stage.ask("llama")?.status == 200 && pods(east)? == before, "it was released or touched");

    // With the last good credentials.
    stage.ground.hub.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--timeout=60s"])?;
    ensure!(on_member(east)?.is_empty(), "something is left");
    Ok(())
}
