//! Connections over TLS to endpoints and vendors.

use serde_json::{Value, json};

use super::extension;
use crate::route::Endpoint;
use crate::settings::Settings;

/// TLS to an endpoint, whose certificate must lead to its authorities.
pub(super) fn tls(endpoint: &Endpoint, settings: &Settings) -> Value {
    let authorities = match &endpoint.authorities {
        Some(pem) => json!({"inline_string": pem}),
        None => json!({"filename": settings.paths.authorities}),
    };
    extension(
        "envoy.transport_sockets.tls",
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        json!({
            "auto_host_sni": true,
            "auto_sni_san_validation": true,
            "common_tls_context": {"validation_context": {"trusted_ca": authorities}},
        }),
    )
}
