//! Kubeconfigs from Secrets: read as hostile input, because one can run commands, read files and redirect traffic.
//!
//! The lesson is CVE-2022-24817 (Flux): a kubeconfig with `exec` ran commands in the controller.

use std::collections::BTreeSet;

use kube::Config;
use kube::config::{AuthInfo, Cluster, KubeConfigOptions, Kubeconfig};

/// Larger kubeconfigs are refused unread.
const MAX_BYTES: usize = 256 * 1024;

/// What a kubeconfig can do beside saying where a cluster is and what proves us to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Feature {
    /// Run a command for credentials.
    Exec,
    /// Use a legacy credential plugin, which can run a command.
    AuthProvider,
    /// Read files of the operator's container.
    FilePaths,
    /// Send everything through a proxy.
    ProxyUrl,
    /// Trust any certificate.
    InsecureSkipTlsVerify,
}

impl Feature {
    /// The name in the operator's flag.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::AuthProvider => "auth-provider",
            Self::FilePaths => "file-paths",
            Self::ProxyUrl => "proxy-url",
            Self::InsecureSkipTlsVerify => "insecure-skip-tls-verify",
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
        /// The field, as it stands in the kubeconfig.
        field: &'static str,
        /// What would have to be allowed.
        feature: Feature,
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
        /// What is missing or wrong.
        message: String,
    },
}

impl KubeconfigError {
    /// Whether it was refused for what it does, rather than for how it is written.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
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
    // The parser's own message may quote the text, and with it a token.
    let kubeconfig =
        Kubeconfig::from_yaml(text).map_err(|_| KubeconfigError::unusable("it is not a valid kubeconfig in YAML"))?;
    let (cluster, user) = current(&kubeconfig)?;
    check_cluster(cluster, allowed)?;
    check_user(user, allowed)?;
    // The loader takes the same entries that were checked: the first of each name.
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(|_| {
        KubeconfigError::unusable("its certificate or key data cannot be read; they must be base64 of PEM")
    })
}

/// The cluster and user of the current context.
fn current(kubeconfig: &Kubeconfig) -> Result<(&Cluster, &AuthInfo), KubeconfigError> {
    let missing = |what: &str| KubeconfigError::unusable(format!("{what} is missing"));
    let name = kubeconfig.current_context.as_deref().ok_or_else(|| missing("current-context"))?;
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

fn check_cluster(cluster: &Cluster, allowed: &AllowedKubeconfig) -> Result<(), KubeconfigError> {
    let used = [
        (cluster.certificate_authority.is_some(), "clusters[].cluster.certificate-authority", Feature::FilePaths),
        (cluster.proxy_url.is_some(), "clusters[].cluster.proxy-url", Feature::ProxyUrl),
        (
            cluster.insecure_skip_tls_verify == Some(true),
            "clusters[].cluster.insecure-skip-tls-verify",
            Feature::InsecureSkipTlsVerify,
        ),
    ];
    refuse(&used, allowed)?;
    match cluster.server.as_deref() {
        Some(server) if server.starts_with("https://") => Ok(()),
        Some(_) => Err(KubeconfigError::unusable("clusters[].cluster.server must begin with https://")),
        None => Err(KubeconfigError::unusable("clusters[].cluster.server is missing")),
    }
}

fn check_user(auth: &AuthInfo, allowed: &AllowedKubeconfig) -> Result<(), KubeconfigError> {
    let used = [
        (auth.exec.is_some(), "users[].user.exec", Feature::Exec),
        (auth.auth_provider.is_some(), "users[].user.auth-provider", Feature::AuthProvider),
        (auth.token_file.is_some(), "users[].user.tokenFile", Feature::FilePaths),
        (auth.client_certificate.is_some(), "users[].user.client-certificate", Feature::FilePaths),
        (auth.client_key.is_some(), "users[].user.client-key", Feature::FilePaths),
    ];
    refuse(&used, allowed)
}

fn refuse(features: &[(bool, &'static str, Feature)], allowed: &AllowedKubeconfig) -> Result<(), KubeconfigError> {
    match features.iter().find(|(used, _, feature)| *used && !allowed.features.contains(feature)) {
        Some((_, field, feature)) => Err(KubeconfigError::Refused { field, feature: *feature }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-secret-value";

    fn kubeconfig(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
             clusters: [{{name: k, cluster: {{{cluster}}}}}]\nusers: [{{name: u, user: {{token: {CANARY}{user}}}}}]\n"
        )
    }

    async fn refusal(cluster: &str, user: &str) -> String {
        let text = kubeconfig(cluster, user);
        let error = parse(text.as_bytes(), &AllowedKubeconfig::default()).await.unwrap_err().to_string();
        assert!(!error.contains(CANARY), "{error}");
        error
    }

    #[tokio::test]
    async fn an_honest_kubeconfig_is_used() {
        let text = kubeconfig("server: 'https://10.0.0.1:6443'", "");
        let config = parse(text.as_bytes(), &AllowedKubeconfig::default()).await.unwrap();
        assert_eq!(config.cluster_url.host(), Some("10.0.0.1"));
    }

    #[tokio::test]
    async fn what_runs_reads_or_redirects_is_refused_by_its_field() {
        let server = "server: 'https://10.0.0.1:6443'";
        for (cluster, user, field) in [
            ("", ", exec: {apiVersion: v1, command: touch, args: [/tmp/x]}", "user.exec"),
            ("", ", auth-provider: {name: gcp, config: {}}", "auth-provider"),
            ("", ", tokenFile: /etc/passwd", "tokenFile"),
            ("", ", client-certificate: /etc/passwd", "client-certificate"),
            ("", ", client-key: /etc/passwd", "client-key"),
            (", certificate-authority: /etc/passwd", "", "certificate-authority"),
            (", proxy-url: 'http://10.0.0.2'", "", "proxy-url"),
            (", insecure-skip-tls-verify: true", "", "insecure-skip-tls-verify"),
        ] {
            let error = refusal(&format!("{server}{cluster}"), user).await;
            assert!(error.contains(field) && error.contains("--allow-kubeconfig"), "{error}");
        }
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        assert!(refusal("", "").await.contains("server is missing"));
        assert!(refusal("server: 'http://10.0.0.1'", "").await.contains("https://"));
        let error = parse(b"current-context: x", &AllowedKubeconfig::default()).await.unwrap_err();
        assert!(error.to_string().contains("context that current-context names"), "{error}");
        let error = parse(&vec![b'a'; MAX_BYTES + 1], &AllowedKubeconfig::default()).await.unwrap_err();
        assert_eq!(error, KubeconfigError::TooLarge { bytes: MAX_BYTES + 1 });
        let broken = format!("users: [{{token: {CANARY}");
        let error = parse(broken.as_bytes(), &AllowedKubeconfig::default()).await.unwrap_err();
        assert!(!error.to_string().contains(CANARY));
    }

    #[tokio::test]
    async fn an_allowed_feature_is_let_through() {
        let text = kubeconfig("server: 'https://10.0.0.1:6443', insecure-skip-tls-verify: true", "");
        let allowed = AllowedKubeconfig::new([Feature::InsecureSkipTlsVerify]);
        assert!(parse(text.as_bytes(), &allowed).await.unwrap().accept_invalid_certs);
    }
}
