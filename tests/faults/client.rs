//! A user's program that goes on asking while its deployment is replaced.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use roadstead_ground::client::chat;
use serde_json::json;

use super::crash_sweep::{begin, edit};
use super::rig::{LONG, Rig, TEAM, wait};

const LLAMA: [&str; 4] = ["mdep", "llama", "-n", TEAM];

/// Each request is answered, at first by the former place and at last by the new one.
pub fn has_every_answer_during_a_replacement(rig: &Rig) -> anyhow::Result<()> {
    begin(rig, true)?;
    let answered = asking_throughout(rig, || {
        edit(rig, "/spec/placement/jurisdictions", json!(["US"]))?;
        wait("it serves at east alone", LONG, || {
            let status = rig.get(&LLAMA)?["status"].clone();
            let targets: Vec<_> =
                status["placements"].as_array().into_iter().flatten().map(|one| &one["target"]).collect();
            ensure!(targets == ["east"] && status["releasing"].is_null(), "{status}");
            Ok(())
        })
    })?;
    let places: BTreeSet<&str> = answered.iter().map(String::as_str).collect();
    eprintln!("  {} requests, all answered", answered.len());
    ensure!(places == ["east", "west"].into(), "answered by {places:?}");
    ensure!(answered.is_sorted_by(|one, next| one >= next), "it went back and forth: {answered:?}");
    Ok(())
}

/// Asks before, during and after `change`; gives the place of each answer. A request without an answer is an error.
fn asking_throughout(rig: &Rig, change: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Vec<String>> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut answered = vec![ask(rig)?];
            while !over.load(Ordering::SeqCst) {
                answered.push(ask(rig)?);
                std::thread::sleep(Duration::from_millis(20));
            }
            answered.push(ask(rig)?);
            anyhow::Ok(answered)
        });
        let changed = change();
        over.store(true, Ordering::SeqCst);
        let answered = client.join().map_err(|_| anyhow!("the client panicked"))?;
        changed.and(answered)
    })
}

/// One request, as a user's program makes it: at an address of the status, with its key. Gives the place that answered.
fn ask(rig: &Rig) -> anyhow::Result<String> {
    let status = rig.get(&LLAMA)?["status"].clone();
    let placements = status["placements"].as_array().context("no placements")?;
    let placement =
        placements.iter().find(|one| one["url"].is_string()).with_context(|| format!("no address: {status}"))?;
    let (url, secret) = (placement["url"].as_str(), placement["apiKeySecretName"].as_str().context("no key")?);
    let key = rig.get(&["secret", secret, "-n", TEAM])?["data"]["apiKey"].clone();
    let key = data_encoding::BASE64.decode(key.as_str().unwrap_or_default().as_bytes())?;
    let answer = chat(url.unwrap_or_default(), Some(std::str::from_utf8(&key)?), "llama", "Ahoy?")?;
    ensure!(answer.status == 200, "{} answered {answer:?}: {status}", placement["target"]);
    Ok(placement["target"].as_str().unwrap_or_default().to_owned())
}
