//! The endpoints of a deployment by their roles: as the plan assigns them, or as they were published where none was made.

use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use roadstead_model::{Plan, Role};

use roadstead_api::v1alpha1::{EndpointState, InferenceEndpoint, ModelDeploymentStatus, PlacementRole};

/// The records of a deployment's endpoints by their roles.
#[derive(Debug, Default)]
pub struct Roles<'a> {
    /// Those that the deployment relies on.
    pub serving: Vec<&'a Arc<InferenceEndpoint>>,
    /// Those that are to take over.
    pub replacements: Vec<&'a Arc<InferenceEndpoint>>,
    /// Those that stand by.
    pub standby: Vec<&'a Arc<InferenceEndpoint>>,
    /// Those that drain or are being removed.
    pub draining: Vec<&'a Arc<InferenceEndpoint>>,
}

impl<'a> Roles<'a> {
    /// The roles that `plan` assigns; without a plan those that `former` published.
    pub fn of(endpoints: &'a [Arc<InferenceEndpoint>], plan: Option<&Plan>, former: &ModelDeploymentStatus) -> Self {
        let mut roles = Self::default();
        for endpoint in endpoints {
            let known = plan.map_or_else(|| published(former, endpoint), |plan| planned(plan, endpoint));
            match known.unwrap_or_else(|| recorded(endpoint, endpoints)) {
                Role::Serving => roles.serving.push(endpoint),
                Role::Replacement => roles.replacements.push(endpoint),
                Role::Standby => roles.standby.push(endpoint),
                Role::Draining => roles.draining.push(endpoint),
            }
        }
        // The newest first: of two replacements it takes over.
        for all in [&mut roles.serving, &mut roles.replacements] {
            all.sort_by_key(|endpoint| std::cmp::Reverse(age(endpoint)));
        }
        roles
    }

    /// Serving endpoints, then replacements, then standbys.
    pub fn live(&self) -> impl Iterator<Item = (&'a Arc<InferenceEndpoint>, PlacementRole)> {
        let of = [
            (&self.serving, PlacementRole::Serving),
            (&self.replacements, PlacementRole::Replacement),
            (&self.standby, PlacementRole::Standby),
        ];
        of.into_iter().flat_map(|(endpoints, role)| endpoints.iter().map(move |endpoint| (*endpoint, role)))
    }
}

fn planned(plan: &Plan, endpoint: &InferenceEndpoint) -> Option<Role> {
    let (name, slot) = (endpoint.name_any(), u32::try_from(endpoint.spec.slot).ok()?);
    plan.allocations.iter().find(|allocation| allocation.is_of(&name, slot)).map(|allocation| allocation.role)
}

fn published(former: &ModelDeploymentStatus, endpoint: &InferenceEndpoint) -> Option<Role> {
    if is_going(endpoint) {
        return Some(Role::Draining);
    }
    let name = endpoint.name_any();
    let placement = former.placements.iter().find(|placement| placement.endpoint == name)?;
    Some(match placement.role {
        PlacementRole::Serving => Role::Serving,
        PlacementRole::Replacement => Role::Replacement,
        PlacementRole::Standby => Role::Standby,
    })
}

/// The role of an endpoint without a known decision, from its record.
fn recorded(endpoint: &InferenceEndpoint, all: &[Arc<InferenceEndpoint>]) -> Role {
    let replaces =
        |other: &Arc<InferenceEndpoint>| endpoint.spec.replaces.as_ref() == Some(&other.name_any()) && !is_going(other);
    if is_going(endpoint) {
        Role::Draining
    } else if endpoint.spec.state == EndpointState::Standby {
        Role::Standby
    } else if all.iter().any(replaces) {
        Role::Replacement
    } else {
        Role::Serving
    }
}

/// True if an endpoint is on its way out. It may be billed until it is confirmed gone.
fn is_going(endpoint: &InferenceEndpoint) -> bool {
    endpoint.metadata.deletion_timestamp.is_some() || endpoint.spec.state == EndpointState::Draining
}

/// Greater for what is younger.
fn age(endpoint: &InferenceEndpoint) -> (Option<Timestamp>, i32) {
    (endpoint.metadata.creation_timestamp.as_ref().map(|time| time.0), endpoint.spec.slot)
}
