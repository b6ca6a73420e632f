//! A hub of a test: an API server, an operator, a simulated cloud and a gateway.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use roadstead_ground::api_server::ApiServer;
use roadstead_ground::bound::Bound;
use roadstead_ground::command::{feed, finish};
use roadstead_ground::objects;
use roadstead_ground::unused::unused_address;
use serde_json::Value;

use crate::rig::Rig;

/// Time for what an operator does.
const PATIENCE: Duration = Duration::from_mins(2);

/// A hub with an operator, a simulated cloud and a gateway.
pub struct Hub {
    /// Its gateway.
    pub gateway: Rig,
    server: ApiServer,
    cloud: Option<Bound>,
    cloud_args: [String; 2],
    args: Vec<String>,
    variables: Vec<(&'static str, String)>,
    operator: Option<Bound>,
}

impl Hub {
    /// Starts a hub.
    pub async fn start() -> Self {
        Self::start_as(&[], &[]).await
    }

    /// Starts a hub whose operator has these options. Operator and gateway have these variables.
    pub async fn start_as(options: &[String], variables: &[(&'static str, String)]) -> Self {
        let server = tokio::task::spawn_blocking(|| {
            let server = ApiServer::start().unwrap();
            server.define(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crds")).unwrap();
            server
        })
        .await
        .unwrap();
        let gateway = Rig::start_on(&server, &["--hosted-quiet-seconds=5"], variables.to_vec()).await;
        let (cloud, desk) = (unused_address(), unused_address());
        let cloud_args = ["simulated-cloud".to_owned(), format!("--listen={cloud}")];
        let mut args = vec![
            "run".to_owned(),
            "--install-id=gateway-test".to_owned(),
            "--namespace=default".to_owned(),
            "--identity=operator".to_owned(),
            "--leader-elect=false".to_owned(),
            format!("--listen={desk}"),
            format!("--simulated-cloud=http://{cloud}"),
            "--allow-kubeconfig=local-addresses".to_owned(),
            format!("--routes-namespace={}", gateway.namespace),
            format!("--gateway-url=http://{}", gateway.address),
        ];
        args.extend(options.iter().cloned());
        let variables = variables.to_vec();
        let mut hub = Self { gateway, server, cloud: None, cloud_args, args, variables, operator: None };
        hub.start_cloud();
        hub.restart_operator();
        hub
    }

    /// Starts the simulated cloud, in which nothing is.
    pub fn start_cloud(&mut self) {
        let program = Path::new(env!("CARGO_BIN_EXE_roadstead"));
        let log = self.gateway.folder.path().join("cloud.log");
        self.cloud = Some(Bound::start(program, &self.cloud_args, &[], &log).unwrap());
    }

    /// Kills the simulated cloud, and with it everything that serves there.
    pub fn kill_cloud(&mut self) {
        self.cloud = None;
    }

    /// Kills the operator.
    pub fn kill_operator(&mut self) {
        self.operator = None;
    }

    /// Kills the operator, if it runs, and starts it.
    pub fn restart_operator(&mut self) {
        self.operator = None;
        let program = Path::new(env!("CARGO_BIN_EXE_roadstead"));
        let kubeconfig = self.server.kubeconfig().display().to_string();
        let log = self.gateway.folder.path().join("operator.log");
        let mut env = vec![("KUBECONFIG", kubeconfig.as_str())];
        env.extend(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
        self.operator = Some(Bound::start(program, &self.args, &env, &log).unwrap());
    }

    /// Applies an object.
    pub fn apply(&self, object: &Value) {
        feed(self.server.kubectl().args(["apply", "-f", "-"]), &object.to_string()).unwrap();
    }

    /// Output of kubectl as the administrator.
    pub fn kubectl(&self, args: &[&str]) -> String {
        finish(self.server.kubectl().args(args)).unwrap()
    }

    /// The deployment `llama`.
    pub fn deployment(&self) -> Value {
        let ask = || objects::get(&self.server.kubeconfig(), "mdep", "team", "llama").unwrap();
        // It has a runtime of its own, which cannot run inside that of a test.
        std::thread::scope(|scope| scope.spawn(ask).join().unwrap())
    }

    /// Output of `roadstead status`.
    pub fn status(&self) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_roadstead"));
        let namespace = format!("--routes-namespace={}", self.gateway.namespace);
        command.args(["status", "llama", "-n", "team", &namespace]).env("KUBECONFIG", self.server.kubeconfig());
        finish(&mut command).unwrap()
    }

    /// Waits until something holds of the deployment's status, and returns the deployment.
    pub async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let deployment = self.deployment();
            if holds(&deployment["status"]) {
                return deployment;
            }
            let log = || ["operator.log", "process.log"].map(|name| self.gateway.log(name)).join("\n");
            assert!(
                start.elapsed() < PATIENCE,
                "{what}: not within {PATIENCE:?}: {:#}\n{}",
                deployment["status"],
                log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The key of a caller in a Secret.
    pub fn key(&self, secret: &str, caller: &str) -> String {
        let path = format!("jsonpath={{.data.{caller}}}");
        let encoded = self.kubectl(&["get", "secret", secret, "-n", "team", "-o", &path]);
        String::from_utf8(data_encoding::BASE64.decode(encoded.trim().as_bytes()).unwrap()).unwrap()
    }
}
