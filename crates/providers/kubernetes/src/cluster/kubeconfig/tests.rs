//! Accepted and refused fields of a kubeconfig, and the messages of refusals.

use std::fmt::Write;
use std::path::Path;

use clap::ValueEnum;
use data_encoding::BASE64;
use kube::client::ConfigExt;
use secrecy::ExposeSecret;

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
        (", server-from: elsewhere", "", "unknown field of clusters[].cluster"),
        ("", ", as: admin", "user.as,"),
        ("", ", as-uid: '1'", "user.as-uid"),
        ("", ", as-groups: ['system:masters']", "user.as-groups"),
        ("", ", as-user-extra: {scopes: [all]}", "user.as-user-extra"),
        ("", ", token-file: /etc/passwd", "unknown field of users[].user"),
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
async fn the_forms_of_a_server_that_kubectl_reads_are_read() {
    for (server, used) in [
        ("https://10.0.0.1:6443 ", "https://10.0.0.1:6443/"),
        ("https://10.0.0.1:6443\\n", "https://10.0.0.1:6443/"),
        ("https://[2001:db8::1]:6443", "https://[2001:db8::1]:6443/"),
        ("https://rancher.example.com/k8s/clusters/c-m-x7k2p", "https://rancher.example.com/k8s/clusters/c-m-x7k2p"),
        ("https://rancher.example.com/k8s/", "https://rancher.example.com/k8s/"),
        ("https://10.0.0.1:", "https://10.0.0.1:/"),
    ] {
        let text = kubeconfig(&format!("server: \"{server}\""), "");
        let config = parse(text.as_bytes(), &AllowedKubeconfig::default()).await.unwrap();
        assert_eq!(config.cluster_url.to_string(), used, "{server}");
    }
    let long = format!("https://10.0.0.1/{}", "a".repeat(60_000));
    assert!(refusal(&format!("server: '{long}'"), "").await.contains("60017 bytes"), "no request would fit after it");
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

/// A file of `tests/pki`.
fn pki(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/pki").join(name)).unwrap()
}

fn base64(text: impl AsRef<[u8]>) -> String {
    BASE64.encode(text.as_ref())
}

/// A kubeconfig with this authority and this user, each as YAML.
fn with_material(authority: &str, user: &str) -> String {
    format!(
        "current-context: c\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n\
         clusters:\n- name: k\n  cluster:\n    server: https://10.0.0.1:6443\n{authority}\n\
         users:\n- name: u\n  user:\n{user}\n"
    )
}

async fn material_fault(authority: &str, user: &str) -> String {
    let text = with_material(authority, user);
    let error = parse(text.as_bytes(), &AllowedKubeconfig::default()).await.unwrap_err();
    assert!(matches!(error, KubeconfigError::Unusable { .. }), "{error}");
    let error = error.to_string();
    for part in text.split_whitespace().filter(|part| part.len() > 40) {
        assert!(!error.contains(part.get(..20).unwrap()), "{error} quotes the kubeconfig");
    }
    error
}

fn authority_data(data: &str) -> String {
    format!("    certificate-authority-data: {data}")
}

fn client_data(certificate: &str, key: &str) -> String {
    format!("    client-certificate-data: {certificate}\n    client-key-data: {key}")
}

#[tokio::test]
async fn certificates_are_read_however_their_base64_is_broken() {
    let ca = base64(pki("authority.crt"));
    let (certificate, key) = (base64(pki("client.crt")), base64(pki("client.key")));
    let broken = |data: &str, with: &str| {
        let lines: Vec<String> =
            data.as_bytes().chunks(64).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
        lines.join(with)
    };
    let folded = |data: &str| format!("|\n      {}\n", broken(data, "\n      "));
    for (ca, certificate, key) in [
        (ca.clone(), certificate.clone(), key.clone()),
        (folded(&ca), folded(&certificate), folded(&key)),
        (format!("\"{}\"", broken(&ca, "\\r\\n")), format!("'{}'", broken(&certificate, " ")), format!("' {key} '")),
        (
            base64(pki("authority.crt").replace('\n', "\r\n")),
            base64(format!("Subject: CN=client\n{}", pki("client.crt"))),
            base64(pki("client-sec1.key")),
        ),
        (base64(format!("{}{}", pki("authority-expired.crt"), pki("authority.crt"))), certificate.clone(), key.clone()),
        (
            base64(format!("{}{}", pki("server.crt"), pki("authority.crt"))),
            base64(format!("{}{}", pki("client.crt"), pki("authority.crt"))),
            key.clone(),
        ),
        (base64(pki("server-selfsigned.crt")), certificate, key),
    ] {
        let text = with_material(&authority_data(&ca), &client_data(&certificate, &key));
        let config = parse(text.as_bytes(), &AllowedKubeconfig::default()).await.unwrap();
        assert!(!config.root_cert.as_ref().unwrap().is_empty());
        assert!(config.rustls_client_config().is_ok(), "the client takes what was judged");
    }
}

#[tokio::test]
async fn what_kubectl_takes_as_absent_is_absent() {
    let authority = "    proxy-url: \"\"\n    tls-server-name: \"\"\n    certificate-authority: \"\"\n    \
                     certificate-authority-data: \"\"\n    insecure-skip-tls-verify: false\n    extensions: null";
    let user = "    token: a-token\n    tokenFile: \"\"\n    username: \"\"\n    password: \"\"\n    client-certificate: \"\"\n    \
                client-certificate-data: \"\"\n    client-key: \"\"\n    client-key-data: \"\"\n    as: \"\"\n    as-uid: \"\"\n    \
                as-groups: []\n    as-user-extra: {}\n    exec: null\n    auth-provider: null";
    let text = with_material(authority, user);
    let config = parse(text.as_bytes(), &AllowedKubeconfig::default()).await.unwrap();
    assert!(config.tls_server_name.is_none() && config.root_cert.is_none() && config.auth_info.username.is_none());
}

#[tokio::test]
async fn a_token_ends_before_the_line_break_of_its_block() {
    for block in ["|\n      a-token", "|+\n      a-token\n\n", ">\n      a-token", "\"a-token\\r\\n\""] {
        let text = with_material("", &format!("    token: {block}"));
        let config = parse(text.as_bytes(), &AllowedKubeconfig::default()).await.unwrap();
        assert_eq!(config.auth_info.token.unwrap().expose_secret(), "a-token", "{block}");
    }
}

#[tokio::test]
async fn a_user_name_and_its_password_make_one_header() {
    let text = with_material("", "    username: admin");
    let config = parse(text.as_bytes(), &AllowedKubeconfig::default()).await.unwrap();
    assert!(config.auth_layer().unwrap().is_some(), "an empty password is one");
    let error = material_fault("", "    username: admin\n    password: a\n    token: b").await;
    assert!(error.contains("both a token and a username"), "{error}");
    assert!(material_fault("", "    username: 'a:b'\n    password: c").await.contains("users[].user.username"));
}

#[tokio::test]
async fn trouble_with_an_authority_names_its_field_and_the_cure() {
    let der = pem::parse(&pki("authority.crt"));
    for (data, told) in [
        (base64(pki("server.crt")), "certificate of a server"),
        (base64(pki("authority-expired.crt")), "expired at 2021-01-01T00:00:00Z"),
        (base64(&der), "DER"),
        (base64(base64(pki("authority.crt"))), "base64 of base64"),
        (base64(pki("client.key")), "no PEM section CERTIFICATE"),
        (base64(pki("authority.crt").get(..300).unwrap()), "copy all of it"),
        (base64("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "no readable X.509 certificate"),
        ("not~base64".to_owned(), "not valid base64"),
        (format!("|\n      {}", pki("authority.crt").replace('\n', "\n      ")), "plain PEM"),
    ] {
        let error = material_fault(&authority_data(&data), "    token: a").await;
        assert!(
            error.contains("clusters[].cluster.certificate-authority-data") && error.contains(told),
            "{told}: {error}"
        );
    }
}

#[tokio::test]
async fn trouble_with_a_client_certificate_names_its_field_and_the_cure() {
    let (certificate, key) = (pki("client.crt"), pki("client.key"));
    let chain = format!("{}{}", pki("authority.crt"), pki("client.crt"));
    for (certificate, key, field, told) in [
        (base64(pki("client-v1.crt")), base64(&key), "client-certificate-data", "version 1"),
        (base64(pki("client-expired.crt")), base64(&key), "client-certificate-data", "expired at 2021-01-01T00:00:00Z"),
        (
            base64(pki("client-future.crt")),
            base64(&key),
            "client-certificate-data",
            "not valid before 2110-01-01T00:00:00Z",
        ),
        (base64(pki("server.crt")), base64(pki("other.key")), "client-certificate-data", "clientAuth"),
        (base64(chain), base64(&key), "client-certificate-data", "does not begin with"),
        (base64(pem::parse(&certificate)), base64(&key), "client-certificate-data", "DER"),
        (base64(&certificate), base64(pki("other.key")), "client-key-data", "does not belong"),
        (base64(&certificate), base64(pki("client-encrypted.key")), "client-key-data", "passphrase"),
        (base64(&certificate), base64(pki("p521.key")), "client-key-data", "unsupported type"),
        (base64(&certificate), base64(&certificate), "client-key-data", "no PEM section PRIVATE KEY"),
        (base64(&certificate), "\"\"".to_owned(), "client-key-data", "is missing"),
    ] {
        let error = material_fault("", &client_data(&certificate, &key)).await;
        assert!(error.contains(&format!("users[].user.{field}")) && error.contains(told), "{told}: {error}");
    }
}

#[tokio::test]
async fn a_kubeconfig_may_be_json_with_tabs_and_begin_with_a_mark() {
    let json = "{\n\t\"current-context\": \"c\",\n\t\"contexts\": [{\"name\": \"c\", \"context\": {\"cluster\": \"k\", \"user\": \"u\"}}],\n\t\
                \"clusters\": [{\"name\": \"k\", \"cluster\": {\"server\": \"https://10.0.0.1\"}}],\n\t\
                \"users\": [{\"name\": \"u\", \"user\": {\"token\": \"a\"}}]\n}";
    for text in [json.to_owned(), format!("\u{feff}{}", kubeconfig("server: 'https://10.0.0.1'", ""))] {
        assert!(parse(text.as_bytes(), &AllowedKubeconfig::default()).await.is_ok(), "{text}");
    }
}

#[tokio::test]
async fn text_that_is_not_yaml_is_told_by_its_line() {
    let text = "current-context: c\nclusters: []\n  users: [\n";
    let error = parse(text.as_bytes(), &AllowedKubeconfig::default()).await.unwrap_err().to_string();
    assert!(error.contains("(line 3)"), "{error}");
}

/// Just enough of PEM for the tests.
mod pem {
    use data_encoding::BASE64;

    pub fn parse(text: &str) -> Vec<u8> {
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        BASE64.decode(body.as_bytes()).unwrap()
    }
}
