//! The next step of a model towards its wanted form, and what it shows. Pure.

use roadstead_api::v1alpha1::ExternalId;
use roadstead_model::Timestamp;
use roadstead_provider::template_hash::digest;
use roadstead_provider::{Present, Progress, Wanted};

use crate::form::BasetenForm;
use crate::labels::DeploymentLabels;
use crate::place::probe;
use crate::wire::{AutoscalingView, BasetenModel, DeploymentPhase, DeploymentView};

/// A model with its deployments, oldest first.
pub struct FoundModel {
    /// The model.
    pub model: BasetenModel,
    /// Its deployments.
    pub deployments: Vec<DeploymentView>,
}

/// Seconds for which a deployment that was pushed may be missing in the list.
const UNLISTED_SECONDS: u64 = 60;

/// The latest push for a model by this process.
#[derive(Debug, Clone)]
pub struct LatestPush {
    labels: DeploymentLabels,
    at: Timestamp,
}

impl LatestPush {
    /// A push of this form that may be accepted from now on.
    pub fn of(form: &BasetenForm, at: Timestamp) -> Self {
        Self { labels: form.labels.clone(), at }
    }

    /// True if the list of the model's deployments may not show it yet. Without it, the model would look like somebody else's, or a second
    /// deployment would be pushed, which is billed too.
    pub fn may_be_missing(&self, listed: &[DeploymentView], now: Timestamp) -> bool {
        let is_listed = || listed.iter().any(|one| DeploymentLabels::of(one).as_ref() == Some(&self.labels));
        now.since(self.at) < UNLISTED_SECONDS && !is_listed()
    }
}

