//! From routes to Envoy's files.
//!
//! The structure and its reasons: one cluster of type EDS per deployment, each with a polled file of endpoints, so that a
//! change of an endpoint touches nothing else and requests in flight stay countable; one listener for callers that never
//! changes, and one to verify endpoints; keys of endpoints in their metadata, so that each attempt carries the key of the endpoint that it goes to.

mod answers;
mod bedrock;
mod bootstrap;
mod cluster;
mod endpoints;
mod hosted;
mod limits;
mod listener;
mod model;
mod paths;
mod prefix;
mod refusal;
mod replies;
mod routes;
mod serving;
mod shared;
mod tls;
mod tokens;
mod verification;

pub use hosted::HOSTED_LOG;
pub use listener::ACCESS_LOG;
pub use verification::path_to_verify;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};

use crate::files::{Content, File, Files, ONLY};
use crate::route::{Endpoint, Route};
use crate::settings::Settings;

/// Namespace of the metadata of hosts and routes.
const NAMESPACE: &str = "roadstead";

/// IP addresses of the endpoints' hosts, as far as names could be resolved.
pub type Addresses = BTreeMap<String, Vec<IpAddr>>;

/// Renders the whole configuration. The order of `routes` makes no difference. An endpoint whose host has no address is
/// left out.
#[must_use]
pub fn render(routes: &[Route], addresses: &Addresses, settings: &Settings) -> Files {
    let mut sorted: Vec<&Route> = routes.iter().collect();
    sorted.sort_by_key(|route| (&route.namespace, &route.name));
    let mut files = BTreeMap::from([
        (File::Bootstrap, Content::Plain(bootstrap::bootstrap(settings))),
        (File::Listeners, listeners(settings)),
        (File::Routes, one(routes::routes(&sorted, settings))),
        (File::Verification, one(verification::routes(&sorted))),
        (File::Hosted, one(hosted::routes(&sorted))),
    ]);
    if let Some(tls) = &settings.listener.tls {
        files.insert(File::Certificate, one(listener::certificate(tls)));
    }
    let mut clusters = BTreeMap::new();
    for route in &sorted {
        clusters.insert(route.cluster(), cluster::cluster(route, settings));
        for endpoint in cluster::verifying(route) {
            if let Some(verifying) = cluster::verifying_cluster(route, endpoint, addresses, settings) {
                clusters.insert(route.verifying_cluster(endpoint), verifying);
            }
        }
        for model in &route.hosted {
            clusters.insert(route.way(model), hosted::cluster(route, model, settings));
        }
        files.insert(File::Endpoints(route.uid.clone()), one(endpoints::endpoints(route, addresses)));
    }
    files.insert(File::Clusters, Content::Resources(clusters));
    Files(files)
}

fn listeners(settings: &Settings) -> Content {
    let all = [
        (listener::NAME, listener::listener(settings)),
        (verification::NAME, verification::listener(settings)),
        (hosted::NAME, hosted::listener(settings)),
    ];
    Content::Resources(all.map(|(name, resource)| (name.to_owned(), resource)).into())
}

fn one(resource: Value) -> Content {
    Content::Resources(BTreeMap::from([(ONLY.to_owned(), resource)]))
}

/// Version of a route's file of endpoints.
#[must_use]
pub fn endpoints_version(route: &Route, addresses: &Addresses) -> String {
    one(endpoints::endpoints(route, addresses)).version()
}

/// Addresses of an endpoint.
pub(crate) fn addresses_of<'a>(endpoint: &Endpoint, addresses: &'a Addresses) -> &'a [IpAddr] {
    addresses.get(&endpoint.host).map_or(&[], |all| &all[..all.len().min(ADDRESSES)])
}

/// The most addresses that are used of one host. A multiple of each number up to it divides a weight evenly.
const ADDRESSES: usize = 4;

/// The header that tells an endpoint and the log which caller asks.
const CALLER: &str = "x-roadstead-client";

/// A configuration with its type.
fn typed(of: &str, mut config: Value) -> Value {
    config["@type"] = json!(format!("type.googleapis.com/{of}"));
    config
}

/// An extension with its name.
fn extension(name: &str, of: &str, config: Value) -> Value {
    json!({"name": name, "typed_config": typed(of, config)})
}

/// A number of seconds as Envoy's JSON has it.
fn seconds(count: u32) -> String {
    format!("{count}s")
}

#[cfg(test)]
pub(crate) mod tests;
