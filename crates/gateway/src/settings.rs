//! Settings of one gateway, constant during the life of its pod.

use serde::{Deserialize, Serialize};

/// Settings of a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The address that callers use.
    pub listener: Listener,
    /// Folders and sockets.
    pub paths: Paths,
    /// Bytes of Envoy's heap.
    pub max_heap_bytes: u64,
    /// Milliseconds between two looks at a file of endpoints.
    pub poll_millis: u32,
    /// Seconds that Envoy's connections may go on after a drain has begun.
    pub drain_seconds: u32,
}

/// The address that callers use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// IP address to listen on.
    pub address: String,
    /// Port to listen on.
    pub port: u16,
    /// Certificate; absent for plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Domain below which each deployment has the host `<name>.<namespace>.<domain>`; absent for addresses by path alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// True for one `/v1/` in front of all deployments, which routes by the body's `model`.
    #[serde(default)]
    pub shared: bool,
    /// True to log the tokens that an answer's usage states.
    #[serde(default)]
    pub tokens: bool,
    /// Proxies in front of the gateway whose `x-forwarded-for` is believed.
    #[serde(default)]
    pub trusted_hops: u32,
    /// Bytes of a request that are kept so that another endpoint can take it.
    pub buffer_bytes: u32,
    /// Connections of callers at once.
    pub max_connections: u32,
}

/// The certificate of the listener: files as kubelet mounts a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// Folder with `tls.crt` and `tls.key`; a change of the folder is a new certificate.
    pub folder: String,
}

/// Folders and sockets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Paths {
    /// Folder of the rendered files, in memory.
    pub files: String,
    /// Unix socket of Envoy's administration.
    pub admin: String,
    /// Unix socket by which the process beside Envoy verifies endpoints.
    pub verification: String,
    /// File of the system's certificate authorities, for endpoints without their own.
    pub authorities: String,
}

impl Settings {
    /// Path of a rendered file.
    #[must_use]
    pub fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.paths.files)
    }
}
