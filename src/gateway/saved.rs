//! The last routes on a volume: a gateway that starts while the hub is away serves what it served before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use roadstead_gateway::Route;

use super::disk;

/// A folder with one file for each route.
#[derive(Debug, Clone)]
pub struct Saved {
    folder: PathBuf,
}

impl Saved {
    /// The routes in this folder.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Reads them. A file that cannot be read is left out, and named in the log.
    #[must_use]
    pub fn read(&self) -> BTreeMap<String, Route> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut routes = BTreeMap::new();
        for path in entries.filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
            if let Ok(route) = read(&path) {
                routes.insert(route.uid.clone(), route);
            } else {
                // The error of a parser could quote a key.
                tracing::warn!(file = %path.display(), "a saved route cannot be read and is left out");
            }
        }
        routes
    }

    /// Writes what is new or changed and removes what is gone.
    ///
    /// # Errors
    /// Any error of the disk.
    pub fn write(&self, old: &BTreeMap<String, Route>, new: &BTreeMap<String, Route>) -> io::Result<()> {
        for (uid, route) in new.iter().filter(|(uid, route)| old.get(*uid) != Some(route)) {
            disk::write(&self.path(uid), &serde_json::to_string(route)?)?;
        }
        old.keys().filter(|uid| !new.contains_key(*uid)).try_for_each(|uid| disk::remove(&self.path(uid)))
    }

    fn path(&self, uid: &str) -> PathBuf {
        self.folder.join(format!("{uid}.json"))
    }
}

fn read(path: &Path) -> io::Result<Route> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}
