//! The stage: an API server, an operator with options that can be killed, and what a user sees.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use data_encoding::BASE64;
use roadstead_ground::api_server::ApiServer;
use roadstead_ground::bound::Bound;
use roadstead_ground::command::{feed, finish, run};
use roadstead_ground::objects;
use roadstead_ground::unused::unused_address;
use roadstead_ground::wait::wait;
use serde_json::{Value, json};

/// The namespace of the deployments.
pub const TEAM: &str = "team";
/// The namespace of the operator.
pub const SYSTEM: &str = "roadstead-system";
/// Long enough for the busiest machine; nothing waits for it that goes well.
pub const LONG: Duration = Duration::from_mins(2);

/// Kind, namespace and name of an object.
pub type Key = (&'static str, &'static str, &'static str);

/// A hub with an operator.
pub struct ServiceStage {
    server: ApiServer,
    listen: SocketAddr,
    args: Vec<String>,
    operator: Option<Bound>,
}

impl ServiceStage {
    /// A hub whose operator has these options.
    pub fn set(options: &[String]) -> anyhow::Result<Self> {
        let server = ApiServer::start()?;
        server.define(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crds"))?;
        let listen = unused_address();
        let args = [
            "run".to_owned(),
            "--install-id=prod".to_owned(),
            format!("--namespace={SYSTEM}"),
            "--identity=operator".to_owned(),
            "--leader-elect=false".to_owned(),
            format!("--listen={listen}"),
        ];
        let args: Vec<String> = args.into_iter().chain(options.iter().cloned()).collect();
        for namespace in [TEAM, SYSTEM] {
            feed(
                server.kubectl().args(["apply", "-f", "-"]),
                &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}).to_string(),
            )?;
        }
        let mut stage = Self { server, listen, args, operator: None };
        stage.start_operator()?;
        Ok(stage)
    }

    /// Starts the operator.
    pub fn start_operator(&mut self) -> anyhow::Result<()> {
        let kubeconfig = self.server.kubeconfig().display().to_string();
        self.operator = Some(Bound::start(&program(), &self.args, &[("KUBECONFIG", &kubeconfig)], &self.log())?);
        Ok(())
    }

    /// Kills the operator.
    pub fn kill_operator(&mut self) {
        self.operator = None;
    }

    fn log(&self) -> PathBuf {
        self.server.dir().join("operator.log")
    }

    /// Applies objects as a user does.
    pub fn apply(&self, object: &Value) -> anyhow::Result<()> {
        feed(self.server.kubectl().args(["apply", "-f", "-"]), &object.to_string()).map(drop)
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        finish(self.server.kubectl().args(args))
    }

    /// Runs a command of `roadstead` as the administrator.
    pub fn roadstead(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut command = std::process::Command::new(program());
        finish(command.args(args).arg("--kubeconfig").arg(self.server.kubeconfig()))
    }

    /// One object.
    pub fn get(&self, (kind, namespace, name): Key) -> anyhow::Result<Value> {
        objects::get(&self.server.kubeconfig(), kind, namespace, name)
    }

    /// All objects of a kind in a namespace.
    pub fn list(&self, kind: &str, namespace: &str) -> anyhow::Result<Vec<Value>> {
        objects::list(&self.server.kubeconfig(), kind, namespace, "")
    }

    /// Merges a patch into an object.
    pub fn patch(&self, (kind, namespace, name): Key, patch: &Value) -> anyhow::Result<()> {
        let namespace = if namespace.is_empty() { vec![] } else { vec!["-n", namespace] };
        let patch = patch.to_string();
        let args = [vec!["patch", kind, name, "--type=merge", "-p", &patch], namespace].concat();
        self.kubectl(&args).map(drop)
    }

    /// Waits until a condition of the newest generation of an object is as wanted.
    pub fn condition(&self, object: Key, type_: &str, status: &str) -> anyhow::Result<Value> {
        wait(&format!("{}/{} has {type_}={status}", object.0, object.2), LONG, || {
            let object = self.get(object)?;
            let all = object["status"]["conditions"].as_array().context("no conditions")?;
            let condition = all.iter().find(|condition| condition["type"] == type_).context("no such condition")?;
            let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            ensure!(current && condition["status"] == status, "{condition}");
            Ok(condition.clone())
        })
    }

    /// Waits until a deployment has so many ready replicas.
    pub fn ready_replicas(&self, deployment: Key, replicas: i32) -> anyhow::Result<()> {
        wait(&format!("{replicas} replicas are ready"), LONG, || {
            let status = self.get(deployment)?["status"].clone();
            ensure!(status["readyReplicas"] == replicas, "{status}");
            Ok(())
        })
    }

    /// Waits until a deployment serves on one target alone; returns its status.
    pub fn served_on(&self, deployment: Key, target: &str) -> anyhow::Result<Value> {
        wait(&format!("{} serves on {target} alone", deployment.2), LONG, || {
            let object = self.get(deployment)?;
            ensure!(serves_on(&object, target), "{}", object["status"]);
            Ok(object["status"].clone())
        })
    }

    /// Resident memory of the operator in megabytes.
    pub fn operator_memory(&self) -> anyhow::Result<u64> {
        let pid = self.operator.as_ref().context("no operator runs")?.pid();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(kibibytes * 1024 / 1_000_000)
    }

    /// The operator's metrics.
    pub fn metrics(&self) -> anyhow::Result<String> {
        run("curl", &["-sf".to_owned(), format!("http://{}/metrics", self.listen)])
    }
}

