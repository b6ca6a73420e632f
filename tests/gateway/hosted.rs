//! Models of hosted vendors, which take requests while no endpoint serves.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use roadstead_clouds::faults::{Effect, ScriptedFault};
use roadstead_clouds::hosted::{KEY, MODEL, VendorManners, VendorSettings};
use roadstead_clouds::record::Exchange;
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_gateway::{HostedCeiling, HostedModel, HostedUseState, TokenPrice};
use serde_json::{Value, json};

use crate::asking::{Asking, ask, caller};
use crate::engine::{Conduct, Engine};
use crate::hub::Hub;
use crate::operator::{serves_on, target};
use crate::rig::{Rig, endpoint, route};

const PATH: &str = "/team-a/llama/v1/chat/completions";
/// A vendor that does as the fake does: two dollars for a thousand answers at the prices of the tests.
async fn vendor() -> Clouds {
    vendor_with(VendorManners::OpenAi).await
}

/// A vendor with these manners, whose text looks like a statement of tokens.
async fn vendor_with(manners: VendorManners) -> Clouds {
    let text = r#"by the vendor, "usage": {"prompt_tokens": 9"#.to_owned();
    let hosted = VendorSettings { manners, text, ..VendorSettings::default() };
    Clouds::start(CloudSettings { hosted, ..CloudSettings::default() }).await.unwrap()
}

/// Requests that the vendor has answered.
fn count(vendor: &Clouds) -> u64 {
    vendor.state(ServiceName::Hosted)["answered"].as_u64().unwrap()
}

/// The last request for a completion, with its body.
fn last(vendor: &Clouds) -> (Exchange, Value) {
    let asked = vendor.requests_after(0).into_iter().rfind(|asked| asked.operation == "chat").unwrap();
    let body = serde_json::from_str(&asked.body).unwrap();
    (asked, body)
}

/// The vendor's model with a ceiling of requests per minute and of micro-dollars per hour; each answer costs 2,000 of them.
fn model(vendor: &Clouds, requests_per_minute: u32, hourly_micro_dollars: u64) -> HostedModel {
    let address = vendor.urls.hosted.trim_start_matches("http://").parse().unwrap();
    let mut access = endpoint("hosted:vendor", address);
    access.model = Some(MODEL.to_owned());
    access.credential.as_mut().unwrap().key = roadstead_gateway::Key::new(KEY);
    HostedModel {
        access,
        ceiling: HostedCeiling { requests_per_minute, hourly_micro_dollars, gateways: 1 },
        price: TokenPrice { input: 1_000_000, output: 2_000_000 },
        stream_usage: true,
    }
}

fn chat() -> Value {
    json!({"model": "llama-model", "messages": []})
}

#[tokio::test]
async fn a_hosted_model_answers_at_once_where_no_endpoint_does_and_never_beside_one() {
    let rig = Rig::start(&[]).await;
    let (a, a_address) = Engine::start().await;
    let (b, b_address) = Engine::start().await;
    let vendor = vendor().await;
    let mut route = route("llama", vec![endpoint("llama-a", a_address), endpoint("llama-b", b_address)]);
    route.hosted = vec![model(&vendor, 1000, 1_000_000_000)];
    rig.apply(&route).await;
    let caller = rig.caller("key-of-alice");
    let healthy = async |count: u64| {
        rig.until("Envoy's health checks see it", async |rig| {
            let metrics = crate::caller::Caller::new(rig.desk, None).get("/metrics").await.body;
            metrics
                .lines()
                .filter(|line| line.starts_with("roadstead_gateway_unhealthy") && line.ends_with(" 1"))
                .count()
                == usize::try_from(2 - count).unwrap()
        })
        .await;
    };
    a.set(Conduct::Sick);
    healthy(1).await;
    for _ in 0..30 {
        assert_eq!(caller.post(PATH, &chat()).await.status, StatusCode::OK);
    }
    assert_eq!(count(&vendor), 0, "one of two endpoints serves");

    // The other one fails before any health check has seen it.
    b.set(Conduct::Fails);
    let told = caller.post(PATH, &chat()).await;
    assert_eq!((told.status, &told.json()["model"]), (StatusCode::OK, &json!("llama-model")), "{}", told.body);
    assert!(told.body.contains("by the vendor"), "{}", told.body);
    let (seen, _) = last(&vendor);
    let names = seen.headers.iter().map(|(name, _)| name.as_str());
    let private: Vec<&str> = names.filter(|name| name.starts_with("x-") && *name != "x-request-id").collect();
    assert!(private.is_empty(), "the vendor learns nothing of callers: {private:?}");

    b.set(Conduct::Serves);
    a.set(Conduct::Serves);
    healthy(2).await;
    rig.until("the endpoints answer alone again", async |_| {
        let before = count(&vendor);
        for _ in 0..10 {
            assert_eq!(caller.post(PATH, &chat()).await.status, StatusCode::OK);
        }
        count(&vendor) == before
    })
    .await;
}

