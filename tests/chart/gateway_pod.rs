//! The gateway's pod as two processes, with the account, the rights, the environment and the options that the chart gives them,
//! on a real API server: what the chart grants is enough to serve, to report and to end in order.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use roadstead_api::v1alpha1::names;
use roadstead_ground::api_server::ApiServer;
use roadstead_ground::bound::Bound;
use roadstead_ground::command::{feed, finish};
use roadstead_ground::envoy::envoy;
use roadstead_ground::unused::unused_address;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::helm::{NAMESPACE, at, objects, only, template};
use crate::operator::{kubeconfig_of_account, program};

/// Generous: on a busy machine everything takes its time.
const SOON: Duration = Duration::from_mins(1);
/// Namespace of the routes.
const ROUTES: &str = "roadstead-routes";

/// The pod: its containers as processes, and its memory as a folder.
struct Pod {
    _envoy: Bound,
    process: Bound,
    memory: TempDir,
    callers: SocketAddr,
    desk: SocketAddr,
    drain: SocketAddr,
}

impl Pod {
    /// Starts both as kubelet does: Envoy once the process beside it has started.
    fn start(server: &ApiServer, deployment: &Value) -> Self {
        let spec = at(deployment, "/spec/template/spec");
        let (memory, callers, desk, drain) =
            (TempDir::new().unwrap(), unused_address(), unused_address(), unused_address());
        let kubeconfig = kubeconfig_of_account(server);
        let container = at(spec, "/initContainers/0");
        let mut env = environment(container, memory.path());
        env.extend([
            ("KUBECONFIG".to_owned(), kubeconfig.display().to_string()),
            // The default is in the pod's memory, as what is set by the chart.
            ("ROADSTEAD_GATEWAY_STATE".to_owned(), memory.path().join("routes").display().to_string()),
            ("ROADSTEAD_LISTEN".to_owned(), desk.to_string()),
            ("ROADSTEAD_DRAIN_LISTEN".to_owned(), drain.to_string()),
            ("ROADSTEAD_GATEWAY_ADDRESS".to_owned(), callers.to_string()),
        ]);
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let log = |name: &str| memory.path().with_extension(name);
        let process = Bound::start(program(), &words(container, memory.path()), &env, &log("process")).unwrap();
        until("the files of Envoy", || ask(desk, "/startupz", None).is_some_and(|(status, _)| status == 200));
        let container = at(spec, "/containers/0");
        let envoy = Bound::start(&envoy().unwrap(), &words(container, memory.path()), &[], &log("envoy")).unwrap();
        until("a ready pod", || ask(desk, "/readyz", None).is_some_and(|(status, _)| status == 200));
        Self { _envoy: envoy, process, memory, callers, desk, drain }
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.log_path(name)).unwrap_or_default()
    }

    fn log_path(&self, name: &str) -> PathBuf {
        self.memory.path().with_extension(name)
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        for name in ["process", "envoy"] {
            let _ = fs::remove_file(self.log_path(name));
        }
    }
}

/// The arguments of a container, with a folder of the test for that of its files.
fn words(container: &Value, memory: &Path) -> Vec<String> {
    let words = at(container, "/args").as_array().unwrap();
    words.iter().map(|word| in_memory(word.as_str().unwrap(), memory)).collect()
}

fn environment(container: &Value, memory: &Path) -> Vec<(String, String)> {
    let variables = at(container, "/env").as_array().unwrap();
    let of = |variable: &Value| {
        let value = variable["value"].as_str().unwrap_or("pod");
        (variable["name"].as_str().unwrap().to_owned(), in_memory(value, memory))
    };
    variables.iter().map(of).collect()
}

fn in_memory(text: &str, memory: &Path) -> String {
    text.replace("/run/roadstead", &memory.display().to_string())
}

/// Status and text of an answer; `None` without one.
fn ask(address: SocketAddr, path: &str, key: Option<&str>) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let key = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n{key}Connection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some((status, text))
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "{what} did not come");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The Secret of a route whose one endpoint is being verified, so that gateways report.
fn route() -> String {
    let endpoint =
        json!({"name": "llama-a", "scheme": "http", "host": "127.0.0.1", "port": 9, "weight": 1, "state": "Verifying"});
    let route = json!({
        "namespace": "team-a", "name": "llama", "uid": "u", "revision": 7, "model": "m", "endpoints": [endpoint],
        "callers": [{"name": "alice", "key": "key-of-alice"}],
        "limits": {"firstByteSeconds": 5, "idleSeconds": 5, "maxRequestBytes": 1024},
    });
    json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": names::route_secret("u"), "namespace": ROUTES, "labels": {names::LABEL_ROUTE: "u"}},
        "stringData": {"route": route.to_string()},
    })
    .to_string()
}

#[test]
fn it_serves_reports_and_ends_in_order_with_what_the_chart_gives_it() {
    let server = ApiServer::start().expect("an API server");
    for namespace in [NAMESPACE, ROUTES] {
        finish(server.kubectl().args(["create", "namespace", namespace])).unwrap();
    }
    let manifest = template("roadstead-gateway", &["--set", "noticeSeconds=0,pollMillis=100"]).unwrap();
    let apply = |manifest: &str| feed(server.kubectl().args(["apply", "-f", "-"]), manifest).unwrap();
    apply(&manifest);
    let pod = Pod::start(&server, only(&objects(&manifest), "Deployment"));
    let status = |key| ask(pod.callers, "/team-a/llama/v1/models", key).map(|(status, _)| status);
    assert_eq!(status(Some("key-of-alice")), Some(401), "there is no route");

    apply(&route());
    // No endpoint takes requests of callers.
    until("the route", || status(Some("key-of-alice")) == Some(503));
    assert_eq!(status(None), Some(401));
    let report = || server.kubectl().args(["get", "configmap", "gateway-pod", "-n", ROUTES, "-o", "json"]).output();
    until("a report", || String::from_utf8_lossy(&report().unwrap().stdout).contains("llama-a"));

    let drained = ask(pod.drain, "/drain", None).unwrap();
    assert_eq!(drained.0, 200, "{}", drained.1);
    assert_eq!(ask(pod.desk, "/readyz", None).unwrap().0, 503, "it gets no new caller");
    assert!(Command::new("kill").args(["-TERM", &pod.process.pid().to_string()]).status().unwrap().success());
    until("the end of the report", || !report().unwrap().status.success());
    let logs = format!("{}{}", pod.log("process"), pod.log("envoy"));
    for word in ["orbidden", "key-of-", "rejected"] {
        assert!(!logs.contains(word), "{word}:\n{logs}");
    }
}
