//! Each class of failure on each call to a provider: what users are told, how it is tried again, and that nothing is lost.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::objects::{deployment, target};
use super::rig::{LONG, Rig, TEAM, condition, wait};

const LLAMA: [&str; 4] = ["mdep", "llama", "-n", TEAM];
/// Long enough to see whether a failure is tried again and again without a pause.
const WATCHED: Duration = Duration::from_secs(4);
/// Tries within [`WATCHED`] with pauses of 0.5, 1 and 2 s between them, and one that news brought about.
const TRIES: usize = 5;

/// The places of these tests: one in the US, two in the EU, of which `west` is the cheaper one and misbehaves.
fn places(rig: &Rig, west: &Value) -> anyhow::Result<()> {
    rig.apply(&target("east", "aws", "us-east-1", "40.00", &json!({})))?;
    rig.apply(&target("north", "azure", "germanywestcentral", "61.00", &json!({})))?;
    rig.apply(&target("west", "gcp", "europe-west4", "55.20", west))
}

/// The same, and all of them can be used: a deployment that comes now has the choice.
fn ready_places(rig: &Rig, west: &Value) -> anyhow::Result<()> {
    places(rig, west)?;
    ["east", "north", "west"]
        .iter()
        .try_for_each(|name| rig.condition(&["servingtarget", name], "Ready", "True").map(drop))
}

/// All calls of these kinds at `west` are refused with this class.
fn refused(calls: &[&str], class: &str) -> Value {
    json!({"faults": [{"calls": calls, "effect": "Refused", "class": class}]})
}

/// Has `west` behave like this from now on.
fn west(rig: &Rig, simulated: &Value) -> anyhow::Result<()> {
    places(rig, simulated)?;
    let current = rig.get(&["servingtarget", "west"])?["metadata"]["generation"].clone();
    wait("west was looked at", LONG, || {
        let seen = rig.get(&["servingtarget", "west"])?["status"]["observedGeneration"].clone();
        ensure!(seen == current, "generation {seen}, not {current}");
        Ok(())
    })
}

/// A deployment that serves at `west`.
fn serving(rig: &Rig) -> anyhow::Result<()> {
    ready_places(rig, &json!({}))?;
    rig.apply(&deployment())?;
    rig.condition(&LLAMA, "Ready", "True")?;
    at_west(rig)?;
    rig.quiet()
}

/// The only endpoint.
fn endpoint(rig: &Rig) -> anyhow::Result<Value> {
    let list = rig.get(&["iep", "-n", TEAM])?;
    let all = list["items"].as_array().context("a list")?;
    ensure!(all.len() == 1, "there are {} endpoints", all.len());
    Ok(all[0].clone())
}

/// The only endpoint that really is at `west`.
fn at_west(rig: &Rig) -> anyhow::Result<Value> {
    let all = rig.cloud_endpoints("west")?;
    ensure!(all.len() == 1, "there are {} endpoints at west: {all:?}", all.len());
    Ok(all[0].clone())
}

/// Waits until the endpoint tells this reason and this class of failure.
fn told(rig: &Rig, reason: &str, class: &str) -> anyhow::Result<()> {
    wait(&format!("the endpoint tells {reason} and {class}"), LONG, || {
        let endpoint = endpoint(rig)?;
        let ready = condition(&endpoint, "Ready").context("no condition Ready")?;
        let error = &endpoint["status"]["lastError"];
        ensure!(ready["reason"] == reason && error["class"] == class, "{ready}, {error}");
        Ok(())
    })
}

/// Number of calls of this method at `west` while nobody changed anything.
fn tries(rig: &Rig, method: &str) -> usize {
    rig.tape.rewind(None);
    std::thread::sleep(WATCHED);
    let writes = rig.tape.writes();
    writes.iter().filter(|write| write.method == method && write.path.starts_with("/places/west/")).count()
}

fn healed(rig: &Rig) -> anyhow::Result<()> {
    west(rig, &json!({}))?;
    rig.condition(&LLAMA, "Ready", "True")?;
    at_west(rig).map(drop)
}

/// A temporary failure is retried with growing pauses; a permanent one stalls the deployment; both recover.
pub fn refused_creations(rig: &Rig) -> anyhow::Result<()> {
    for (class, summary) in [
        ("Transient", "Reconciling"),
        ("Unauthorized", "Reconciling"),
        ("NotFound", "Reconciling"),
        ("Invalid", "Stalled"),
    ] {
        rig.clear()?;
        ready_places(rig, &refused(&["Create"], class))?;
        rig.apply(&deployment())?;
        told(rig, "ProviderError", class)?;
        rig.condition(&LLAMA, summary, "True").with_context(|| class.to_owned())?;
        let tries = tries(rig, "POST");
        ensure!(tries <= TRIES, "{class}: asked {tries} times in {} s", WATCHED.as_secs());
        ensure!(endpoint(rig)?["spec"]["target"] == "west", "{class}: it went elsewhere");
        healed(rig).with_context(|| class.to_owned())?;
    }
    Ok(())
}

