//! Endpoints without a request in flight at any gateway. Pure.

use roadstead_gateway::{Acks, Route, State};

/// Contact of gateways with an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtRoute {
    /// Callers reach the endpoint through gateways.
    pub is_used: bool,
    /// Every gateway has stopped using it, and nothing is in flight.
    pub is_drained: bool,
}

/// Names of the draining endpoints of a route that every gateway has stopped using: each has applied this revision, in
/// which the endpoint takes no new request, and none has a request in flight there. Without a gateway there is none.
#[must_use]
pub fn drained<'a>(route: &'a Route, gateways: &[Acks]) -> Vec<&'a str> {
    let is_drained = |name: &str| {
        gateways.iter().all(|acks| {
            let ack = acks.routes.get(&route.uid).filter(|ack| ack.revision == route.revision);
            ack.and_then(|ack| ack.in_flight.get(name)) == Some(&0)
        })
    };
    let draining = route.endpoints.iter().filter(|endpoint| endpoint.state == State::Draining);
    draining.map(|endpoint| endpoint.name.as_str()).filter(|name| !gateways.is_empty() && is_drained(name)).collect()
}

/// True if an endpoint that drained or was unverified on the `former` route is gone from the `new` one, and the gateway
/// never applied the former: it is dead, or cut off from the hub.
#[must_use]
pub fn was_silent(former: &Route, new: &Route, gateway: &Acks) -> bool {
    let is_gone = |name: &str| new.endpoints.iter().all(|endpoint| endpoint.name != name);
    let in_move = |state: State| matches!(state, State::Draining | State::Verifying);
    let ended = former.endpoints.iter().any(|endpoint| in_move(endpoint.state) && is_gone(&endpoint.name));
    let ack = gateway.routes.get(&former.uid);
    ended && ack.is_none_or(|ack| ack.revision != former.revision)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn route() -> Route {
        let endpoint = |name: &str, state: &str| json!({"name": name, "scheme": "http", "host": "192.0.2.1", "port": 1, "weight": 1, "state": state});
        serde_json::from_value(json!({
            "namespace": "team", "name": "llama", "uid": "d", "revision": 4, "model": "m", "callers": [],
            "limits": {"firstByteSeconds": 1, "idleSeconds": 1, "maxRequestBytes": 1},
            "endpoints": [endpoint("old", "Draining"), endpoint("new", "Active")],
        }))
        .unwrap()
    }

    fn gateway(revision: u64, in_flight: u64) -> Acks {
        let ack = json!({"revision": revision, "inFlight": {"old": in_flight, "new": 7}});
        serde_json::from_value(json!({"routes": {"d": ack}})).unwrap()
    }

    #[test]
    fn a_gateway_that_did_not_answer_in_a_whole_drain_is_silent() {
        let (former, mut new) = (route(), route());
        assert!(!was_silent(&former, &new, &Acks::default()), "it still drains");
        new.endpoints.remove(0);
        assert!(was_silent(&former, &new, &Acks::default()) && was_silent(&former, &new, &gateway(3, 0)));
        assert!(!was_silent(&former, &new, &gateway(4, 2)), "it answered, whatever was in flight at the deadline");
    }

    #[test]
    fn a_gateway_that_did_not_look_at_a_replacement_until_that_was_withdrawn_is_silent() {
        let (mut former, mut new) = (route(), route());
        former.endpoints[0].state = State::Verifying;
        new.endpoints.remove(0);
        assert!(was_silent(&former, &new, &gateway(3, 0)));
        assert!(!was_silent(&former, &new, &gateway(4, 0)), "it looked, and did not reach it");
    }

    #[test]
    fn an_endpoint_is_drained_when_every_gateway_says_so_of_this_revision() {
        let route = route();
        assert_eq!(drained(&route, &[gateway(4, 0), gateway(4, 0)]), ["old"]);
        for (what, gateways) in [
            ("no gateway", vec![]),
            ("one has a request in flight", vec![gateway(4, 0), gateway(4, 1)]),
            ("one has an older revision", vec![gateway(4, 0), gateway(3, 0)]),
            ("one has not answered", vec![gateway(4, 0), Acks::default()]),
        ] {
            assert!(drained(&route, &gateways).is_empty(), "{what}");
        }
    }
}
