//! Settings of a run on a real service, from the environment.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use roadstead_api::v1alpha1::ServingTarget;
use roadstead_model::MicroDollars;
use roadstead_rest::{BaseUrl, Insecure};

/// Path of the target; the variable asks for a run on a real service.
pub const TARGET: &str = "ROADSTEAD_REAL_TARGET";

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// The cases, and a sweep after each.
    Cases,
    /// The sweep alone.
    Sweep,
}

/// Settings of a run.
pub struct RealSettings {
    /// The target: place, offer and price.
    pub target: ServingTarget,
    /// The part.
    pub task: Task,
    /// No case is started that could cost more with its sweep, by the price of the target's offer.
    pub limit: MicroDollars,
    /// Part of the names of the cases that run; `None` for all.
    pub only: Option<String>,
    /// Source of the model.
    pub model: String,
    /// Image of the engine.
    pub image: String,
    /// Longest time of a case.
    pub case_time: Duration,
    /// Pause between two looks.
    pub pause: Duration,
    /// Address instead of the service's own.
    pub stand_in: Option<BaseUrl>,
    /// Reads a variable with a credential.
    pub credential: fn(&str) -> anyhow::Result<String>,
}

impl RealSettings {
    /// Reads the settings.
    ///
    /// # Errors
    /// The variable that is missing or wrong.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let path = variable(TARGET).with_context(|| format!("set {TARGET} to the file of a ServingTarget"))?;
        let target = target(Path::new(&path)).with_context(|| format!("{TARGET}: {path}"))?;
        let task =
            if variable("ROADSTEAD_REAL_TASK").is_some_and(|task| task == "sweep") { Task::Sweep } else { Task::Cases };
        let limit = match (task, variable("ROADSTEAD_REAL_DOLLARS")) {
            (Task::Sweep, _) => MicroDollars(0),
            (Task::Cases, dollars) => {
                let dollars =
                    dollars.context("set ROADSTEAD_REAL_DOLLARS to the most that the run may cost, such as 20.00")?;
                MicroDollars::parse(&dollars).with_context(|| format!("ROADSTEAD_REAL_DOLLARS: {dollars:?}"))?
            }
        };
        let or = |name: &str, usual: &str| variable(name).unwrap_or_else(|| usual.to_owned());
        let seconds = |name: &str, usual: &str| {
            let text = or(name, usual);
            let seconds: f64 = text.parse().with_context(|| format!("{name}: {text:?} is no number of seconds"))?;
            Duration::try_from_secs_f64(seconds).with_context(|| format!("{name}: {text:?}"))
        };
        let stand_in = variable("ROADSTEAD_REAL_URL");
        Ok(Self {
            target,
            task,
            limit,
            only: variable("ROADSTEAD_REAL_CASES").filter(|only| !only.is_empty()),
            model: or("ROADSTEAD_REAL_MODEL", "hf://Qwen/Qwen2.5-0.5B-Instruct"),
            image: or("ROADSTEAD_REAL_IMAGE", "vllm/vllm-openai:v0.20.0"),
            case_time: seconds("ROADSTEAD_REAL_CASE_SECONDS", "3600")?,
            pause: seconds("ROADSTEAD_REAL_PAUSE_SECONDS", "10")?,
            stand_in: stand_in.map(|url| BaseUrl::parse(&url, Insecure::Allowed)).transpose()?,
            credential: |name| std::env::var(name).with_context(|| format!("set {name}, a credential for the target")),
        })
    }
}

fn target(path: &Path) -> anyhow::Result<ServingTarget> {
    let target: ServingTarget = serde_saphyr::from_str(&std::fs::read_to_string(path)?)?;
    target.spec.offers.first().context("the target has no offer")?;
    Ok(target)
}
