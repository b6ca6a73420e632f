//! What every fault test stands on: a real API server, a simulated cloud as a process of its own, and the operator as a
//! process that reaches both through recording proxies and can be killed at any time.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use roadstead_ground::api_server::ApiServer;
use roadstead_ground::bound::{Bound, signal};
use roadstead_ground::command::{feed, finish};
pub use roadstead_ground::wait::wait;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::collector::Collector;
use super::proxy::{Proxy, Upstream};
use super::tape::Tape;

/// The namespace of the deployments.
pub const TEAM: &str = "team";
/// Long enough for the busiest machine; nothing waits for it that goes well.
pub const LONG: Duration = Duration::from_mins(1);

/// How long nothing is written once everything is settled.
const QUIET: Duration = Duration::from_millis(1500);

const INSTALL_ID: &str = "faults";

/// A hub, a cloud and an operator.
pub struct Rig {
    /// The hub.
    pub server: ApiServer,
    /// What the operator wrote.
    pub tape: Arc<Tape>,
    /// Deletes what has lost its owner.
    pub collector: Collector,
    runtime: Runtime,
    _cloud: Bound,
    cloud: SocketAddr,
    cloud_proxy: SocketAddr,
    /// The process that a fault kills.
    victim: Arc<AtomicU32>,
    operator: std::sync::Mutex<Option<Bound>>,
}

