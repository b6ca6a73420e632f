//! What a schema cannot say about a spec: each problem names the field, the value and what to do.

use std::fmt;

use roadstead_planner::{MicroDollars, Pattern};

use super::{ModelDeployment, ServingTarget, quantity};

/// Resources that a replica can ask for beside accelerators.
const RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Something in a spec that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path of the field, such as `spec.placement.cost.maxHourlyCost`.
    pub field: String,
    /// What is wrong with its value, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Gathers problems.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, message: impl fmt::Display) {
        self.0.push(Problem { field: field.into(), message: message.to_string() });
    }

    fn money(&mut self, field: &str, text: Option<&String>) {
        if let Some(Err(error)) = text.map(|text| MicroDollars::parse(text)) {
            self.add(field, error);
        }
    }

    fn patterns(&mut self, field: &str, texts: Option<&Vec<String>>) {
        for (index, text) in texts.into_iter().flatten().enumerate() {
            if let Err(error) = Pattern::parse(text) {
                self.add(format!("{field}[{index}]"), error);
            }
        }
    }
}

/// The problems of a deployment's spec; none if it can be planned.
#[must_use]
pub fn model_deployment(deployment: &ModelDeployment) -> Vec<Problem> {
    let mut problems = Problems::default();
    let placement = &deployment.spec.placement;
    problems.money("spec.placement.cost.maxHourlyCost", placement.cost.max_hourly_cost.as_ref());
    if let Some(regions) = &placement.regions {
        problems.patterns("spec.placement.regions.allow", regions.allow.as_ref());
        problems.patterns("spec.placement.regions.deny", regions.deny.as_ref());
        for preference in &regions.prefer {
            let field = format!("spec.placement.regions.prefer[{}].region", preference.name);
            if let Some(Err(error)) = preference.region.as_deref().map(Pattern::parse) {
                problems.add(field, error);
            }
        }
    }
    for (resource, amount) in &deployment.spec.serving.resources.requests {
        let field = format!("spec.serving.resources.requests.{resource}");
        if !RESOURCES.contains(&resource.as_str()) {
            let message = format!(
                "{resource:?} cannot be asked for here; use cpu, memory or ephemeral-storage, and a shape for accelerators"
            );
            problems.add(field, message);
        } else if let Err(error) = quantity::millis(amount) {
            problems.add(field, error);
        }
    }
    problems.0
}

/// The problems of a target's spec; none if it can be used.
#[must_use]
pub fn serving_target(target: &ServingTarget) -> Vec<Problem> {
    let mut problems = Problems::default();
    for offer in &target.spec.offers {
        problems.money(&format!("spec.offers[{}].hourlyPrice", offer.name), offer.hourly_price.as_ref());
    }
    problems.0
}
