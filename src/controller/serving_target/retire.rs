//! A target in use cannot vanish: its finalizer waits for its last endpoint.

use std::sync::Arc;

use kube::api::{Api, DynamicObject, ListParams};

use crate::api::v1alpha1::{ServingTarget, names};
use crate::controller::context::Context;
use crate::controller::error::ActError;
use crate::controller::hub;
use kube::ResourceExt;

/// Puts our finalizer on a target that does not have it, unless it is being deleted.
///
/// # Errors
/// [`ActError`] of the write.
pub async fn protect(context: &Context, target: Arc<ServingTarget>) -> Result<Arc<ServingTarget>, ActError> {
    if target.metadata.deletion_timestamp.is_some() {
        return Ok(target);
    }
    let api: Api<ServingTarget> = Api::all(context.client.clone());
    match hub::set_finalizer(&api, target.as_ref(), names::FINALIZER_TARGET, true).await? {
        Some(written) => Ok(context.took_target(written)),
        None => Ok(target),
    }
}

/// Lets a deleted target go if it is known, and the hub itself says, that no endpoint is on it any more; says whether it
/// went.
///
/// # Errors
/// [`ActError`] of a call.
pub async fn retire(context: &Context, target: &ServingTarget) -> Result<bool, ActError> {
    if context.is_in_use(&target.name_any()) {
        return Ok(false);
    }
    let here = |endpoint: &DynamicObject| endpoint.data["spec"]["target"] == target.name_any().as_str();
    let everywhere = context.settings.watched.tenants();
    if hub::has_endpoint(&context.client, &everywhere, &ListParams::default(), here).await? {
        return Err(ActError::Stale { object: target.name_any() });
    }
    let api: Api<ServingTarget> = Api::all(context.client.clone());
    hub::set_finalizer(&api, target, names::FINALIZER_TARGET, false).await?;
    Ok(true)
}
