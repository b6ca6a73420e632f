//! The fields of one cluster and one user: what they may say, and what they must not.

use std::net::IpAddr;

use http::Uri;
use kube::config::{AuthInfo, Cluster};
use rustls::pki_types::ServerName;
use secrecy::{ExposeSecret, SecretString};

use super::{AllowedKubeconfig, Feature, KubeconfigError, address, material};

/// Longer server URLs would leave no room for the path of a request.
const MAX_SERVER_BYTES: usize = 2048;

/// The cluster as it is used: checked, with what kubectl takes as absent left out.
///
/// # Errors
/// [`KubeconfigError`] naming the field and what to do.
pub fn cluster(given: &Cluster, allowed: &AllowedKubeconfig) -> Result<Cluster, KubeconfigError> {
    let mut cluster = given.clone();
    for text in [
        &mut cluster.certificate_authority,
        &mut cluster.certificate_authority_data,
        &mut cluster.proxy_url,
        &mut cluster.tls_server_name,
    ] {
        drop_empty(text);
    }
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
        (cluster.proxy_url.is_some(), "clusters[].cluster.proxy-url", "the proxy would see the traffic"),
        (!cluster.other.is_empty(), "an unknown field of clusters[].cluster", UNKNOWN),
    ])?;
    let server = server(cluster.server.as_deref(), allowed)?;
    if let Some(name) = &cluster.tls_server_name {
        check_name("clusters[].cluster.tls-server-name", name)?;
    } else {
        check_name("clusters[].cluster.server", server.host().unwrap_or_default().trim_matches(['[', ']']))?;
    }
    cluster.server = Some(server.to_string());
    if let Some(data) = &cluster.certificate_authority_data {
        cluster.certificate_authority_data = Some(material::authority(data)?);
    }
    Ok(cluster)
}

/// The user as it is used: checked, with what kubectl takes as absent left out.
///
/// # Errors
/// [`KubeconfigError`] naming the field and what to do.
pub fn user(given: &AuthInfo, allowed: &AllowedKubeconfig) -> Result<AuthInfo, KubeconfigError> {
    let mut user = given.clone();
    for text in [
        &mut user.username,
        &mut user.token_file,
        &mut user.client_certificate,
        &mut user.client_certificate_data,
        &mut user.client_key,
        &mut user.impersonate,
        &mut user.impersonate_uid,
    ] {
        drop_empty(text);
    }
    for secret in [&mut user.token, &mut user.client_key_data] {
        if secret.as_ref().is_some_and(|secret| secret.expose_secret().trim().is_empty()) {
            *secret = None;
        }
    }
    user.impersonate_groups = user.impersonate_groups.filter(|groups| !groups.is_empty());
    user.impersonate_user_extra = user.impersonate_user_extra.filter(|extra| !extra.is_empty());
    check_features(&user, allowed)?;
    credentials(&mut user)?;
    certificate(&mut user)?;
    Ok(user)
}

fn drop_empty(text: &mut Option<String>) {
    if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
        *text = None;
    }
}

fn server(server: Option<&str>, allowed: &AllowedKubeconfig) -> Result<Uri, KubeconfigError> {
    const FIELD: &str = "clusters[].cluster.server";
    let unusable = |what: &str| KubeconfigError::unusable(format!("{FIELD} {what}"));
    let text = server.map(str::trim).filter(|text| !text.is_empty()).ok_or_else(|| unusable("is missing"))?;
    if text.len() > MAX_SERVER_BYTES {
        return Err(unusable(&format!("has {} bytes; at most {MAX_SERVER_BYTES} are allowed", text.len())));
    }
    let uri: Uri = text.parse().map_err(|_| unusable("is not a URL such as https://10.0.0.1:6443"))?;
    if uri.scheme_str() != Some("https") {
        return Err(unusable("must begin with https://"));
    }
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    if authority.contains('@') {
        return Err(unusable("contains a user name or password; put them into users[].user"));
    }
    let host = uri.host().unwrap_or_default();
    let port = authority.strip_prefix(host).and_then(|rest| rest.strip_prefix(':')).unwrap_or_default();
    if !port.is_empty() && uri.port_u16().is_none_or(|port| port == 0) {
        return Err(unusable("has a port that is not a number from 1 to 65535"));
    }
    if uri.query().is_some() {
        return Err(unusable("must have no query"));
    }
    // A name is judged where the connection is made, by the address that it resolves to.
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let local = literal.is_some_and(|address| !address::elsewhere(address));
    refuse(
        &[(local, "a loopback, link-local or metadata address in clusters[].cluster.server", Feature::LocalAddresses)],
        allowed,
    )?;
    Ok(uri)
}

