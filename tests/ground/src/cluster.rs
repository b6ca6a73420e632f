//! One real cluster in a network namespace of its own: a control plane, one node, and another where a test wants it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::audit::{self, Mark, Write};
use crate::command::{feed, finish, run};
use crate::machine::RUN;
use crate::network::{NODES, Network};
use crate::node::{Node, Places};
use crate::objects;
use crate::process::Process;
use crate::tools::{SPARING, Tools};
use crate::wait::wait;

/// The parts that are not of a node, in the order in which they are ended.
const PARTS: [&str; 5] = ["proxy", "controller-manager", "scheduler", "apiserver", "etcd"];
/// The token of the administrator; nothing outside this machine's namespaces reaches these API servers.
const TOKEN: &str = "ground-administrator";

/// Time in seconds that pods stay bound to a lost node; five minutes by default in Kubernetes.
const LOST_NODE_SECONDS: u32 = 5;

/// A cluster, running or not.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    network: Network,
    tools: Tools,
    dir: PathBuf,
    run: PathBuf,
}

impl Cluster {
    /// The cluster `name` on the `index`-th network, with its files below `root`.
    #[must_use]
    pub fn new(name: &str, index: u8, tools: &Tools, root: &Path) -> Self {
        Self {
            name: name.to_owned(),
            network: Network::new(name, index),
            tools: tools.clone(),
            dir: root.join(name),
            run: PathBuf::from(RUN).join(name),
        }
    }

    /// Its node.
    #[must_use]
    pub fn node(&self) -> Node {
        self.nth_node(0)
    }

    /// The node that a test may add, with [`Node::up`].
    #[must_use]
    pub fn second_node(&self) -> Node {
        self.nth_node(1)
    }

    fn nth_node(&self, index: u8) -> Node {
        let places = Places {
            kubelet: &self.tools.path("kubelet"),
            kubeconfig: &self.kubeconfig(),
            dir: &self.dir,
            run: &self.run,
            cni: &self.dir.join("cni"),
        };
        Node::new(&self.network, index, &places)
    }

    /// Its network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The path of the administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// Starts it anew, with `images` loaded: what a former run left is removed first.
    ///
    /// # Errors
    /// If a part cannot be started or the node does not become ready; the error names the log.
    pub fn up(&self, images: &[PathBuf]) -> anyhow::Result<()> {
        self.down();
        fs::create_dir_all(self.dir.join("cni"))?;
        fs::create_dir_all(&self.run)?;
        self.network.up()?;
        self.control_plane()?;
        fs::write(self.dir.join("cni/10.conflist"), self.cni_config())?;
        self.node().up(images)?;
        self.start_proxy()?;
        self.wait("the node is ready", Duration::from_mins(1), || {
            let is_ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
            let of_node =
                |node: &Value| node["status"]["conditions"].as_array().is_some_and(|all| all.iter().any(is_ready));
            Ok(self.list("node", "")?.iter().any(of_node))
        })
    }

    fn control_plane(&self) -> anyhow::Result<()> {
        run("openssl", &["genrsa", "-out", &self.file("sa.key"), "2048"])?;
        run("openssl", &["rsa", "-in", &self.file("sa.key"), "-pubout", "-out", &self.file("sa.pub")])?;
        fs::write(self.dir.join("tokens"), format!("{TOKEN},admin,1,system:masters\n"))?;
        self.start_etcd()?;
        self.start_api()?;
        self.start(
            "controller-manager",
            "kube-controller-manager",
            &[
                "--kubeconfig",
                &self.file("kubeconfig"),
                "--service-account-private-key-file",
                &self.file("sa.key"),
                "--root-ca-file",
                &self.file("certs/apiserver.crt"),
                "--leader-elect=false",
                "--controllers=*,-node-ipam-controller",
                "--node-monitor-grace-period=20s",
                "--flex-volume-plugin-dir",
                &self.file("volume-plugins"),
            ],
        )?;
        self.start("scheduler", "kube-scheduler", &["--kubeconfig", &self.file("kubeconfig"), "--leader-elect=false"])
    }

    fn start_etcd(&self) -> anyhow::Result<()> {
        self.start("etcd", "etcd", &["--data-dir", &self.file("etcd"), "--unsafe-no-fsync", "--log-level", "warn"])
    }

