//! Configuration that Envoy starts with.

use serde_json::{Value, json};

use crate::files::File;
use crate::settings::Settings;

use super::{extension, listener};

/// Paths of the administration that the process beside Envoy uses; others answer 403. None of them shows a key.
const ADMIN_PATHS: [&str; 6] = ["/ready", "/stats", "/clusters", "/drain_listeners", "/healthcheck/", "/reopen_logs"];

pub(super) fn bootstrap(settings: &Settings) -> Value {
    let watched = |file: &File| json!({"resource_api_version": "V3", "path_config_source": {"path": settings.path(&file.path())}});
    json!({
        "node": {"id": "gateway", "cluster": "roadstead"},
        "admin": {
            "address": {"pipe": {"path": settings.paths.admin, "mode": 0o600}},
            "allow_paths": ADMIN_PATHS.map(|path| json!({"prefix": path})),
        },
        "dynamic_resources": {"lds_config": watched(&File::Listeners), "cds_config": watched(&File::Clusters)},
        "cluster_manager": {"local_cluster_name": ""},
        "bootstrap_extensions": [extension(
            "envoy.bootstrap.internal_listener",
            "envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
            json!({}),
        )],
        // A thousand deployments would have two hundred thousand statistics, of which the process beside Envoy reads these.
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": [
            {"suffix": ".version_text"}, {"suffix": ".membership_healthy"}, {"suffix": ".membership_total"},
            {"exact": format!("http.{}.downstream_rq_active", listener::STATS)},
        ]}}},
        "overload_manager": overload(settings),
    })
}

/// Limits of the whole process. A process that reaches the memory limit of its container is killed with all streams; one
/// that is near its heap's limit frees memory first, and then refuses new requests.
fn overload(settings: &Settings) -> Value {
    let monitor = |name: &str, of: &str, config: Value| {
        extension(
            &format!("envoy.resource_monitors.{name}"),
            &format!("envoy.extensions.resource_monitors.{of}"),
            config,
        )
    };
    let connections = json!({"max_active_downstream_connections": settings.listener.max_connections});
    let heap = json!({"max_heap_size_bytes": settings.max_heap_bytes});
    let action = |name: &str, threshold: f64| {
        json!({
            "name": format!("envoy.overload_actions.{name}"),
            "triggers": [{"name": "envoy.resource_monitors.fixed_heap", "threshold": {"value": threshold}}],
        })
    };
    json!({
        "refresh_interval": "0.25s",
        "resource_monitors": [
            monitor("global_downstream_max_connections", "downstream_connections.v3.DownstreamConnectionsConfig", connections),
            monitor("fixed_heap", "fixed_heap.v3.FixedHeapConfig", heap),
        ],
        "actions": [action("shrink_heap", 0.9), action("stop_accepting_requests", 0.95)],
    })
}
