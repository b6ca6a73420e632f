//! The proxies that are compared, each on one thread.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use roadstead_ground::bound::Bound;
use roadstead_ground::envoy::{OPTIONS, envoy};
use roadstead_ground::unused::unused_address;
use roadstead_perf::cpu_seconds_of;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fleet;
use crate::http::{await_ok, status};
use crate::litellm;
use crate::load::body;

/// A server that takes the load.
pub struct Proxy {
    /// Name in measures.
    pub name: &'static str,
    /// Address for callers.
    pub address: SocketAddr,
    /// Path of a request.
    pub path: String,
    /// Key of the caller.
    pub key: String,
    /// Its process; `None` for the origin itself.
    pub process: Option<Bound>,
}

/// Folder for the files of proxies: in memory, as a pod has it.
pub fn folder() -> Result<TempDir> {
    TempDir::new_in("/dev/shm").context("making a folder in memory")
}

impl Proxy {
    /// The origin without a proxy.
    pub fn direct(origin: SocketAddr) -> Self {
        Self { name: "direct", address: origin, path: PATH.to_owned(), key: KEY.to_owned(), process: None }
    }

    /// Envoy with one listener, one route and one static cluster.
    pub fn envoy(folder: &Path, origin: SocketAddr) -> Result<Self> {
        let address = unused_address();
        let config = folder.join("envoy.json");
        std::fs::write(&config, plain(address, origin).to_string())?;
        let process = start_envoy(&config, &folder.join("envoy.out"))?;
        Self::started("envoy", address, PATH, KEY, process, &folder.join("envoy.out"))
    }

    /// Envoy as the gateway configures it for so many deployments; requests go to the last one.
    pub fn gateway(name: &'static str, folder: &Path, deployments: usize, origin: [SocketAddr; 2]) -> Result<Self> {
        let address = unused_address();
        let folder = folder.join(name);
        fleet::write(&folder, address, deployments, origin)?;
        let log = folder.join("envoy.out");
        let process = start_envoy(&folder.join("bootstrap.json"), &log)?;
        Self::started(name, address, &fleet::path(deployments - 1), fleet::KEY, process, &log)
    }

    /// nginx with one location and one upstream.
    pub fn nginx(folder: &Path, origin: SocketAddr) -> Result<Self> {
        let address = unused_address();
        let folder = folder.join("nginx");
        std::fs::create_dir_all(folder.join("logs"))?;
        let config = folder.join("nginx.conf");
        std::fs::write(&config, nginx(address, origin, &folder))?;
        let args = ["-p".to_owned(), folder.display().to_string(), "-c".to_owned(), config.display().to_string()];
        let log = folder.join("nginx.out");
        let process = Bound::start(Path::new("/usr/sbin/nginx"), &args, &[], &log)
            .context("nginx, which is a Debian package (apt-get install nginx-light)")?;
        Self::started("nginx", address, PATH, KEY, process, &log)
    }

    /// `LiteLLM`'s proxy with one model.
    pub fn litellm(folder: &Path, origin: SocketAddr) -> Result<Self> {
        let address = unused_address();
        let folder = folder.join("litellm");
        std::fs::create_dir_all(&folder)?;
        let config = folder.join("config.yaml");
        std::fs::write(&config, litellm::config(origin, LITELLM_KEY))?;
        let args = [
            "--config".to_owned(),
            config.display().to_string(),
            format!("--host={}", address.ip()),
            format!("--port={}", address.port()),
            "--num_workers=1".to_owned(),
        ];
        let log = folder.join("litellm.out");
        let process = Bound::start(&litellm::program()?, &args, &litellm::ENVIRONMENT, &log)?;
        Self::started("litellm", address, PATH, LITELLM_KEY, process, &log)
    }

    /// Seconds of processor time that its process has used.
    pub fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds_of(self.process.as_ref().context("no process of its own")?.pid())
    }

    fn started(
        name: &'static str,
        address: SocketAddr,
        path: &str,
        key: &str,
        process: Bound,
        log: &Path,
    ) -> Result<Self> {
        let ask = || status(address, path, key, body(false));
        await_ok(&process, log, Duration::from_mins(2), ask).with_context(|| format!("starting {name}"))?;
        Ok(Self { name, address, path: path.to_owned(), key: key.to_owned(), process: Some(process) })
    }
}

const PATH: &str = "/v1/chat/completions";
const KEY: &str = "key-of-alice";
const LITELLM_KEY: &str = "sk-key-of-alice";

/// Starts Envoy on one thread, with the options that gateways use.
pub fn start_envoy(config: &Path, log: &Path) -> Result<Bound> {
    let config = config.display().to_string();
    let args: Vec<String> =
        OPTIONS.iter().chain(&["--concurrency", "1", "-c", &config]).map(ToString::to_string).collect();
    Bound::start(&envoy()?, &args, &[], log)
}

fn plain(listen: SocketAddr, origin: SocketAddr) -> Value {
    let socket = |address: SocketAddr| json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}});
    let types = "type.googleapis.com/envoy.extensions.filters";
    json!({"static_resources": {
        "listeners": [{
            "name": "callers",
            "address": socket(listen),
            "filter_chains": [{"filters": [{
                "name": "connections",
                "typed_config": {
                    "@type": format!("{types}.network.http_connection_manager.v3.HttpConnectionManager"),
                    "stat_prefix": "plain",
                    "route_config": {"virtual_hosts": [{
                        "name": "all", "domains": ["*"],
                        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "origin", "timeout": "0s"}}],
                    }]},
                    "http_filters": [{
                        "name": "envoy.filters.http.router",
                        "typed_config": {"@type": format!("{types}.http.router.v3.Router")},
                    }],
                },
            }]}],
        }],
        "clusters": [{
            "name": "origin",
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {
                "cluster_name": "origin",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(origin)}}]}],
            },
        }],
    }})
}

fn nginx(listen: SocketAddr, origin: SocketAddr, folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  access_log off;\n  client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n  \
         fastcgi_temp_path {folder}/f;\n  uwsgi_temp_path {folder}/u;\n  scgi_temp_path {folder}/s;\n  \
         keepalive_requests 1000000000;\n  \
         upstream origin {{ server {origin}; keepalive 256; keepalive_requests 1000000000; }}\n  \
         server {{\n    listen {listen};\n    location / {{\n      proxy_pass http://origin;\n      \
         proxy_http_version 1.1;\n      proxy_set_header Connection '';\n      proxy_buffering off;\n    }}\n  }}\n}}\n"
    )
}
