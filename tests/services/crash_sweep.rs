//! Takes the answer to the k-th call that changes something at a service, for every k and in three ways: the operator is killed before
//! the call has its effect, or after it, or lives on and does not know. The end and the number of everything made and deleted are those of an
//! undisturbed run.
//!
//! An operator that is killed before the next call, as those of clusters are, is killed after this one and all that the hub was written of
//! it. `ROADSTEAD_SWEEP=all` tries everything instead of one interruption at each service, of the steps in turn, and every one of a creation at
//! SageMaker; `ROADSTEAD_SEED` chooses.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use roadstead_clouds::faults::{Effect, ScriptedFault};
use roadstead_clouds::record::Exchange;
use roadstead_ground::chance::Chance;
use roadstead_ground::wait::wait;
use tokio::runtime::Runtime;

use super::places::{clouds, overrides};
use super::stage::{LONG, ServiceStage};
use super::swept::{self, Life, Step, SweptService};

/// Ways in which a call has no answer.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// It has no effect, and the operator is killed.
    KilledBefore,
    /// It has its effect, and the operator is killed.
    KilledAfter,
    /// It has its effect, and the connection is cut; the operator lives.
    AnswerLost,
}

const WAYS: [Way; 3] = [Way::KilledBefore, Way::KilledAfter, Way::AnswerLost];

impl Way {
    fn effect(self) -> Effect {
        match self {
            Self::KilledBefore => Effect::Hang,
            Self::KilledAfter => Effect::HangAnswer,
            Self::AnswerLost => Effect::LoseAnswer,
        }
    }
}

/// Interruptions that are tried.
#[derive(Clone, Copy, PartialEq)]
enum Extent {
    /// All of every step.
    All,
    /// All of one step.
    Step(Step),
    /// One of one step.
    Sample,
}

#[test]
fn at_sagemaker() -> anyhow::Result<()> {
    sweep(swept::at_sagemaker())
}

#[test]
fn in_every_call_of_a_creation_at_sagemaker() -> anyhow::Result<()> {
    sweep_in(swept::at_sagemaker(), Extent::Step(Step::Create))
}

#[test]
fn at_hugging_face() -> anyhow::Result<()> {
    sweep(swept::at_hugging_face())
}

#[test]
fn at_baseten() -> anyhow::Result<()> {
    sweep(swept::at_baseten())
}

#[test]
fn at_bedrock() -> anyhow::Result<()> {
    sweep(swept::at_bedrock())
}

#[test]
fn at_bedrock_with_throughput() -> anyhow::Result<()> {
    sweep(swept::at_bedrock_with_throughput())
}

#[test]
fn at_digital_ocean() -> anyhow::Result<()> {
    sweep(swept::at_digital_ocean())
}

#[test]
fn at_vertex_ai() -> anyhow::Result<()> {
    sweep(swept::at_vertex_ai())
}

#[test]
fn at_azure_ml() -> anyhow::Result<()> {
    sweep(swept::at_azure_ml())
}

#[test]
fn at_azure_openai() -> anyhow::Result<()> {
    sweep(swept::at_azure_openai())
}

fn sweep(swept: SweptService) -> anyhow::Result<()> {
    let all = std::env::var("ROADSTEAD_SWEEP").is_ok_and(|sweep| sweep == "all");
    sweep_in(swept, if all { Extent::All } else { Extent::Sample })
}

