//! One node of a cluster: a container runtime and a kubelet, in the cluster's network namespace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use crate::command::run;
use crate::machine::{FOLDERS, SETTINGS};
use crate::network::Network;
use crate::process::Process;
use crate::tools::SPARING;
use crate::wait::wait;

/// As a kubelet has it by itself.
const LONGEST_RESTART_BACKOFF: Duration = Duration::from_mins(5);
/// The nodes of a cluster share its namespace, so each kubelet needs ports of its own: these, and those of the next.
const PORTS: [u16; 2] = [10250, 10248];

/// A node, running or not.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its name.
    pub name: String,
    index: u8,
    network: Network,
    kubelet: PathBuf,
    kubeconfig: PathBuf,
    dir: PathBuf,
    run: PathBuf,
    cni: PathBuf,
}

/// Folders of the parts of a node.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The kubelet's binary.
    pub kubelet: &'a Path,
    /// The administrator's kubeconfig.
    pub kubeconfig: &'a Path,
    /// The cluster's files.
    pub dir: &'a Path,
    /// The cluster's sockets.
    pub run: &'a Path,
    /// The configuration of the pods' network.
    pub cni: &'a Path,
}

impl Node {
    /// The `index`-th node (from 0) of the cluster on `network`.
    #[must_use]
    pub fn new(network: &Network, index: u8, places: &Places<'_>) -> Self {
        let name = match index {
            0 => format!("{}-node", network.name),
            index => format!("{}-node-{}", network.name, index + 1),
        };
        Self {
            dir: places.dir.join(&name),
            run: places.run.join(&name),
            name,
            index,
            network: network.clone(),
            kubelet: places.kubelet.to_owned(),
            kubeconfig: places.kubeconfig.to_owned(),
            cni: places.cni.to_owned(),
        }
    }

    /// Starts it with `images` loaded.
    ///
    /// # Errors
    /// If a part does not start or an image is refused.
    pub fn up(&self, images: &[PathBuf]) -> anyhow::Result<()> {
        fs::create_dir_all(&self.dir)?;
        fs::create_dir_all(self.run.join("pipes"))?;
        fs::write(self.dir.join("containerd.toml"), self.containerd_config())?;
        self.start_containerd()?;
        images.iter().try_for_each(|image| self.load(image))?;
        self.start_kubelet(LONGEST_RESTART_BACKOFF)
    }

    /// Ends everything on it at once, as a loss of power would: kubelet, container runtime and containers.
    pub fn kill(&self) {
        self.end("kubelet");
        self.end("containerd");
        self.end_containers();
    }

    /// Starts it again after [`kill`](Self::kill).
    ///
    /// # Errors
    /// If a part of it does not start.
    pub fn start(&self) -> anyhow::Result<()> {
        self.start_containerd()?;
        self.start_kubelet(LONGEST_RESTART_BACKOFF)
    }

    /// Ends it; fine if it never was. The containers go before their runtime, or it would start them again.
    pub fn down(&self) {
        self.end("kubelet");
        self.end_containers();
        self.end("containerd");
    }