    /// Starts the API server and waits until it answers.
    ///
    /// # Errors
    /// If it does not answer in time.
    pub fn start_api(&self) -> anyhow::Result<()> {
        fs::write(self.dir.join("audit.yaml"), audit::WRITES)?;
        self.start(
            "apiserver",
            "kube-apiserver",
            &[
                "--etcd-servers=http://127.0.0.1:2379",
                &format!("--cert-dir={}", self.file("certs")),
                "--bind-address=0.0.0.0",
                &format!("--advertise-address={}", self.network.node()),
                "--secure-port=6443",
                &format!("--service-cluster-ip-range={}", self.network.services()),
                "--allow-privileged=true",
                "--authorization-mode=Node,RBAC",
                &format!("--token-auth-file={}", self.file("tokens")),
                "--service-account-issuer=https://kubernetes.default.svc",
                &format!("--service-account-key-file={}", self.file("sa.pub")),
                &format!("--service-account-signing-key-file={}", self.file("sa.key")),
                "--kubelet-preferred-address-types=InternalIP",
                &format!("--default-not-ready-toleration-seconds={LOST_NODE_SECONDS}"),
                &format!("--default-unreachable-toleration-seconds={LOST_NODE_SECONDS}"),
                &format!("--audit-policy-file={}", self.file("audit.yaml")),
                &format!("--audit-log-path={}", self.file("audit.log")),
            ],
        )?;
        self.wait("the API server has its certificate", Duration::from_secs(30), || Ok(self.authority().is_ok()))?;
        fs::write(self.kubeconfig(), self.kubeconfig_with(TOKEN)?)?;
        self.wait("the API server answers", Duration::from_mins(1), || Ok(objects::is_ready(&self.kubeconfig())))
    }

    /// Stops the API server.
    pub fn stop_api(&self) {
        self.end("apiserver");
    }

    fn start_proxy(&self) -> anyhow::Result<()> {
        self.start(
            "proxy",
            "kube-proxy",
            &[
                "--kubeconfig",
                &self.file("kubeconfig"),
                "--hostname-override",
                &self.node().name,
                "--proxy-mode=nftables",
                &format!("--nodeport-addresses={}", self.network.nodes()),
                &format!("--cluster-cidr={}", self.network.pods()),
                // The size of the table of connections is the machine's.
                "--conntrack-max-per-core=0",
            ],
        )
    }

    /// Current end of the API server's audit log.
    #[must_use]
    pub fn mark(&self) -> Mark {
        audit::end_of(&self.dir.join("audit.log"))
    }

    /// Writes to the API server after `mark`, in the order of its answers.
    ///
    /// # Errors
    /// If the audit log cannot be read.
    pub fn writes_since(&self, mark: Mark) -> anyhow::Result<Vec<Write>> {
        audit::since(&self.name, &self.dir.join("audit.log"), mark)
    }

    /// Stops the API server in its tracks: connections hang.
    ///
    /// # Errors
    /// If it does not run.
    pub fn freeze_api(&self) -> anyhow::Result<()> {
        Process::find(&self.dir, "apiserver").context("the API server does not run")?.signal("STOP")
    }

    /// Lets a frozen API server go on.
    ///
    /// # Errors
    /// If it does not run.
    pub fn thaw_api(&self) -> anyhow::Result<()> {
        Process::find(&self.dir, "apiserver").context("the API server does not run")?.signal("CONT")
    }