/// A cloud that asks to slow down is left alone for as long as it says.
pub fn throttled_creations(rig: &Rig) -> anyhow::Result<()> {
    let throttled =
        json!({"faults": [{"calls": ["Create"], "effect": "Refused", "class": "Throttled", "seconds": 5, "times": 1}]});
    ready_places(rig, &throttled)?;
    rig.tape.rewind(None);
    rig.apply(&deployment())?;
    rig.condition(&LLAMA, "Ready", "True")?;
    let asked: Vec<Instant> = rig
        .tape
        .writes()
        .iter()
        .filter(|write| write.method == "POST" && write.path.starts_with("/places/west/"))
        .map(|write| write.at)
        .collect();
    let [first, second] = asked.as_slice() else { anyhow::bail!("asked {} times, not twice", asked.len()) };
    let pause = second.duration_since(*first);
    ensure!(pause >= Duration::from_secs(5), "asked again after {pause:?}");
    Ok(())
}

/// A place without room or quota is left alone, and says until when; the next one is taken.
pub fn no_room(rig: &Rig) -> anyhow::Result<()> {
    let short = |late: bool| json!({"capacity": [{"name": "h100", "instances": 0, "late": late}]});
    for (what, simulated) in [
        ("no room", short(false)),
        ("no room, said late", short(true)),
        ("refused for capacity", refused(&["Create"], "CapacityExhausted")),
        ("refused for quota", refused(&["Create"], "QuotaExceeded")),
    ] {
        rig.clear()?;
        ready_places(rig, &simulated)?;
        rig.apply(&deployment())?;
        rig.condition(&LLAMA, "Ready", "True").with_context(|| what.to_owned())?;
        let left = wait("the refused endpoint is gone", LONG, || endpoint(rig))?;
        ensure!(left["spec"]["target"] == "north", "{what}: it is elsewhere");
        ensure!(rig.cloud_endpoints("west")?.is_empty(), "{what}: something is left at the refused place");
        let exhausted = rig.get(&["servingtarget", "west"])?["status"]["exhausted"].clone();
        ensure!(exhausted[0]["offer"] == "h100" && exhausted[0]["until"].is_string(), "{what}: {exhausted}");
    }
    Ok(())
}

/// Answers that are lost or late make nothing twice.
pub fn lost_and_late_answers(rig: &Rig) -> anyhow::Result<()> {
    for effect in [json!({"effect": "Lost", "times": 2}), json!({"effect": "Late", "seconds": 12, "times": 1})] {
        for call in ["Create", "Update", "Delete"] {
            rig.clear()?;
            let mut fault = effect.clone();
            fault["calls"] = json!([call]);
            let before = serde_json::from_str::<Vec<Value>>(&rig.cloud_get("/log")?)?.len();
            ready_places(rig, &json!({"faults": [fault]}))?;
            rig.apply(&deployment())?;
            rig.condition(&LLAMA, "Ready", "True").with_context(|| format!("{call}, {effect}"))?;
            let mut more = deployment();
            more["spec"]["replicas"] = json!(3);
            rig.apply(&more)?;
            rig.condition(&LLAMA, "Ready", "True").with_context(|| format!("{call}, {effect}"))?;
            ensure!(at_west(rig)?["readyReplicas"] == 3, "{call}, {effect}: not three");
            rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=true", "--timeout=60s"])?;
            let log: Vec<Value> = serde_json::from_str(&rig.cloud_get(&format!("/log?after={before}"))?)?;
            let created = log.iter().filter(|entry| entry["call"] == "Create" && entry["outcome"] == "done").count();
            ensure!(created == 1, "{call}, {effect}: {log:?}");
            ensure!(rig.cloud_endpoints("west")?.is_empty(), "{call}, {effect}: something is left");
        }
    }
    Ok(())
}

/// A serving endpoint continues to serve while its changes are refused.
pub fn refused_updates(rig: &Rig) -> anyhow::Result<()> {
    for class in ["Transient", "Unauthorized", "Invalid", "Conflict", "CapacityExhausted", "QuotaExceeded"] {
        rig.clear()?;
        serving(rig)?;
        west(rig, &refused(&["Update"], class))?;
        let mut more = deployment();
        more["spec"]["replicas"] = json!(3);
        rig.apply(&more)?;
        rig.condition(&LLAMA, "Ready", "False").with_context(|| class.to_owned())?;
        let tries = tries(rig, "PUT");
        ensure!(tries <= TRIES, "{class}: asked {tries} times in {} s", WATCHED.as_secs());
        ensure!(at_west(rig)?["readyReplicas"] == 2, "{class}: it serves no more");
        healed(rig).with_context(|| class.to_owned())?;
        ensure!(at_west(rig)?["readyReplicas"] == 3, "{class}: not three");
    }
    Ok(())
}

