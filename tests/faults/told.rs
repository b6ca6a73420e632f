//! A deployment's status while edits and places disagree: a wanted change that is not served is never Ready, all parts
//! of a status belong to one decision, and candidates follow the edits of their targets.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::objects::{deployment, target};
use super::rig::{LONG, Rig, TEAM, condition, wait};

const LLAMA: [&str; 4] = ["mdep", "llama", "-n", TEAM];

/// West is the cheaper of two places in the EU; a replica costs $13.80 there, $15.25 in the north.
fn places(rig: &Rig, west: &Value, north_price: &str) -> anyhow::Result<()> {
    rig.apply(&target("west", "gcp", "europe-west4", "55.20", west))?;
    rig.apply(&target("north", "azure", "germanywestcentral", north_price, &json!({})))?;
    ["west", "north"].iter().try_for_each(|name| rig.condition(&["servingtarget", name], "Ready", "True").map(drop))
}

fn edited(spec: &Value) -> Value {
    let mut object = deployment();
    for (key, value) in spec.as_object().into_iter().flatten() {
        object["spec"][key] = value.clone();
    }
    object["spec"]["placement"]["cost"] = json!({"maxHourlyCost": "31.00"});
    object
}

fn candidate(rig: &Rig, target: &str) -> anyhow::Result<Value> {
    let llama = rig.get(&LLAMA)?;
    let all = llama["status"]["candidates"].as_array().context("no candidates")?;
    all.iter().find(|one| one["target"] == target).cloned().with_context(|| format!("{target} is no candidate"))
}

/// Waits until Ready is False for the newest generation, for this reason and with these words.
fn not_ready(rig: &Rig, reason: &str, words: &[&str]) -> anyhow::Result<()> {
    let ready = rig.condition(&LLAMA, "Ready", "False")?;
    let message = ready["message"].as_str().unwrap_or_default();
    ensure!(ready["reason"] == reason && words.iter().all(|word| message.contains(word)), "{ready}");
    Ok(())
}

pub fn what_is_wanted_and_not_served_is_not_ready(rig: &Rig) -> anyhow::Result<()> {
    places(rig, &json!({}), "61.00")?;
    rig.apply(&edited(&json!({})))?;
    rig.condition(&LLAMA, "Ready", "True")?;
    for former in [2, 0] {
        rig.apply(&edited(&json!({"replicas": former})))?;
        rig.condition(&LLAMA, "Ready", "True")?;
        rig.apply(&edited(&json!({"replicas": 5})))?;
        not_ready(rig, "OverBudget", &["5 replicas would cost $69.00/h", "$31.00/h", &format!("stays at {former}")])?;
        ensure!(condition(&rig.get(&LLAMA)?, "Stalled").is_some(), "no place is within the budget");
    }
    rig.apply(&edited(&json!({"replicas": 2})))?;
    rig.condition(&LLAMA, "Ready", "True")?;
    rig.apply(&edited(&json!({"replicas": 1, "suspend": true})))?;
    not_ready(rig, "Suspended", &["replicas (1 wanted, 2 kept)", "spec.suspend"])?;
    rig.apply(&edited(&json!({"replicas": 1})))?;
    rig.condition(&LLAMA, "Ready", "True").map(drop)
}

pub fn candidates_follow_edits_and_belong_to_the_decision(rig: &Rig) -> anyhow::Result<()> {
    let refusing = json!({"faults": [{"calls": ["Create"], "effect": "Refused", "class": "CapacityExhausted"}]});
    places(rig, &refusing, "61.00")?;
    rig.apply(&edited(&json!({})))?;
    wait("the next place is chosen", LONG, || {
        let llama = rig.get(&LLAMA)?;
        ensure!(llama["status"]["placements"][0]["target"] == "north", "{}", llama["status"]);
        let (west, north) = (candidate(rig, "west")?, candidate(rig, "north")?);
        let message = west["message"].as_str().unwrap_or_default();
        ensure!(
            west["reason"] == "Exhausted"
                && message.contains("does not retry it before")
                && north["verdict"] == "Chosen",
            "{west}"
        );
        Ok(())
    })?;
    rig.condition(&LLAMA, "Ready", "True")?;
    let placed = condition(&rig.get(&LLAMA)?, "Placed").context("no condition Placed")?;
    ensure!(placed["reason"] == "Placed", "{placed}");
    rig.quiet()?;

    // What was told within the last minute is not told again: nobody knows any more when that was.
    let unknown = json!({"status": {"decidedAt": null}}).to_string();
    let forget =
        || rig.kubectl(&["patch", "mdep", "llama", "-n", TEAM, "--subresource=status", "--type=merge", "-p", &unknown]);
    forget()?;
    rig.quiet()?;
    ensure!(rig.get(&LLAMA)?["status"]["decidedAt"].is_null(), "it was told again without news");
    places(rig, &refusing, "60.00")?;
    wait("its candidates have the new price", LONG, || {
        let (north, llama) = (candidate(rig, "north")?, rig.get(&LLAMA)?);
        ensure!(north["hourlyCost"] == "30.00" && llama["status"]["hourlyCost"] == "30.00", "{north}");
        Ok(())
    })?;
    forget()?;
    rig.kubectl(&["delete", "servingtarget", "west", "--timeout=30s"])?;
    wait("a target that is gone is no candidate", LONG, || {
        ensure!(candidate(rig, "west").is_err(), "{}", candidate(rig, "west")?);
        Ok(())
    })
}
