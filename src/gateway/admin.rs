//! Envoy's administration, over its unix socket.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use http::{Method, StatusCode};
use roadstead_gateway::{File, Route};
use serde::Deserialize;

use super::socket::{self, SocketError, SocketRequest};

/// Time for one call.
const CALL: Duration = Duration::from_secs(5);
/// Longest answer, in bytes: two thousand endpoints in JSON are 8 MB.
const MAX_ANSWER: usize = 64 << 20;

/// Clusters that one call names.
const MOST_NAMED: usize = 50;

/// Why Envoy did not answer.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Nobody listens on the socket: Envoy has not started, or has ended.
    #[error("Envoy does not run: {0}")]
    Absent(std::io::Error),
    /// Another error of the call.
    #[error("{path}: {message}")]
    Failed {
        /// Path of the call.
        path: String,
        /// Description of the error.
        message: String,
    },
}

/// Client of the administration.
#[derive(Debug, Clone)]
pub struct Admin {
    socket: PathBuf,
}

/// One address of an endpoint, as Envoy sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// IP address and port.
    pub address: String,
    /// Requests in flight.
    pub active: u64,
    /// True if it is ejected because its answers were errors.
    pub ejected: bool,
    /// True if its health checks fail.
    pub unhealthy: bool,
}

impl Admin {
    /// A client of the socket.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Version of a file that Envoy has applied, by the route that the file is of; empty before the first.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn applied(&self, file: &File, routes: &BTreeMap<String, Route>) -> Result<String, AdminError> {
        let Some(name) = statistic(file, routes) else { return Ok(String::new()) };
        let filter = format!("^{}$", regex_of(&name));
        let text = self.ask(Method::GET, &format!("/stats?type=TextReadouts&filter={filter}")).await?;
        let value = text.lines().find_map(|line| line.strip_prefix(&name)?.strip_prefix(": "));
        Ok(value.unwrap_or_default().trim_matches('"').to_owned())
    }

    /// The hosts of every cluster, by cluster.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn hosts(&self, filter: &str) -> Result<BTreeMap<String, Vec<Host>>, AdminError> {
        let path = format!("/clusters?format=json&filter={filter}");
        let text = self.ask(Method::GET, &path).await?;
        let list: Clusters =
            serde_json::from_str(&text).map_err(|error| AdminError::Failed { path, message: error.to_string() })?;
        Ok(list
            .cluster_statuses
            .into_iter()
            .map(|one| (one.name, one.host_statuses.iter().filter_map(Host::of).collect()))
            .collect())
    }

    /// The hosts of these clusters. Of many, those of all clusters are asked for.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn hosts_of(&self, clusters: &[String]) -> Result<BTreeMap<String, Vec<Host>>, AdminError> {
        if clusters.is_empty() {
            return Ok(BTreeMap::new());
        }
        if clusters.len() > MOST_NAMED {
            return self.hosts("").await;
        }
        let names: Vec<String> = clusters.iter().map(|name| regex_of(name)).collect();
        self.hosts(&format!("^({})$", names.join("%7C"))).await
    }

    /// Numbers of healthy and of all hosts, by cluster.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn members(&self) -> Result<BTreeMap<String, (u64, u64)>, AdminError> {
        let text = self.ask(Method::GET, "/stats?filter=%5C.membership_(healthy%7Ctotal)$").await?;
        let mut members: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for (name, value) in text.lines().filter_map(|line| line.strip_prefix("cluster.")?.split_once(": ")) {
            let value = value.parse().unwrap_or(0);
            if let Some(cluster) = name.strip_suffix(".membership_healthy") {
                members.entry(cluster.to_owned()).or_default().0 = value;
            } else if let Some(cluster) = name.strip_suffix(".membership_total") {
                members.entry(cluster.to_owned()).or_default().1 = value;
            }
        }
        Ok(members)
    }

    /// Value of a counter or gauge.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn number(&self, name: &str) -> Result<u64, AdminError> {
        let text = self.ask(Method::GET, &format!("/stats?filter=^{}$", regex_of(name))).await?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok());
        Ok(value.unwrap_or(0))
    }

    /// True if Envoy serves.
    pub async fn is_ready(&self) -> bool {
        self.ask(Method::GET, "/ready").await.is_ok_and(|text| text.trim() == "LIVE")
    }

    /// Fails Envoy's own health check: answers then ask callers to close their connections.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn fail_health_check(&self) -> Result<(), AdminError> {
        self.ask(Method::POST, "/healthcheck/fail").await.map(drop)
    }

    /// Drains the listeners and leaves their sockets open, so that no connection is refused meanwhile.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn drain_listeners(&self) -> Result<(), AdminError> {
        self.ask(Method::POST, "/drain_listeners?graceful&skip_exit").await.map(drop)
    }

    /// Has Envoy open its log anew.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn reopen_logs(&self) -> Result<(), AdminError> {
        self.ask(Method::POST, "/reopen_logs").await.map(drop)
    }

    async fn ask(&self, method: Method, path: &str) -> Result<String, AdminError> {
        let failed = |message: String| AdminError::Failed { path: path.to_owned(), message };
        match tokio::time::timeout(CALL, self.call(method, path)).await {
            Ok(answer) => answer,
            Err(_) => Err(failed(format!("no answer within {} s", CALL.as_secs()))),
        }
    }

    async fn call(&self, method: Method, path: &str) -> Result<String, AdminError> {
        let failed = |message: String| AdminError::Failed { path: path.to_owned(), message };
        let question = SocketRequest { method, path: path.to_owned(), body: String::new() };
        let (status, body) = socket::ask(&self.socket, question, MAX_ANSWER).await.map_err(|error| match error {
            SocketError::Absent(error) => AdminError::Absent(error),
            SocketError::Failed(message) => failed(message),
        })?;
        let text = String::from_utf8_lossy(&body).into_owned();
        if status == StatusCode::OK { Ok(text) } else { Err(failed(format!("{status}: {}", text.trim()))) }
    }
}

