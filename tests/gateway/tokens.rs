//! Endpoints that want tokens which expire: the fake of SageMaker checks the signature and the end of each by its own clock.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use roadstead_clouds::faults::{Effect, ScriptedFault};
use roadstead_clouds::sagemaker::{ACCOUNT, SageMakerSettings, TrustedRole};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_gateway::{
    Endpoint, RefusalMeaning, Route, ServiceRefusal, State, TokenRole, TokenSource, VerificationQuestion,
};
use serde_json::json;

use crate::caller::{Answer, Caller};
use crate::engine::Engine;
use crate::rig::{Rig, endpoint, route};

const PATH: &str = "/team-a/llama/v1/chat/completions";
const REGION: &str = "eu-west-1";
/// Name of the endpoint, and of the model that its container serves.
const NAME: &str = "llama-model";

/// SageMaker with one endpoint in service. Its clock is the machine's, by which gateways sign.
async fn service() -> Clouds {
    service_with(SageMakerSettings::default()).await
}

async fn service_with(sagemaker: SageMakerSettings) -> Clouds {
    let settings = CloudSettings { pace: 1, sagemaker, ..CloudSettings::default() };
    let clouds = Clouds::start(settings).await.unwrap();
    clouds.sagemaker.crowd(REGION, "ml.g6.xlarge", 1, |_| (NAME.to_owned(), [].into())).unwrap();
    clouds
}

/// Variables of a pod with the identity of this role (IRSA) at this service.
fn identity(clouds: &Clouds, folder: &Path, role: &str) -> Vec<(&'static str, String)> {
    let token = folder.join("identity");
    std::fs::write(&token, "a token of the cluster").unwrap();
    let mut variables = strangers();
    variables.extend([
        ("AWS_ENDPOINT_URL", clouds.urls.sagemaker.clone()),
        ("AWS_ROLE_ARN", role.to_owned()),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", token.display().to_string()),
    ]);
    variables
}

/// Variables of a pod without an identity.
pub fn strangers() -> Vec<(&'static str, String)> {
    ["AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null"]
        .map(|variable| variable.split_once('=').unwrap())
        .map(|(name, value)| (name, value.to_owned()))
        .into()
}

/// A gateway whose pod has an identity at the service.
async fn gateway(clouds: &Clouds, token_seconds: u32) -> Rig {
    let role = format!("arn:aws:iam::{ACCOUNT}:role/roadstead");
    Rig::start_as(&[&format!("--token-seconds={token_seconds}")], |folder| identity(clouds, folder, &role)).await
}

/// The endpoint as the operator puts it on a route.
fn at(clouds: &Clouds, state: State) -> Endpoint {
    let address = clouds.urls.sagemaker.strip_prefix("http://").unwrap().parse().unwrap();
    Endpoint {
        prefix: format!("/endpoints/{NAME}/openai"),
        credential: None,
        token: Some(TokenSource::SageMaker { region: REGION.to_owned(), role: None }),
        question: VerificationQuestion::Completion,
        refusals: vec![
            refusal(&format!("Endpoint {NAME} of account"), RefusalMeaning::Absent),
            refusal("has no capacity", RefusalMeaning::Cold),
        ],
        state,
        ..endpoint(NAME, address)
    }
}

fn refusal(words: &str, meaning: RefusalMeaning) -> ServiceRefusal {
    ServiceRefusal { status: 400, words: words.to_owned(), meaning }
}

async fn ask(caller: &Caller) -> Answer {
    let chat = json!({"model": NAME, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4});
    caller.post(PATH, &chat).await
}

async fn serves(rig: &Rig, route: &Route) -> Caller {
    rig.write(route).await;
    let caller = rig.caller("key-of-alice");
    rig.until("the endpoint answers", async |_| ask(&caller).await.status == StatusCode::OK).await;
    caller
}

/// The tokens that the service has seen after the exchange of this number.
fn tokens_after(clouds: &Clouds, number: usize) -> BTreeSet<String> {
    let exchanges = clouds.requests_after(number).into_iter();
    let calls = exchanges.filter(|exchange| exchange.operation == "CallWithBearerToken");
    let headers = calls.flat_map(|exchange| exchange.headers);
    headers.filter(|(name, _)| name == "authorization").map(|(_, value)| value).collect()
}

