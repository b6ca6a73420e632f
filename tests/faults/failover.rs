//! Places and endpoints that stop answering: what moves, when, and what is left of it.

use std::time::Duration;

use anyhow::{Context, ensure};
use roadstead_api::v1alpha1::{LastMove, StageName};
use serde_json::{Value, json};

use super::objects::{deployment, target};
use super::rig::{LONG, Rig, TEAM, wait};
use super::weather::{Call, Disturbance, Effect, Weather};

/// The shortest toleration that a deployment can have.
const TOLERATION: i64 = 10;
/// The longest from the end of the toleration to the record of the replacement: one probe, and time of a busy machine.
const LATE: i64 = 5 + 5;

/// Nothing that `calls` ask for answers.
pub fn silence(rig: &Rig, calls: fn(&Call) -> bool) {
    silence_at(&rig.weather, calls);
}

/// The same for an operator with a weather of its own.
pub fn silence_at(weather: &Weather, calls: fn(&Call) -> bool) {
    weather.set(vec![Disturbance { calls, effect: Effect::Refused { code: 503, retry_after: None } }]);
}

fn is_api_of_east(call: &Call) -> bool {
    call.path == "/places/east" || call.path.starts_with("/places/east/")
}

pub fn is_east(call: &Call) -> bool {
    is_api_of_east(call) || call.path.starts_with("/serve/east/")
}

fn is_any_place(call: &Call) -> bool {
    call.path.starts_with("/places/") || call.path.starts_with("/serve/")
}

/// A deployment of one replica with the shortest toleration.
pub fn impatient() -> Value {
    let mut object = deployment();
    object["spec"]["replicas"] = json!(1);
    object["spec"]["placement"] = json!({});
    object["spec"]["failover"] = json!({"tolerationSeconds": TOLERATION});
    object
}

/// Three places, and the deployment that serves at the cheapest of them, east.
fn serving(rig: &Rig) -> anyhow::Result<()> {
    serving_as(rig, &impatient(), &json!({}))
}

/// The same with this deployment, at places that behave so.
pub fn serving_as(rig: &Rig, deployment: &Value, simulated: &Value) -> anyhow::Result<()> {
    rig.apply(&target("east", "aws", "us-east-1", "40.00", simulated))?;
    rig.apply(&target("west", "gcp", "europe-west4", "55.20", simulated))?;
    rig.apply(&target("north", "azure", "germanywestcentral", "61.00", simulated))?;
    for name in ["east", "west", "north"] {
        rig.condition(&["servingtarget", name], "Ready", "True")?;
    }
    rig.apply(deployment)?;
    serves_at(rig, "east")?;
    rig.quiet()?;
    rig.tape.rewind(None);
    Ok(())
}

pub fn llama(rig: &Rig) -> anyhow::Result<Value> {
    rig.get(&["mdep", "llama", "-n", TEAM])
}

/// Waits until the deployment is ready with its one endpoint at `target`.
fn serves_at(rig: &Rig, target: &str) -> anyhow::Result<()> {
    wait(&format!("it serves at {target}"), LONG, || {
        let object = llama(rig)?;
        let first = &object["status"]["placements"][0];
        ensure!(first["target"] == target && first["url"].is_string(), "{}", object["status"]);
        Ok(())
    })?;
    rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True").map(drop)
}

/// The only endpoint of the deployment.
fn endpoint(rig: &Rig) -> anyhow::Result<Value> {
    let all = rig.get(&["iep", "-n", TEAM])?["items"].clone();
    ensure!(all.as_array().is_some_and(|all| all.len() == 1), "{all}");
    Ok(all[0].clone())
}

fn is_seen_as(rig: &Rig, health: &str) -> anyhow::Result<()> {
    wait(&format!("the endpoint is {health}"), LONG, || {
        let endpoint = endpoint(rig)?;
        ensure!(endpoint["status"]["health"] == health, "{}", endpoint["status"]);
        Ok(())
    })
}

/// Has the operator look at the deployment and its endpoint now.
pub fn look(rig: &Rig, request: &str) -> anyhow::Result<()> {
    let at = json!({"metadata": {"annotations": {"roadstead.dev/requestedAt": request}}}).to_string();
    rig.kubectl(&["patch", "mdep", "llama", "-n", TEAM, "--type=merge", "-p", &at]).map(drop)
}

/// Nothing was created or deleted since the tape was rewound.
fn nothing_moved(rig: &Rig) -> anyhow::Result<()> {
    let counts = rig.tape.births_and_deaths();
    let moved: Vec<&String> =
        counts.keys().filter(|key| key.contains("/endpoints") || key.contains("/inferenceendpoints")).collect();
    ensure!(moved.is_empty(), "{moved:?}");
    Ok(())
}

