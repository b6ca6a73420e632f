//! Endpoints of Azure OpenAI: Entra ID gives the gateway's pod its tokens for the token of its service account, and requests name the
//! deployment as their model.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use roadstead_clouds::azure::{CLIENT, FEDERATED, TENANT};
use roadstead_clouds::azure_openai::{AzureOpenAiSettings, CATALOG_MODEL};
use roadstead_clouds::{CloudSettings, Clouds};
use roadstead_gateway::{Endpoint, State, TokenSource, VerificationQuestion};
use serde_json::json;

use crate::caller::{Answer, Caller};
use crate::engine::Engine;
use crate::rig::{Rig, endpoint, route};

const PATH: &str = "/team-a/llama/v1/chat/completions";
/// Name of the endpoint and of its deployment.
const NAME: &str = "llama-ifozqn2uokcb";

/// An account with one deployment that serves, and tokens of this life.
async fn account(token_seconds: u32) -> Clouds {
    let azure_openai = AzureOpenAiSettings { token_seconds, ..AzureOpenAiSettings::default() };
    let clouds = Clouds::start(CloudSettings { pace: 1, azure_openai, ..CloudSettings::default() }).await.unwrap();
    let [format, name, version] = CATALOG_MODEL;
    let model = json!({"format": format, "name": name, "version": version});
    let form = json!({"sku": {"name": "GlobalStandard", "capacity": 10}, "properties": {"model": model}});
    clouds.azure_openai.crowd(1, |_| (NAME.to_owned(), form.clone()));
    clouds
}

/// A gateway whose pod has a workload identity at this fake.
async fn gateway(clouds: &Clouds) -> Rig {
    let authority = clouds.urls.azure_openai.clone();
    Rig::start_as(&[], |folder: &Path| {
        let file = folder.join("identity");
        std::fs::write(&file, FEDERATED).unwrap();
        vec![
            ("AZURE_AUTHORITY_HOST", authority),
            ("AZURE_TENANT_ID", TENANT.to_owned()),
            ("AZURE_CLIENT_ID", CLIENT.to_owned()),
            ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap().to_owned()),
        ]
    })
    .await
}

/// The endpoint as the operator puts it on a route.
fn at(clouds: &Clouds, state: State) -> Endpoint {
    let address = clouds.urls.azure_openai.strip_prefix("http://").unwrap();
    Endpoint {
        prefix: "/openai".to_owned(),
        model: Some(NAME.to_owned()),
        credential: None,
        token: Some(TokenSource::AzureOpenAI),
        question: VerificationQuestion::Completion,
        state,
        ..endpoint(NAME, address.parse().unwrap())
    }
}

async fn ask(caller: &Caller) -> Answer {
    let chat = json!({"model": "llama", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4});
    caller.post(PATH, &chat).await
}

/// The tokens that the account has seen in requests.
fn tokens(clouds: &Clouds) -> BTreeSet<String> {
    let calls = clouds.requests_after(0).into_iter().filter(|exchange| exchange.operation == "Inference");
    let headers = calls.flat_map(|exchange| exchange.headers);
    headers.filter(|(name, _)| name == "authorization").map(|(_, value)| value).collect()
}

#[tokio::test]
async fn tokens_of_entra_are_renewed_while_the_hub_is_away_and_answers_have_the_name_that_callers_know() {
    let clouds = account(16).await;
    let mut rig = gateway(&clouds).await;
    let deployment = route("llama", vec![at(&clouds, State::Active)]);
    let own_name = deployment.model.clone();
    rig.write(&deployment).await;
    let caller = rig.caller("key-of-alice");
    rig.until("the endpoint answers", async |_| ask(&caller).await.status == StatusCode::OK).await;
    rig.lose_hub();
    let limit = std::time::Instant::now() + Duration::from_mins(2);
    while tokens(&clouds).len() < 2 {
        assert!(std::time::Instant::now() < limit, "two tokens: not in time");
        let answer = ask(&caller).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert_eq!(answer.json()["model"], own_name.as_str());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_revoked_token_is_renewed_and_an_absent_deployment_is_passed_over() {
    let clouds = account(3599).await;
    let rig = gateway(&clouds).await;
    rig.write(&route("llama", vec![at(&clouds, State::Active)])).await;
    let caller = rig.caller("key-of-alice");
    rig.until("the endpoint answers", async |_| ask(&caller).await.status == StatusCode::OK).await;
    clouds.azure_openai.revoke_tokens();
    assert_eq!(ask(&caller).await.status, StatusCode::UNAUTHORIZED);
    rig.until("a new token is in use", async |_| ask(&caller).await.status == StatusCode::OK).await;
    assert_eq!(tokens(&clouds).len(), 2);

    let (_engine, address) = Engine::start().await;
    let absent = Endpoint {
        refusals: serde_json::from_value(json!([{"status": 404, "words": "DeploymentNotFound", "meaning": "Absent"}]))
            .unwrap(),
        ..at(&clouds, State::Active)
    };
    assert!(clouds.azure_openai.take_away(NAME));
    let mut both = route("llama", vec![absent, endpoint("llama-a", address)]);
    both.revision = 2;
    rig.write(&both).await;
    rig.until("the other endpoint answers", async |_| ask(&caller).await.status == StatusCode::OK).await;
    for _ in 0..20 {
        assert_eq!(ask(&caller).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn what_the_account_keeps_of_everybody_is_out_of_reach() {
    let clouds = account(3599).await;
    let rig = gateway(&clouds).await;
    let paths = ["chat/completions", "completions", "embeddings", "responses"].map(ToOwned::to_owned).to_vec();
    rig.write(&route("llama", vec![Endpoint { paths, ..at(&clouds, State::Active) }])).await;
    let caller = rig.caller("key-of-alice");
    rig.until("the endpoint answers", async |_| ask(&caller).await.status == StatusCode::OK).await;
    for path in ["chat/completions?limit=100", "chat/completions/c1", "files", "responses", "responses/r1"] {
        let answer = caller.get(&format!("/team-a/llama/v1/{path}")).await;
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (StatusCode::NOT_FOUND, &json!("not_served")),
            "{path}"
        );
    }
    let asked = clouds.requests_after(0);
    assert!(asked.iter().all(|exchange| exchange.method != "GET"), "a request reached the account");
}
