//! State of an endpoint and the step that is due. Pure: time is an argument.

use roadstead_model::Timestamp;
use roadstead_provider::{ErrorClass, Progress};

use crate::failure;
use crate::form::VertexForm;
use crate::ownership::{self, ATTEMPT, EndpointMark, seconds};
use crate::wire::{DeployedView, LabelMap, OperationError, OperationView, VertexView, id_of};

/// A change that failed is tried again after this time.
const RETRY_SECONDS: u64 = 30 * 60;
/// Difference between the clocks of the operator and the service, at most.
const SKEW_SECONDS: u64 = 60;
/// Ends of the names of operations that change what is deployed.
const CHANGES: [&str; 3] =
    [".DeployModelOperationMetadata", ".MutateDeployedModelOperationMetadata", ".UndeployModelOperationMetadata"];

/// The step that makes an endpoint what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VertexStep {
    /// None.
    Nothing,
    /// The wanted form is deployed.
    Deploy,
    /// Another number of replicas.
    Scale,
    /// A former form, with this id, is undeployed.
    Retire(String),
    /// Other labels.
    Label,
    /// It differs, and another change is under way.
    Wait,
    /// The change failed a short time ago, with this error.
    Failed(OperationError),
}

/// An endpoint as it is, beside what it should be.
#[derive(Debug, Clone, Copy)]
pub struct VertexReading<'a> {
    /// The endpoint.
    pub view: &'a VertexView,
    /// Its operations; none need to be known of an endpoint at rest.
    pub operations: &'a [OperationView],
    /// The wanted form.
    pub form: &'a VertexForm,
    /// The time.
    pub now: Timestamp,
}

/// True if the endpoint shows by itself that it is what it should be.
#[must_use]
pub fn is_at_rest(view: &VertexView, form: &VertexForm) -> bool {
    let [deployed] = view.deployed_models.as_slice() else { return false };
    id_of(&deployed.model) == form.model
        && deployed.replicas() == form.replicas
        && deployed.available() == form.replicas
}