/// While a deletion is refused the object stays and says what may still be billed, and the cloud is not pestered.
pub fn refused_deletions(rig: &Rig) -> anyhow::Result<()> {
    for class in ["Transient", "Throttled", "Unauthorized", "Invalid", "Conflict", "QuotaExceeded", "NotFound"] {
        rig.clear()?;
        serving(rig)?;
        west(rig, &refused(&["Delete"], class))?;
        rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=false"])?;
        wait(&format!("{class}: releasing tells of it"), LONG, || {
            let releasing = rig.get(&LLAMA)?["status"]["releasing"][0].clone();
            let refusal = "simulated: Delete is refused";
            ensure!(releasing["target"] == "west" && releasing["lastError"] == refusal, "{releasing}");
            ensure!(releasing["hourlyCost"] == "27.60", "{releasing}");
            Ok(())
        })?;
        let tries = tries(rig, "DELETE");
        ensure!(tries <= TRIES, "{class}: asked {tries} times in {} s", WATCHED.as_secs());
        ensure!(rig.cloud_endpoints("west")?.len() == 1, "{class}: it was let go");
        west(rig, &json!({}))?;
        rig.kubectl(&["wait", "--for=delete", "mdep/llama", "-n", TEAM, "--timeout=90s"])?;
        ensure!(rig.cloud_endpoints("west")?.is_empty(), "{class}: something is left");
    }
    Ok(())
}

/// Not being told is not being told that it is gone: what serves is left alone, and known again afterwards.
pub fn refused_reads(rig: &Rig) -> anyhow::Result<()> {
    for (call, class, target_ready, summary_status) in [
        ("Get", "Transient", "Ready", "Unknown"),
        ("Get", "NotFound", "Ready", "Unknown"),
        ("Get", "Unauthorized", "Ready", "Unknown"),
        ("List", "Transient", "Listing", "True"),
        ("Identify", "Transient", "Unreachable", "Unknown"),
        ("Identify", "Unauthorized", "Unauthorized", "Unknown"),
        ("Claim", "Throttled", "Unreachable", "Unknown"),
    ] {
        rig.clear()?;
        serving(rig)?;
        rig.tape.rewind(None);
        west(rig, &refused(&[call], class))?;
        let ready = wait(&format!("{call} {class}: west tells it"), LONG, || {
            let west = rig.get(&["servingtarget", "west"])?;
            let ready = condition(&west, "Ready").context("no condition Ready")?;
            ensure!(ready["reason"] == target_ready, "{ready}");
            Ok(ready)
        })?;
        std::thread::sleep(WATCHED);
        let changes = rig.tape.births_and_deaths();
        ensure!(changes.is_empty(), "{call} {class}, {ready}: {changes:?}");
        let summary = condition(&rig.get(&LLAMA)?, "Ready").context("no condition Ready")?;
        ensure!(summary["status"] == summary_status, "{call} {class}: {summary}");
        ensure!(at_west(rig)?["readyReplicas"] == 2, "{call} {class}: it serves no more");
        healed(rig).with_context(|| format!("{call} {class}"))?;
        ensure!(rig.tape.births_and_deaths().is_empty(), "{call} {class}: {:?}", rig.tape.births_and_deaths());
    }
    Ok(())
}

/// With a lagging listing, a new endpoint is not created again, and a deleted one is not adopted.
pub fn lagging_lists(rig: &Rig) -> anyhow::Result<()> {
    ready_places(rig, &json!({"listLagSeconds": 4}))?;
    rig.tape.rewind(None);
    rig.apply(&deployment())?;
    rig.condition(&LLAMA, "Ready", "True")?;
    rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=true", "--timeout=60s"])?;
    rig.apply(&deployment())?;
    rig.condition(&LLAMA, "Ready", "True")?;
    std::thread::sleep(WATCHED);
    rig.condition(&LLAMA, "Ready", "True")?;
    ensure!(at_west(rig)?["readyReplicas"] == 2, "it serves no more");
    let created = rig.tape.births_and_deaths().into_iter().filter(|(what, _)| what.starts_with("POST /places"));
    let created: Vec<_> = created.collect();
    ensure!(created.iter().map(|(_, count)| count).sum::<usize>() == 2, "created {created:?}");
    Ok(())
}

/// Spot capacity that is taken away is said to be missing, and serves again when it is given back.
pub fn preemption(rig: &Rig) -> anyhow::Result<()> {
    let mut spot =
        target("west", "gcp", "europe-west4", "20.00", &json!({"preemption": {"afterSeconds": 6, "downSeconds": 6}}));
    spot["spec"]["offers"][0]["capacityType"] = json!("Spot");
    spot["spec"]["offers"][0]["name"] = json!("spot");
    rig.apply(&spot)?;
    let mut wanted = deployment();
    wanted["spec"]["placement"]["capacityTypes"] = json!(["Spot"]);
    rig.apply(&wanted)?;
    rig.condition(&LLAMA, "Ready", "True")?;
    let lost = rig.condition(&LLAMA, "Ready", "False")?;
    ensure!(lost["message"].as_str().unwrap_or_default().contains("taken away"), "{lost}");
    rig.condition(&LLAMA, "Ready", "True")?;
    at_west(rig).map(drop)
}
