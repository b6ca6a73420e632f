//! Asks an endpoint itself by what is on record, without a word of its target: address, key and model.

use std::sync::Arc;

use super::inputs;
use super::memory::Memory;
use crate::controller::context::Context;
use crate::controller::serving_target::recorded_probe;
use roadstead_api::v1alpha1::InferenceEndpoint;
use roadstead_provider::probe::{self, ProbeAnswer};
use roadstead_runtime::aside::aside;
use roadstead_runtime::cache::Key;

/// Answer of an endpoint that was ready; `None` if it cannot be asked.
pub async fn ask(context: &Context, memory: &Memory, endpoint: &Arc<InferenceEndpoint>) -> Option<ProbeAnswer> {
    let status = endpoint.status.as_ref().filter(|status| status.first_ready_time.is_some())?;
    let url = status.url.as_deref().filter(|_| endpoint.spec.replicas > 0)?;
    let target = context.caches.targets.get(&Key::cluster(&endpoint.spec.target))?;
    let key = inputs::recorded_key(context, memory, endpoint).await?;
    let (probe, reach) = recorded_probe(context, &target, &endpoint.spec, url, key)?;
    Some(aside(probe::ask(&probe, reach)).await)
}
