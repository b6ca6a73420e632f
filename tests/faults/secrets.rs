//! Secrets that endpoints use are not watched, and what becomes of them is noticed all the same.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::objects::{deployment, places};
use super::rig::{Rig, TEAM, condition, wait};

const LLAMA: [&str; 4] = ["mdep", "llama", "-n", TEAM];
/// Longer than it takes to look at the few Secrets of this test, and far shorter than until all are read anew.
const NOTICED: Duration = Duration::from_secs(30);

/// The Secret of the only endpoint's key.
fn key(rig: &Rig) -> anyhow::Result<Value> {
    let all: Value = serde_json::from_str(&rig.kubectl(&["get", "secrets", "-n", TEAM, "-o", "json"])?)?;
    let is_key = |secret: &&Value| secret["metadata"]["name"].as_str().is_some_and(|name| name.contains("-key-"));
    all["items"].as_array().into_iter().flatten().find(is_key).cloned().context("there is no key")
}

fn hash(rig: &Rig) -> anyhow::Result<Value> {
    Ok(rig.cloud_endpoints("west")?.first().context("nothing is at west")?["templateHash"].clone())
}

/// A key that somebody deletes on the hub is made again as it was, while the endpoint goes on serving.
pub fn a_deleted_key_is_made_again(rig: &Rig) -> anyhow::Result<()> {
    for target in places(&json!({})) {
        rig.apply(&target)?;
    }
    rig.apply(&deployment())?;
    rig.condition(&LLAMA, "Ready", "True")?;
    let before = key(rig)?;
    rig.kubectl(&["delete", "secret", before["metadata"]["name"].as_str().unwrap_or_default(), "-n", TEAM])?;
    wait("the key is made again", NOTICED, || {
        let now = key(rig)?;
        ensure!(now["metadata"]["uid"] != before["metadata"]["uid"], "it is the former one");
        ensure!(now["data"] == before["data"], "it is another key than the endpoint has");
        Ok(())
    })?;
    rig.condition(&LLAMA, "Ready", "True").map(drop)
}

/// A Secret that a deployment names is noticed when it is made, when it changes and when it is deleted.
pub fn a_named_secret_is_followed(rig: &Rig) -> anyhow::Result<()> {
    for target in places(&json!({})) {
        rig.apply(&target)?;
    }
    let mut object = deployment();
    object["spec"]["model"]["credentialsSecretRef"] = json!({"name": "hf-token"});
    rig.apply(&object)?;
    let missing = |told: &str| {
        wait(told, NOTICED, || {
            let ready = condition(&rig.get(&LLAMA)?, "Ready").context("no condition")?;
            ensure!(ready["reason"] == "SecretMissing", "{ready}");
            Ok(())
        })
    };
    missing("a Secret that is not there is missing")?;
    let secret = |value: &str| {
        let metadata = json!({"name": "hf-token", "namespace": TEAM});
        let data = json!({"HF_TOKEN": value});
        rig.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}))
    };
    secret("one")?;
    wait("it is noticed that it was made", NOTICED, || {
        let ready = condition(&rig.get(&LLAMA)?, "Ready").context("no condition")?;
        ensure!(ready["status"] == "True", "{ready}");
        Ok(())
    })?;
    let before = hash(rig)?;
    secret("two")?;
    wait("it is noticed that it changed", NOTICED, || {
        ensure!(hash(rig)? != before, "the endpoint has the former value");
        Ok(())
    })?;
    rig.kubectl(&["delete", "secret", "hf-token", "-n", TEAM])?;
    missing("it is noticed that it was deleted")
}
