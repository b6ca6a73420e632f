//! Kubeconfigs from Secrets: read as hostile input, because one can run commands, read files and redirect traffic.
//!
//! The lesson is CVE-2022-24817 (Flux): a kubeconfig with `exec` ran commands in the controller. What is not known to be
//! harmless is refused, and the loader gets nothing but the one cluster and the one user that were checked.
//!
//! Everything that kubectl accepts is accepted: `fields` treats empty texts as absent and checks the rest, `material`
//! checks certificates and keys, so each error names its field and its cure.

mod fields;
mod material;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use kube::Config;
use kube::config::{
    AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext,
};

use roadstead_provider::address::{self, Reach};

/// Larger kubeconfigs are refused unread.
const MAX_BYTES: usize = 256 * 1024;

/// Feature of a kubeconfig beyond the cluster's address and credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Feature {
    /// Run a command for credentials.
    Exec,
    /// Use a legacy credential plugin, which can run a command.
    AuthProvider,
    /// Read files of the operator's container.
    FilePaths,
    /// Trust any certificate.
    InsecureSkipTlsVerify,
    /// Lead, itself or through its endpoints, to the operator's own machine, to link-local addresses or to a cloud's metadata
    /// service.
    LocalAddresses,
}

impl Feature {
    /// The name in the operator's flag.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::AuthProvider => "auth-provider",
            Self::FilePaths => "file-paths",
            Self::InsecureSkipTlsVerify => "insecure-skip-tls-verify",
            Self::LocalAddresses => "local-addresses",
        }
    }
}

/// Which dangerous features are allowed; none by default.
#[derive(Debug, Clone, Default)]
pub struct AllowedKubeconfig {
    features: BTreeSet<Feature>,
}

impl AllowedKubeconfig {
    /// Allows exactly these.
    #[must_use]
    pub fn new(features: impl IntoIterator<Item = Feature>) -> Self {
        Self { features: features.into_iter().collect() }
    }

    /// Which addresses a kubeconfig may lead to.
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.features.contains(&Feature::LocalAddresses) { address::anywhere } else { address::elsewhere }
    }
}

/// Why a kubeconfig is not used. Never quotes a value from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// It does something that the operator does not allow.
    #[error(
        "the kubeconfig uses {field}, which is refused; remove it, or allow {} by the operator's --allow-kubeconfig",
        .feature.as_str()
    )]
    Refused {
        /// The field of the kubeconfig.
        field: &'static str,
        /// The feature that would have to be allowed.
        feature: Feature,
    },
    /// It does something that no flag allows.
    #[error("the kubeconfig uses {field}, which is never used: {why}; remove it")]
    Unsupported {
        /// The field of the kubeconfig.
        field: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// It is larger than any real one.
    #[error("the kubeconfig has {bytes} bytes; at most {MAX_BYTES} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is not a kubeconfig, or something in it is missing.
    #[error("the kubeconfig cannot be used: {message}")]
    Unusable {
        /// The missing or invalid field.
        message: String,
    },
}

impl KubeconfigError {
    /// True if it was refused for what it does, rather than for how it is written.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unsupported { .. })
    }

    fn unusable(message: impl Into<String>) -> Self {
        Self::Unusable { message: message.into() }
    }
}

/// Reads a kubeconfig into a client configuration. Nothing is run, and no file is read, before all is checked.
///
/// # Errors
/// [`KubeconfigError`] naming the field and what to do.
pub async fn parse(bytes: &[u8], allowed: &AllowedKubeconfig) -> Result<Config, KubeconfigError> {
    if bytes.len() > MAX_BYTES {
        return Err(KubeconfigError::TooLarge { bytes: bytes.len() });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| KubeconfigError::unusable("it is not UTF-8 text"))?;
    let kubeconfig = read(text.trim_start_matches('\u{feff}'))?;
    let (cluster, user) = current(&kubeconfig)?;
    let checked = only(fields::cluster(cluster, allowed)?, fields::user(user, allowed)?);
    // Only files that the operator is allowed to read can still fail.
    let mut config = Config::from_custom_kubeconfig(checked, &KubeConfigOptions::default())
        .await
        .map_err(|_| KubeconfigError::unusable("a file that it names for a certificate or a key cannot be read"))?;
    // The loader takes a proxy from the operator's environment where the kubeconfig names none.
    config.proxy_url = None;
    Ok(config)
}

/// Reads YAML or JSON. The parsers' own messages may quote the text, and with it a token; only the line is reported.
fn read(text: &str) -> Result<Kubeconfig, KubeconfigError> {
    let not_valid = |line: Option<u64>| {
        let at = line.map_or_else(String::new, |line| format!(" (line {line})"));
        KubeconfigError::unusable(format!("it is not one valid kubeconfig in YAML{at}"))
    };
    // Tabs may indent JSON, but not YAML.
    if text.trim_start().starts_with('{')
        && let Ok(kubeconfig) = serde_json::from_str(text)
    {
        return Ok(kubeconfig);
    }
    // One document: others would be merged in.
    serde_saphyr::from_str(text).map_err(|error| not_valid(error.location().map(|location| location.line())))
}

/// A kubeconfig with nothing but this cluster and this user.
fn only(cluster: Cluster, user: AuthInfo) -> Kubeconfig {
    let name = || "checked".to_owned();
    let context = Context { cluster: name(), user: Some(name()), ..Context::default() };
    Kubeconfig {
        current_context: Some(name()),
        contexts: vec![NamedContext { name: name(), context: Some(context), ..NamedContext::default() }],
        clusters: vec![NamedCluster { name: name(), cluster: Some(cluster), ..NamedCluster::default() }],
        auth_infos: vec![NamedAuthInfo { name: name(), auth_info: Some(user), ..NamedAuthInfo::default() }],
        ..Kubeconfig::default()
    }
}

/// The cluster and user of the current context.
fn current(kubeconfig: &Kubeconfig) -> Result<(&Cluster, &AuthInfo), KubeconfigError> {
    let missing = |what: &str| KubeconfigError::unusable(format!("{what} is missing"));
    let name = kubeconfig.current_context.as_deref().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| missing("current-context"))?;
    let context = kubeconfig
        .contexts
        .iter()
        .find(|context| context.name == name)
        .and_then(|context| context.context.as_ref())
        .ok_or_else(|| missing("the context that current-context names"))?;
    let cluster = kubeconfig
        .clusters
        .iter()
        .find(|cluster| cluster.name == context.cluster)
        .and_then(|cluster| cluster.cluster.as_ref())
        .ok_or_else(|| missing("the cluster that the current context names"))?;
    let user = kubeconfig
        .auth_infos
        .iter()
        .find(|user| Some(&user.name) == context.user.as_ref())
        .and_then(|user| user.auth_info.as_ref())
        .ok_or_else(|| missing("the user that the current context names"))?;
    Ok((cluster, user))
}
