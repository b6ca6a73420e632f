//! Rendered files.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A file of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// Configuration that Envoy starts with.
    Bootstrap,
    /// Reference to the certificate of the listener.
    Certificate,
    /// The listener: written once in the life of a pod, because a changed listener cuts streams.
    Listeners,
    /// Endpoints of one deployment, by its UID.
    Endpoints(String),
    /// Clusters of all deployments.
    Clusters,
    /// Routes of all deployments.
    Routes,
    /// Routes to the endpoints that are being verified.
    Verification,
    /// Routes to the models of hosted vendors.
    Hosted,
}

impl File {
    /// Path below the folder of the files.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Bootstrap => "bootstrap.json".to_owned(),
            Self::Certificate => "sds/server.json".to_owned(),
            Self::Listeners => "lds.json".to_owned(),
            Self::Endpoints(uid) => format!("eds/{uid}.json"),
            Self::Clusters => "cds.json".to_owned(),
            Self::Routes => "rds.json".to_owned(),
            Self::Verification => "verification.json".to_owned(),
            Self::Hosted => "hosted.json".to_owned(),
        }
    }
}

/// Content of a file.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// A configuration that Envoy reads once.
    Plain(Value),
    /// Resources that Envoy reads again after each change, in the order of their keys.
    Resources(BTreeMap<String, Value>),
}

impl Content {
    /// Version that Envoy reports once it has applied the file: a digest, equal for equal resources.
    #[must_use]
    pub fn version(&self) -> String {
        let text = match self {
            Self::Plain(value) => value.to_string(),
            Self::Resources(resources) => resources.values().map(Value::to_string).collect(),
        };
        HEXLOWER.encode(&Sha256::digest(text)).chars().take(16).collect()
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Plain(value) => value.to_string(),
            Self::Resources(resources) => {
                let resources: Vec<&Value> = resources.values().collect();
                json!({"version_info": self.version(), "resources": resources}).to_string()
            }
        }
    }
}

/// A rendered configuration, by file.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Files(pub(crate) BTreeMap<File, Content>);

impl Files {
    /// All files.
    pub fn iter(&self) -> impl Iterator<Item = (&File, &Content)> {
        self.0.iter()
    }

    /// Content of a file.
    #[must_use]
    pub fn get(&self, file: &File) -> Option<&Content> {
        self.0.get(file)
    }

    /// Adds or replaces a file.
    pub fn insert(&mut self, file: File, content: Content) {
        self.0.insert(file, content);
    }

    /// Removes a file.
    pub fn remove(&mut self, file: &File) {
        self.0.remove(file);
    }

    /// The configuration that was written before, read by path; `uids` names the deployments with a file of endpoints.
    /// A file that cannot be read counts as missing, and is written again.
    #[must_use]
    pub fn read(read: impl Fn(&str) -> Option<String>, uids: Vec<String>) -> Self {
        let plain = |file: &File| Some(Content::Plain(serde_json::from_str(&read(&file.path())?).ok()?));
        let resources = |file: &File| {
            let content: Value = serde_json::from_str(&read(&file.path())?).ok()?;
            let list = content.get("resources")?.as_array()?.clone();
            let keyed = list.into_iter().map(|resource| (key(file, &resource), resource));
            Some(Content::Resources(keyed.collect()))
        };
        let mut files = BTreeMap::new();
        files.extend(plain(&File::Bootstrap).map(|content| (File::Bootstrap, content)));
        let others =
            [File::Certificate, File::Listeners, File::Clusters, File::Routes, File::Verification, File::Hosted];
        for file in others.into_iter().chain(uids.into_iter().map(File::Endpoints)) {
            if let Some(content) = resources(&file) {
                files.insert(file, content);
            }
        }
        Self(files)
    }
}

/// Key of a resource in its file, as [`crate::render()`] gives it.
fn key(file: &File, resource: &Value) -> String {
    let name = match file {
        File::Clusters | File::Listeners => resource.get("name").and_then(Value::as_str),
        File::Bootstrap | File::Certificate | File::Endpoints(_) | File::Routes | File::Verification | File::Hosted => {
            None
        }
    };
    name.unwrap_or(ONLY).to_owned()
}

/// Key of the one resource of a file.
pub(crate) const ONLY: &str = "";
