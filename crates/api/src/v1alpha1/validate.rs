//! Semantic checks of a spec beyond the schema and its rules: each problem names the field, the value and the cure.
//!
//! The operator says so by `Stalled`, `roadstead validate` before anything is applied.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use roadstead_model::catalogue::{accelerator, accelerator_spelled, locate};
use roadstead_model::{MicroDollars, Pattern};

use super::common::LabelSelector;
use super::{Dollars, ModelDeployment, Offer, ReplicaResources, ServingTarget, TargetType, quantity, syntax};

/// Resources that a replica can ask for beside accelerators.
const RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// The field of a deployment's image.
const IMAGE: &str = "spec.serving.image";

/// Something in a spec that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The path of the field, such as `spec.placement.cost.maxHourlyCost` or `spec.offers[0].hourlyPrice`.
    pub field: String,
    /// Problem of the value, and its cure.
    pub message: String,
}

impl Problem {
    /// True if it is about the image of a deployment.
    #[must_use]
    pub fn is_of_image(&self) -> bool {
        self.field == IMAGE
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Problems in the format of a condition's message.
#[must_use]
pub fn sentence(problems: &[Problem]) -> String {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    problems.join("; ")
}

/// Gathers problems.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, message: impl fmt::Display) {
        self.0.push(Problem { field: field.into(), message: message.to_string() });
    }

    fn money(&mut self, field: &str, dollars: Option<&Dollars>) {
        if let Some(Err(error)) = dollars.map(Dollars::amount) {
            self.add(field, error);
        }
    }

    fn pattern(&mut self, field: &str, text: &str) {
        if let Err(error) = Pattern::parse(text) {
            self.add(field, error);
        }
    }

    fn patterns(&mut self, field: &str, texts: Option<&Vec<String>>) {
        for (index, text) in texts.into_iter().flatten().enumerate() {
            self.pattern(&format!("{field}[{index}]"), text);
        }
    }

    fn labels(&mut self, field: &str, labels: &BTreeMap<String, String>) {
        for (key, value) in labels {
            if let Some(fault) = syntax::label_fault(key, value) {
                self.add(format!("{field}[{key}]"), fault);
            }
        }
    }

    fn selector(&mut self, field: &str, selector: Option<&LabelSelector>) {
        let Some(selector) = selector else { return };
        self.labels(&format!("{field}.matchLabels"), &selector.match_labels);
        for (index, requirement) in selector.match_expressions.iter().enumerate() {
            if let Some(fault) = syntax::label_fault(&requirement.key, "") {
                self.add(format!("{field}.matchExpressions[{index}].key"), fault);
            }
        }
    }

    fn amounts(&mut self, field: &str, amounts: &BTreeMap<String, Quantity>) {
        for (resource, amount) in amounts {
            let field = format!("{field}[{resource}]");
            if !RESOURCES.contains(&resource.as_str()) {
                let message = format!(
                    "{resource:?} is not allowed here; use cpu, memory or ephemeral-storage, and a shape for accelerators"
                );
                self.add(field, message);
            } else if let Err(error) = quantity::millis(amount) {
                self.add(field, error);
            }
        }
    }

    fn resources(&mut self, field: &str, resources: &ReplicaResources) {
        self.amounts(&format!("{field}.requests"), &resources.requests);
        self.amounts(&format!("{field}.limits"), &resources.limits);
        for (resource, limit) in &resources.limits {
            let Some(request) = resources.requests.get(resource) else { continue };
            let (Ok(most), Ok(asked)) = (quantity::millis(limit), quantity::millis(request)) else { continue };
            if most < asked {
                let message =
                    format!("the limit {} is below the request {}: raise it, or lower the request", limit.0, request.0);
                self.add(format!("{field}.limits[{resource}]"), message);
            }
        }
    }
}

/// The problems of a deployment's spec; none if it can be planned.
#[must_use]
pub fn model_deployment(deployment: &ModelDeployment) -> Vec<Problem> {
    let mut problems = Problems::default();
    let spec = &deployment.spec;
    let placement = &spec.placement;
    problems.money("spec.placement.cost.maxHourlyCost", placement.cost.max_hourly_cost.as_ref());
    hosted(&mut problems, deployment);
    problems.selector("spec.placement.targetSelector", placement.target_selector.as_ref());
    if let Some(regions) = &placement.regions {
        problems.patterns("spec.placement.regions.allow", regions.allow.as_ref());
        problems.patterns("spec.placement.regions.deny", regions.deny.as_ref());
        for (index, preference) in regions.prefer.iter().enumerate() {
            if let Some(region) = &preference.region {
                problems.pattern(&format!("spec.placement.regions.prefer[{index}].region"), region);
            }
        }
    }
    if let Some(fault) = syntax::image_fault(&spec.serving.image) {
        problems.add(IMAGE, fault);
    }
    for (index, one) in spec.serving.overrides.iter().enumerate() {
        if let Some(fault) = one.image.as_deref().and_then(syntax::image_fault) {
            problems.add(format!("spec.serving.overrides[{index}].image"), fault);
        }
    }
    problems.resources("spec.serving.resources", &spec.serving.resources);
    problems.0
}

