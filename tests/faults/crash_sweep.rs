//! Stops the operator after the k-th write, for every k, in three ways, and compares what it then makes of the world with
//! what it makes undisturbed: the same end, and everything created and deleted as often.
//!
//! The method is that of Sieve's intermediate-state faults (Sun et al., OSDI 2022): nearly all bugs of this kind show in
//! the end state or in the counts, few in logs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use serde_json::{Value, json};

use super::objects::{deployment, places};
use super::picture::{differences, picture};
use super::rig::{LONG, Rig, TEAM, condition, wait};
use super::tape::{WAYS, Way};
use roadstead_ground::chance::Chance;

/// Time between two looks at what serves.
const SAMPLE: Duration = Duration::from_millis(20);
/// The longest from the end of a process to the writes of the next one, on a busy machine: the next one takes the lease, reads
/// everything, and decides after a probe of its own.
const RESTART: Duration = Duration::from_secs(20);

/// A change whose every interruption is tried.
pub struct Scenario {
    /// Name.
    pub name: &'static str,
    /// Makes the world in which it begins.
    pub begin: fn(&Rig) -> anyhow::Result<()>,
    /// Action of the user.
    pub act: fn(&Rig) -> anyhow::Result<()>,
    /// Holds once the operator has realised it.
    pub until: fn(&Rig) -> anyhow::Result<()>,
    /// Further actions, of users or of the world.
    pub then: &'static [Step],
    /// True if an endpoint serves at every moment.
    pub serves_on: bool,
}

/// A further action of a scenario, and what holds once the operator has realised it.
pub type Step = (fn(&Rig) -> anyhow::Result<()>, fn(&Rig) -> anyhow::Result<()>);

/// Changes of one deployment without a fault of its place.
pub const SCENARIOS: [Scenario; 5] = [
    Scenario {
        name: "create",
        begin: |rig| begin(rig, false),
        act: |rig| rig.apply(&deployment()),
        until: is_ready,
        then: &[],
        serves_on: false,
    },
    Scenario { name: "scale", act: |rig| edit(rig, "/spec/replicas", json!(3)), ..EDIT },
    Scenario {
        name: "edit in place",
        act: |rig| edit(rig, "/spec/serving/args", json!(["--max-model-len=8192"])),
        ..EDIT
    },
    Scenario {
        name: "edit that replaces",
        act: |rig| edit(rig, "/spec/placement/jurisdictions", json!(["US"])),
        ..EDIT
    },
    Scenario {
        name: "delete",
        begin: |rig| begin(rig, true),
        act: |rig| rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=false"]).map(drop),
        until: is_deleted,
        then: &[],
        serves_on: false,
    },
];

/// An edit of a deployment that serves.
const EDIT: Scenario = Scenario {
    name: "edit",
    begin: |rig| begin(rig, true),
    act: |_| Ok(()),
    until: is_ready,
    then: &[],
    serves_on: true,
};

/// End state of a run without faults.
pub struct Reference {
    /// Objects at the end.
    pub picture: Value,
    /// Numbers of creations and deletions of each object.
    pub counts: BTreeMap<String, usize>,
    /// Time in which two endpoints were there: what the overlap costs.
    pub overlap: Duration,
    /// Number of writes.
    pub writes: usize,
}

/// Interrupts these scenarios: at every write if `ROADSTEAD_SWEEP` says `all`, otherwise at a sample by `seed`.
pub fn sweep(rig: &Rig, scenarios: &[Scenario], seed: u64) -> anyhow::Result<()> {
    match std::env::var("ROADSTEAD_SWEEP").as_deref() {
        Ok("all") => exhaustive(rig, scenarios),
        _ => sample(rig, scenarios, seed),
    }
}

/// Every write of every scenario, in every way.
fn exhaustive(rig: &Rig, scenarios: &[Scenario]) -> anyhow::Result<()> {
    let mut runs = 0;
    for scenario in scenarios {
        let reference = reference(rig, scenario)?;
        eprintln!("{}: {} writes", scenario.name, reference.writes);
        for number in 1..=reference.writes {
            for way in WAYS {
                disturbed(rig, scenario, &reference, number, way)?;
                runs += 1;
            }
        }
    }
    eprintln!("{runs} interruptions, each with the end and the counts of the undisturbed run");
    Ok(())
}

/// A few writes of every scenario, chosen by `seed`.
fn sample(rig: &Rig, scenarios: &[Scenario], seed: u64) -> anyhow::Result<()> {
    let mut chance = Chance::new(seed);
    eprintln!("seed {seed} (ROADSTEAD_SEED)");
    for scenario in scenarios {
        let reference = reference(rig, scenario)?;
        for way in WAYS {
            let number = 1 + chance.below(reference.writes);
            disturbed(rig, scenario, &reference, number, way)?;
        }
    }
    Ok(())
}

