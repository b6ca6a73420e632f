//! The listener and its filters. It stays the same during the life of a pod, whatever the routes are.

use serde_json::{Value, json};

use crate::files::File;
use crate::settings::{Settings, Tls};

use super::replies::local_replies;
use super::{CALLER, extension, seconds, shared, tokens, typed};

/// File of the access log, below the folder of the files. The process beside Envoy reads it and counts.
pub const ACCESS_LOG: &str = "access.log";
/// Name of the listener.
pub(super) const NAME: &str = "callers";
/// Prefix of the listener's statistics.
pub(super) const STATS: &str = "gateway";
/// Seconds in which the headers of a request must have arrived.
const HEADERS_SECONDS: u32 = 30;
/// Seconds after which a silent connection without a request is closed.
const IDLE_SECONDS: u32 = 3600;
/// Kilobytes of a request's headers.
const MAX_HEADERS: u32 = 64;

pub(super) fn listener(settings: &Settings) -> Value {
    let listener = &settings.listener;
    let manager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let mut chain = json!({
        "filters": [extension("envoy.filters.network.http_connection_manager", manager, connections(settings))],
    });
    if listener.tls.is_some() {
        chain["transport_socket"] = tls(settings);
    }
    typed(
        "envoy.config.listener.v3.Listener",
        json!({
            "name": NAME,
            "address": {"socket_address": {"address": listener.address, "port_value": listener.port}},
            "per_connection_buffer_limit_bytes": listener.buffer_bytes,
            "filter_chains": [chain],
        }),
    )
}

fn connections(settings: &Settings) -> Value {
    let listener = &settings.listener;
    json!({
        "stat_prefix": STATS,
        "rds": {
            "route_config_name": "routes",
            "config_source": {
                "resource_api_version": "V3",
                "path_config_source": {"path": settings.path(&File::Routes.path())},
            },
        },
        "http_filters": filters(settings),
        "local_reply_config": local_replies(),
        "access_log": [access_log(settings)],
        "use_remote_address": true,
        "xff_num_trusted_hops": listener.trusted_hops,
        "always_set_request_id_in_response": true,
        "preserve_external_request_id": true,
        "normalize_path": true,
        "merge_slashes": true,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "server_name": "roadstead",
        "server_header_transformation": "PASS_THROUGH",
        "max_request_headers_kb": MAX_HEADERS,
        "request_headers_timeout": seconds(HEADERS_SECONDS),
        "stream_idle_timeout": "0s",
        "drain_timeout": seconds(settings.drain_seconds),
        "common_http_protocol_options": {
            "idle_timeout": seconds(IDLE_SECONDS), "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65536,
            "initial_connection_window_size": 1_048_576,
        },
    })
}

fn filters(settings: &Settings) -> Value {
    let mut filters =
        vec![extension("limit", "envoy.extensions.filters.http.filter_chain.v3.FilterChainConfig", json!({}))];
    if settings.listener.shared {
        let mut reader = json!({"name": shared::READER, "typed_config": shared::reader()});
        reader["disabled"] = json!(true);
        filters.push(reader);
    }
    filters.push(extension(
        "envoy.filters.http.api_key_auth",
        "envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
        // Without a route there is no key: the answer is 401.
        json!({
            "credentials": [],
            "key_sources": [{"header": "Authorization"}],
            "forwarding": {"header": CALLER, "hide_credentials": true},
        }),
    ));
    if settings.listener.tokens {
        filters.push(tokens::filter());
    }
    filters.push(extension(
        "envoy.filters.http.router",
        "envoy.extensions.filters.http.router.v3.Router",
        json!({"suppress_envoy_headers": true}),
    ));
    Value::Array(filters)
}

/// One line of JSON per request; neither bodies nor keys.
fn access_log(settings: &Settings) -> Value {
    let mut fields = json!({
        "time": "%START_TIME%",
        "request": "%REQ(X-REQUEST-ID)%",
        "deployment": "%ROUTE_NAME%",
        "endpoint": "%UPSTREAM_METADATA(roadstead:name)%",
        "caller": format!("%REQ({})%", CALLER.to_uppercase()),
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:ORIG_OR_PATH)%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "firstByteMillis": "%RESPONSE_DURATION%",
        "millis": "%DURATION%",
        "bytesIn": "%BYTES_RECEIVED%",
        "bytesOut": "%BYTES_SENT%",
        "from": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    });
    if let Some(fields) = fields.as_object_mut().filter(|_| settings.listener.tokens) {
        fields.extend(tokens::fields());
    }
    extension(
        "envoy.access_loggers.file",
        "envoy.extensions.access_loggers.file.v3.FileAccessLog",
        json!({"path": settings.path(ACCESS_LOG), "log_format": {"json_format": fields, "omit_empty_values": true}}),
    )
}

fn tls(settings: &Settings) -> Value {
    extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        json!({"common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
            "tls_certificate_sds_secret_configs": [{
                "name": "server",
                "sds_config": {
                    "resource_api_version": "V3",
                    "path_config_source": {"path": settings.path(&File::Certificate.path())},
                },
            }],
        }}),
    )
}

/// The certificate: Envoy reads the files again when the folder changes, as kubelet changes it.
pub(super) fn certificate(tls: &Tls) -> Value {
    typed(
        "envoy.extensions.transport_sockets.tls.v3.Secret",
        json!({
            "name": "server",
            "tls_certificate": {
                "certificate_chain": {"filename": format!("{}/tls.crt", tls.folder)},
                "private_key": {"filename": format!("{}/tls.key", tls.folder)},
                "watched_directory": {"path": tls.folder},
            },
        }),
    )
}
