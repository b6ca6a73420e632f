//! Endpoints of Vertex AI: the metadata server gives the gateway's pod its tokens, or Google exchanges the pod's own; the fake of
//! Google accepts no other.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use roadstead_clouds::vertex_ai::{
    AUDIENCE, PRINCIPAL, PROJECT_NUMBER, SUBJECT_TOKEN, ServiceAccount, VertexAiSettings,
};
use roadstead_clouds::{CloudSettings, Clouds};
use roadstead_gateway::{Endpoint, State, TokenSource, VerificationQuestion};
use serde_json::json;

use crate::caller::{Answer, Caller};
use crate::engine::Engine;
use crate::rig::{Rig, endpoint, route};

const PATH: &str = "/team-a/llama/v1/chat/completions";
const LOCATION: &str = "europe-west4";
/// Name of the endpoint, and of the model that its container serves.
const NAME: &str = "llama-model";

/// Vertex AI with one endpoint that serves, and tokens of this life.
async fn service(token_seconds: u32) -> Clouds {
    let vertex_ai = VertexAiSettings { token_seconds, ..VertexAiSettings::default() };
    let clouds = Clouds::start(CloudSettings { pace: 1, vertex_ai, ..CloudSettings::default() }).await.unwrap();
    let container = json!({"command": ["vllm", "serve", "org/m"], "args": ["--served-model-name", NAME]});
    clouds.vertex_ai.serve(LOCATION, NAME, &container);
    clouds
}

fn host(clouds: &Clouds) -> &str {
    clouds.urls.vertex_ai.strip_prefix("http://").unwrap()
}

/// A gateway whose pod has this host as its metadata server.
async fn gateway(metadata: &str) -> Rig {
    Rig::start_as(&[], |_| vec![("GCE_METADATA_HOST", metadata.to_owned())]).await
}

/// The endpoint as the operator puts it on a route.
fn at(clouds: &Clouds, state: State) -> Endpoint {
    Endpoint {
        prefix: format!("/v1/projects/{PROJECT_NUMBER}/locations/{LOCATION}/endpoints/{NAME}/invoke"),
        credential: None,
        token: Some(TokenSource::Google { account: None }),
        question: VerificationQuestion::Models,
        state,
        ..endpoint(NAME, host(clouds).parse().unwrap())
    }
}

async fn ask(caller: &Caller) -> Answer {
    let chat = json!({"model": NAME, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4});
    caller.post(PATH, &chat).await
}

/// The tokens that the endpoint has seen.
fn tokens(clouds: &Clouds) -> BTreeSet<String> {
    let calls = clouds.requests_after(0).into_iter().filter(|exchange| exchange.operation == "Invoke");
    let headers = calls.flat_map(|exchange| exchange.headers);
    headers.filter(|(name, _)| name == "authorization").map(|(_, value)| value).collect()
}

