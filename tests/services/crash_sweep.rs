//! Kills the operator while the k-th call that changes something at a service has no answer, for every k: before the call
//! has its effect, and after it. The end and the number of everything made and deleted are those of an undisturbed run.
//!
//! Killed before the next call is killed after this one and all that the hub was written of it: with the two ways there is
//! no third. `ROADSTEAD_SWEEP=all` tries everything instead of one interruption at each service, of the steps in turn;
//! `ROADSTEAD_SEED` chooses.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, ensure};
use roadstead_clouds::faults::{Effect, ScriptedFault};
use roadstead_clouds::record::Exchange;
use roadstead_clouds::{Clouds, ServiceName};
use roadstead_ground::chance::Chance;
use roadstead_ground::wait::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::places::{
    AZURE_ML, AZURE_OPENAI, BASETEN, BEDROCK, DIGITAL_OCEAN, HUGGING_FACE, LLAMA, SAGEMAKER, VERTEX_AI, aws_key,
    azure_key, azure_ml, azure_openai, baseten, baseten_key, bedrock, clouds, deployment_of_units, digital_ocean,
    digital_ocean_key, held, held_at_azure_ml, held_at_azure_openai, held_at_baseten, held_at_bedrock,
    held_at_digital_ocean, held_at_hugging_face, held_at_vertex_ai, hugging_face, hugging_face_key, overrides,
    sagemaker, vertex_ai,
};
use super::stage::{Key, LONG, ServiceStage, TEAM};

/// Ways in which a call has no answer when the operator is killed.
const WAYS: [Effect; 2] = [Effect::Hang, Effect::HangAnswer];

/// A step in the life of a deployment whose every call is interrupted.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Create,
    Scale,
    Edit,
    Delete,
}

const STEPS: &[(&str, Step)] =
    &[("create", Step::Create), ("scale", Step::Scale), ("edit in place", Step::Edit), ("delete", Step::Delete)];
/// Those where nothing is edited in place: another form is another endpoint.
const SCALED: &[(&str, Step)] = &[("create", Step::Create), ("scale", Step::Scale), ("delete", Step::Delete)];
/// Those where nothing is scaled or edited in place.
const MADE_AND_REMOVED: &[(&str, Step)] = &[("create", Step::Create), ("delete", Step::Delete)];

/// A service whose calls are interrupted.
struct SweptService {
    service: ServiceName,
    target: Key,
    steps: &'static [(&'static str, Step)],
    /// The target, with the Secret that it needs.
    objects: Vec<Value>,
    /// Operations that change something.
    changes: &'static [&'static str],
    /// Operations that may succeed twice: they only label, or cost nothing and leave nothing.
    repeatable: &'static [&'static str],
    /// Numbers of endpoints, and of their parts where the service has these.
    held: fn(&Clouds) -> [usize; 3],
    /// These numbers for one endpoint.
    whole: [usize; 3],
    /// These numbers after an edit in place: what remains of the former form costs nothing, and goes before the next change.
    edited: [usize; 3],
}

/// A service under its operator.
struct Sweep {
    stage: ServiceStage,
    clouds: Clouds,
    swept: SweptService,
}

#[test]
fn at_sagemaker() -> anyhow::Result<()> {
    const CHANGES: [&str; 9] = [
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
        "UpdateEndpoint",
        "UpdateEndpointWeightsAndCapacities",
        "AddTags",
        "DeleteEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
    ];
    sweep(SweptService {
        service: ServiceName::SageMaker,
        target: SAGEMAKER,
        steps: STEPS,
        objects: vec![aws_key(), sagemaker()],
        changes: &CHANGES,
        repeatable: &["AddTags"],
        held,
        whole: [1, 1, 1],
        edited: [1, 2, 2],
    })
}

#[test]
fn at_hugging_face() -> anyhow::Result<()> {
    sweep(SweptService {
        service: ServiceName::HuggingFace,
        target: HUGGING_FACE,
        steps: STEPS,
        objects: vec![hugging_face_key(), hugging_face()],
        changes: &["create", "update", "delete", "pause", "resume"],
        repeatable: &[],
        held: |clouds| [held_at_hugging_face(clouds), 0, 0],
        whole: [1, 0, 0],
        edited: [1, 0, 0],
    })
}

#[test]
fn at_baseten() -> anyhow::Result<()> {
    const CHANGES: [&str; 8] =
        ["prepare", "upload", "create", "createKey", "deploy", "scale", "deleteDeployment", "delete"];
    sweep(SweptService {
        service: ServiceName::Baseten,
        target: BASETEN,
        steps: STEPS,
        objects: vec![baseten_key(), baseten()],
        changes: &CHANGES,
        repeatable: &["prepare", "upload", "createKey"],
        held: held_at_baseten,
        whole: [1, 1, 1],
        edited: [1, 1, 1],
    })
}

