//! Report on an endpoint to the core. Pure.

use roadstead_api::v1alpha1::ExternalId;
use roadstead_provider::probe::{Probe, ProbeQuestion};
use roadstead_provider::template_hash::digest;
use roadstead_provider::{Present, Progress, Trouble, TroubleKind};

use super::form::ThroughputForm;
use super::wire::{TaggedThroughput, ThroughputView};
use crate::failure;
use crate::ownership::{self, FORM};
use crate::place::BedrockPlace;

/// State of a throughput that failed.
const FAILED: &str = "Failed";

/// The endpoint as its place shows it.
#[must_use]
pub fn present(
    place: &BedrockPlace,
    throughput: &TaggedThroughput,
    form: &ThroughputForm,
    model: &str,
    external_id: ExternalId,
) -> Present {
    let TaggedThroughput { view, tags } = throughput;
    let is_form = ownership::get(tags, FORM) == form.digest;
    let url = view.serves().then(|| place.url(&view.provisioned_model_arn));
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
        progress: if view.serves() {
            Progress::Serving
        } else {
            Progress::Starting { message: format!("Bedrock provides the model units: their state is {}", view.status) }
        },
        trouble: trouble(view),
        url,
    }
}

/// The trouble of a throughput that failed.
fn trouble(view: &ThroughputView) -> Option<Trouble> {
    if view.status != FAILED {
        return None;
    }
    let cause = view.failure_message.as_deref().unwrap_or("Bedrock names no cause");
    let (class, reason) = failure::late(cause);
    let message = format!("the purchase of model units at Bedrock failed: {cause}");
    Some(Trouble { kind: TroubleKind::Plain, class, reason, message, since: None })
}
