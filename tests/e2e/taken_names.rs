//! Something that is not ours has the name: it is reported and not touched, and the deployment goes elsewhere if it may.

use anyhow::ensure;
use roadstead_api::v1alpha1::names;
use roadstead_ground::cluster::Cluster;
use serde_json::{Value, json};

use super::stage::{SOON, Stage, TEAM, candidate, condition, deployment, placed_on, tells};

/// The name that the first endpoint of the team's `llama` has on `target`.
fn first_name(target: &str) -> String {
    names::endpoint_name("ground", TEAM, "llama", target, "one", "OnDemand", 0)
}

fn version(member: &Cluster, kind: &str, name: &str) -> anyhow::Result<String> {
    let metadata = &member.get(kind, "roadstead", name)?["metadata"];
    Ok(format!("{} {}", metadata["uid"], metadata["resourceVersion"]))
}

pub fn places_elsewhere_when_the_name_is_taken(stage: &Stage) -> anyhow::Result<()> {
    let east = stage.ground.member("east")?;
    let name = first_name("east");
    let labels = json!({"app": "somebody-elses"});
    let foreign = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "roadstead"},
        "spec": {
            "replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}},
        },
    });
    east.apply(&foreign.to_string())?;
    let result = elsewhere(stage, east, &name);
    east.kubectl(&["delete", "deploy", &name, "-n", "roadstead"])?;
    result
}

fn elsewhere(stage: &Stage, east: &Cluster, name: &str) -> anyhow::Result<()> {
    east.kubectl(&["rollout", "status", "deploy", name, "-n", "roadstead", "--timeout=30s"])?;
    let before = version(east, "deploy", name)?;
    stage.apply(&deployment("llama", &json!({})))?;
    let ready = stage.ready("llama")?;
    ensure!(placed_on(&ready) == "west", "the next cheapest place is west: {}", ready["status"]);
    let east_said = stage.until("the former choice is said to be taken", SOON, || {
        let said = candidate(&stage.deployment("llama")?, "east")?;
        ensure!(said["reason"] == "Exhausted", "{said}");
        Ok(said)
    })?;
    tells(&east_said["message"], &["NameConflict", "does not retry it before"])?;
    let target = stage.ground.get("servingtarget", "", "east")?;
    let refused = &target["status"]["exhausted"][0];
    ensure!(refused["reason"] == "NameConflict" && refused["onlyFor"] == "team/llama", "{refused}");
    stage.apply(&deployment("other", &json!({})))?;
    ensure!(placed_on(&stage.ready("other")?) == "east", "the place is good for everybody else");
    stage.ground.hub.kubectl(&["delete", "mdep", "--all", "-n", TEAM, "--timeout=60s"])?;
    ensure!(version(east, "deploy", name)? == before, "it was touched");
    Ok(())
}

pub fn reports_a_taken_name(stage: &Stage) -> anyhow::Result<()> {
    let east = stage.ground.member("east")?;
    let key = names::key_secret(&first_name("east"));
    let foreign = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": key, "namespace": "roadstead"},
        "stringData": {"apiKey": "somebody else's"},
    });
    east.apply(&foreign.to_string())?;
    let before = version(east, "secret", &key)?;
    let only_east: Value = json!({"placement": {"clouds": {"allow": ["aws"]}}});
    stage.apply(&deployment("llama", &only_east))?;
    let object = stage.until("the conflict is reported", SOON, || {
        let object = stage.deployment("llama")?;
        ensure!(condition(&object, "Ready")["reason"] == "NameConflict", "{}", object["status"]);
        Ok(object)
    })?;
    tells(
        &condition(&object, "Ready")["message"],
        &["Secret", &key, "does not change it", "delete it, or recreate it under another name"],
    )?;
    ensure!(condition(&object, "Stalled").is_null() && placed_on(&object) == "east", "{}", object["status"]);
    ensure!(version(east, "secret", &key)? == before, "it was touched");

    east.kubectl(&["delete", "secret", &key, "-n", "roadstead"])?;
    stage.look_again("llama")?;
    stage.ready("llama").map(drop)
}
