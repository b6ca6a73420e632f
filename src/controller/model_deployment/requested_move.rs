//! Ends a requested move: the annotation that asked for it is removed once the deployment serves where it was to go.

use std::sync::Arc;

use kube::ResourceExt;
use roadstead_model::{Phase, Plan, Role};
use serde_json::json;

use super::Planned;
use crate::controller::context::Context;
use crate::controller::error::ActError;
use roadstead_api::v1alpha1::{ModelDeployment, names};
use roadstead_runtime::cache::Key;

/// Removes the annotation of a move that is done, so that a later failover is not undone by it.
///
/// # Errors
/// [`ActError`] of the write.
pub async fn end(context: &Context, planned: &Planned) -> Result<(), ActError> {
    let Some(to) = planned.request.move_to.as_ref().filter(|to| is_done(&planned.plan, to)) else { return Ok(()) };
    let newest = context.caches.deployments.get(&Key::of(planned.object.as_ref()));
    let asks = |object: &Arc<ModelDeployment>| {
        object.annotations().get(names::ANNOTATION_MOVE_TO).is_some_and(|asked| asked.trim() == to)
    };
    let Some(newest) = newest.filter(asks) else { return Ok(()) };
    let change = json!({"metadata": {"annotations": {names::ANNOTATION_MOVE_TO: null}}});
    let written = context.hub.patch(newest.as_ref(), change).await?;
    context.took(written);
    Ok(())
}

/// True if everything that serves is ready on `target`, and nothing is to take over from it.
fn is_done(plan: &Plan, target: &str) -> bool {
    let mut serving = plan.allocations.iter().filter(|one| one.role == Role::Serving).peekable();
    serving.peek().is_some()
        && serving.all(|one| one.target == target && one.phase == Phase::Ready)
        && plan.allocations.iter().all(|one| one.role != Role::Replacement)
}
