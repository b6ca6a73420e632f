//! A network namespace for each cluster, so that a partition is a real one.

use std::path::PathBuf;

use crate::command::run;

/// Maximum number of nodes of a cluster: one from its start, and another one if a test adds it.
pub const NODES: u8 = 2;
/// Port of a cluster's API server.
pub const API_PORT: u16 = 6443;
/// The route of all addresses of clusters that no cluster has.
const GUARD: &str = "blackhole 198.18.0.0/15 metric 4294967295";

/// The addresses of one cluster, all out of the benchmark range 198.18.0.0/15, which is never a real host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The name of the cluster.
    pub name: String,
    index: u8,
}

impl Network {
    /// The network of the cluster `name`, with the `index`-th part (0 to 60) of the range.
    #[must_use]
    pub fn new(name: &str, index: u8) -> Self {
        Self { name: name.to_owned(), index }
    }

    fn net(&self, offset: u8) -> String {
        format!("198.18.{}", self.index * 4 + offset)
    }

    /// The address of the first node and the API server.
    #[must_use]
    pub fn node(&self) -> String {
        self.node_address(0)
    }

    /// The address of the `index`-th node, from 0.
    #[must_use]
    pub fn node_address(&self, index: u8) -> String {
        format!("{}.{}", self.net(0), 2 + index)
    }

    /// The address of this machine at its end of the link.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.1", self.net(0))
    }

    /// The range of the nodes.
    #[must_use]
    pub fn nodes(&self) -> String {
        format!("{}.0/24", self.net(0))
    }

    /// The range of the pods.
    #[must_use]
    pub fn pods(&self) -> String {
        format!("{}.0/24", self.net(1))
    }

    /// The range of the services.
    #[must_use]
    pub fn services(&self) -> String {
        format!("{}.0/24", self.net(2))
    }

    /// The path by which the namespace is entered.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(self.namespace())
    }

    /// Nobody else's: whatever runs in a namespace of this name is ended.
    fn namespace(&self) -> String {
        format!("roadstead-{}", self.name)
    }

    fn link(&self) -> String {
        format!("rs-{}", self.name)
    }

    /// Makes the namespace and its link to the host.
    ///
    /// # Errors
    /// If a step is refused, for example without root.
    pub fn up(&self) -> anyhow::Result<()> {
        let (name, link, host, node) = (self.namespace(), self.link(), self.host(), self.node());
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {link} type veth peer name eth0 netns {name}"))?;
        ip(&format!("addr add {host}/24 dev {link}"))?;
        ip(&format!("link set {link} up"))?;
        // Of all nodes at once: kube-proxy reads them when it starts.
        for index in 0..NODES {
            ip(&format!("-n {name} addr add {}/24 dev eth0", self.node_address(index)))?;
        }
        ip(&format!("-n {name} link set eth0 up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        ip(&format!("-n {name} route add default via {host}"))?;
        // Pods of one cluster reach the others' addresses through the host: of what comes in by this link alone, for the
        // machine's own setting is not ours, and this one goes with the link.
        run("sysctl", &["-qw", &format!("net.ipv4.conf.{link}.forwarding=1")])?;
        for range in [self.pods(), self.services()] {
            ip(&format!("route replace {range} via {node}"))?;
        }
        self.inside("sysctl", &["-qw", "net.ipv4.ip_forward=1"]).map(drop)
    }

    /// Runs a program inside the namespace. Not `ip netns exec`: that hides the cgroup mounts from a kubelet.
    ///
    /// # Errors
    /// If it fails.
    pub fn inside(&self, program: &str, args: &[&str]) -> anyhow::Result<String> {
        let enter = format!("--net={}", self.path().display());
        let mut all = vec![enter.as_str(), program];
        all.extend(args);
        run("nsenter", &all)
    }

    /// Swallows every packet that comes in from outside, silently.
    ///
    /// # Errors
    /// If nft refuses.
    pub fn partition(&self) -> anyhow::Result<()> {
        self.inside("nft", &["add table inet partition"])?;
        self.inside("nft", &["add chain inet partition in { type filter hook prerouting priority -400; }"])?;
        self.inside("nft", &["add rule inet partition in iifname eth0 drop"]).map(drop)
    }

    /// Swallows every packet from outside to this port, such as that of the API server.
    ///
    /// # Errors
    /// If nft refuses.
    pub fn partition_port(&self, port: u16) -> anyhow::Result<()> {
        self.inside("nft", &["add table inet partition"])?;
        self.inside("nft", &["add chain inet partition in { type filter hook prerouting priority -400; }"])?;
        let rule = format!("add rule inet partition in iifname eth0 tcp dport {port} drop");
        self.inside("nft", &[&rule]).map(drop)
    }

    /// Ends a partition.
    ///
    /// # Errors
    /// If there is none.
    pub fn heal(&self) -> anyhow::Result<()> {
        self.inside("nft", &["delete table inet partition"]).map(drop)
    }

    /// Removes the namespace with all that is left in it; fine if there is none.
    pub fn down(&self) {
        for pid in ip(&format!("netns pids {}", self.namespace())).unwrap_or_default().split_whitespace() {
            let _ = run("kill", &["-9", pid]);
        }
        let _ = ip(&format!("link del {}", self.link()));
        let _ = ip(&format!("netns del {}", self.namespace()));
    }
}

/// Keeps what is sent to a cluster whose link is gone on this machine: it would leave by the default route.
///
/// # Errors
/// If it is refused, for example without root.
pub fn guard() -> anyhow::Result<()> {
    ip(&format!("route replace {GUARD}")).map(drop)
}

/// Ends [`guard`]; fine if there is none.
pub fn unguard() {
    let _ = ip(&format!("route del {GUARD}"));
}

fn ip(words: &str) -> anyhow::Result<String> {
    run("ip", &words.split(' ').collect::<Vec<_>>())
}
