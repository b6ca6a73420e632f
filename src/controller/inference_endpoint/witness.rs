//! Asks an endpoint itself by what is on record, without a word of its target: address, key and model.

use std::sync::Arc;

use super::heard::Heard;
use super::inputs;
use super::memory::Memory;
use crate::controller::context::Context;
use crate::controller::serving_target::recorded_probe;
use roadstead_api::v1alpha1::{InferenceEndpoint, ProbeVia};
use roadstead_provider::probe::{self, ProbeAnswer};
use roadstead_runtime::aside::aside;
use roadstead_runtime::cache::Key;

/// Testimony about an endpoint that was ready, without a word of its target.
pub async fn ask(context: &Context, memory: &Memory, endpoint: &Arc<InferenceEndpoint>) -> Heard {
    let probe = ask_itself(context, memory, endpoint).await;
    Heard { probe, gateways: context.word_of_gateways(endpoint) }
}

/// Answer of an endpoint that was ready to the operator; `None` if that does not ask.
async fn ask_itself(context: &Context, memory: &Memory, endpoint: &Arc<InferenceEndpoint>) -> Option<ProbeAnswer> {
    let status = endpoint.status.as_ref().filter(|status| status.first_ready_time.is_some())?;
    let url = status.url.as_deref().filter(|_| endpoint.spec.replicas > 0)?;
    let target = context.caches.targets.get(&Key::cluster(&endpoint.spec.target))?;
    match target.spec.probe_via() {
        ProbeVia::Gateway => None,
        ProbeVia::APIServerProxy => Some(ProbeAnswer::Unreachable {
            message: "the API server of the target, through which the endpoint is asked, does not answer".to_owned(),
        }),
        ProbeVia::Direct => {
            let key = inputs::recorded_key(context, memory, endpoint).await?;
            let (probe, reach) = recorded_probe(context, &target, &endpoint.spec, url, key)?;
            // The driver may have to add credentials of its own, which it has also while its service does not answer.
            let connection = context.connections.get(&endpoint.spec.target);
            Some(match connection.and_then(|connection| connection.provider.clone()) {
                Some(driver) => aside(driver.ask(&probe)).await,
                None => aside(probe::ask(&probe, reach)).await,
            })
        }
    }
}
