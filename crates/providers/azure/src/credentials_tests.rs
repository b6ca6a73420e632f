//! The fake of Entra ID is itself judged by azure-identity (`tests/clouds/judges`).

use std::io::Write as _;

use roadstead_clouds::azure::{CLIENT, FEDERATED, SECRET, TENANT};
use roadstead_clouds::{CloudSettings, Clouds};
use roadstead_provider::address;

use super::*;

async fn clouds(token_seconds: u32) -> Clouds {
    let mut settings = CloudSettings::default();
    settings.azure.token_seconds = token_seconds;
    Clouds::start(settings).await.unwrap()
}

fn credentials(clouds: &Clouds, secret: &str) -> EntraCredentials {
    let secret = Redacted::new(secret.to_owned());
    let secret = EntraSecret { tenant: TENANT.to_owned(), client: CLIENT.to_owned(), secret };
    EntraCredentials::new(EntraParts {
        identity: EntraIdentity::Application(secret),
        authority: BaseUrl::parse(&clouds.urls.azure, Insecure::Allowed).unwrap(),
        scope: MANAGEMENT_SCOPE,
        reach: address::anywhere,
        meter: Arc::new(()),
        clock: Clock::system(),
    })
}

#[tokio::test]
async fn a_token_is_used_until_it_is_about_to_end() {
    let clouds = clouds(3599).await;
    let credentials = credentials(&clouds, SECRET);
    let token = credentials.token().await.unwrap();
    assert_eq!(credentials.token().await.unwrap(), token);
    assert_eq!(clouds.requests_after(0).len(), 1);
    let mut request = Request::get("https://a.example").body(Bytes::new()).unwrap();
    credentials.authorize(&mut request).await.unwrap();
    assert_eq!(request.headers()["authorization"], format!("Bearer {}", token.expose()));
    assert_eq!(credentials.conceal(&format!("{} with {SECRET}", token.expose())), "[redacted] with [redacted]");
}

#[tokio::test]
async fn a_token_that_is_about_to_end_is_renewed_before_it_is_used() {
    let clouds = clouds(170).await;
    let credentials = credentials(&clouds, SECRET);
    assert_ne!(credentials.token().await.unwrap(), credentials.token().await.unwrap());
}

#[tokio::test]
async fn a_secret_that_is_refused_is_named_by_its_application_and_not_repeated() {
    let clouds = clouds(3599).await;
    let error = credentials(&clouds, "wrong-secret-canary").token().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Unauthorized);
    assert!(error.message.contains(CLIENT) && error.message.contains("AADSTS7000215"), "{error}");
    assert!(!error.message.contains("canary"), "{error}");
}

#[test]
fn a_pod_proves_itself_with_the_token_in_its_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{FEDERATED}").unwrap();
    let path = file.path().display().to_string();
    let all = |name: &str| {
        Some(match name {
            "AZURE_TENANT_ID" => TENANT.to_owned(),
            "AZURE_CLIENT_ID" => CLIENT.to_owned(),
            _ => path.clone(),
        })
    };
    let proof = of_pod(&all).unwrap();
    assert_eq!((proof.tenant.as_str(), proof.client.as_str()), (TENANT, CLIENT));
    assert!(proof.proof.ends_with(&format!("&client_assertion={FEDERATED}")), "{}", proof.proof);
    let Err(error) = of_pod(&|name| all(name).filter(|_| name != "AZURE_CLIENT_ID")) else { panic!("it is complete") };
    assert!(error.class == ErrorClass::Unauthorized && error.message.contains("AZURE_CLIENT_ID"), "{error}");
}
