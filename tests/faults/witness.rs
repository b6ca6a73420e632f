//! Gateways as witnesses: the hub does not reach an endpoint, and a gateway does. The test writes the gateway's report.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::failover::impatient;
use super::objects::target;
use super::operator::Operator;
use super::rig::{LONG, Rig, TEAM, wait};
use super::weather::{Disturbance, Effect};

/// Namespace of the routes.
const ROUTES: &str = "routes";
/// Longer than a probe waits.
const SILENCE: Duration = Duration::from_secs(20);
/// Toleration of the deployment, in seconds.
const TOLERATION: u64 = 20;
/// Longer than the toleration and one probe.
const LONGER: Duration = Duration::from_secs(TOLERATION + 20);

fn llama(rig: &Rig) -> anyhow::Result<Value> {
    rig.get(&["mdep", "llama", "-n", TEAM])
}

fn endpoint(rig: &Rig) -> anyhow::Result<Value> {
    let all = rig.get(&["iep", "-n", TEAM])?["items"].clone();
    ensure!(all.as_array().is_some_and(|all| all.len() == 1), "{all}");
    Ok(all[0].clone())
}

/// Health, witness and reason of the only endpoint.
fn told(rig: &Rig) -> anyhow::Result<[String; 3]> {
    let status = endpoint(rig)?["status"].clone();
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.iter().find(|one| one["type"] == "Ready").cloned().unwrap_or_default();
    Ok([&status["health"], &status["witness"], &ready["reason"]].map(|value| value.as_str().unwrap_or("-").to_owned()))
}

fn is_told(rig: &Rig, expected: [&str; 3]) -> anyhow::Result<()> {
    wait(&format!("the endpoint is {expected:?}"), LONG, || {
        let told = told(rig)?;
        ensure!(told == expected, "{told:?}");
        Ok(())
    })
}

/// Writes the report of a gateway that sees this of the endpoint.
fn report(rig: &Rig, of: &Value, answers: bool, beat: u64) -> anyhow::Result<()> {
    let (uid, name) = (&of["spec"]["deploymentRef"]["uid"], &of["metadata"]["name"]);
    let (uid, name) = (uid.as_str().context("no UID")?, name.as_str().context("no name")?);
    let acks = json!({"routes": {}, "sees": {uid: {name: {"answers": answers, "since": 1}}}, "beat": beat}).to_string();
    rig.apply(&json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"acks": acks},
        "metadata": {"name": "gateway-one", "namespace": ROUTES, "labels": {"roadstead.dev/gateway": ""}},
    }))
}

fn asked(rig: &Rig) -> anyhow::Result<String> {
    let all = rig.get(&["secrets", "-n", ROUTES])?;
    let mut routes = all["items"].as_array().into_iter().flatten();
    let route = routes.find_map(|secret| secret["data"]["route"].as_str()).context("no route")?;
    let route: Value = serde_json::from_slice(&data_encoding::BASE64.decode(route.as_bytes())?)?;
    Ok(route["endpoints"][0]["asked"].as_str().unwrap_or("-").to_owned())
}

/// The hub does not reach the endpoint. While a gateway does, nothing moves; when it does not either, the endpoint is replaced.
pub fn what_gateways_reach_stays(rig: &Rig) -> anyhow::Result<()> {
    let operator = rig.start_publisher(ROUTES)?;
    let result = scene(rig, &operator);
    operator.stop();
    rig.kubectl(&["delete", "secrets,configmaps", "--all", "-n", ROUTES])?;
    rig.start_operator()?;
    result
}

fn scene(rig: &Rig, operator: &Operator) -> anyhow::Result<()> {
    for (name, cloud, region, price) in
        [("east", "aws", "us-east-1", "40.00"), ("west", "gcp", "europe-west4", "55.20")]
    {
        rig.apply(&target(name, cloud, region, price, &json!({})))?;
        rig.condition(&["servingtarget", name], "Ready", "True")?;
    }
    let mut deployment = impatient();
    deployment["spec"]["failover"] = json!({"tolerationSeconds": TOLERATION});
    rig.apply(&deployment)?;
    is_told(rig, ["Healthy", "Probe", "Ready"])?;
    let first = endpoint(rig)?;
    ensure!(asked(rig)? == "-", "nothing is asked at rest: {}", asked(rig)?);

    let silent = |call: &super::weather::Call| call.path.starts_with("/serve/east/");
    // No answer at all: a wrong one would be one.
    operator.weather.set(vec![Disturbance { calls: silent, effect: Effect::Slow(SILENCE) }]);
    wait("gateways are asked", LONG, || {
        ensure!(asked(rig)? == "Steadily", "{}", asked(rig)?);
        Ok(())
    })?;
    let start = Instant::now();
    let mut beat = 0;
    while start.elapsed() < LONGER {
        beat += 1;
        report(rig, &first, true, beat)?;
        std::thread::sleep(Duration::from_secs(2));
        if start.elapsed() > Duration::from_secs(15) {
            let told = told(rig)?;
            ensure!(told == ["Healthy", "Gateways", "ReachedByGateways"], "{told:?}");
        }
    }
    ensure!(endpoint(rig)?["metadata"]["uid"] == first["metadata"]["uid"], "another endpoint");
    rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True")?;

    report(rig, &first, false, beat + 1)?;
    wait("it is replaced once no gateway reaches it either", LONG * 2, || {
        let status = llama(rig)?["status"].clone();
        let first = &status["placements"][0];
        ensure!(first["target"] == "west" && first["url"].is_string(), "{status}");
        Ok(())
    })
}
