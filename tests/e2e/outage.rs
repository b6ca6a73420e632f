//! The hub's API server is away, for two minutes in full: what is served never notices, and the operator comes back by itself
//! without a burst of writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use roadstead_ground::client::chat;
use serde_json::json;

use super::operators::{Marks, told};
use super::stage::{SOON, Stage, TEAM, deployment, in_full, pods};

/// In full, and in the short form: longer than a lease in any case.
const OUTAGE: [Duration; 2] = [Duration::from_mins(2), Duration::from_secs(20)];
/// From the hub's first answer to a leader: the former one has ended, and a kubelet holds back what ended often before.
const BACK: Duration = Duration::from_secs(90);
/// Maximum number of writes after a return, on three members and two deployments without changes: none, except for free
/// accelerators that were not counted yet.
const MOST_WRITES: usize = 3;

/// A user who asks all the time.
struct User {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl User {
    /// Begins to ask the team's `name`, four times a second; the first answer that is not one ends it.
    fn of(stage: &Stage, name: &str) -> anyhow::Result<Self> {
        let object = stage.deployment(name)?;
        let placement = &object["status"]["placements"][0];
        let url = placement["url"].as_str().context("no address")?.to_owned();
        let secret = placement["apiKeySecretName"].as_str().context("no key")?;
        let key = stage.ground.secret_value(TEAM, secret, "apiKey")?;
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (name, until, count) = (name.to_owned(), Arc::clone(&stop), Arc::clone(&asked));
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let answer = chat(&url, Some(&key), &name, "Ahoy?")?;
                ensure!(answer.status == 200, "{answer:?}");
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(250));
            }
            Ok(())
        });
        Ok(Self { stop, asked, thread })
    }

    /// Ends it; says how often it was answered.
    fn ends(self) -> anyhow::Result<u32> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(result) => result.map(|()| self.asked.load(Ordering::Relaxed)),
            Err(_) => bail!("the user panicked"),
        }
    }
}

pub fn serves_while_the_hub_is_away(stage: &Stage) -> anyhow::Result<()> {
    let names = ["llama", "tiny"];
    for name in names {
        stage.apply(&deployment(name, &json!({})))?;
        stage.ready(name)?;
    }
    let east = stage.ground.member("east")?;
    let before = pods(east)?;
    let users = [User::of(stage, "llama")?, User::of(stage, "tiny")?];

    stage.ground.hub.stop_api();
    std::thread::sleep(if in_full() { OUTAGE[0] } else { OUTAGE[1] });
    let marks = Marks::now(stage);
    stage.ground.hub.start_api()?;
    let start = Instant::now();
    stage.until("the operator leads again", BACK, || {
        ensure!(!marks.holders(stage)?.is_empty());
        Ok(())
    })?;
    eprintln!("  the hub is back; the operator leads after {:.1} s", start.elapsed().as_secs_f64());
    for target in ["east", "west", "north"] {
        stage.condition("servingtarget", "", target, "Ready", "True", SOON)?;
    }
    // It is not only there, it works.
    stage.apply(&deployment("newer", &json!({})))?;
    stage.ready("newer")?;
    eprintln!("  a new deployment is ready after {:.1} s", start.elapsed().as_secs_f64());
    std::thread::sleep(Duration::from_secs(6));
    let writes = marks.writes(stage)?;
    let of_others: Vec<_> = writes.into_iter().filter(|write| !write.object.contains("newer")).collect();
    eprintln!("  writes for what was there before: {}\n{}", of_others.len(), told(&of_others));
    ensure!(of_others.len() <= MOST_WRITES, "a burst of writes:\n{}", told(&of_others));
    for user in users {
        let answers = user.ends()?;
        eprintln!("  answered {answers} times, never refused");
        ensure!(answers > 100, "only {answers} answers");
    }
    ensure!(before.lines().all(|pod| pods(east).is_ok_and(|now| now.contains(pod))), "a pod was touched");
    Ok(())
}
