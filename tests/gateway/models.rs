//! Endpoints that know the model by another name than callers do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use futures::StreamExt;
use http::{HeaderMap, Method, StatusCode};
use roadstead_gateway::Endpoint;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::engine::{Conduct, Engine};
use crate::rig::{Rig, endpoint, route};

const PATH: &str = "/team-a/llama/v1/chat/completions";
/// Name of the model at the vendor.
const THERE: &str = "vendor/large-\"1\"";
/// Longer than what Envoy keeps of a request by default.
const LARGE: usize = 2 << 20;

/// Starts a vendor that serves one model, by its own name, and tells what it was sent.
async fn vendor() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(answer).layer(DefaultBodyLimit::disable());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

async fn answer(method: Method, headers: HeaderMap, body: Bytes) -> Response {
    if method == Method::GET {
        return StatusCode::OK.into_response();
    }
    let asked: Value = serde_json::from_slice(&body).unwrap();
    if asked["model"] != THERE {
        return (StatusCode::NOT_FOUND, format!("no model {}", asked["model"])).into_response();
    }
    assert!(!headers.contains_key("accept-encoding") && !headers.contains_key("x-roadstead-model"), "{headers:?}");
    let told = json!({
        "id": "a\\", "model": format!("{THERE}-2026"), "asked": asked, "list": [{"model": THERE}, "model"],
        "response": {"model": THERE, "metadata": {"model": THERE}}, "more": {"model": THERE},
    });
    if asked["stream"] != true {
        return Json(told).into_response();
    }
    let text = format!("event: response.created\ndata: {told}\n\ndata: {told}\n\ndata: [DONE]\n\n");
    let pieces: Vec<Bytes> = text.into_bytes().chunks(5).map(Bytes::copy_from_slice).collect();
    let pieces = futures::stream::iter(pieces).then(|piece| async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok::<_, Infallible>(piece)
    });
    ([("content-type", "text/event-stream")], Body::from_stream(pieces)).into_response()
}

fn by_its_own_name(address: SocketAddr) -> Endpoint {
    Endpoint { model: Some(THERE.to_owned()), ..endpoint("llama-vendor", address) }
}

/// Holds that an answer names the deployment's model where it names one, and is the vendor's otherwise.
fn is_renamed(told: &Value, asked: &Value) {
    assert_eq!((&told["model"], &told["response"]["model"]), (&json!("llama-model"), &json!("llama-model")), "{told}");
    let rest = [&told["list"][0]["model"], &told["response"]["metadata"]["model"], &told["more"]["model"]];
    assert_eq!(rest, [THERE; 3], "{told}");
    let mut expected = asked.clone();
    expected["model"] = json!(THERE);
    assert_eq!((&told["asked"], &told["id"]), (&expected, &json!("a\\")));
}

#[tokio::test]
async fn the_list_of_models_has_the_name_that_callers_know() {
    let rig = Rig::start(&["--domain=models.example.com"]).await;
    let renamed = Endpoint { model: Some(THERE.to_owned()), ..endpoint("llama-a", vendor().await) };
    rig.apply(&route("llama", vec![renamed])).await;
    let by_path = rig.caller("key-of-alice");
    let by_host = rig.caller("key-of-alice").with("host", "llama.team-a.models.example.com");
    for (caller, path) in [(by_path, "/team-a/llama/v1/models?a=b"), (by_host, "/v1/models")] {
        let answer = caller.get(path).await;
        assert_eq!(
            (answer.status, &answer.headers["content-type"]),
            (StatusCode::OK, &"application/json".parse().unwrap())
        );
        let models = json!([{"id": "llama-model", "object": "model", "created": 0, "owned_by": "team-a"}]);
        assert_eq!(answer.json(), json!({"object": "list", "data": models}));
    }
    assert_eq!(rig.caller("another").get("/team-a/llama/v1/models").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_model_has_the_name_of_its_endpoint_in_requests_and_that_of_the_deployment_in_answers() {
    let rig = Rig::start(&[]).await;
    let mut route = route("llama", vec![by_its_own_name(vendor().await)]);
    route.limits.max_request_bytes = 8 << 20;
    rig.apply(&route).await;
    let caller = rig.caller("key-of-alice");
    let message = json!([{"role": "user", "content": "the \"model\": \"x\" \\ is, {model}"}]);
    let asked = json!({"metadata": {"model": "y"}, "messages": message, "model": "llama-model", "seed": 7});
    let told = caller.post(PATH, &asked).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    is_renamed(&told.json(), &asked);

    let asked = json!({"messages": "x".repeat(LARGE), "model": "llama-model"});
    let told = caller.post(PATH, &asked).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.body);
    is_renamed(&told.json(), &asked);
}

#[tokio::test]
async fn the_model_of_each_event_of_a_stream_is_renamed_though_it_comes_in_pieces() {
    let rig = Rig::start(&[]).await;
    rig.apply(&route("llama", vec![by_its_own_name(vendor().await)])).await;
    let asked = json!({"model": "llama-model", "stream": true});
    let told = rig.caller("key-of-alice").post(PATH, &asked).await;
    let events: Vec<&str> = told.body.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!((events.len(), events[0], events[3]), (4, "event: response.created", "data: [DONE]"), "{}", told.body);
    for event in &events[1..3] {
        is_renamed(&serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap(), &asked);
    }
}

#[tokio::test]
async fn each_attempt_carries_the_name_of_the_endpoint_that_it_goes_to() {
    let rig = Rig::start(&[]).await;
    let (own, address) = Engine::start().await;
    let both = vec![endpoint("llama-a", address), by_its_own_name(vendor().await)];
    rig.apply(&route("llama", both)).await;
    let caller = rig.caller("key-of-alice");
    let asked = json!({"model": "llama-model"});
    own.set(Conduct::Fails);
    for _ in 0..20 {
        let told = caller.post(PATH, &asked).await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.body);
        is_renamed(&told.json(), &asked);
    }
    own.set(Conduct::Serves);
    rig.until("the deployment's own engine answers with its own name", async |_| {
        let told = caller.post(PATH, &asked).await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.body);
        told.json()["path"] == "/v1/chat/completions"
    })
    .await;
}
