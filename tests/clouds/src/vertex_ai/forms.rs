//! Checks of the bodies of requests. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::endpoint::{VertexEndpoint, count};
use super::fault::VertexFault;
use super::rules;
use super::settings::VertexAiSettings;

type Checked = Result<(), VertexFault>;

/// Longest id and longest label.
const MAX_CHARS: usize = 63;
/// Labels of a resource.
const MAX_LABELS: usize = 64;

fn plain(text: &str, more: &str) -> bool {
    text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || more.contains(c))
}

fn begins_with_a_letter(text: &str) -> bool {
    text.chars().next().is_some_and(|c| c.is_ascii_lowercase())
}

/// Refuses an id that is none ([`rules::IDS`]).
fn id(what: &str, id: &str, more: &str) -> Checked {
    let fits = (1..=MAX_CHARS).contains(&id.len()) && plain(id, more) && begins_with_a_letter(id) && !id.ends_with('-');
    if fits { Ok(()) } else { Err(VertexFault::invalid(&rules::IDS, format!("{what} {id:?} is not valid."))) }
}

/// Refuses labels that are none ([`rules::LABELS`]).
pub fn labels(labels: &Value) -> Checked {
    let all: Vec<(&String, &Value)> = labels.as_object().into_iter().flatten().collect();
    let fits = |(key, value): &(&String, &Value)| {
        let value = value.as_str().unwrap_or("NONE");
        (1..=MAX_CHARS).contains(&key.len())
            && plain(key, "_-")
            && begins_with_a_letter(key)
            && value.len() <= MAX_CHARS
            && plain(value, "_-")
    };
    match all.iter().find(|label| !fits(label)) {
        Some((key, value)) => {
            Err(VertexFault::invalid(&rules::LABELS, format!("The label {key}: {value} is not valid.")))
        }
        None if all.len() > MAX_LABELS => {
            Err(VertexFault::invalid(&rules::LABELS, format!("There are {} labels, more than 64.", all.len())))
        }
        None => Ok(()),
    }
}

pub fn endpoint(endpoint: &str, form: &Value) -> Checked {
    id("endpoint_id", endpoint, "-")?;
    labels(&form["labels"])?;
    inference_timeout(&form["clientConnectionConfig"]["inferenceTimeout"])
}

/// Refuses a time that is none, or is too long ([`rules::INFERENCE_TIMEOUT`]).
fn inference_timeout(time: &Value) -> Checked {
    let seconds = || time.as_str().and_then(|text| text.strip_suffix('s')?.parse().ok());
    if time.is_null() || seconds().is_some_and(|seconds: f64| seconds <= 3600.0) {
        return Ok(());
    }
    Err(VertexFault::invalid(
        &rules::INFERENCE_TIMEOUT,
        format!("inference_timeout {time} is not at most 3600 seconds."),
    ))
}

/// Refuses a model that cannot be uploaded ([`rules::IMAGE`]).
pub fn model(model: &str, form: &Value) -> Checked {
    id("model_id", model, "_-")?;
    labels(&form["labels"])?;
    let container = &form["containerSpec"];
    let image = container["imageUri"].as_str().unwrap_or_default();
    let host = image.split('/').next().unwrap_or_default();
    let registry = host.ends_with("-docker.pkg.dev") || host == "gcr.io" || host.ends_with(".gcr.io");
    if !registry {
        let message = format!("The image {image} is neither in Artifact Registry nor in Container Registry.");
        return Err(VertexFault::invalid(&rules::IMAGE, message));
    }
    match container["invokeRoutePrefix"].as_str() {
        Some("/*") if !container["predictRoute"].is_null() => {
            Err(VertexFault::invalid(&rules::INVOKE, "Only one of predictRoute and invokeRoutePrefix can be set."))
        }
        None | Some("/*") => Ok(()),
        Some(other) => Err(VertexFault::invalid(&rules::INVOKE, format!("invokeRoutePrefix {other} is not /*."))),
    }
}

/// Refuses numbers of replicas ([`rules::REPLICAS`]).
pub fn replicas(resources: &Value) -> Checked {
    let (least, most) = (count(&resources["minReplicaCount"]), count(&resources["maxReplicaCount"]));
    if least >= 1 && (resources["maxReplicaCount"].is_null() || most >= least) {
        return Ok(());
    }
    let message = format!("minReplicaCount {least} must be at least 1, and maxReplicaCount {most} at least that.");
    Err(VertexFault::invalid(&rules::REPLICAS, message))
}

/// Accelerators by the numbers that their names have in messages; JSON may have either.
const ACCELERATORS: [(u64, &str); 8] = [
    (9, "NVIDIA_A100_80GB"),
    (11, "NVIDIA_L4"),
    (13, "NVIDIA_H100_80GB"),
    (14, "NVIDIA_H100_MEGA_80GB"),
    (15, "NVIDIA_H200_141GB"),
    (16, "NVIDIA_B200"),
    (17, "NVIDIA_GB200"),
    (18, "NVIDIA_RTX_PRO_6000"),
];