#[tokio::test]
async fn requests_above_the_ceiling_are_refused_and_the_vendor_sees_none_of_them() {
    let rig = Rig::start(&[]).await;
    let vendor = vendor().await;
    let mut route = route("llama", Vec::new());
    route.hosted = vec![model(&vendor, 3, 1_000_000_000)];
    rig.apply(&route).await;
    let caller = rig.caller("key-of-alice");
    for _ in 0..3 {
        assert_eq!(caller.post(PATH, &chat()).await.status, StatusCode::OK);
    }
    let refused = caller.post(PATH, &chat()).await;
    let code = &refused.json()["error"]["code"];
    assert_eq!((refused.status, code), (StatusCode::TOO_MANY_REQUESTS, &json!("hosted_ceiling")));
    assert_eq!(refused.headers["retry-after"], "60");
    assert_eq!(count(&vendor), 3);
}

#[tokio::test]
async fn callers_reach_inference_by_the_named_model_and_nothing_else_at_a_vendor() {
    let rig = Rig::start(&[]).await;
    let vendor = vendor().await;
    let mut route = route("llama", Vec::new());
    route.hosted = vec![model(&vendor, 1000, 1_000_000_000)];
    rig.apply(&route).await;
    let caller = rig.caller("key-of-alice").with("cookie", "session=1").with("openai-project", "p");
    for (method, path) in [
        (Method::GET, "v1/files"),
        (Method::DELETE, "v1/files/a"),
        (Method::POST, "v1/batches"),
        (Method::POST, "v1/chat/completions/../files"),
        (Method::POST, "tokenize"),
    ] {
        let told = caller.send(method, &format!("/team-a/llama/{path}"), "{}".to_owned()).await.unwrap();
        assert_eq!(
            (told.status, &told.json()["error"]["code"]),
            (StatusCode::NOT_FOUND, &json!("hosted_path")),
            "{path}"
        );
    }
    assert_eq!(caller.get("/team-a/llama/v1/models").await.json()["data"][0]["id"], "llama-model");
    assert_eq!(count(&vendor), 0);

    // A key that is written with an escape is the same key to a vendor.
    let body = r#"{"mod\u0065l": "vendor-dearest", "stream": true, "stream_options": {"include_usage": false}, "messages": []}"#;
    let told = caller.send(Method::POST, PATH, body.to_owned()).await.unwrap();
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    let (seen, asked) = last(&vendor);
    assert_eq!((&asked["model"], &asked["stream_options"]["include_usage"]), (&json!(MODEL), &json!(true)));
    let hidden = ["cookie", "openai-project"];
    assert!(!seen.headers.iter().any(|(name, _)| hidden.contains(&name.as_str())), "{:?}", seen.headers);
}

