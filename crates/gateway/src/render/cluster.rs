//! The cluster of a deployment: how its endpoints are chosen, watched and reached.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::files::File;
use crate::route::{Endpoint, Route, Scheme, State};
use crate::settings::Settings;

use super::endpoints::{assignment, hosts, socket_of};
use super::tls::tls;
use super::{Addresses, extension, typed};
use super::{bedrock, hosted, model, paths, prefix, refusal};

/// Time for a connection: an endpoint that drops packets costs a request no more than this before another is tried.
const CONNECT: &str = "1s";
/// Time in milliseconds after which a connection ends whose peer acknowledges nothing: a request in flight at a place that is
/// cut off is then sent to another one.
const UNACKNOWLEDGED_MILLIS: u32 = 10_000;
/// Age at which a connection to an endpoint takes no further request. A Service chooses a pod for each connection, so new replicas
/// get their share of the requests within this time.
const CONNECTION_AGE: &str = "20s";
/// `IPPROTO_TCP` and `TCP_USER_TIMEOUT` of Linux (tcp(7)).
const TCP_USER_TIMEOUT: (u32, u32) = (6, 18);
/// Requests at once to one deployment through one gateway; more are answered 429.
const MAX_REQUESTS: u32 = 1024;
/// Requests that wait for a connection.
const MAX_PENDING: u32 = 256;
/// Connections to one deployment from one gateway.
const MAX_CONNECTIONS: u32 = 4096;

pub(super) fn cluster(route: &Route, settings: &Settings) -> Value {
    let endpoints = settings.path(&File::Endpoints(route.uid.clone()).path());
    let poll = format!("{:.3}s", f64::from(settings.poll_millis) / 1000.0);
    let mut cluster = common(&route.cluster(), route, settings);
    let more = json!({
        "type": "EDS",
        "eds_cluster_config": {
            "service_name": route.cluster(),
            "eds_config": {
                "resource_api_version": "V3",
                // Polled: each watched file takes an inotify instance, and the kernel has 128 for a user.
                "path_config_source": {"path": endpoints, "poll_interval": poll},
            },
        },
        "lb_policy": "LEAST_REQUEST",
        // Where weights differ, they alone decide: Envoy else divides them by the requests in flight, and an endpoint with a
        // tenth of the weight gets a quarter of a steady load. Equal weights go by requests in flight.
        "least_request_lb_config": {
            "active_request_bias": {"default_value": 0.0, "runtime_key": "roadstead.active_request_bias"},
        },
        // At 1 instead of 50 %, unhealthy endpoints get requests only where nothing is healthy.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
        "ignore_health_on_host_removal": true,
        // At most half is ejected: a lone endpoint never is, and of two one.
        "outlier_detection": {
            "consecutive_5xx": 5, "consecutive_gateway_failure": 3, "enforcing_consecutive_gateway_failure": 100,
            "interval": "1s", "base_ejection_time": "5s", "max_ejection_percent": 50,
        },
        "circuit_breakers": {"thresholds": [{
            "max_requests": MAX_REQUESTS, "max_connections": MAX_CONNECTIONS, "max_pending_requests": MAX_PENDING,
            "retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 10},
        }]},
    });
    merge(&mut cluster, more);
    if let Some(choice) = paths::choice(route) {
        cluster["lb_subset_config"] = choice;
    }
    if !route.hosted.is_empty() {
        // With a hosted model the only endpoint can be ejected, which then costs money: not for errors that a caller can cause.
        cluster["outlier_detection"]["enforcing_consecutive_5xx"] = json!(0);
    }
    if let Some(path) = &route.health_path {
        cluster["health_checks"] = json!([{
            "interval": "2s", "no_traffic_interval": "2s", "timeout": "1s",
            "unhealthy_threshold": 2, "healthy_threshold": 1,
            "http_health_check": {"path": path},
        }]);
    }
    cluster
}

/// Endpoints that are asked before callers reach them.
pub(super) fn verifying(route: &Route) -> impl Iterator<Item = &Endpoint> {
    route.endpoints.iter().filter(|endpoint| endpoint.state == State::Verifying && !endpoint.lacks_token())
}

/// The cluster of one endpoint that is being verified; `None` while its host has no address.
pub(super) fn verifying_cluster(
    route: &Route,
    endpoint: &Endpoint,
    addresses: &Addresses,
    settings: &Settings,
) -> Option<Value> {
    let hosts = hosts(endpoint, endpoint.weight, addresses);
    if hosts.is_empty() {
        return None;
    }
    let name = route.verifying_cluster(endpoint);
    let mut cluster = common(&name, route, settings);
    cluster["type"] = json!("STATIC");
    let mut assigned = assignment(&name, &[json!({"lb_endpoints": hosts})]);
    if let Some(fields) = assigned.as_object_mut() {
        fields.remove("@type");
    }
    cluster["load_assignment"] = assigned;
    Some(cluster)
}