/// A server is known by its certificate, so it needs a name that a certificate can have.
fn check_name(field: &str, name: &str) -> Result<(), KubeconfigError> {
    match ServerName::try_from(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(KubeconfigError::unusable(format!(
            "{field} must be a DNS name or an IP address of the server's certificate"
        ))),
    }
}

/// Reason for refusing an unknown field.
const UNKNOWN: &str = "this field is not supported";
/// Impersonation would silently not happen, and the operator would act with the rights of the account itself.
const IMPERSONATION: &str = "impersonation is not supported; use an account with only the required rights";

fn check_features(user: &AuthInfo, allowed: &AllowedKubeconfig) -> Result<(), KubeconfigError> {
    let features = [
        (user.exec.is_some(), "users[].user.exec", Feature::Exec),
        (user.auth_provider.is_some(), "users[].user.auth-provider", Feature::AuthProvider),
        (user.token_file.is_some(), "users[].user.tokenFile", Feature::FilePaths),
        (user.client_certificate.is_some(), "users[].user.client-certificate", Feature::FilePaths),
        (user.client_key.is_some(), "users[].user.client-key", Feature::FilePaths),
    ];
    refuse(&features, allowed)?;
    refuse_always(&[
        (user.impersonate.is_some(), "users[].user.as", IMPERSONATION),
        (user.impersonate_uid.is_some(), "users[].user.as-uid", IMPERSONATION),
        (user.impersonate_groups.is_some(), "users[].user.as-groups", IMPERSONATION),
        (user.impersonate_user_extra.is_some(), "users[].user.as-user-extra", IMPERSONATION),
        (!user.other.is_empty(), "an unknown field of users[].user", UNKNOWN),
    ])
}

/// The header that proves the user: a token, or a name and a password.
fn credentials(user: &mut AuthInfo) -> Result<(), KubeconfigError> {
    if let Some(token) = &user.token {
        // A block of YAML ends with a line break, which is not part of the token.
        let token = token.expose_secret().trim_end_matches(['\r', '\n']).to_owned();
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KubeconfigError::unusable(
                "users[].user.token contains a line break, a space or another invalid character; write the \
                 token alone, on one line",
            ));
        }
        user.token = Some(SecretString::from(token));
    }
    if user.username.is_none() {
        user.password = None;
        return Ok(());
    }
    if user.token.is_some() || user.token_file.is_some() {
        return Err(KubeconfigError::unusable(
            "users[].user contains both a token and a username; remove the one that the cluster does not use",
        ));
    }
    if user.username.as_ref().is_some_and(|name| name.contains(':')) {
        return Err(KubeconfigError::unusable(
            "users[].user.username contains a colon, which is invalid in a user name; remove it",
        ));
    }
    user.password.get_or_insert_with(|| SecretString::from(String::new()));
    Ok(())
}

/// The certificate that proves the user, and its key.
fn certificate(user: &mut AuthInfo) -> Result<(), KubeconfigError> {
    let has_certificate = user.client_certificate_data.is_some() || user.client_certificate.is_some();
    let has_key = user.client_key_data.is_some() || user.client_key.is_some();
    if has_certificate && !has_key {
        return Err(KubeconfigError::unusable(
            "users[].user.client-key-data is missing; add the private key of client-certificate-data",
        ));
    }
    if !has_certificate {
        // kubectl passes over a key without a certificate.
        (user.client_key_data, user.client_key) = (None, None);
    }
    if let (Some(certificate), Some(key)) = (&user.client_certificate_data, &user.client_key_data) {
        let (certificate, key) = material::client(certificate, key.expose_secret())?;
        user.client_certificate_data = Some(certificate);
        user.client_key_data = Some(SecretString::from(key));
    }
    Ok(())
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
