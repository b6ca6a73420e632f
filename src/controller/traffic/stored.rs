//! Routes and reports of gateways as objects on the hub hold them.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use roadstead_gateway::{Acks, Route};

/// Key of the route in its Secret.
pub const ROUTE: &str = "route";
/// Key of a gateway's report in its ConfigMap.
pub const ACKS: &str = "acks";

/// The route in a Secret; `None` if it cannot be read.
#[must_use]
pub fn read(secret: &Secret) -> Option<Route> {
    serde_json::from_slice(&secret.data.as_ref()?.get(ROUTE)?.0).ok()
}

/// The report in a ConfigMap; one that cannot be read says nothing of any route.
#[must_use]
pub fn acks(report: &ConfigMap) -> Acks {
    let text = report.data.as_ref().and_then(|data| data.get(ACKS));
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
