//! The hub is rebuilt: the running endpoints are found again, their keys still work, nothing is made twice.

use anyhow::{Context, ensure};
use roadstead_ground::client::chat;
use serde_json::{Value, json};

use super::stage::{SOON, Stage, TEAM, condition, deployment, placed_on, pods};

pub fn adopts_its_endpoints_after_a_rebuild(stage: &Stage) -> anyhow::Result<()> {
    let plain = deployment("plain", &json!({}));
    let moved = deployment("moved", &json!({"placement": {"jurisdictions": ["EU"]}}));
    stage.apply(&plain)?;
    stage.apply(&deployment("moved", &json!({})))?;
    stage.ready("plain")?;
    stage.ready("moved")?;
    // This one is born in a replacement.
    stage.apply(&moved)?;
    stage.until("the replacement is over", SOON, || {
        let object = stage.deployment("moved")?;
        ensure!(
            placed_on(&object) == "west" && object["status"]["placements"].as_array().is_some_and(|all| all.len() == 1)
        );
        ensure!(condition(&object, "Ready")["status"] == "True" && object["status"]["releasing"].is_null());
        Ok(())
    })?;
    let known = [served(stage, "plain")?, served(stage, "moved")?];
    let pods = all_pods(stage)?;
    let former = stage.ground.get("namespace", "", "kube-system")?["metadata"]["uid"].clone();

    stage.ground.rebuild_hub()?;
    // Without being told that the former hub is gone, the new one touches nothing.
    stage.ground.install(&[])?;
    stage.ground.connect_members()?;
    stage.team()?;
    stage.targets()?;
    for name in ["east", "west", "north"] {
        stage.until("the claim of the former hub is respected", SOON, || {
            let ready = condition(&stage.ground.get("servingtarget", "", name)?, "Ready");
            ensure!(ready["reason"] == "InstallationConflict", "{ready}");
            Ok(())
        })?;
    }
    stage.apply(&plain)?;
    stage.apply(&moved)?;
    stage.until("it waits for the inventory", SOON, || {
        let placed = condition(&stage.deployment("plain")?, "Placed");
        ensure!(placed["reason"] == "AwaitingInventory", "{placed}");
        Ok(())
    })?;
    ensure!(all_pods(stage)? == pods, "the second hub touched something");

    let takeover = format!("takeover={}", former.as_str().context("no UID")?);
    stage.ground.install(&[&takeover])?;
    for (name, known) in ["plain", "moved"].iter().zip(&known) {
        stage.ready(name)?;
        ensure!(served(stage, name)? == *known, "{name} is served otherwise: {known:?} {:?}", served(stage, name)?);
        let answer = chat(&known.0, Some(&known.1), name, "Ahoy?")?;
        ensure!(answer.status == 200, "the former key does not work: {answer:?}");
    }
    ensure!(all_pods(stage)? == pods, "a pod was made or restarted:\n{pods}\n{}", all_pods(stage)?);
    Ok(())
}

/// The address and the key of a deployment.
fn served(stage: &Stage, name: &str) -> anyhow::Result<(String, String)> {
    let object = stage.deployment(name)?;
    let placement: &Value = &object["status"]["placements"][0];
    let secret = placement["apiKeySecretName"].as_str().context("no key")?;
    let url = placement["url"].as_str().context("no address")?;
    Ok((url.to_owned(), stage.ground.secret_value(TEAM, secret, "apiKey")?))
}

fn all_pods(stage: &Stage) -> anyhow::Result<String> {
    let pods: anyhow::Result<Vec<String>> = stage.ground.members.iter().map(pods).collect();
    Ok(pods?.join("\n"))
}
