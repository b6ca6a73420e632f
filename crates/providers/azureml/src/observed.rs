//! Report on an endpoint to the core. Pure.

use roadstead_api::v1alpha1::ExternalId;
use roadstead_provider::probe::Probe;
use roadstead_provider::template_hash::digest;
use roadstead_provider::{Present, Redacted, Trouble, TroubleKind, Wanted};

use crate::failure;
use crate::place::AzureMlPlace;
use crate::state::{OnlineReading, OnlineStep};

/// The endpoint as its place shows it.
#[must_use]
pub fn present(place: &AzureMlPlace, wanted: &Wanted, reading: &OnlineReading<'_>, external_id: ExternalId) -> Present {
    let view = reading.view;
    let (replicas, ready_replicas) = reading.replicas();
    let url = place.url(&view.name, view.properties.scoring_uri.as_deref().unwrap_or_default());
    let model = wanted.endpoint.spec.model_name();
    Present {
        in_sync: reading.due() == OnlineStep::Nothing,
        // Another form is deployed beside what runs.
        interrupts: false,
        changed_by_admission: Vec::new(),
        external_id,
        template_hash: reading.template_hash(),
        template_digest: digest(&reading.form.deployment_name),
        replicas,
        ready_replicas,
        probe: url.as_ref().map(|url| probe(model, url, wanted.api_key.clone())),
        url,
        progress: reading.progress(),
        trouble: trouble(reading),
    }
}

/// The trouble of an endpoint whose first deployment failed.
fn trouble(reading: &OnlineReading<'_>) -> Option<Trouble> {
    let error = reading.failed_at_first()?;
    let (class, reason) = failure::late(error);
    let message = format!("Azure ML did not deploy the model: {}: {}", error.code, error.message);
    Some(Trouble { kind: TroubleKind::Plain, class, reason, message, since: None })
}

/// The way to ask an endpoint at `url`, which Azure ML guards with the endpoint's own key.
#[must_use]
pub fn probe(model: &str, url: &str, key: Redacted) -> Probe {
    Probe::of_engine(url, key, model)
}
