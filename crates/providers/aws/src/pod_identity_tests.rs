//! EKS Pod Identity: an agent on the node gives keys for a token, which the kubelet renews in a file
//! (<https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html>).

use std::path::{Path, PathBuf};
use std::process::Command;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};

use super::*;

/// Variables that EKS sets in a pod.
const ADDRESS: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

/// The agent: keys named after the token of a pod that it knows.
async fn agent() -> String {
    let app = Router::new().fallback(|uri: Uri, headers: HeaderMap| async move {
        assert_eq!(uri.path(), "/v1/credentials");
        let token = headers.get("authorization").and_then(|token| token.to_str().ok()).unwrap_or_default();
        let known = ["first", "second"].contains(&token);
        match token {
            "unavailable" => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
            _ if !known => (StatusCode::BAD_REQUEST, "the token is not valid".to_owned()),
            _ => {
                let end = Clock::system().wall() + Duration::from_hours(6);
                let keys = format!(
                    r#"{{"AccessKeyId": "ASIA-{token}", "SecretAccessKey": "secret-canary", "Token": "token-canary",
                        "AccountId": "123456789012", "Expiration": "{end}"}}"#
                );
                (StatusCode::OK, keys)
            }
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/v1/credentials", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// The variables of a pod are those of a process, so the test runs itself in another one, which is the pod.
#[tokio::test]
async fn eks_pod_identity_gives_keys_for_the_token_that_is_in_its_file_now() {
    if let Some(file) = std::env::var_os(TOKEN_FILE) {
        return in_the_pod(&PathBuf::from(file)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let name = "credentials::pod_identity_tests::eks_pod_identity_gives_keys_for_the_token_that_is_in_its_file_now";
    let mut pod = Command::new(std::env::current_exe().unwrap());
    pod.args([name, "--exact", "--nocapture"])
        .env_clear()
        .env(ADDRESS, agent().await)
        .env(TOKEN_FILE, folder.path().join("token"))
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    let ended = tokio::task::spawn_blocking(move || pod.output()).await.unwrap().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success() && told.contains("1 passed"), "{told}");
}

async fn in_the_pod(file: &Path) {
    let settings = CredentialSettings {
        source: CredentialSource::Ambient,
        role: None,
        region: "eu-west-1".to_owned(),
        endpoint: None,
    };
    let credentials = AwsCredentials::new(settings, Clock::system());
    let write = |token: &str| std::fs::write(file, token).unwrap();
    write("first");
    assert_eq!(credentials.current().await.unwrap().access_key_id(), "ASIA-first");
    write("second");
    assert_eq!(credentials.current().await.unwrap().access_key_id(), "ASIA-first", "the known keys live for hours");
    assert_eq!(credentials.renewed().await.unwrap().access_key_id(), "ASIA-second");
    assert_eq!(credentials.conceal("secret-canary and token-canary"), "[redacted] and [redacted]");
    for (token, class) in [("other", ErrorClass::Unauthorized), ("unavailable", ErrorClass::Transient)] {
        write(token);
        let error = credentials.renewed().await.unwrap_err();
        assert_eq!(error.class, class, "{error}");
        assert!(error.message.contains("the pod has no usable AWS identity"), "{error}");
    }
    // Nothing is sent without a token: the outage before says nothing of it.
    std::fs::remove_file(file).unwrap();
    assert_eq!(credentials.renewed().await.unwrap_err().class, ErrorClass::Unauthorized);
}