impl Rig {
    /// Starts everything but the operator.
    pub fn set() -> anyhow::Result<Self> {
        let server = ApiServer::start()?;
        finish(server.kubectl().args(["apply", "--server-side", "-f", &crds()]))?;
        finish(server.kubectl().args(["wait", "--for=condition=Established", "--timeout=30s", "-f", &crds()]))?;
        // A copy: a build in the middle of a long run must not change what is tested.
        std::fs::copy(env!("CARGO_BIN_EXE_roadstead"), roadstead(&server))?;
        let runtime = Runtime::new()?;
        let cloud = free_address()?;
        let log = server.dir().join("cloud.log");
        let args = ["simulated-cloud".to_owned(), format!("--listen={cloud}")];
        let cloud_process = Bound::start(&roadstead(&server), &args, &[], &log)?;
        let tape = Arc::new(Tape::default());
        let victim = Arc::new(AtomicU32::new(0));
        let (hub_proxy, cloud_proxy) = runtime.block_on(async {
            let hub = Upstream::Hub(server.client().await?);
            let hub = Proxy::start(hub, Arc::clone(&tape), Arc::clone(&victim)).await?;
            let cloud = Proxy::start(Upstream::cloud(cloud), Arc::clone(&tape), Arc::clone(&victim)).await?;
            anyhow::Ok((hub.address, cloud.address))
        })?;
        let collector = Collector::start(&runtime, runtime.block_on(server.client())?);
        let rig = Self {
            server,
            tape,
            collector,
            runtime,
            _cloud: cloud_process,
            cloud,
            cloud_proxy,
            victim,
            operator: std::sync::Mutex::default(),
        };
        for namespace in [TEAM, "roadstead-system"] {
            rig.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))?;
        }
        std::fs::write(rig.kubeconfig(), kubeconfig(hub_proxy))?;
        wait("the cloud answers", LONG, || rig.cloud_get("/livez").map(drop))?;
        Ok(rig)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.server.dir().join("operator.kubeconfig")
    }

    /// The operator's log.
    pub fn log(&self) -> PathBuf {
        self.server.dir().join("operator.log")
    }

    /// Starts the operator, unless it runs.
    pub fn start_operator(&self) -> anyhow::Result<()> {
        let mut operator = self.operator.lock().unwrap();
        if operator.as_ref().is_some_and(Bound::is_alive) {
            return Ok(());
        }
        let args = [
            "run".to_owned(),
            format!("--install-id={INSTALL_ID}"),
            "--namespace=roadstead-system".to_owned(),
            "--identity=operator".to_owned(),
            "--leader-elect=false".to_owned(),
            "--listen=127.0.0.1:0".to_owned(),
            format!("--simulated-cloud=http://{}", self.cloud_proxy),
        ];
        let kubeconfig = self.kubeconfig().display().to_string();
        let program = roadstead(&self.server);
        let started = Bound::start(&program, &args, &[("KUBECONFIG", &kubeconfig)], &self.log())?;
        self.victim.store(started.pid(), Ordering::SeqCst);
        *operator = Some(started);
        Ok(())
    }

    /// Ends the operator.
    pub fn stop_operator(&self) {
        self.victim.store(0, Ordering::SeqCst);
        *self.operator.lock().unwrap() = None;
    }

    /// Sends the operator a signal, such as STOP.
    pub fn signal_operator(&self, name: &str) -> anyhow::Result<()> {
        let operator = self.operator.lock().unwrap();
        signal(operator.as_ref().context("the operator does not run")?.pid(), name);
        Ok(())
    }

    /// Applies an object as a user does.
    pub fn apply(&self, object: &Value) -> anyhow::Result<()> {
        feed(self.server.kubectl().args(["apply", "-f", "-"]), &object.to_string()).map(drop)
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        finish(self.server.kubectl().args(args))
    }

    /// Objects of the hub as JSON: one if a name is among `args`, else a list.
    pub fn get(&self, args: &[&str]) -> anyhow::Result<Value> {
        let mut all = vec!["get", "-o", "json"];
        all.extend(args);
        Ok(serde_json::from_str(&self.kubectl(&all)?)?)
    }

    /// What the cloud answers to a read of `path`.
    pub fn cloud_get(&self, path: &str) -> anyhow::Result<String> {
        self.runtime.block_on(async {
            let url = format!("http://{}{path}", self.cloud);
            let client: hyper_util::client::legacy::Client<_, axum::body::Body> =
                hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new()).build_http();
            let response = client.get(url.parse()?).await?;
            let bytes = axum::body::to_bytes(axum::body::Body::new(response.into_body()), usize::MAX).await?;
            Ok(String::from_utf8(bytes.to_vec())?)
        })
    }

    /// What really is at a place of the cloud.
    pub fn cloud_endpoints(&self, place: &str) -> anyhow::Result<Vec<Value>> {
        let world: Value = serde_json::from_str(&self.cloud_get("/world")?)?;
        Ok(world[place].as_array().cloned().unwrap_or_default())
    }

    /// Waits until nothing has been written for a while.
    pub fn quiet(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        let (mut writes, mut since) = (self.tape.writes().len(), Instant::now());
        while since.elapsed() < QUIET {
            ensure!(start.elapsed() < LONG, "writes go on and on: {:?}", self.tape.writes());
            std::thread::sleep(Duration::from_millis(50));
            let newest = self.tape.writes().len();
            if newest != writes {
                (writes, since) = (newest, Instant::now());
            }
        }
        Ok(())
    }

    /// Waits until a condition of an object of its newest generation is as wanted.
    pub fn condition(&self, object: &[&str], type_: &str, status: &str) -> anyhow::Result<Value> {
        wait(&format!("{object:?} has {type_}={status}"), LONG, || {
            let object = self.get(object)?;
            let condition = condition(&object, type_).with_context(|| format!("no {type_} in {}", object["status"]))?;
            let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            ensure!(current && condition["status"] == status, "{condition}");
            Ok(condition)
        })
    }

    /// Removes all deployments and targets, and sees that nothing is left of them anywhere.
    pub fn clear(&self) -> anyhow::Result<()> {
        self.tape.rewind(None);
        self.collector.awake(true);
        self.start_operator()?;
        self.kubectl(&["delete", "mdep", "--all", "-n", TEAM, "--wait=true", "--timeout=60s"])?;
        let targets = self.get(&["servingtargets"])?;
        self.kubectl(&["delete", "servingtargets", "--all", "--wait=true", "--timeout=60s"])?;
        for target in targets["items"].as_array().into_iter().flatten() {
            let place = target["metadata"]["name"].as_str().unwrap_or_default();
            let left = self.cloud_endpoints(place)?;
            if !left.is_empty() {
                bail!("left at {place}: {left:?}");
            }
        }
        // Without waiting for the collector.
        self.kubectl(&["delete", "secrets", "--all", "-n", TEAM])?;
        Ok(())
    }
}

/// A condition of an object.
pub fn condition(object: &Value, type_: &str) -> Option<Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_).cloned()
}

/// The program that is tested.
fn roadstead(server: &ApiServer) -> PathBuf {
    server.dir().join("roadstead")
}

fn crds() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/crds").to_owned()
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn kubeconfig(server: SocketAddr) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: hub\nusers: [{{name: user, user: {{}}}}]\n\
         clusters: [{{name: hub, cluster: {{server: \"http://{server}\"}}}}]\n\
         contexts: [{{name: hub, context: {{cluster: hub, user: user}}}}]\n"
    )
}
