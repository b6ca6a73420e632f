//! The way to models of hosted vendors: a listener inside Envoy behind the cluster of a deployment.
//!
//! A hosted model is a host of the deployment's cluster, after all endpoints. Its address is this listener, which holds what
//! Envoy does for no single host of a cluster: a limit of requests, and a log line with the tokens of each answer. No caller
//! reaches the listener from outside of Envoy.

use serde_json::{Value, json};

use crate::files::File;
use crate::route::{HostedModel, Route, Scheme};
use crate::settings::Settings;

use super::replies::hosted_replies;
use super::{CALLER, extension, prefix, seconds, typed};

/// Name of the listener, and prefix of its statistics.
pub(super) const NAME: &str = "hosted";
/// File of the log of answers of hosted models, below the folder of the files.
pub const HOSTED_LOG: &str = "hosted.log";
/// Header that names the hosted model of an attempt, and its name in the host's metadata.
pub(super) const HEADER: &str = "x-roadstead-hosted";
/// Name of the filter that reads usage, and namespace of its metadata.
const USAGE: &str = "roadstead.usage";
/// Reads the usage of answers, and asks streams to state it.
const SCRIPT: &str = include_str!("usage.lua");
/// Name of the filter that limits requests.
const LIMIT: &str = "envoy.filters.http.local_ratelimit";
/// Time for a connection to a vendor.
const CONNECT: &str = "5s";
/// Headers that concern callers and Envoy, and no vendor.
const PRIVATE: [&str; 13] = [
    HEADER,
    CALLER,
    prefix::PATH,
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-envoy-external-address",
    "x-real-ip",
    "true-client-ip",
    "forwarded",
    "x-envoy-expected-rq-timeout-ms",
    "cookie",
    // A caller must not choose the account that pays.
    "openai-organization",
    "openai-project",
];
/// Paths at a vendor that callers reach with the operator's key, and no other: none of them shows or changes what others have there.
const PATHS: &str = "/v1/(chat/completions|completions|embeddings|responses)";

/// The listener.
pub(super) fn listener(settings: &Settings) -> Value {
    let manager = json!({
        "stat_prefix": NAME,
        "rds": {
            "route_config_name": NAME,
            "config_source": {
                "resource_api_version": "V3",
                "path_config_source": {"path": settings.path(&File::Hosted.path())},
            },
        },
        "http_filters": [
            extension(LIMIT, "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit", json!({"stat_prefix": NAME})),
            extension(
                USAGE,
                "envoy.extensions.filters.http.lua.v3.Lua",
                json!({"default_source_code": {"inline_string": SCRIPT}}),
            ),
            extension(
                "envoy.filters.http.router",
                "envoy.extensions.filters.http.router.v3.Router",
                json!({"suppress_envoy_headers": true}),
            ),
        ],
        "local_reply_config": hosted_replies(),
        "access_log": [log(settings)],
        // A stream may last for long: its beginning says that the model serves.
        "access_log_options": {"flush_access_log_on_new_request": true},
        "server_header_transformation": "PASS_THROUGH",
        "stream_idle_timeout": "0s",
        "internal_address_config": {"unix_sockets": false},
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
            "internal_listener": {},
            "per_connection_buffer_limit_bytes": settings.listener.buffer_bytes,
            "filter_chains": [{"filters": [manager]}],
        }),
    )
}

/// One line for each attempt at a hosted model, with the tokens that the answer states.
fn log(settings: &Settings) -> Value {
    let tokens = |kind: &str| format!("%DYNAMIC_METADATA({USAGE}:{kind})%");
    let fields = json!({
        "type": "%ACCESS_LOG_TYPE%",
        "time": "%START_TIME%",
        "request": "%REQ(X-REQUEST-ID)%",
        "hosted": "%ROUTE_NAME%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "millis": "%DURATION%",
        "bytesIn": "%BYTES_RECEIVED%",
        "bytesOut": "%BYTES_SENT%",
        "promptTokens": tokens("prompt"),
        "completionTokens": tokens("completion"),
    });
    extension(
        "envoy.access_loggers.file",
        "envoy.extensions.access_loggers.file.v3.FileAccessLog",
        json!({"path": settings.path(HOSTED_LOG), "log_format": {"json_format": fields, "omit_empty_values": true}}),
    )
}

/// The routes to all hosted models, by the header that the cluster of their deployment adds.
pub(super) fn routes(routes: &[&Route]) -> Value {
    let found: Vec<Value> =
        routes.iter().flat_map(|route| route.hosted.iter().map(|hosted| to_vendor(route, hosted))).collect();
    let host = json!({"name": NAME, "domains": ["*"], "routes": found});
    typed("envoy.config.route.v3.RouteConfiguration", json!({"name": NAME, "virtual_hosts": [host]}))
}

fn to_vendor(route: &Route, hosted: &HostedModel) -> Value {
    let name = route.way(hosted);
    json!({
        "name": name,
        "match": {
            "safe_regex": {"regex": format!("{}{PATHS}", hosted.access.prefix.replace('.', "\\."))},
            "headers": [
                {"name": HEADER, "string_match": {"exact": name}}, {"name": ":method", "string_match": {"exact": "POST"}},
            ],
        },
        "request_headers_to_remove": PRIVATE,
        "metadata": {"filter_metadata": {USAGE: {"asks": hosted.stream_usage}}},
        "route": {
            "cluster": name,
            "timeout": "0s",
            "idle_timeout": seconds(route.limits.idle_seconds),
            "auto_host_rewrite": true,
        },
        "typed_per_filter_config": {LIMIT: limit(hosted)},
    })
}

fn limit(hosted: &HostedModel) -> Value {
    let (requests, window) = hosted.ceiling.share_of_requests();
    let always = |key: &str| json!({"runtime_key": format!("roadstead.hosted.{key}"), "default_value": {"numerator": 100, "denominator": "HUNDRED"}});
    typed(
        "envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        json!({
            "stat_prefix": NAME,
            "token_bucket": {"max_tokens": requests, "tokens_per_fill": requests, "fill_interval": seconds(window)},
            "response_headers_to_add": [{
                "header": {"key": "retry-after", "value": window.to_string()}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }],
            "filter_enabled": always("enabled"),
            "filter_enforced": always("enforced"),
        }),
    )
}

/// The cluster of a hosted model. Envoy resolves the name: vendors change their addresses often.
pub(super) fn cluster(route: &Route, hosted: &HostedModel, settings: &Settings) -> Value {
    let access = &hosted.access;
    let name = route.way(hosted);
    let mut cluster = typed(
        "envoy.config.cluster.v3.Cluster",
        json!({
            "name": name,
            "type": "LOGICAL_DNS",
            "dns_lookup_family": "ALL",
            "dns_refresh_rate": "30s",
            "connect_timeout": CONNECT,
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {
                    "address": {"socket_address": {"address": access.host, "port_value": access.port}},
                    "hostname": access.host,
                }}]}],
            },
        }),
    );
    if access.scheme == Scheme::Https {
        cluster["transport_socket"] = super::tls::tls(access, settings);
    }
    cluster
}
