//! Configuration that Envoy starts with.

use serde_json::{Value, json};

use crate::files::File;
use crate::settings::Settings;

use super::extension;

/// Paths of the administration that the process beside Envoy uses; others answer 403. None of them shows a key.
const ADMIN_PATHS: [&str; 6] = ["/ready", "/stats", "/clusters", "/drain_listeners", "/healthcheck/", "/reopen_logs"];

pub(super) fn bootstrap(settings: &Settings) -> Value {
    let watched = |file: &File| json!({"resource_api_version": "V3", "path_config_source": {"path": settings.path(&file.path())}});
    let connections = "envoy.resource_monitors.global_downstream_max_connections";
    json!({
        "node": {"id": "gateway", "cluster": "roadstead"},
        "admin": {
            "address": {"pipe": {"path": settings.paths.admin, "mode": 0o600}},
            "allow_paths": ADMIN_PATHS.map(|path| json!({"prefix": path})),
        },
        "dynamic_resources": {"lds_config": watched(&File::Listeners), "cds_config": watched(&File::Clusters)},
        "cluster_manager": {"local_cluster_name": ""},
        "overload_manager": {"resource_monitors": [extension(
            connections,
            "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            json!({"max_active_downstream_connections": settings.listener.max_connections}),
        )]},
    })
}
