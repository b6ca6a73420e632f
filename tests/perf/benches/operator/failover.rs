//! A target with many deployments is lost: until all replacements are decided and recorded, what that costs, and how long a user
//! waits meanwhile; first with the pace open, then at the default pace.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use kube::api::{Api, DynamicObject, ListParams};
use roadstead_ground::audit::Write;
use roadstead_perf::{Distribution, Measures};
use serde_json::{Value, json};

use crate::audit;
use crate::fleet::{self, TEAM};
use crate::place::{after, path};
use crate::rig::{self, Operator, Rig};
use crate::scheduler::count;
use crate::watched::{Watched, deployment_kind, endpoint_kind, true_of};

const LIMIT: Duration = Duration::from_mins(15);
/// Time without writes after which the fleet is settled.
const QUIET: Duration = Duration::from_secs(5);
const TOLERATION_SECONDS: u32 = 30;
/// From the creation of an endpoint until it answers.
const STARTUP_SECONDS: u32 = 2;
/// The target that is lost, cheaper than all others.
const LOST: &str = "lost";
/// Interval of looks at the replacements in progress.
const SAMPLE: Duration = Duration::from_millis(100);

pub fn measure(measures: &mut Measures) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        open(measures).await?;
        paced(measures).await
    })
}

/// With the pace open.
async fn open(measures: &mut Measures) -> Result<()> {
    let deployments = crate::size("ROADSTEAD_BENCH_LOST", 1_000);
    let rig = Rig::set().await?;
    let operator = rig.start_operator_with(&["--max-replacements=10000".to_owned()])?;
    let targets = operator.meanwhile(serve(&rig, deployments)).await?;
    measures.record("failover.load", rig::load()?);
    let (mark, cpu, server) = (rig.server.mark(), operator.cpu_seconds()?, rig.server_cpu_seconds()?);
    let records = Watched::start(rig.client.clone(), &endpoint_kind(), TEAM, replacement);
    lose(&rig).await?;
    operator.meanwhile(records.all("replacement", 1, LIMIT)).await?;
    let both = async { tokio::try_join!(records.all("replacement", deployments, LIMIT), place_one(&rig)) };
    let (_, edit) = operator.meanwhile(both).await?;
    let milliseconds = |seconds: f64| seconds * 1e3 / count(deployments);
    measures.record("failover.cpu", milliseconds(operator.cpu_seconds()? - cpu));
    measures.record("failover.server", milliseconds(rig.server_cpu_seconds()? - server));
    measures.record("failover.edit", edit);
    operator.meanwhile(rig.quiet(QUIET)).await?;
    measures.record("failover.memory", operator.peak_memory_mb()?);
    let writes = rig.writes_since(mark)?;
    eprintln!("\n  writes: {:?}", audit::by_kind(&writes));
    decisions(&rig, &writes, deployments, measures).await?;
    spread(&rig, &targets, measures).await?;
    operator.stop().await
}

/// At the default pace.
async fn paced(measures: &mut Measures) -> Result<()> {
    let deployments = crate::size("ROADSTEAD_BENCH_PACED", 100);
    let rig = Rig::set().await?;
    let operator = rig.start_operator()?;
    operator.meanwhile(serve(&rig, deployments)).await?;
    let moved = Watched::start(rig.client.clone(), &deployment_kind(), TEAM, |object| {
        let away = object["status"]["placements"][0]["target"] != LOST;
        if away { true_of(object, vec!["Ready"]) } else { Vec::new() }
    });
    let records = Watched::start(rig.client.clone(), &endpoint_kind(), TEAM, replacement);
    lose(&rig).await?;
    operator.meanwhile(records.all("replacement", 1, LIMIT)).await?;
    let (start, cpu) = (Instant::now(), operator.cpu_seconds()?);
    let most = Cell::new(0.0);
    tokio::select! {
        moved = moved.all("Ready", deployments, LIMIT) => measures.record("paced.seconds", after(start, moved?.values())?),
        watched = watch(&operator, &most) => watched.map(drop)?,
    }
    measures.record("paced.cpu", (operator.cpu_seconds()? - cpu) * 1e3 / count(deployments));
    measures.record("paced.most", most.get());
    operator.stop().await
}

