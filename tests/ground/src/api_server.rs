//! An API server and etcd on loopback, without nodes and without root.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use data_encoding::BASE64;

use crate::audit::{self, Audited, Mark, Write};
use crate::command::{finish, run};
use crate::objects;
use crate::tools::{SPARING, Tools};
use crate::unused::unused_address;
use crate::wait::wait;

/// A running API server; it ends when this is dropped.
pub struct ApiServer {
    dir: tempfile::TempDir,
    tools: Tools,
    children: Vec<Child>,
    etcd: SocketAddr,
}

impl ApiServer {
    /// Starts one on unused addresses.
    ///
    /// # Errors
    /// If the tools cannot be had or it does not answer within two minutes.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_audited(&Audited::Nothing)
    }

    /// Starts one that also writes down what it is asked: [`requests`](Self::requests), [`writes_since`](Self::writes_since).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_audited(audited: &Audited) -> anyhow::Result<Self> {
        let (etcd, peer) = (unused_address(), unused_address());
        let mut server = Self::prepare(etcd)?;
        let path = |name: &str| server.dir.path().join(name).display().to_string();
        run("openssl", &["genrsa", "-out", &path("sa.key"), "2048"])?;
        run("openssl", &["rsa", "-in", &path("sa.key"), "-pubout", "-out", &path("sa.pub")])?;
        let mut tokens = "ground-administrator,admin,1,system:masters\n".to_owned();
        if let Audited::WritesOf(user) = audited {
            tokens = format!("{tokens}ground-{user},{user},2,system:masters\n");
        }
        std::fs::write(path("tokens"), tokens)?;
        let (client_url, peer_url) = (format!("http://{etcd}"), format!("http://{peer}"));
        let etcd_args = [
            format!("--data-dir={}", path("etcd")),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
            format!("--listen-client-urls={client_url}"),
            format!("--advertise-client-urls={client_url}"),
            format!("--listen-peer-urls={peer_url}"),
            format!("--initial-advertise-peer-urls={peer_url}"),
            format!("--initial-cluster=default={peer_url}"),
        ];
        server.spawn("etcd", &etcd_args)?;
        server.serve(audited)?;
        Ok(server)
    }

    /// Starts a second API server of the same cluster as `other`, which reaches `other`'s etcd at `etcd`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn beside(other: &Self, etcd: SocketAddr) -> anyhow::Result<Self> {
        let mut server = Self::prepare(etcd)?;
        for name in ["sa.key", "sa.pub", "tokens"] {
            std::fs::copy(other.dir.path().join(name), server.dir.path().join(name))?;
        }
        server.serve(&Audited::Nothing)?;
        Ok(server)
    }

    /// Address of its etcd.
    #[must_use]
    pub const fn etcd(&self) -> SocketAddr {
        self.etcd
    }

    fn prepare(etcd: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self { tools: Tools::locate()?, dir: tempfile::tempdir()?, children: Vec::new(), etcd })
    }

    /// Starts the API server itself.
    fn serve(&mut self, audited: &Audited) -> anyhow::Result<()> {
        let address = unused_address();
        let path = |name: &str| self.dir.path().join(name).display().to_string();
        let mut args = vec![
            format!("--etcd-servers=http://{}", self.etcd),
            format!("--cert-dir={}", path("certs")),
            format!("--bind-address={}", address.ip()),
            format!("--secure-port={}", address.port()),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
            "--disable-admission-plugins=ServiceAccount".to_owned(),
            "--authorization-mode=RBAC".to_owned(),
            format!("--token-auth-file={}", path("tokens")),
            format!("--service-account-issuer=https://{address}/"),
            format!("--service-account-key-file={}", path("sa.pub")),
            format!("--service-account-signing-key-file={}", path("sa.key")),
            "--endpoint-reconciler-type=none".to_owned(),
        ];
        if let Some(policy) = audited.policy() {
            std::fs::write(path("audit-policy"), policy)?;
            args.push(format!("--audit-policy-file={}", path("audit-policy")));
            args.push(format!("--audit-log-path={}", self.audit_log().display()));
        }
        self.spawn("kube-apiserver", &args)?;
        self.await_ready(address)
    }

    /// The path of the administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// The requests to an audited server, as it wrote them down once they were answered.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn requests(&self) -> anyhow::Result<Vec<serde_json::Value>> {
        audit::events(&self.audit_log(), Mark::START)
    }

    /// Current end of an audited server's log.
    #[must_use]
    pub fn mark(&self) -> Mark {
        audit::end_of(&self.audit_log())
    }

    /// Writes to an audited server after `mark`, in the order of its answers.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn writes_since(&self, mark: Mark) -> anyhow::Result<Vec<Write>> {
        audit::since("hub", &self.audit_log(), mark)
    }

    fn audit_log(&self) -> PathBuf {
        self.dir.path().join("audit.log")
    }

    /// Its address.
    ///
    /// # Errors
    /// If the kubeconfig cannot be read.
    pub fn url(&self) -> anyhow::Result<String> {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.kubeconfig())?;
        let cluster = kubeconfig.clusters.into_iter().next().and_then(|named| named.cluster);
        cluster.and_then(|cluster| cluster.server).context("the kubeconfig names no server")
    }

    /// A kubeconfig of one piece for who has `token`.
    ///
    /// # Errors
    /// If the server's certificate cannot be read.
    pub fn kubeconfig_with(&self, token: &str) -> anyhow::Result<String> {
        let authority = BASE64.encode(&std::fs::read(self.dir.path().join("ca.crt"))?);
        Ok(format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: ground\n\
             clusters: [{{name: ground, cluster: {{server: \"{}\", certificate-authority-data: {authority}}}}}]\n\
             users: [{{name: user, user: {{token: {token}}}}}]\n\
             contexts: [{{name: ground, context: {{cluster: ground, user: user}}}}]\n",
            self.url()?
        ))
    }

    /// The folder of its files, for those of a test.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The ids of its processes: of etcd and of the API server.
    ///
    /// # Errors
    /// If `/proc` does not tell.
    pub fn pids(&self) -> anyhow::Result<Vec<u32>> {
        let mut pids = Vec::new();
        for shell in self.children.iter().map(Child::id) {
            let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"))?;
            // The server is the first that the shell starts; beside it there is the `cat` that waits.
            pids.push(children.split_whitespace().next().context("a server has ended")?.parse()?);
        }
        Ok(pids)
    }

    /// The path of another of the tools.
    #[must_use]
    pub fn tool(&self, name: &str) -> PathBuf {
        self.tools.path(name)
    }

    /// A kubectl that talks to it.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.tools.path("kubectl"));
        command.env("KUBECONFIG", self.kubeconfig()).env("KUBECACHEDIR", self.kubectl_cache());
        command.env(SPARING.0, SPARING.1);
        command
    }

    fn kubectl_cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    /// Installs the custom resource definitions of a folder, and waits until their kinds are served and explained.
    ///
    /// # Errors
    /// If one is refused or does not appear within half a minute.
    pub fn define(&self, definitions: &Path) -> anyhow::Result<()> {
        // One line for each kind: its path, its plural and its name.
        let kinds = "-o=jsonpath={range .items[*]}/apis/{.spec.group}/{.spec.versions[0].name} \"{.spec.names.plural}\" \"{.spec.names.kind}\"{\"\\n\"}{end}";
        for line in finish(self.kubectl().args(["apply", kinds, "-f"]).arg(definitions))?.lines() {
            let mut words = line.split(' ');
            let mut word = || words.next().context("a definition without names");
            let (path, plural, kind) = (word()?, word()?, word()?);
            // Clients find the kind a moment before its documentation is published.
            for (path, what) in [(path.to_owned(), plural), (format!("/openapi/v3{path}"), kind)] {
                wait(&format!("{path} has {what}"), Duration::from_secs(30), || {
                    ensure!(objects::raw(&self.kubeconfig(), &path)?.contains(what), "not yet");
                    Ok(())
                })?;
            }
        }
        // What kubectl has read of the server's kinds is older than the definitions.
        match std::fs::remove_dir_all(self.kubectl_cache()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("removing kubectl's cache"),
            _ => Ok(()),
        }
    }

    /// A client.
    ///
    /// # Errors
    /// If the kubeconfig cannot be used.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.kubeconfig())?;
        let config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default()).await?;
        Ok(kube::Client::try_from(config)?)
    }

    fn spawn(&mut self, tool: &str, args: &[String]) -> anyhow::Result<()> {
        let log = std::fs::File::create(self.dir.path().join(format!("{tool}.log")))?;
        // The shell ends the server when this process is gone, however it went: its end of the pipe closes then. A signal
        // to the whole group, as a terminal sends one, must not end the shell before that.
        // Not by asking: an API server that is asked to end waits for an etcd that is gone already.
        let script = "dir=$1; shift; \"$@\" & server=$!; trap '' HUP INT TERM; cat >/dev/null; kill -KILL $server; wait $server; rm -rf \"$dir\"";
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(self.dir.path())
            .arg(self.tools.path(tool))
            .args(args)
            .env(SPARING.0, SPARING.1)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {tool}"))?;
        self.children.push(child);
        Ok(())
    }

    fn await_ready(&self, address: SocketAddr) -> anyhow::Result<()> {
        let certificate = self.dir.path().join("certs/apiserver.crt");
        let ready = wait("the API server answers", Duration::from_mins(2), || {
            ensure!(certificate.exists(), "it has no certificate yet");
            self.write_kubeconfig(address)?;
            ensure!(objects::is_ready(&self.kubeconfig()), "it is not ready");
            Ok(())
        });
        ready.with_context(|| {
            format!("the ends of the logs:\n{}", ["etcd", "kube-apiserver"].map(|tool| self.end_of_log(tool)).concat())
        })
    }

    /// Last lines of the log of one of its processes, below its name.
    fn end_of_log(&self, tool: &str) -> String {
        let log = std::fs::read_to_string(self.dir.path().join(format!("{tool}.log"))).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default();
        format!("{tool}:\n{}\n", end.join("\n"))
    }

    fn write_kubeconfig(&self, address: SocketAddr) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(self.dir.path().join("certs/apiserver.crt"))?;
        let start = text.rfind("-----BEGIN CERTIFICATE-----").context("no certificate")?;
        let authority = self.dir.path().join("ca.crt");
        std::fs::write(&authority, text.get(start..).unwrap_or_default())?;
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: ground\n\
             clusters: [{{name: ground, cluster: {{server: \"https://{address}\", certificate-authority: {}}}}}]\n\
             users: [{{name: user, user: {{token: ground-administrator}}}}]\n\
             contexts: [{{name: ground, context: {{cluster: ground, user: user}}}}]\n",
            authority.display()
        );
        Ok(std::fs::write(self.kubeconfig(), kubeconfig)?)
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.stdin.take());
            let _ = child.wait();
        }
    }
}
