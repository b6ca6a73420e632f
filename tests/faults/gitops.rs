//! Objects in every state that Argo CD, Flux and others distinguish, recorded from the operator for the test `gitops`, which says what
//! those tools make of them.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::objects::{deployment, target};
use super::rig::{LONG, Rig, TEAM, condition, wait};

const LLAMA: [&str; 4] = ["mdep", "llama", "-n", TEAM];
const WEST: [&str; 2] = ["servingtarget", "west"];

/// Every state once; with `ROADSTEAD_WRITE=1` they are recorded anew, else they are as they were recorded.
pub fn every_state_is_recorded(rig: &Rig) -> anyhow::Result<()> {
    before_and_after_the_first_look(rig)?;
    while_it_serves(rig)?;
    where_nothing_can_serve(rig)?;
    targets(rig)
}

fn before_and_after_the_first_look(rig: &Rig) -> anyhow::Result<()> {
    rig.stop_operator();
    west(rig, &json!({"startupSeconds": 5}))?;
    rig.apply(&deployment())?;
    keep("deployment-unobserved", &rig.get(&LLAMA)?)?;
    keep("target-unobserved", &rig.get(&WEST)?)?;
    rig.start_operator()?;
    reason(rig, "Starting")?;
    keep("deployment-starting", &rig.get(&LLAMA)?)?;
    rig.condition(&LLAMA, "Ready", "True")?;
    rig.quiet()?;
    keep("deployment-ready", &rig.get(&LLAMA)?)?;
    keep("target-ready", &rig.get(&WEST)?)?;
    keep("endpoint-ready", &endpoint(rig)?)
}

fn while_it_serves(rig: &Rig) -> anyhow::Result<()> {
    rig.stop_operator();
    edit(rig, &json!({"replicas": 1}))?;
    keep("deployment-edited", &rig.get(&LLAMA)?)?;
    rig.start_operator()?;
    rig.condition(&LLAMA, "Ready", "True")?;
    edit(rig, &json!({"suspend": true}))?;
    reason(rig, "Suspended")?;
    keep("deployment-suspended", &rig.get(&LLAMA)?)?;
    edit(rig, &json!({"replicas": 2}))?;
    rig.condition(&LLAMA, "Ready", "False")?;
    keep("deployment-suspended-with-an-edit", &rig.get(&LLAMA)?)?;
    edit(rig, &json!({"suspend": false}))?;
    reason(rig, "Ready")?;
    edit(rig, &json!({"replicas": 3, "placement": {"cost": {"maxHourlyCost": "30.00"}}}))?;
    rig.condition(&LLAMA, "Ready", "False")?;
    keep("deployment-scaled-past-its-budget", &rig.get(&LLAMA)?)?;
    edit(rig, &json!({"replicas": 2}))?;
    reason(rig, "Ready")?;
    west(rig, &refused("Identify"))?;
    rig.condition(&LLAMA, "Ready", "Unknown")?;
    keep("deployment-target-unreachable", &rig.get(&LLAMA)?)?;
    west(rig, &refused("Delete"))?;
    rig.condition(&LLAMA, "Ready", "True")?;
    edit(rig, &json!({"replicas": 0}))?;
    reason(rig, "ScaledToZero")?;
    keep("deployment-scaled-to-zero", &rig.get(&LLAMA)?)?;
    rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=false"])?;
    reason(rig, "Deleting")?;
    wait("the deletion is refused", LONG, || {
        ensure!(endpoint(rig)?["status"]["lastError"].is_object(), "not yet");
        Ok(())
    })?;
    keep("deployment-deleted", &rig.get(&LLAMA)?)?;
    keep("endpoint-deleted", &endpoint(rig)?)?;
    west(rig, &json!({}))?;
    rig.kubectl(&["wait", "--for=delete", "mdep/llama", "-n", TEAM, "--timeout=60s"]).map(drop)
}

fn where_nothing_can_serve(rig: &Rig) -> anyhow::Result<()> {
    let states = [
        ("deployment-suspended-before-it-ran", json!({"suspend": true}), "Suspended"),
        ("deployment-waits-for-room", json!({"replicas": 128}), "NoFeasiblePlacement"),
        ("deployment-no-feasible-place", json!({"placement": {"jurisdictions": ["JP"]}}), "NoFeasiblePlacement"),
    ];
    for (name, spec, expected) in states {
        begin(rig, &spec)?;
        reason(rig, expected).with_context(|| name.to_owned())?;
        keep(name, &rig.get(&LLAMA)?)?;
        rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=true", "--timeout=60s"])?;
    }
    west(rig, &json!({"faults": [{"calls": ["Create"], "effect": "Refused", "class": "Invalid"}]}))?;
    begin(rig, &json!({}))?;
    rig.condition(&LLAMA, "Stalled", "True")?;
    keep("deployment-refused-by-provider", &rig.get(&LLAMA)?)
}

