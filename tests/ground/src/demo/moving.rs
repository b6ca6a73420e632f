//! A move that the person at the terminal can watch, with requests flowing through the one address.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use roadstead_ground::ground::Ground;
use roadstead_ground::load::{Count, Load, Mix, Service};
use serde_json::Value;

/// A few streams of three seconds, and some fifty short questions a second.
const MIX: Mix = Mix { streams: 8, tokens: 60, askers: 6, pause: Duration::from_millis(100) };
/// Time before the edit, and after the move.
const A_WHILE: Duration = Duration::from_secs(4);
/// Longest time of the move.
const LIMIT: Duration = Duration::from_mins(2);

/// Sends requests, edits the rule, and prints a line a second until everything is at the new place.
///
/// # Errors
/// If the move does not end, or a request failed.
pub fn watch(ground: &Ground, service: Service, step: &impl Fn(&str)) -> anyhow::Result<()> {
    step("sending requests to that address: 8 streams and some 50 short questions a second");
    let load = Load::start(service, MIX)?;
    let mut places = BTreeMap::new();
    let start = Instant::now();
    println!("{HEADER}");
    while start.elapsed() < A_WHILE {
        line(ground, &load.count(), &mut places)?;
    }
    step("moving it while the requests go on: kubectl patch mdep tiny, jurisdictions [EU] -> [US]");
    let rule = r#"{"spec":{"placement":{"jurisdictions":["US"]}}}"#;
    ground.hub.kubectl(&["patch", "mdep", "tiny", "-n", "demo", "--type=merge", "-p", rule])?;
    println!("{HEADER}");
    let edit = Instant::now();
    while !moved(ground)? {
        if edit.elapsed() > LIMIT {
            bail!("the move has not ended after {} s", LIMIT.as_secs());
        }
        line(ground, &load.count(), &mut places)?;
    }
    let end = Instant::now();
    while end.elapsed() < A_WHILE {
        line(ground, &load.count(), &mut places)?;
    }
    let count = load.end()?;
    println!("{}", row(&count, &places, "all requests have ended"));
    for failure in count.failures.iter().take(5) {
        println!("  failed: {failure}");
    }
    ensure!(count.failures.is_empty(), "{} requests failed", count.failures.len());
    println!(
        "\n  {} requests, {} of them streams; failed: 0. The address and the key are the same as before.",
        count.asked, count.streamed
    );
    Ok(())
}

const HEADER: &str = "   asked answered in flight failed   west   east  endpoints";

/// One line about the last second.
fn line(ground: &Ground, count: &Count, places: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
    let endpoints = ground.hub.list("iep", "demo")?;
    for endpoint in &endpoints {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        places.insert(text(&endpoint["metadata"]["name"]), text(&endpoint["spec"]["target"]));
    }
    println!("{}", row(count, places, &endpoints.iter().map(phase).collect::<Vec<_>>().join(", ")));
    std::thread::sleep(Duration::from_secs(1));
    Ok(())
}

fn row(count: &Count, places: &BTreeMap<String, String>, endpoints: &str) -> String {
    let at = |place: &str| -> u64 {
        let is_there = |pod: &String| {
            places.iter().any(|(endpoint, target)| target == place && pod.starts_with(&format!("{endpoint}-")))
        };
        count.by_pod.iter().filter(|(pod, _)| is_there(pod)).map(|(_, answers)| answers).sum()
    };
    format!(
        "  {:>6} {:>8} {:>9} {:>6} {:>6} {:>6}  {endpoints}",
        count.asked,
        count.answered + count.streamed,
        count.in_flight(),
        count.failures.len(),
        at("west"),
        at("east")
    )
}

/// Place and phase of an endpoint in two words.
fn phase(endpoint: &Value) -> String {
    let conditions = endpoint["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let ready = conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True");
    let phase = if !endpoint["metadata"]["deletionTimestamp"].is_null() {
        "ends"
    } else if endpoint["spec"]["state"] == "Draining" {
        "drains"
    } else if ready {
        "serves"
    } else {
        "starts"
    };
    format!("{} {phase}", endpoint["spec"]["target"].as_str().unwrap_or_default())
}

/// True once one endpoint is left, and it serves in the east.
fn moved(ground: &Ground) -> anyhow::Result<bool> {
    let endpoints = ground.hub.list("iep", "demo")?;
    Ok(matches!(endpoints.as_slice(), [one] if phase(one) == "east serves"))
}
