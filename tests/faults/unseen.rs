//! Changes whose events are withheld: creations and deletions, readiness, labels, finalizers and rotations. After a
//! resumed watch or a new list, the end state is the same as with the events.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::crash_sweep::{Reference, begin};
use super::credentials;
use super::objects::{deployment, target};
use super::picture::{differences, picture};
use super::rig::{LONG, Rig, TEAM, condition, wait};
use super::weather::{Call, Disturbance, Effect};

/// Something that happens while its events do not come.
struct Unseen {
    name: &'static str,
    /// The reads that stand still.
    calls: fn(&Call) -> bool,
    serving: bool,
    happens: fn(&Rig) -> anyhow::Result<()>,
    /// Holds once it has become known, however.
    end: fn(&Rig) -> anyhow::Result<()>,
}

const UNSEEN: [Unseen; 4] = [
    Unseen {
        name: "a deployment is created and deleted",
        calls: |call| call.watches() && call.collection("modeldeployments"),
        serving: false,
        happens: |rig| {
            rig.apply(&deployment())?;
            rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--timeout=20s"]).map(drop)
        },
        end: |rig| {
            let left = rig.get(&["mdep,iep", "-n", TEAM])?;
            ensure!(left["items"] == json!([]), "left: {left}");
            Ok(())
        },
    },
    Unseen {
        name: "an endpoint that was ready is lost at its place",
        calls: |call| call.watches() && call.collection("inferenceendpoints"),
        serving: true,
        happens: |rig| {
            let [endpoint]: [Value; 1] = rig.cloud_endpoints("west")?.try_into().ok().context("one endpoint")?;
            let text = |field: &str| endpoint[field].as_str().unwrap_or_default().to_owned();
            rig.cloud_delete(&format!("/places/west/endpoints/{}?uid={}", text("name"), text("uid")))
        },
        end: |rig| {
            let counts = rig.tape.births_and_deaths();
            ensure!(counts.len() == 1 && counts.values().all(|times| *times == 1), "created and deleted {counts:?}");
            rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True").map(drop)
        },
    },
    Unseen {
        name: "an endpoint ends",
        calls: |call| call.watches() && call.collection("inferenceendpoints"),
        serving: true,
        happens: |rig| rig.kubectl(&["delete", "mdep", "llama", "-n", TEAM, "--wait=false"]).map(drop),
        end: |rig| {
            let left = rig.get(&["mdep,iep", "-n", TEAM])?;
            ensure!(left["items"] == json!([]), "left: {left}");
            Ok(())
        },
    },
    Unseen {
        name: "a target is deleted, let go by hand, and made anew",
        calls: |call| call.watches() && call.collection("servingtargets"),
        serving: false,
        happens: |rig| {
            rig.kubectl(&["delete", "servingtarget", "east", "--wait=false"])?;
            let free = json!({"metadata": {"finalizers": null}}).to_string();
            // Where it is seen, the operator may have let it go already.
            let _ = rig.kubectl(&["patch", "servingtarget", "east", "--type=merge", "-p", &free]);
            rig.apply(&target("east", "aws", "us-east-1", "44.00", &json!({})))
        },
        end: |rig| {
            ensure!(rig.tape.births_and_deaths().is_empty(), "{:?}", rig.tape.writes());
            let east = rig.get(&["servingtarget", "east"])?;
            ensure!(east["metadata"]["finalizers"][0].is_string(), "it is not held: {east}");
            rig.condition(&["servingtarget", "east"], "Ready", "True").map(drop)
        },
    },
];

/// Ways in which withheld events become known: an interrupted watch resumes, an expired one lists again.
const KNOWN: [(&str, Effect); 2] =
    [("the watch breaks off", Effect::Cut(Duration::ZERO)), ("the watch expires", Effect::Expires(Duration::ZERO))];

