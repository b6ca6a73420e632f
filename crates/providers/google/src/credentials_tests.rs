//! The fake of Google's services, which verifies signatures, is itself judged by Google's own library (`tests/clouds/judges`).

use data_encoding::BASE64;
use roadstead_clouds::vertex_ai::{AUDIENCE, PRINCIPAL, SUBJECT_TOKEN, ServiceAccount, WORKLOAD};
use roadstead_clouds::{CloudSettings, Clouds};

use super::*;
use crate::external::tests::file as external_file;
use crate::key::TOKEN_URI;
use crate::key::tests::{file, public_key};

const OTHER: &str = "vertex@acme.iam.gserviceaccount.com";

async fn clouds(token_seconds: u32, accounts: Vec<ServiceAccount>) -> Clouds {
    let mut settings = CloudSettings::default();
    settings.vertex_ai.token_seconds = token_seconds;
    settings.vertex_ai.accounts.extend(accounts);
    Clouds::start(settings).await.unwrap()
}

fn credentials(clouds: &Clouds, identity: GoogleIdentity, acting_as: Option<&str>) -> GoogleCredentials {
    let base = BaseUrl::parse(&clouds.urls.vertex_ai, Insecure::Allowed).unwrap();
    GoogleCredentials::new(GoogleParts {
        identity,
        acting_as: acting_as.map(|email| ActingAs { email: email.to_owned() }),
        addresses: GoogleAddresses::of(Some(&base)).unwrap(),
        reach: address::anywhere,
        meter: Arc::new(()),
        clock: Clock::system(),
    })
}

/// Operations that were asked for.
fn asked(clouds: &Clouds) -> Vec<String> {
    clouds.requests_after(0).into_iter().map(|exchange| exchange.operation).collect()
}

fn account(email: &str, key: String, impersonated_by: &[&str]) -> ServiceAccount {
    let impersonated_by = impersonated_by.iter().map(|email| (*email).to_owned()).collect();
    ServiceAccount { email: email.to_owned(), public_key: key, impersonated_by }
}

#[tokio::test]
async fn a_pod_has_the_token_of_the_metadata_server_until_it_is_about_to_end() {
    let clouds = clouds(3599, Vec::new()).await;
    let credentials = credentials(&clouds, GoogleIdentity::Workload, None);
    let token = credentials.token().await.unwrap();
    assert_eq!(credentials.token().await.unwrap(), token);
    assert_eq!(asked(&clouds), ["MetadataToken"]);
    let mut request = Request::get("https://a.example").body(Bytes::new()).unwrap();
    credentials.authorize(&mut request).await.unwrap();
    assert_eq!(request.headers()["authorization"], format!("Bearer {}", token.expose()));
    assert_eq!(credentials.conceal(&format!("{} is refused", token.expose())), "[redacted] is refused");
}

#[tokio::test]
async fn a_token_that_is_about_to_end_is_renewed_before_it_is_used() {
    let clouds = clouds(170, Vec::new()).await;
    let credentials = credentials(&clouds, GoogleIdentity::Workload, None);
    assert_ne!(credentials.token().await.unwrap(), credentials.token().await.unwrap());
}

#[tokio::test]
async fn a_key_signs_for_its_token_and_another_key_is_refused_by_name() {
    let key = ServiceAccountKey::read(&file(TOKEN_URI)).unwrap();
    let robot = account(&key.email, BASE64.encode(&public_key(&key)), &[]);
    let clouds = clouds(3599, vec![robot]).await;
    credentials(&clouds, GoogleIdentity::Key(key.clone()), None).token().await.unwrap();
    let other = ServiceAccountKey::read(&file(TOKEN_URI)).unwrap();
    let error = credentials(&clouds, GoogleIdentity::Key(other), None).token().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unauthorized);
    assert!(error.message.contains(&key.email) && error.message.contains("Invalid JWT Signature"), "{error}");
}

#[tokio::test]
async fn another_account_is_acted_as_where_it_allows_that() {
    let clouds = clouds(3599, vec![account(OTHER, String::new(), &[WORKLOAD])]).await;
    let acting = credentials(&clouds, GoogleIdentity::Workload, Some(OTHER));
    let token = acting.token().await.unwrap();
    assert_eq!(acting.token().await.unwrap(), token);
    assert_eq!(asked(&clouds), ["MetadataToken", "GenerateAccessToken"]);
    let error = credentials(&clouds, GoogleIdentity::Workload, Some(WORKLOAD)).token().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unauthorized);
    assert!(error.message.contains(&format!("service account {WORKLOAD} cannot be acted as")), "{error}");
}