    /// Starts the kubelet anew; it waits no longer than `backoff` (at least a second, five minutes unless it is said)
    /// before it starts a container again that keeps ending. The pods go on.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn restart_kubelet(&self, backoff: Option<Duration>) -> anyhow::Result<()> {
        self.end("kubelet");
        self.start_kubelet(backoff.unwrap_or(LONGEST_RESTART_BACKOFF))
    }

    /// The socket of the container runtime.
    #[must_use]
    pub fn containerd(&self) -> String {
        self.run.join("containerd.sock").display().to_string()
    }

    /// Folder of the pipes of a command in a container: shared with the runtime and its client.
    #[must_use]
    pub fn pipes(&self) -> String {
        self.run.join("pipes").display().to_string()
    }

    /// Loads an image archive.
    ///
    /// # Errors
    /// If containerd refuses it.
    pub fn load(&self, image: &Path) -> anyhow::Result<()> {
        let socket = self.containerd();
        run("ctr", &["-a", &socket, "-n", "k8s.io", "images", "import", &image.display().to_string()]).map(drop)
    }

    /// True if an image of this name is loaded.
    ///
    /// # Errors
    /// If containerd does not answer.
    pub fn has_image(&self, name: &str) -> anyhow::Result<bool> {
        let socket = self.containerd();
        let names = run("ctr", &["-a", &socket, "-n", "k8s.io", "images", "list", "-q"])?;
        Ok(names.lines().any(|line| line == name))
    }

    /// Starts the container runtime in a mount namespace of its own, which ends with the last process in it.
    fn start_containerd(&self) -> anyhow::Result<()> {
        let config = self.dir.join("containerd.toml").display().to_string();
        // -n: otherwise mount records these, and makes /run/mount for that before it is covered.
        let script =
            "while [ \"$1\" != -- ]; do mount -n --bind \"$1\" \"$2\" || exit 1; shift 2; done; shift; exec \"$@\"";
        let mut args: Vec<String> =
            ["--mount", "--propagation", "slave", "sh", "-c", script, "sh"].map(ToOwned::to_owned).to_vec();
        for (file, covered) in self.covers()? {
            args.extend([file.display().to_string(), covered.to_owned()]);
        }
        args.extend(["--", "/usr/bin/containerd", "-c", &config].map(ToOwned::to_owned));
        let net = format!("--net={}", self.network.path().display());
        self.spawn("containerd", Command::new("nsenter").arg(net).arg("unshare").args(args))?;
        wait(&format!("containerd of {} answers", self.name), Duration::from_secs(30), || {
            run("ctr", &["-a", &self.containerd(), "version"])
        })
        .map(drop)
    }

    /// The node's own files and what of the machine each of them covers.
    fn covers(&self) -> anyhow::Result<Vec<(PathBuf, &'static str)>> {
        let own = |covered: &str| self.dir.join("machine").join(covered.trim_start_matches('/'));
        let mut covers = Vec::new();
        for covered in FOLDERS {
            fs::create_dir_all(own(covered))?;
            covers.push((own(covered), covered));
        }
        for (covered, value) in SETTINGS.into_iter().filter(|(covered, _)| Path::new(covered).exists()) {
            fs::create_dir_all(own(covered).parent().unwrap_or(&self.dir))?;
            fs::write(own(covered), value)?;
            covers.push((own(covered), covered));
        }
        Ok(covers)
    }

    fn start_kubelet(&self, backoff: Duration) -> anyhow::Result<()> {
        let config = self.dir.join("kubelet.yaml");
        fs::write(&config, self.kubelet_config(backoff))?;
        let runtime = Process::find(&self.dir, "containerd").context("its container runtime does not run")?;
        let mut command = Command::new("nsenter");
        // What the kubelet mounts for a pod, the runtime must see.
        command.args(["--net", "--mount", "--target", &runtime.pid().to_string()]).arg(&self.kubelet).args([
            "--config",
            &config.display().to_string(),
            "--kubeconfig",
            &self.kubeconfig.display().to_string(),
            "--root-dir",
            &self.dir.join("kubelet").display().to_string(),
            "--hostname-override",
            &self.name,
            "--node-ip",
            &self.network.node_address(self.index),
        ]);
        self.spawn("kubelet", &mut command)
    }

    fn spawn(&self, part: &str, command: &mut Command) -> anyhow::Result<()> {
        Process::start(&self.dir, part, command.env(SPARING.0, SPARING.1).current_dir(&self.dir)).map(drop)
    }

    fn end(&self, part: &str) {
        if let Some(process) = Process::find(&self.dir, part) {
            process.end(Duration::from_secs(5));
        }
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

    fn containerd_config(&self) -> String {
        let (dir, run, cni) = (self.dir.display(), self.run.display(), self.cni.display());
        // Without CAP_SYS_RESOURCE runc dies on a negative score.
        format!(
            "version = 2\nroot = \"{dir}/containerd\"\nstate = \"{run}/containerd\"\n[grpc]\naddress = \"{run}/containerd.sock\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"localhost/pause:v1\"\nrestrict_oom_score_adj = true\n\
             netns_mounts_under_state_dir = true\n\
             [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\nruntime_type = \"io.containerd.runc.v2\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\nRoot = \"{run}/runc\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"/usr/lib/cni\"\nconf_dir = \"{cni}\"\n"
        )
    }

    fn kubelet_config(&self, backoff: Duration) -> String {
        let [port, health] = PORTS.map(|port| port + 10 * u16::from(self.index));
        format!(
            "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n\
             authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}\n\
             authorization: {{mode: AlwaysAllow}}\ncgroupDriver: cgroupfs\ncgroupsPerQOS: false\n\
             enforceNodeAllocatable: []\nfailCgroupV1: false\nfailSwapOn: false\n\
             port: {port}\nhealthzPort: {health}\n\
             containerRuntimeEndpoint: unix://{run}/containerd.sock\npodLogsDir: {dir}/pod-logs\n\
             volumePluginDir: {dir}/volume-plugins\n\
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
