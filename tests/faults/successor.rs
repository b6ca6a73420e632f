//! An endpoint that is made anew under the name of one that has just gone: the key of the former is about to be collected.

use anyhow::{Context, ensure};
use serde_json::Value;

use super::crash_sweep::begin;
use super::objects::deployment;
use super::rig::{LONG, Rig, TEAM, wait};

/// A deployment that was deleted and comes again does not wait for the collector, which may have lost sight of what it is
/// to collect; when the key of its predecessor is collected after all, it has one of its own at once.
pub fn does_not_wait_for_the_collector(rig: &Rig) -> anyhow::Result<()> {
    begin(rig, true)?;
    let former = key(rig)?;
    rig.collector.awake(false);
    rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--timeout=60s"])?;
    rig.apply(&deployment())?;
    let anew = wait("there is a new endpoint", LONG, || endpoint(rig))?;
    rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True")?;
    rig.collector.awake(true);
    has_the_key(rig, &anew, &former)
}

/// Waits until the endpoint has a key of its own that is the one that serves.
fn has_the_key(rig: &Rig, endpoint: &Value, served: &Key) -> anyhow::Result<()> {
    wait("the new endpoint has a key", LONG, || {
        let found = key(rig)?;
        ensure!(found.owner == endpoint["metadata"]["uid"], "the key belongs to {}, not to {endpoint}", found.owner);
        ensure!(found.value == served.value, "it is another key than the one that serves");
        Ok(())
    })
}

/// A record is lost while what it stands for serves on: whoever comes first, the collector or the operator, the next
/// record has a key of its own, and it is the one that serves.
pub fn has_the_key_of_what_it_finds(rig: &Rig) -> anyhow::Result<()> {
    begin(rig, true)?;
    for collector_first in [true, false] {
        let (lost, former) = (endpoint(rig)?, key(rig)?);
        let name = lost["metadata"]["name"].as_str().context("it has a name")?;
        // Frozen, for it would put the finalizer on again.
        rig.operator.signal("STOP")?;
        rig.collector.awake(collector_first);
        rig.kubectl(&["patch", "iep", name, "-n", TEAM, "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#])?;
        rig.kubectl(&["delete", "iep", name, "-n", TEAM])?;
        if collector_first {
            wait("the key is collected", LONG, || {
                ensure!(key(rig).is_err(), "it is there");
                Ok(())
            })?;
        }
        rig.operator.signal("CONT")?;
        let anew = wait("there is a new endpoint", LONG, || {
            let anew = endpoint(rig)?;
            ensure!(anew["metadata"]["uid"] != lost["metadata"]["uid"], "it is the one that was lost");
            Ok(anew)
        })?;
        rig.quiet()?;
        rig.collector.awake(true);
        has_the_key(rig, &anew, &former)?;
        rig.condition(&["iep", name, "-n", TEAM], "Ready", "True")?;
        let served = rig.cloud_endpoints("west")?;
        ensure!(served.len() == 1 && served[0]["version"] == 1, "it was made anew or changed: {served:?}");
    }
    Ok(())
}

/// The only endpoint.
fn endpoint(rig: &Rig) -> anyhow::Result<Value> {
    rig.get(&["iep", "-n", TEAM])?["items"].get(0).cloned().context("there is no endpoint")
}

/// A key as it stands on the hub.
struct Key {
    /// The UID of the endpoint that it belongs to.
    owner: Value,
    value: Value,
}

/// The only key.
fn key(rig: &Rig) -> anyhow::Result<Key> {
    let secrets = rig.get(&["secrets", "-n", TEAM])?;
    let secret = secrets["items"].get(0).context("there is no key")?;
    Ok(Key { owner: secret["metadata"]["ownerReferences"][0]["uid"].clone(), value: secret["data"]["apiKey"].clone() })
}
