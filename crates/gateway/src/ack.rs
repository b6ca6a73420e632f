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
    /// Endpoints that answer this gateway or do not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sees: Sees,
    /// Hosted models that take requests, or have reached their ceilings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hosted: HostedUses,
    /// Grows at short intervals while the operator asks steadily about an endpoint.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beat: u64,
}

/// Use of hosted models by a gateway, by the UID of the deployment and the name of the way to the model. A model that stands by has
/// none.
pub type HostedUses = BTreeMap<String, BTreeMap<String, HostedUse>>;

/// Use of a hosted model by a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostedUse {
    /// Kind of use.
    pub state: HostedUseState,
    /// Since when, in seconds since the epoch by the gateway's clock.
    pub since: i64,
}

/// Kind of use of a hosted model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostedUseState {
    /// It takes requests.
    Serving,
    /// It takes none until the hour ends, because its ceiling of cost is reached.
    CeilingReached,
}

/// Endpoints that answer a gateway or do not, by the UID of the deployment and the name of the endpoint.
pub type Sees = BTreeMap<String, BTreeMap<String, Answering>>;

/// Result of a gateway's health checks of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answering {
    /// True if the endpoint answers.
    pub answers: bool,
    /// Since when, in seconds since the epoch by the gateway's clock.
    pub since: i64,
    /// True if the gateway asks it nothing, for want of a token that it must mint.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lacks_token: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
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
