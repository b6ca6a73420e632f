//! Part of an endpoint in traffic by its record. Pure.

use roadstead_api::v1alpha1::{EndpointState, Health, InferenceEndpoint};

/// True if an endpoint does not answer its probe.
pub fn fails(endpoint: &InferenceEndpoint) -> bool {
    endpoint.status.as_ref().and_then(|status| status.health).is_some_and(Health::is_failing)
}

/// True if an endpoint drains or is being removed.
pub fn leaves(endpoint: &InferenceEndpoint) -> bool {
    endpoint.metadata.deletion_timestamp.is_some() || endpoint.spec.state == EndpointState::Draining
}
