//! The price of a deployment for the hub: the writes until it is Ready, and the size of its status.

use anyhow::ensure;
use serde_json::{Value, json};

use super::objects::{deployment, target};
use super::rig::{Rig, TEAM};

/// Writes to the hub until Ready: the record, the placement, the finalizer, the key, and both statuses once it answers.
const WRITES: usize = 6;
/// Events until Ready: placed, ready.
const EVENTS: usize = 2;
/// Bytes of the status of a deployment that is placed, with more candidates than it lists.
const STATUS_BYTES: usize = 3 * 1024;

const LLAMA: [&str; 4] = ["mdep", "llama", "-n", TEAM];

/// Twenty targets, half of them outside the EU.
fn many_places(rig: &Rig) -> anyhow::Result<()> {
    for number in 0..20 {
        let (cloud, region) = if number % 2 == 0 { ("gcp", "europe-west4") } else { ("aws", "us-east-1") };
        let (name, price) = (format!("target-{number:02}"), format!("{}.00", 40 + number));
        rig.apply(&target(&name, cloud, region, &price, &json!({"startupSeconds": 2})))?;
    }
    (0..20).try_for_each(|number| {
        rig.condition(&["servingtarget", &format!("target-{number:02}")], "Ready", "True").map(drop)
    })
}

fn status_bytes(rig: &Rig) -> anyhow::Result<usize> {
    Ok(rig.get(&LLAMA)?["status"].to_string().len())
}

/// A deployment takes as many writes with one replica as with eight, and its status stays small.
pub fn are_few_at_any_replica_count(rig: &Rig) -> anyhow::Result<()> {
    for replicas in [1, 8] {
        rig.clear()?;
        many_places(rig)?;
        rig.quiet()?;
        rig.tape.rewind(None);
        let mut object = deployment();
        object["spec"]["replicas"] = json!(replicas);
        rig.apply(&object)?;
        rig.condition(&LLAMA, "Placed", "True")?;
        ensure!(status_bytes(rig)? <= STATUS_BYTES, "placed: {}", rig.get(&LLAMA)?["status"]);
        rig.condition(&LLAMA, "Ready", "True")?;
        rig.quiet()?;
        ensure!(status_bytes(rig)? <= STATUS_BYTES, "ready: {}", rig.get(&LLAMA)?["status"]);
        let writes = rig.tape.writes();
        let hub: Vec<_> = writes.iter().filter(|write| !write.path.starts_with("/places/")).collect();
        ensure!(hub.len() <= WRITES, "{replicas} replicas took {} writes: {hub:?}", hub.len());
        let uid = rig.get(&LLAMA)?["metadata"]["uid"].clone();
        let events: Value =
            serde_json::from_str(&rig.kubectl(&["get", "events.events.k8s.io", "-n", TEAM, "-o", "json"])?)?;
        let about = |event: &&Value| event["regarding"]["uid"] == uid;
        let told: Vec<&Value> = events["items"].as_array().into_iter().flatten().filter(about).collect();
        ensure!(told.len() <= EVENTS, "{replicas} replicas took {} events: {told:?}", told.len());
    }
    Ok(())
}