#[tokio::test]
async fn a_hosted_model_closes_at_its_ceiling_of_cost_also_after_a_restart_and_says_so() {
    let mut rig = Rig::start(&[]).await;
    let vendor = vendor().await;
    let mut route = route("llama", Vec::new());
    // Three answers reach it, one of which is a stream that is asked to state its usage.
    route.hosted = vec![model(&vendor, 1000, 5_000)];
    rig.apply(&route).await;
    let caller = rig.caller("key-of-alice");
    let use_of = async |rig: &Rig| Some(rig.acks().await?.hosted.get("uid-llama")?.get("hosted:vendor")?.state);
    assert_eq!(use_of(&rig).await, None, "it stands by");

    assert_eq!(caller.post(PATH, &chat()).await.status, StatusCode::OK);
    rig.until("the gateway says that it serves", async |rig| use_of(rig).await == Some(HostedUseState::Serving)).await;
    let streamed = caller.post(PATH, &json!({"model": "llama-model", "stream": true, "messages": []})).await;
    assert!(
        streamed.body.contains("include_usage") || streamed.body.contains("\"prompt_tokens\""),
        "{}",
        streamed.body
    );
    let (_, asked) = last(&vendor);
    assert_eq!(asked["stream_options"], json!({"include_usage": true}));
    assert_eq!(caller.post(PATH, &chat()).await.status, StatusCode::OK);
    rig.until("it says that the ceiling is reached", async |rig| {
        use_of(rig).await == Some(HostedUseState::CeilingReached)
    })
    .await;
    let is_closed = async |caller: &crate::caller::Caller| {
        let told = caller.post(PATH, &chat()).await;
        told.status == StatusCode::SERVICE_UNAVAILABLE && told.json()["error"]["code"] == "no_endpoint"
    };
    rig.until("callers are refused", async |_| is_closed(&caller).await).await;
    let metrics = crate::caller::Caller::new(rig.desk, None).get("/metrics").await.body;
    let labels = "{namespace=\"team-a\",deployment=\"llama\",endpoint=\"hosted:vendor\"}";
    assert!(metrics.contains(&format!("roadstead_gateway_hosted_closed{labels} 1")), "{metrics}");
    let spent = count(&vendor);

    rig.kill_process();
    rig.start_process();
    rig.until("the process is there again", async |rig| rig.probe("/readyz").await).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(is_closed(&caller).await, "it is closed for the rest of the hour");
    assert_eq!(count(&vendor), spent);
}

#[tokio::test]
async fn a_vendor_that_refuses_stream_options_is_not_asked_for_them_and_charged_by_what_it_states_unasked() {
    let rig = Rig::start(&[]).await;
    let mistral = vendor_with(VendorManners::Mistral).await;
    let stream = json!({"model": "llama-model", "stream": true, "messages": []});
    let mut route = route("llama", Vec::new());
    // Two answers reach it, if their tokens are read.
    route.hosted = vec![model(&mistral, 1000, 3_000)];
    rig.apply(&route).await;
    let caller = rig.caller("key-of-alice");
    let told = caller.post(PATH, &stream).await;
    assert_eq!(told.status, StatusCode::UNPROCESSABLE_ENTITY, "it is asked for what it refuses: {}", told.body);
    assert!(told.body.contains("extra_forbidden"), "{}", told.body);
    assert_eq!(count(&mistral), 0);

    route.hosted[0].stream_usage = false;
    route.revision += 1;
    rig.apply(&route).await;
    rig.until("the vendor is asked as it wants", async |_| {
        let told = caller.post(PATH, &stream).await;
        told.status == StatusCode::OK && told.body.contains("by the vendor")
    })
    .await;
    assert_eq!(caller.post(PATH, &stream).await.status, StatusCode::OK);
    rig.until("it says that the ceiling is reached", async |rig| {
        let hosted = rig.acks().await.and_then(|acks| Some(acks.hosted.get("uid-llama")?.get("hosted:vendor")?.state));
        hosted == Some(HostedUseState::CeilingReached)
    })
    .await;
}