/// Ceilings of hosted models count toward the budget, so they must leave some of it.
fn hosted(problems: &mut Problems, deployment: &ModelDeployment) {
    let (failover, cost) = (&deployment.spec.failover, &deployment.spec.placement.cost);
    for (index, hosted) in failover.hosted.iter().enumerate() {
        let field = format!("spec.failover.hosted[{index}].maxHourlyCost");
        problems.money(&field, Some(&hosted.max_hourly_cost));
        if hosted.max_hourly_cost.known() == Some(MicroDollars::ZERO) {
            problems
                .add(field, "a ceiling of $0 an hour lets no request through: raise it, or remove the hosted model");
        }
    }
    let Some(budget) = cost.max_hourly_cost.as_ref().and_then(Dollars::known) else { return };
    let ceilings = failover.hosted_ceiling();
    if !failover.hosted.is_empty() && ceilings >= budget {
        let message = format!(
            "the ceilings of hosted models are ${ceilings} an hour together and leave nothing of the budget of ${budget} an hour \
             (spec.placement.cost.maxHourlyCost): lower them, or raise the budget"
        );
        problems.add("spec.failover.hosted", message);
    }
}

/// The problems of a target's spec; none if it can be used.
#[must_use]
pub fn serving_target(target: &ServingTarget) -> Vec<Problem> {
    let mut problems = Problems::default();
    let spec = &target.spec;
    for (index, offer) in spec.offers.iter().enumerate() {
        let field = format!("spec.offers[{index}]");
        problems.money(&format!("{field}.hourlyPrice"), offer.hourly_price.as_ref());
        problems.labels(&format!("{field}.nodes.selector"), &offer.nodes.selector);
        if spec.type_ == TargetType::Kubernetes {
            resource(&mut problems, &field, offer);
        }
    }
    for (index, model) in spec.open_ai_compatible.iter().flat_map(|vendor| &vendor.models).enumerate() {
        let field = format!("spec.openAICompatible.models[{index}]");
        problems.money(&format!("{field}.inputPrice"), Some(&model.input_price));
        problems.money(&format!("{field}.outputPrice"), Some(&model.output_price));
    }
    problems.selector("spec.allowedNamespaces", spec.allowed_namespaces.as_ref());
    let expose = spec.kubernetes.as_ref().map(|kubernetes| &kubernetes.expose);
    for key in expose
        .and_then(|expose| expose.load_balancer.as_ref())
        .into_iter()
        .flat_map(|details| details.annotations.keys())
    {
        if let Some(fault) = syntax::label_fault(key, "") {
            problems.add(format!("spec.kubernetes.expose.loadBalancer.annotations[{key}]"), fault);
        }
    }
    location(&mut problems, target);
    problems.0
}

/// The resource of an accelerator is never guessed: on the nodes of another maker it would cost what it does not give.
fn resource(problems: &mut Problems, field: &str, offer: &Offer) {
    let type_ = &offer.accelerator.type_;
    if offer.nodes.resource_name.is_some() || accelerator(type_).is_some() {
        return;
    }
    let spelled = accelerator_spelled(type_).map_or_else(String::new, |name| format!("write {name}, or "));
    let message = format!(
        "accelerator type {type_:?} is not in the built-in table: {spelled}name the Kubernetes resource of its devices here, \
         such as amd.com/gpu"
    );
    problems.add(format!("{field}.nodes.resourceName"), message);
}

