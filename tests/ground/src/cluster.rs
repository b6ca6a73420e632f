//! One real cluster of one node, in a network namespace of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::audit::{self, Mark, Write};
use crate::command::{feed, finish, run};
use crate::network::{Network, sweep_pod_namespaces};
use crate::process::Process;
use crate::tools::Tools;

/// In the order in which they are ended.
const PARTS: [&str; 7] = ["kubelet", "proxy", "controller-manager", "scheduler", "apiserver", "containerd", "etcd"];
/// The token of the administrator; nothing outside this machine's namespaces reaches these API servers.
const TOKEN: &str = "ground-administrator";

/// As a kubelet has it by itself.
const LONGEST_RESTART_BACKOFF: Duration = Duration::from_mins(5);

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
            run: PathBuf::from("/run/roadstead-ground").join(name),
        }
    }

    /// The name of its node.
    #[must_use]
    pub fn node(&self) -> String {
        format!("{}-node", self.name)
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
    /// When a part cannot be started or the node does not become ready; the error names the log.
    pub fn up(&self, images: &[PathBuf]) -> anyhow::Result<()> {
        self.down();
        fs::create_dir_all(self.dir.join("cni"))?;
        fs::create_dir_all(&self.run)?;
        self.network.up()?;
        self.control_plane()?;
        self.node_parts(images)?;
        self.wait("the node is ready", Duration::from_mins(1), || {
            Ok(self.kubectl(&["get", "nodes"])?.contains(" Ready"))
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
    /// When it does not answer in time.
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
                &format!("--audit-policy-file={}", self.file("audit.yaml")),
                &format!("--audit-log-path={}", self.file("audit.log")),
            ],
        )?;
        let certificate = self.dir.join("certs/apiserver.crt");
        self.wait("the API server has its certificate", Duration::from_secs(30), || Ok(certificate.exists()))?;
        fs::write(self.kubeconfig(), self.kubeconfig_with(TOKEN)?)?;
        self.wait("the API server answers", Duration::from_mins(1), || {
            Ok(self.kubectl(&["get", "--raw", "/readyz"]).is_ok_and(|answer| answer == "ok"))
        })
    }

    /// Stops the API server.
    pub fn stop_api(&self) {
        self.end("apiserver");
    }

    fn node_parts(&self, images: &[PathBuf]) -> anyhow::Result<()> {
        fs::write(self.dir.join("containerd.toml"), self.containerd_config())?;
        fs::write(self.dir.join("cni/10.conflist"), self.cni_config())?;
        self.start_containerd()?;
        for image in images {
            self.load(image)?;
        }
        self.start_kubelet()?;
        self.start(
            "proxy",
            "kube-proxy",
            &[
                "--kubeconfig",
                &self.file("kubeconfig"),
                "--hostname-override",
                &self.node(),
                "--proxy-mode=nftables",
                &format!("--cluster-cidr={}", self.network.pods()),
            ],
        )
    }

    fn start_containerd(&self) -> anyhow::Result<()> {
        let config = self.file("containerd.toml");
        self.start_program("containerd", Path::new("/usr/bin/containerd"), &["-c", &config])?;
        self.wait("containerd answers", Duration::from_secs(30), || {
            Ok(run("ctr", &["-a", &self.containerd(), "version"]).is_ok())
        })
    }

    /// The socket of the node's container runtime.
    pub(crate) fn containerd(&self) -> String {
        self.run.join("containerd.sock").display().to_string()
    }

    /// Loads an image archive into the node.
    ///
    /// # Errors
    /// When containerd refuses it.
    pub fn load(&self, image: &Path) -> anyhow::Result<()> {
        let socket = self.containerd();
        run("ctr", &["-a", &socket, "-n", "k8s.io", "images", "import", &image.display().to_string()]).map(drop)
    }

    /// Starts the kubelet.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_kubelet(&self) -> anyhow::Result<()> {
        self.start_kubelet_with(LONGEST_RESTART_BACKOFF)
    }

    /// Starts the kubelet anew; it waits no longer than `backoff` (at least a second) before it starts a container
    /// again that keeps ending. The pods go on.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart_kubelet(&self, backoff: Duration) -> anyhow::Result<()> {
        self.stop_kubelet();
        self.start_kubelet_with(backoff)
    }

    fn start_kubelet_with(&self, backoff: Duration) -> anyhow::Result<()> {
        fs::write(self.dir.join("kubelet.yaml"), self.kubelet_config(backoff))?;
        self.start(
            "kubelet",
            "kubelet",
            &[
                "--config",
                &self.file("kubelet.yaml"),
                "--kubeconfig",
                &self.file("kubeconfig"),
                "--root-dir",
                &self.file("kubelet"),
                "--hostname-override",
                &self.node(),
                "--node-ip",
                &self.network.node(),
            ],
        )
    }

    /// Ends the kubelet: the node stops reporting, its containers go on.
    pub fn stop_kubelet(&self) {
        self.end("kubelet");
    }

    /// Ends everything on the node at once, as a loss of power would: kubelet, container runtime and containers. The
    /// control plane goes on.
    pub fn kill_node(&self) {
        self.end("kubelet");
        self.end("containerd");
        self.end_containers();
    }

    /// Starts a killed node again.
    ///
    /// # Errors
    /// When a part of it does not start.
    pub fn start_node(&self) -> anyhow::Result<()> {
        self.start_containerd()?;
        self.start_kubelet()
    }

    /// Where the API server's audit log ends now.
    #[must_use]
    pub fn mark(&self) -> Mark {
        audit::end_of(&self.dir.join("audit.log"))
    }

    /// What the API server was asked to write after `mark`, in the order of its answers.
    ///
    /// # Errors
    /// When the audit log cannot be read.
    pub fn writes_since(&self, mark: Mark) -> anyhow::Result<Vec<Write>> {
        audit::since(&self.name, &self.dir.join("audit.log"), mark)
    }

    /// Stops the API server in its tracks: connections hang.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze_api(&self) -> anyhow::Result<()> {
        Process::find(&self.dir, "apiserver").context("the API server does not run")?.signal("STOP")
    }

    /// Lets a frozen API server go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw_api(&self) -> anyhow::Result<()> {
        Process::find(&self.dir, "apiserver").context("the API server does not run")?.signal("CONT")
    }

    /// Gives the node accelerators: an extended resource is a number in its status.
    ///
    /// # Errors
    /// When the API server refuses.
    pub fn set_accelerators(&self, resource: &str, count: u32) -> anyhow::Result<()> {
        let amount = format!("{{\"{resource}\":\"{count}\"}}");
        let patch = format!("{{\"status\":{{\"capacity\":{amount},\"allocatable\":{amount}}}}}");
        self.kubectl(&["patch", "node", &self.node(), "--subresource=status", "--type=merge", "-p", &patch]).map(drop)
    }

    /// Runs kubectl as administrator.
    ///
    /// # Errors
    /// When it fails; the error holds what it printed.
    pub fn kubectl(&self, args: &[&str]) -> anyhow::Result<String> {
        finish(self.kubectl_command().args(args))
    }

    /// Applies manifests.
    ///
    /// # Errors
    /// When the API server refuses one.
    pub fn apply(&self, manifests: &str) -> anyhow::Result<String> {
        feed(self.kubectl_command().args(["apply", "-f", "-"]), manifests)
    }

    /// A command of the tools folder that talks to this cluster as administrator.
    #[must_use]
    pub fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(self.tools.path(tool));
        command.env("KUBECONFIG", self.kubeconfig());
        command
    }

    fn kubectl_command(&self) -> Command {
        self.command("kubectl")
    }

    /// A kubeconfig of this cluster with `token`; it trusts the cluster's own authority.
    ///
    /// # Errors
    /// When the certificate cannot be read.
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
        let start = text.rfind("-----BEGIN CERTIFICATE-----").context("no certificate")?;
        let path = self.dir.join("ca.crt");
        fs::write(&path, text.get(start..).unwrap_or_default())?;
        run("base64", &["-w0", &path.display().to_string()])
    }

    /// Ends everything of this cluster and removes its files; fine if there is nothing.
    pub fn down(&self) {
        for part in PARTS.into_iter().take(5) {
            self.end(part);
        }
        self.end_containers();
        for part in PARTS.into_iter().skip(5) {
            self.end(part);
        }
        self.unmount();
        self.network.down();
        sweep_pod_namespaces();
        self.remove_log_links();
        let _ = fs::remove_dir_all(&self.run);
        let _ = fs::remove_dir_all(&self.dir);
    }

    /// Containers outlive containerd by their shims, whose command line names our socket, and outlive those too.
    fn end_containers(&self) {
        let socket = format!("{}/", self.run.display());
        let list = run("ps", &["-eo", "pid,ppid,args"]).unwrap_or_default();
        let processes: Vec<_> = list.lines().filter_map(process_of).collect();
        let shims: Vec<_> = processes
            .iter()
            .filter(|(_, _, line)| line.contains("containerd-shim") && line.contains(&socket))
            .map(|(pid, _, _)| *pid)
            .collect();
        // The shims first: they would report the ends of their containers, which then would be started again.
        let containers = processes.iter().filter(|(_, parent, _)| shims.contains(parent)).map(|(pid, _, _)| *pid);
        for pid in shims.iter().copied().chain(containers) {
            let _ = run("kill", &["-9", pid]);
        }
    }

    /// The kubelet links every container's log from a folder that cannot be set.
    fn remove_log_links(&self) {
        let links = Path::new("/var/log/containers");
        for link in fs::read_dir(links).into_iter().flatten().flatten() {
            if fs::read_link(link.path()).is_ok_and(|log| log.starts_with(&self.dir)) {
                let _ = fs::remove_file(link.path());
            }
        }
        // Others' links stay, and with them the folder.
        let _ = fs::remove_dir(links);
    }

    fn unmount(&self) {
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let ours = |path: &&str| Path::new(path).starts_with(&self.run) || Path::new(path).starts_with(&self.dir);
        let mut paths: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(ours).collect();
        paths.sort_unstable();
        for path in paths.iter().rev() {
            let _ = run("umount", &["-l", path]);
        }
    }

    fn end(&self, part: &str) {
        if let Some(process) = Process::find(&self.dir, part) {
            process.end(Duration::from_secs(5));
        }
    }

    fn start(&self, part: &str, tool: &str, args: &[&str]) -> anyhow::Result<()> {
        self.start_program(part, &self.tools.path(tool), args)
    }

    fn start_program(&self, part: &str, program: &Path, args: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.network.path().display())).arg(program).args(args).current_dir(&self.dir);
        Process::start(&self.dir, part, &mut command).map(drop)
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn wait(&self, what: &str, limit: Duration, check: impl Fn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let start = Instant::now();
        while !check().unwrap_or(false) {
            if start.elapsed() > limit {
                bail!(
                    "cluster {}: not after {} s: {what}; see the logs in {}",
                    self.name,
                    limit.as_secs(),
                    self.dir.display()
                );
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    fn containerd_config(&self) -> String {
        let (dir, run) = (self.dir.display(), self.run.display());
        // Without CAP_SYS_RESOURCE runc dies on a negative score.
        format!(
            "version = 2\nroot = \"{dir}/containerd\"\nstate = \"{run}/containerd\"\n[grpc]\naddress = \"{run}/containerd.sock\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"localhost/pause:v1\"\nrestrict_oom_score_adj = true\n\
             [plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"/usr/lib/cni\"\nconf_dir = \"{dir}/cni\"\n"
        )
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

    fn kubelet_config(&self, backoff: Duration) -> String {
        format!(
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n\
             authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}\n\
             authorization: {{mode: AlwaysAllow}}\ncgroupDriver: cgroupfs\ncgroupsPerQOS: false\n\
             enforceNodeAllocatable: []\nfailCgroupV1: false\nfailSwapOn: false\n\
             containerRuntimeEndpoint: unix://{run}/containerd.sock\npodLogsDir: {dir}/pod-logs\n\
             evictionHard: {{memory.available: \"50Mi\", nodefs.available: \"1%\", imagefs.available: \"1%\"}}\n\
             imageGCHighThresholdPercent: 100\nnodeStatusUpdateFrequency: 5s\nresolvConf: \"\"\n\
             crashLoopBackOff: {{maxContainerRestartPeriod: {backoff}s}}\n",
            run = self.run.display(),
            dir = self.dir.display(),
            backoff = backoff.as_secs()
        )
    }
}

/// Process, parent and command line out of a line of `ps -eo pid,ppid,args`.
fn process_of(line: &str) -> Option<(&str, &str, &str)> {
    let (pid, rest) = line.trim_start().split_once(' ')?;
    let (parent, command) = rest.trim_start().split_once(' ')?;
    Some((pid, parent, command))
}
