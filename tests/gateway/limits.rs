//! Limits of services in front of engines.

use http::StatusCode;
use roadstead_gateway::{Endpoint, ServiceLimits};
use serde_json::{Value, json};

use crate::engine::{Conduct, Engine, LITTLE};
use crate::rig::{Rig, endpoint, route};

const PATH: &str = "/team-a/llama/v1/chat/completions";

/// An endpoint at a service with limits.
fn limited(address: std::net::SocketAddr) -> Endpoint {
    let limits = ServiceLimits {
        service: "SageMaker".to_owned(),
        max_request_bytes: u64::try_from(LITTLE).ok(),
        answer_seconds: Some(1),
    };
    Endpoint { limits: Some(limits), ..endpoint("llama-a", address) }
}

/// A body that the service does not take.
fn large() -> Value {
    json!({"prompt": "x".repeat(LITTLE)})
}

#[tokio::test]
async fn errors_name_the_limit_and_the_service_whose_limit_it_is() {
    let rig = Rig::start(&[]).await;
    let (engine, address) = Engine::start().await;
    rig.apply(&route("llama", vec![limited(address)])).await;
    let caller = rig.caller("key-of-alice");
    let answer = caller.post(PATH, &large()).await;
    let error = &answer.json()["error"];
    assert_eq!((answer.status, &error["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("request_too_large")));
    let told = "the body of the request is larger than the 4096 bytes that SageMaker accepts";
    assert_eq!((error["message"].as_str(), engine.count()), (Some(told), 0));

    engine.set(Conduct::Hangs);
    let answer = caller.post(PATH, &json!({})).await;
    let error = &answer.json()["error"];
    assert_eq!((answer.status, &error["code"]), (StatusCode::GATEWAY_TIMEOUT, &json!("timeout")));
    assert_eq!(error["message"], "the endpoint sent no byte within the 1 s that SageMaker allows");
}

#[tokio::test]
async fn another_endpoint_takes_a_body_that_is_too_large_for_a_service() {
    let rig = Rig::start(&[]).await;
    let (service, at_service) = Engine::start().await;
    let (other, at_other) = Engine::start().await;
    service.set(Conduct::TakesLittle);
    rig.apply(&route("llama", vec![limited(at_service), endpoint("llama-b", at_other)])).await;
    let caller = rig.caller("key-of-alice");
    for number in 0..20 {
        let answer = caller.post(PATH, &large()).await;
        assert_eq!(answer.status, StatusCode::OK, "{number}: {}", answer.body);
    }
    assert!(service.count() > 0 && other.count() == 20, "{} and {}", service.count(), other.count());
}

#[tokio::test]
async fn a_body_that_no_endpoint_takes_is_refused_for_good() {
    let rig = Rig::start(&[]).await;
    let (service, at_service) = Engine::start().await;
    let (other, at_other) = Engine::start().await;
    service.set(Conduct::TakesLittle);
    other.set(Conduct::TakesLittle);
    rig.apply(&route("llama", vec![limited(at_service), endpoint("llama-b", at_other)])).await;
    let answer = rig.caller("key-of-alice").post(PATH, &large()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answer.body);
}

#[tokio::test]
async fn a_body_that_is_read_for_its_model_has_the_limit_of_the_gateway() {
    let rig = Rig::start(&["--shared", "--buffer-bytes=65536"]).await;
    let (_engine, address) = Engine::start().await;
    rig.apply(&route("llama", vec![endpoint("llama-a", address)])).await;
    let body = json!({"model": "llama", "prompt": "x".repeat(70_000)});
    let answer = rig.caller("key-of-alice").post("/v1/chat/completions", &body).await;
    let told = "the body of the request is larger than the 65536 bytes that the gateway accepts";
    assert_eq!((answer.status, &answer.json()["error"]["message"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!(told)));
}
