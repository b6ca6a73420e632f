//! Replicas that are divided over members, under the load of independent callers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use roadstead_ground::load::{Load, Mix};
use serde_json::{Value, json};

use super::gateway::{self, A_WHILE, LIMIT, nothing_failed};
use super::stage::{SOON, Stage, deployment, on_member};

/// Streams of a second, and some fifty short requests a second.
const MIX: Mix = Mix { streams: 15, tokens: 10, askers: 10, pause: Duration::from_millis(200) };
/// From the partition until no request waits for the lost part any more: what was in flight there is given up after
/// `idleTimeoutSeconds`, and health checks leave the part out meanwhile.
const EJECTED: Duration = Duration::from_secs(20);

/// Ready replicas by target, as the status has them.
fn replicas(object: &Value) -> BTreeMap<&str, u64> {
    let placements = object["status"]["placements"].as_array().into_iter().flatten();
    placements.filter_map(|one| Some((one["target"].as_str()?, one["readyReplicas"].as_u64()?))).collect()
}

/// Waits until the deployment is ready with so many replicas by target.
fn is_divided(stage: &Stage, wanted: &[(&str, u64)], limit: Duration) -> anyhow::Result<()> {
    let wanted: BTreeMap<&str, u64> = wanted.iter().copied().collect();
    stage.until(&format!("the replicas are {wanted:?}"), limit, || {
        let object = stage.deployment("llama")?;
        ensure!(replicas(&object) == wanted, "{}", object["status"]["placements"]);
        Ok(())
    })?;
    stage.condition("mdep", super::stage::TEAM, "llama", "Ready", "True", limit).map(drop)
}

fn scale(stage: &Stage, replicas: u32, wanted: &[(&str, u64)]) -> anyhow::Result<()> {
    let start = Instant::now();
    stage.edit("llama", &json!({"spec": {"replicas": replicas}}))?;
    is_divided(stage, wanted, SOON)?;
    eprintln!("  {replicas} replicas after {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

pub fn serves_divided_and_survives_the_loss_of_a_part(stage: &Stage) -> anyhow::Result<()> {
    stage.ground.install_gateway()?;
    let env = json!([{"name": "ENGINE_TOKENS_PER_SECOND", "value": "10"}]);
    let spec = json!({
        "replicas": 3, "placement": {"spread": {"topology": "Target", "minDomains": 2}},
        "serving": {"env": env, "drainTimeoutSeconds": 30},
        "traffic": {"firstByteTimeoutSeconds": 5, "idleTimeoutSeconds": 5},
        "failover": {"tolerationSeconds": 10},
    });
    stage.apply(&deployment("llama", &spec))?;
    is_divided(stage, &[("east", 2), ("west", 1)], SOON)?;
    let service = gateway::service(stage, "default")?;
    let load = Load::start(service.clone(), MIX)?;
    std::thread::sleep(A_WHILE);
    scale(stage, 5, &[("east", 4), ("west", 1)])?;
    std::thread::sleep(A_WHILE);
    scale(stage, 3, &[("east", 2), ("west", 1)])?;
    std::thread::sleep(A_WHILE);
    let count = nothing_failed(load)?;
    // Replicas of one place share the connections of its Service: a new one is asked when a connection is made.
    let places: BTreeSet<&str> = count.by_pod.keys().filter_map(|pod| pod.rsplitn(3, '-').last()).collect();
    ensure!(places.len() == 2, "both places answered: {:?}", count.by_pod);

    let load = Load::start(service, MIX)?;
    std::thread::sleep(A_WHILE);
    let west = stage.ground.member("west")?;
    west.network().partition()?;
    let result = loses_a_part(stage, &load);
    west.network().heal()?;
    result?;
    stage.until("one copy of each part remains", LIMIT, || {
        ensure!(on_member(west)?.is_empty(), "something is left on west");
        ensure!(stage.deployment("llama")?["status"]["releasing"].is_null(), "not confirmed yet");
        Ok(())
    })?;
    is_divided(stage, &[("east", 2), ("north", 1)], SOON)?;
    let before = load.count().failures.len();
    let count = load.end()?;
    let later = count.failures.get(before..).context("fewer failures than before")?;
    ensure!(later.is_empty(), "{} requests failed after the return, the first: {}", later.len(), later[0]);
    Ok(())
}

/// West is lost: after it is left out nothing fails any more, and its part is replaced.
fn loses_a_part(stage: &Stage, load: &Load) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut last = (0, Duration::ZERO);
    while start.elapsed() < EJECTED {
        let failed = load.count().failures.len();
        if failed > last.0 {
            last = (failed, start.elapsed());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let cut = load.count();
    let (failed, after) = (cut.failures.len(), last.1.as_secs_f64());
    eprintln!("  {failed} of {} requests failed with the member, the last {after:.1} s after its loss", cut.asked);
    is_divided(stage, &[("east", 2), ("north", 1)], LIMIT)?;
    eprintln!("  the part serves on another member {:.1} s after the loss", start.elapsed().as_secs_f64());
    std::thread::sleep(A_WHILE);
    let count = load.count();
    let later = count.failures.get(failed..).context("fewer failures than before")?;
    ensure!(later.is_empty(), "{} requests failed later, the first: {}", later.len(), later[0]);
    ensure!(count.answered > cut.answered, "nothing was asked meanwhile");
    Ok(())
}
