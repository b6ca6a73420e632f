//! Kubeconfigs from Secrets: read as hostile input, because one can run commands, read files and redirect traffic.
//!
//! The lesson is CVE-2022-24817 (Flux): a kubeconfig with `exec` ran commands in the controller. What is not known to be
//! harmless is refused, and the loader gets nothing but the one cluster and the one user that were checked.

use std::collections::BTreeSet;
use std::net::IpAddr;

use http::Uri;
use kube::Config;
use kube::config::{
    AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext,
};

use super::address::{self, Reach};

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
    /// Trust any certificate.
    InsecureSkipTlsVerify,
    /// Lead, itself or by its endpoints, to the operator's own machine, to link-local addresses or to a cloud's metadata
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
        /// The field, as it stands in the kubeconfig.
        field: &'static str,
        /// What would have to be allowed.
        feature: Feature,
    },
    /// It does something that no flag allows.
    #[error("the kubeconfig uses {field}, which is never used: {why}; remove it")]
    Unsupported {
        /// The field, as it stands in the kubeconfig.
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
        /// What is missing or wrong.
        message: String,
    },
}

impl KubeconfigError {
    /// Whether it was refused for what it does, rather than for how it is written.
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
    // The parser's own message may quote the text, and with it a token. One document: others would be merged in.
    let kubeconfig = serde_saphyr::from_str::<Kubeconfig>(text)
        .map_err(|_| KubeconfigError::unusable("it is not one valid kubeconfig in YAML"))?;
    let (cluster, user) = current(&kubeconfig)?;
    check_cluster(cluster, allowed)?;
    check_user(user, allowed)?;
    let checked = only(cluster.clone(), user.clone());
    let mut config = Config::from_custom_kubeconfig(checked, &KubeConfigOptions::default()).await.map_err(|_| {
        KubeconfigError::unusable("its certificate or key data cannot be read; they must be base64 of PEM")
    })?;
    // The loader takes a proxy from the operator's environment where the kubeconfig names none.
    config.proxy_url = None;
    Ok(config)
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
        (
            cluster.insecure_skip_tls_verify == Some(true),
            "clusters[].cluster.insecure-skip-tls-verify",
            Feature::InsecureSkipTlsVerify,
        ),
    ];
    refuse(&used, allowed)?;
    refuse_always(&[
        (cluster.proxy_url.is_some(), "clusters[].cluster.proxy-url", "it would see the traffic"),
        (!cluster.other.is_empty(), "a field of clusters[].cluster that Roadstead does not know", UNKNOWN),
    ])?;
    check_server(cluster.server.as_deref(), allowed)
}

fn check_server(server: Option<&str>, allowed: &AllowedKubeconfig) -> Result<(), KubeconfigError> {
    const FIELD: &str = "clusters[].cluster.server";
    let unusable = |what: &str| KubeconfigError::unusable(format!("{FIELD} {what}"));
    let server: Uri = server.ok_or_else(|| unusable("is missing"))?.parse().map_err(|_| unusable("is not a URL"))?;
    if server.scheme_str() != Some("https") {
        return Err(unusable("must begin with https://"));
    }
    if server.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(unusable("holds a user name or password; put them into users[].user"));
    }
    if server.query().is_some() {
        return Err(unusable("must have no query"));
    }
    // A name is judged where the connection is made, by the address that it resolves to.
    let literal = server.host().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    let local = literal.is_some_and(|address| !address::elsewhere(address));
    refuse(
        &[(local, "a loopback, link-local or metadata address in clusters[].cluster.server", Feature::LocalAddresses)],
        allowed,
    )
}

/// Why a field that is not known is refused: it may mean more than what is known.
const UNKNOWN: &str = "what it means is not known";
/// Impersonation would silently not happen, and the operator would act with the rights of the account itself.
const IMPERSONATION: &str = "impersonation is not supported; use an account that has just the rights it needs";

fn check_user(auth: &AuthInfo, allowed: &AllowedKubeconfig) -> Result<(), KubeconfigError> {
    let used = [
        (auth.exec.is_some(), "users[].user.exec", Feature::Exec),
        (auth.auth_provider.is_some(), "users[].user.auth-provider", Feature::AuthProvider),
        (auth.token_file.is_some(), "users[].user.tokenFile", Feature::FilePaths),
        (auth.client_certificate.is_some(), "users[].user.client-certificate", Feature::FilePaths),
        (auth.client_key.is_some(), "users[].user.client-key", Feature::FilePaths),
    ];
    refuse(&used, allowed)?;
    refuse_always(&[
        (auth.impersonate.is_some(), "users[].user.as", IMPERSONATION),
        (auth.impersonate_uid.is_some(), "users[].user.as-uid", IMPERSONATION),
        (auth.impersonate_groups.is_some(), "users[].user.as-groups", IMPERSONATION),
        (auth.impersonate_user_extra.is_some(), "users[].user.as-user-extra", IMPERSONATION),
        (!auth.other.is_empty(), "a field of users[].user that Roadstead does not know", UNKNOWN),
    ])
}

