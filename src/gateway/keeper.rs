//! Keeps Envoy's files in step with the routes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use roadstead_gateway::render::Addresses;
use roadstead_gateway::{Change, Content, File, Files, Settings, changes, render};
use tokio::sync::watch;

use super::admin::{Admin, AdminError};
use super::{Routes, disk};

/// Pause between two looks at what Envoy has applied.
const LOOK: Duration = Duration::from_millis(20);
/// Time in which Envoy applies a file that it accepts.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before a configuration that failed is tried again without a change.
const RETRY: Duration = Duration::from_secs(15);
/// Changes that arrive within this time are written together.
const GATHER: Duration = Duration::from_millis(50);

/// Why a configuration is not in effect.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The disk refused.
    #[error("writing {path}: {source}")]
    Disk {
        /// Path of the file.
        path: String,
        /// The disk's error.
        source: std::io::Error,
    },
    /// Envoy has not applied a file: it refused it, or is too busy.
    #[error("Envoy has not applied {path} within {} s; it keeps the former one", PATIENCE.as_secs())]
    NotApplied {
        /// Path of the file.
        path: String,
    },
}

/// Progress of a gateway.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Routes whose files are written and, apart from endpoints, applied.
    pub routes: Option<Routes>,
    /// Why the newest routes are not in effect.
    pub trouble: Option<String>,
}

/// Writes files for ever. `progress` follows.
pub async fn keep(
    settings: Settings,
    admin: Admin,
    mut routes: watch::Receiver<Option<Routes>>,
    mut addresses: watch::Receiver<Addresses>,
    progress: watch::Sender<Progress>,
) {
    let mut keeper =
        Keeper { folder: PathBuf::from(&settings.paths.files), settings, admin, written: Files::default() };
    keeper.read_back();
    loop {
        let known = routes.borrow_and_update().clone();
        let resolved = addresses.borrow_and_update().clone();
        let mut failed = false;
        // Before the hub has shown its routes there is nothing to write: an empty configuration would refuse every caller.
        if let Some(known) = known.filter(|known| is_resolved(known, &resolved)) {
            let result = keeper.reach(&known, &resolved).await;
            failed = result.is_err();
            let trouble = result.err().map(|error| error.to_string());
            if let Some(trouble) = &trouble {
                tracing::error!(trouble, "the newest routes are not in effect");
            }
            progress.send_modify(|progress| {
                if trouble.is_none() {
                    progress.routes = Some(known);
                }
                progress.trouble = trouble;
            });
        }
        tokio::select! {
            changed = routes.changed() => if changed.is_err() { return },
            changed = addresses.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(RETRY), if failed => {}
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// True once each host has been looked up. Before that, a configuration would lack endpoints.
fn is_resolved(routes: &Routes, addresses: &Addresses) -> bool {
    super::addresses::hosts_of(routes).iter().all(|host| addresses.contains_key(host))
}

struct Keeper {
    settings: Settings,
    folder: PathBuf,
    admin: Admin,
    /// The files as they are on the disk.
    written: Files,
}

impl Keeper {
    /// Reads the files of a former process in this pod: what is equal is not written again, above all the listener.
    fn read_back(&mut self) {
        self.written = Files::read(|path| std::fs::read_to_string(self.folder.join(path)).ok(), uids(&self.folder));
    }

    /// Takes the steps from what is written to what these routes need.
    async fn reach(&mut self, routes: &Routes, addresses: &Addresses) -> Result<(), KeepError> {
        let all: Vec<_> = routes.values().cloned().collect();
        let wanted = render(&all, addresses, &self.settings);
        for change in changes(&self.written, &wanted) {
            match change {
                Change::Write(file, content) => self.write(file, content)?,
                Change::Await(file, version) => self.applied(&file, &version).await?,
                Change::Remove(file) => {
                    self.disk(&file, disk::remove)?;
                    self.written.remove(&file);
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, file: File, content: Content) -> Result<(), KeepError> {
        self.disk(&file, |path| disk::write(path, &content.text()))?;
        self.written.insert(file, content);
        Ok(())
    }

    fn disk(&self, file: &File, act: impl FnOnce(&std::path::Path) -> std::io::Result<()>) -> Result<(), KeepError> {
        let path = self.folder.join(file.path());
        act(&path).map_err(|source| KeepError::Disk { path: path.display().to_string(), source })
    }

    /// Waits until Envoy has applied a file. An Envoy that does not run reads the newest files when it starts.
    async fn applied(&mut self, file: &File, version: &str) -> Result<(), KeepError> {
        let result = tokio::time::timeout(PATIENCE, self.applies(file, version)).await;
        if !matches!(result, Ok(Ok(()))) {
            // It is written again at the next attempt; otherwise it would count as applied.
            self.written.remove(file);
        }
        result.unwrap_or_else(|_| Err(KeepError::NotApplied { path: file.path() }))
    }

    async fn applies(&self, file: &File, version: &str) -> Result<(), KeepError> {
        loop {
            match self.admin.applied(file, &BTreeMap::new()).await {
                Ok(applied) if applied == version => return Ok(()),
                Err(AdminError::Absent(_)) => return Ok(()),
                Ok(_) => {}
                Err(error @ AdminError::Failed { .. }) => {
                    tracing::debug!(%error, "Envoy does not say what it has applied");
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// UIDs of the deployments that have a file of endpoints.
fn uids(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("eds")).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".json")?.to_owned())).collect()
}