/// Name of the type of accelerators in a specification of machines; empty if there is none.
pub fn accelerator(spec: &Value) -> &str {
    let kind = &spec["acceleratorType"];
    let numbered = || ACCELERATORS.iter().find(|(number, _)| Some(*number) == kind.as_u64()).map(|(_, name)| *name);
    kind.as_str().or_else(numbered).unwrap_or_default()
}

/// Refuses a deployment that cannot be made ([`rules::MACHINES`]).
pub fn deployment(wanted: &Value, settings: &VertexAiSettings) -> Checked {
    let id = wanted["id"].as_str().unwrap_or_default();
    if id.len() > 10 || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(VertexFault::invalid(&rules::IDS, format!("The id {id:?} of the deployed model is not valid.")));
    }
    let resources = &wanted["dedicatedResources"];
    replicas(resources)?;
    let spec = &resources["machineSpec"];
    let name = spec["machineType"].as_str().unwrap_or_default();
    let known = settings.machine_types.iter().find(|known| known.name == name);
    let fits = known
        .is_some_and(|known| accelerator(spec) == known.accelerator && count(&spec["acceleratorCount"]) == known.count);
    if fits {
        return Ok(());
    }
    let (kind, count) = (accelerator(spec), count(&spec["acceleratorCount"]));
    let message = format!("Machine type {name:?} is not supported with {count} accelerators of type {kind}.");
    Err(VertexFault::invalid(&rules::MACHINES, message))
}

/// The split of traffic in a body, if it has one.
pub fn split(body: &Value) -> Option<BTreeMap<String, u32>> {
    let split = body["trafficSplit"].as_object().filter(|split| !split.is_empty())?;
    Some(split.iter().map(|(id, percent)| (id.clone(), count(percent))).collect())
}

/// Refuses a split of traffic ([`rules::TRAFFIC_SPLIT`]); `new`: `"0"` is the model that is being deployed.
pub fn traffic(body: &Value, endpoint: &VertexEndpoint, new: bool) -> Checked {
    let Some(split) = split(body) else { return Ok(()) };
    let known = |id: &String| (new && id == "0") || endpoint.deployed.iter().any(|known| known.id == *id);
    if split.values().sum::<u32>() == 100 && split.keys().all(known) {
        return Ok(());
    }
    let message = format!("The traffic split {split:?} does not add up to 100 or names a model that is not deployed.");
    Err(VertexFault::invalid(&rules::TRAFFIC_SPLIT, message))
}

/// Labels that a list is asked for.
pub struct LabelFilter<'a> {
    /// Label and value; `None` for a part that is not played, which nothing satisfies.
    parts: Vec<Option<(&'a str, &'a str)>>,
}

/// Reads a filter: `labels.KEY=VALUE`, several of them joined by AND.
pub fn filter(text: &str) -> LabelFilter<'_> {
    LabelFilter { parts: text.split(" AND ").filter(|part| !part.trim().is_empty()).map(filtered).collect() }
}

/// Label and value of one part of a filter.
fn filtered(part: &str) -> Option<(&str, &str)> {
    let (key, value) = part.trim().strip_prefix("labels.")?.split_once('=')?;
    Some((key.trim_matches('"'), value.trim_matches('"')))
}

impl LabelFilter<'_> {
    /// True if these labels satisfy it.
    pub fn matches(&self, labels: &Value) -> bool {
        self.parts.iter().all(|part| part.is_some_and(|(key, value)| labels[key] == value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_names_labels() {
        let labels = json!({"owner": "prod", "team": "a"});
        for (text, expected) in [
            ("", true),
            ("labels.owner=prod", true),
            ("labels.owner=\"prod\" AND labels.team=a", true),
            ("labels.owner=prod AND labels.team=b", false),
            ("owner=prod", false),
        ] {
            assert_eq!(filter(text).matches(&labels), expected, "{text}");
        }
    }

    #[test]
    fn an_endpoint_takes_requests_for_an_hour_at_most() {
        let timeout = |time: Value| endpoint("a-1", &json!({"clientConnectionConfig": {"inferenceTimeout": time}}));
        assert!(timeout(json!("3600s")).is_ok() && endpoint("a-1", &json!({})).is_ok());
        assert!(timeout(json!("3601s")).is_err() && timeout(json!(60)).is_err());
    }

    #[test]
    fn labels_are_lower_case_and_few() {
        for bad in [
            json!({"A": "b"}),
            json!({"a": "B"}),
            json!({"1a": "b"}),
            json!({"a.b/c": "d"}),
            json!({"a": "x".repeat(64)}),
        ] {
            assert!(labels(&bad).is_err(), "{bad}");
        }
        let many: Value =
            (0..65).map(|number| (format!("k{number}"), json!("v"))).collect::<serde_json::Map<_, _>>().into();
        assert!(labels(&many).is_err() && labels(&json!({"a_b-1": "c-2_d", "e": ""})).is_ok());
    }
}
