//! A deployment that is being deleted: it goes when the last endpoint is confirmed gone.

use std::sync::Arc;

use super::status_write;
use crate::controller::context::Context;
use crate::controller::error::ActError;
use crate::controller::find;
use crate::controller::hub::{Expect, stale};
use roadstead_api::v1alpha1::{ModelDeployment, names};
use roadstead_runtime::queue::Outcome;

/// Asks for the deletion of every endpoint that this installation made, and lets the deployment go when the hub itself
/// lists none any more.
///
/// # Errors
/// [`ActError`] of a write.
pub async fn retire(context: &Context, object: &Arc<ModelDeployment>) -> Result<Outcome, ActError> {
    let endpoints = context.endpoints_of(object);
    let (foreign, ours): (Vec<_>, Vec<_>) = endpoints.iter().partition(|endpoint| context.is_foreign(endpoint));
    let left: Vec<_> = ours.iter().filter(|endpoint| endpoint.metadata.deletion_timestamp.is_none()).collect();
    // The cache may lag behind, and an endpoint that it shows may be that of another deployment that has the name by now.
    if !left.is_empty() && !context.hub.confirm(object.as_ref(), Expect::Going).await? {
        return Err(stale(object.as_ref()));
    }
    for endpoint in left {
        if let Some(deleting) = context.hub.delete(endpoint.as_ref()).await? {
            context.took(deleting);
        }
    }
    if endpoints.is_empty() {
        if find::has_endpoint_of(&context.client, object, |_| true).await? {
            return Err(stale(object.as_ref()));
        }
        context.hub.release(object.as_ref(), names::FINALIZER_DEPLOYMENT).await?;
        return Ok(Outcome::Done);
    }
    // Each endpoint that goes brings the deployment back.
    if !foreign.is_empty() {
        return Ok(Outcome::Done);
    }
    status_write::deleting(context, object).await
}
