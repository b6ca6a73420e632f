//! A large fleet that is settled: the operator is restarted in it, a user edits in the middle of that, and then nothing
//! happens for ten minutes.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use roadstead_perf::Measures;
use serde_json::json;

use crate::audit;
use crate::fleet::{self, TEAM};
use crate::place::path;
use crate::rig::{self, Operator, Rig, sum};
use crate::scheduler::count;
use crate::watched::{Watched, deployment_kind, true_of};

const LIMIT: Duration = Duration::from_mins(30);
/// Time without writes after which the fleet is settled.
const QUIET: Duration = Duration::from_secs(10);

pub fn measure(measures: &mut Measures) -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(run(measures))
}

async fn run(measures: &mut Measures) -> Result<()> {
    let deployments = crate::size("ROADSTEAD_BENCH_FLEET", 5_000);
    let rig = Rig::set().await?;
    let operator = rig.start_operator()?;
    rig.offer(deployments, 0).await?;
    operator.meanwhile(settle(&rig, deployments)).await?;
    measures.record("fleet.memory", operator.peak_memory_mb()?);
    operator.stop().await?;
    measures.record("restart.load", rig::load()?);

    let mark = rig.server.mark();
    let operator = rig.start_operator()?;
    let last = format!("m{:05}", deployments - 1);
    let both = async { tokio::try_join!(looked_through(&operator, deployments), edit(&rig, &operator, &last)) };
    let (ready, edited) = operator.meanwhile(both).await?;
    measures.record("restart.seconds", ready);
    measures.record("restart.edit", edited);
    operator.meanwhile(rig.quiet(QUIET)).await?;
    measures.record("restart.memory", operator.peak_memory_mb()?);
    measures.record("restart.cpu", operator.cpu_seconds()?);
    let others = rig.writes_since(mark)?.into_iter().filter(|write| audit::about(write) != last).collect::<Vec<_>>();
    eprintln!("\n  writes after the restart: {:?}", audit::by_kind(&others));
    measures.record("restart.writes", count(others.len()));

    silence(&rig, &operator, measures).await?;
    operator.stop().await
}

/// Fills the fleet and waits until everything serves and nothing more is written.
async fn settle(rig: &Rig, deployments: usize) -> Result<()> {
    let ready = Watched::start(rig.client.clone(), &deployment_kind(), TEAM, |object| true_of(object, vec!["Ready"]));
    fleet::create(&rig.client, &path(), &fleet::deployments(deployments)).await?;
    ready.all("Ready", deployments, LIMIT).await?;
    rig.quiet(QUIET).await
}

/// Seconds from the start of the operator until it has looked at every deployment and every endpoint, and nothing waits.
async fn looked_through(operator: &Operator, deployments: usize) -> Result<f64> {
    loop {
        if operator.started.elapsed() > LIMIT {
            bail!("the operator did not look at everything");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let Ok(text) = operator.metrics().await else { continue };
        let looked = |controller: &str| {
            sum(&text, "controller_runtime_reconcile_total", &format!("controller=\"{controller}\""))
        };
        let all = ["modeldeployment", "inferenceendpoint"].iter().all(|one| looked(one) >= count(deployments));
        if all && sum(&text, "workqueue_depth", "") == 0.0 {
            return Ok(operator.started.elapsed().as_secs_f64());
        }
    }
}

/// Seconds from a user's edit, made while the operator looks at everything anew, until its status tells the outcome.
/// The edited deployment is the one that is looked at last.
async fn edit(rig: &Rig, operator: &Operator, name: &str) -> Result<f64> {
    while operator.metric("controller_runtime_reconcile_total", "controller=\"modeldeployment\"").await.unwrap_or(0.0)
        < 1.0
    {
        if operator.started.elapsed() > LIMIT {
            bail!("the operator did not begin to work");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seen = Watched::one(rig.client.clone(), &deployment_kind(), TEAM, name, |object| {
        let decided = object["status"]["placements"][0]["replicas"] == 3;
        if decided { true_of(object, vec!["Placed"]) } else { Vec::new() }
    });
    let asked = Instant::now();
    fleet::patch(&rig.client, &format!("{}/{name}", path()), &json!({"spec": {"replicas": 3}})).await?;
    let seen = seen.all("Placed", 1, LIMIT).await?;
    crate::place::after(asked, seen.values())
}

/// Counts what is written while nothing happens.
async fn silence(rig: &Rig, operator: &Operator, measures: &mut Measures) -> Result<()> {
    let seconds = crate::size("ROADSTEAD_BENCH_SETTLED_SECONDS", 600);
    let (mark, cpu) = (rig.server.mark(), operator.cpu_seconds()?);
    tokio::time::sleep(Duration::from_secs(u64::try_from(seconds)?)).await;
    let writes = rig.writes_since(mark)?;
    if !writes.is_empty() {
        eprintln!("\n  writes at rest: {:?}", audit::by_kind(&writes));
    }
    measures.record("settled.writes", count(writes.len()));
    measures.record("settled.cpu", (operator.cpu_seconds()? - cpu) * 60.0 / count(seconds));
    Ok(())
}
