//! Ten targets of each managed service at rest: memory of the operator, and its calls. `make bench-services` prints them. The fakes of Azure
//! have one workspace and one account, so there is one target at each.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use roadstead_clouds::Clouds;
use roadstead_ground::wait::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::places::{
    aws_key, azure_key, azure_ml, azure_openai, baseten, baseten_key, bedrock, clouds, deployment_of_units,
    digital_ocean, digital_ocean_key, hugging_face, hugging_face_key, overrides, sagemaker, vertex_ai,
};
use super::stage::{Key, LONG, ServiceStage, TEAM};

/// Regions of the targets in each cloud.
const AWS: [&str; 10] = [
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "eu-north-1",
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "ap-south-1",
    "ap-northeast-1",
];
const GOOGLE: [&str; 10] = [
    "europe-west4",
    "europe-west1",
    "europe-west2",
    "europe-west3",
    "us-central1",
    "us-east1",
    "us-east4",
    "us-west1",
    "asia-east1",
    "asia-northeast1",
];
/// Ten names of regions at Baseten.
const BASETEN: [&str; 10] = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "eu-west"];
/// The same at `DigitalOcean`.
const OCEAN: [&str; 10] = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "tor1"];
/// Time in which the calls are counted.
const WHILE: Duration = Duration::from_mins(2);

/// Calls by service and operation.
type Calls = BTreeMap<(String, String), usize>;

#[test]
#[ignore = "a measurement: make bench-services"]
fn ten_targets_of_each_service_take_little_memory_and_few_calls() -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    wait("the operator answers", LONG, || stage.metrics())?;
    let empty = stage.operator_memory()?;
    for key in [aws_key(), azure_key(), hugging_face_key(), baseten_key(), digital_ocean_key()] {
        stage.apply(&key)?;
    }
    let mut count = 0;
    let models = [
        (sagemaker(), &AWS[..]),
        (bedrock(), &AWS),
        (hugging_face(), &AWS),
        (vertex_ai(), &GOOGLE),
        (baseten(), &BASETEN),
        (digital_ocean(), &OCEAN),
        (azure_ml(), &["westeurope"]),
        (azure_openai(), &["datazone-eu"]),
    ];
    for (model, regions) in models {
        for region in regions {
            stage.apply(&in_region(&model, region))?;
            count += 1;
        }
    }
    wait("all targets are ready", LONG, || {
        let targets = stage.list("servingtarget", "")?;
        let late = targets.iter().find(|target| !is_ready(target));
        ensure!(targets.len() == count && late.is_none(), "{} of {count}: {late:?}", targets.len());
        Ok(())
    })?;
    let idle = calls_in_a_while(&clouds);
    eprintln!("memory: {empty} MB without targets, {} MB with {count}", stage.operator_memory()?);
    print("an hour and target", &idle, targets_at);

    let places = [
        ("a", "ireland-eu-west-1"),
        ("b", "hub-eu-west-1"),
        ("c", "europe-europe-west4"),
        ("d", "baseten-eu-west"),
        ("e", "frankfurt-eu-central-1"),
        ("f", "ocean-tor1"),
        ("g", "amsterdam-westeurope"),
        ("h", "zone-datazone-eu"),
    ];
    for (name, place) in places {
        let mut one = deployment_of_units();
        one["metadata"]["name"] = json!(name);
        one["spec"]["placement"] = json!({"targetSelector": {"matchLabels": {"place": place}}});
        stage.apply(&one)?;
        let key: Key = ("mdep", TEAM, name);
        stage.condition(key, "Ready", "True")?;
    }
    std::thread::sleep(WHILE / 2);
    let mut busy = calls_in_a_while(&clouds);
    for (call, before) in &idle {
        let now = busy.entry(call.clone()).or_default();
        *now = now.saturating_sub(*before);
    }
    print("an hour and endpoint", &busy, |_| 1.0);
    Ok(())
}

/// Number of targets at a service.
fn targets_at(service: &str) -> f64 {
    if service.starts_with("Azure") { 1.0 } else { 10.0 }
}

/// The same target in another region, with a name of its own.
fn in_region(model: &Value, region: &str) -> Value {
    let mut target = model.clone();
    let name = format!("{}-{region}", model["metadata"]["name"].as_str().unwrap_or_default());
    target["metadata"] = json!({"name": name, "labels": {"place": name}});
    target["spec"]["region"] = json!(region);
    target
}

fn is_ready(target: &Value) -> bool {
    let conditions = target["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

fn calls_in_a_while(clouds: &Clouds) -> Calls {
    let before = clouds.requests_after(0).len();
    std::thread::sleep(WHILE);
    let mut calls = Calls::new();
    for asked in clouds.requests_after(before) {
        *calls.entry((format!("{:?}", asked.service), asked.operation)).or_default() += 1;
    }
    calls
}

/// Prints the calls of an hour, for each of so many things at a service.
#[allow(clippy::cast_precision_loss, reason = "numbers of calls are small")]
fn print(per: &str, calls: &Calls, things: impl Fn(&str) -> f64) {
    let hours = WHILE.as_secs_f64() / 3600.0;
    for ((service, operation), count) in calls.iter().filter(|(_, count)| **count > 0) {
        eprintln!("calls {per}: {service} {operation} {:.0}", *count as f64 / hours / things(service));
    }
}