/// Notes the most replacements that were in progress at once.
async fn watch(operator: &Operator, most: &Cell<f64>) -> Result<Infallible> {
    loop {
        most.set(most.get().max(operator.metric("roadstead_replacements_under_way", "").await?));
        tokio::time::sleep(SAMPLE).await;
    }
}

/// Places so many deployments, all of them on the target that will be lost; returns all targets.
async fn serve(rig: &Rig, deployments: usize) -> Result<Vec<Value>> {
    let mut targets = fleet::targets(deployments, STARTUP_SECONDS);
    let mut lost = targets[3].clone();
    lost["metadata"]["name"] = json!(LOST);
    lost["spec"]["simulated"] = json!({});
    lost["spec"]["offers"] = json!([lost["spec"]["offers"][0]]);
    lost["spec"]["offers"][0]["hourlyPrice"] = json!("10.00");
    lost["spec"]["offers"][0]["maxInstances"] = json!(deployments);
    targets.push(lost);
    rig.offer_these(&targets).await?;
    let ready = Watched::start(rig.client.clone(), &deployment_kind(), TEAM, |object| true_of(object, vec!["Ready"]));
    fleet::create(&rig.client, &path(), &impatient(deployments)).await?;
    ready.all("Ready", deployments, LIMIT).await?;
    rig.quiet(QUIET).await?;
    Ok(targets)
}

/// So many deployments that are replaced soon.
fn impatient(deployments: usize) -> Vec<Value> {
    let mut all = fleet::deployments(deployments);
    for one in &mut all {
        one["spec"]["failover"] = json!({"tolerationSeconds": TOLERATION_SECONDS});
        one["spec"]["serving"]["drainTimeoutSeconds"] = json!(1);
    }
    all
}

/// From now on nothing of the target answers.
async fn lose(rig: &Rig) -> Result<()> {
    let calls = ["Identify", "Claim", "List", "Get", "Create", "Update", "Delete", "Serve"];
    let faults = json!([{"calls": calls, "effect": "Refused", "class": "Transient"}]);
    let target = format!("/apis/roadstead.dev/v1alpha1/servingtargets/{LOST}");
    fleet::patch(&rig.client, &target, &json!({"spec": {"simulated": {"faults": faults}}})).await.map(drop)
}

/// Seconds from a user's creation of another deployment until it is placed.
async fn place_one(rig: &Rig) -> Result<f64> {
    let mut object = fleet::deployments(1).remove(0);
    object["metadata"]["name"] = json!("edit");
    let seen =
        Watched::one(rig.client.clone(), &deployment_kind(), TEAM, "edit", |object| true_of(object, vec!["Placed"]));
    let asked = Instant::now();
    fleet::create(&rig.client, &path(), &[object]).await?;
    after(asked, seen.all("Placed", 1, LIMIT).await?.values())
}

fn replacement(object: &Value) -> Vec<&'static str> {
    if object["spec"]["replaces"].is_string() { vec!["replacement"] } else { Vec::new() }
}

async fn endpoints(rig: &Rig) -> Result<Vec<DynamicObject>> {
    let api: Api<DynamicObject> = Api::namespaced_with(rig.client.clone(), TEAM, &endpoint_kind());
    Ok(api.list(&ListParams::default()).await?.items)
}

