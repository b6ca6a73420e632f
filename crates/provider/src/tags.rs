//! Purpose of an endpoint, left with it at a place that keeps texts: whose it is, and its part in the plan.

use kube::ResourceExt;
use roadstead_api::planning;
use roadstead_api::v1alpha1::{CapacityType, InferenceEndpoint, limits, names};
use roadstead_model::{self as model, Timestamp};
use serde::{Deserialize, Serialize};

use crate::record;

/// Owner of an endpoint, and its part in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointTags {
    /// Installation.
    pub install_id: String,
    /// Namespace of the deployment.
    pub namespace: String,
    /// Name of the deployment.
    pub deployment: String,
    /// Target.
    pub target: String,
    /// Offer.
    pub offer: String,
    /// Shape.
    pub shape: String,
    /// Capacity type.
    pub capacity_type: CapacityType,
    /// Slot.
    pub slot: u32,
}

/// An endpoint as a listing shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedEndpoint<'a> {
    /// Name.
    pub name: &'a str,
    /// Identity that one of the same name that is made later does not have.
    pub id: &'a str,
    /// Accelerators of one replica.
    pub accelerators: u32,
    /// Replicas that exist.
    pub replicas: u32,
    /// Replicas that answer.
    pub ready_replicas: u32,
    /// Record of its form; empty if there is none.
    pub record: &'a str,
    /// Time of its creation.
    pub created_at: Timestamp,
}

impl EndpointTags {
    /// The tags of an endpoint of this installation.
    #[must_use]
    pub fn of(install_id: &str, endpoint: &InferenceEndpoint) -> Self {
        let spec = &endpoint.spec;
        Self {
            install_id: install_id.to_owned(),
            namespace: endpoint.namespace().unwrap_or_default(),
            deployment: spec.deployment_ref.name.clone(),
            target: spec.target.clone(),
            offer: spec.offer.clone(),
            shape: spec.shape.clone(),
            capacity_type: spec.capacity_type,
            slot: u32::try_from(spec.slot).unwrap_or(0),
        }
    }

    /// The name that an endpoint with these tags has; `None` where no object of the hub has such tags.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let Self { install_id, namespace, deployment, target, offer, shape, capacity_type, slot } = self;
        let capacity_type = planning::planner_capacity_type(*capacity_type);
        let ours = names::are_tags(namespace, deployment, target, offer, shape) && *slot <= limits::LAST_SLOT;
        let name =
            || names::endpoint_name(install_id, namespace, deployment, target, shape, capacity_type.as_str(), *slot);
        ours.then(name)
    }

    /// True if both are of one endpoint. The offer is not part of a name: what was made under another one is the same.
    #[must_use]
    pub fn is_same_endpoint(&self, other: &Self) -> bool {
        *self == Self { offer: self.offer.clone(), ..other.clone() }
    }

    /// A listed endpoint as a rebuilt hub may adopt it; `None` where its tags do not give the name that it has.
    #[must_use]
    pub fn found(&self, listed: ListedEndpoint<'_>) -> Option<model::Found> {
        let name = self.name().filter(|name| name == listed.name && names::is_uid(listed.id))?;
        Some(model::Found {
            id: listed.id.to_owned(),
            name,
            deployment: model::DeploymentId { namespace: self.namespace.clone(), name: self.deployment.clone() },
            target: self.target.clone(),
            offer: self.offer.clone(),
            shape: self.shape.clone(),
            capacity_type: planning::planner_capacity_type(self.capacity_type),
            slot: self.slot,
            accelerators: listed.accelerators,
            replicas: listed.replicas,
            ready_replicas: listed.ready_replicas,
            runs: record::runs(listed.record),
            created_at: listed.created_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(namespace: &str, offer: &str, slot: u32) -> EndpointTags {
        EndpointTags {
            install_id: "prod".to_owned(),
            namespace: namespace.to_owned(),
            deployment: "llama".to_owned(),
            target: "east".to_owned(),
            offer: offer.to_owned(),
            shape: "one".to_owned(),
            capacity_type: CapacityType::OnDemand,
            slot,
        }
    }

    fn found(tags: &EndpointTags, id: &str) -> bool {
        let name = names::endpoint_name("prod", &tags.namespace, "llama", "east", "one", "OnDemand", tags.slot);
        let created_at = Timestamp::default();
        let (accelerators, replicas, ready_replicas, record) = (1, 1, 0, "");
        let listed = ListedEndpoint { name: &name, id, accelerators, replicas, ready_replicas, record, created_at };
        tags.found(listed).is_some()
    }

    #[test]
    fn what_no_object_of_the_hub_can_be_called_is_not_believed() {
        assert!(found(&tags("team", "h100", 3), "0a"));
        for (namespace, offer, slot, id) in [
            ("../team", "h100", 3, "0a"),
            ("team", "h 100", 3, "0a"),
            ("team", "h100", 1001, "0a"),
            ("team", "h100", 3, "a?b"),
            ("team", "h100", 3, ""),
        ] {
            assert!(!found(&tags(namespace, offer, slot), id), "{namespace} {offer} {slot} {id}");
        }
    }

    #[test]
    fn another_offer_is_the_same_endpoint() {
        assert!(tags("team", "a", 0).is_same_endpoint(&tags("team", "b", 0)));
        assert!(!tags("team", "a", 0).is_same_endpoint(&tags("team", "a", 1)));
    }
}