/// One endpoint was created and one deleted since the tape was rewound, on the hub and at the cloud.
fn one_moved(rig: &Rig) -> anyhow::Result<()> {
    let counts = rig.tape.births_and_deaths();
    for (method, where_) in [
        ("POST", "/inferenceendpoints"),
        ("DELETE", "/inferenceendpoints"),
        ("POST", "/endpoints"),
        ("DELETE", "/endpoints"),
    ] {
        let of = counts.iter().filter(|(key, _)| key.starts_with(method) && key.contains(where_));
        let number: usize = of.map(|(_, count)| count).sum();
        ensure!(number == 1, "{number} times {method} {where_}: {counts:?}");
    }
    Ok(())
}

/// The move from east to west was as fast as promised, and not faster.
fn is_in_time(rig: &Rig) -> anyhow::Result<()> {
    let told: LastMove = serde_json::from_value(llama(rig)?["status"]["lastMove"].clone()).context("no lastMove")?;
    let at = |name| told.stages.iter().find(|stage| stage.name == name).map(|stage| stage.at.0);
    let (detected, decided) = at(StageName::Detected).zip(at(StageName::Decided)).context("two stages")?;
    let after = decided.duration_since(detected).as_secs();
    eprintln!("decided {after} s after the first failed probe, done after {} s", told.duration_seconds);
    ensure!((TOLERATION..=TOLERATION + LATE).contains(&after), "{told:?}");
    ensure!((told.from.as_str(), told.to.as_str()) == ("east", "west"), "{told:?}");
    Ok(())
}

/// The lost place returns: what was left there goes, and the copy that serves stays.
fn one_copy_is_left(rig: &Rig) -> anyhow::Result<()> {
    rig.weather.clear();
    wait("one copy is left", LONG, || {
        let east = rig.cloud_endpoints("east")?;
        ensure!(east.is_empty(), "at east: {east:?}");
        endpoint(rig).map(drop)
    })?;
    serves_at(rig, "west")?;
    ensure!(rig.cloud_endpoints("west")?.len() == 1, "not one copy at west");
    one_moved(rig)
}

/// A lost place is left for the next one within the bound, stays on the bill until it confirms the removal, and then one copy
/// is left.
pub fn a_lost_place_is_left_and_one_copy_remains(rig: &Rig) -> anyhow::Result<()> {
    serving(rig)?;
    silence(rig, is_east);
    serves_at(rig, "west")?;
    is_in_time(rig)?;
    wait("the lost endpoint is being released", LONG, || {
        let object = llama(rig)?;
        ensure!(object["status"]["releasing"][0]["target"] == "east", "{}", object["status"]);
        ensure!(object["status"]["hourlyCost"] == "23.80", "{}", object["status"]["hourlyCost"]);
        let moves = &object["status"]["moves"];
        ensure!(moves[0]["kind"] == "Failover" && moves[0]["step"] == "Remove", "{moves}");
        Ok(())
    })?;
    one_copy_is_left(rig)
}

/// A place whose API does not answer while its endpoint does: nothing is created, deleted or written.
pub fn an_isolated_place_is_left_alone(rig: &Rig) -> anyhow::Result<()> {
    serving(rig)?;
    silence(rig, is_api_of_east);
    is_seen_as(rig, "Isolated")?;
    let told = rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "Unknown")?;
    ensure!(told["reason"] == "Isolated", "{told}");
    rig.quiet()?;
    let before = rig.tape.writes().iter().filter(|write| write.path.contains("/apis/")).count();
    std::thread::sleep(Duration::from_secs(TOLERATION.unsigned_abs() + 5));
    let writes = rig.tape.writes();
    let hub: Vec<_> = writes.iter().filter(|write| write.path.contains("/apis/")).skip(before).collect();
    ensure!(hub.is_empty(), "{hub:?}");
    rig.weather.clear();
    is_seen_as(rig, "Healthy")?;
    rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True")?;
    nothing_moved(rig)
}

/// Ten outages in a row, each shorter than the toleration and all together longer, move nothing.
pub fn short_outages_move_nothing(rig: &Rig) -> anyhow::Result<()> {
    serving(rig)?;
    for round in 0..10 {
        silence(rig, |call| call.path.starts_with("/serve/east/"));
        look(rig, &format!("outage {round}"))?;
        is_seen_as(rig, "Failing")?;
        std::thread::sleep(Duration::from_secs(2));
        rig.weather.clear();
        look(rig, &format!("after outage {round}"))?;
        is_seen_as(rig, "Healthy")?;
    }
    nothing_moved(rig)
}