/// Every change that is unseen at first, in every way to become known, ends like the one that is seen.
pub fn what_was_not_seen_is_made_up_for(rig: &Rig) -> anyhow::Result<()> {
    begin(rig, false)?;
    for unseen in &UNSEEN {
        let seen = happened(rig, unseen, None).with_context(|| format!("{}, seen", unseen.name))?;
        for (how, known) in &KNOWN {
            let what = format!("{}, unseen, then {how}", unseen.name);
            let end = happened(rig, unseen, Some(known)).with_context(|| what.clone())?;
            let differences = differences(&seen.picture, &end.picture);
            ensure!(differences.is_empty(), "{what}:\n{}", differences.join("\n"));
            // What was over before it was known was nobody's business.
            let (wanted, found) = (seen.counts.clone(), end.counts);
            ensure!(found.is_empty() || found == wanted, "{what}: created and deleted {found:?}, not {wanted:?}");
        }
    }
    Ok(())
}

fn happened(rig: &Rig, unseen: &Unseen, known: Option<&Effect>) -> anyhow::Result<Reference> {
    if unseen.serving {
        rig.apply(&deployment())?;
        rig.condition(&["mdep", "llama", "-n", TEAM], "Ready", "True")?;
    } else {
        rig.kubectl(&["delete", "mdep", "--all", "-n", TEAM, "--timeout=60s"])?;
    }
    rig.quiet()?;
    rig.tape.rewind(None);
    let weather = |effect: Effect| {
        let polls: fn(&Call) -> bool = |call| !call.hub && !call.writes() && call.collection("endpoints");
        let events = Disturbance { calls: unseen.calls, effect };
        rig.weather.set(vec![events, Disturbance { calls: polls, effect: Effect::Held }]);
    };
    if known.is_some() {
        weather(Effect::Lost);
    }
    (unseen.happens)(rig)?;
    if let Some(known) = known {
        // What it notices without the events, it has noticed now.
        rig.quiet()?;
        weather(known.clone());
        std::thread::sleep(Duration::from_millis(200));
        rig.weather.clear();
    }
    wait("the end", LONG, || (unseen.end)(rig))?;
    rig.quiet()?;
    (unseen.end)(rig)?;
    let (counts, writes) = (rig.tape.births_and_deaths(), rig.tape.writes().len());
    Ok(Reference { picture: picture(rig)?, counts, overlap: Duration::ZERO, writes })
}

/// A kubeconfig is replaced twice while the events of Secrets do not come: only the last one is ever used.
pub fn a_secret_that_was_rotated_twice_is_read_once(rig: &Rig) -> anyhow::Result<()> {
    begin(rig, false)?;
    let good = credentials::kubeconfig(rig)?;
    let rotate = |kubeconfig: &str| credentials::rotate(rig, kubeconfig);
    let bad = good.replace("token: ", "token: not-");
    // The hub is its own member.
    credentials::declare(rig, &good)?;
    rig.condition(&["servingtarget", "hub"], "Ready", "True")?;
    rig.quiet()?;

    rig.tape.rewind(None);
    let secrets: fn(&Call) -> bool = |call| call.watches() && call.collection("secrets");
    rig.weather.set(vec![Disturbance { calls: secrets, effect: Effect::Lost }]);
    rotate(&bad)?;
    rotate(&good.replace("name: user", "name: other-user").replace("user: user", "user: other-user"))?;
    rig.quiet()?;
    rig.weather.set(vec![Disturbance { calls: secrets, effect: Effect::Expires(Duration::ZERO) }]);
    std::thread::sleep(Duration::from_millis(200));
    rig.weather.clear();
    rig.quiet()?;
    ensure!(rig.tape.writes().is_empty(), "it wrote {:?}", rig.tape.writes());

    // It does follow the Secret: one that is seen counts.
    rotate(&bad)?;
    wait("the target is refused", LONG, || {
        let hub = rig.get(&["servingtarget", "hub"])?;
        let ready = condition(&hub, "Ready").context("no condition")?;
        ensure!(ready["reason"] == "Unauthorized", "{ready}");
        Ok(())
    })?;
    rotate(&good)?;
    rig.condition(&["servingtarget", "hub"], "Ready", "True").map(drop)
}
