//! Rendered files.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A file of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// What Envoy starts with.
    Bootstrap,
    /// Where the certificate of the listener is.
    Certificate,
    /// The listener: written once in the life of a pod, because a changed listener cuts streams.
    Listeners,
    /// Endpoints of one deployment, by its UID.
    Endpoints(String),
    /// Clusters of all deployments.
    Clusters,
    /// Routes of all deployments.
    Routes,
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
}
