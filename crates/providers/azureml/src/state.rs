//! State of an endpoint and the step that is due. Pure: time is an argument.

use std::collections::BTreeMap;

use roadstead_azure::{ArmOperationError, ArmTags};
use roadstead_model::Timestamp;
use roadstead_provider::{ErrorClass, Progress};

use crate::failure;
use crate::form::OnlineForm;
use crate::ownership::{KEY, REPLICAS};
use crate::wire::{OnlineDeploymentView, OnlineView};
use roadstead_azure::marks::{self, ArmMark, seconds};

/// A change that failed is tried again after this time.
const RETRY_SECONDS: u64 = 30 * 60;

/// The step that makes an endpoint what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnlineStep {
    /// None.
    Nothing,
    /// The endpoint itself could not be created or changed: once more.
    Repair,
    /// The wanted form is deployed.
    Deploy,
    /// Another number of instances.
    Scale,
    /// Requests go to the wanted form.
    Shift,
    /// A former form, with this name, is deleted.
    Retire(String),
    /// Another key is set.
    SetKey,
    /// Other tags.
    Tag,
    /// It differs, and another change is under way.
    Wait,
    /// The change failed a short time ago.
    Failed(Box<ArmOperationError>),
}

/// An endpoint as it is, beside what it should be.
#[derive(Clone, Copy)]
pub struct OnlineReading<'a> {
    /// The endpoint.
    pub view: &'a OnlineView,
    /// Its deployments.
    pub deployments: &'a [OnlineDeploymentView],
    /// The wanted form.
    pub form: &'a OnlineForm,
    /// Cause of the failure that the deployments show, if the driver knows it.
    pub cause: Option<&'a ArmOperationError>,
    /// True if the wanted key is known to be set, whatever the tag says.
    pub key_is_set: bool,
    /// The time.
    pub now: Timestamp,
}

/// True in a state that ends by itself. One that this version does not know may: nothing is changed meanwhile.
fn is_passing(state: &str) -> bool {
    !matches!(state, "Succeeded" | "Failed" | "Canceled")
}

