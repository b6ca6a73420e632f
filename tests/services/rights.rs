//! Credentials that lose one right at each call in turn: the hub says which one is missing on which target, another place serves on, and
//! with the right given back the deployment gets where it should.
//!
//! The rights are those of the drivers' tables, which the tests of rights in the conformance suite hold to the shipped policies and to
//! the calls. `ROADSTEAD_SWEEP=all` goes through the whole life instead of two rights in one step at each service, of the steps in turn;
//! `ROADSTEAD_SEED` chooses.

use std::cell::Cell;
use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use roadstead_clouds::faults::Effect;
use roadstead_ground::wait::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::places::{LLAMA, SIMULATED, clouds, deployment, fault, overrides, simulated};
use super::stage::{Key, LONG, ServiceStage, SimulatedCloud, TEAM};
use super::swept::{self, Life, Step, SweptService};

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
    let looks = life.connect(all).context("connect")?;
    let mut lost = looks.clone();
    let steps = life.swept.steps;
    let steps = if all { steps } else { &steps[turn % steps.len()..][..1] };
    for &(name, step) in steps {
        life.begin(step).with_context(|| name.to_owned())?;
        let losses = if all { usize::MAX } else { SAMPLE };
        lost.extend(life.lose_rights((name, losses), &looks, || life.act(step), || life.is_realised(step))?);
        life.end(step).with_context(|| name.to_owned())?;
        life.clear().with_context(|| name.to_owned())?;
    }
    ensure!(life.served_elsewhere()? == served, "the other place did not serve on");
    eprintln!("lost {} rights: {lost:?}", lost.len());
    let kept: Vec<&str> =
        (life.swept.operations)().into_iter().filter(|operation| !lost.contains(*operation)).collect();
    eprintln!("not called in this life, or only where something fails: {kept:?}");
    Ok(())
}

impl Life {
    /// Applies the target; in a run of everything it loses rights at this, too. Returns the operations of its checks and listings, which
    /// go on beside every step.
    fn connect(&self, loses: bool) -> anyhow::Result<BTreeSet<String>> {
        let apply = || self.swept.objects.iter().try_for_each(|object| self.stage.apply(object));
        let is_ready = || {
            let target = self.stage.get(self.swept.target)?;
            ensure!(has(&target, "Ready"), "{}", target["status"]);
            Ok(())
        };
        if loses {
            self.lose_rights(("connect", usize::MAX), &BTreeSet::new(), apply, is_ready)?;
        } else {
            apply()?;
            self.stage.condition(self.swept.target, "Ready", "True")?;
        }
        let own = (self.swept.operations)();
        let called = self.clouds.requests_after(0).into_iter().map(|asked| asked.operation);
        Ok(called.filter(|operation| own.contains(&operation.as_str())).collect())
    }

    /// Does `act`, and takes away the right for each operation but those `beside` that is called until `is_done`: from its first call until the
    /// hub has named it, so many times. Returns the operations.
    fn lose_rights(
        &self,
        (name, losses): (&str, usize),
        beside: &BTreeSet<String>,
        act: impl FnOnce() -> anyhow::Result<()>,
        is_done: impl Fn() -> anyhow::Result<()>,
    ) -> anyhow::Result<BTreeSet<String>> {
        let mut lost = beside.clone();
        let before = self.clouds.requests_after(0).len();
        self.deny(&lost);
        act()?;
        while let Some(operation) = self.next_refused(before, &lost, &is_done).with_context(|| name.to_owned())? {
            self.clouds.set_faults(vec![fault(self.swept.service, &operation, None, Effect::Deny)]);
            let right = (self.swept.right)(&operation).context("the operation needs a right")?;
            let is_named = self.names(&right, &operation, &is_done);
            let is_named = is_named.with_context(|| format!("{name}, without {right} in {operation}"))?;
            eprintln!("{name}: {operation}, {right}{}", if is_named { "" } else { ": not needed any more" });
            lost.insert(operation);
            if lost.len() - beside.len() >= losses {
                break;
            }
            self.deny(&lost);
        }
        self.clouds.set_faults(Vec::new());
        Ok(lost)
    }

    /// Takes away the rights of all operations but these.
    fn deny(&self, lost: &BTreeSet<String>) {
        let left = (self.swept.operations)().into_iter();
        let left = left.filter(|one| !lost.contains(*one) && (self.swept.right)(one).is_some());
        let faults = left.map(|operation| fault(self.swept.service, operation, None, Effect::Deny));
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
            quiet.set(if is_done().is_ok() { quiet.get() + 1 } else { 0 });
            ensure!(quiet.get() > NEEDLESS_LOOKS, "{of_target} {deployments:?}");
            Ok(false)
        })
    }

    /// Checks that a step is realised.
    fn is_realised(&self, step: Step) -> anyhow::Result<()> {
        if step == Step::Delete {
            let left = self.stage.list("mdep", TEAM)?;
            ensure!(left.len() == 1 && self.held() == [0; 3], "{left:?} {:?}", self.held());
            return Ok(());
        }
        let object = self.stage.get(LLAMA)?;
        let replicas = 1 + i32::from(step == Step::Scale);
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
