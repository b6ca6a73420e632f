//! Two operators that stand for election: whoever is frozen or cut off from its lease, only one of them writes, and the
//! other takes over.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use roadstead_runtime::clock::Clock;
use roadstead_runtime::lease::{Elector, LeaseConfig};
use serde_json::{Value, json};

use super::crash_sweep::{begin, edit};
use super::objects::deployment;
use super::operator::Operator;
use super::rig::{LONG, Rig, TEAM, wait};
use super::tape::Write;
use super::weather::{Call, Disturbance, Effect};

/// The leader is frozen at several moments past its lease; the other takes over, and the one request that was in flight
/// arrives after that.
pub fn a_frozen_leader_does_no_harm(rig: &Rig) -> anyhow::Result<()> {
    let [alpha, beta] = two(rig)?;
    rig.apply(&deployment())?;
    ready(rig)?;

    // While it asks a cloud for an endpoint.
    frozen_in(
        &alpha,
        |call| call.writes() && call.collection("endpoints"),
        || edit(rig, "/spec/placement/jurisdictions", json!(["US"])),
    )?;
    takes_over(rig, &beta, "while it creates")?;
    ready(rig)?;
    thawed(rig, &alpha)?;
    let arrived = last_at_cloud(&alpha)?;
    ensure!(arrived.method == "POST" && arrived.code == Some(409), "it was not refused: {arrived:?}");

    // While it asks a cloud for a deletion; under the same name there is another endpoint when that arrives.
    alpha.start()?;
    frozen_in(
        &beta,
        |call| call.writes() && call.path.contains("/endpoints/"),
        || rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=false"]).map(drop),
    )?;
    takes_over(rig, &alpha, "while it deletes")?;
    rig.kubectl(&["wait", "--for=delete", "mdep/llama", "-n", TEAM, "--timeout=60s"])?;
    // By the way that the former came, for the name tells of it.
    rig.apply(&deployment())?;
    ready(rig)?;
    edit(rig, "/spec/placement/jurisdictions", json!(["US"]))?;
    ready(rig)?;
    thawed(rig, &beta)?;
    let arrived = last_at_cloud(&beta)?;
    ensure!(arrived.method == "DELETE" && arrived.code == Some(409), "it was not refused: {arrived:?}");

    // Told to stop, it lets go of the lease.
    beta.start()?;
    standby(rig, &beta)?;
    alpha.signal("TERM")?;
    takes_over(rig, &beta, "stopping on a signal")?;
    ready(rig)
}

/// The API server fails the leader's renewals alone: it stops before the other may begin.
pub fn a_leader_that_cannot_renew_stops_before_another_begins(rig: &Rig) -> anyhow::Result<()> {
    let [alpha, beta] = two(rig)?;
    rig.apply(&deployment())?;
    ready(rig)?;
    let renewals: fn(&Call) -> bool = |call| call.writes() && call.path.contains("/leases");
    for (leader, other, effect) in [
        (&alpha, &beta, Effect::Refused { code: 500, retry_after: None }),
        (&beta, &alpha, Effect::Slow(Duration::from_secs(12))),
    ] {
        leader.tape.rewind(None);
        other.tape.rewind(None);
        leader.weather.set(vec![Disturbance { calls: renewals, effect }]);
        // Work without end, so that whoever may write does.
        let start = Instant::now();
        for replicas in (1..=3).cycle() {
            if leads(rig, other)? && !other.tape.writes().is_empty() {
                break;
            }
            ensure!(start.elapsed() < LONG, "nobody took over");
            edit(rig, "/spec/replicas", json!(replicas))?;
            std::thread::sleep(Duration::from_millis(200));
        }
        let last = leader.tape.writes().last().context("the leader wrote nothing")?.at;
        let first = other.tape.writes().first().context("the other wrote nothing")?.at;
        eprintln!("nobody wrote for {:?}", first.saturating_duration_since(last));
        ensure!(last < first, "the former leader wrote {:?} after the new one began", last - first);
        wait("the former leader ends", LONG, || {
            ensure!(!leader.is_alive(), "it runs");
            Ok(())
        })?;
        leader.weather.clear();
        leader.start()?;
        standby(rig, leader)?;
    }
    Ok(())
}