/// Values of Secrets, shorter than which they are words.
const MIN_SECRET_CHARS: usize = 12;

impl ServiceStage {
    /// Checks that no value of any Secret on the hub, and none of these tokens, occurs in the operator's log and metrics, in Roadstead's
    /// objects or in events.
    pub fn leaks_nothing(&self, tokens: &[&str]) -> anyhow::Result<()> {
        let kinds = "modeldeployments,inferenceendpoints,servingtargets,events";
        let objects = self.kubectl(&["get", kinds, "--all-namespaces", "-o", "json"])?;
        let shown = [std::fs::read_to_string(self.log())?, objects, self.metrics()?];
        let secrets: Value =
            serde_json::from_str(&self.kubectl(&["get", "secrets", "--all-namespaces", "-o", "json"])?)?;
        let entries =
            secrets["items"].as_array().into_iter().flatten().filter_map(|one| one["data"].as_object()).flatten();
        let mut values: Vec<String> = tokens.iter().map(|&token| token.to_owned()).collect();
        // Ids are public.
        for (_, value) in entries.filter(|(name, _)| !name.to_lowercase().ends_with("id")) {
            let value = BASE64.decode(value.as_str().context("no text")?.as_bytes())?;
            values.push(String::from_utf8(value)?.trim().to_owned());
        }
        let secrets: Vec<&String> = values.iter().filter(|value| value.len() >= MIN_SECRET_CHARS).collect();
        ensure!(secrets.len() > tokens.len(), "the hub has no Secrets");
        for text in &shown {
            ensure!(!secrets.iter().any(|secret| text.contains(secret.as_str())), "a secret is shown: {text}");
        }
        Ok(())
    }
}

/// True if a deployment serves in its newest generation on this target alone, and nothing is being removed.
pub fn serves_on(deployment: &Value, target: &str) -> bool {
    let status = &deployment["status"];
    let ready = status["conditions"].as_array().into_iter().flatten().find(|one| one["type"] == "Ready");
    let current = status["observedGeneration"] == deployment["metadata"]["generation"];
    let placed = status["placements"][0]["target"] == target && status["placements"][1].is_null();
    current && placed && status["releasing"].is_null() && ready.is_some_and(|ready| ready["status"] == "True")
}

/// An amount such as `63.30`, in cents.
pub fn cents(dollars: &Value) -> anyhow::Result<u64> {
    let text = dollars.as_str().with_context(|| format!("no amount: {dollars}"))?;
    let (whole, part) = text.split_once('.').context("no cents")?;
    ensure!(part.len() == 2, "not whole cents: {text}");
    Ok(whole.parse::<u64>()? * 100 + part.parse::<u64>()?)
}

/// A simulated cloud as a process, until it is dropped.
pub struct SimulatedCloud {
    /// The option by which an operator reaches it.
    pub option: String,
    _process: Bound,
    _dir: tempfile::TempDir,
}

impl SimulatedCloud {
    /// Starts it.
    pub fn start() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let listen = unused_address();
        let args = ["simulated-cloud".to_owned(), format!("--listen={listen}")];
        let process = Bound::start(&program(), &args, &[], &dir.path().join("cloud.log"))?;
        let url = format!("http://{listen}");
        wait("the simulated cloud answers", LONG, || run("curl", &["-sf".to_owned(), format!("{url}/livez")]))?;
        Ok(Self { option: format!("--simulated-cloud={url}"), _process: process, _dir: dir })
    }
}

/// The program, or another build of it that the environment names.
fn program() -> PathBuf {
    std::env::var_os("ROADSTEAD_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_roadstead").into(), PathBuf::from)
}
