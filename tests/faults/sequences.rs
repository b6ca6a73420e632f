//! One change after another over every field of a deployment's schema: valid, at its bounds, beyond them, removed. Each is
//! refused by the server or told about by the operator, and the last good spec heals everything.
//!
//! The method is that of Acto (Gu et al., SOSP 2023): the changes come from the schema, and going back must always work.

use anyhow::{Context, bail, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use roadstead_api::schema::{definitions, items, root};
use serde_json::{Value, json};

use super::objects::{deployment, places};
use super::rig::{LONG, Rig, TEAM, condition, wait};
use roadstead_ground::chance::Chance;

const LLAMA: [&str; 4] = ["mdep", "llama", "-n", TEAM];
/// Steps of a sample.
const SAMPLE: usize = 30;

/// A spec that differs from the good one in one field.
struct Step {
    /// The field, as a JSON pointer, and its new value.
    what: String,
    object: Value,
}

/// The good spec: every part of it is something that a step can spoil.
fn good() -> Value {
    let mut object = deployment();
    let spec = json!({
        "model": {"source": "hf://example/llama", "revision": "main", "name": "llama-3"},
        "serving": {
            "engine": "vllm", "image": "vllm/vllm-openai:v0.20.0", "args": ["--max-model-len=4096"], "port": 8000,
            "env": [{"name": "A", "value": "b"}],
            "resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
            "shapes": [{"name": "h100x2", "accelerator": {"type": "H100", "count": 2}, "tokensPerSecond": 100}],
            "startupTimeoutSeconds": 600, "drainTimeoutSeconds": 1,
        },
        "replicas": 2, "priority": 0, "suspend": false,
        "placement": {
            "targetSelector": {"matchExpressions": [{"key": "no-such-label", "operator": "DoesNotExist"}]},
            "clouds": {"allow": ["aws", "gcp"]},
            "regions": {
                "allow": ["us-*", "europe-*"], "deny": ["eu-west-2"],
                "prefer": [{"name": "here", "cloud": "gcp", "region": "europe-west4", "premiumPercent": 10}],
            },
            "jurisdictions": ["EU"], "capacityTypes": ["OnDemand"],
            "cost": {"objective": "HourlyCost", "maxHourlyCost": "100.00"},
            "targetTolerations": [{"key": "a", "operator": "Exists"}],
        },
    });
    object["spec"] = spec;
    object
}

/// All steps, or a sample of them that `seed` chooses.
pub fn every_step_is_told_and_going_back_heals(rig: &Rig, seed: Option<u64>) -> anyhow::Result<()> {
    for target in places(&json!({})) {
        rig.apply(&target)?;
    }
    for target in ["east", "west"] {
        rig.condition(&["servingtarget", target], "Ready", "True")?;
    }
    rig.apply(&good())?;
    rig.condition(&LLAMA, "Ready", "True")?;
    let template = healed(rig).context("before anything was changed")?;
    let mut steps = steps()?;
    if let Some(seed) = seed {
        eprintln!("seed {seed} (ROADSTEAD_SEED), {SAMPLE} of {} steps", steps.len());
        let mut chance = Chance::new(seed);
        while steps.len() > SAMPLE {
            steps.swap_remove(chance.below(steps.len()));
        }
    }
    let mut refused = 0;
    for step in &steps {
        refused += usize::from(!play(rig, step, &template).with_context(|| step.what.clone())?);
    }
    let log = std::fs::read_to_string(rig.log())?;
    ensure!(!log.contains("panicked"), "the operator panicked");
    eprintln!("{} steps, of which the server refused {refused}", steps.len());
    Ok(())
}

/// Plays one step and goes back; says whether the server took it.
fn play(rig: &Rig, step: &Step, template: &Value) -> anyhow::Result<bool> {
    let before = rig.get(&LLAMA)?["metadata"]["generation"].clone();
    if rig.apply(&step.object).is_err() {
        let after = rig.get(&LLAMA)?;
        ensure!(after["metadata"]["generation"] == before, "it was refused and changed all the same");
        return Ok(false);
    }
    wait("the operator tells what it makes of it", LONG, || told(&rig.get(&LLAMA)?))?;
    rig.apply(&good())?;
    let back = wait("going back heals it", LONG, || healed(rig))?;
    ensure!(back == *template, "by this way it is served by {back}, not by {template}");
    Ok(true)
}

/// Ready, or why not, of the newest generation.
fn told(llama: &Value) -> anyhow::Result<()> {
    ensure!(llama["status"]["observedGeneration"] == llama["metadata"]["generation"], "not looked at yet");
    let ready = condition(llama, "Ready").context("no condition Ready")?;
    let says = |type_: &str| condition(llama, type_).is_some_and(|condition| condition["status"] == "True");
    match ready["status"].as_str() {
        Some("True") => Ok(()),
        _ if says("Stalled") != says("Reconciling") => Ok(()),
        _ => bail!("{}", llama["status"]["conditions"]),
    }
}

/// The template that serves, once the good spec is all there is.
fn healed(rig: &Rig) -> anyhow::Result<Value> {
    let llama = rig.get(&LLAMA)?;
    let ready = condition(&llama, "Ready").context("no condition Ready")?;
    let current = llama["status"]["observedGeneration"] == llama["metadata"]["generation"];
    ensure!(current && ready["status"] == "True", "{ready}");
    let endpoints = rig.get(&["iep", "-n", TEAM])?;
    let [endpoint] = endpoints["items"].as_array().context("a list")?.as_slice() else {
        bail!("there are other endpoints: {}", endpoints["items"]);
    };
    ensure!(endpoint["spec"]["target"] == "west" && endpoint["spec"]["replicas"] == 2, "{}", endpoint["spec"]);
    let (east, west) = (rig.cloud_endpoints("east")?, rig.cloud_endpoints("west")?);
    ensure!(east.is_empty() && west.len() == 1 && west[0]["readyReplicas"] == 2, "{east:?} {west:?}");
    Ok(endpoint["spec"]["template"].clone())
}

/// A step for every value of interest of every field.
fn steps() -> anyhow::Result<Vec<Step>> {
    let definition = definitions().into_iter().find(|definition| definition.spec.names.kind == "ModelDeployment");
    let definition = definition.context("ModelDeployment is defined")?;
    let spec = root(&definition).and_then(|root| root.properties.as_ref()?.get("spec")).context("it has a spec")?;
    let mut steps = Vec::new();
    walk(spec, "/spec", &mut steps);
    Ok(steps)
}

fn walk(schema: &JSONSchemaProps, pointer: &str, steps: &mut Vec<Step>) {
    if pointer != "/spec" {
        steps.push(step(pointer, None));
        steps.extend(values(schema).into_iter().map(|value| step(pointer, Some(value))));
    }
    for (name, property) in schema.properties.iter().flatten() {
        walk(property, &format!("{pointer}/{name}"), steps);
    }
    if let Some(items) = items(schema) {
        walk(items, &format!("{pointer}/0"), steps);
    }
}

/// Values at and beyond the bounds of a schema, and of the wrong type.
fn values(schema: &JSONSchemaProps) -> Vec<Value> {
    let mut all = vec![json!({"wrong": "type"})];
    if let Some(allowed) = &schema.enum_ {
        all.extend(allowed.iter().map(|value| value.0.clone()));
    }
    match schema.type_.as_deref() {
        Some("integer") => {
            // Bounds are floating-point numbers in Kubernetes' types; ours are whole.
            let whole = |bound: f64| bound.to_string().parse::<i64>().ok();
            let bounds = [schema.minimum, schema.maximum].into_iter().flatten().filter_map(whole);
            all.extend(bounds.flat_map(|bound| [bound - 1, bound, bound + 1]).map(|value| json!(value)));
        }
        Some("string") => {
            let most = usize::try_from(schema.max_length.unwrap_or(0)).unwrap_or(0);
            all.extend([json!(""), json!("a"), json!("é\u{0}"), json!("x".repeat(most)), json!("x".repeat(most + 1))]);
        }
        Some("boolean") => all.extend([json!(true), json!(false), json!("true")]),
        Some("array") => {
            let most = usize::try_from(schema.max_items.unwrap_or(0)).unwrap_or(0);
            all.extend([json!([]), json!(vec!["x"; most + 1])]);
        }
        Some("object") => all.push(json!({})),
        _ => {}
    }
    all
}

fn step(pointer: &str, value: Option<Value>) -> Step {
    let mut object = good();
    let shown =
        value.as_ref().map_or_else(|| "removed".to_owned(), |value| value.to_string().chars().take(60).collect());
    put(&mut object, pointer.trim_start_matches('/'), value);
    Step { what: format!("{pointer}: {shown}"), object }
}

/// Puts a value where the path leads, or removes what is there; what is missing on the way is made.
fn put(place: &mut Value, path: &str, value: Option<Value>) {
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let index: Option<usize> = first.parse().ok();
    if rest.is_empty() {
        match (place, index, value) {
            (Value::Array(list), Some(index), Some(value)) if index < list.len() => list[index] = value,
            (Value::Array(list), Some(_), Some(value)) => list.push(value),
            (Value::Array(list), Some(index), None) if index < list.len() => drop(list.remove(index)),
            (Value::Object(fields), _, Some(value)) => drop(fields.insert(first.to_owned(), value)),
            (Value::Object(fields), _, None) => drop(fields.remove(first)),
            _ => {}
        }
        return;
    }
    let next_is_list = rest.split('/').next().is_some_and(|next| next.parse::<usize>().is_ok());
    let empty = if next_is_list { json!([]) } else { json!({}) };
    match (place, index) {
        (Value::Array(list), Some(index)) => {
            if list.len() <= index {
                list.push(empty);
            }
            if let Some(item) = list.last_mut() {
                put(item, rest, value);
            }
        }
        (Value::Object(fields), _) => put(fields.entry(first.to_owned()).or_insert(empty), rest, value),
        _ => {}
    }
}
