//! Appearance of an import at the place. Pure.

use super::wire::{ImportView, JobView, TaggedImport};
use crate::observed::{ShownFailure, ShownModel};
use crate::place::BedrockPlace;

/// State of a job that failed.
pub const FAILED: &str = "Failed";

/// The import as it is shown.
#[must_use]
pub fn shown<'a>(place: &BedrockPlace, import: &'a TaggedImport) -> ShownModel<'a> {
    let TaggedImport { view, tags } = import;
    match view {
        ImportView::Model(model) => {
            ShownModel { tags, url: Some(place.url(&model.model_arn)), waits: None, failure: None }
        }
        ImportView::Job(job) => ShownModel {
            tags,
            url: None,
            waits: Some(format!("Bedrock imports the model: job {} is {}", job.job_name, job.status)),
            failure: failure(job),
        },
    }
}

fn failure(job: &JobView) -> Option<ShownFailure<'_>> {
    let cause = job.failure_message.as_deref();
    (job.status == FAILED).then_some(ShownFailure { work: "the import at Bedrock", cause })
}
