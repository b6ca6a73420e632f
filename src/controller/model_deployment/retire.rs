//! A deployment that is being deleted: it goes when the last endpoint is confirmed gone.

use std::sync::Arc;

use kube::ResourceExt;
use kube::api::Api;

use super::status_write;
use crate::api::v1alpha1::{ModelDeployment, names};
use crate::controller::context::Context;
use crate::controller::error::ActError;
use crate::controller::hub;
use crate::kube_ext::cache::Key;
use crate::kube_ext::client::call_opt;
use crate::kube_ext::queue::Outcome;

/// Asks for the deletion of every endpoint, and lets the deployment go when the hub itself lists none any more.
///
/// # Errors
/// [`ActError`] of a write.
pub async fn retire(context: &Context, object: &Arc<ModelDeployment>) -> Result<Outcome, ActError> {
    let endpoints = context.endpoints_of(object);
    let left: Vec<_> = endpoints.iter().filter(|endpoint| endpoint.metadata.deletion_timestamp.is_none()).collect();
    if !left.is_empty() {
        confirm(context, object).await?;
    }
    for endpoint in left {
        let api = hub::api_of(&context.client, endpoint.as_ref());
        if let Some(deleting) = hub::delete(&api, endpoint.as_ref()).await? {
            context.took_endpoint(deleting);
        }
    }
    if endpoints.is_empty() {
        if hub::has_endpoint_of(&context.client, object, |_| true).await? {
            return Err(ActError::Stale { object: Key::of(object.as_ref()).to_string() });
        }
        let api = hub::api_of::<ModelDeployment>(&context.client, object.as_ref());
        hub::set_finalizer(&api, object.as_ref(), names::FINALIZER_DEPLOYMENT, false).await?;
        return Ok(Outcome::Done);
    }
    // Each endpoint that goes brings the deployment back.
    status_write::deleting(context, object).await
}

/// A quorum read before anything is deleted: the cache may lag behind, and an endpoint that it shows may be that of another
/// deployment that has the name by now.
async fn confirm(context: &Context, object: &ModelDeployment) -> Result<(), ActError> {
    let api: Api<ModelDeployment> = hub::api_of(&context.client, object);
    let newest = call_opt("get modeldeployment", api.get(&object.name_any())).await?;
    let is_going =
        newest.is_some_and(|newest| newest.uid() == object.uid() && newest.metadata.deletion_timestamp.is_some());
    if is_going { Ok(()) } else { Err(ActError::Stale { object: Key::of(object).to_string() }) }
}