#[test]
fn at_bedrock() -> anyhow::Result<()> {
    sweep(SweptService {
        service: ServiceName::Bedrock,
        target: BEDROCK,
        steps: MADE_AND_REMOVED,
        objects: vec![aws_key(), bedrock()],
        changes: &["CreateModelImportJob", "DeleteImportedModel"],
        repeatable: &[],
        held: |clouds| [held_at_bedrock(clouds), 0, 0],
        whole: [1, 0, 0],
        edited: [1, 0, 0],
    })
}

#[test]
fn at_digital_ocean() -> anyhow::Result<()> {
    sweep(SweptService {
        service: ServiceName::DigitalOcean,
        target: DIGITAL_OCEAN,
        steps: SCALED,
        objects: vec![digital_ocean_key(), digital_ocean()],
        changes: &["create", "update", "delete", "createToken", "deleteToken"],
        repeatable: &["createToken"],
        held: |clouds| [held_at_digital_ocean(clouds)[0], 0, 0],
        whole: [1, 0, 0],
        edited: [1, 0, 0],
    })
}

#[test]
fn at_vertex_ai() -> anyhow::Result<()> {
    const CHANGES: [&str; 8] = [
        "UploadModel",
        "CreateEndpoint",
        "DeployModel",
        "MutateDeployedModel",
        "UpdateEndpoint",
        "UndeployModel",
        "DeleteEndpoint",
        "DeleteModel",
    ];
    sweep(SweptService {
        service: ServiceName::VertexAi,
        target: VERTEX_AI,
        steps: STEPS,
        objects: vec![vertex_ai()],
        changes: &CHANGES,
        repeatable: &["UpdateEndpoint"],
        held: held_at_vertex_ai,
        whole: [1, 1, 1],
        edited: [1, 1, 2],
    })
}

#[test]
fn at_azure_ml() -> anyhow::Result<()> {
    // Versions of environments stay, and the next endpoint uses them.
    const CHANGES: [&str; 6] = [
        "OnlineEndpoints_CreateOrUpdate",
        "OnlineEndpoints_Update",
        "OnlineEndpoints_Delete",
        "OnlineDeployments_CreateOrUpdate",
        "OnlineDeployments_Update",
        "OnlineDeployments_Delete",
    ];
    sweep(SweptService {
        service: ServiceName::Azure,
        target: AZURE_ML,
        steps: STEPS,
        objects: vec![azure_key(), azure_ml()],
        changes: &CHANGES,
        repeatable: &["OnlineEndpoints_Update"],
        held: held_at_azure_ml,
        whole: [1, 1, 1],
        edited: [1, 1, 1],
    })
}

#[test]
fn at_azure_openai() -> anyhow::Result<()> {
    sweep(SweptService {
        service: ServiceName::AzureOpenAi,
        target: AZURE_OPENAI,
        objects: vec![azure_key(), azure_openai()],
        changes: &["Deployments_CreateOrUpdate", "Deployments_Update", "Deployments_Delete"],
        repeatable: &["Deployments_Update"],
        held: |clouds| [held_at_azure_openai(clouds)[0], 0, 0],
        whole: [1, 0, 0],
        edited: [1, 0, 0],
        steps: STEPS,
    })
}

fn sweep(swept: SweptService) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let clouds = runtime.block_on(clouds())?;
    let stage = ServiceStage::set(&overrides(&clouds))?;
    swept.objects.iter().try_for_each(|object| stage.apply(object))?;
    stage.condition(swept.target, "Ready", "True")?;
    let mut sweep = Sweep { stage, clouds, swept };
    let seed = std::env::var("ROADSTEAD_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let mut chance = Chance::new(seed);
    let all = std::env::var("ROADSTEAD_SWEEP").is_ok_and(|sweep| sweep == "all");
    let mut runs = 0;
    let turn = usize::try_from(seed)?.wrapping_add(sweep.swept.service as usize);
    let steps = sweep.swept.steps;
    let steps = if all { steps } else { &steps[turn % steps.len()..][..1] };
    for &(name, step) in steps {
        let reference = sweep.undisturbed(step).with_context(|| name.to_owned())?;
        ensure!(!reference.is_empty(), "{name}: nothing was called");
        eprintln!("{name}: {}", reference.join(", "));
        let mut interruptions: Vec<(usize, Effect)> =
            (0..reference.len()).flat_map(|number| WAYS.map(|way| (number, way))).collect();
        if !all {
            interruptions = vec![interruptions.swap_remove(chance.below(interruptions.len()))];
        }
        runs += interruptions.len();
        for (number, way) in interruptions {
            sweep.disturbed(step, &reference, number, &way).with_context(|| {
                format!("{name}, killed in call {number} of {reference:?}, {way:?} (ROADSTEAD_SEED={seed})")
            })?;
        }
    }
    eprintln!("{runs} interruptions, each with the end and the counts of the undisturbed run");
    Ok(())
}

