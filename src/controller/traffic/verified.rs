//! Endpoints that a gateway must verify before they take over. Pure.

use std::collections::BTreeSet;

use kube::ResourceExt;
use roadstead_gateway::{Acks, Endpoint, Route, State};

use roadstead_api::v1alpha1::{InferenceEndpoint, ModelDeployment, PlacementRole};

/// Names of the endpoints on a route that at least one gateway has verified in this revision; `None` if no gateway reports,
/// so that there is no caller who would go through one.
#[must_use]
pub fn verified(route: &Route, gateways: &[Acks]) -> Option<BTreeSet<String>> {
    let acks = gateways.iter().filter_map(|acks| acks.routes.get(&route.uid));
    let current = acks.filter(|ack| ack.revision == route.revision);
    (!gateways.is_empty()).then(|| current.flat_map(|ack| ack.verified.iter().cloned()).collect())
}

/// True if a gateway has verified an endpoint that the route still has as unverified.
#[must_use]
pub fn is_due(route: &Route, gateways: &[Acks]) -> bool {
    let verified = verified(route, gateways);
    let unverified = route.endpoints.iter().filter(|endpoint| endpoint.state == State::Verifying);
    unverified.into_iter().any(|endpoint| verified.as_ref().is_none_or(|verified| verified.contains(&endpoint.name)))
}

/// True if an endpoint is to take over from another one that serves: it replaces one, and its deployment does not rely on it
/// yet.
#[must_use]
pub fn is_successor(endpoint: &InferenceEndpoint, owner: Option<&ModelDeployment>) -> bool {
    let placements = owner.and_then(|owner| owner.status.as_ref()).map_or(&[][..], |status| &status.placements);
    let name = endpoint.name_any();
    let serves =
        placements.iter().any(|placement| placement.endpoint == name && placement.role == PlacementRole::Serving);
    endpoint.spec.replaces.is_some() && endpoint.spec.replicas > 0 && !serves
}

/// True if the endpoint takes its whole share of the callers' requests by this route.
#[must_use]
pub fn is_in_service(endpoint: &Endpoint) -> bool {
    endpoint.state != State::Verifying && endpoint.shift.is_none()
}

#[cfg(test)]
mod tests {
    use roadstead_gateway::ShiftProgress;
    use serde_json::json;

    use super::*;

    fn route() -> Route {
        let endpoint = |name: &str, state: &str| json!({"name": name, "scheme": "http", "host": "192.0.2.1", "port": 1, "weight": 1, "state": state});
        serde_json::from_value(json!({
            "namespace": "team", "name": "llama", "uid": "d", "revision": 4, "model": "m", "callers": [],
            "limits": {"firstByteSeconds": 1, "idleSeconds": 1, "maxRequestBytes": 1},
            "endpoints": [endpoint("old", "Active"), endpoint("new", "Verifying")],
        }))
        .unwrap()
    }

    fn gateway(revision: u64, verified: &[&str]) -> Acks {
        let ack = json!({"revision": revision, "inFlight": {}, "verified": verified});
        serde_json::from_value(json!({"routes": {"d": ack}})).unwrap()
    }

    #[test]
    fn one_gateway_that_verified_an_endpoint_in_this_revision_is_enough() {
        let route = route();
        assert!(is_due(&route, &[gateway(4, &[]), gateway(4, &["new"])]));
        for (what, gateways) in [
            ("nobody verified it", vec![gateway(4, &[])]),
            ("another revision", vec![gateway(3, &["new"])]),
            ("another endpoint", vec![gateway(4, &["old"])]),
            ("no report of this route", vec![Acks::default()]),
        ] {
            assert!(!is_due(&route, &gateways), "{what}");
        }
    }

    #[test]
    fn without_a_gateway_nothing_is_verified() {
        assert!(is_due(&route(), &[]));
        assert_eq!(verified(&route(), &[]), None);
    }

    #[test]
    fn an_endpoint_is_in_service_once_it_is_verified_and_takes_its_whole_share() {
        let mut route = route();
        assert!(is_in_service(&route.endpoints[0]) && !is_in_service(&route.endpoints[1]));
        route.endpoints[1].state = State::Active;
        assert!(is_in_service(&route.endpoints[1]));
        route.endpoints[1].shift = Some(ShiftProgress { from: "old".to_owned(), percent: 10, step: 0, until: 0 });
        assert!(!is_in_service(&route.endpoints[1]));
    }
}
