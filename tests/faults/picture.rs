//! The state of the hub and of the cloud, without what differs between two runs that went the same way.

use serde_json::{Map, Value, json};

use super::rig::{Rig, TEAM};

/// Fields whose values differ from run to run; that they are there still counts.
const MASKED: [&str; 20] = [
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "lastTransitionTime",
    "firstReadyTime",
    "at",
    "startedAt",
    "finishedAt",
    "durationSeconds",
    "since",
    "decidedAt",
    "deadline",
    "createdMillis",
    "clusterUID",
    "selector",
    "keyDigest",
    "apiKeySecretName",
    "data",
    "time",
];
/// Fields that say by which way a state was reached; a simulated target shows a capacity if it was seen unlisted.
const DROPPED: [&str; 5] = ["managedFields", "attempt", "version", "capacity", "revision"];

/// Everything that users and clouds see, as JSON.
pub fn picture(rig: &Rig) -> anyhow::Result<Value> {
    let mut picture = json!({
        "deployments": rig.get(&["mdep", "-n", TEAM])?["items"],
        "endpoints": rig.get(&["iep", "-n", TEAM])?["items"],
        "targets": rig.get(&["servingtargets"])?["items"],
        "secrets": rig.get(&["secrets", "-n", TEAM])?["items"],
        "east": rig.cloud_endpoints("east")?,
        "west": rig.cloud_endpoints("west")?,
    });
    for deployment in picture["deployments"].as_array_mut().into_iter().flatten() {
        // Whoever decides again after a crash keeps what it finds, and says so.
        for candidate in deployment["status"]["candidates"].as_array_mut().into_iter().flatten() {
            candidate["message"] = json!("…");
        }
    }
    for secret in picture["secrets"].as_array_mut().into_iter().flatten() {
        // It carries a part of its owner's UID.
        secret["metadata"]["name"] = json!("…");
    }
    mask(&mut picture);
    Ok(picture)
}

fn mask(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(fields) => mask_fields(fields),
        _ => {}
    }
}

fn mask_fields(fields: &mut Map<String, Value>) {
    for dropped in DROPPED {
        fields.remove(dropped);
    }
    for (name, value) in fields {
        if MASKED.contains(&name.as_str()) && !value.is_null() {
            *value = json!("…");
        } else {
            mask(value);
        }
    }
}

/// Differing paths of two pictures.
pub fn differences(wanted: &Value, found: &Value) -> Vec<String> {
    let mut all = Vec::new();
    compare("", wanted, found, &mut all);
    all
}

fn compare(path: &str, wanted: &Value, found: &Value, all: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for key in keys {
                let at = format!("{path}.{key}");
                compare(&at, left.get(key).unwrap_or(&Value::Null), right.get(key).unwrap_or(&Value::Null), all);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{path}[{index}]"), left, right, all);
            }
        }
        _ if wanted != found => all.push(format!("{path}: wanted {wanted}, found {found}")),
        _ => {}
    }
}
