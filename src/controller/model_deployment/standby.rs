//! The condition of a deployment's standby. Pure.

use kube::ResourceExt;
use roadstead_explain::{self as explain, DeploymentMessage};
use roadstead_model::{Decision, Plan, Wait};

use super::place::place;
use super::roles::Roles;
use roadstead_api::v1alpha1::conditions::{self, FALSE, TRUE};
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, reasons};

/// Status, reason and message of `StandbyReady`; nothing where no standby is wanted.
pub fn condition(
    object: &ModelDeployment,
    plan: &Plan,
    has_gateway: bool,
    roles: &Roles<'_>,
) -> Option<(&'static str, String, String)> {
    if object.spec.failover.standby.replicas == 0 || object.spec.replicas == 0 {
        return None;
    }
    let is_false = |reason: &str, message: String| (FALSE, reason.to_owned(), message);
    if !has_gateway {
        return Some(is_false(reasons::NO_GATEWAY, DeploymentMessage::StandbyWithoutGateway.to_string()));
    }
    if let Some(endpoint) = roles.standby.first() {
        return Some(of_endpoint(endpoint));
    }
    let place = plan.waits.iter().find(|wait| matches!(wait, Wait::StandbyPlace { .. }));
    Some(match place {
        Some(wait) => is_false(Decision::NoFeasiblePlacement.as_str(), explain::wait(wait)),
        None => is_false(reasons::AWAITING_REPLICAS, DeploymentMessage::StandbyLater.to_string()),
    })
}

fn of_endpoint(endpoint: &InferenceEndpoint) -> (&'static str, String, String) {
    let status = endpoint.status.as_ref();
    let ready = status.and_then(|status| conditions::find(&status.conditions, conditions::READY));
    if ready.is_some_and(|ready| ready.status == TRUE) {
        let message = DeploymentMessage::StandbyReady(place(&endpoint.spec)).to_string();
        return (TRUE, reasons::STANDS_BY.to_owned(), message);
    }
    let (reason, message) = ready.map_or((reasons::STARTING, ""), |ready| (&ready.reason, &ready.message));
    let message = DeploymentMessage::StandbyUnready { endpoint: &endpoint.name_any(), reason, message }.to_string();
    (FALSE, reason.to_owned(), message)
}
