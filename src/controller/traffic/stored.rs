//! A route as its Secret holds it.

use k8s_openapi::api::core::v1::Secret;
use roadstead_gateway::Route;

/// Key of the route in its Secret.
pub const ROUTE: &str = "route";

/// The route in a Secret; `None` if it cannot be read.
#[must_use]
pub fn read(secret: &Secret) -> Option<Route> {
    serde_json::from_slice(&secret.data.as_ref()?.get(ROUTE)?.0).ok()
}
