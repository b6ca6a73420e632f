//! A target in use cannot vanish: its finalizer waits for its last endpoint.

use std::sync::Arc;

use kube::api::{DynamicObject, ListParams};

use crate::controller::context::Context;
use crate::controller::error::ActError;
use crate::controller::find;
use crate::controller::hub::stale;
use kube::ResourceExt;
use roadstead_api::v1alpha1::{ServingTarget, names};

/// Puts our finalizer on a target that does not have it, unless it is being deleted.
///
/// # Errors
/// [`ActError`] of the write.
pub async fn protect(context: &Context, target: Arc<ServingTarget>) -> Result<Arc<ServingTarget>, ActError> {
    if target.metadata.deletion_timestamp.is_some() {
        return Ok(target);
    }
    match context.hub.set_finalizer(target.as_ref(), names::FINALIZER_TARGET, true).await? {
        Some(written) => Ok(context.took(written)),
        None => Ok(target),
    }
}

/// Removes the finalizer of a deleted target if neither the caches nor the hub itself have an endpoint on it; returns
/// true if it did.
///
/// # Errors
/// [`ActError`] of a call.
pub async fn retire(context: &Context, target: &ServingTarget) -> Result<bool, ActError> {
    if context.is_in_use(&target.name_any()) {
        return Ok(false);
    }
    let here = |endpoint: &DynamicObject| endpoint.data["spec"]["target"] == target.name_any().as_str();
    let everywhere = context.settings.watched.tenants();
    if find::has_endpoint(&context.client, &everywhere, &ListParams::default(), here).await? {
        return Err(stale(target));
    }
    context.hub.release(target, names::FINALIZER_TARGET).await?;
    Ok(true)
}