/// Time of each recorded replacement since the end of the toleration, and the number of writes.
async fn decisions(rig: &Rig, writes: &[Write], deployments: usize, measures: &mut Measures) -> Result<()> {
    let lost: Vec<DynamicObject> =
        endpoints(rig).await?.into_iter().filter(|one| one.data["spec"]["target"] == LOST).collect();
    ensure!(lost.len() == deployments, "{} endpoints are left on {LOST}", lost.len());
    let mut tolerated_until: BTreeMap<String, f64> = BTreeMap::new();
    for one in &lost {
        let since: Timestamp = one.data["status"]["failingSince"].as_str().context("no failingSince")?.parse()?;
        let deployment = one.data["spec"]["deploymentRef"]["name"].as_str().context("no deployment")?;
        tolerated_until.insert(deployment.to_owned(), seconds(since) + f64::from(TOLERATION_SECONDS));
    }
    let tallies = tally(writes, &tolerated_until)?;
    if let Some((name, most)) = tallies.iter().max_by_key(|(_, tally)| tally.writes) {
        let of_it = writes.iter().filter(|write| audit::about(write) == name);
        let (until, of_it) = (usize::try_from(most.writes)?, of_it.cloned().collect::<Vec<_>>());
        eprintln!("\n  most writes: {name}: {:?}", of_it.iter().take(until).map(audit::kind).collect::<Vec<_>>());
    }
    let first = tolerated_until.values().copied().fold(f64::INFINITY, f64::min);
    let latest = tallies.values().map(|tally| tally.recorded_at).fold(f64::NEG_INFINITY, f64::max);
    measures.record("failover.seconds", latest - first);
    let late = tallies.iter().filter_map(|(name, tally)| Some(tally.recorded_at - tolerated_until.get(name)?));
    let late = Distribution::of(late);
    measures.record("failover.p50", late.percentile(50));
    measures.record("failover.most", late.most());
    let writes = Distribution::of(tallies.values().map(|tally| f64::from(tally.writes)));
    measures.record("failover.writes.mean", writes.mean());
    measures.record("failover.writes.most", writes.most());
    Ok(())
}

fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}

/// The writes about one deployment until its replacement is recorded, and the time of that.
struct Tally {
    recorded_at: f64,
    writes: u32,
}

fn tally(writes: &[Write], deployments: &BTreeMap<String, f64>) -> Result<BTreeMap<String, Tally>> {
    let mut before: BTreeMap<&str, u32> = BTreeMap::new();
    let mut tallies = BTreeMap::new();
    for write in writes {
        let name = audit::about(write);
        if !deployments.contains_key(name) || tallies.contains_key(name) {
            continue;
        }
        let number = before.entry(name).or_default();
        *number += 1;
        if write.resource == "inferenceendpoints" && write.verb == "create" && write.took_effect() {
            tallies.insert(name.to_owned(), Tally { recorded_at: seconds(write.time.parse()?), writes: *number });
        }
    }
    Ok(tallies)
}

/// Over how many targets the replacements are spread, and how many accelerators are placed where none is.
async fn spread(rig: &Rig, targets: &[Value], measures: &mut Measures) -> Result<()> {
    let mut used: BTreeMap<(String, String), u64> = BTreeMap::new();
    for one in endpoints(rig).await? {
        let text = |field: &str| one.data["spec"][field].as_str().unwrap_or_default().to_owned();
        let replicas = one.data["spec"]["replicas"].as_u64().unwrap_or_default();
        *used.entry((text("target"), text("offer"))).or_default() += replicas;
    }
    let names: BTreeSet<&String> = used.keys().map(|(target, _)| target).filter(|target| *target != LOST).collect();
    measures.record("failover.targets", count(names.len()));
    let offers = targets
        .iter()
        .flat_map(|target| target["spec"]["offers"].as_array().into_iter().flatten().map(move |offer| (target, offer)));
    let excess = offers.map(|(target, offer)| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = (text(&target["metadata"]["name"]), text(&offer["name"]));
        let room = offer["maxInstances"].as_u64().unwrap_or_default() * 8;
        used.get(&key).map_or(0, |used| used.saturating_sub(room))
    });
    measures.record("failover.excess", count(usize::try_from(excess.sum::<u64>())?));
    Ok(())
}
