//! Carries a plan out, action by action. It has no choices left; the first failure ends it, and all is planned anew.

use std::sync::Arc;

use kube::ResourceExt;
use kube::api::{Api, PostParams};
use roadstead_planner::{Action, Exhaust, Keep};
use serde_json::json;

use super::{Planned, build};
use crate::api::v1alpha1::{EndpointState, InferenceEndpoint, ServingTarget, names};
use crate::controller::context::Context;
use crate::controller::error::ActError;
use crate::controller::{convert, hub};
use crate::kube_ext::cache::Key;
use crate::kube_ext::client::call;
use crate::kube_ext::patch::merge_patch;

/// Carries out the actions of a plan in their order.
///
/// # Errors
/// [`ActError`] of the first write that failed; nothing after it was tried.
pub async fn execute(context: &Context, planned: &Planned) -> Result<(), ActError> {
    for action in &planned.plan.actions {
        match action {
            Action::Create { placement, replaces, reason } => {
                let endpoint = build::new(context, planned, placement, replaces.as_deref(), reason.as_str())?;
                create(context, planned, endpoint).await?;
            }
            Action::Adopt { found, drain_until } => {
                let endpoint = build::adopted(context, planned, found, *drain_until)?;
                create(context, planned, endpoint).await?;
            }
            Action::Keep(keep) => keep_as(context, planned, keep).await?,
            Action::Drain { endpoint, deadline, reason } => {
                let change = json!({"spec": {
                    "state": EndpointState::Draining,
                    "deadline": convert::time(*deadline),
                    "reason": reason.as_str(),
                }});
                patch(context, planned, endpoint, change).await?;
            }
            Action::Delete { endpoint, exhaust: refusal, .. } => {
                // The refusal is recorded first: after a crash in between the place would be tried again.
                if let Some(refusal) = refusal {
                    exhaust(context, planned, refusal).await?;
                }
                delete(context, planned, endpoint).await?;
            }
        }
    }
    Ok(())
}

fn existing(context: &Context, planned: &Planned, name: &str) -> Option<Arc<InferenceEndpoint>> {
    context.caches.endpoints.get(&Key::new(&planned.request.id.namespace, name))
}

async fn create(context: &Context, planned: &Planned, endpoint: InferenceEndpoint) -> Result<(), ActError> {
    let api = hub::api_of(&context.client, planned.object.as_ref());
    let params = PostParams { field_manager: Some(names::FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let created = call("create inferenceendpoint", api.create(&params, &endpoint)).await?;
    context.metrics.placed(planned.plan.decision.as_str());
    context.took_endpoint(created);
    Ok(())
}

/// Brings an endpoint that stays to its replicas and, where the plan says so, to the deployment's pod fields.
async fn keep_as(context: &Context, planned: &Planned, keep: &Keep) -> Result<(), ActError> {
    let Some(endpoint) = existing(context, planned, &keep.endpoint) else { return Ok(()) };
    let wanted = build::kept(planned, &endpoint, keep);
    let change = merge_patch(&serde_json::to_value(&endpoint.spec)?, &serde_json::to_value(&wanted)?);
    match change {
        Some(change) => patch(context, planned, &keep.endpoint, json!({"spec": change})).await,
        None => Ok(()),
    }
}

async fn patch(context: &Context, planned: &Planned, name: &str, change: serde_json::Value) -> Result<(), ActError> {
    let Some(endpoint) = existing(context, planned, name) else { return Ok(()) };
    let api: Api<InferenceEndpoint> = hub::api_of(&context.client, endpoint.as_ref());
    let written = hub::patch(&api, endpoint.as_ref(), change).await?;
    context.took_endpoint(written);
    Ok(())
}

async fn delete(context: &Context, planned: &Planned, name: &str) -> Result<(), ActError> {
    let Some(endpoint) = existing(context, planned, name) else { return Ok(()) };
    let api: Api<InferenceEndpoint> = hub::api_of(&context.client, endpoint.as_ref());
    if let Some(deleting) = hub::delete(&api, endpoint.as_ref()).await? {
        context.took_endpoint(deleting);
    }
    Ok(())
}

/// Records at the target that an offer refused a size, to be left alone for a growing while.
async fn exhaust(context: &Context, planned: &Planned, refusal: &Exhaust) -> Result<(), ActError> {
    let Some(target) = context.caches.targets.get(&Key::cluster(&refusal.target)) else { return Ok(()) };
    let former = target.status.clone().unwrap_or_default();
    let mut status = former.clone();
    status.exhausted = build::exhausted(&former.exhausted, refusal, planned.plan.decided_at);
    let api: Api<ServingTarget> = Api::all(context.client.clone());
    if let Some(written) = hub::patch_status(&api, target.as_ref(), &former, &status).await? {
        tracing::info!(
            target = target.name_any(),
            offer = refusal.offer,
            reason = refusal.reason,
            "left alone for a while"
        );
        context.took_target(written);
    }
    Ok(())
}