    /// Gives its node accelerators: an extended resource is a number in its status.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn set_accelerators(&self, resource: &str, count: u32) -> anyhow::Result<()> {
        self.set_accelerators_of(&self.node().name, resource, count)
    }

    /// Gives any node accelerators.
    ///
    /// # Errors
    /// If the API server refuses.
    pub fn set_accelerators_of(&self, node: &str, resource: &str, count: u32) -> anyhow::Result<()> {
        let amount = format!("{{\"{resource}\":\"{count}\"}}");
        let patch = format!("{{\"status\":{{\"capacity\":{amount},\"allocatable\":{amount}}}}}");
        self.kubectl(&["patch", "node", node, "--subresource=status", "--type=merge", "-p", &patch]).map(drop)
    }

    /// Runs kubectl as administrator.
    ///
    /// # Errors
    /// If it fails; the error holds what it printed.
    pub fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        finish(self.kubectl_command().args(args))
    }

    /// An object as JSON; `namespace` is empty for kinds without.
    ///
    /// # Errors
    /// As [`objects::get`].
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> anyhow::Result<Value> {
        objects::get(&self.kubeconfig(), kind, namespace, name)
    }

    /// The objects of a kind in a namespace, as JSON.
    ///
    /// # Errors
    /// As [`objects::list`].
    pub fn list(&self, kind: &str, namespace: &str) -> anyhow::Result<Vec<Value>> {
        objects::list(&self.kubeconfig(), kind, namespace, "")
    }

    /// The names of the objects of these kinds in a namespace, as `kind/name`.
    ///
    /// # Errors
    /// As [`objects::list`].
    pub fn names(&self, kinds: &[&str], namespace: &str) -> anyhow::Result<Vec<String>> {
        let mut names = Vec::new();
        for kind in kinds {
            for object in self.list(kind, namespace)? {
                names.push(format!("{kind}/{}", object["metadata"]["name"].as_str().context("no name")?));
            }
        }
        Ok(names)
    }

    /// Applies manifests.
    ///
    /// # Errors
    /// If the API server refuses one.
    pub fn apply(&self, manifests: &str) -> anyhow::Result<String> {
        feed(self.kubectl_command().args(["apply", "-f", "-"]), manifests)
    }

    /// A command of the tools folder that talks to this cluster as administrator.
    #[must_use]
    pub fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(self.tools.path(tool));
        command.env("KUBECONFIG", self.kubeconfig()).env("KUBECACHEDIR", self.dir.join("kubectl-cache"));
        command.env(SPARING.0, SPARING.1);
        command
    }

    fn kubectl_command(&self) -> Command {
        self.command("kubectl")
    }

    /// A kubeconfig of this cluster with `token`; it trusts the cluster's own authority.
    ///
    /// # Errors
    /// If the certificate cannot be read.
    pub fn kubeconfig_with(&self, token: &str) -> anyhow::Result<String> {
        let authority = self.authority()?;
        Ok(format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: ground\n\
             clusters: [{{name: {name}, cluster: {{server: \"https://{node}:6443\", certificate-authority-data: {authority}}}}}]\n\
             users: [{{name: user, user: {{token: {token}}}}}]\n\
             contexts: [{{name: ground, context: {{cluster: {name}, user: user}}}}]\n",
            name = self.name,
            node = self.network.node(),
        ))
    }

    /// The authority that signed the API server's certificate: the last one in its file, in base64.
    fn authority(&self) -> anyhow::Result<String> {
        let file = self.file("certs/apiserver.crt");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        // The file is there a moment before what is in it.
        ensure!(text.trim_end().ends_with("-----END CERTIFICATE-----"), "{file} is not complete");
        let start = text.rfind("-----BEGIN CERTIFICATE-----").context("no certificate")?;
        let path = self.dir.join("ca.crt");
        fs::write(&path, text.get(start..).unwrap_or_default())?;
        run("base64", &["-w0", &path.display().to_string()])
    }

    /// Ends everything of this cluster and removes its files; fine if there is nothing.
    pub fn down(&self) {
        (0..NODES).for_each(|index| self.nth_node(index).down());
        for part in PARTS {
            self.end(part);
        }
        self.network.down();
        let _ = fs::remove_dir_all(&self.run);
        let _ = fs::remove_dir_all(&self.dir);
    }

    fn end(&self, part: &str) {
        if let Some(process) = Process::find(&self.dir, part) {
            process.end(Duration::from_secs(5));
        }
    }

    fn start(&self, part: &str, tool: &str, args: &[&str]) -> anyhow::Result<()> {
        let (net, program) = (format!("--net={}", self.network.path().display()), self.tools.path(tool));
        let mut command = Command::new("nsenter");
        command.arg(net).arg(program).args(args).env(SPARING.0, SPARING.1).current_dir(&self.dir);
        Process::start(&self.dir, part, &mut command).map(drop)
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn wait(&self, what: &str, limit: Duration, check: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        wait(what, limit, || if check()? { Ok(()) } else { bail!("not yet") })
            .with_context(|| format!("cluster {}; see the logs in {}", self.name, self.dir.display()))
    }

    fn cni_config(&self) -> String {
        let (run, pods) = (self.run.display(), self.network.pods());
        format!(
            "{{\"cniVersion\":\"0.4.0\",\"name\":\"{}\",\"plugins\":[{{\"type\":\"bridge\",\"bridge\":\"cni0\",\"isGateway\":true,\
             \"ipMasq\":false,\"hairpinMode\":true,\"ipam\":{{\"type\":\"host-local\",\"dataDir\":\"{run}/ipam\",\
             \"ranges\":[[{{\"subnet\":\"{pods}\"}}]],\"routes\":[{{\"dst\":\"0.0.0.0/0\"}}]}}}},\
             {{\"type\":\"portmap\",\"capabilities\":{{\"portMappings\":true}}}}]}}",
            self.name
        )
    }
}
