//! State of an endpoint and the step that is due. Pure: time is an argument.

use roadstead_api::v1alpha1::names;
use roadstead_model::Timestamp;
use roadstead_provider::{ErrorClass, Progress};

use crate::failure;
use crate::form::{HASH_CHARS, WantedForm};
use crate::ownership::{self, seconds};
use crate::wire::{EndpointDescription, TagMap};

/// Tag with the latest change that was asked for: form, instances, the word [`SCALE`] where these alone change, and the time of the
/// endpoint's change before it, by the service's clock.
pub const ATTEMPT: &str = "roadstead.dev/attempt";
/// Mark of a change of the instances in the tag [`ATTEMPT`].
const SCALE: &str = "scale";
/// Tag with the hash of the form before the latest change. Its resources cost nothing, and go before the next change.
pub const FORMER: &str = "roadstead.dev/former";
/// A change that failed is tried again after this time.
const RETRY_SECONDS: u64 = 30 * 60;

/// State of an endpoint in the words of `EndpointStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServicePhase {
    /// It is created.
    Creating,
    /// It serves, and can be changed.
    Settled,
    /// It serves and changes.
    Changing,
    /// It serves and is maintained by AWS.
    Maintained,
    /// It exists and takes no requests.
    OutOfService,
    /// Its creation or change failed; it can only be deleted.
    Failed,
    /// It is deleted.
    Deleting,
    /// A state that this version does not know.
    Unknown,
}

impl ServicePhase {
    /// The phase of a state.
    #[must_use]
    pub fn of(status: &str) -> Self {
        match status {
            "Creating" => Self::Creating,
            "InService" | "UpdateRollbackFailed" => Self::Settled,
            "Updating" | "RollingBack" => Self::Changing,
            "SystemUpdating" => Self::Maintained,
            "OutOfService" => Self::OutOfService,
            "Failed" => Self::Failed,
            "Deleting" => Self::Deleting,
            _ => Self::Unknown,
        }
    }

    /// True if its instances may answer. In a state that this version does not know they may: probes decide.
    const fn serves(self) -> bool {
        matches!(self, Self::Settled | Self::Changing | Self::Maintained | Self::Unknown)
    }

    /// True if the service takes changes.
    const fn can_change(self) -> bool {
        matches!(self, Self::Settled | Self::OutOfService)
    }
}

/// The step that makes an endpoint what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DueStep {
    /// None.
    Nothing,
    /// Another form.
    Update,
    /// Another number of instances.
    Scale,
    /// Other tags.
    Label,
    /// It differs, and cannot be changed in this state.
    Wait,
    /// The change failed a short time ago.
    Failed,
}

/// An endpoint as it is, beside what it should be.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// The endpoint.
    pub view: &'a EndpointDescription,
    /// Its tags.
    pub tags: &'a TagMap,
    /// The wanted form.
    pub form: &'a WantedForm,
    /// The time.
    pub now: Timestamp,
}

