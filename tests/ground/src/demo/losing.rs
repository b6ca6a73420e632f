//! A failover that the person at the terminal can watch: the member that serves is cut off from everybody.

use std::time::Duration;

use anyhow::{Context, ensure};
use roadstead_ground::ground::Ground;
use roadstead_ground::load::{Count, Service};
use serde_json::Value;

use super::watch::{Watch, phase};

/// Longest time until another member answers, and until the lost one is empty after its return.
const LIMIT: Duration = Duration::from_mins(2);

/// Cuts west off while requests go on, and lets it return when north answers.
///
/// # Errors
/// If north does not take over, something is left on west, or a request failed when north had taken over.
pub fn watch(ground: &Ground, service: Service, step: &impl Fn(&str)) -> anyhow::Result<()> {
    step("sending requests to that address: 8 streams and some 50 short questions a second");
    let mut watch = Watch::start(ground, service)?;
    Watch::heading();
    watch.a_while()?;
    step("cutting west off from everybody (failover.tolerationSeconds: 10)");
    let west = ground.member("west")?;
    west.network().partition()?;
    Watch::heading();
    let answered = watch.until("north answers", LIMIT, |_, answers| answers.contains_key("north"));
    // One gateway may send requests there a second before the other one.
    let watched = watch.a_while();
    west.network().heal()?;
    let answered = answered?;
    watched?;
    let failed = watch.failures();
    step("north answers; west is reachable again, and the operator removes what it left there");
    Watch::heading();
    watch.until(
        "only north serves",
        LIMIT,
        |endpoints, _| matches!(endpoints, [one] if phase(one) == "north serves"),
    )?;
    watch.a_while()?;
    let count = watch.end()?;
    let later = count.failures.get(failed..).unwrap_or_default();
    ensure!(later.is_empty(), "{} requests failed long after north answered, the first: {}", later.len(), later[0]);
    account(&count, answered);
    stages(&ground.get("mdep", "demo", "tiny")?)
}

fn account(count: &Count, answered: Duration) {
    println!(
        "\n  {} requests, {} of them streams; failed: {}. North answered {} s after the cut, and no request failed once both \
         gateways had noticed.",
        count.asked,
        count.streamed,
        count.failures.len(),
        answered.as_secs()
    );
    println!("  With failover.standby an endpoint stands by and takes over in a few seconds.");
}

/// Prints the steps of the failover from the status.
fn stages(deployment: &Value) -> anyhow::Result<()> {
    let last = &deployment["status"]["lastMove"];
    println!("  status.lastMove, reason {}:", last["reason"].as_str().unwrap_or_default());
    for stage in last["stages"].as_array().context("the status has no stages of the last move")? {
        let field = |name: &str| stage[name].as_str().unwrap_or_default().to_owned();
        println!("    {}  {}", field("at"), field("name"));
    }
    Ok(())
}
