//! Endpoints that run and never answer through their address: how long they are waited for, and what becomes of them.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::objects::{deployment, target};
use super::rig::{LONG, Rig, TEAM, condition, wait};
use super::weather::{Call, Disturbance, Effect};

/// The shortest time that a deployment can give a start.
const START: i32 = 10;
/// Long enough to see whether something is asked again and again.
const WATCHED: Duration = Duration::from_secs(12);
/// Replacements that may be under way at once.
const PACE: usize = 5;

/// Nothing that `calls` ask for answers.
fn silence(rig: &Rig, calls: fn(&Call) -> bool) {
    rig.weather.set(vec![Disturbance { calls, effect: Effect::Refused { code: 503, retry_after: None } }]);
}

/// One place in the US and two in the EU, of which `west` is the cheaper one.
fn places(rig: &Rig) -> anyhow::Result<()> {
    rig.apply(&target("east", "aws", "us-east-1", "40.00", &json!({})))?;
    rig.apply(&target("north", "azure", "germanywestcentral", "61.00", &json!({})))?;
    rig.apply(&target("west", "gcp", "europe-west4", "55.20", &json!({})))?;
    ["east", "north", "west"]
        .iter()
        .try_for_each(|name| rig.condition(&["servingtarget", name], "Ready", "True").map(drop))
}

/// A deployment of one replica that has [`START`] to answer.
fn impatient(name: &str, placement: &Value) -> Value {
    let mut object = deployment();
    object["metadata"]["name"] = json!(name);
    object["spec"]["replicas"] = json!(1);
    object["spec"]["serving"]["startupTimeoutSeconds"] = json!(START);
    object["spec"]["placement"] = placement.clone();
    object
}

/// The targets of a deployment's endpoints.
fn targets_of(rig: &Rig, name: &str) -> anyhow::Result<Vec<String>> {
    let list = rig.get(&["iep", "-n", TEAM])?;
    let all = list["items"].as_array().context("a list")?.iter();
    let mine = all.filter(|endpoint| endpoint["spec"]["deploymentRef"]["name"] == name);
    Ok(mine.filter_map(|endpoint| endpoint["spec"]["target"].as_str().map(ToOwned::to_owned)).collect())
}

/// Waits until a deployment serves at `target` alone.
fn serves_at(rig: &Rig, name: &str, target: &str) -> anyhow::Result<()> {
    wait(&format!("{name} serves at {target}"), LONG, || {
        let targets = targets_of(rig, name)?;
        ensure!(targets == [target], "{targets:?}");
        Ok(())
    })?;
    rig.condition(&["mdep", name, "-n", TEAM], "Ready", "True").map(drop)
}

/// A first endpoint that does not answer in time goes, and the next place is tried; where there is none it stays, says
/// what is missing, and stalls.
pub fn a_first_endpoint_goes_on(rig: &Rig) -> anyhow::Result<()> {
    places(rig)?;
    silence(rig, |call| call.path.starts_with("/serve/west/"));
    rig.apply(&impatient("llama", &json!({"jurisdictions": ["EU"]})))?;
    wait("it starts at west", LONG, || {
        ensure!(targets_of(rig, "llama")? == ["west"]);
        Ok(())
    })?;
    serves_at(rig, "llama", "north")?;
    ensure!(rig.cloud_endpoints("west")?.is_empty(), "something is left at west");
    let exhausted = rig.get(&["servingtarget", "west"])?["status"]["exhausted"][0].clone();
    ensure!(exhausted["reason"] == "StartupTimeout" && exhausted["onlyFor"] == format!("{TEAM}/llama"), "{exhausted}");

    rig.apply(&impatient("alone", &json!({"regions": {"allow": ["europe-west4"]}})))?;
    let stalled = rig.condition(&["mdep", "alone", "-n", TEAM], "Stalled", "True")?;
    let said = stalled["message"].as_str().unwrap_or_default();
    ensure!(stalled["reason"] == "StartupTimeout" && said.contains("503"), "{stalled}");
    ensure!(targets_of(rig, "alone")? == ["west"], "it did not stay");
    // Its address alone is asked between two looks at the place, and ever more rarely.
    let asked = |what: &str| rig.tape.reads(what);
    let before = (asked("/serve/west/alone-"), asked("/places/west/endpoints/alone-"));
    std::thread::sleep(WATCHED);
    let (address, place) = (asked("/serve/west/alone-") - before.0, asked("/places/west/endpoints/alone-") - before.1);
    ensure!(
        address <= 3 && place <= 2,
        "asked {address} times, and its place {place} times, in {} s",
        WATCHED.as_secs()
    );
    rig.weather.clear();
    serves_at(rig, "alone", "west")
}

