//! The rig of every fault test: a real API server, a simulated cloud as its own process, and the operator as a process
//! that reaches both through recording proxies and can be killed at any time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use axum::body::Body;
use axum::http::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use roadstead_ground::api_server::ApiServer;
use roadstead_ground::bound::Bound;
use roadstead_ground::command::{feed, finish};
use roadstead_ground::objects;
use roadstead_ground::unused::unused_address;
pub use roadstead_ground::wait::{wait, wait_every};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::collector::Collector;
use super::operator::Operator;
use super::tape::Tape;
use super::weather::Weather;

/// The namespace of the deployments.
pub const TEAM: &str = "team";
/// Long enough for the busiest machine; nothing waits for it that goes well.
pub const LONG: Duration = Duration::from_mins(2);

/// Time without writes after which everything is settled.
const QUIET: Duration = Duration::from_millis(1500);

/// A hub, a cloud and an operator.
pub struct Rig {
    /// The hub.
    pub server: ApiServer,
    /// Recorded writes of the operator.
    pub tape: Arc<Tape>,
    /// Faults of the operator's calls.
    pub weather: Arc<Weather>,
    /// Runtime of the proxies.
    pub runtime: Runtime,
    /// The operator of most tests, which leads unchallenged.
    pub operator: Operator,
    /// Deletes what has lost its owner.
    pub collector: Collector,
    _cloud: Bound,
    cloud: SocketAddr,
}

impl Rig {
    /// Starts everything but the operator.
    pub fn set() -> anyhow::Result<Self> {
        let server = ApiServer::start()?;
        server.define(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crds"))?;
        // A copy: a build in the middle of a long run must not change what is tested.
        std::fs::copy(env!("CARGO_BIN_EXE_roadstead"), roadstead(&server))?;
        let runtime = Runtime::new()?;
        let cloud = unused_address();
        let log = server.dir().join("cloud.log");
        let args = ["simulated-cloud".to_owned(), format!("--listen={cloud}")];
        let cloud_process = Bound::start(&roadstead(&server), &args, &[], &log)?;
        let operator = runtime.block_on(async {
            Operator::prepare("operator", false, server.dir(), server.client().await?, cloud).await
        })?;
        let (tape, weather) = (Arc::clone(&operator.tape), Arc::clone(&operator.weather));
        let collector = Collector::start(&runtime, runtime.block_on(server.client())?);
        let rig = Self { server, tape, weather, runtime, operator, collector, _cloud: cloud_process, cloud };
        for namespace in [TEAM, "roadstead-system"] {
            rig.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))?;
        }
        wait("the cloud answers", LONG, || rig.cloud_get("/livez").map(drop))?;
        Ok(rig)
    }

    /// Prepares another operator, which takes part in the election as `name`.
    pub fn elector(&self, name: &str) -> anyhow::Result<Operator> {
        self.runtime.block_on(async {
            Operator::prepare(name, true, self.server.dir(), self.server.client().await?, self.cloud).await
        })
    }

    /// Ends the operator, and starts an elector that publishes routes in `namespace` for gateways, of which none runs.
    pub fn start_publisher(&self, namespace: &str) -> anyhow::Result<Operator> {
        self.stop_operator();
        let _ = self.kubectl(&["delete", "lease", "roadstead", "-n", "roadstead-system"]);
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}))?;
        let mut operator = self.elector(namespace)?;
        operator.add_option(format!("--routes-namespace={namespace}"));
        operator.add_option("--gateway-url=http://models.example.com".to_owned());
        operator.start()?;
        Ok(operator)
    }

    /// The operator's log.
    pub fn log(&self) -> PathBuf {
        self.operator.log.clone()
    }

    /// Starts the operator, unless it runs.
    pub fn start_operator(&self) -> anyhow::Result<()> {
        self.operator.start()
    }

    /// Ends the operator.
    pub fn stop_operator(&self) {
        self.operator.stop();
    }

    /// Applies an object as a user does.
    pub fn apply(&self, object: &Value) -> anyhow::Result<()> {
        feed(self.server.kubectl().args(["apply", "-f", "-"]), &object.to_string()).map(drop)
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        finish(self.server.kubectl().args(args))
    }

    /// Runs a subcommand of `roadstead` as the administrator.
    pub fn roadstead(&self, args: &[&str]) -> anyhow::Result<String> {
        finish(Command::new(roadstead(&self.server)).args(args).arg("--kubeconfig").arg(self.server.kubeconfig()))
    }

    /// Objects of the hub as JSON, named as one names them to kubectl: one with its name, or a list.
    pub fn get(&self, args: &[&str]) -> anyhow::Result<Value> {
        let kubeconfig = self.server.kubeconfig();
        let list = |kinds: &str, namespace| {
            let lists: anyhow::Result<Vec<_>> =
                kinds.split(',').map(|kind| objects::list(&kubeconfig, kind, namespace, "")).collect();
            Ok(json!({"items": lists?.concat()}))
        };
        match *args {
            [kinds] | [kinds, "-A"] => list(kinds, ""),
            [kinds, "-n", namespace] => list(kinds, namespace),
            [kind, name] => objects::get(&kubeconfig, kind, "", name),
            [kind, name, "-n", namespace] => objects::get(&kubeconfig, kind, namespace, name),
            _ => bail!("neither one object nor a list: {args:?}"),
        }
    }

    /// Answer of the cloud to a read of `path`.
    pub fn cloud_get(&self, path: &str) -> anyhow::Result<String> {
        self.http_get(self.cloud, path)
    }

    /// Answer of plain HTTP at `address` to a read of `path`.
    pub fn http_get(&self, address: SocketAddr, path: &str) -> anyhow::Result<String> {
        self.http(Method::GET, address, path)
    }

    /// Deletes something at the cloud, behind the operator's back.
    pub fn cloud_delete(&self, path: &str) -> anyhow::Result<()> {
        self.http(Method::DELETE, self.cloud, path).map(drop)
    }

    fn http(&self, method: Method, address: SocketAddr, path: &str) -> anyhow::Result<String> {
        self.runtime.block_on(async {
            let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
            let request = Request::builder().method(method).uri(format!("http://{address}{path}"));
            let response = client.request(request.body(Body::empty())?).await?;
            let bytes = axum::body::to_bytes(Body::new(response.into_body()), usize::MAX).await?;
            Ok(String::from_utf8(bytes.to_vec())?)
        })
    }

    /// Real endpoints at a place of the cloud.
    pub fn cloud_endpoints(&self, place: &str) -> anyhow::Result<Vec<Value>> {
        let world: Value = serde_json::from_str(&self.cloud_get("/world")?)?;
        Ok(world[place].as_array().cloned().unwrap_or_default())
    }

    /// Number of completed reconciles of the running operator.
    pub fn reconciles(&self) -> anyhow::Result<u64> {
        let text = self.http_get(self.operator.listen, "/metrics")?;
        let lines = text.lines().filter(|line| line.starts_with("controller_runtime_reconcile_total{"));
        lines.map(|line| Ok(line.rsplit(' ').next().unwrap_or_default().parse::<u64>()?)).sum()
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
        self.weather.clear();
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

/// A kubeconfig that leads to plain HTTP at `server`.
pub fn kubeconfig(server: SocketAddr) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: hub\nusers: [{{name: user, user: {{}}}}]\n\
         clusters: [{{name: hub, cluster: {{server: \"http://{server}\"}}}}]\n\
         contexts: [{{name: hub, context: {{cluster: hub, user: user}}}}]\n"
    )
}