fn sessions(clouds: &Clouds) -> usize {
    let all = clouds.requests_after(0);
    all.iter().filter(|exchange| exchange.operation == "AssumeRoleWithWebIdentity").count()
}

/// Sends requests, none of which may fail, until something holds.
async fn ask_until(what: &str, caller: &Caller, holds: impl Fn() -> bool) {
    let limit = std::time::Instant::now() + Duration::from_mins(2);
    while !holds() {
        assert!(std::time::Instant::now() < limit, "{what}: not in time");
        let answer = ask(caller).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn tokens_are_renewed_under_load_while_the_hub_is_away_and_no_request_fails() {
    let clouds = service().await;
    let mut rig = gateway(&clouds, 24).await;
    let caller = serves(&rig, &route("llama", vec![at(&clouds, State::Active)])).await;
    ask_until("a renewal", &caller, || tokens_after(&clouds, 0).len() == 2).await;

    rig.lose_hub();
    rig.kill_process();
    rig.start_process();
    let known = tokens_after(&clouds, 0);
    ask_until("two renewals by a process that never saw the hub", &caller, || {
        tokens_after(&clouds, 0).difference(&known).count() == 3
    })
    .await;
}

#[tokio::test]
async fn a_revoked_session_is_renewed_once_and_a_missing_right_starts_no_storm() {
    let clouds = service().await;
    let rig = gateway(&clouds, 3600).await;
    let caller = serves(&rig, &route("llama", vec![at(&clouds, State::Active)])).await;
    assert_eq!((sessions(&clouds), tokens_after(&clouds, 0).len()), (1, 1));

    clouds.sagemaker.end_sessions();
    assert_eq!(ask(&caller).await.status, StatusCode::FORBIDDEN);
    rig.until("a token of a new session is in use", async |_| ask(&caller).await.status == StatusCode::OK).await;
    assert_eq!((sessions(&clouds), tokens_after(&clouds, 0).len()), (2, 2));

    let message = "not authorized to perform: sagemaker:InvokeEndpoint".to_owned();
    let effect = Effect::Reject { status: 403, code: "AccessDeniedException".to_owned(), message };
    let operation = "CallWithBearerToken".to_owned();
    clouds.add_fault(ScriptedFault { service: ServiceName::SageMaker, operation, skip: 0, times: None, effect });
    for _ in 0..50 {
        assert_eq!(ask(&caller).await.status, StatusCode::FORBIDDEN);
    }
    rig.until("the log of these requests is read", async |rig| {
        rig.log("process.log").matches("\"status\":403").count() > 50
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(sessions(&clouds), 2, "the token is not what is missing");
}

#[tokio::test]
async fn an_endpoint_is_left_out_while_the_pod_has_no_identity_and_others_serve() {
    let clouds = service().await;
    let rig = Rig::start_as(&[], |_| strangers()).await;
    let (_engine, address) = Engine::start().await;
    let both = vec![at(&clouds, State::Active), endpoint("llama-a", address)];
    let caller = serves(&rig, &route("llama", both)).await;
    for _ in 0..20 {
        assert_eq!(ask(&caller).await.json()["path"], "/v1/chat/completions", "the other endpoint answers");
    }
    assert!(tokens_after(&clouds, 0).is_empty());
    let told = rig.log("process.log");
    assert!(told.contains("the endpoint takes no request: it lacks its token"), "{told}");
    assert!(told.contains("the pod has no usable AWS identity"), "{told}");
    let metrics = Caller::new(rig.desk, None).get("/metrics").await.body;
    let missing = format!("token_missing{{namespace=\"team-a\",deployment=\"llama\",endpoint=\"{NAME}\"}} 1");
    assert!(metrics.contains(&missing), "{metrics}");
    rig.until("the report says that the token is missing", async |rig| {
        let sees = rig.acks().await.unwrap_or_default().sees;
        sees.get("uid-llama").and_then(|of| of.get(NAME)).is_some_and(|sight| sight.lacks_token && !sight.answers)
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_lists_no_models_is_verified_by_a_chat() {
    let clouds = service().await;
    let rig = gateway(&clouds, 3600).await;
    let (_engine, address) = Engine::start().await;
    let mut route = route("llama", vec![endpoint("llama-a", address), at(&clouds, State::Verifying)]);
    let caller = serves(&rig, &route).await;
    rig.until("the endpoint is verified", async |rig| {
        let acks = rig.acks().await;
        acks.is_some_and(|acks| acks.routes.values().any(|ack| ack.verified.contains(NAME)))
    })
    .await;
    let chats = tokens_after(&clouds, 0).len();
    assert_eq!(chats, 1, "with the token that callers' requests will have");

    assert!(clouds.sagemaker.take_away(REGION, NAME));
    route.endpoints.remove(1);
    route.revision += 1;
    rig.write(&route).await;
    rig.until("it is verified no more", async |rig| rig.acks().await.is_some_and(|acks| acks.routes.is_empty())).await;
    route.endpoints.push(at(&clouds, State::Verifying));
    route.revision += 1;
    rig.write(&route).await;
    rig.until("the log says why it is not verified", async |rig| {
        rig.log("process.log").contains("/v1/chat/completions answered 503")
    })
    .await;
    assert_eq!(ask(&caller).await.json()["path"], "/v1/chat/completions", "callers do not reach it");
}

#[tokio::test]
async fn the_role_of_a_target_is_assumed_with_its_external_id() {
    let trusted = |account: &str, name: &str, external_id: Option<&str>| TrustedRole {
        arn: format!("arn:aws:iam::{account}:role/{name}"),
        external_id: external_id.map(ToOwned::to_owned),
    };
    let roles = vec![trusted("210987654321", "pods", None), trusted(ACCOUNT, "callers", Some("tenant-7"))];
    let clouds = service_with(SageMakerSettings { roles, ..SageMakerSettings::default() }).await;
    let rig = Rig::start_as(&[], |folder| identity(&clouds, folder, "arn:aws:iam::210987654321:role/pods")).await;
    let (_engine, address) = Engine::start().await;
    let source = |external_id: Option<&str>| {
        let role = TokenRole {
            arn: format!("arn:aws:iam::{ACCOUNT}:role/callers"),
            external_id: external_id.map(ToOwned::to_owned),
        };
        Some(TokenSource::SageMaker { region: REGION.to_owned(), role: Some(role) })
    };
    let with = |token| vec![Endpoint { token, ..at(&clouds, State::Active) }];
    let mut route = route("llama", with(source(None)));
    route.endpoints.push(endpoint("llama-a", address));
    let caller = serves(&rig, &route).await;
    rig.until("the log names the refusal", async |rig| {
        let told = rig.log("process.log");
        told.contains("role/callers cannot be assumed") && told.contains("not authorized to perform: sts:AssumeRole")
    })
    .await;
    assert_eq!(ask(&caller).await.json()["path"], "/v1/chat/completions", "the other endpoint answers");
    route.endpoints = with(source(Some("tenant-7")));
    route.revision += 1;
    rig.write(&route).await;
    rig.until("the endpoint answers with a token of its role", async |_| {
        ask(&caller).await.status == StatusCode::OK && !tokens_after(&clouds, 0).is_empty()
    })
    .await;
}

/// Actions that the policy for gateways grants at a provider.
pub fn granted(provider: &str) -> BTreeSet<String> {
    let path = format!("deploy/providers/{provider}/gateway-policy.json");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let policy: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let statements = policy["Statement"].as_array().unwrap().iter();
    let actions = statements.flat_map(|statement| statement["Action"].as_array().unwrap().clone());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_policy_of_gateways_grants_what_they_call_and_nothing_else() {
    let clouds = service().await;
    let rig = gateway(&clouds, 10).await;
    let caller = serves(&rig, &route("llama", vec![at(&clouds, State::Active)])).await;
    ask_until("a renewal", &caller, || tokens_after(&clouds, 0).len() == 2).await;
    let operations: BTreeSet<String> =
        clouds.requests_after(0).into_iter().map(|exchange| exchange.operation).collect();
    let expected = ["AssumeRoleWithWebIdentity", "CallWithBearerToken"].map(ToOwned::to_owned);
    assert_eq!(operations, expected.into(), "the first needs no right: the role trusts the pod");
    // A request with a token needs both (AWS guide: Invoke endpoints with OpenAI-compatible APIs).
    let needed = ["sagemaker:CallWithBearerToken", "sagemaker:InvokeEndpoint"].map(ToOwned::to_owned);
    assert_eq!(granted("sagemaker"), needed.into());
}

/// Calls of the endpoint are refused so from now on.
fn refuse(clouds: &Clouds, message: &str) {
    let (code, message) = ("ValidationError".to_owned(), message.to_owned());
    let effect = Effect::Reject { status: 400, code, message };
    let operation = "CallWithBearerToken".to_owned();
    clouds.set_faults(vec![ScriptedFault { service: ServiceName::SageMaker, operation, skip: 0, times: None, effect }]);
}

#[tokio::test]
async fn another_endpoint_takes_what_the_service_refuses_and_only_an_absent_one_has_failed() {
    let clouds = service().await;
    let rig = gateway(&clouds, 3600).await;
    let (engine, address) = Engine::start().await;
    let mut route = route("llama", vec![at(&clouds, State::Active), endpoint("llama-a", address)]);
    let caller = serves(&rig, &route).await;
    let ejected = async || {
        let metrics = Caller::new(rig.desk, None).get("/metrics").await.body;
        metrics.contains(&format!("_ejected{{namespace=\"team-a\",deployment=\"llama\",endpoint=\"{NAME}\"}} 1"))
    };
    refuse(&clouds, "The inference component has no capacity to process this request.");
    let before = (engine.count(), clouds.requests_after(0).len());
    for _ in 0..60 {
        assert_eq!(ask(&caller).await.status, StatusCode::OK);
    }
    assert!(engine.count() >= before.0 + 60 && clouds.requests_after(0).len() > before.1 + 10, "both were asked");
    assert!(!ejected().await, "an endpoint that wakes up has not failed");

    clouds.set_faults(Vec::new());
    assert!(clouds.sagemaker.take_away(REGION, NAME));
    for _ in 0..60 {
        assert_eq!(ask(&caller).await.status, StatusCode::OK);
    }
    rig.until("it is left out for a while", async |_| {
        ask(&caller).await;
        ejected().await
    })
    .await;

    route.endpoints.pop();
    route.revision += 1;
    rig.write(&route).await;
    rig.until("callers are told to come again", async |_| {
        let answer = ask(&caller).await;
        answer.status == StatusCode::SERVICE_UNAVAILABLE && answer.headers["retry-after"] == "2"
    })
    .await;
    refuse(&clouds, "max_tokens must be at least 1");
    let bad = ask(&caller).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST, "a caller's own mistake stays one: {}", bad.body);
}

#[tokio::test]
async fn no_token_is_told_or_saved() {
    let clouds = service().await;
    let rig = gateway(&clouds, 24).await;
    let caller = serves(&rig, &route("llama", vec![at(&clouds, State::Active)])).await;
    ask_until("a renewal", &caller, || tokens_after(&clouds, 0).len() == 2).await;
    let tokens = tokens_after(&clouds, 0);
    let mut texts = vec![rig.log("process.log"), rig.log("envoy.log"), rig.log("run/access.log")];
    texts.push(Caller::new(rig.desk, None).get("/metrics").await.body);
    texts.push(serde_json::to_string(&rig.acks().await).unwrap());
    let saved = std::fs::read_dir(rig.folder.path().join("state")).unwrap();
    let saved: Vec<String> = saved.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    assert!(saved.iter().any(|text| text.contains("SageMaker")), "the source is saved: {saved:?}");
    texts.extend(saved);
    for file in ["lds.json", "cds.json", "rds.json", "bootstrap.json", "verification.json"] {
        texts.push(rig.log(&format!("run/{file}")));
    }
    for token in &tokens {
        let bare = token.strip_prefix("Bearer ").unwrap();
        assert!(bare.len() > 200, "{bare}");
        assert!(texts.iter().all(|text| !text.contains(bare)), "a token is told");
    }
    assert!(texts.iter().all(|text| !text.contains("secret-of-session") && !text.contains("token-of-session")));
    let eds = rig.log("run/eds/uid-llama.json");
    assert!(tokens.iter().any(|token| eds.contains(token)), "Envoy has it");
}
