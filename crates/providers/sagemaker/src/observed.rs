//! Report on an endpoint to the core. Pure.

use roadstead_api::v1alpha1::ExternalId;
use roadstead_provider::probe::{Probe, ProbeQuestion};
use roadstead_provider::template_hash::digest;
use roadstead_provider::{Present, Trouble, TroubleKind};

use crate::failure;
use crate::state::{DueStep, Reading, ServicePhase};
use crate::wire::EndpointDescription;

/// The endpoint as its place shows it.
#[must_use]
pub fn present(reading: &Reading<'_>, external_id: ExternalId, url: String, probe: Probe) -> Present {
    let view = reading.view;
    let (replicas, ready_replicas) = reading.replicas();
    Present {
        in_sync: reading.due() == DueStep::Nothing && ServicePhase::of(&view.endpoint_status) != ServicePhase::Deleting,
        // The service deploys beside what runs.
        interrupts: false,
        changed_by_admission: Vec::new(),
        external_id,
        template_hash: reading.template_hash(),
        template_digest: digest(&reading.form.resource),
        replicas,
        ready_replicas,
        probe: Some(probe),
        url: Some(url),
        progress: reading.progress(),
        trouble: trouble(view),
    }
}

/// The trouble of an endpoint that failed.
fn trouble(view: &EndpointDescription) -> Option<Trouble> {
    if ServicePhase::of(&view.endpoint_status) != ServicePhase::Failed {
        return None;
    }
    let cause = view.failure_reason.as_deref().unwrap_or("SageMaker names no cause");
    let (class, reason) = failure::late(cause);
    let message = format!("the endpoint failed at SageMaker: {cause}");
    Some(Trouble { kind: TroubleKind::Plain, class, reason, message, since: None })
}

/// The way to ask an endpoint at `url`: for a token, because the route lists no models. SageMaker guards it.
#[must_use]
pub fn probe(url: &str, model: &str) -> Probe {
    Probe::of_guarded(url, model, ProbeQuestion::Completion)
}
