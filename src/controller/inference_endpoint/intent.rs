//! Intent before effect: the hub records a creation before the provider is asked for it.
//!
//! The creation of a deployment's first endpoint is announced by the finalizer that is put on the deployment for it, which
//! saves a write to the endpoint; every other creation is announced in the endpoint's status. So a record
//! without a status may have been requested as soon as its deployment has the finalizer; its first status contains the intent.

use std::sync::Arc;

use kube::ResourceExt;
use kube::api::Api;

use super::first_creation::was_told;
use super::memory::Memory;
use crate::controller::context::Context;
use crate::controller::error::ActError;
use crate::controller::hub::{self, Expect};
use roadstead_api::planning;
use roadstead_api::v1alpha1::{
    CreateIntent, InferenceEndpoint, InferenceEndpointStatus, ModelDeployment, names, reasons,
};
use roadstead_runtime::client::call_opt;

/// The intent that no status tells yet, if the provider was asked.
pub fn untold(memory: &Memory, endpoint: &InferenceEndpoint) -> Option<CreateIntent> {
    if was_told(endpoint) {
        return None;
    }
    memory.first_creation(endpoint, |first, endpoint| first.intent(endpoint))
}

/// True if the status says that a provider may have something for the endpoint. What was adopted is there without an
/// intent of ours.
pub fn is_told(endpoint: &InferenceEndpoint) -> bool {
    is_made(endpoint) || endpoint.status.as_ref().is_some_and(|status| status.create_intent.is_some())
}

/// True if the status says that the provider has made the endpoint.
pub fn is_made(endpoint: &InferenceEndpoint) -> bool {
    endpoint.status.as_ref().is_some_and(|status| status.external_id.is_some())
        || endpoint.spec.reason == reasons::ADOPTED
}

/// True if a provider may have been asked for the endpoint, by this process or a former one.
///
/// # Errors
/// [`ActError`] of a quorum read: nothing is forgotten on the word of a cache.
pub async fn may_be_asked(context: &Context, memory: &Memory, endpoint: &InferenceEndpoint) -> Result<bool, ActError> {
    if is_told(endpoint) {
        return Ok(true);
    }
    if was_told(endpoint) || endpoint.spec.replaces.is_some() {
        return Ok(false);
    }
    if memory.first_creation(endpoint, |first, endpoint| first.is_announced(endpoint)) {
        return Ok(false);
    }
    if untold(memory, endpoint).is_some() {
        return Ok(true);
    }
    is_held(context, endpoint).await
}

/// True if the endpoint's deployment is held, or was: it may be gone by now.
async fn is_held(context: &Context, endpoint: &InferenceEndpoint) -> Result<bool, ActError> {
    let reference = &endpoint.spec.deployment_ref;
    let api: Api<ModelDeployment> = Api::namespaced(context.client.clone(), &endpoint.namespace().unwrap_or_default());
    let deployment = call_opt("get modeldeployment", api.get_metadata(&reference.name)).await?;
    Ok(deployment.is_none_or(|found| {
        found.metadata.uid.as_ref() != Some(&reference.uid) || hub::has_finalizer(&found, names::FINALIZER_DEPLOYMENT)
    }))
}

/// The first status of an endpoint tells what was asked: one without an intent says that nothing was.
///
/// # Errors
/// [`ActError`] of a quorum read.
pub async fn tell(
    context: &Context,
    memory: &Memory,
    endpoint: &InferenceEndpoint,
    status: &mut InferenceEndpointStatus,
) -> Result<(), ActError> {
    let is_first = !was_told(endpoint) && status.observed_generation >= 0;
    // What was adopted is there without an intent of ours.
    let says_nothing = status.create_intent.is_none() && endpoint.spec.reason != reasons::ADOPTED;
    if is_first && says_nothing && may_be_asked(context, memory, endpoint).await? {
        status.create_intent = Some(CreateIntent { attempt: 1, time: planning::api_time(context.clock.wall()) });
    }
    Ok(())
}

/// Sees to it that the hub knows of a creation before it is asked for, and that the endpoint is still wanted in this form.
///
/// Either the deployment was just held for it, or the intent is written to the endpoint's status: that write fails if the
/// endpoint changed, and so confirms as much as a quorum read. The intent of a failed creation stays: a place that
/// refuses for hours is not worth a write each time.
///
/// # Errors
/// [`ActError`] of the write or the read; [`ActError::Stale`] where the endpoint is not wanted in this form any more.
pub async fn announce(
    context: &Context,
    memory: &Memory,
    endpoint: &Arc<InferenceEndpoint>,
) -> Result<Arc<InferenceEndpoint>, ActError> {
    let former = endpoint.status.clone().unwrap_or_default();
    let stands = former.create_intent.is_some() && former.last_error.is_some();
    if stands || memory.first_creation(endpoint, |first, endpoint| first.is_announced(endpoint)) {
        confirm(context, endpoint).await?;
        let now = context.clock.wall();
        if stands || memory.first_creation(endpoint, |first, endpoint| first.ask(endpoint, now)) {
            return Ok(Arc::clone(endpoint));
        }
    }
    write(context, endpoint, former).await
}

async fn write(
    context: &Context,
    endpoint: &Arc<InferenceEndpoint>,
    former: InferenceEndpointStatus,
) -> Result<Arc<InferenceEndpoint>, ActError> {
    let attempt = former.create_intent.as_ref().map_or(0, |intent| intent.attempt) + 1;
    let intent = CreateIntent { attempt, time: planning::api_time(context.clock.wall()) };
    let status = InferenceEndpointStatus { create_intent: Some(intent), ..former.clone() };
    let written = context.hub.record(endpoint.as_ref(), &former, &status).await?;
    let newest = written.map(|written| context.took(written));
    newest.filter(|newest| newest.metadata.deletion_timestamp.is_none()).ok_or_else(|| hub::stale(endpoint.as_ref()))
}

/// A quorum read: what spends or destroys is not asked for on the word of a cache.
///
/// # Errors
/// [`ActError`] of the read; [`ActError::Stale`] where the endpoint is not wanted in this form any more.
pub async fn confirm(context: &Context, endpoint: &InferenceEndpoint) -> Result<(), ActError> {
    if context.hub.confirm(endpoint, Expect::Unchanged).await? { Ok(()) } else { Err(hub::stale(endpoint)) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controller::inference_endpoint::first_creation::tests::record;

    #[test]
    fn a_status_says_what_was_asked() {
        let told = |status: serde_json::Value| is_told(&record("a", None, &status));
        assert!(!told(json!({})) && !told(json!({"observedGeneration": 1})));
        assert!(told(json!({"createIntent": {"attempt": 1, "time": "1970-01-01T00:00:10Z"}})));
        assert!(told(json!({"externalID": {"clusterUID": "c", "namespace": "n", "uid": "u"}})));
    }
}
