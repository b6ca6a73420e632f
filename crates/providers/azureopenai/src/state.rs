//! State of a deployment and the step that is due. Pure: time is an argument.

use roadstead_azure::ArmOperationError;
use roadstead_azure::marks::seconds;
use roadstead_model::Timestamp;
use roadstead_provider::Progress;

use crate::form::CatalogForm;
use crate::wire::CatalogDeployment;

/// A change that failed is tried again after this time.
const RETRY_SECONDS: u64 = 30 * 60;

/// The step that makes a deployment what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogStep {
    /// None.
    Nothing,
    /// It is written as a whole: its model differs, or its creation failed for a cause that is not known.
    Put,
    /// Units or tags differ.
    Patch,
    /// It differs, and a change is under way.
    Wait,
    /// The change failed a short time ago.
    Failed(ArmOperationError),
}

/// A deployment as it is, beside what it should be.
#[derive(Clone, Copy)]
pub struct CatalogReading<'a> {
    /// The deployment.
    pub view: &'a CatalogDeployment,
    /// The wanted form.
    pub form: &'a CatalogForm,
    /// Failure of the latest change, if the driver knows it.
    pub failure: Option<&'a ArmOperationError>,
    /// The time.
    pub now: Timestamp,
}

impl<'a> CatalogReading<'a> {
    fn state(&self) -> &'a str {
        &self.view.properties.provisioning_state
    }

    /// True while a change is under way.
    fn is_changing(&self) -> bool {
        !matches!(self.state(), "Succeeded" | "Failed" | "Disabled" | "Canceled")
    }

    fn has_tags(&self) -> bool {
        self.form.tags.iter().all(|(name, value)| self.view.tags.get(name) == Some(value))
    }

    /// True if it has the wanted units. Where nothing names them, it has what it needs; so it is with the model.
    fn has_units(&self) -> bool {
        self.form.sku.as_ref().map_or(true, |wanted| self.view.sku == *wanted)
    }

    fn has_model(&self) -> bool {
        self.form.model.as_ref().map_or(true, |wanted| self.view.properties.model == *wanted)
    }

    /// True if this very deployment has answered, and not a former one of its name.
    fn has_served(&self) -> bool {
        self.form.first_ready.is_some_and(|first| first > seconds(&self.view.system_data.created_at))
    }

    /// Failure of the creation, with its cause: nothing but the endpoint's removal can help, which the core decides.
    #[must_use]
    pub fn failed_at_first(&self) -> Option<&'a ArmOperationError> {
        self.failure.filter(|_| self.state() == "Failed" && !self.has_served())
    }

    fn is_recent(&self) -> bool {
        self.now.since(seconds(&self.view.system_data.last_modified_at)) < RETRY_SECONDS
    }

    /// The step that is due.
    #[must_use]
    pub fn due(&self) -> CatalogStep {
        let is_wanted = self.has_model() && self.has_units() && self.has_tags();
        if self.is_changing() {
            let is_pursued = is_wanted && self.state() != "Deleting";
            return if is_pursued { CatalogStep::Nothing } else { CatalogStep::Wait };
        }
        if self.failed_at_first().is_some() || (self.state() == "Succeeded" && is_wanted) {
            return CatalogStep::Nothing;
        }
        match self.failure.filter(|_| self.is_recent()) {
            Some(failure) => CatalogStep::Failed(failure.clone()),
            None if self.state() == "Succeeded" && self.has_model() => CatalogStep::Patch,
            None => CatalogStep::Put,
        }
    }

    /// Replicas that exist, and those that answer.
    #[must_use]
    pub fn replicas(&self) -> (i32, i32) {
        let replicas = self.view.sku.capacity / self.form.units;
        // One that shows a failed change as its own, or a state that this version does not know, serves on as it did.
        let may_serve = !matches!(self.state(), "Disabled" | "Canceled" | "Deleting") && self.has_served();
        let serves = self.view.is_up() || may_serve;
        (replicas, if serves { replicas } else { 0 })
    }

    /// Progress towards the wanted form.
    #[must_use]
    pub fn progress(&self) -> Progress {
        if self.state() == "Succeeded" && self.has_model() && self.has_units() {
            return Progress::Serving;
        }
        let message = match self.failure {
            Some(failure) if !self.is_changing() => format!("Azure OpenAI failed: {}", failure.message),
            _ => format!("the deployment is {}", self.state()),
        };
        Progress::Starting { message }
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