fn targets(rig: &Rig) -> anyhow::Result<()> {
    let mut member = target("member", "gcp", "europe-west4", "55.20", &Value::Null);
    member["spec"]["type"] = json!("Kubernetes");
    member["spec"]["kubernetes"] = json!({
        "connection": {"kubeconfigSecretRef": {"name": "nowhere", "key": "kubeconfig"}},
        "expose": {"type": "NodePort", "public": true},
    });
    rig.apply(&member)?;
    rig.condition(&["servingtarget", "member"], "Ready", "False")?;
    keep("target-without-credentials", &rig.get(&["servingtarget", "member"])?)?;
    // What no schema can know: the built-in table has this region in the Netherlands.
    member["spec"]["location"] = json!({"country": "FR"});
    rig.apply(&member)?;
    rig.condition(&["servingtarget", "member"], "Stalled", "True")?;
    keep("target-invalid", &rig.get(&["servingtarget", "member"])?)
}

fn west(rig: &Rig, simulated: &Value) -> anyhow::Result<()> {
    rig.apply(&target("west", "gcp", "europe-west4", "55.20", simulated))
}

fn refused(call: &str) -> Value {
    json!({"faults": [{"calls": [call], "effect": "Refused", "class": "Transient"}]})
}

fn begin(rig: &Rig, spec: &Value) -> anyhow::Result<()> {
    let mut object = deployment();
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    rig.apply(&object)
}

fn edit(rig: &Rig, spec: &Value) -> anyhow::Result<()> {
    let change = json!({"spec": spec}).to_string();
    rig.kubectl(&["patch", "mdep", "llama", "-n", TEAM, "--type=merge", "-p", &change]).map(drop)
}

/// Waits until the deployment has this reason for its newest generation.
fn reason(rig: &Rig, expected: &str) -> anyhow::Result<()> {
    wait(&format!("the deployment has the reason {expected}"), LONG, || {
        let llama = rig.get(&LLAMA)?;
        let ready = condition(&llama, "Ready").context("no condition Ready")?;
        let seen = llama["status"]["observedGeneration"] == llama["metadata"]["generation"];
        ensure!(seen && ready["reason"] == expected, "{ready}");
        Ok(())
    })
}

/// The only endpoint.
fn endpoint(rig: &Rig) -> anyhow::Result<Value> {
    let list = rig.get(&["iep", "-n", TEAM])?;
    list["items"].as_array().and_then(|all| all.first()).cloned().context("there is no endpoint")
}

/// Records an object, or holds it against its record: by what kstatus reads, so that a sentence may change.
fn keep(name: &str, object: &Value) -> anyhow::Result<()> {
    let path = file(name);
    if std::env::var_os("ROADSTEAD_WRITE").is_some() {
        return Ok(std::fs::write(path, serde_saphyr::to_string(&steady(object))?)?);
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let recorded: Value = serde_saphyr::from_str(&text)?;
    ensure!(
        visible(&recorded) == visible(object),
        "{name} is recorded with {} and now has {}; if that is meant, run `make record-gitops` and look at \
         tests/gitops/main.rs",
        visible(&recorded),
        visible(object)
    );
    Ok(())
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/gitops").join(format!("{name}.yaml"))
}

/// The fields of an object that Argo CD, Flux and others read.
fn visible(object: &Value) -> Value {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let conditions: Vec<Value> = conditions.into_iter().map(|one| json!([one["type"], one["status"]])).collect();
    let metadata = &object["metadata"];
    let deleted = metadata["deletionTimestamp"].is_string();
    json!({
        "deleted": deleted,
        "observed": deleted || object["status"]["observedGeneration"] == metadata["generation"],
        "suspended": object["spec"]["suspend"] == true,
        "conditions": conditions,
    })
}

/// The object without what is another one in every run.
fn steady(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "annotations", "ownerReferences"]
        {
            metadata.remove(field);
        }
    }
    settle(&mut object);
    object
}

fn settle(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                match (field.as_str(), value) {
                    ("uid" | "clusterUID", Value::String(uid)) => "…".clone_into(uid),
                    ("selector", Value::String(selector)) => "roadstead.dev/deployment-uid=…".clone_into(selector),
                    ("apiKeySecretName", Value::String(name)) => "llama-key".clone_into(name),
                    (_, value) => settle(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        Value::String(text) if is_time(text) => "2026-01-01T00:00:00Z".clone_into(text),
        Value::String(text) => {
            let words = text.split(' ').map(|word| match word.strip_prefix("http://127.0.0.1:") {
                Some(_) => "http://192.0.2.1:8000",
                None => word,
            });
            *text = words.collect::<Vec<_>>().join(" ");
        }
        _ => {}
    }
}

fn is_time(text: &str) -> bool {
    text.len() >= 20 && text.ends_with('Z') && text.chars().nth(10) == Some('T') && text.starts_with("20")
}