#[tokio::test]
async fn a_refusal_of_a_vendor_reaches_the_caller_with_its_pause() {
    let rig = Rig::start(&[]).await;
    let vendor = vendor().await;
    let mut route = route("llama", Vec::new());
    route.hosted = vec![model(&vendor, 1000, 1_000_000_000)];
    rig.apply(&route).await;
    let caller = rig.caller("key-of-alice");
    assert_eq!(caller.post(PATH, &chat()).await.status, StatusCode::OK);
    let effect = Effect::Throttle { after_seconds: Some(7) };
    let (service, operation) = (ServiceName::Hosted, "chat".to_owned());
    vendor.set_faults(vec![ScriptedFault { service, operation, skip: 0, times: None, effect }]);
    let told = caller.post(PATH, &chat()).await;
    assert_eq!(
        (told.status, &told.json()["error"]["code"]),
        (StatusCode::TOO_MANY_REQUESTS, &json!("rate_limit_exceeded"))
    );
    assert_eq!(told.headers["retry-after"], "7");
}

#[tokio::test]
async fn a_second_hosted_model_takes_what_the_first_one_refuses() {
    let rig = Rig::start(&[]).await;
    let (first, second) = (vendor().await, vendor().await);
    let mut route = route("llama", Vec::new());
    let mut other = model(&second, 1000, 1_000_000_000);
    other.access.name = "hosted:other".to_owned();
    route.hosted = vec![model(&first, 2, 1_000_000_000), other];
    rig.apply(&route).await;
    let caller = rig.caller("key-of-alice");
    for _ in 0..6 {
        assert_eq!(caller.post(PATH, &chat()).await.status, StatusCode::OK);
    }
    assert_eq!((count(&first), count(&second)), (2, 4));
    route.hosted.remove(0);
    route.revision += 1;
    rig.apply(&route).await;
    assert_eq!(caller.post(PATH, &chat()).await.status, StatusCode::OK);
    assert_eq!((count(&first), count(&second)), (2, 5), "the second one alone is named now");
}

/// The vendor as a target, and the deployment that falls back on it with so many requests per minute.
fn objects(requests_per_minute: usize) -> [Value; 3] {
    let vendor = json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "vendor"},
        "spec": {
            "cloud": "vendor", "region": "global", "location": {"country": "US", "jurisdictions": ["US"]},
            "type": "OpenAICompatible", "allowedNamespaces": {},
            "openAICompatible": {
                "baseURL": "https://api.vendor.example/v1", "keySecretRef": {"name": "vendor", "key": "apiKey"},
                "models": [{"name": MODEL, "inputPrice": "1.00", "outputPrice": "2.00"}],
            },
        },
    });
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "vendor", "namespace": "default"}, "stringData": {"apiKey": KEY}});
    let deployment = json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": "llama", "namespace": "team"},
        "spec": {
            "model": {"source": "hf://example/llama"},
            "serving": {"engine": "vllm", "image": "vllm/vllm-openai:v0.20.0",
                        "shapes": [{"name": "one", "accelerator": {"type": "H100", "count": 1}}]},
            "placement": {"cost": {"maxHourlyCost": "50.00"}},
            "failover": {"tolerationSeconds": 10, "hosted": [{"target": "vendor", "model": MODEL, "requestsPerMinute": requests_per_minute, "maxHourlyCost": "20.00"}]},
        },
    });
    [secret, vendor, deployment]
}

