//! Report on an endpoint to the core. Pure.

use roadstead_api::v1alpha1::ExternalId;
use roadstead_provider::probe::{Probe, ProbeQuestion};
use roadstead_provider::template_hash::digest;
use roadstead_provider::{Present, Progress, Trouble, TroubleKind};

use crate::failure;
use crate::form::CommonForm;
use crate::ownership::{self, FORM};
use crate::wire::BedrockTags;

/// An endpoint as its place shows it.
#[derive(Debug)]
pub struct ShownModel<'a> {
    /// Its tags.
    pub tags: &'a BedrockTags,
    /// Its address, once it may take requests.
    pub url: Option<String>,
    /// A sentence that names what it waits for; `None` once it serves.
    pub waits: Option<String>,
    /// Its failure.
    pub failure: Option<ShownFailure<'a>>,
}

/// A failure that the place shows.
#[derive(Debug)]
pub struct ShownFailure<'a> {
    /// The work that failed.
    pub work: &'a str,
    /// The place's own words on the cause.
    pub cause: Option<&'a str>,
}

/// The endpoint as its place shows it, compared with the wanted form.
#[must_use]
pub fn present(shown: ShownModel<'_>, form: &CommonForm, external_id: ExternalId) -> Present {
    let ShownModel { tags, url, waits, failure } = shown;
    let is_form = ownership::get(tags, FORM) == form.digest;
    Present {
        in_sync: is_form && form.is_in(tags),
        interrupts: false,
        changed_by_admission: Vec::new(),
        external_id,
        template_hash: if is_form { form.template_hash.clone() } else { String::new() },
        template_digest: digest(ownership::get(tags, FORM)),
        replicas: 1,
        ready_replicas: i32::from(url.is_some()),
        probe: url.as_ref().map(|url| Probe::of_guarded(url, &form.model_name, ProbeQuestion::Completion)),
        progress: waits.map_or(Progress::Serving, |message| Progress::Starting { message }),
        trouble: failure.as_ref().map(trouble),
        url,
    }
}

fn trouble(failed: &ShownFailure<'_>) -> Trouble {
    let ShownFailure { work, cause } = failed;
    let cause = cause.unwrap_or("Bedrock names no cause");
    let (class, reason) = failure::late(cause);
    Trouble { kind: TroubleKind::Plain, class, reason, message: format!("{work} failed: {cause}"), since: None }
}
