//! The stage: an API server, an operator with options, and what a user sees.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use roadstead_ground::api_server::ApiServer;
use roadstead_ground::bound::Bound;
use roadstead_ground::command::{feed, finish, run};
use roadstead_ground::objects;
use roadstead_ground::wait::wait;
use serde_json::{Value, json};

/// The namespace of the deployments.
pub const TEAM: &str = "team";
/// The namespace of the operator.
pub const SYSTEM: &str = "roadstead-system";
/// Long enough for the busiest machine; nothing waits for it that goes well.
pub const LONG: Duration = Duration::from_mins(2);

/// A hub with an operator.
pub struct ServiceStage {
    server: ApiServer,
    listen: SocketAddr,
    _operator: Bound,
}

impl ServiceStage {
    /// A hub whose operator has these options.
    pub fn set(options: &[String]) -> anyhow::Result<Self> {
        let server = ApiServer::start()?;
        server.define(&Path::new(env!("CARGO_MANIFEST_DIR")).join("crds"))?;
        // An address apart from that of the fakes.
        let listen = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0))?.local_addr()?;
        let kubeconfig = server.kubeconfig().display().to_string();
        let args = [
            "run".to_owned(),
            "--install-id=prod".to_owned(),
            format!("--namespace={SYSTEM}"),
            "--identity=operator".to_owned(),
            "--leader-elect=false".to_owned(),
            format!("--listen={listen}"),
        ];
        let args: Vec<String> = args.into_iter().chain(options.iter().cloned()).collect();
        let log = server.dir().join("operator.log");
        let program = Path::new(env!("CARGO_BIN_EXE_roadstead"));
        for namespace in [TEAM, SYSTEM] {
            feed(
                server.kubectl().args(["apply", "-f", "-"]),
                &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}).to_string(),
            )?;
        }
        let operator = Bound::start(program, &args, &[("KUBECONFIG", &kubeconfig)], &log)?;
        Ok(Self { server, listen, _operator: operator })
    }

    /// Applies an object as a user does.
    pub fn apply(&self, object: &Value) -> anyhow::Result<()> {
        feed(self.server.kubectl().args(["apply", "-f", "-"]), &object.to_string()).map(drop)
    }

    /// Runs kubectl as the administrator.
    pub fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        finish(self.server.kubectl().args(args))
    }

    /// One object.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> anyhow::Result<Value> {
        objects::get(&self.server.kubeconfig(), kind, namespace, name)
    }

    /// Waits until a condition of the newest generation of an object is as wanted.
    pub fn condition(
        &self,
        (kind, namespace, name): (&str, &str, &str),
        type_: &str,
        status: &str,
    ) -> anyhow::Result<Value> {
        wait(&format!("{kind}/{name} has {type_}={status}"), LONG, || {
            let object = self.get(kind, namespace, name)?;
            let all = object["status"]["conditions"].as_array().context("no conditions")?;
            let condition = all.iter().find(|condition| condition["type"] == type_).context("no such condition")?;
            let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            ensure!(current && condition["status"] == status, "{condition}");
            Ok(condition.clone())
        })
    }

    /// The operator's metrics.
    pub fn metrics(&self) -> anyhow::Result<String> {
        run("curl", &["-sf".to_owned(), format!("http://{}/metrics", self.listen)])
    }
}
