//! The operator as a process that reaches the hub and the cloud through recording proxies of its own, and can be killed
//! or frozen at any time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use roadstead_ground::bound::{Bound, signal};
use roadstead_ground::unused::unused_address;

use super::proxy::{Proxy, Upstream};
use super::rig::kubeconfig;
use super::tape::Tape;
use super::weather::Weather;

/// The installation's id.
const INSTALL_ID: &str = "faults";

/// An operator that runs or not.
pub struct Operator {
    /// Recorded writes.
    pub tape: Arc<Tape>,
    /// Faults of its calls.
    pub weather: Arc<Weather>,
    /// Its log.
    pub log: PathBuf,
    /// Address of its metrics.
    pub listen: SocketAddr,
    program: PathBuf,
    args: Vec<String>,
    kubeconfig: String,
    /// The process that a fault kills.
    victim: Arc<AtomicU32>,
    process: Mutex<Option<Bound>>,
}

impl Operator {
    /// Prepares one called `name`, with its files in `dir`; it takes part in the election if it `elects`.
    pub async fn prepare(
        name: &str,
        elects: bool,
        dir: &Path,
        hub: kube::Client,
        cloud: SocketAddr,
    ) -> anyhow::Result<Self> {
        let (tape, weather) = (Arc::new(Tape::default()), Arc::new(Weather::default()));
        let victim = Arc::new(AtomicU32::new(0));
        let proxy = |upstream| Proxy::start(upstream, Arc::clone(&tape), Arc::clone(&weather), Arc::clone(&victim));
        let (hub, cloud) = (proxy(Upstream::Hub(hub)).await?, proxy(Upstream::cloud(cloud)).await?);
        let path = dir.join(format!("{name}.kubeconfig"));
        std::fs::write(&path, kubeconfig(hub.address))?;
        let listen = unused_address();
        let args = vec![
            "run".to_owned(),
            format!("--install-id={INSTALL_ID}"),
            "--namespace=roadstead-system".to_owned(),
            format!("--identity={name}"),
            format!("--leader-elect={elects}"),
            format!("--listen={listen}"),
            // The hub is its own member in one test.
            "--allow-kubeconfig=local-addresses".to_owned(),
            format!("--simulated-cloud=http://{}", cloud.address),
        ];
        Ok(Self {
            tape,
            weather,
            log: dir.join(format!("{name}.log")),
            listen,
            program: dir.join("roadstead"),
            args,
            kubeconfig: path.display().to_string(),
            victim,
            process: Mutex::default(),
        })
    }

    /// Adds an option, from the next start on.
    pub fn add_option(&mut self, option: String) {
        self.args.push(option);
    }

    fn process(&self) -> MutexGuard<'_, Option<Bound>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it, unless it runs.
    pub fn start(&self) -> anyhow::Result<()> {
        let mut process = self.process();
        if process.as_ref().is_some_and(Bound::is_alive) {
            return Ok(());
        }
        let started = Bound::start(&self.program, &self.args, &[("KUBECONFIG", &self.kubeconfig)], &self.log)?;
        self.victim.store(started.pid(), Ordering::SeqCst);
        *process = Some(started);
        Ok(())
    }

    /// Kills it.
    pub fn stop(&self) {
        self.victim.store(0, Ordering::SeqCst);
        *self.process() = None;
    }

    /// True if it runs; a frozen process does.
    pub fn is_alive(&self) -> bool {
        self.process().as_ref().is_some_and(Bound::is_alive)
    }

    /// Sends it a signal, such as STOP.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let process = self.process();
        signal(process.as_ref().context("it does not run")?.pid(), name);
        Ok(())
    }
}
