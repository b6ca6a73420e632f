//! The listener and the routes by which the process beside Envoy asks an endpoint before callers reach it.
//!
//! The listener is a unix socket: no caller reaches it, so it needs neither a key nor a certificate. Behind it, a request
//! takes the way of a caller's: to the same cluster, with the credential, the prefix and the certificates of the endpoint.

use serde_json::{Value, json};

use crate::files::File;
use crate::route::{Endpoint, Route};
use crate::settings::Settings;

use super::{cluster, extension, seconds, typed};

/// Name of the listener and prefix of its statistics.
pub(super) const NAME: &str = "verification";
/// Seconds for one answer.
const ANSWER_SECONDS: u32 = 5;

/// Path below which an endpoint is asked.
#[must_use]
pub fn path_to_verify(route: &Route, endpoint: &Endpoint) -> String {
    format!("/{}{}", route.verifying_cluster(endpoint), endpoint.question.path())
}

pub(super) fn listener(settings: &Settings) -> Value {
    let manager = json!({
        "stat_prefix": NAME,
        "rds": {
            "route_config_name": NAME,
            "config_source": {
                "resource_api_version": "V3",
                "path_config_source": {"path": settings.path(&File::Verification.path())},
            },
        },
        "http_filters": [extension(
            "envoy.filters.http.router",
            "envoy.extensions.filters.http.router.v3.Router",
            json!({"suppress_envoy_headers": true}),
        )],
    });
    let manager = extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        manager,
    );
    typed(
        "envoy.config.listener.v3.Listener",
        json!({
            "name": NAME,
            "address": {"pipe": {"path": settings.paths.verification, "mode": 0o600}},
            "filter_chains": [{"filters": [manager]}],
        }),
    )
}

/// The routes to all endpoints that are being verified. Any other path answers 404.
pub(super) fn routes(routes: &[&Route]) -> Value {
    let found: Vec<Value> = routes
        .iter()
        .flat_map(|route| cluster::verifying(route).map(|endpoint| to_endpoint(route, endpoint)))
        .collect();
    let host = json!({"name": NAME, "domains": ["*"], "routes": found});
    typed("envoy.config.route.v3.RouteConfiguration", json!({"name": NAME, "virtual_hosts": [host]}))
}

fn to_endpoint(route: &Route, endpoint: &Endpoint) -> Value {
    json!({
        "match": {"path": path_to_verify(route, endpoint)},
        "route": {
            "cluster": route.verifying_cluster(endpoint),
            "prefix_rewrite": endpoint.question.path(),
            "auto_host_rewrite": true,
            "timeout": seconds(ANSWER_SECONDS),
        },
    })
}
