//! Writes a deployment's status, and publishes transitions as events.

use std::sync::Arc;
use std::time::Duration;

use kube::ResourceExt;
use roadstead_model::{Action, Plan};

use super::Planned;
use super::burst;
use super::candidates;
use super::news::{self, DeploymentTurn};
use super::progress;
use super::status::{self, ReconcileStage};
use crate::controller::context::Context;
use crate::controller::error::ActError;
use crate::controller::hub::Told;
use crate::controller::tell::tell;
use crate::controller::throttle::Urgency;
use crate::controller::traffic::keys;
use roadstead_api::v1alpha1::validate::Problem;
use roadstead_api::v1alpha1::{ModelDeployment, ModelDeploymentStatus};
use roadstead_runtime::cache::Key;
use roadstead_runtime::queue::Outcome;

/// The longest until the next plan, which what was just carried out brings about by itself.
const NEXT_PLAN: Duration = Duration::from_secs(1);

/// Reports an executed plan; returns the time at which a delayed status is due.
///
/// # Errors
/// [`ActError`] of the write.
pub async fn planned(context: &Context, planned: &Planned) -> Result<Option<Duration>, ActError> {
    if is_half_told(&planned.plan) {
        tell_withdrawals(context, planned);
        return Ok(Some(NEXT_PLAN));
    }
    let hosted = context.hosted_of(&planned.object);
    let stage = ReconcileStage::Planned {
        plan: &planned.plan,
        outdated: planned.outdated,
        has_gateway: context.settings.gateway.is_some(),
        hosted: &hosted,
    };
    write(context, &planned.object, &stage).await
}

/// True if the next plan, which follows at once, knows more: the end of a back-off is known once the refusal is
/// recorded at its target.
pub(super) fn is_half_told(plan: &Plan) -> bool {
    plan.actions.iter().any(|action| matches!(action, Action::Delete { exhaust: Some(_), .. }))
}

/// Tells of the endpoints that a plan deletes before they served, where no status is written of that plan.
fn tell_withdrawals(context: &Context, planned: &Planned) {
    let endpoints = context.endpoints_of(&planned.object);
    for news in news::withdrawals(&planned.plan, &endpoints) {
        tell(context, planned.object.as_ref(), &news);
    }
}

/// Reports a spec that says something that cannot be.
///
/// # Errors
/// [`ActError`] of the write.
pub async fn invalid(
    context: &Context,
    object: &Arc<ModelDeployment>,
    problems: &[Problem],
) -> Result<Outcome, ActError> {
    let held_back = write(context, object, &ReconcileStage::Invalid(problems)).await?;
    Ok(held_back.map_or(Outcome::Done, Outcome::Again))
}

/// Reports the removal of a deployment's endpoints.
///
/// # Errors
/// [`ActError`] of the write.
pub async fn deleting(context: &Context, object: &Arc<ModelDeployment>) -> Result<Outcome, ActError> {
    let held_back = write(context, object, &ReconcileStage::Deleting).await?;
    Ok(held_back.map_or(Outcome::Done, Outcome::Again))
}

/// The address at the gateway and the Secret with its callers' keys, once the route is written.
fn address(context: &Context, object: &ModelDeployment) -> Option<(String, String)> {
    let gateway = context.settings.gateway.as_ref()?;
    context.route_of(object)?;
    let url = gateway.url_of(&object.namespace().unwrap_or_default(), &object.name_any());
    Some((url, keys::secret_of(object)))
}

/// One patch, if anything but times changed; or how long what changed is held back.
async fn write(
    context: &Context,
    object: &Arc<ModelDeployment>,
    stage: &ReconcileStage<'_>,
) -> Result<Option<Duration>, ActError> {
    let key = Key::of(object.as_ref());
    let newest = context.caches.deployments.get(&key).unwrap_or_else(|| Arc::clone(object));
    let object = decided_about(object, &newest);
    let endpoints = context.endpoints_of(&object);
    let former = object.status.clone().unwrap_or_default();
    // An edit is answered at once: its author waits.
    let is_edited = Some(former.observed_generation) != object.metadata.generation;
    if matches!(stage, ReconcileStage::Planned { .. })
        && !is_edited
        && let Some(wait) = burst::wait(context, &endpoints)
    {
        return Ok(Some(wait));
    }
    let now = context.clock.wall();
    let (url, keys_secret_name) = address(context, &object).unzip();
    let status = ModelDeploymentStatus { url, keys_secret_name, ..status::status(&object, stage, &endpoints, now) };
    let urgency = match stage {
        ReconcileStage::Planned { .. } => progress::urgency(&former, &status, object.spec.replicas),
        ReconcileStage::Invalid(_) | ReconcileStage::Deleting => Urgency::Now,
    };
    if urgency == Urgency::InTurn
        && let Some(wait) = candidates::wait(&former, now)
    {
        return Ok(Some(wait));
    }
    let answer = match context.hub.tell(newest.as_ref(), &former, &status, urgency).await? {
        Told::Written(answer) => answer,
        Told::Same => return Ok(None),
        Told::HeldBack(wait) => return Ok(Some(wait)),
    };
    let plan = match stage {
        ReconcileStage::Planned { plan, .. } => Some(*plan),
        ReconcileStage::Invalid(_) | ReconcileStage::Deleting => None,
    };
    let turn = DeploymentTurn { former: &former, status: &status, plan, endpoints: &endpoints };
    for news in turn.news() {
        tell(context, object.as_ref(), &news);
    }
    context.took(answer);
    Ok(None)
}

/// The object as it was decided about, with the newest status: an edit that came since is not what the status is of.
fn decided_about(object: &Arc<ModelDeployment>, newest: &Arc<ModelDeployment>) -> Arc<ModelDeployment> {
    if object.metadata.generation == newest.metadata.generation {
        return Arc::clone(newest);
    }
    Arc::new(ModelDeployment { status: newest.status.clone(), ..object.as_ref().clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_of_the_generation_that_was_decided_about() {
        let object = |generation: i64, replicas: i32, observed: i64| -> Arc<ModelDeployment> {
            let object = json!({
                "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
                "metadata": {"name": "llama", "generation": generation},
                "spec": {"replicas": replicas, "serving": {"engine": "custom", "image": "i", "shapes": []}},
                "status": {"observedGeneration": observed},
            });
            Arc::new(serde_json::from_value(object).unwrap())
        };
        let (planned, edited) = (object(2, 1, 1), object(3, 5, 2));
        let told = decided_about(&planned, &edited);
        assert_eq!((told.metadata.generation, told.spec.replicas), (Some(2), 1));
        assert_eq!(told.status, edited.status, "the newest status is what is patched");
        let told = decided_about(&object(3, 5, 1), &edited);
        assert_eq!(told.status, edited.status);
    }
}
