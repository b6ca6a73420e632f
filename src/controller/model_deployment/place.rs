//! The place of an endpoint, as messages name it.

use roadstead_api::planning;
use roadstead_api::v1alpha1::InferenceEndpointSpec;
use roadstead_explain::PlaceSummary;

use crate::controller::news::price;

/// The place of an endpoint, for messages.
pub fn place(spec: &InferenceEndpointSpec) -> PlaceSummary<'_> {
    PlaceSummary {
        replicas: u32::try_from(spec.replicas).unwrap_or(0),
        shape: &spec.shape,
        target: &spec.target,
        cloud: &spec.cloud,
        region: &spec.region,
        offer: &spec.offer,
        capacity_type: planning::planner_capacity_type(spec.capacity_type),
        cost: price(spec.hourly_cost.as_ref()),
    }
}
