//! Figures of the fleet for metrics, from what the caches hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt;
use roadstead_model::MicroDollars;

use crate::telemetry::figures::{DeploymentFigures, Figures, Readiness};
use roadstead_api::v1alpha1::conditions::{self, UNKNOWN};
use roadstead_api::v1alpha1::{Dollars, ModelDeployment, ServingTarget, reasons};

/// The figures of these objects. At most `limit` deployments, the first by namespace and name, have series of their own;
/// `replacements` are under way, and the fleet allows `max_replacements`.
#[must_use]
pub fn figures(
    deployments: &[Arc<ModelDeployment>],
    targets: &[Arc<ServingTarget>],
    (replacements, max_replacements): (u32, u32),
    limit: usize,
) -> Figures {
    let mut each: Vec<DeploymentFigures> = deployments.iter().map(|deployment| of_deployment(deployment)).collect();
    each.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    let mut counts: BTreeMap<Readiness, i64> = BTreeMap::new();
    for one in &each {
        *counts.entry(one.readiness.clone()).or_default() += 1;
    }
    let costs = each.iter().filter_map(|one| one.hourly_cost);
    let hourly_cost = costs.fold(MicroDollars::ZERO, MicroDollars::saturating_add);
    let without_series = i64::try_from(each.len().saturating_sub(limit)).unwrap_or(i64::MAX);
    each.truncate(limit);
    let mut targets: Vec<(String, bool)> = targets.iter().map(|target| (target.name_any(), is_ready(target))).collect();
    targets.sort();
    Figures {
        deployments: counts.into_iter().collect(),
        each,
        without_series,
        hourly_cost,
        replacements: i64::from(replacements),
        max_replacements: i64::from(max_replacements),
        targets,
    }
}

fn of_deployment(deployment: &ModelDeployment) -> DeploymentFigures {
    let status = deployment.status.as_ref();
    let ready = status.and_then(|status| conditions::find(&status.conditions, conditions::READY));
    let (ready, reason) = ready.map_or((UNKNOWN, reasons::UNKNOWN), |ready| (&ready.status, &ready.reason));
    let cost = status.and_then(|status| status.hourly_cost.as_ref());
    DeploymentFigures {
        namespace: deployment.namespace().unwrap_or_default(),
        name: deployment.name_any(),
        readiness: Readiness { ready: ready.to_owned(), reason: reason.to_owned() },
        wanted: deployment.spec.replicas,
        ready: status.map_or(0, |status| status.ready_replicas),
        hourly_cost: cost.and_then(Dollars::known),
    }
}

fn is_ready(target: &ServingTarget) -> bool {
    target.status.as_ref().is_some_and(|status| conditions::is_true(&status.conditions, conditions::READY))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(name: &str, ready: &str, cost: Option<&str>) -> Arc<ModelDeployment> {
        let condition = json!({"type": "Ready", "status": ready, "reason": "Said", "message": "",
                               "lastTransitionTime": "2026-08-01T12:00:00Z"});
        let object = json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": {"name": name, "namespace": "team"},
            "spec": {
                "replicas": 3,
                "serving": {"engine": "custom", "image": "i:1",
                            "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}}]},
            },
            "status": {"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "hourlyCost": cost,
                       "conditions": [condition]},
        });
        Arc::new(serde_json::from_value(object).unwrap())
    }

    #[test]
    fn each_deployment_has_its_figures_and_all_of_them_a_sum() {
        let all = [deployment("b", "False", None), deployment("a", "True", Some("9.20"))];
        let figures = figures(&all, &[], (2, 5), 10);
        let names: Vec<&str> = figures.each.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        let first = &figures.each[0];
        assert_eq!((first.wanted, first.ready, first.hourly_cost), (3, 2, Some(MicroDollars(9_200_000))));
        assert_eq!(figures.each[1].hourly_cost, None, "an unknown price is no price of zero");
        assert_eq!((figures.hourly_cost, figures.replacements), (MicroDollars(9_200_000), 2));
        assert_eq!(figures.deployments.iter().map(|(_, count)| count).sum::<i64>(), 2);
    }

    #[test]
    fn there_are_no_more_series_than_the_limit_and_the_rest_is_counted() {
        let all: Vec<_> = (0..5).map(|number| deployment(&format!("d{number}"), "True", Some("1"))).collect();
        let figures = figures(&all, &[], (0, 5), 3);
        let names: Vec<&str> = figures.each.iter().map(|one| one.name.as_str()).collect();
        assert_eq!((names, figures.without_series), (vec!["d0", "d1", "d2"], 2), "always the same ones");
        assert_eq!(figures.hourly_cost, MicroDollars(5_000_000), "sums are over all");
    }
}
