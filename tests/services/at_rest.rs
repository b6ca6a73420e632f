//! Ten targets of each managed service at rest: memory of the operator, and its calls, which may not leave the ranges around the numbers of
//! docs/performance.md. `make bench-services` prints them. The fakes of Azure have one workspace and one account, and the hosted vendor one
//! address, so there is one target at each, and three at `DigitalOcean`, which has three regions.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::ensure;
use roadstead_clouds::Clouds;
use roadstead_ground::wait::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::places::{
    aws_key, azure_key, azure_ml, azure_openai, baseten, baseten_key, bedrock, clouds, deployment_of_units,
    digital_ocean, digital_ocean_key, hosted, hosted_key, hugging_face, hugging_face_key, overrides, sagemaker,
    throughput, vertex_ai,
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
/// The regions with dedicated inference at `DigitalOcean`.
const OCEAN: [&str; 3] = ["atl1", "nyc2", "tor1"];
/// The region of the target with provisioned throughput, where no other one is: requests to Bedrock are told apart by their regions.
const OF_UNITS: &str = "eu-central-2";
/// Calls of an hour for a target, and for an endpoint with its probes.
const EXPECTED: [(&str, f64, f64); 10] = [
    ("SageMaker", 720.0, 360.0),
    ("VertexAi", 420.0, 240.0),
    ("HuggingFace", 424.0, 360.0),
    ("Baseten", 300.0, 1080.0),
    ("DigitalOcean", 540.0, 360.0),
    ("Bedrock", 900.0, 360.0),
    (THROUGHPUT, 720.0, 360.0),
    ("Azure", 420.0, 480.0),
    ("AzureOpenAi", 420.0, 240.0),
    ("Hosted", 60.0, 0.0),
];
/// Bedrock's other way to serve.
const THROUGHPUT: &str = "Bedrock, throughput";
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
    for key in [aws_key(), azure_key(), hugging_face_key(), baseten_key(), digital_ocean_key(), hosted_key()] {
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
        (throughput(), &[OF_UNITS]),
        (hosted(), &["global"]),
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
    let of_targets = per_hour("an hour and target", &idle, targets_at);

    let places = [
        ("a", "ireland-eu-west-1"),
        ("b", "hub-eu-west-1"),
        ("c", "europe-europe-west4"),
        ("d", "baseten-eu-west"),
        ("e", "frankfurt-eu-central-1"),
        ("f", "ocean-tor1"),
        ("g", "amsterdam-westeurope"),
        ("h", "zone-datazone-eu"),
        ("i", "hesse-eu-central-2"),
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
    let of_endpoints = per_hour("an hour and endpoint", &busy, |_| 1.0);
    for (service, target, endpoint) in EXPECTED {
        // A call more or less in the time of the measurement is no other rate.
        in_range(&of_targets, (service, "target"), target * 0.75 - 30.0, target * 1.25 + 30.0)?;
        // Of two equal times, one may have a round of two checks at each target more.
        let checks = 60.0 * targets_at(service);
        in_range(&of_endpoints, (service, "endpoint"), endpoint * 0.5 - 30.0, endpoint * 1.25 + 30.0 + checks)?;
    }
    Ok(())
}

/// Checks the calls of an hour for each of the things named.
fn in_range(calls: &BTreeMap<String, f64>, (service, what): (&str, &str), least: f64, most: f64) -> anyhow::Result<()> {
    let calls = calls.get(service).copied().unwrap_or_default();
    ensure!(
        (least..=most).contains(&calls),
        "{service}: {calls} calls an hour for each {what}, not from {least} to {most}"
    );
    Ok(())
}

/// Number of targets at a service.
fn targets_at(service: &str) -> f64 {
    match service {
        "Azure" | "AzureOpenAi" | THROUGHPUT | "Hosted" => 1.0,
        "DigitalOcean" => 3.0,
        _ => 10.0,
    }
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
        let is_signed_there = asked.headers.iter().any(|(_, value)| value.contains(&format!("/{OF_UNITS}/")));
        let service = if is_signed_there { THROUGHPUT.to_owned() } else { format!("{:?}", asked.service) };
        *calls.entry((service, asked.operation)).or_default() += 1;
    }
    calls
}

/// The calls of an hour at each service, for each of so many things there; prints them by operation.
#[allow(clippy::cast_precision_loss, reason = "numbers of calls are small")]
fn per_hour(per: &str, calls: &Calls, things: impl Fn(&str) -> f64) -> BTreeMap<String, f64> {
    let hours = WHILE.as_secs_f64() / 3600.0;
    let mut sums = BTreeMap::new();
    for ((service, operation), count) in calls.iter().filter(|(_, count)| **count > 0) {
        let rate = *count as f64 / hours / things(service);
        eprintln!("calls {per}: {service} {operation} {rate:.0}");
        *sums.entry(service.clone()).or_default() += rate;
    }
    eprintln!("calls {per}: {sums:.0?}");
    sums
}