/// A deployment that is deleted in the middle of its creation, while the operator is down, leaves nothing and is not
/// gone on with; and a cloud is asked only for what is held by our finalizer.
pub fn withdrawn(rig: &Rig) -> anyhow::Result<()> {
    let [create, ..] = &SCENARIOS;
    let reference = reference(rig, create)?;
    let held = held_before_spent(rig)?;
    for number in 1..reference.writes {
        begin(rig, false)?;
        rig.tape.rewind(Some((number, Way::Acknowledged)));
        (create.act)(rig)?;
        wait("the operator is killed", LONG, || {
            ensure!(!rig.operator.is_alive(), "it lives");
            Ok(())
        })?;
        rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=false"])?;
        let kept = !rig.get(&["mdep", "-n", TEAM])?["items"].as_array().is_none_or(Vec::is_empty);
        ensure!(kept == (number >= held), "after write {number} of {}; it is held by write {held}", reference.writes);
        rig.tape.rewind(None);
        rig.start_operator()?;
        wait("nothing is left", LONG, || nothing_is_left(rig)).with_context(|| format!("after write {number}"))?;
        rig.quiet()?;
        nothing_is_left(rig)?;
        let counts = rig.tape.births_and_deaths().into_keys();
        let creations: Vec<String> = counts.filter(|key| key.starts_with("POST")).collect();
        ensure!(creations.is_empty(), "after write {number} it went on: {creations:?}");
    }
    Ok(())
}

/// Which write put the finalizer on, in what the tape recorded; a cloud was asked for something only after it.
fn held_before_spent(rig: &Rig) -> anyhow::Result<usize> {
    let writes = rig.tape.writes();
    let number_of = |what: &str, fits: &dyn Fn(&str, &str) -> bool| {
        let at = writes.iter().position(|write| fits(&write.method, &write.path));
        at.map(|at| at + 1).with_context(|| format!("{what} is not among {writes:?}"))
    };
    let held =
        number_of("the finalizer", &|method, path| method == "PATCH" && path.ends_with("/modeldeployments/llama"))?;
    let spent = number_of("the creation at the cloud", &|_, path| path.starts_with("/places/"))?;
    ensure!(held < spent, "write {spent} spends before write {held} holds");
    Ok(held)
}

/// The hub has no deployment, no record and no key.
pub fn gone(rig: &Rig) -> anyhow::Result<()> {
    let left = rig.get(&["mdep,iep,secret", "-n", TEAM])?;
    ensure!(left["items"] == json!([]), "left: {left}");
    Ok(())
}

fn nothing_is_left(rig: &Rig) -> anyhow::Result<()> {
    gone(rig)?;
    for place in ["east", "west"] {
        let left = rig.cloud_endpoints(place)?;
        ensure!(left.is_empty(), "at {place}: {left:?}");
    }
    Ok(())
}

/// Applies the deployment with one field changed.
pub fn edit(rig: &Rig, pointer: &str, value: Value) -> anyhow::Result<()> {
    let mut edited = deployment();
    let (parent, field) = pointer.rsplit_once('/').context("a pointer has a slash")?;
    edited.pointer_mut(parent).context("the field's parent is there")?[field] = value;
    rig.apply(&edited)
}

/// An empty world, up to where something begins: two targets, and a deployment if it begins `serving`.
pub fn begin(rig: &Rig, serving: bool) -> anyhow::Result<()> {
    rig.clear()?;
    for target in places(&json!({})) {
        rig.apply(&target)?;
    }
    for target in ["east", "west"] {
        rig.condition(&["servingtarget", target], "Ready", "True")?;
    }
    if serving {
        rig.apply(&deployment())?;
        rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True")?;
    }
    rig.quiet()
}

fn reference(rig: &Rig, scenario: &Scenario) -> anyhow::Result<Reference> {
    (scenario.begin)(rig)?;
    undisturbed(rig, scenario)
}

/// End state of the scenario without faults.
pub fn undisturbed(rig: &Rig, scenario: &Scenario) -> anyhow::Result<Reference> {
    rig.tape.rewind(None);
    let overlap = watched(rig, scenario, || {
        act(rig, scenario)?;
        rig.quiet()
    })?;
    scenario.then.last().map_or(scenario.until, |(_, until)| *until)(rig)?;
    let (counts, writes) = (rig.tape.births_and_deaths(), rig.tape.writes().len());
    Ok(Reference { picture: picture(rig)?, counts, overlap, writes })
}

