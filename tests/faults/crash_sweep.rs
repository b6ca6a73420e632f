//! Stops the operator after the k-th write, for every k, in three ways, and compares what it then makes of the world with
//! what it makes undisturbed: the same end, and everything created and deleted as often.
//!
//! The method is that of Sieve's intermediate-state faults (Sun et al., OSDI 2022): nearly all bugs of this kind show in
//! the end state or in the counts, few in logs.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::objects::{deployment, places};
use super::picture::{differences, picture};
use super::rig::{LONG, Rig, TEAM, condition, wait};
use super::tape::{WAYS, Way};
use roadstead_ground::chance::Chance;

/// A change whose every interruption is tried.
pub struct Scenario {
    /// Name.
    pub name: &'static str,
    /// True if a deployment serves before the change.
    pub begins_serving: bool,
    /// Action of the user.
    pub act: fn(&Rig) -> anyhow::Result<()>,
}

/// All of them.
pub const SCENARIOS: [Scenario; 5] = [
    Scenario { name: "create", begins_serving: false, act: |rig| rig.apply(&deployment()) },
    Scenario { name: "scale", begins_serving: true, act: |rig| edit(rig, "/spec/replicas", json!(3)) },
    Scenario {
        name: "edit in place",
        begins_serving: true,
        act: |rig| edit(rig, "/spec/serving/args", json!(["--max-model-len=8192"])),
    },
    Scenario {
        name: "edit that replaces",
        begins_serving: true,
        act: |rig| edit(rig, "/spec/placement/jurisdictions", json!(["US"])),
    },
    Scenario {
        name: "delete",
        begins_serving: true,
        act: |rig| rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=false"]).map(drop),
    },
];

/// End state of a run without faults.
pub struct Reference {
    /// Objects at the end.
    pub picture: Value,
    /// Numbers of creations and deletions of each object.
    pub counts: BTreeMap<String, usize>,
    /// Number of writes.
    pub writes: usize,
}

/// Every write of every scenario, in every way.
pub fn exhaustive(rig: &Rig) -> anyhow::Result<()> {
    let mut runs = 0;
    for scenario in &SCENARIOS {
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
pub fn sample(rig: &Rig, seed: u64) -> anyhow::Result<()> {
    let mut chance = Chance::new(seed);
    eprintln!("seed {seed} (ROADSTEAD_SEED)");
    for scenario in &SCENARIOS {
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
    begin(rig, scenario.begins_serving)?;
    undisturbed(rig, scenario)
}

/// End state of the scenario without faults.
pub fn undisturbed(rig: &Rig, scenario: &Scenario) -> anyhow::Result<Reference> {
    rig.tape.rewind(None);
    (scenario.act)(rig)?;
    wait("the change is realised", LONG, || realised(rig, scenario))?;
    rig.quiet()?;
    realised(rig, scenario)?;
    Ok(Reference { picture: picture(rig)?, counts: rig.tape.births_and_deaths(), writes: rig.tape.writes().len() })
}

fn realised(rig: &Rig, scenario: &Scenario) -> anyhow::Result<()> {
    let all = rig.get(&["mdep", "-n", TEAM])?;
    let Some(llama) = all["items"].get(0) else {
        ensure!(scenario.name == "delete", "it is gone");
        return Ok(());
    };
    ensure!(scenario.name != "delete", "it is still there");
    let ready = condition(llama, "Ready").context("it has no condition Ready")?;
    let current = llama["status"]["observedGeneration"] == llama["metadata"]["generation"];
    ensure!(current && ready["status"] == "True", "{ready}");
    let endpoints = rig.get(&["iep", "-n", TEAM])?;
    ensure!(endpoints["items"].as_array().map(Vec::len) == Some(1), "there are other endpoints");
    Ok(())
}

/// One run in which the write `number` goes wrong.
fn disturbed(rig: &Rig, scenario: &Scenario, reference: &Reference, number: usize, way: Way) -> anyhow::Result<()> {
    let what = format!("{}, write {number} of {}, {way:?}", scenario.name, reference.writes);
    begin(rig, scenario.begins_serving).with_context(|| format!("before {what}"))?;
    rig.tape.rewind(Some((number, way)));
    (scenario.act)(rig)?;
    let result = survive(rig, reference);
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