impl<'a> VertexReading<'a> {
    /// The wanted form, if it is deployed.
    fn wanted(&self) -> Option<&'a DeployedView> {
        self.view.deployed_models.iter().find(|deployed| id_of(&deployed.model) == self.form.model)
    }

    fn changes(&self) -> impl Iterator<Item = &'a OperationView> {
        let is_change = |operation: &&OperationView| {
            let type_ = operation.metadata.as_ref().map_or("", |metadata| metadata.type_.as_str());
            CHANGES.iter().any(|end| type_.ends_with(end))
        };
        self.operations.iter().filter(is_change)
    }

    /// True while something that is deployed changes.
    fn is_changing(&self) -> bool {
        self.changes().any(|operation| !operation.done)
    }

    /// Name of the wanted change in a label.
    fn attempt_name(&self) -> String {
        let hash = self.form.model.rsplit('-').next().unwrap_or_default();
        format!("{hash}-{}", self.form.replicas)
    }

    /// Labels to set before a change.
    #[must_use]
    pub fn labels_of_attempt(&self) -> LabelMap {
        let mut labels = self.view.labels.clone();
        labels.insert(ATTEMPT.to_owned(), format!("{}-{}", self.attempt_name(), self.now.0));
        labels
    }

    /// The wanted labels, with the attempt that is on record.
    #[must_use]
    pub fn labels(&self) -> LabelMap {
        let attempt = self.view.labels.get(ATTEMPT).map(|attempt| (ATTEMPT.to_owned(), attempt.clone()));
        self.form.labels.clone().into_iter().chain(attempt).collect()
    }

    /// Time of the latest attempt, if it was for the wanted change.
    fn attempted(&self) -> Option<Timestamp> {
        let (name, at) = ownership::get(&self.view.labels, ATTEMPT).rsplit_once('-')?;
        Some(Timestamp(at.parse().ok()?)).filter(|_| name == self.attempt_name())
    }

    /// The failure of the wanted change, and its begin.
    fn failure(&self) -> Option<(&'a OperationError, Timestamp)> {
        let at = self.attempted()?;
        let begin = |operation: &OperationView| {
            let times = operation.metadata.as_ref().and_then(|metadata| metadata.generic_metadata.as_ref());
            times.map_or_else(Timestamp::default, |times| seconds(&times.create_time))
        };
        let of_attempt = self.changes().filter(|change| begin(change).0.saturating_add_unsigned(SKEW_SECONDS) >= at.0);
        let newest = of_attempt.max_by_key(|change| begin(change))?;
        newest.error.as_ref().filter(|_| newest.done).map(|error| (error, begin(newest)))
    }

    /// The failure of the first deployment: nothing serves, and nothing but its removal can help, which is not ours to decide.
    #[must_use]
    pub fn failed_at_first(&self) -> Option<&'a OperationError> {
        self.failure().map(|(error, _)| error).filter(|_| self.view.deployed_models.is_empty() && !self.is_changing())
    }

    /// The step that is due.
    #[must_use]
    pub fn due(&self) -> VertexStep {
        if self.is_changing() {
            return if self.attempted().is_some() { VertexStep::Nothing } else { VertexStep::Wait };
        }
        if self.failed_at_first().is_some() {
            return VertexStep::Nothing;
        }
        let change = match self.wanted() {
            None => Some(VertexStep::Deploy),
            Some(deployed) if deployed.replicas() != self.form.replicas => Some(VertexStep::Scale),
            Some(_) => None,
        };
        if let Some(change) = change {
            let lately = |at: Timestamp| self.now.since(at) < RETRY_SECONDS;
            let failure = self.failure().filter(|(_, at)| lately(*at));
            return failure.map_or(change, |(error, _)| VertexStep::Failed(error.clone()));
        }
        match self.former().next() {
            Some(former) => VertexStep::Retire(former.id.clone()),
            None if !ownership::has(&self.view.labels, &self.form.labels) => VertexStep::Label,
            None => VertexStep::Nothing,
        }
    }

    /// Former forms that are deployed still.
    fn former(&self) -> impl Iterator<Item = &'a DeployedView> {
        self.view.deployed_models.iter().filter(|deployed| id_of(&deployed.model) != self.form.model)
    }

    /// Progress towards the wanted form.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let wanted = self.form.replicas;
        let count = self.wanted().map_or(0, DeployedView::available);
        let is_alone = self.former().next().is_none();
        if self.wanted().is_some_and(|deployed| deployed.replicas() == wanted) && count >= wanted && is_alone {
            return Progress::Serving;
        }
        let doing = match (self.is_changing(), self.failure()) {
            (true, _) => "an operation of Vertex AI is under way".to_owned(),
            (false, Some((error, _))) => format!("Vertex AI failed: {}", error.message),
            (false, None) => "the model is not deployed yet".to_owned(),
        };
        Progress::Starting { message: format!("{doing}: {count} of {wanted} replicas run") }
    }

    /// Replicas that exist, and those that answer.
    #[must_use]
    pub fn replicas(&self) -> (i32, i32) {
        let deployed = &self.view.deployed_models;
        (deployed.iter().map(DeployedView::replicas).sum(), deployed.iter().map(DeployedView::available).sum())
    }

    /// Hash of the template in force: known where it is the wanted one, else by the label.
    #[must_use]
    pub fn template_hash(&self) -> String {
        if self.wanted().is_some() || self.view.deployed_models.is_empty() {
            return self.form.mark.template.clone();
        }
        EndpointMark::read(&self.view.labels).map(|mark| mark.template).unwrap_or_default()
    }
}

/// Class and sentence of a change that failed.
#[must_use]
pub fn failed_change(error: &OperationError) -> (ErrorClass, String) {
    let message = format!(
        "Vertex AI did not carry out the last change of the endpoint, and the operator retries it after half an hour: {}",
        error.message
    );
    (failure::late(error).0, message)
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