/// Name of the statistic that holds the applied version of a file.
fn statistic(file: &File, routes: &BTreeMap<String, Route>) -> Option<String> {
    match file {
        File::Bootstrap | File::Certificate => None,
        File::Listeners => Some("listener_manager.lds.version_text".to_owned()),
        File::Clusters => Some("cluster_manager.cds.version_text".to_owned()),
        File::Routes => Some("http.gateway.rds.routes.version_text".to_owned()),
        File::Verification => Some("http.verification.rds.verification.version_text".to_owned()),
        File::Hosted => Some("http.hosted.rds.hosted.version_text".to_owned()),
        File::Endpoints(uid) => routes.get(uid).map(|route| format!("cluster.{}.version_text", route.cluster())),
    }
}

/// An expression that matches this text alone. Names of objects have no other special character than the dot.
fn regex_of(text: &str) -> String {
    text.replace('.', "%5C.")
}

#[derive(Deserialize)]
struct Clusters {
    #[serde(default)]
    cluster_statuses: Vec<ClusterStatus>,
}

#[derive(Deserialize)]
struct ClusterStatus {
    name: String,
    #[serde(default)]
    host_statuses: Vec<HostStatus>,
}

#[derive(Deserialize)]
struct HostStatus {
    address: Address,
    #[serde(default)]
    stats: Vec<Statistic>,
    #[serde(default)]
    health_status: Health,
}

#[derive(Deserialize)]
struct Address {
    /// Absent for the way to a hosted model, which has no address outside of Envoy.
    socket_address: Option<SocketAddress>,
}

#[derive(Deserialize)]
struct SocketAddress {
    address: String,
    port_value: u16,
}

#[derive(Deserialize)]
struct Statistic {
    name: String,
    /// A number as text; absent for zero.
    #[serde(default)]
    value: String,
}

#[derive(Default, Deserialize)]
struct Health {
    #[serde(default)]
    failed_outlier_check: bool,
    #[serde(default)]
    failed_active_health_check: bool,
}

impl Host {
    fn of(status: &HostStatus) -> Option<Self> {
        let SocketAddress { address, port_value } = status.address.socket_address.as_ref()?;
        let active = status.stats.iter().find(|statistic| statistic.name == "rq_active");
        Some(Self {
            address: if address.contains(':') {
                format!("[{address}]:{port_value}")
            } else {
                format!("{address}:{port_value}")
            },
            active: active.and_then(|statistic| statistic.value.parse().ok()).unwrap_or(0),
            ejected: status.health_status.failed_outlier_check,
            unhealthy: status.health_status.failed_active_health_check,
        })
    }
}
