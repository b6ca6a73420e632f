//! An endpoint that drains is gone at its place before its time.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::failover::{impatient, serving_as};
use super::rig::{LONG, Rig, TEAM, wait};

/// The record of the endpoint at this place.
fn record(rig: &Rig, place: &str) -> anyhow::Result<Option<Value>> {
    let all = rig.get(&["iep", "-n", TEAM])?;
    let all = all["items"].as_array().context("no list")?;
    Ok(all.iter().find(|one| one["spec"]["target"] == place).cloned())
}

/// It is not made again, and its record ends at the deadline.
pub fn what_drains_is_not_made_again(rig: &Rig) -> anyhow::Result<()> {
    let mut patient = impatient();
    patient["spec"]["serving"]["drainTimeoutSeconds"] = json!(15);
    serving_as(rig, &patient, &json!({}))?;
    rig.kubectl(&["annotate", "mdep", "llama", "-n", TEAM, "roadstead.dev/move-to=west"])?;
    wait("the endpoint at east drains", LONG, || {
        let state = record(rig, "east")?.context("no record")?["spec"]["state"].clone();
        ensure!(state == "Draining", "{state}");
        Ok(())
    })?;
    rig.tape.rewind(None);
    let [endpoint]: [Value; 1] = rig.cloud_endpoints("east")?.try_into().ok().context("one endpoint")?;
    let text = |field: &str| endpoint[field].as_str().unwrap_or_default().to_owned();
    rig.cloud_delete(&format!("/places/east/endpoints/{}?uid={}", text("name"), text("uid")))?;
    wait("its record ends", LONG, || {
        let left = record(rig, "east")?;
        ensure!(left.is_none(), "{left:?}");
        Ok(())
    })?;
    let made: Vec<String> = rig
        .tape
        .writes()
        .iter()
        .filter(|write| write.method == "POST" && write.path.contains("/places/east/"))
        .map(|write| write.path.clone())
        .collect();
    ensure!(made.is_empty() && rig.cloud_endpoints("east")?.is_empty(), "it was made again: {made:?}");
    Ok(())
}