fn common(name: &str, route: &Route, settings: &Settings) -> Value {
    let mut cluster = typed(
        "envoy.config.cluster.v3.Cluster",
        json!({
            "name": name,
            "connect_timeout": CONNECT,
            // A peer that is silent while an answer is awaited is asked whether it is there.
            "upstream_connection_options": {
                "tcp_keepalive": {"keepalive_time": 5, "keepalive_interval": 2, "keepalive_probes": 3},
            },
            "upstream_bind_config": {"socket_options": [{
                "description": "TCP_USER_TIMEOUT", "level": TCP_USER_TIMEOUT.0, "name": TCP_USER_TIMEOUT.1,
                "int_value": UNACKNOWLEDGED_MILLIS, "state": "STATE_PREBIND",
            }]},
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed(
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    json!({
                        "common_http_protocol_options": {"max_connection_duration": CONNECTION_AGE},
                        "explicit_http_config": {"http_protocol_options": {}},
                        "upstream_http_protocol_options": {"auto_sni": true, "auto_san_validation": true},
                        "http_filters": filters(route),
                    }),
                ),
            },
        }),
    );
    if is_kept(route) {
        cluster["per_connection_buffer_limit_bytes"] = json!(settings.listener.buffer_bytes);
    }
    let sockets = sockets(route, settings);
    if !sockets.is_empty() {
        cluster["transport_socket_matches"] = json!(sockets);
    }
    cluster
}

/// True if filters of the deployment keep a request until it is complete.
pub(super) fn is_kept(route: &Route) -> bool {
    route.renames_model() || is_at_bedrock(route)
}

/// Filters of each attempt, after the endpoint is chosen: they add the endpoint's own credential and prefix.
fn filters(route: &Route) -> Value {
    let has_prefix = route.everywhere().any(|endpoint| !endpoint.prefix.is_empty());
    let has_other_name = route.renames_model();
    let has_bedrock = is_at_bedrock(route);
    let mut headers: BTreeSet<&str> = route.everywhere().filter_map(header).collect();
    headers.extend(has_prefix.then_some(prefix::HEADER));
    headers.extend(has_other_name.then_some(model::HEADER));
    headers.extend(has_bedrock.then_some(bedrock::HEADER));
    headers.extend((!route.hosted.is_empty()).then_some(hosted::HEADER));
    let refusals = refusal::filter(route);
    headers.extend(refusals.is_some().then_some(refusal::HEADER));
    let mutations: Vec<Value> = headers
        .into_iter()
        .map(|header| {
            json!({"append": {
                "header": {"key": header, "value": format!("%UPSTREAM_METADATA(roadstead:{header})%")},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }})
        })
        .collect();
    let codec = extension(
        "envoy.filters.http.upstream_codec",
        "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
        json!({}),
    );
    let credential = extension(
        "credential",
        "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        json!({"mutations": {"request_mutations": mutations}}),
    );
    let mut filters = vec![credential];
    filters.extend(refusals);
    filters.extend(has_prefix.then(prefix::filter));
    filters.extend(has_other_name.then(|| model::filter(route)));
    filters.extend(has_bedrock.then(bedrock::filter));
    filters.push(codec);
    json!(filters)
}

/// True if an endpoint is a model of Bedrock.
fn is_at_bedrock(route: &Route) -> bool {
    route.endpoints.iter().any(|endpoint| bedrock::name(endpoint.protocol).is_some())
}

/// Header of an endpoint's credential. It is the same before its token is minted: a cluster that changes loses count of its
/// requests in flight.
fn header(endpoint: &Endpoint) -> Option<&str> {
    match (&endpoint.credential, &endpoint.token) {
        (Some(credential), _) => Some(&credential.header),
        (None, Some(source)) => Some(source.header().0),
        (None, None) => None,
    }
}

/// The ways to connect: one for each set of authorities, and plain text for the rest.
fn sockets(route: &Route, settings: &Settings) -> Vec<Value> {
    let secure = route.endpoints.iter().filter(|endpoint| endpoint.scheme == Scheme::Https);
    let by_name: BTreeMap<String, &Endpoint> = secure.map(|endpoint| (socket_of(endpoint), endpoint)).collect();
    let mut sockets: Vec<Value> = by_name
        .into_iter()
        .map(|(name, endpoint)| {
            json!({"name": name, "match": {"tls": name}, "transport_socket": tls(endpoint, settings)})
        })
        .collect();
    if !sockets.is_empty() {
        sockets.push(json!({
            "name": "plain",
            "match": {},
            "transport_socket": extension(
                "envoy.transport_sockets.raw_buffer",
                "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer",
                json!({}),
            ),
        }));
    }
    sockets
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}