/// An endpoint fails whose health is unknown again and again, because a Secret that it names comes and goes: the run of failures
/// goes on, and the endpoint is replaced in time.
pub fn health_that_is_unknown_now_and_then_moves_in_time(rig: &Rig) -> anyhow::Result<()> {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub", "namespace": TEAM}, "stringData": {"token": "a"},
    });
    rig.apply(&secret)?;
    let mut needy = impatient();
    needy["spec"]["serving"]["env"] = json!([{
        "name": "HF_TOKEN", "secretKeyRef": {"name": "hub", "key": "token"},
    }]);
    serving_as(rig, &needy, &json!({}))?;
    silence(rig, |call| call.path.starts_with("/serve/east/"));
    look(rig, "outage")?;
    is_seen_as(rig, "Failing")?;
    let since = endpoint(rig)?["status"]["failingSince"].clone();
    ensure!(since.is_string(), "no run of failures began");
    for round in 0..2 {
        rig.kubectl(&["delete", "secret", "hub", "-n", TEAM])?;
        look(rig, &format!("unknown {round}"))?;
        is_seen_as(rig, "Unknown")?;
        ensure!(endpoint(rig)?["status"]["failingSince"] == since, "the run ended");
        rig.apply(&secret)?;
        look(rig, &format!("failing {round}"))?;
        is_seen_as(rig, "Failing")?;
        ensure!(endpoint(rig)?["status"]["failingSince"] == since, "the run began anew");
    }
    serves_at(rig, "west")?;
    is_in_time(rig)
}

/// No place answers: nothing moves, however long, and afterwards nothing has happened.
pub fn a_hub_that_is_cut_off_moves_nothing(rig: &Rig) -> anyhow::Result<()> {
    serving(rig)?;
    silence(rig, is_any_place);
    wait("the hub knows that it is cut off", LONG, || {
        let ready = rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "Unknown")?;
        ensure!(ready["reason"] == "HubIsolated", "{ready}");
        Ok(())
    })?;
    std::thread::sleep(Duration::from_secs(TOLERATION.unsigned_abs() + 5));
    rig.weather.clear();
    serves_at(rig, "east")?;
    nothing_moved(rig)
}

/// The operator is killed half-way through the toleration and in each phase of the move: the bound holds all the same, and what is
/// created and deleted is one endpoint.
pub fn a_kill_in_every_phase_changes_nothing(rig: &Rig) -> anyhow::Result<()> {
    let mut patient = impatient();
    patient["spec"]["serving"]["drainTimeoutSeconds"] = json!(5);
    serving_as(rig, &patient, &json!({"startupSeconds": 4, "deletionSeconds": 4}))?;
    let kill = || {
        rig.stop_operator();
        rig.start_operator()
    };
    silence(rig, is_east);
    is_seen_as(rig, "Lost")?;
    std::thread::sleep(Duration::from_secs(TOLERATION.unsigned_abs() / 2));
    kill()?;
    for phase in [Phase::Surge, Phase::Drain, Phase::Remove] {
        wait(&format!("the move is in the phase {phase:?}"), LONG, || phase.is_reached(rig))?;
        kill()?;
    }
    serves_at(rig, "west")?;
    is_in_time(rig)?;
    rig.weather.clear();
    wait("the returned copy is being removed", LONG, || {
        let east = rig.cloud_endpoints("east")?;
        ensure!(east.first().is_some_and(|one| one["deleting"] == true), "{east:?}");
        Ok(())
    })?;
    kill()?;
    one_copy_is_left(rig)
}

/// Phase of a move from east to west as the hub's records show it.
#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The replacement starts.
    Surge,
    /// The former endpoint drains.
    Drain,
    /// The former endpoint is to be removed.
    Remove,
}

impl Phase {
    fn is_reached(self, rig: &Rig) -> anyhow::Result<()> {
        let all = rig.get(&["iep", "-n", TEAM])?["items"].clone();
        let on =
            |target: &str| all.as_array().into_iter().flatten().find(|one| one["spec"]["target"] == target).cloned();
        let (east, west) = (on("east").context("none on east")?, on("west").context("none on west")?);
        let reached = match self {
            Self::Surge => west["status"]["firstReadyTime"].is_null(),
            Self::Drain => east["spec"]["state"] == "Draining" && east["metadata"]["deletionTimestamp"].is_null(),
            Self::Remove => east["metadata"]["deletionTimestamp"].is_string(),
        };
        ensure!(reached, "{all}");
        Ok(())
    }
}

/// A place that was lost and is stable again gets its deployment back; one copy is left.
pub fn a_deployment_returns_home(rig: &Rig) -> anyhow::Result<()> {
    let mut returns = impatient();
    returns["spec"]["failover"]["failback"] = json!({"policy": "Always", "stabilizationSeconds": TOLERATION});
    serving_as(rig, &returns, &json!({}))?;
    silence(rig, is_east);
    serves_at(rig, "west")?;
    let away = llama(rig)?;
    ensure!(away["status"]["home"]["target"] == "east", "{}", away["status"]);
    rig.weather.clear();
    serves_at(rig, "east")?;
    let back = llama(rig)?;
    ensure!(
        back["status"]["home"].is_null() && back["status"]["lastMove"]["reason"] == "FailedBack",
        "{}",
        back["status"]
    );
    wait("one copy is left", LONG, || {
        let west = rig.cloud_endpoints("west")?;
        ensure!(west.is_empty(), "at west: {west:?}");
        endpoint(rig).map(drop)
    })?;
    ensure!(rig.cloud_endpoints("east")?.len() == 1, "not one copy at east");
    Ok(())
}