/// The built-in table counts, so a location that contradicts it would mislead its author.
fn location(problems: &mut Problems, target: &ServingTarget) {
    let spec = &target.spec;
    let (Some(declared), Some(known)) = (&spec.location, locate(&spec.cloud, &spec.region)) else { return };
    if declared.country != known.country {
        let message = format!(
            "{:?} contradicts the built-in table, by which {} {} is in {}: remove location, or correct cloud and region",
            declared.country, spec.cloud, spec.region, known.country
        );
        problems.add("spec.location.country", message);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(problems: &[Problem]) -> Vec<&str> {
        problems.iter().map(|problem| problem.field.as_str()).collect()
    }

    #[test]
    fn a_deployment_is_told_every_field_that_cannot_be_read() {
        let deployment: ModelDeployment = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "a"},
            "spec": {
                "serving": {
                    "engine": "custom", "image": "a",
                    "shapes": [{"name": "a", "accelerator": {"type": "H100", "count": 1}}],
                    "resources": {"requests": {"cpu": "1e30", "memory": 64, "nvidia.com/gpu": "1"}},
                },
                "placement": {
                    "targetSelector": {
                        "matchLabels": {"a b": "c"}, "matchExpressions": [{"key": "/", "operator": "Exists"}],
                    },
                    "regions": {"allow": ["eu-*", "*-1"], "prefer": [{"name": "a", "region": "**", "premiumPercent": 1}]},
                    "cost": {"maxHourlyCost": "1000000.01"},
                },
            },
        }))
        .unwrap();
        assert_eq!(
            fields(&model_deployment(&deployment)),
            [
                "spec.placement.cost.maxHourlyCost",
                "spec.placement.targetSelector.matchLabels[a b]",
                "spec.placement.targetSelector.matchExpressions[0].key",
                "spec.placement.regions.allow[1]",
                "spec.placement.regions.prefer[0].region",
                "spec.serving.image",
                "spec.serving.resources.requests[cpu]",
                "spec.serving.resources.requests[nvidia.com/gpu]",
            ]
        );
    }

    #[test]
    fn a_limit_is_not_below_its_request() {
        let problems = |resources: serde_json::Value| {
            let deployment: ModelDeployment = serde_json::from_value(json!({
                "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "a"},
                "spec": {"serving": {
                    "engine": "custom", "image": "a:1", "resources": resources,
                    "shapes": [{"name": "a", "accelerator": {"type": "H100", "count": 1}}],
                }},
            }))
            .unwrap();
            model_deployment(&deployment)
        };
        let found = problems(json!({
            "requests": {"cpu": "8", "memory": "64Gi", "ephemeral-storage": "10G"},
            "limits": {"cpu": 8, "memory": "63.9Gi", "ephemeral-storage": "10000M"},
        }));
        assert_eq!(fields(&found), ["spec.serving.resources.limits[memory]"]);
        assert!(found[0].message.contains("63.9Gi") && found[0].message.contains("64Gi"), "{}", found[0].message);
        assert_eq!(problems(json!({"limits": {"cpu": "1", "memory": "1Gi"}})), []);
        let found = problems(json!({"limits": {"nvidia.com/gpu": 1, "cpu": "1e30"}}));
        assert_eq!(
            fields(&found),
            ["spec.serving.resources.limits[cpu]", "spec.serving.resources.limits[nvidia.com/gpu]"]
        );
    }

    #[test]
    fn a_target_is_told_every_field_that_cannot_be_read() {
        let target: ServingTarget = serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "a"},
            "spec": {
                "cloud": "aws", "region": "eu-west-2", "location": {"country": "IE"}, "type": "Kubernetes",
                "kubernetes": {
                    "connection": {"inCluster": {}},
                    "expose": {"type": "LoadBalancer", "loadBalancer": {"annotations": {"a b": "c"}}},
                },
                "offers": [{
                    "name": "a", "instanceType": "a", "accelerator": {"type": "H100", "count": 1},
                    "capacityType": "OnDemand", "hourlyPrice": "9999999", "nodes": {"selector": {"a": "b c"}},
                }],
                "allowedNamespaces": {"matchLabels": {"a": "-"}},
            },
        }))
        .unwrap();
        let problems = serving_target(&target);
        assert_eq!(
            fields(&problems),
            [
                "spec.offers[0].hourlyPrice",
                "spec.offers[0].nodes.selector[a]",
                "spec.allowedNamespaces.matchLabels[a]",
                "spec.kubernetes.expose.loadBalancer.annotations[a b]",
                "spec.location.country",
            ]
        );
        assert!(
            problems[4].message.contains("\"IE\"") && problems[4].message.contains("GB"),
            "{}",
            problems[4].message
        );
    }

    #[test]
    fn an_accelerator_that_the_table_does_not_know_needs_its_resource() {
        let problems = |type_: &str, kind: &str, nodes: serde_json::Value| {
            let target: ServingTarget = serde_json::from_value(json!({
                "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "a"},
                "spec": {
                    "cloud": "aws", "region": "eu-west-1", "type": kind,
                    "offers": [{"name": "a", "instanceType": "a", "accelerator": {"type": type_, "count": 8},
                                "capacityType": "Reserved", "nodes": nodes}],
                },
            }))
            .unwrap();
            serving_target(&target)
        };
        for known in ["MI355X", "MI350X", "Gaudi3", "Trainium3", "TPU-v7x", "B300", "GB300", "H100"] {
            assert_eq!(problems(known, "Kubernetes", json!({})), [], "{known}");
        }
        assert_eq!(problems("MI999X", "Kubernetes", json!({"resourceName": "amd.com/gpu"})), []);
        assert_eq!(problems("MI999X", "Simulated", json!({})), [], "a simulated place has no nodes");
        let unknown = problems("MI999X", "Kubernetes", json!({}));
        assert_eq!(
            unknown[0].to_string(),
            "spec.offers[0].nodes.resourceName: accelerator type \"MI999X\" is not in the built-in table: name the Kubernetes \
             resource of its devices here, such as amd.com/gpu"
        );
        let misspelled = problems("mi355x", "Kubernetes", json!({}));
        assert!(misspelled[0].message.contains("write MI355X, or name"), "{}", misspelled[0]);
    }
}