/// A refusal by a place's own rules leads to the next place at once; without one the endpoint stays, costs nothing, and
/// stalls.
pub fn a_refusal_by_a_rule_of_the_place_sends_on(rig: &Rig) -> anyhow::Result<()> {
    places(rig)?;
    let no = json!({"faults": [{"calls": ["Create"], "effect": "Refused", "class": "Refused"}]});
    rig.apply(&target("west", "gcp", "europe-west4", "55.20", &no))?;
    let current = rig.get(&["servingtarget", "west"])?["metadata"]["generation"].clone();
    wait("west was looked at", LONG, || {
        ensure!(rig.get(&["servingtarget", "west"])?["status"]["observedGeneration"] == current);
        Ok(())
    })?;
    rig.apply(&impatient("llama", &json!({"jurisdictions": ["EU"]})))?;
    serves_at(rig, "llama", "north")?;
    let exhausted = rig.get(&["servingtarget", "west"])?["status"]["exhausted"][0].clone();
    ensure!(exhausted["reason"] == "AdmissionRefused", "{exhausted}");

    rig.apply(&impatient("alone", &json!({"regions": {"allow": ["europe-west4"]}})))?;
    let stalled = rig.condition(&["mdep", "alone", "-n", TEAM], "Stalled", "True")?;
    ensure!(stalled["reason"] == "AdmissionRefused", "{stalled}");
    let cost = rig.get(&["mdep", "alone", "-n", TEAM])?["status"]["hourlyCost"].clone();
    ensure!(cost == "0.00", "it costs {cost}");
    refused_again_and_again(rig)
}

/// However often a place refuses in the same words, its record is not written again.
fn refused_again_and_again(rig: &Rig) -> anyhow::Result<()> {
    rig.quiet()?;
    rig.tape.rewind(None);
    let tries = |path: &str| rig.tape.writes().iter().filter(|write| write.path.contains(path)).count();
    for round in 1..=5 {
        let at = json!({"metadata": {"annotations": {"roadstead.dev/requestedAt": round.to_string()}}}).to_string();
        rig.kubectl(&["patch", "mdep", "alone", "-n", TEAM, "--type=merge", "-p", &at])?;
        wait("west refuses it once more", LONG, || {
            ensure!(tries("/places/west/endpoints") >= round, "{} times", tries("/places/west/endpoints"));
            Ok(())
        })?;
        rig.quiet()?;
    }
    let written = tries("/inferenceendpoints/");
    ensure!(written == 0, "the record was written {written} times: {:?}", rig.tape.writes());
    Ok(())
}

/// Five replacements that never answer keep nobody else waiting for longer than a start may take, what serves goes on
/// serving, and each finds the next place.
pub fn replacements_hold_nobody_up(rig: &Rig) -> anyhow::Result<()> {
    places(rig)?;
    let stuck: Vec<String> = (0..PACE).map(|index| format!("stuck-{index}")).collect();
    let names = || stuck.iter().map(String::as_str).chain(["free"]);
    for name in names() {
        rig.apply(&impatient(name, &json!({})))?;
    }
    names().try_for_each(|name| serves_at(rig, name, "east"))?;
    silence(rig, |call| call.path.starts_with("/serve/west/stuck-"));
    let eu = json!({"jurisdictions": ["EU"]});
    for name in &stuck {
        rig.apply(&impatient(name, &eu))?;
    }
    wait("all of them are being replaced at west", LONG, || {
        for name in &stuck {
            let targets = targets_of(rig, name)?;
            ensure!(targets.contains(&"west".to_owned()), "{name}: {targets:?}");
        }
        Ok(())
    })?;
    rig.apply(&impatient("free", &eu))?;
    let waits = rig.condition(&["mdep", "free", "-n", TEAM], "Ready", "False")?;
    ensure!(waits["message"].as_str().unwrap_or_default().contains("the limit is 5"), "{waits}");
    wait("the one that waits is served at west", Duration::from_secs(START.unsigned_abs().into()) * 3, || {
        ensure!(targets_of(rig, "free")?.contains(&"west".to_owned()));
        Ok(())
    })?;
    serves_at(rig, "free", "west")?;
    for name in &stuck {
        serves_at(rig, name, "north")?;
        let ready = condition(&rig.get(&["mdep", name, "-n", TEAM])?, "Ready").context("no condition Ready")?;
        ensure!(ready["reason"] == "Ready", "{name}: {ready}");
    }
    Ok(())
}
