//! Many deployments applied at once: until they are placed, until they serve, and what that costs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use roadstead_ground::audit::Mark;
use roadstead_perf::{Distribution, Measures};

use crate::audit::{self, Tally};
use crate::fleet::{self, TEAM};
use crate::rig::{self, Rig};
use crate::scheduler::{Stick, count};
use crate::watched::{Sightings, Watched, deployment_kind, true_of};

/// Long enough for the busiest machine.
const LIMIT: Duration = Duration::from_mins(10);
/// Longest time that news about the last ones is in flight.
const QUIET: Duration = Duration::from_secs(3);
/// From the creation of an endpoint until it answers.
const STARTUP_SECONDS: u32 = 2;

pub fn measure(measures: &mut Measures) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(run(measures))
}

async fn run(measures: &mut Measures) -> Result<()> {
    let deployments = crate::size("ROADSTEAD_BENCH_DEPLOYMENTS", 1_000);
    let rig = Rig::set().await?;
    // What else the machine does changes: half of the pods before, half of them after.
    let mut stick = Stick::new(&rig).await?;
    let before = bind(&rig, &mut stick, deployments / 2).await?;
    let operator = rig.start_operator()?;
    rig.offer(deployments, STARTUP_SECONDS).await?;
    measures.record("place.load", rig::load()?);
    let watched =
        Watched::start(rig.client.clone(), &deployment_kind(), TEAM, |object| true_of(object, vec!["Placed", "Ready"]));

    let (mark, gets, cpu) = (rig.server.mark(), rig.reads().await?, operator.cpu_seconds()?);
    let server = rig.server_cpu_seconds()?;
    let objects = fleet::deployments(deployments);
    let started = Instant::now();
    let created = fleet::create(&rig.client, &path(), &objects).await?;
    let applied = Instant::now();
    let placed = operator.meanwhile(watched.all("Placed", deployments, LIMIT)).await?;
    let early = rig.writes_since(mark)?.iter().filter(|write| audit::carries_on(write)).count();
    let milliseconds = |seconds: f64| seconds * 1e3 / count(deployments);
    measures.record("place.cpu", milliseconds(operator.cpu_seconds()? - cpu));
    measures.record("place.server", milliseconds(rig.server_cpu_seconds()? - server));
    let ready = operator.meanwhile(watched.all("Ready", deployments, LIMIT)).await?;
    rig.quiet(QUIET).await?;
    measures.record("ready.cpu", milliseconds(operator.cpu_seconds()? - cpu));
    measures.record("ready.server", milliseconds(rig.server_cpu_seconds()? - server));
    measures.record("place.others", count(early) / count(deployments));
    measures.record("place.memory", operator.peak_memory_mb()?);
    measures.record("place.reads", (rig.reads().await? - gets) / count(deployments));
    writes(&rig, mark, &created, measures)?;
    times(started, applied, &created, &placed, measures)?;
    measures.record("ready.seconds", after(applied, ready.values())?);
    operator.stop().await?;

    let after = bind(&rig, &mut stick, deployments / 2).await?;
    let bound = count(deployments) / (before.seconds + after.seconds);
    measures.record("scheduler.rate", bound);
    measures.record("scheduler.server", milliseconds(before.server + after.server));
    let value = |name: &str| measures.value(name).with_context(|| format!("{name} was not measured"));
    let (in_rate, in_server) = (value("place.rate")? / bound, value("scheduler.server")? / value("place.server")?);
    measures.record("place.ratio", in_rate);
    measures.record("place.server.ratio", in_server);
    Ok(())
}

/// Cost of binding pods in seconds: of time, and of the server's CPU time.
struct Cost {
    seconds: f64,
    server: f64,
}

async fn bind(rig: &Rig, stick: &mut Stick<'_>, pods: usize) -> Result<Cost> {
    let server = rig.server_cpu_seconds()?;
    let seconds = stick.bind(pods).await?;
    Ok(Cost { seconds, server: rig.server_cpu_seconds()? - server })
}

/// Path of deployments.
pub fn path() -> String {
    format!("/apis/roadstead.dev/v1alpha1/namespaces/{TEAM}/modeldeployments")
}

fn writes(rig: &Rig, mark: Mark, created: &Sightings, measures: &mut Measures) -> Result<()> {
    let writes = rig.writes_since(mark)?;
    eprintln!("\n  writes: {:?}", audit::by_kind(&writes));
    let tallies: BTreeMap<String, Tally> = audit::tally(&writes, created.keys());
    let each = |of: fn(&Tally) -> u32| Distribution::of(tallies.values().map(|tally| f64::from(of(tally))));
    for (name, tally) in [("place", each(|tally| tally.to_placed)), ("ready", each(|tally| tally.to_ready))] {
        measures.record(format!("{name}.writes.mean"), tally.mean());
        measures.record(format!("{name}.writes.most"), tally.most());
    }
    Ok(())
}

fn times(
    started: Instant,
    applied: Instant,
    created: &Sightings,
    placed: &Sightings,
    measures: &mut Measures,
) -> Result<()> {
    let waits = created
        .iter()
        .filter_map(|(name, created)| Some(placed.get(name)?.saturating_duration_since(*created).as_secs_f64()));
    let waits = Distribution::of(waits);
    measures.record("place.p50", waits.percentile(50));
    measures.record("place.p99", waits.percentile(99));
    measures.record("place.create", applied.duration_since(started).as_secs_f64());
    measures.record("place.seconds", after(applied, placed.values())?);
    measures.record("place.rate", count(placed.len()) / after(started, placed.values())?);
    Ok(())
}

/// Seconds from `start` to the last sighting.
pub fn after<'a>(start: Instant, seen: impl Iterator<Item = &'a Instant>) -> Result<f64> {
    let last = seen.max().context("nothing was seen")?;
    Ok(last.saturating_duration_since(start).as_secs_f64())
}
