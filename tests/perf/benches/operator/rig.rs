//! The rig of the operator's benchmark: a real API server, a simulated cloud and a release build of the operator.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kube::Client;
use roadstead_ground::api_server::ApiServer;
use roadstead_ground::audit::{Audited, Mark, Write};
use roadstead_ground::bound::Bound;
use roadstead_ground::command::finish;
use roadstead_ground::unused::unused_address;
use roadstead_perf::{cpu_seconds_of, peak_memory_mb_of, program};
use serde_json::{Value, json};

use crate::audit;
use crate::fleet::{self, TEAM};

/// The operator's own namespace, with its Lease.
const SYSTEM: &str = "roadstead-system";
/// Writes that go on for so long do not end.
const NEVER_QUIET: Duration = Duration::from_mins(10);
/// The operator's user on the API server.
const OPERATOR: &str = "operator";

/// A hub, a cloud, and at times an operator.
pub struct Rig {
    /// The hub.
    pub server: ApiServer,
    /// A user's client.
    pub client: Client,
    program: PathBuf,
    kubeconfig: PathBuf,
    cloud: SocketAddr,
    _cloud: Bound,
}

/// A running operator.
pub struct Operator {
    process: Bound,
    listen: SocketAddr,
    log: PathBuf,
    /// Time of the start.
    pub started: Instant,
}

impl Rig {
    /// Starts the hub and the cloud.
    pub async fn set() -> Result<Self> {
        let program = program()?;
        let server = ApiServer::start_audited(&Audited::WritesOf(OPERATOR.to_owned()))?;
        server.define(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../crds")))?;
        let client = server.client().await?;
        let namespaces = [TEAM, SYSTEM, crate::scheduler::PODS]
            .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        fleet::create(&client, "/api/v1/namespaces", &namespaces).await?;
        let cloud = unused_address();
        let args = ["simulated-cloud".to_owned(), format!("--listen={cloud}")];
        let process = Bound::start(&program, &args, &[], &server.dir().join("cloud.log"))?;
        let kubeconfig = server.dir().join("operator.kubeconfig");
        std::fs::write(&kubeconfig, server.kubeconfig_with(&format!("ground-{OPERATOR}"))?)?;
        Ok(Self { server, client, program, kubeconfig, cloud, _cloud: process })
    }

    /// Starts an operator.
    pub fn start_operator(&self) -> Result<Operator> {
        self.start_operator_with(&[])
    }

    /// Starts an operator with these options beside the usual ones.
    pub fn start_operator_with(&self, more: &[String]) -> Result<Operator> {
        let listen = unused_address();
        let args = [
            "run".to_owned(),
            "--install-id=bench".to_owned(),
            format!("--namespace={SYSTEM}"),
            "--identity=operator".to_owned(),
            format!("--listen={listen}"),
            format!("--simulated-cloud=http://{}", self.cloud),
        ];
        let args = [&args[..], more].concat();
        let kubeconfig = self.kubeconfig.display().to_string();
        let log = self.server.dir().join("operator.log");
        let started = Instant::now();
        let process = Bound::start(&self.program, &args, &[("KUBECONFIG", &kubeconfig)], &log)?;
        Ok(Operator { process, listen, log, started })
    }

    /// Creates targets and waits until they can be used.
    pub async fn offer(&self, deployments: usize, startup_seconds: u32) -> Result<()> {
        self.offer_these(&fleet::targets(deployments, startup_seconds)).await
    }

    /// Creates these targets and waits until all can be used.
    pub async fn offer_these(&self, targets: &[Value]) -> Result<()> {
        fleet::create(&self.client, "/apis/roadstead.dev/v1alpha1/servingtargets", targets).await?;
        let args = ["wait", "servingtargets", "--all", "--for=condition=Ready", "--timeout=60s"];
        finish(self.server.kubectl().args(args)).map(drop)
    }

    /// The writes of the operator since `mark` but those to the Lease, in the order of their answers.
    pub fn writes_since(&self, mark: Mark) -> Result<Vec<Write>> {
        let writes = self.server.writes_since(mark)?;
        Ok(writes.into_iter().filter(|write| write.resource != "leases").collect())
    }

    /// Waits until the operator has written nothing for `time`.
    pub async fn quiet(&self, time: Duration) -> Result<()> {
        let start = Instant::now();
        let (mut mark, mut since) = (self.server.mark(), Instant::now());
        while since.elapsed() < time {
            let writes = self.writes_since(mark)?;
            if !writes.is_empty() {
                (mark, since) = (self.server.mark(), Instant::now());
            }
            ensure!(start.elapsed() < NEVER_QUIET, "writes go on and on: {:?}", audit::by_kind(&writes));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }

    /// Seconds of processor time that the API server and etcd have used.
    pub fn server_cpu_seconds(&self) -> Result<f64> {
        self.server.pids()?.into_iter().map(cpu_seconds_of).sum()
    }

    /// Reads of objects that the API server has answered so far, whoever asked; lists and watches are not among them.
    pub async fn reads(&self) -> Result<f64> {
        let text = self.client.request_text(http::Request::get("/metrics").body(Vec::new())?).await?;
        let counts = text.lines().filter(|line| {
            line.starts_with("apiserver_request_total{")
                && line.contains("verb=\"GET\"")
                && line.contains("scope=\"resource\"")
        });
        let of_ours = counts.filter(|line| {
            ["secrets", "inferenceendpoints", "modeldeployments", "servingtargets"]
                .iter()
                .any(|resource| line.contains(&format!("resource=\"{resource}\"")))
        });
        Ok(of_ours.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}

impl Operator {
    /// Seconds of processor time that it has used.
    pub fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds_of(self.process.pid())
    }

    /// The most memory that it has had resident, in MB (10^6 bytes).
    pub fn peak_memory_mb(&self) -> Result<f64> {
        peak_memory_mb_of(self.process.pid())
    }

    /// The operator's metrics, as text.
    pub async fn metrics(&self) -> Result<String> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        ensure!(self.process.is_alive(), "the operator ended");
        let mut stream = tokio::net::TcpStream::connect(self.listen).await?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: operator\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// The sum of a metric over the series whose labels contain `labels`.
    pub async fn metric(&self, name: &str, labels: &str) -> Result<f64> {
        let text = self.metrics().await?;
        Ok(sum(&text, name, labels))
    }

    /// Does `work` while it lives; one that ends by itself, because it lost its lease say, is an error.
    pub async fn meanwhile<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let ended = async {
            while self.process.is_alive() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        tokio::select! {
            outcome = work => outcome,
            () = ended => {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                bail!("the operator ended by itself; it said at last: {}", log.lines().last().unwrap_or_default())
            }
        }
    }

    /// Asks it to end, as a rollout does, and waits until it has.
    pub async fn stop(self) -> Result<()> {
        roadstead_ground::bound::signal(self.process.pid(), "TERM");
        let asked = Instant::now();
        while self.process.is_alive() {
            if asked.elapsed() > Duration::from_secs(30) {
                bail!("the operator did not end within 30 s");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// The sum of a metric in `text` over the series whose labels contain `labels`.
pub fn sum(text: &str, name: &str, labels: &str) -> f64 {
    let series = text.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(labels))
    });
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// Load average of one minute.
pub fn load() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    text.split(' ').next().and_then(|load| load.parse().ok()).context("no number in /proc/loadavg")
}