impl Sweep {
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

    fn disturbed(&mut self, step: Step, reference: &[String], number: usize, way: &Effect) -> anyhow::Result<()> {
        self.begin(step)?;
        let operation = &reference[number];
        let skip = reference[..number].iter().filter(|one| *one == operation).count();
        self.clouds.set_faults(vec![ScriptedFault {
            service: self.swept.service,
            operation: operation.clone(),
            skip: u32::try_from(skip)?,
            times: Some(1),
            effect: way.clone(),
        }]);
        let before = self.clouds.requests_after(0).len();
        self.act(step)?;
        wait("the call has no answer", LONG, || {
            let hit = self.clouds.requests_after(before).into_iter().any(|asked| asked.fault.is_some());
            ensure!(hit, "the call has not come");
            Ok(())
        })?;
        self.stage.kill_operator();
        self.clouds.set_faults(Vec::new());
        self.stage.start_operator()?;
        self.end(step)?;
        let done = self.done(before);
        let (expected, done) = (self.counts(reference), self.counts(&done));
        ensure!(done == expected, "it did {done:?} instead of {expected:?}");
        self.clear()
    }

    /// Operations that changed something, of the requests after this one. One whose answer was held back did, and one that
    /// removes what is being removed already did not.
    fn done(&self, before: usize) -> Vec<String> {
        let succeeded = |asked: &Exchange| match asked.fault.as_deref() {
            Some(fault) => fault == "hangAnswer",
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

    /// A deployment that serves, unless the step creates it.
    fn begin(&self, step: Step) -> anyhow::Result<()> {
        if step != Step::Create {
            self.stage.apply(&self.deployment())?;
            self.stage.served_on(LLAMA, self.swept.target.2)?;
        }
        Ok(())
    }

    fn act(&self, step: Step) -> anyhow::Result<()> {
        match step {
            Step::Create => self.stage.apply(&self.deployment()),
            Step::Scale => self.stage.patch(LLAMA, &json!({"spec": {"replicas": 2}})),
            Step::Edit => self.stage.patch(LLAMA, &json!({"spec": {"serving": {"args": ["--max-model-len=2048"]}}})),
            Step::Delete => self.stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--wait=false"]).map(drop),
        }
    }

    /// Waits until the step is realised, and nothing is there twice.
    fn end(&self, step: Step) -> anyhow::Result<()> {
        if step == Step::Delete {
            return self.is_gone();
        }
        self.stage.ready_replicas(LLAMA, 1 + i32::from(step == Step::Scale))?;
        self.stage.served_on(LLAMA, self.swept.target.2)?;
        let expected = if step == Step::Edit { self.swept.edited } else { self.swept.whole };
        wait("everything is there once", LONG, || {
            ensure!(self.held() == expected, "{}", self.clouds.state(self.swept.service));
            Ok(())
        })
    }

    fn held(&self) -> [usize; 3] {
        (self.swept.held)(&self.clouds)
    }

    fn clear(&self) -> anyhow::Result<()> {
        self.stage.kubectl(&["delete", "mdep", LLAMA.2, "-n", TEAM, "--ignore-not-found", "--wait=false"])?;
        self.is_gone()
    }

    fn is_gone(&self) -> anyhow::Result<()> {
        wait("everything is gone", LONG, || {
            let left = self.stage.list("mdep", TEAM)?;
            ensure!(left.is_empty() && self.held() == [0, 0, 0], "{left:?} {}", self.clouds.state(self.swept.service));
            Ok(())
        })
    }

    /// Number of calls of each operation that must not succeed twice.
    fn counts<'a>(&self, operations: &'a [String]) -> BTreeMap<&'a str, usize> {
        let mut counts = BTreeMap::new();
        for operation in operations.iter().filter(|one| !self.swept.repeatable.contains(&one.as_str())) {
            *counts.entry(operation.as_str()).or_default() += 1;
        }
        counts
    }

    fn deployment(&self) -> Value {
        let mut deployment = deployment_of_units();
        deployment["spec"]["placement"] = json!({"targetSelector": {"matchLabels": {"place": self.swept.target.2}}});
        deployment
    }
}
