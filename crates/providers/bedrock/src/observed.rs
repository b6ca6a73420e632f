//! Report on an endpoint to the core. Pure.

use roadstead_api::v1alpha1::{ExternalId, reasons};
use roadstead_provider::probe::{Probe, ProbeQuestion};
use roadstead_provider::template_hash::digest;
use roadstead_provider::{ErrorClass, Present, Progress, Trouble, TroubleKind};

use crate::form::BedrockForm;
use crate::ownership::{self, FORM};
use crate::place::BedrockPlace;
use crate::wire::{ImportView, TaggedImport};

/// State of a job that failed.
pub const FAILED: &str = "Failed";

/// The endpoint as its place shows it.
#[must_use]
pub fn present(
    place: &BedrockPlace,
    import: &TaggedImport,
    form: &BedrockForm,
    model: &str,
    external_id: ExternalId,
) -> Present {
    let TaggedImport { view, tags } = import;
    let is_form = ownership::get(tags, FORM) == form.digest;
    let url = match view {
        ImportView::Model(found) => Some(place.url(&found.model_arn)),
        ImportView::Job(_) => None,
    };
    Present {
        in_sync: is_form && form.tags.iter().all(|(key, value)| tags.get(key) == Some(value)),
        interrupts: false,
        changed_by_admission: Vec::new(),
        external_id,
        template_hash: if is_form { form.template_hash.clone() } else { String::new() },
        template_digest: digest(ownership::get(tags, FORM)),
        replicas: 1,
        ready_replicas: i32::from(url.is_some()),
        probe: url.as_ref().map(|url| Probe::of_guarded(url, model, ProbeQuestion::Completion)),
        progress: match view {
            ImportView::Model(_) => Progress::Serving,
            ImportView::Job(job) => Progress::Starting {
                message: format!("Bedrock imports the model: job {} is {}", job.job_name, job.status),
            },
        },
        trouble: trouble(view),
        url,
    }
}

/// The trouble of an import that failed.
fn trouble(view: &ImportView) -> Option<Trouble> {
    let ImportView::Job(job) = view else { return None };
    if job.status != FAILED {
        return None;
    }
    let cause = job.failure_message.as_deref().unwrap_or("Bedrock names no cause");
    let (class, reason) = late(cause);
    let message = format!("the import at Bedrock failed: {cause}");
    Some(Trouble { kind: TroubleKind::Plain, class, reason, message, since: None })
}

/// Class and reason of a failure, which the service gives in words alone. Most are faults of the weights' copy or of their
/// architecture, which other places may run.
fn late(text: &str) -> (ErrorClass, &'static str) {
    let text = text.to_lowercase();
    let told = |words: &[&str]| words.iter().any(|words| text.contains(words));
    if told(&["quota", "limit exceeded"]) {
        (ErrorClass::QuotaExceeded, reasons::QUOTA_EXCEEDED)
    } else if told(&["capacity"]) {
        (ErrorClass::CapacityExhausted, reasons::CAPACITY_EXHAUSTED)
    } else if told(&["not supported", "unsupported", "access denied", "not found", "invalid"]) {
        (ErrorClass::Refused, reasons::ADMISSION_REFUSED)
    } else {
        (ErrorClass::Transient, reasons::PROVIDER_ERROR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_has_the_class_of_its_words() {
        for (text, class) in [
            ("The model architecture is not supported", ErrorClass::Refused),
            ("Access denied to s3://weights/llama/", ErrorClass::Refused),
            ("Imported model quota exceeded", ErrorClass::QuotaExceeded),
            ("There is no capacity", ErrorClass::CapacityExhausted),
            ("Internal error", ErrorClass::Transient),
        ] {
            assert_eq!(late(text).0, class, "{text}");
        }
    }
}
