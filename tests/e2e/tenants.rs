//! Tenants: a target that the namespace may not use, and Secrets that are not there. Clear conditions, nothing leaks.

use anyhow::ensure;
use serde_json::json;

use super::stage::{SOON, Stage, TEAM, condition, deployment, on_member, tells};

/// The statuses and events that a tenant of the namespace can read.
fn told(stage: &Stage) -> anyhow::Result<String> {
    let hub = &stage.ground.hub;
    let objects = [hub.list("mdep", TEAM)?, hub.list("iep", TEAM)?].concat();
    let statuses = objects.iter().map(|object| object["status"].to_string());
    let events = hub.list("event", TEAM)?;
    Ok(statuses.chain(events.iter().map(|event| event["note"].to_string())).collect::<Vec<_>>().join("\n"))
}

fn nothing_on_members(stage: &Stage) -> anyhow::Result<()> {
    for member in &stage.ground.members {
        ensure!(on_member(member)?.is_empty(), "something was made on {}", member.name);
        let secrets = member.names(&["secret"], "roadstead")?;
        ensure!(secrets.is_empty(), "on {}: {secrets:?}", member.name);
    }
    Ok(())
}

pub fn hides_forbidden_targets(stage: &Stage) -> anyhow::Result<()> {
    let hub = &stage.ground.hub;
    let change = json!({
        "metadata": {"labels": {"site": "vault"}},
        "spec": {"allowedNamespaces": {"matchLabels": {"tier": "gold"}}},
    });
    hub.kubectl(&["patch", "servingtarget", "north", "--type=merge", "-p", &change.to_string()])?;
    // The tenant knows the target's label and region, and goes on without it by name.
    let mut object = deployment(
        "llama",
        &json!({"placement": {
            "targetSelector": {"matchLabels": {"site": "vault"}}, "regions": {"allow": ["germanywestcentral"]},
        }}),
    );
    object["metadata"]["annotations"] = json!({"roadstead.dev/place-without": "north"});
    stage.apply(&object)?;
    let object = stage.until("the tenant is told that there is no place", SOON, || {
        let object = stage.deployment("llama")?;
        let placed = condition(&object, "Placed");
        ensure!(placed["status"] == "False" && placed["reason"] == "NoFeasiblePlacement", "{}", object["status"]);
        Ok(object)
    })?;
    ensure!(condition(&object, "Stalled")["status"] == "True", "time cannot change it: {}", object["status"]);
    ensure!(object["status"]["omittedCandidates"] == 1, "it is counted: {}", object["status"]);
    let told = told(stage)?;
    for secret in ["north", "azure", "germanywestcentral", "61.00", "7.63", "7.625"] {
        ensure!(!told.contains(secret), "{secret} is told: {told}");
    }
    nothing_on_members(stage)?;

    hub.kubectl(&["label", "namespace", TEAM, "tier=gold"])?;
    let result = stage.ready("llama");
    hub.kubectl(&["label", "namespace", TEAM, "tier-"])?;
    ensure!(super::stage::placed_on(&result?) == "north", "let in, it goes there");
    Ok(())
}

pub fn names_a_missing_secret(stage: &Stage) -> anyhow::Result<()> {
    // Of that name there is one in the operator's namespace: the kubeconfig of the target.
    let env = json!([{"name": "TOKEN", "secretKeyRef": {"name": "east", "key": "TOKEN"}}]);
    stage.apply(&deployment("llama", &json!({"serving": {"env": env}})))?;
    says(stage, &["Secret team/east", "does not exist", "create it"])?;
    nothing_on_members(stage)?;

    let secret = |key: &str| {
        stage.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "east", "namespace": TEAM},
            "stringData": {key: "hf_canary"},
        }))
    };
    secret("OTHER")?;
    stage.look_again("llama")?;
    says(stage, &["Secret team/east", "\"TOKEN\"", "add it"])?;
    nothing_on_members(stage)?;
    let told_before = told(stage)?;

    secret("TOKEN")?;
    stage.look_again("llama")?;
    stage.ready("llama")?;
    for canary in ["hf_canary", "certificate-authority", "198.18.4.2:6443"] {
        ensure!(!told_before.contains(canary) && !told(stage)?.contains(canary), "{canary} is told");
    }
    stage.ground.hub.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--timeout=60s"])?;
    stage.ground.hub.kubectl(&["delete", "secret", "east", "-n", TEAM]).map(drop)
}

fn says(stage: &Stage, parts: &[&str]) -> anyhow::Result<()> {
    stage.until("what is missing is named", SOON, || {
        let ready = condition(&stage.deployment("llama")?, "Ready");
        ensure!(ready["status"] == "False" && ready["reason"] == "SecretMissing", "{ready}");
        tells(&ready["message"], parts)
    })
}