/// Goes through the scenario; an operator that a fault has killed is started again, as a Deployment does with its pod.
fn act(rig: &Rig, scenario: &Scenario) -> anyhow::Result<()> {
    for (act, until) in [(scenario.act, scenario.until)].iter().chain(scenario.then) {
        act(rig)?;
        wait("the change is realised", LONG, || {
            rig.start_operator()?;
            until(rig)
        })?;
    }
    Ok(())
}

/// Runs `run`; where the scenario promises it, an endpoint serves all the while, and never more than the former and the new one
/// are there. Returns the time in which both were.
fn watched(rig: &Rig, scenario: &Scenario, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Duration> {
    if !scenario.serves_on {
        return run().map(|()| Duration::ZERO);
    }
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let (mut overlap, mut last) = (Duration::ZERO, Instant::now());
            while !ended.load(Ordering::Relaxed) {
                let endpoints = [rig.cloud_endpoints("east")?, rig.cloud_endpoints("west")?].concat();
                let there: Vec<&Value> = endpoints.iter().filter(|one| one["deleting"] == false).collect();
                ensure!(there.iter().any(|one| one["readyReplicas"] != 0), "no endpoint serves: {endpoints:?}");
                ensure!(there.len() <= 2, "more than the former and the new endpoint: {endpoints:?}");
                let now = Instant::now();
                // Both are billed, also while one is being deleted.
                if endpoints.len() == 2 {
                    overlap += now - last;
                }
                last = now;
                std::thread::sleep(SAMPLE);
            }
            Ok(overlap)
        });
        let result = run();
        ended.store(true, Ordering::Relaxed);
        let seen = watch.join().unwrap_or_else(|_| Err(anyhow!("the watch of the cloud panicked")));
        result.and(seen)
    })
}

/// The deployment serves as its newest spec says, with one endpoint.
pub fn is_ready(rig: &Rig) -> anyhow::Result<()> {
    let llama = rig.get(&["mdep", "llama", "-n", TEAM])?;
    let ready = condition(&llama, "Ready").context("it has no condition Ready")?;
    let current = llama["status"]["observedGeneration"] == llama["metadata"]["generation"];
    ensure!(current && ready["status"] == "True", "{ready}");
    let endpoints = rig.get(&["iep", "-n", TEAM])?;
    ensure!(endpoints["items"].as_array().map(Vec::len) == Some(1), "there are other endpoints");
    Ok(())
}

fn is_deleted(rig: &Rig) -> anyhow::Result<()> {
    let all = rig.get(&["mdep", "-n", TEAM])?;
    ensure!(all["items"] == json!([]), "it is still there");
    Ok(())
}

/// One run in which the write `number` goes wrong.
fn disturbed(rig: &Rig, scenario: &Scenario, reference: &Reference, number: usize, way: Way) -> anyhow::Result<()> {
    let what = format!("{}, write {number} of {}, {way:?}", scenario.name, reference.writes);
    (scenario.begin)(rig).with_context(|| format!("before {what}"))?;
    rig.tape.rewind(Some((number, way)));
    let result = watched(rig, scenario, || {
        act(rig, scenario)?;
        survive(rig, reference)
    });
    let result = result.and_then(|overlap| {
        let limit = reference.overlap + RESTART;
        ensure!(overlap <= limit, "two endpoints cost money for {overlap:?}; {:?} undisturbed", reference.overlap);
        Ok(())
    });
    result.with_context(|| {
        let writes: Vec<String> =
            rig.tape.writes().iter().map(|write| format!("{} {} {:?}", write.method, write.path, write.code)).collect();
        format!("{what}; it wrote:\n  {}", writes.join("\n  "))
    })
}

/// Waits for the reference's end, sees that it stays, and compares the counts.
pub fn survive(rig: &Rig, reference: &Reference) -> anyhow::Result<()> {
    wait("the end is that of the undisturbed run", LONG, || {
        // Killed by the fault: it is started again, as a Deployment does with its pod.
        rig.start_operator()?;
        let differences = differences(&reference.picture, &picture(rig)?);
        ensure!(differences.is_empty(), "{}", differences.join("\n"));
        Ok(())
    })?;
    rig.quiet()?;
    let differences = differences(&reference.picture, &picture(rig)?);
    ensure!(differences.is_empty(), "it did not stay so:\n{}", differences.join("\n"));
    let counts = rig.tape.births_and_deaths();
    ensure!(counts == reference.counts, "created and deleted {counts:?}, not {:?}", reference.counts);
    Ok(())
}
