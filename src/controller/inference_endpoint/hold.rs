//! Finalizers: an endpoint's own, and that of its deployment, on before anything is spent.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::Api;

use crate::api::v1alpha1::{InferenceEndpoint, ModelDeployment, names};
use crate::controller::context::{Context, is_unheld};
use crate::controller::error::ActError;
use crate::controller::hub;
use crate::kube_ext::queue::Outcome;

/// A burst is over when there was no crowd of deployments to be planned for so long.
const LULL: Duration = Duration::from_millis(500);
/// What was placed so long ago is started, however many are being planned. Not much sooner: on a slow server the starts
/// would slow down the planning, and so make more of themselves.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// Puts our finalizer on an endpoint that has lost it: without it the record would go before what it stands for.
///
/// # Errors
/// [`ActError`] of the write.
pub async fn endpoint(context: &Context, endpoint: Arc<InferenceEndpoint>) -> Result<Arc<InferenceEndpoint>, ActError> {
    let api: Api<InferenceEndpoint> = hub::api_of(&context.client, endpoint.as_ref());
    match hub::set_finalizer(&api, endpoint.as_ref(), names::FINALIZER_ENDPOINT, true).await? {
        Some(written) => Ok(context.took_endpoint(written)),
        None => Ok(endpoint),
    }
}

/// Puts our finalizer on the deployment of an endpoint, for nothing is made for a deployment that could go first; `None`
/// once it is there, or when to look again.
///
/// It is put on when the deployment's status tells of the placement, which is what users wait for; that wakes the
/// endpoint. Where many deployments come at once, all are placed before the first of them is started, within limits. A
/// deployment that is gone or going is not held.
///
/// # Errors
/// [`ActError`] of the write.
pub async fn deployment(context: &Context, endpoint: &InferenceEndpoint) -> Result<Option<Outcome>, ActError> {
    let Some(deployment) = context.deployment_of(endpoint) else { return Ok(None) };
    let held = hub::has_finalizer(deployment.as_ref(), names::FINALIZER_DEPLOYMENT);
    if held || deployment.metadata.deletion_timestamp.is_some() {
        return Ok(None);
    }
    if !is_unheld(&deployment) {
        return Ok(Some(Outcome::Done));
    }
    if context.queues.deployments.was_crowded(LULL) && age_of(endpoint) < PATIENCE {
        return Ok(Some(Outcome::Again(LULL)));
    }
    let api: Api<ModelDeployment> = hub::api_of(&context.client, deployment.as_ref());
    let Some(written) = hub::set_finalizer(&api, deployment.as_ref(), names::FINALIZER_DEPLOYMENT, true).await? else {
        return Ok(Some(Outcome::Done));
    };
    context.took_deployment(written);
    Ok(None)
}

fn age_of(endpoint: &InferenceEndpoint) -> SignedDuration {
    let created = endpoint.metadata.creation_timestamp.as_ref();
    created.map_or(SignedDuration::MAX, |created| Timestamp::now().duration_since(created.0))
}
