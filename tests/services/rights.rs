//! Credentials that lose one right at each call in turn: the hub says which one is missing on which target, another place serves on, and
//! with the right given back the deployment gets where it should.
//!
//! The rights are those of the drivers' tables, which the tests of rights in the conformance suite hold to the shipped policies and to
//! the calls. `ROADSTEAD_SWEEP=all` goes through the whole life instead of two rights in one step at each service, of the steps in turn;
//! `ROADSTEAD_SEED` chooses. After a whole life every operation has been named, except for those that the service's lists spare with a
//! reason.

use std::cell::Cell;
use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use roadstead_clouds::faults::Effect;
use roadstead_ground::wait::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::places::{LLAMA, SIMULATED, clouds, deployment, fault, overrides, simulated};
use super::stage::{Key, LONG, ServiceStage, SimulatedCloud, TEAM};
use super::swept::{self, Life, Spared, Step, SweptService};

/// A deployment at another place, whose credentials lack nothing.
const OTHER: Key = ("mdep", TEAM, "other");
/// Rights that are lost in the one step of a sample.
const SAMPLE: usize = 2;
/// Looks in a row at which a step must have ended, because the last calls of a step come after its end shows.
const QUIET_LOOKS: usize = 10;
/// Looks in a row at which a step must have ended before a right counts as needed no more: status follows within seconds.
const NEEDLESS_LOOKS: usize = 100;

#[test]
fn each_missing_right_is_named_at_sagemaker() -> anyhow::Result<()> {
    sweep(swept::at_sagemaker())
}

#[test]
fn each_missing_right_is_named_at_hugging_face() -> anyhow::Result<()> {
    sweep(swept::at_hugging_face())
}

#[test]
fn each_missing_right_is_named_at_baseten() -> anyhow::Result<()> {
    sweep(swept::at_baseten())
}

#[test]
fn each_missing_right_is_named_at_bedrock() -> anyhow::Result<()> {
    sweep(swept::at_bedrock())
}

#[test]
fn each_missing_right_is_named_at_bedrock_with_throughput() -> anyhow::Result<()> {
    sweep(swept::at_bedrock_with_throughput())
}

#[test]
fn each_missing_right_is_named_at_digital_ocean() -> anyhow::Result<()> {
    sweep(swept::at_digital_ocean())
}

#[test]
fn each_missing_right_is_named_at_vertex_ai() -> anyhow::Result<()> {
    sweep(swept::at_vertex_ai())
}

#[test]
fn each_missing_right_is_named_at_azure_ml() -> anyhow::Result<()> {
    sweep(swept::at_azure_ml())
}

#[test]
fn each_missing_right_is_named_at_azure_openai() -> anyhow::Result<()> {
    sweep(swept::at_azure_openai())
}

/// Operations whose rights were lost.
#[derive(Default)]
struct Losses {
    /// Those that the hub named.
    named: BTreeSet<String>,
    /// Those without which it was done.
    needless: BTreeSet<String>,
}

impl Losses {
    fn all(&self) -> BTreeSet<String> {
        self.named.union(&self.needless).cloned().collect()
    }

    fn extend(&mut self, other: Self) {
        self.named.extend(other.named);
        self.needless.extend(other.needless);
    }
}

fn sweep(swept: SweptService) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let other_cloud = SimulatedCloud::start()?;
    let stage = ServiceStage::set(&[overrides(&clouds), vec![other_cloud.option.clone()]].concat())?;
    let life = Life { stage, clouds, swept };
    let served = life.serve_elsewhere()?;
    let all = std::env::var("ROADSTEAD_SWEEP").is_ok_and(|sweep| sweep == "all");
    let seed = std::env::var("ROADSTEAD_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let turn = usize::try_from(seed)?.wrapping_add(life.swept.service as usize);
    let mut losses = if all { life.lose_at_connection().context("connect")? } else { Losses::default() };
    let looks = if all { losses.all() } else { life.connect()? };
    let steps = life.swept.steps;
    let steps = if all { steps } else { &steps[turn % steps.len()..][..1] };
    for &(name, step) in steps {
        life.begin(step).with_context(|| name.to_owned())?;
        let most = if all { usize::MAX } else { SAMPLE };
        let lost = life.lose_rights((name, most), &looks, || life.act(step), || life.is_realised(step))?;
        ensure!(!lost.named.is_empty(), "{name}: no right was lost");
        losses.extend(lost);
        life.end(step).with_context(|| name.to_owned())?;
        life.clear().with_context(|| name.to_owned())?;
    }
    ensure!(life.served_elsewhere()? == served, "the other place did not serve on");
    eprintln!("named {:?}, done without {:?}", losses.named, losses.needless);
    life.check_spared(&losses, all)
}