fn sweep_in(swept: SweptService, extent: Extent) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    swept.objects.iter().try_for_each(|object| stage.apply(object))?;
    stage.condition(swept.target, "Ready", "True")?;
    let mut sweep = Life { stage, clouds, swept };
    let seed = std::env::var("ROADSTEAD_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut chance = Chance::new(seed);
    let turn = usize::try_from(seed)?.wrapping_add(sweep.swept.service as usize);
    let mut steps = sweep.swept.steps.to_vec();
    match extent {
        Extent::All => {}
        Extent::Step(only) => steps.retain(|(_, step)| *step == only),
        Extent::Sample => steps = vec![steps[turn % steps.len()]],
    }
    let mut runs = 0;
    for (name, step) in steps {
        let reference = sweep.undisturbed(step).with_context(|| name.to_owned())?;
        ensure!(!reference.is_empty(), "{name}: nothing was called");
        eprintln!("{name}: {}", reference.join(", "));
        let mut interruptions: Vec<(usize, Way)> =
            (0..reference.len()).flat_map(|number| WAYS.map(|way| (number, way))).collect();
        if extent == Extent::Sample {
            interruptions = vec![interruptions.swap_remove(chance.below(interruptions.len()))];
        }
        runs += interruptions.len();
        for (number, way) in interruptions {
            sweep.disturbed(step, &reference, number, way).with_context(|| {
                format!("{name}, call {number} of {reference:?} without an answer, {way:?} (ROADSTEAD_SEED={seed})")
            })?;
        }
    }
    eprintln!("{runs} interruptions, each with the end and the counts of the undisturbed run");
    Ok(())
}

impl Life {
    /// The changes of a step without interruption.
    fn undisturbed(&self, step: Step) -> anyhow::Result<Vec<String>> {
        self.begin(step)?;
        let before = self.clouds.requests_after(0).len();
        self.act(step)?;
        self.end(step)?;
        let done = self.done(before);
        self.clear()?;
        Ok(done)
    }

    fn disturbed(&mut self, step: Step, reference: &[String], number: usize, way: Way) -> anyhow::Result<()> {
        self.begin(step)?;
        let operation = &reference[number];
        let skip = reference[..number].iter().filter(|one| *one == operation).count();
        self.clouds.set_faults(vec![ScriptedFault {
            service: self.swept.service,
            operation: operation.clone(),
            skip: u32::try_from(skip)?,
            times: Some(1),
            effect: way.effect(),
        }]);
        let before = self.clouds.requests_after(0).len();
        self.act(step)?;
        wait("the call has no answer", LONG, || {
            let hit = self.clouds.requests_after(before).into_iter().any(|asked| asked.fault.is_some());
            ensure!(hit, "the call has not come");
            Ok(())
        })?;
        if !matches!(way, Way::AnswerLost) {
            self.stage.kill_operator();
            self.clouds.set_faults(Vec::new());
            self.stage.start_operator()?;
        }
        self.end(step)?;
        let done = self.done(before);
        let (expected, done) = (self.counts(reference), self.counts(&done));
        ensure!(done == expected, "it did {done:?} instead of {expected:?}");
        self.clear()
    }

    /// Operations that changed something, of the requests after this one. One whose answer was held back or lost did, and one that
    /// removes what is being removed already did not.
    fn done(&self, before: usize) -> Vec<String> {
        let succeeded = |asked: &Exchange| match asked.fault.as_deref() {
            Some(fault) => fault == "hangAnswer" || fault == "loseAnswer",
            None => asked.status.is_some_and(|status| (200..300).contains(&status)),
        };
        let is_change =
            |asked: &Exchange| asked.service == self.swept.service && self.swept.changes.contains(&&*asked.operation);
        let is_removal =
            |asked: &Exchange| ["Delete", "delete", "Undeploy"].iter().any(|word| asked.operation.contains(word));
        let mut removed = BTreeSet::new();
        let mut is_first = |asked: &Exchange| {
            !is_removal(asked) || removed.insert((asked.operation.clone(), asked.target.clone(), asked.body.clone()))
        };
        let all = self.clouds.requests_after(before).into_iter().filter(is_change).filter(succeeded);
        all.filter(|asked| is_first(asked)).map(|asked| asked.operation).collect()
    }

    /// Number of calls of each operation that must not succeed twice.
    fn counts<'a>(&self, operations: &'a [String]) -> BTreeMap<&'a str, usize> {
        let mut counts = BTreeMap::new();
        for operation in operations.iter().filter(|one| !self.swept.repeatable.contains(&one.as_str())) {
            *counts.entry(operation.as_str()).or_default() += 1;
        }
        counts
    }
}
