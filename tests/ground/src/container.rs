//! Containers of running pods, to be killed or frozen as a machine would do it: without a word to anybody.

use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::cluster::Cluster;
use crate::command::run;
use crate::objects;

/// A container that runs on a cluster's node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its name in the pod.
    pub name: String,
    /// Its pod.
    pub pod: String,
    /// The pod's address.
    pub address: String,
    id: String,
    socket: String,
    pipes: String,
}

impl Container {
    /// The running containers of the pods that carry `labels` (a selector), sidecars included.
    ///
    /// # Errors
    /// If the API server does not answer.
    pub fn find(cluster: &Cluster, namespace: &str, labels: &str) -> anyhow::Result<Vec<Self>> {
        let mut all = Vec::new();
        for pod in objects::list(&cluster.kubeconfig(), "pod", namespace, labels)? {
            let of_pod = pod["metadata"]["name"].as_str().context("a pod without a name")?;
            let address = pod["status"]["podIP"].as_str().unwrap_or_default();
            let lists = ["containerStatuses", "initContainerStatuses"].map(|list| pod["status"][list].as_array());
            for container in lists.into_iter().flatten().flatten().filter(|one| one["state"]["running"].is_object()) {
                let id = container["containerID"].as_str().and_then(|id| id.strip_prefix("containerd://"));
                let id = id.with_context(|| format!("pod {of_pod} has a container without an id"))?;
                all.push(Self {
                    name: container["name"].as_str().unwrap_or_default().to_owned(),
                    pod: of_pod.to_owned(),
                    address: address.to_owned(),
                    id: id.to_owned(),
                    socket: cluster.node().containerd(),
                    pipes: cluster.node().pipes(),
                });
            }
        }
        Ok(all)
    }

    /// Kills its first process, and with it the container. The kubelet may start it again.
    ///
    /// # Errors
    /// If it is gone already.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.signal("SIGKILL")
    }

    /// Stops its first process in its tracks.
    ///
    /// # Errors
    /// If it is gone.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal("SIGSTOP")
    }

    /// Lets a frozen process go on.
    ///
    /// # Errors
    /// If it is gone.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal("SIGCONT")
    }

    /// Runs a command in it, as its own user, and returns what it printed.
    ///
    /// # Errors
    /// If it cannot be run, or fails.
    pub fn execute(&self, command: &[&str]) -> anyhow::Result<String> {
        let mut args = vec!["tasks", "exec", "--fifo-dir", &self.pipes, "--exec-id", "ground", &self.id];
        args.extend(command);
        self.ctr(&args)
    }

    /// Its file system, as seen from the machine.
    ///
    /// # Errors
    /// If it is gone.
    pub fn root(&self) -> anyhow::Result<PathBuf> {
        let tasks = self.ctr(&["tasks", "list"])?;
        let mut lines = tasks.lines().map(str::split_whitespace);
        let task = lines.find_map(|mut words| (words.next() == Some(&self.id)).then(|| words.next()).flatten());
        let pid = task.with_context(|| format!("the container of pod {} is gone", self.pod))?;
        Ok(PathBuf::from("/proc").join(pid).join("root"))
    }

    fn signal(&self, signal: &str) -> anyhow::Result<()> {
        if let Err(error) = self.ctr(&["tasks", "kill", "--signal", signal, &self.id]) {
            bail!("{signal} did not reach the container of pod {}: {error:#}", self.pod);
        }
        Ok(())
    }

    fn ctr(&self, args: &[&str]) -> anyhow::Result<String> {
        let mut all = vec!["-a", self.socket.as_str(), "-n", "k8s.io"];
        all.extend(args);
        run("ctr", &all)
    }
}
