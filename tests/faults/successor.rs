//! An endpoint that is made anew under the name of one that has just gone, whose key the collector has yet to take.

use anyhow::{Context, ensure};
use serde_json::Value;

use super::crash_sweep::begin;
use super::objects::deployment;
use super::rig::{LONG, Rig, TEAM, wait};

/// A deployment that was deleted and comes again has a key of its own at once, and another one, however long that of its
/// predecessor stays.
pub fn does_not_wait_for_the_collector(rig: &Rig) -> anyhow::Result<()> {
    begin(rig, true)?;
    let former = key_of(rig, &endpoint(rig)?)?;
    rig.collector.awake(false);
    rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--timeout=60s"])?;
    rig.apply(&deployment())?;
    rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True")?;
    let own = key_of(rig, &endpoint(rig)?)?;
    ensure!(own.value != former.value, "whoever had the key of the former deployment has that of this one");
    ensure!(keys(rig)? == 2, "the former key was to stay while the collector sleeps");
    rig.collector.awake(true);
    stays_alone(rig, &own)
}

/// A record is lost while what it stands for serves on: whoever comes first, the collector or the operator, the next
/// record has a key of its own, and it is the one that serves.
pub fn has_the_key_of_what_it_finds(rig: &Rig) -> anyhow::Result<()> {
    begin(rig, true)?;
    for collector_first in [true, false] {
        let lost = endpoint(rig)?;
        let former = key_of(rig, &lost)?;
        let name = lost["metadata"]["name"].as_str().context("it has a name")?;
        // Frozen, for it would put the finalizer on again.
        rig.operator.signal("STOP")?;
        rig.collector.awake(collector_first);
        rig.kubectl(&["patch", "iep", name, "-n", TEAM, "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#])?;
        rig.kubectl(&["delete", "iep", name, "-n", TEAM])?;
        if collector_first {
            wait("the key is collected", LONG, || {
                ensure!(keys(rig)? == 0, "it is there");
                Ok(())
            })?;
        }
        rig.operator.signal("CONT")?;
        let own = wait("there is a new endpoint with a key of its own", LONG, || {
            let anew = endpoint(rig)?;
            ensure!(anew["metadata"]["uid"] != lost["metadata"]["uid"], "it is the one that was lost");
            key_of(rig, &anew)
        })?;
        ensure!(own.value == former.value, "it is another key than the one that serves");
        rig.quiet()?;
        rig.collector.awake(true);
        stays_alone(rig, &own)?;
        rig.condition(&["iep", name, "-n", TEAM], "Ready", "True")?;
        let served = rig.cloud_endpoints("west")?;
        ensure!(served.len() == 1 && served[0]["version"] == 1, "it was made anew or changed: {served:?}");
    }
    Ok(())
}

/// Waits until all other keys are collected; this one is as it was.
fn stays_alone(rig: &Rig, own: &Key) -> anyhow::Result<()> {
    wait("the former key is collected", LONG, || {
        ensure!(keys(rig)? == 1, "it is there");
        Ok(())
    })?;
    rig.quiet()?;
    ensure!(key_of(rig, &endpoint(rig)?)? == *own, "the collector took its key, or it was made anew");
    Ok(())
}

/// The only endpoint.
fn endpoint(rig: &Rig) -> anyhow::Result<Value> {
    rig.get(&["iep", "-n", TEAM])?["items"].get(0).cloned().context("there is no endpoint")
}

fn keys(rig: &Rig) -> anyhow::Result<usize> {
    rig.get(&["secrets", "-n", TEAM])?["items"].as_array().map(Vec::len).context("no list")
}

/// A key as it stands on the hub.
#[derive(PartialEq)]
struct Key {
    uid: Value,
    value: Value,
}

/// The key that the endpoint's status names; it belongs to this endpoint.
fn key_of(rig: &Rig, endpoint: &Value) -> anyhow::Result<Key> {
    let name = endpoint["status"]["apiKeySecretName"].as_str().context("it names no key")?;
    let secret = rig.get(&["secret", name, "-n", TEAM])?;
    let owner = &secret["metadata"]["ownerReferences"][0]["uid"];
    ensure!(*owner == endpoint["metadata"]["uid"], "the key belongs to {owner}, not to {endpoint}");
    Ok(Key { uid: secret["metadata"]["uid"].clone(), value: secret["data"]["apiKey"].clone() })
}
