//! Reports of a gateway to the operator during a move.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::render::{Addresses, addresses_of};
use crate::route::Endpoint;

/// Reports of one gateway, by the UID of the deployment. A route without a move has none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Acks {
    /// The reports.
    pub routes: BTreeMap<String, Ack>,
}

/// Report about one route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ack {
    /// Revision of the route that Envoy has applied; 0 while that is not the newest.
    pub revision: u64,
    /// Requests in flight by endpoint.
    pub in_flight: BTreeMap<String, u64>,
    /// Endpoints that this gateway has verified and callers do not reach yet.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub verified: BTreeSet<String>,
}

/// Addresses with ports under which Envoy knows an endpoint.
#[must_use]
pub fn hosts_of_endpoint(endpoint: &Endpoint, addresses: &Addresses) -> Vec<String> {
    let with_port = |address: &std::net::IpAddr| std::net::SocketAddr::new(*address, endpoint.port).to_string();
    addresses_of(endpoint, addresses).iter().map(with_port).collect()
}
