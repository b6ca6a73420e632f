//! Report on an endpoint to the core. Pure.

use roadstead_api::v1alpha1::ExternalId;
use roadstead_provider::probe::{Probe, ProbeQuestion};
use roadstead_provider::template_hash::digest;
use roadstead_provider::{Present, Progress, Trouble, TroubleKind};

use super::form::BedrockForm;
use super::wire::{ImportView, TaggedImport};
use crate::failure;
use crate::ownership::{self, FORM};
use crate::place::BedrockPlace;

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
    let (class, reason) = failure::late(cause);
    let message = format!("the import at Bedrock failed: {cause}");
    Some(Trouble { kind: TroubleKind::Plain, class, reason, message, since: None })
}