impl Life {
    /// Applies the target. Returns the operations of its checks and listings, which go on beside every step.
    fn connect(&self) -> anyhow::Result<BTreeSet<String>> {
        self.apply_target()?;
        self.stage.condition(self.swept.target, "Ready", "True")?;
        let own = (self.swept.operations)();
        let called = self.clouds.requests_after(0).into_iter().map(|asked| asked.operation);
        Ok(called.filter(|operation| own.contains(&operation.as_str())).collect())
    }

    /// Applies the target, which loses each right of its checks and listings.
    fn lose_at_connection(&self) -> anyhow::Result<Losses> {
        let is_ready = || {
            let target = self.stage.get(self.swept.target)?;
            ensure!(has(&target, "Ready"), "{}", target["status"]);
            Ok(())
        };
        self.lose_rights(("connect", usize::MAX), &BTreeSet::new(), || self.apply_target(), is_ready)
    }

    fn apply_target(&self) -> anyhow::Result<()> {
        self.swept.objects.iter().try_for_each(|object| self.stage.apply(object))
    }

    /// Checks that only spared operations went without their right's name.
    fn check_spared(&self, losses: &Losses, all: bool) -> anyhow::Result<()> {
        let names = |list: &'static [Spared]| list.iter().map(|(operation, _)| *operation).collect::<BTreeSet<&str>>();
        let (needless, uncalled) = (names(self.swept.needless), names(self.swept.uncalled));
        let unexpected: Vec<&String> = losses.needless.iter().filter(|one| !needless.contains(one.as_str())).collect();
        ensure!(unexpected.is_empty(), "done without rights that nothing named: {unexpected:?}");
        let lost = losses.all();
        let kept: BTreeSet<&str> = (self.swept.operations)().into_iter().filter(|one| !lost.contains(*one)).collect();
        ensure!(!all || kept == uncalled, "{kept:?} lost no right, instead of {uncalled:?}");
        Ok(())
    }

    /// Does `act` without the right for any operation but those `beside`, and gives each right back once the hub has named it, until `is_done`
    /// or so many were named.
    fn lose_rights(
        &self,
        (name, most): (&str, usize),
        beside: &BTreeSet<String>,
        act: impl FnOnce() -> anyhow::Result<()>,
        is_done: impl Fn() -> anyhow::Result<()>,
    ) -> anyhow::Result<Losses> {
        let (mut spared, mut losses) = (beside.clone(), Losses::default());
        let before = self.clouds.requests_after(0).len();
        self.deny(|one| !spared.contains(one));
        act()?;
        while let Some(operation) = self.next_refused(before, &spared, &is_done).with_context(|| name.to_owned())? {
            let right = (self.swept.right)(&operation).context("the operation needs a right")?;
            // Other reads have their rights meanwhile, or their refusals might hide this one. A change may come once only, and waits.
            self.deny(|one| one == operation || (self.swept.changes.contains(&one) && !spared.contains(one)));
            let is_named = self.names(&right, &operation, &is_done);
            let is_named = is_named.with_context(|| format!("{name}, without {right} in {operation}"))?;
            eprintln!("{name}: {operation}, {right}{}", if is_named { "" } else { ": not needed any more" });
            spared.insert(operation.clone());
            if is_named { &mut losses.named } else { &mut losses.needless }.insert(operation);
            if losses.named.len() >= most {
                break;
            }
            self.deny(|one| !spared.contains(one));
        }
        self.clouds.set_faults(Vec::new());
        Ok(losses)
    }

    /// Takes away the rights of these operations, and gives back all others.
    fn deny(&self, is_denied: impl Fn(&str) -> bool) {
        let denied = (self.swept.operations)().into_iter();
        let denied = denied.filter(|one| is_denied(one) && (self.swept.right)(one).is_some());
        let faults = denied.map(|operation| fault(self.swept.service, operation, None, Effect::Deny));
        self.clouds.set_faults(faults.collect());
    }