/// A due step.
#[derive(Debug, PartialEq)]
pub enum ModelStep<'a> {
    /// A deployment of the wanted form is pushed.
    Deploy,
    /// The wanted deployment gets its number of replicas.
    Scale(&'a DeploymentView),
    /// It is started.
    Activate(&'a DeploymentView),
    /// All its replicas end.
    Deactivate(&'a DeploymentView),
    /// A deployment that nothing uses any more is deleted.
    Delete(&'a DeploymentView),
}

impl FoundModel {
    /// Labels of its newest deployment that has ours.
    pub fn labels(&self) -> Option<DeploymentLabels> {
        self.deployments.iter().rev().find_map(DeploymentLabels::of)
    }

    /// The deployment that takes the traffic.
    fn production(&self) -> Option<&DeploymentView> {
        self.deployments.iter().find(|one| one.is_production)
    }

    /// The newest deployment of the wanted form. One that is older than that with the traffic has had its turn: it is not
    /// given the traffic again.
    pub fn wanted(&self, form: &BasetenForm) -> Option<&DeploymentView> {
        let oldest = self.deployments.iter().position(|one| one.is_production).unwrap_or(0);
        self.deployments[oldest..]
            .iter()
            .rev()
            .find(|one| DeploymentLabels::of(one).is_some_and(|labels| form.is_of(&labels)))
    }

    /// The next step; `None` if the model is as it should be, or only time is missing.
    pub fn step(&self, form: &BasetenForm) -> Option<ModelStep<'_>> {
        let Some(wanted) = self.wanted(form) else { return Some(ModelStep::Deploy) };
        let scale = AutoscalingView { min_replica: form.replicas, max_replica: form.replicas };
        let due = match (wanted.phase(), form.replicas) {
            (DeploymentPhase::Failed | DeploymentPhase::Unknown, _)
            | (DeploymentPhase::Inactive | DeploymentPhase::Changing, 0) => None,
            (DeploymentPhase::Active | DeploymentPhase::AtZero, 0) => Some(ModelStep::Deactivate(wanted)),
            (DeploymentPhase::Inactive | DeploymentPhase::AtZero, _) => Some(ModelStep::Activate(wanted)),
            (DeploymentPhase::Active | DeploymentPhase::Changing, _) => {
                let differs = wanted.autoscaling_settings.is_some_and(|known| known != scale);
                differs.then_some(ModelStep::Scale(wanted))
            }
        };
        due.or_else(|| self.surplus(wanted).map(ModelStep::Delete))
    }

    /// A deployment of another form, or another one of this form, that takes no traffic any more.
    fn surplus(&self, wanted: &DeploymentView) -> Option<&DeploymentView> {
        let takes_traffic = wanted.is_production && wanted.phase() != DeploymentPhase::Failed;
        self.deployments.iter().find(|one| takes_traffic && one.id != wanted.id && !one.is_production)
    }

    /// The model as the core sees it, without its troubles.
    pub fn present(&self, form: &BasetenForm, wanted: &Wanted, id: ExternalId, url: String) -> Present {
        let production = self.production();
        let hash = production.and_then(DeploymentLabels::of).map(|labels| labels.template).unwrap_or_default();
        let replicas = production.map_or(0, |one| match (one.phase(), one.autoscaling_settings) {
            (DeploymentPhase::Inactive, _) => 0,
            (_, Some(settings)) => settings.min_replica,
            (_, None) => form.replicas,
        });
        let ready = production.map_or(0, |one| one.active_replica_count).min(replicas);
        let of = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        Present {
            in_sync: self.step(form).is_none(),
            interrupts: false,
            changed_by_admission: Vec::new(),
            external_id: id,
            template_digest: digest(&hash),
            template_hash: hash,
            replicas: of(replicas),
            ready_replicas: of(ready),
            probe: Some(probe(wanted.endpoint.spec.model_name(), &url, wanted.api_key.clone())),
            url: Some(url),
            progress: self.progress(form, ready),
            trouble: None,
        }
    }

    fn progress(&self, form: &BasetenForm, ready: u32) -> Progress {
        let wanted = self.wanted(form);
        let serves = wanted.is_some_and(|one| {
            let settled = match one.phase() {
                DeploymentPhase::Active => ready == form.replicas && form.replicas > 0,
                DeploymentPhase::Inactive => form.replicas == 0,
                _ => false,
            };
            settled && one.is_production
        });
        if serves {
            return Progress::Serving;
        }
        let status = wanted.map_or("no deployment", |one| one.status.as_str());
        Progress::Starting { message: format!("Baseten: {status}") }
    }
}

#[cfg(test)]
mod tests {
    use roadstead_conformance::request::{record, request};
    use serde_json::{Value, json};

    use super::*;

    fn form(replicas: i32) -> BasetenForm {
        let target = json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
            "spec": {"cloud": "aws", "region": "us-east", "type": "Simulated",
                     "offers": [{"name": "a3", "instanceType": "H100x1", "accelerator": {"type": "H100", "count": 1},
                                 "capacityType": "OnDemand"}]},
        });
        let mut endpoint = record("e");
        endpoint.spec.replicas = replicas;
        let wanted = request(endpoint, &serde_json::from_value(target).unwrap());
        BasetenForm::of(&wanted, "prod", "us-east").unwrap()
    }

    fn deployment(id: &str, status: &str, is_production: bool, labels: &Value) -> DeploymentView {
        let scaling = json!({"min_replica": 1, "max_replica": 1});
        serde_json::from_value(json!({
            "id": id, "created_at": id, "is_production": is_production, "status": status, "active_replica_count": 1,
            "autoscaling_settings": scaling, "labels": labels,
        }))
        .unwrap()
    }

    fn found(deployments: Vec<DeploymentView>) -> FoundModel {
        let model = json!({"id": "m", "name": "e", "created_at": "2026-12-01T00:00:00Z"});
        FoundModel { model: serde_json::from_value(model).unwrap(), deployments }
    }

    /// The step for one deployment of the wanted form in this state.
    fn step(status: &str, replicas: i32) -> String {
        let form = form(replicas);
        let found = found(vec![deployment("d", status, true, &form.labels.written())]);
        match found.step(&form) {
            None => "none".to_owned(),
            Some(step) => format!("{step:?}").split(['(', ' ']).next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn a_form_that_is_wanted_again_after_another_one_took_over_is_deployed_anew() {
        let form = form(1);
        let other = json!({});
        let back = found(vec![
            deployment("a", "ACTIVE", false, &form.labels.written()),
            deployment("b", "ACTIVE", true, &other),
        ]);
        assert_eq!(back.step(&form), Some(ModelStep::Deploy));
        let taking_over = found(vec![
            deployment("b", "ACTIVE", true, &other),
            deployment("c", "DEPLOYING", false, &form.labels.written()),
        ]);
        assert_eq!(taking_over.step(&form), None, "it is on its way");
    }

    #[test]
    fn each_state_has_its_step() {
        for (status, replicas, expected) in [
            ("ACTIVE", 1, "none"),
            ("ACTIVE", 2, "Scale"),
            ("LOADING_MODEL", 2, "Scale"),
            ("ACTIVE", 0, "Deactivate"),
            ("INACTIVE", 0, "none"),
            ("INACTIVE", 1, "Activate"),
            ("SCALED_TO_ZERO", 1, "Activate"),
            ("DEPLOY_FAILED", 1, "none"),
            ("HIBERNATING", 1, "none"),
        ] {
            assert_eq!(step(status, replicas), expected, "{status} with {replicas}");
        }
    }

    #[test]
    fn the_former_deployment_serves_until_the_new_one_does_and_is_deleted_then() {
        let form = form(1);
        let old = json!({});
        let new = form.labels.written();
        let at = |status: &str, takes_over: bool| {
            found(vec![deployment("1", "ACTIVE", !takes_over, &old), deployment("2", status, takes_over, &new)])
        };
        assert_eq!(found(vec![deployment("1", "ACTIVE", true, &old)]).step(&form), Some(ModelStep::Deploy));
        assert_eq!(at("BUILDING", false).step(&form), None);
        assert_eq!(at("DEPLOY_FAILED", false).step(&form), None);
        let done = at("ACTIVE", true);
        assert_eq!(done.step(&form), Some(ModelStep::Delete(&done.deployments[0])));
    }
}