/// Sends requests, none of which may fail, until the endpoint has seen so many tokens.
async fn ask_until(clouds: &Clouds, caller: &Caller, count: usize) {
    let limit = std::time::Instant::now() + Duration::from_mins(2);
    while tokens(clouds).len() < count {
        assert!(std::time::Instant::now() < limit, "{count} tokens: not in time");
        let answer = ask(caller).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn tokens_are_renewed_under_load_while_the_hub_is_away_and_no_request_fails() {
    let clouds = service(16).await;
    let mut rig = gateway(host(&clouds)).await;
    rig.write(&route("llama", vec![at(&clouds, State::Active)])).await;
    let caller = rig.caller("key-of-alice");
    rig.until("the endpoint answers", async |_| ask(&caller).await.status == StatusCode::OK).await;
    rig.lose_hub();
    ask_until(&clouds, &caller, 2).await;
}

#[tokio::test]
async fn a_revoked_token_is_renewed_and_the_endpoint_is_verified_by_its_list_of_models() {
    let clouds = service(3599).await;
    let rig = gateway(host(&clouds)).await;
    let (_engine, address) = Engine::start().await;
    let both = vec![endpoint("llama-a", address), at(&clouds, State::Verifying)];
    rig.write(&route("llama", both)).await;
    rig.until("the endpoint is verified", async |rig| {
        let acks = rig.acks().await;
        acks.is_some_and(|acks| acks.routes.values().any(|ack| ack.verified.contains(NAME)))
    })
    .await;

    let mut alone = route("llama", vec![at(&clouds, State::Active)]);
    alone.revision = 2;
    rig.write(&alone).await;
    let caller = rig.caller("key-of-alice");
    // The other one tells the path of a request; until this route is in force, it answers alone.
    rig.until("the endpoint answers", async |_| {
        let answer = ask(&caller).await;
        answer.status == StatusCode::OK && answer.json()["path"].is_null()
    })
    .await;
    clouds.vertex_ai.revoke_tokens();
    assert_eq!(ask(&caller).await.status, StatusCode::UNAUTHORIZED);
    rig.until("a new token is in use", async |_| ask(&caller).await.status == StatusCode::OK).await;
    assert_eq!(tokens(&clouds).len(), 2);
}

#[tokio::test]
async fn an_endpoint_is_left_out_while_the_pod_has_no_identity() {
    let clouds = service(3599).await;
    // Nobody listens there.
    let rig = gateway("127.0.0.1:9").await;
    let (_engine, address) = Engine::start().await;
    rig.write(&route("llama", vec![at(&clouds, State::Active), endpoint("llama-a", address)])).await;
    let caller = rig.caller("key-of-alice");
    rig.until("the other endpoint answers", async |_| ask(&caller).await.status == StatusCode::OK).await;
    for _ in 0..20 {
        assert_eq!(ask(&caller).await.json()["path"], "/v1/chat/completions", "the other endpoint answers");
    }
    assert!(tokens(&clouds).is_empty());
    let told = rig.log("process.log");
    assert!(told.contains("the pod has no usable Google identity"), "{told}");
}

/// Account that a pod outside Google Cloud acts as.
const ACCOUNT: &str = "gateway@acme-models.iam.gserviceaccount.com";

/// Vertex AI with one endpoint that serves, and an account that the pod of another cluster may act as.
async fn service_for_others() -> Clouds {
    let clouds = service(3599).await;
    let impersonated_by = vec![PRINCIPAL.to_owned()];
    let account = ServiceAccount { email: ACCOUNT.to_owned(), public_key: String::new(), impersonated_by };
    clouds.vertex_ai.configure(|settings| settings.accounts.push(account));
    clouds
}

/// Variables of a pod outside Google Cloud: a token of its cluster, and the credential file of a workload identity pool.
fn federated(clouds: &Clouds, folder: &Path, source: &serde_json::Value) -> Vec<(&'static str, String)> {
    std::fs::write(folder.join("token"), SUBJECT_TOKEN).unwrap();
    let account = format!("/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken");
    let file = json!({
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": format!("{}/v1/token", clouds.urls.vertex_ai),
        "service_account_impersonation_url": format!("{}{account}", clouds.urls.vertex_ai),
        "credential_source": source,
    });
    let path = folder.join("credentials.json");
    std::fs::write(&path, file.to_string()).unwrap();
    // Nobody listens there: there is no metadata server.
    vec![
        ("GOOGLE_APPLICATION_CREDENTIALS", path.display().to_string()),
        ("GCE_METADATA_HOST", "127.0.0.1:9".to_owned()),
    ]
}

/// Number of tokens that were asked for by this operation.
fn given(clouds: &Clouds, operation: &str) -> usize {
    clouds.requests_after(0).into_iter().filter(|exchange| exchange.operation == operation).count()
}

#[tokio::test]
async fn a_pod_outside_google_cloud_renews_its_tokens_while_its_own_rotates_and_the_hub_is_away() {
    let clouds = service_for_others().await;
    let mut rig = Rig::start_as(&[], |folder| federated(&clouds, folder, &json!({"file": folder.join("token")}))).await;
    rig.write(&route("llama", vec![at(&clouds, State::Active)])).await;
    let caller = rig.caller("key-of-alice");
    rig.until("the endpoint answers", async |_| ask(&caller).await.status == StatusCode::OK).await;
    rig.lose_hub();
    clouds.vertex_ai.configure(|settings| settings.subject_tokens = vec!["the next token".to_owned()]);
    std::fs::write(rig.folder.path().join("token"), "the next token").unwrap();
    clouds.vertex_ai.revoke_tokens();
    assert_eq!(ask(&caller).await.status, StatusCode::UNAUTHORIZED);
    rig.until("a token for the next one is in use", async |_| ask(&caller).await.status == StatusCode::OK).await;
    assert_eq!((tokens(&clouds).len(), given(&clouds, "MetadataToken")), (2, 0));
    assert!(given(&clouds, "ExchangeToken") >= 2 && given(&clouds, "GenerateAccessToken") >= 2);
    let told = rig.log("process.log");
    assert!(!told.contains(SUBJECT_TOKEN) && !told.contains("the next token"), "{told}");
}

#[tokio::test]
async fn a_credential_file_that_names_a_command_is_refused_by_its_field_and_runs_nothing() {
    let clouds = service_for_others().await;
    let rig = Rig::start_as(&[], |folder| {
        let command = format!("touch {}", folder.join("canary").display());
        federated(&clouds, folder, &json!({"executable": {"command": command}}))
    })
    .await;
    rig.write(&route("llama", vec![at(&clouds, State::Active)])).await;
    rig.until("the log names the field", async |rig| {
        rig.log("process.log").contains("credential_source.executable is not supported")
    })
    .await;
    assert!(!rig.folder.path().join("canary").exists());
    assert!(tokens(&clouds).is_empty());
}