    /// The next operation that was refused; `None` once it is done, and nothing more is called.
    fn next_refused(
        &self,
        before: usize,
        lost: &BTreeSet<String>,
        is_done: &impl Fn() -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<String>> {
        let quiet = Cell::new(0);
        wait("a right is missing, or it is done", LONG, || {
            let refused = self.clouds.requests_after(before).into_iter().filter(|asked| asked.fault.is_some());
            let mut new = refused.map(|asked| asked.operation).filter(|operation| !lost.contains(operation));
            if let Some(operation) = new.next() {
                return Ok(Some(operation));
            }
            if let Err(error) = is_done() {
                quiet.set(0);
                return Err(error);
            }
            quiet.set(quiet.get() + 1);
            ensure!(quiet.get() > QUIET_LOOKS, "it may go on");
            Ok(None)
        })
    }

    /// Waits until the target, or the deployment with the target's name, names the right and the operation; false if it is done without
    /// the right, because what the operation was for has come about.
    fn names(&self, right: &str, operation: &str, is_done: &impl Fn() -> anyhow::Result<()>) -> anyhow::Result<bool> {
        let target = self.swept.target;
        let names = |status: &str| status.contains(right) && status.contains(&format!(" {operation}: "));
        let quiet = Cell::new(0);
        wait(&format!("{right} is named"), LONG, || {
            let of_target = self.stage.get(target)?["status"].to_string();
            let deployments = self.stage.list("mdep", TEAM)?;
            let mut of_deployments = deployments.iter().map(|object| object["status"].to_string());
            if names(&of_target) || of_deployments.any(|status| names(&status) && status.contains(target.2)) {
                return Ok(true);
            }
            // What it was for has come about, and the next call is refused in its place.
            if self.swept.needless.iter().any(|(one, _)| *one == operation)
                && self.last_refused().is_some_and(|last| last != operation)
            {
                return Ok(false);
            }
            quiet.set(if is_done().is_ok() { quiet.get() + 1 } else { 0 });
            ensure!(quiet.get() > NEEDLESS_LOOKS, "{of_target} {deployments:?}");
            Ok(false)
        })
    }

    /// The operation that was refused last.
    fn last_refused(&self) -> Option<String> {
        let refused = self.clouds.requests_after(0).into_iter().rfind(|asked| asked.fault.is_some());
        refused.map(|asked| asked.operation)
    }

    /// Checks that a step is realised.
    fn is_realised(&self, step: Step) -> anyhow::Result<()> {
        if step == Step::Delete {
            let left = self.stage.list("mdep", TEAM)?;
            ensure!(left.len() == 1 && self.held() == [0; 3], "{left:?} {:?}", self.held());
            return Ok(());
        }
        let object = self.stage.get(LLAMA)?;
        let replicas = step.replicas();
        ensure!(has(&object, "Ready") && object["status"]["readyReplicas"] == replicas, "{}", object["status"]);
        Ok(())
    }

    /// A deployment at a simulated place; returns since when it serves.
    fn serve_elsewhere(&self) -> anyhow::Result<Value> {
        self.stage.apply(&simulated())?;
        self.stage.condition(SIMULATED, "Ready", "True")?;
        let mut other = deployment(8);
        other["metadata"]["name"] = json!(OTHER.2);
        other["spec"]["placement"] = json!({"targetSelector": {"matchLabels": {"place": SIMULATED.2}}});
        self.stage.apply(&other)?;
        self.stage.served_on(OTHER, SIMULATED.2)?;
        self.served_elsewhere()
    }

    /// The time since when the other place serves without interruption.
    fn served_elsewhere(&self) -> anyhow::Result<Value> {
        Ok(self.stage.condition(OTHER, "Ready", "True")?["lastTransitionTime"].clone())
    }
}

/// True if a condition of the newest generation is `True`.
fn has(object: &Value, type_: &str) -> bool {
    let status = &object["status"];
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    status["observedGeneration"] == object["metadata"]["generation"]
        && conditions.any(|one| one["type"] == type_ && one["status"] == "True")
}
