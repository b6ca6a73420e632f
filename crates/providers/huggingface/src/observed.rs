//! Report on an endpoint to the core. Pure.

use roadstead_api::v1alpha1::{ExternalId, reasons};
use roadstead_provider::probe::Probe;
use roadstead_provider::template_hash::digest;
use roadstead_provider::{ErrorClass, Present, Progress, Redacted, Trouble, TroubleKind, Wanted};

use crate::form::HubForm;
use crate::service::class_of_text;
use crate::view::{HubState, HubView, TEMPLATE};

/// The endpoint as the core sees it.
#[must_use]
pub fn present(view: &HubView, form: &HubForm, wanted: &Wanted, external_id: ExternalId) -> Present {
    let hash = view.variable(TEMPLATE).unwrap_or_default().to_owned();
    let state = view.state();
    let replicas = if state == HubState::Paused { 0 } else { view.compute.scaling.min_replica };
    let settled = matches!(state, HubState::Running | HubState::Paused | HubState::Zero);
    let ready = view.status.ready_replica.min(replicas);
    let progress = if settled && (ready == replicas || state == HubState::Zero) {
        Progress::Serving
    } else {
        Progress::Starting { message: told(view) }
    };
    let url = view.status.url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
    Present {
        in_sync: form.is_of(view) && form.is_awake_as(view),
        interrupts: false,
        changed_by_admission: Vec::new(),
        external_id,
        template_digest: digest(&hash),
        template_hash: hash,
        replicas: i32::try_from(replicas).unwrap_or(i32::MAX),
        ready_replicas: i32::try_from(ready).unwrap_or(i32::MAX),
        probe: url.as_ref().map(|url| probe(wanted.endpoint.spec.model_name(), url, wanted.api_key.clone())),
        url,
        progress,
        trouble: (state == HubState::Failed).then(|| trouble(view)),
    }
}

/// The way to ask the endpoint at `url` whether it answers.
#[must_use]
pub fn probe(model: &str, url: &str, key: Redacted) -> Probe {
    Probe::of_engine(url, key, model)
}

/// The state in words, with the service's own.
fn told(view: &HubView) -> String {
    let state = &view.status.state;
    match view.status.message.as_deref().filter(|message| !message.is_empty()) {
        Some(message) => format!("Hugging Face: {state}: {message}"),
        None => format!("Hugging Face: {state}"),
    }
}

/// The trouble of an endpoint that has failed.
fn trouble(view: &HubView) -> Trouble {
    let class = view.status.message.as_deref().and_then(class_of_text);
    let (class, reason) = match class {
        Some(ErrorClass::QuotaExceeded) => (ErrorClass::QuotaExceeded, reasons::QUOTA_EXCEEDED),
        Some(ErrorClass::CapacityExhausted) => (ErrorClass::CapacityExhausted, reasons::CAPACITY_EXHAUSTED),
        _ => (ErrorClass::Transient, reasons::CRASH_LOOP),
    };
    Trouble { kind: TroubleKind::Plain, class, reason, message: told(view), since: None }
}
