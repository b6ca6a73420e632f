//! Report on an endpoint to the core. Pure.

use roadstead_api::v1alpha1::ExternalId;
use roadstead_provider::probe::{Probe, ProbeQuestion};
use roadstead_provider::template_hash::digest;
use roadstead_provider::{Present, Trouble, TroubleKind, Wanted};

use crate::failure;
use crate::place::VertexPlace;
use crate::state::{VertexReading, VertexStep};

/// The endpoint as its place shows it.
#[must_use]
pub fn present(place: &VertexPlace, wanted: &Wanted, reading: &VertexReading<'_>, external_id: ExternalId) -> Present {
    let view = reading.view;
    let (replicas, ready_replicas) = reading.replicas();
    let dns = Some(view.dedicated_endpoint_dns.as_str()).filter(|dns| !dns.is_empty());
    let url = dns.map(|dns| place.url(&view.name, dns));
    Present {
        in_sync: reading.due() == VertexStep::Nothing,
        // The service deploys beside what runs.
        interrupts: false,
        changed_by_admission: Vec::new(),
        external_id,
        template_hash: reading.template_hash(),
        template_digest: digest(&reading.form.model),
        replicas,
        ready_replicas,
        probe: url.as_ref().map(|url| probe(url, wanted.endpoint.spec.model_name())),
        url,
        progress: reading.progress(),
        trouble: trouble(reading),
    }
}

/// The trouble of an endpoint whose first deployment failed.
fn trouble(reading: &VertexReading<'_>) -> Option<Trouble> {
    let error = reading.failed_at_first()?;
    let (class, reason) = failure::late(error);
    let message = format!("Vertex AI did not deploy the model: {}", error.message);
    Some(Trouble { kind: TroubleKind::Plain, class, reason, message, since: None })
}

/// The way to ask an endpoint at `url`. Google guards it.
#[must_use]
pub fn probe(url: &str, model: &str) -> Probe {
    Probe::of_guarded(url, model, ProbeQuestion::Models)
}