impl Reading<'_> {
    fn phase(&self) -> ServicePhase {
        ServicePhase::of(&self.view.endpoint_status)
    }

    /// Configuration that is in force, or is being deployed.
    fn config(&self) -> &str {
        let pending = self.view.pending_deployment_summary.as_ref().map(|pending| &pending.endpoint_config_name);
        pending.or(self.view.endpoint_config_name.as_ref()).map_or("", String::as_str)
    }

    fn desired(&self) -> i32 {
        self.view.production_variants.iter().map(|variant| variant.desired_instance_count).sum()
    }

    fn current(&self) -> i32 {
        self.view.production_variants.iter().map(|variant| variant.current_instance_count).sum()
    }

    /// True if the number of instances is as wanted; while another configuration is deployed, its own number counts.
    fn is_scaled(&self) -> bool {
        self.view.pending_deployment_summary.is_some()
            || self.view.production_variants.is_empty()
            || self.desired() == self.form.replicas
    }

    fn has_too_many(&self) -> bool {
        !self.is_scaled() && self.desired() > self.form.replicas
    }

    /// The step that is due.
    #[must_use]
    pub fn due(&self) -> DueStep {
        let phase = self.phase();
        if phase == ServicePhase::Failed {
            // Nothing but its removal can help, which is not ours to decide.
            return DueStep::Nothing;
        }
        let change = if self.has_too_many() {
            // An update keeps the number of instances, and runs as many again meanwhile.
            Some(DueStep::Scale)
        } else if self.config() != self.form.resource {
            Some(DueStep::Update)
        } else if !self.is_scaled() {
            Some(DueStep::Scale)
        } else {
            None
        };
        match change {
            Some(_) if !phase.can_change() => DueStep::Wait,
            Some(change) if self.has_failed_lately(&change) => DueStep::Failed,
            Some(change) => change,
            None if self.form.tags.iter().any(|(key, value)| self.tags.get(key) != Some(value)) => DueStep::Label,
            None => DueStep::Nothing,
        }
    }

    /// Hashes of forms whose resources nothing uses: those before the form in force, and one that was tried in vain.
    #[must_use]
    pub fn leftovers(&self) -> Vec<String> {
        let attempted =
            self.attempt().map_or("", |(attempt, _)| hash_of(attempt.split(':').next().unwrap_or_default()));
        let used = [hash_of(&self.form.resource), hash_of(self.config()), self.in_force()];
        let mut found: Vec<String> = Vec::new();
        for hash in ownership::get(self.tags, FORMER).split(':').chain([attempted]) {
            let is_hash = hash.len() == HASH_CHARS && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            if is_hash && !used.contains(&hash) && !found.iter().any(|known| known == hash) {
                found.push(hash.to_owned());
            }
        }
        found
    }

    /// Hash of the form in force; empty where there is none.
    fn in_force(&self) -> &str {
        self.view.endpoint_config_name.as_deref().map_or("", hash_of)
    }

    /// Tags to set before `change`: the attempt, and what it will leave over.
    #[must_use]
    pub fn tags_of_change(&self, change: &DueStep) -> TagMap {
        // Until the update the endpoint keeps the tags of the form that runs.
        let is_alone = *change == DueStep::Scale && self.config() != self.form.resource;
        let mut tags = if is_alone { TagMap::new() } else { self.form.tags.clone() };
        if !is_alone && self.in_force() != hash_of(&self.form.resource) {
            tags.insert(FORMER.to_owned(), self.in_force().to_owned());
        }
        tags.insert(ATTEMPT.to_owned(), format!("{}:{}", self.attempt_name(change), self.changed()));
        tags
    }

    /// Name of a change. A change of form and instances takes two, the form first.
    fn attempt_name(&self, change: &DueStep) -> String {
        let WantedForm { resource, replicas, .. } = self.form;
        match change {
            DueStep::Scale => format!("{resource}:{replicas}:{SCALE}"),
            _ => format!("{resource}:{replicas}"),
        }
    }

    /// Time of the endpoint's latest change, by the service's clock: seconds since 1970 with milliseconds.
    fn changed(&self) -> String {
        format!("{:.3}", self.view.last_modified_time)
    }

    /// The latest attempt, and the endpoint's change before it.
    fn attempt(&self) -> Option<(&str, &str)> {
        ownership::get(self.tags, ATTEMPT).rsplit_once(':')
    }

    /// True if this very change was accepted, and did not last, within the last half hour. Where the service did not take the
    /// call, the endpoint has not changed since.
    fn has_failed_lately(&self, change: &DueStep) -> bool {
        let Some((attempt, before)) = self.attempt() else { return false };
        let is_recent = self.now.since(seconds(self.view.last_modified_time)) < RETRY_SECONDS;
        attempt == self.attempt_name(change) && before != self.changed() && is_recent
    }

    /// The cause that the change failed: class, reason, sentence.
    #[must_use]
    pub fn failed_change(&self) -> (ErrorClass, String) {
        let cause = self.view.failure_reason.as_deref().unwrap_or("SageMaker names no cause");
        let message = format!(
            "SageMaker undid the last change of the endpoint, and the operator retries it after half an hour: {cause}"
        );
        (failure::late(cause).0, message)
    }

    /// Progress towards the wanted form.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let (phase, status) = (self.phase(), &self.view.endpoint_status);
        let is_new = self.config() == self.form.resource && self.view.pending_deployment_summary.is_none();
        let all = self.current() == self.form.replicas && self.desired() == self.form.replicas;
        if matches!(phase, ServicePhase::Settled | ServicePhase::Maintained) && is_new && all {
            return Progress::Serving;
        }
        let count = format!("{} of {} instances", self.current(), self.form.replicas);
        Progress::Starting { message: format!("SageMaker says {status}: {count} run") }
    }

    /// Instances that exist, and those that serve.
    #[must_use]
    pub fn replicas(&self) -> (i32, i32) {
        let current = self.current();
        (current.max(self.desired()), if self.phase().serves() { current } else { 0 })
    }

    /// Hash of the template in force: known where it is the wanted one, else by the tag.
    #[must_use]
    pub fn template_hash(&self) -> String {
        if self.config() == self.form.resource {
            self.form.template_hash.clone()
        } else {
            ownership::get(self.tags, names::ANNOTATION_TEMPLATE_HASH).to_owned()
        }
    }
}

/// The hash at the end of a resource's name.
fn hash_of(resource: &str) -> &str {
    resource.rsplit('-').next().unwrap_or_default()
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
