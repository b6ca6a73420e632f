//! Appearance of a throughput at the place. Pure.

use super::wire::{TaggedThroughput, ThroughputView};
use crate::observed::{ShownFailure, ShownModel};
use crate::place::BedrockPlace;

/// State of a throughput that failed.
const FAILED: &str = "Failed";

/// The throughput as it is shown. What has served may serve in a state that this version does not know: probes decide.
#[must_use]
pub fn shown<'a>(place: &BedrockPlace, throughput: &'a TaggedThroughput, has_served: bool) -> ShownModel<'a> {
    let TaggedThroughput { view, tags } = throughput;
    ShownModel {
        tags,
        url: (view.serves() || (has_served && view.is_in_unknown_state()))
            .then(|| place.url(&view.provisioned_model_arn)),
        waits: (!view.serves()).then(|| format!("Bedrock provides the model units: their state is {}", view.status)),
        failure: failure(view),
    }
}

fn failure(view: &ThroughputView) -> Option<ShownFailure<'_>> {
    let cause = view.failure_message.as_deref();
    (view.status == FAILED).then_some(ShownFailure { work: "the purchase of model units at Bedrock", cause })
}
