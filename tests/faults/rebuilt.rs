//! A hub that is built anew from files that were edited meanwhile: what runs is adopted as it runs, and what the file wants
//! otherwise is an ordinary edit.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::crash_sweep::begin;
use super::objects::{deployment, target};
use super::rig::{LONG, Rig, TEAM, condition, wait};

const LLAMA: [&str; 4] = ["mdep", "llama", "-n", TEAM];

/// Ways in which an edit of the file takes effect.
#[derive(Clone, Copy, PartialEq)]
enum Effect {
    /// Another endpoint takes over.
    Replacement,
    /// The endpoint is updated in place: new replicas answer before the former ones end.
    InPlace,
}

/// Edits of the file while there is no hub.
fn edits() -> [(&'static str, Value, Effect); 4] {
    let shape = |name: &str, count: u32| json!([{"name": name, "accelerator": {"type": "H100", "count": count}}]);
    [
        ("another engine", json!({"engine": "custom", "custom": {}}), Effect::Replacement),
        ("another accelerator count of the shape", json!({"shapes": shape("h100x2", 4)}), Effect::Replacement),
        ("a shape removed", json!({"shapes": shape("h100x4", 4)}), Effect::Replacement),
        ("another image", json!({"image": "vllm/vllm-openai:v0.21.0"}), Effect::InPlace),
    ]
}

/// Whatever was edited, no replica ends before another one serves in its place.
pub fn an_edited_file_ends_no_replica_before_another_serves(rig: &Rig) -> anyhow::Result<()> {
    for (what, edit, effect) in edits() {
        follows(rig, &edit, effect).with_context(|| what.to_owned())?;
        rig.clear()?;
    }
    Ok(())
}

fn follows(rig: &Rig, edit: &Value, effect: Effect) -> anyhow::Result<()> {
    begin(rig, true)?;
    // From now on a start takes long enough to be seen.
    rig.apply(&target("west", "gcp", "europe-west4", "55.20", &json!({"startupSeconds": 3})))?;
    rig.quiet()?;
    let [found]: [Value; 1] = rig.cloud_endpoints("west")?.try_into().ok().context("one endpoint")?;
    rig.stop_operator();
    forget(rig)?;
    let mut edited = deployment();
    for (field, value) in edit.as_object().context("fields")? {
        edited["spec"]["serving"][field] = value.clone();
    }
    rig.apply(&edited)?;
    rig.start_operator()?;
    wait("the edit is served", LONG, || {
        let there = rig.cloud_endpoints("west")?;
        if let Err(broken) = serves_meanwhile(&there, &found, effect) {
            return Ok(Err(broken));
        }
        let llama = rig.get(&LLAMA)?;
        let ready = condition(&llama, "Ready").context("no condition Ready")?;
        let current = llama["status"]["observedGeneration"] == llama["metadata"]["generation"];
        ensure!(current && ready["status"] == "True" && there.len() == 1, "{ready}");
        Ok(Ok(()))
    })??;
    let [serves]: [Value; 1] = rig.cloud_endpoints("west")?.try_into().ok().context("one endpoint")?;
    let same = serves["uid"] == found["uid"];
    ensure!(same == (effect == Effect::InPlace), "it was {found} and is {serves}");
    ensure!(serves["templateHash"] != found["templateHash"], "the edit is not served");
    Ok(())
}

/// At every moment all replicas of one endpoint answer, and what was found is as it was until it is deleted.
fn serves_meanwhile(there: &[Value], found: &Value, effect: Effect) -> anyhow::Result<()> {
    let answers = there.iter().any(|endpoint| endpoint["readyReplicas"] == 2);
    ensure!(answers, "nothing answers with all its replicas: {there:?}");
    let former = there.iter().find(|endpoint| endpoint["uid"] == found["uid"]);
    let is_touched = former.is_some_and(|former| former["templateHash"] != found["templateHash"]);
    ensure!(!is_touched || effect == Effect::InPlace, "its replicas were restarted: {former:?}");
    Ok(())
}

/// Everything that the hub knew of the deployment is lost; what runs goes on.
fn forget(rig: &Rig) -> anyhow::Result<()> {
    let free = r#"{"metadata":{"finalizers":null}}"#;
    for kind in ["mdep", "iep"] {
        let all = rig.get(&[kind, "-n", TEAM])?;
        for object in all["items"].as_array().into_iter().flatten() {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            rig.kubectl(&["patch", kind, name, "-n", TEAM, "--type=merge", "-p", free])?;
        }
        rig.kubectl(&["delete", kind, "--all", "-n", TEAM, "--timeout=60s"])?;
    }
    rig.kubectl(&["delete", "secrets", "--all", "-n", TEAM]).map(drop)
}