/// A holder that was frozen past its deadline does not renew: the others would wait for it once more.
pub fn a_thawed_holder_does_not_renew(rig: &Rig) -> anyhow::Result<()> {
    let name = "thawed";
    let client = rig.runtime.block_on(rig.server.client())?;
    let api: Api<Lease> = Api::namespaced(client, "roadstead-system");
    let version = || rig.runtime.block_on(async { anyhow::Ok(api.get(name).await?.metadata.resource_version) });
    // Alone on one thread: whatever blocks that freezes it.
    let holder = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let leadership = holder.block_on(async {
        let mut config = LeaseConfig::new("roadstead-system", name, "me");
        (config.duration, config.renew_deadline) = (Duration::from_secs(3), Duration::from_secs(1));
        config.retry = Duration::from_millis(200);
        anyhow::Ok(Elector::new(rig.server.client().await?, config, Clock::system()).acquire().await)
    })?;
    std::thread::sleep(Duration::from_secs(2));
    let before = version()?;
    holder.block_on(async { tokio::time::timeout(LONG, leadership.lost()).await }).context("it does not notice")?;
    ensure!(version()? == before, "it renewed the lease that it had lost");
    Ok(())
}

/// Two operators of which the first leads, in a world with two targets.
fn two(rig: &Rig) -> anyhow::Result<[Operator; 2]> {
    begin(rig, false)?;
    rig.stop_operator();
    let _ = rig.kubectl(&["delete", "lease", "roadstead", "-n", "roadstead-system"]);
    let (alpha, beta) = (rig.elector("alpha")?, rig.elector("beta")?);
    alpha.start()?;
    wait("the first leads", LONG, || {
        ensure!(leads(rig, &alpha)?, "it does not lead");
        Ok(())
    })?;
    beta.start()?;
    standby(rig, &beta)?;
    Ok([alpha, beta])
}

fn leads(rig: &Rig, operator: &Operator) -> anyhow::Result<bool> {
    let metrics = rig.http_get(operator.listen, "/metrics")?;
    Ok(metrics.lines().any(|line| line == "leader_election_master_status{name=\"roadstead\"} 1"))
}

fn standby(rig: &Rig, operator: &Operator) -> anyhow::Result<()> {
    wait("it stands by", LONG, || {
        ensure!(rig.http_get(operator.listen, "/readyz")?.contains("ok"), "it is not ready");
        ensure!(!leads(rig, operator)?, "it leads");
        Ok(())
    })
}

/// The deployment serves, and what it served by before is gone.
fn ready(rig: &Rig) -> anyhow::Result<()> {
    rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True")?;
    wait("one endpoint is left", LONG, || {
        let endpoints = rig.get(&["iep", "-n", TEAM])?;
        ensure!(endpoints["items"].as_array().map(Vec::len) == Some(1), "{endpoints}");
        Ok(())
    })
}

/// Freezes the leader with one such call in flight, which comes when the user does this.
fn frozen_in(leader: &Operator, calls: fn(&Call) -> bool, user: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    leader.tape.rewind(None);
    leader.weather.set(vec![Disturbance { calls, effect: Effect::Held }]);
    user()?;
    wait("the call is in flight", LONG, || last_at_cloud(leader).map(drop))?;
    leader.signal("STOP")
}

/// The last call of an operator that creates or deletes something at a cloud.
fn last_at_cloud(operator: &Operator) -> anyhow::Result<Write> {
    operator.tape.writes().into_iter().rfind(|write| write.path.contains("/endpoints/")).context("there was none")
}

fn takes_over(rig: &Rig, other: &Operator, what: &str) -> anyhow::Result<()> {
    let start = Instant::now();
    wait("the other leads", LONG, || {
        ensure!(leads(rig, other)?, "it does not lead");
        Ok(())
    })?;
    eprintln!("{what}: the other leads after {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// The request in flight arrives, and the frozen process thaws: it writes nothing more and ends, and the clouds hold
/// what they held.
fn thawed(rig: &Rig, frozen: &Operator) -> anyhow::Result<()> {
    let before = clouds(rig)?;
    let writes = frozen.tape.writes().len();
    frozen.weather.clear();
    wait("the request in flight arrives", LONG, || {
        ensure!(frozen.tape.writes().iter().all(|write| write.code.is_some()), "it is under way");
        Ok(())
    })?;
    frozen.signal("CONT")?;
    wait("the thawed process ends", LONG, || {
        ensure!(!frozen.is_alive(), "it runs");
        Ok(())
    })?;
    ensure!(frozen.tape.writes().len() == writes, "it wrote after the thaw: {:?}", frozen.tape.writes());
    let after = clouds(rig)?;
    ensure!(after == before, "the clouds held {before:?}, and hold {after:?}");
    Ok(())
}

fn clouds(rig: &Rig) -> anyhow::Result<BTreeMap<&'static str, Vec<Value>>> {
    ["east", "west"].into_iter().map(|place| Ok((place, rig.cloud_endpoints(place)?))).collect()
}
