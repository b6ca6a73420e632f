//! Report on an endpoint to the core. Pure.

use roadstead_api::v1alpha1::ExternalId;
use roadstead_azure::marks::ArmMark;
use roadstead_provider::probe::{Probe, ProbeQuestion};
use roadstead_provider::template_hash::digest;
use roadstead_provider::{Present, Trouble, TroubleKind};

use crate::failure;
use crate::state::{CatalogReading, CatalogStep};

/// The endpoint as its place shows it: `url` is the address of its account.
#[must_use]
pub fn present(model: &str, url: &str, reading: &CatalogReading<'_>, external_id: ExternalId) -> Present {
    let (replicas, ready_replicas) = reading.replicas();
    let template = ArmMark::read(&reading.view.tags).map(|mark| mark.template).unwrap_or_default();
    Present {
        in_sync: reading.due() == CatalogStep::Nothing,
        interrupts: false,
        changed_by_admission: Vec::new(),
        external_id,
        template_digest: digest(&template),
        template_hash: template,
        replicas,
        ready_replicas,
        probe: Some(probe(url, model)),
        url: Some(url.to_owned()),
        progress: reading.progress(),
        trouble: trouble(reading),
    }
}

/// The trouble of a deployment whose creation failed.
fn trouble(reading: &CatalogReading<'_>) -> Option<Trouble> {
    let error = reading.failed_at_first()?;
    let (class, reason) = failure::late(error);
    let message = format!("Azure OpenAI did not deploy the model: {}: {}", error.code, error.message);
    Some(Trouble { kind: TroubleKind::Plain, class, reason, message, since: None })
}

/// The way to ask whether the account at `url` answers. It lists models of its catalog and no deployment, and a completion would be billed.
#[must_use]
pub fn probe(url: &str, model: &str) -> Probe {
    Probe::of_guarded(url, model, ProbeQuestion::AnyModels)
}