fn refuse(features: &[(bool, &'static str, Feature)], allowed: &AllowedKubeconfig) -> Result<(), KubeconfigError> {
    match features.iter().find(|(used, _, feature)| *used && !allowed.features.contains(feature)) {
        Some((_, field, feature)) => Err(KubeconfigError::Refused { field, feature: *feature }),
        None => Ok(()),
    }
}

fn refuse_always(fields: &[(bool, &'static str, &'static str)]) -> Result<(), KubeconfigError> {
    match fields.iter().find(|(used, _, _)| *used) {
        Some((_, field, why)) => Err(KubeconfigError::Unsupported { field, why }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use clap::ValueEnum;

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
            (", insecure-skip-tls-verify: true", "", "insecure-skip-tls-verify"),
        ] {
            let error = refusal(&format!("{server}{cluster}"), user).await;
            assert!(error.contains(field) && error.contains("--allow-kubeconfig"), "{error}");
        }
    }

    #[tokio::test]
    async fn what_no_flag_allows_is_refused_by_its_field() {
        let server = "server: 'https://10.0.0.1:6443'";
        let every = AllowedKubeconfig::new(Feature::value_variants().iter().copied());
        for (cluster, user, field) in [
            (", proxy-url: 'http://10.0.0.2'", "", "proxy-url"),
            (", proxy-url: ''", "", "proxy-url"),
            (", server-from: elsewhere", "", "clusters[].cluster that"),
            ("", ", as: admin", "user.as,"),
            ("", ", as-uid: '1'", "user.as-uid"),
            ("", ", as-groups: ['system:masters']", "user.as-groups"),
            ("", ", as-user-extra: {scopes: [all]}", "user.as-user-extra"),
            ("", ", token-file: /etc/passwd", "users[].user that"),
        ] {
            let text = kubeconfig(&format!("{server}{cluster}"), user);
            let error = parse(text.as_bytes(), &every).await.unwrap_err();
            assert!(error.is_refused() && error.to_string().contains(field), "{error}");
            assert!(!error.to_string().contains(CANARY), "{error}");
        }
    }

    #[tokio::test]
    async fn the_server_is_https_and_elsewhere() {
        for (server, told) in [
            ("http://10.0.0.1", "https://"),
            ("HTTP://10.0.0.1", "https://"),
            ("10.0.0.1:6443", "https://"),
            ("file:///etc/passwd", "not a URL"),
            ("https://canary-secret-value@10.0.0.1", "user name"),
            ("https://a:canary-secret-value@10.0.0.1", "user name"),
            ("https://10.0.0.1/?token=canary-secret-value", "query"),
            ("https://127.0.0.1:6443", "local-addresses"),
            ("https://169.254.169.254", "local-addresses"),
            ("https://[::1]:6443", "local-addresses"),
            ("https://[::ffff:169.254.169.254]", "local-addresses"),
            ("https://0.0.0.0:6443", "local-addresses"),
        ] {
            let error = refusal(&format!("server: '{server}'"), "").await;
            assert!(error.contains(told), "{server}: {error}");
        }
        let text = kubeconfig("server: 'https://127.0.0.1:6443'", "");
        assert!(parse(text.as_bytes(), &AllowedKubeconfig::new([Feature::LocalAddresses])).await.is_ok());
    }

    #[tokio::test]
    async fn one_document_counts_and_nothing_is_merged_into_it() {
        let good = kubeconfig("server: 'https://10.0.0.1:6443'", "");
        for other in [kubeconfig("server: 'https://10.0.0.2:6443'", ", exec: {command: touch}"), "a: b".to_owned()] {
            let text = format!("{good}---\n{other}");
            let error = parse(text.as_bytes(), &AllowedKubeconfig::default()).await.unwrap_err().to_string();
            assert!(error.contains("one valid kubeconfig") && !error.contains(CANARY), "{error}");
        }
    }

    #[tokio::test]
    async fn of_two_entries_with_one_name_the_checked_one_is_used() {
        let text = format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
             clusters: [{{name: k, cluster: {{server: 'https://10.0.0.1'}}}}, {{name: k, cluster: {{server: 'https://10.0.0.2', proxy-url: 'http://p'}}}}]\n\
             users: [{{name: u, user: {{token: {CANARY}}}}}, {{name: u, user: {{exec: {{command: touch}}}}}}]\n"
        );
        let config = parse(text.as_bytes(), &AllowedKubeconfig::default()).await.unwrap();
        assert_eq!(config.cluster_url.host(), Some("10.0.0.1"));
        assert!(config.auth_info.exec.is_none() && config.proxy_url.is_none());
        assert!(!format!("{config:?}").contains(CANARY));
    }

    #[tokio::test]
    async fn aliases_that_grow_without_end_are_refused_at_once() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let former = vec![format!("*a{}", level - 1); 9].join(", ");
            writeln!(text, "a{level}: &a{level} [{former}]").unwrap();
        }
        assert!(parse(text.as_bytes(), &AllowedKubeconfig::default()).await.is_err());
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