/// True for what a caller gets above the ceiling: the words of the gateway, or of the cloud that has lost its endpoint and was asked again.
fn is_refusal(body: &str) -> bool {
    body.contains("hosted_ceiling") || body == "no endpoint serves here"
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_fails_and_the_named_hosted_model_serves_up_to_its_ceiling_until_a_place_does_again() {
    // The callers reach it within seconds.
    const CEILING: usize = 60;
    let vendor = vendor().await;
    let mut hub =
        Hub::start_as(&[format!("--endpoint-override=OpenAICompatible={}/v1", vendor.urls.hosted)], &[]).await;
    hub.kubectl(&["create", "namespace", "team"]);
    hub.apply(&target("east", "aws", "us-east-1", "40.00"));
    hub.apply(&target("west", "gcp", "europe-west4", "80.00"));
    for object in objects(CEILING) {
        hub.apply(&object);
    }
    let stands_by = |status: &Value| status["hosted"][0]["state"] == "StandsBy";
    let placed = hub
        .until("it serves, and the hosted model stands by", |status| {
            serves_on(status, "east") && status["url"].is_string() && stands_by(status)
        })
        .await;
    assert_eq!(placed["status"]["candidates"].as_array().unwrap().len(), 2, "nothing is placed at a vendor");
    let caller = caller(&hub, &placed).await;
    assert_eq!(count(&vendor), 0);

    let asking = Asking::start_if(&caller, |answer| answer.status == StatusCode::OK || is_refusal(&answer.body));
    let begin = Instant::now();
    hub.kill_cloud();
    let fallback = |status: &Value, reason: &str| {
        let conditions = status["conditions"].as_array().map_or(&[][..], Vec::as_slice);
        conditions.iter().any(|one| one["type"] == "HostedFallback" && one["reason"] == reason)
    };
    hub.until("the deployment says who answers", |status| {
        fallback(status, "HostedServing") && status["hosted"][0]["state"] == "Serving"
    })
    .await;
    let shown = hub.status();
    assert!(shown.contains(MODEL) && shown.contains("vendor"), "{shown}");
    // Another cloud at the same address: what served is lost, and another target can be used.
    hub.start_cloud();
    hub.until("another place serves, and the hosted model stands by", |status| {
        status["readyReplicas"] == 1 && fallback(status, "HostedStandsBy")
    })
    .await;
    let answered = count(&vendor);
    let minutes = begin.elapsed().as_secs().div_ceil(60) + 1;
    let answers = asking.end().await;
    let by_vendor = |answer: &&String| answer.contains("by the vendor");
    assert!(answers.iter().any(|answer| answer.contains("hosted_ceiling")), "the callers reach the ceiling");
    let refused = answers.iter().position(|answer| is_refusal(answer)).unwrap();
    let before = answers[..refused].iter().filter(by_vendor).count();
    assert!(before >= CEILING, "refused after {before} answers");
    let all = answers.iter().filter(by_vendor).count();
    assert_eq!(u64::try_from(all).unwrap(), answered, "the vendor answered what callers got");
    assert!(answered <= minutes * 60, "{answered} requests in {minutes} minutes");
    for _ in 0..20 {
        assert!(ask(&caller).await.unwrap().body.contains("at west"), "a place serves again");
    }
    assert_eq!(count(&vendor), answered, "and the vendor answers no more");
    let events = hub.kubectl(&["get", "events", "-n", "team", "-o", "jsonpath={.items[*].reason}"]);
    assert!(events.contains("HostedServing") && events.contains("HostedStandsBy"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_the_deployment_keeps_its_requests_from_a_vendor() {
    let vendor = vendor().await;
    let hub = Hub::start_as(&[format!("--endpoint-override=OpenAICompatible={}/v1", vendor.urls.hosted)], &[]).await;
    hub.kubectl(&["create", "namespace", "team"]);
    let [secret, target, mut deployment] = objects(6000);
    deployment["spec"]["placement"]["jurisdictions"] = json!(["EU"]);
    for object in [secret, target, deployment] {
        hub.apply(&object);
    }
    let status = hub.until("it says why", |status| status["hosted"][0]["state"] == "Unavailable").await;
    let message = status["status"]["hosted"][0]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("target vendor") && message.contains("EU"), "{message}");
    assert_eq!(count(&vendor), 0);
}
