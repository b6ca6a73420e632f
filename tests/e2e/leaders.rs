//! Two leaders: one is killed, one is frozen past its lease and thawed. The other takes over; nothing is done twice.

use std::time::{Duration, Instant};

use anyhow::ensure;
use roadstead_ground::ground::SYSTEM;
use serde_json::json;

use super::operators::{self, Marks, told};
use super::stage::{SOON, Stage, TEAM, deployment, in_full, on_member};

/// A lease is left alone for 15 s after its last sign of life and looked at every 2 s; the rest is for a busy machine.
const TAKE_OVER: Duration = Duration::from_secs(25);
/// Milliseconds from the creation of a deployment to the freeze; the short form has the first alone.
const FROZEN_AFTER: [u64; 2] = [40, 400];
/// Requests in flight of a frozen leader: it works on one deployment and its endpoint here.
const MOST_IN_FLIGHT: usize = 2;

fn another_leads(stage: &Stage, former: &str) -> anyhow::Result<String> {
    stage.until("the other leads", TAKE_OVER, || {
        let leader = operators::leader(stage)?;
        ensure!(!leader.is_empty() && leader != former, "{leader:?} leads");
        Ok(leader)
    })
}

fn two_operators(stage: &Stage) -> anyhow::Result<()> {
    let args = ["rollout", "status", "deploy/roadstead", "-n", SYSTEM, "--timeout=60s"];
    stage.ground.hub.kubectl(&args)?;
    stage.until("two operators run and one leads", SOON, || {
        ensure!(operators::containers(stage)?.len() == 2);
        operators::leading(stage).map(drop)
    })
}

/// Each deployment is there once, and as often as it should be on the members.
fn once(stage: &Stage, names: &[impl AsRef<str>]) -> anyhow::Result<()> {
    let endpoints = stage.ground.hub.list("iep", TEAM)?;
    let mut owners: Vec<&str> =
        endpoints.iter().filter_map(|one| one["spec"]["deploymentRef"]["name"].as_str()).collect();
    owners.sort_unstable();
    ensure!(owners.iter().copied().eq(names.iter().map(AsRef::as_ref)), "endpoints of {owners:?}");
    let made: Vec<String> = stage.ground.members.iter().map(on_member).collect::<anyhow::Result<Vec<_>>>()?.concat();
    ensure!(made.len() == names.len(), "on the members: {made:?}");
    Ok(())
}

pub fn replaces_a_killed_leader(stage: &Stage) -> anyhow::Result<()> {
    two_operators(stage)?;
    stage.apply(&deployment("before", &json!({})))?;
    stage.ready("before")?;
    let leader = operators::leading(stage)?;
    stage.apply(&deployment("during", &json!({})))?;
    // Frozen, it does not hear that it is to end: it goes without letting go of the lease, and its pod does not return.
    leader.freeze()?;
    let start = Instant::now();
    stage.ground.hub.kubectl(&["delete", "pod", &leader.pod, "-n", SYSTEM, "--grace-period=0", "--force"])?;
    another_leads(stage, &leader.pod)?;
    eprintln!("  the leader's pod was killed; another leads after {:.1} s", start.elapsed().as_secs_f64());
    stage.ready("during")?;
    once(stage, &["before", "during"])?;

    // Its process alone: the same pod comes back and still holds the lease.
    two_operators(stage)?;
    operators::leading(stage)?.kill()?;
    let (marks, start) = (Marks::now(stage), Instant::now());
    stage.apply(&deployment("later", &json!({})))?;
    stage.until("it leads again", TAKE_OVER, || {
        ensure!(!marks.holders(stage)?.is_empty());
        Ok(())
    })?;
    eprintln!("  the leader's process was killed; the lease is renewed after {:.1} s", start.elapsed().as_secs_f64());
    stage.ready("later")?;
    once(stage, &["before", "during", "later"])
}

pub fn stops_a_frozen_leader_when_it_thaws(stage: &Stage) -> anyhow::Result<()> {
    two_operators(stage)?;
    stage.apply(&deployment("steady", &json!({})))?;
    stage.ready("steady")?;
    // Frozen at different moments of a creation.
    let moments = if in_full() { &FROZEN_AFTER[..] } else { &FROZEN_AFTER[..1] };
    for (round, delay) in moments.iter().enumerate() {
        two_operators(stage)?;
        let leader = operators::leading(stage)?;
        let name = format!("round-{round}");
        let marks = Marks::now(stage);
        stage.apply(&deployment(&name, &json!({})))?;
        std::thread::sleep(Duration::from_millis(*delay));
        leader.freeze()?;
        let start = Instant::now();
        let result = taken_over(stage, &leader.pod, &name, start);
        let before_thaw = Marks::now(stage);
        leader.thaw()?;
        result?;
        // Thawed, it lets go within the time of a call and comes back as a standby.
        stage.until("the thawed one has ended", SOON, || {
            ensure!(operators::containers(stage)?.iter().all(|one| *one != leader));
            Ok(())
        })?;
        let late: Vec<_> =
            before_thaw.writes(stage)?.into_iter().filter(|write| write.source == leader.address).collect();
        eprintln!("  thawed, the former leader's requests that still arrived:\n{}", told(&late));
        ensure!(late.len() <= MOST_IN_FLIGHT, "more than was in flight:\n{}", told(&late));
        let harmful: Vec<_> = late.iter().filter(|write| write.took_effect()).cloned().collect();
        ensure!(harmful.is_empty(), "a late request took effect:\n{}", told(&harmful));
        nothing_twice(stage, &marks)?;
    }
    stage.ready("steady")?;
    let rounds = (0..moments.len()).map(|round| format!("round-{round}"));
    once(stage, &rounds.chain(["steady".to_owned()]).collect::<Vec<_>>())
}

fn taken_over(stage: &Stage, frozen: &str, name: &str, start: Instant) -> anyhow::Result<()> {
    another_leads(stage, frozen)?;
    eprintln!("  the leader was frozen; another leads after {:.1} s", start.elapsed().as_secs_f64());
    stage.ready(name).map(drop)
}

/// No object was created twice, on the hub or on a member.
fn nothing_twice(stage: &Stage, marks: &Marks) -> anyhow::Result<()> {
    let mut created: Vec<String> = marks
        .writes(stage)?
        .into_iter()
        .filter(|write| write.verb == "create" && write.took_effect())
        .map(|write| format!("{} {} on {}", write.resource, write.object, write.cluster))
        .collect();
    created.sort_unstable();
    let twice: Vec<_> = created.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    ensure!(twice.is_empty(), "created twice: {twice:?}");
    Ok(())
}