impl<'a> OnlineReading<'a> {
    /// The wanted form, if it exists.
    fn wanted(&self) -> Option<&'a OnlineDeploymentView> {
        self.deployments.iter().find(|known| known.name == self.form.deployment_name)
    }

    /// Former forms.
    fn former(&self) -> impl Iterator<Item = &'a OnlineDeploymentView> {
        self.deployments.iter().filter(|known| known.name != self.form.deployment_name)
    }

    /// True if nothing is due or under way.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        !self.is_changing() && self.due() == OnlineStep::Nothing
    }

    /// True while something changes.
    #[must_use]
    pub fn is_changing(&self) -> bool {
        self.passing_state().is_some()
    }

    /// State of the endpoint or a deployment that changes, in the service's word.
    fn passing_state(&self) -> Option<&'a str> {
        let of_endpoint = std::iter::once(&self.view.properties.provisioning_state);
        let states = of_endpoint.chain(self.deployments.iter().map(|known| &known.properties.provisioning_state));
        states.map(String::as_str).find(|state| is_passing(state))
    }

    fn takes_requests(&self, deployment: &OnlineDeploymentView) -> bool {
        self.view.properties.traffic.get(&deployment.name).is_some_and(|percent| *percent > 0)
    }

    /// Instances that answer. A deployment that is scaled has at least as many as before or afterwards.
    fn ready(&self, deployment: &OnlineDeploymentView) -> i32 {
        let capacity = deployment.sku.capacity;
        match deployment.properties.provisioning_state.as_str() {
            "Succeeded" => capacity,
            "Scaling" => asked_for(deployment).map_or(capacity, |asked| asked.min(capacity)),
            "Creating" | "Deleting" | "Canceled" => 0,
            // It served before the present change, which may have failed, or is in a state that this version does not know: probes decide.
            _ if self.takes_requests(deployment) => capacity,
            _ => 0,
        }
    }

    /// Instances that exist or are being made.
    fn instances(&self, deployment: &OnlineDeploymentView) -> i32 {
        let is_lost = deployment.properties.provisioning_state == "Failed" && !self.takes_requests(deployment);
        if is_lost { 0 } else { deployment.sku.capacity }
    }

    /// The failure of the wanted deployment: known, or that there is one.
    fn failure(&self) -> Option<ArmOperationError> {
        let failed = self.wanted().filter(|known| known.properties.provisioning_state == "Failed")?;
        Some(self.cause.cloned().unwrap_or_else(|| ArmOperationError {
            code: String::new(),
            message: format!("deployment {} has failed", failed.name),
        }))
    }

    /// True if the latest change of the wanted deployment was a short time ago.
    fn is_recent(&self) -> bool {
        let changed = self.wanted().map_or("", |known| known.system_data.last_modified_at.as_str());
        self.now.since(seconds(changed)) < RETRY_SECONDS
    }

    /// The failure of the first deployment, with its cause: nothing serves, and nothing but the endpoint's removal can help, which is not
    /// ours to decide.
    #[must_use]
    pub fn failed_at_first(&self) -> Option<&'a ArmOperationError> {
        let failed = self.wanted().is_some_and(|known| known.properties.provisioning_state == "Failed");
        let alone =
            self.former().next().is_none() && self.view.properties.traffic.values().all(|percent| *percent == 0);
        self.cause.filter(|_| failed && alone && !self.is_changing())
    }

    /// The step that is due.
    #[must_use]
    pub fn due(&self) -> OnlineStep {
        if self.is_changing() {
            return if self.is_pursued() { OnlineStep::Nothing } else { OnlineStep::Wait };
        }
        if self.failed_at_first().is_some() {
            return OnlineStep::Nothing;
        }
        if self.view.properties.provisioning_state != "Succeeded" {
            return OnlineStep::Repair;
        }
        self.due_deployment().unwrap_or_else(|| self.due_endpoint())
    }

    /// True if the present change leads to the wanted form, or must end before another one can begin.
    fn is_pursued(&self) -> bool {
        let Some(wanted) = self.wanted() else { return self.deployments.is_empty() };
        match wanted.properties.provisioning_state.as_str() {
            "Creating" | "Updating" | "Scaling" => asked_for(wanted) == Some(self.form.replicas),
            _ => true,
        }
    }

    /// The step that makes the wanted deployment what it should be.
    fn due_deployment(&self) -> Option<OnlineStep> {
        let Some(wanted) = self.wanted() else { return Some(OnlineStep::Deploy) };
        let serves = self.takes_requests(wanted);
        match wanted.properties.provisioning_state.as_str() {
            "Failed" => {
                // A failure whose cause is not known is tried once more, which costs nothing.
                let failure = self.failure().filter(|_| self.is_recent() && (serves || self.cause.is_some()));
                Some(match failure {
                    Some(failure) => OnlineStep::Failed(Box::new(failure)),
                    None if serves => OnlineStep::Scale,
                    None => OnlineStep::Deploy,
                })
            }
            "Succeeded" if wanted.sku.capacity != self.form.replicas => Some(OnlineStep::Scale),
            "Succeeded" => None,
            _ => Some(OnlineStep::Deploy),
        }
    }

    /// The step that makes the endpoint what it should be, once the wanted deployment is up.
    fn due_endpoint(&self) -> OnlineStep {
        let traffic: BTreeMap<&str, u32> = self
            .view
            .properties
            .traffic
            .iter()
            .map(|(name, percent)| (name.as_str(), *percent))
            .filter(|(_, percent)| *percent > 0)
            .collect();
        if traffic != BTreeMap::from([(self.form.deployment_name.as_str(), 100)]) {
            return OnlineStep::Shift;
        }
        if let Some(former) = self.former().next() {
            return OnlineStep::Retire(former.name.clone());
        }
        if marks::get(&self.view.tags, KEY) != self.form.key_digest && !self.key_is_set {
            return OnlineStep::SetKey;
        }
        if self.view.tags == self.tags() { OnlineStep::Nothing } else { OnlineStep::Tag }
    }

    /// True if the key has to be read to know which step is due.
    #[must_use]
    pub fn asks_for_key(&self) -> bool {
        self.due() == OnlineStep::SetKey
    }

    /// The wanted tags, with those of others.
    #[must_use]
    pub fn tags(&self) -> ArmTags {
        let mut tags = self.form.tags.clone();
        tags.insert(KEY.to_owned(), self.form.key_digest.clone());
        tags.extend(marks::foreign(&self.view.tags));
        tags
    }

    /// The wanted tags, with the key that is on record.
    #[must_use]
    pub fn tags_with_former_key(&self) -> ArmTags {
        let mut tags = self.tags();
        tags.extend(self.view.tags.get(KEY).map(|digest| (KEY.to_owned(), digest.clone())));
        tags
    }

    /// Progress towards the wanted form.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let wanted = self.form.replicas;
        let count = self.wanted().map_or(0, |known| self.ready(known));
        let is_alone = self.former().next().is_none();
        let serves = self.wanted().is_some_and(|known| {
            self.takes_requests(known)
                && known.sku.capacity == wanted
                && known.properties.provisioning_state == "Succeeded"
        });
        let has_key = marks::get(&self.view.tags, KEY) == self.form.key_digest;
        if serves && is_alone && has_key {
            return Progress::Serving;
        }
        let doing = match (self.passing_state(), self.failure()) {
            (Some(state), _) => format!("an operation of Azure ML is under way ({state})"),
            (None, Some(error)) => format!("Azure ML failed: {}", error.message),
            (None, None) if serves && is_alone => "the endpoint's key is being set".to_owned(),
            (None, None) if self.wanted().is_some() => "the deployment does not take requests yet".to_owned(),
            (None, None) => "the model is not deployed yet".to_owned(),
        };
        Progress::Starting { message: format!("{doing}: {count} of {wanted} replicas run") }
    }

    /// Replicas that exist, and those that answer.
    #[must_use]
    pub fn replicas(&self) -> (i32, i32) {
        let serving = self.deployments.iter().filter(|known| self.takes_requests(known));
        (self.deployments.iter().map(|known| self.instances(known)).sum(), serving.map(|known| self.ready(known)).sum())
    }

    /// Hash of the template in force: known where it is the wanted one, else by the mark.
    #[must_use]
    pub fn template_hash(&self) -> String {
        if self.wanted().is_some() || self.deployments.is_empty() {
            return self.form.mark.template.clone();
        }
        ArmMark::read(&self.view.tags).map(|mark| mark.template).unwrap_or_default()
    }
}

/// Replicas that a deployment was last asked for.
fn asked_for(deployment: &OnlineDeploymentView) -> Option<i32> {
    marks::get(&deployment.tags, REPLICAS).parse().ok()
}

/// Class and sentence of a change that failed.
#[must_use]
pub fn failed_change(error: &ArmOperationError) -> (ErrorClass, String) {
    let message = format!(
        "Azure ML did not carry out the last change of the endpoint, and the operator retries it after half an hour: {}",
        error.message
    );
    (failure::late(error).0, message)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
