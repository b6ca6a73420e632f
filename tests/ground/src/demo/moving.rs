//! A move that the person at the terminal can watch, with requests flowing through the one address.

use std::time::Duration;

use anyhow::ensure;
use roadstead_ground::ground::Ground;
use roadstead_ground::load::Service;

use super::watch::{Watch, phase};

/// Longest time of the move.
const LIMIT: Duration = Duration::from_mins(2);

/// Edits the rule while requests go on, until everything is at the new place.
///
/// # Errors
/// If the move does not end, or a request failed.
pub fn watch(ground: &Ground, service: Service, step: &impl Fn(&str)) -> anyhow::Result<()> {
    let mut watch = Watch::start(ground, service)?;
    step("moving it while requests go on: kubectl patch mdep tiny, jurisdictions [EU] -> [US]");
    Watch::heading();
    watch.a_while()?;
    let rule = r#"{"spec":{"placement":{"jurisdictions":["US"]}}}"#;
    ground.hub.kubectl(&["patch", "mdep", "tiny", "-n", "demo", "--type=merge", "-p", rule])?;
    watch.until("only east serves", LIMIT, |endpoints, _| matches!(endpoints, [one] if phase(one) == "east serves"))?;
    watch.a_while()?;
    let count = watch.end()?;
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