#[test]
fn the_metadata_server_can_have_another_host_and_the_other_services_cannot() {
    let addresses = GoogleAddresses::with_metadata(Some("127.0.0.1:8080")).unwrap();
    assert_eq!(addresses.metadata.to_string(), "http://127.0.0.1:8080");
    assert_eq!(addresses.oauth.to_string(), OAUTH_ADDRESS);
    assert_eq!(GoogleAddresses::with_metadata(None).unwrap().metadata.to_string(), METADATA_ADDRESS);
    assert!(GoogleAddresses::with_metadata(Some("user@host")).is_err());
}

/// The identity of a pod outside Google Cloud, whose token is in this file.
fn external(folder: &tempfile::TempDir, change: impl FnOnce(&mut serde_json::Value)) -> GoogleIdentity {
    let mut file = external_file(&folder.path().join("token"));
    file["audience"] = json!(AUDIENCE);
    change(&mut file);
    GoogleIdentity::External(ExternalAccount::parse(&file.to_string()).unwrap())
}

#[tokio::test]
async fn a_token_of_another_issuer_is_exchanged_as_it_is_in_its_file_at_each_renewal() {
    let clouds = clouds(3599, Vec::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let credentials = credentials(&clouds, external(&folder, |_| {}), None);
    std::fs::write(folder.path().join("token"), SUBJECT_TOKEN).unwrap();
    let first = credentials.token().await.unwrap();
    assert_eq!(credentials.token().await.unwrap(), first);
    assert_eq!(asked(&clouds), ["ExchangeToken"]);

    clouds.vertex_ai.configure(|settings| settings.subject_tokens = vec!["rotated".to_owned()]);
    let error = credentials.renewed().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unauthorized);
    assert!(error.message.contains(AUDIENCE) && error.message.contains("invalid_grant"), "{error}");
    std::fs::write(folder.path().join("token"), "rotated").unwrap();
    assert_ne!(credentials.renewed().await.unwrap().value, first);
}

#[tokio::test]
async fn the_account_of_the_file_is_acted_as_and_acts_as_that_of_a_target() {
    let named = "pool@acme.iam.gserviceaccount.com";
    let clouds =
        clouds(3599, vec![account(named, String::new(), &[PRINCIPAL]), account(OTHER, String::new(), &[named])]).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), SUBJECT_TOKEN).unwrap();
    let acting = |email: &str| {
        let url =
            format!("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{email}:generateAccessToken");
        external(&folder, |file| {
            file["service_account_impersonation_url"] = json!(url);
            file["service_account_impersonation"] = json!({"token_lifetime_seconds": 1200});
        })
    };
    let chain = credentials(&clouds, acting(named), Some(OTHER));
    chain.token().await.unwrap();
    assert_eq!(asked(&clouds), ["ExchangeToken", "GenerateAccessToken", "GenerateAccessToken"]);
    let lives: Vec<String> = clouds.requests_after(1).into_iter().map(|exchange| exchange.body).collect();
    assert!(lives[0].contains("1200s") && lives[1].contains("3600s"), "{lives:?}");
    chain.renewed().await.unwrap();
    assert_eq!(asked(&clouds).len(), 6, "each token of the chain is asked for anew");
    let error = credentials(&clouds, acting(OTHER), None).token().await.unwrap_err();
    assert!(error.message.contains(&format!("service account {OTHER} cannot be acted as")), "{error}");
}

#[tokio::test]
async fn a_refused_token_of_another_issuer_is_not_repeated() {
    let refusal = r#"{"error": "invalid_grant", "error_description": "the token subject-canary has ended"}"#;
    let app = axum::Router::new().fallback(move || async move { (axum::http::StatusCode::BAD_REQUEST, refusal) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/token", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "subject-canary").unwrap();
    // The file alone names this address, as on a gateway.
    let credentials = GoogleCredentials::new(GoogleParts {
        identity: external(&folder, |file| file["token_url"] = json!(url)),
        acting_as: None,
        addresses: GoogleAddresses::with_metadata(None).unwrap(),
        reach: address::elsewhere,
        meter: Arc::new(()),
        clock: Clock::system(),
    });
    let error = credentials.token().await.unwrap_err();
    assert!(error.message.contains("the token [redacted] has ended"), "{error}");
}
