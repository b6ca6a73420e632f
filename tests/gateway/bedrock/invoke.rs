//! Imported models: requests are invocations, and a server of the tests cuts streams at any byte.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use http::{HeaderMap, StatusCode, Uri};
use roadstead_clouds::bedrock::{BedrockSettings, chunk, exception};
use roadstead_clouds::{CloudSettings, Clouds};
use roadstead_gateway::{Endpoint, EndpointProtocol, RefusalMeaning};
use serde_json::{Value, json};

use crate::caller::{Answer, Caller};
use crate::engine::Engine;
use crate::rig::{endpoint, route};

use super::{PATH, REGION, arn, asked, assert_granted, assert_not_served, before, data, gateway};

/// Seconds until a copy of a cold model answers.
const WAKING_SECONDS: u32 = 2;

/// Bedrock with one imported model, and no copy of it. Its clock is the machine's, by which gateways sign.
async fn service() -> Clouds {
    service_that_wakes_in(WAKING_SECONDS).await
}

async fn service_that_wakes_in(waking_seconds: u32) -> Clouds {
    let bedrock = BedrockSettings { waking_seconds, ..BedrockSettings::default() };
    let clouds = Clouds::start(CloudSettings { pace: 1, bedrock, ..CloudSettings::default() }).await.unwrap();
    clouds.bedrock.crowd(REGION, 1, |_| ("llama".to_owned(), [].into()));
    clouds
}

/// The imported model.
fn at(clouds: &Clouds) -> Endpoint {
    let refusal = (429, "ModelNotReadyException", RefusalMeaning::Cold);
    Endpoint {
        model: Some(arn("imported-model")),
        paths: ["chat/completions", "completions"].map(ToOwned::to_owned).into(),
        ..super::at(clouds, &arn("imported-model"), EndpointProtocol::BedrockInvoke, refusal)
    }
}

fn chat(stream: bool) -> Value {
    let messages = json!([{"role": "user", "content": "say \"stream\": true, {\\"}]);
    json!({"max_tokens": 4, "messages": messages, "model": "llama-model", "stream": stream})
}

async fn ask(caller: &Caller) -> Answer {
    caller.post(PATH, &chat(false)).await
}

#[tokio::test]
async fn a_cold_model_says_when_to_come_again_and_then_answers_whole_and_in_streams() {
    let clouds = service().await;
    let rig = gateway(&clouds).await;
    rig.write(&route("llama", vec![at(&clouds)])).await;
    let caller = rig.caller("key-of-alice");
    rig.until("it is cold", async |_| {
        let answer = ask(&caller).await;
        let is_cold = answer.status == StatusCode::TOO_MANY_REQUESTS;
        if is_cold {
            let error = &answer.json()["error"];
            assert_eq!(
                (&error["code"], &error["type"]),
                (&json!("ModelNotReadyException"), &json!("rate_limit_error"))
            );
            assert!(error["message"].as_str().unwrap().contains("not ready"), "{error}");
            assert_eq!(answer.headers["retry-after"], "2");
        }
        is_cold
    })
    .await;
    rig.until("a copy answers", async |_| ask(&caller).await.status == StatusCode::OK).await;

    let told = ask(&caller).await.json();
    assert_eq!((&told["object"], &told["model"]), (&json!("chat.completion"), &json!("llama-model")), "{told}");
    let told = caller.post(PATH, &chat(true)).await;
    assert_eq!((told.status, &told.headers["content-type"]), (StatusCode::OK, &"text/event-stream".parse().unwrap()));
    let (last, parts) = data(&told).split_last().map(|(last, parts)| (*last, parts.to_vec())).unwrap();
    assert_eq!(last, "[DONE]", "{}", told.body);
    assert!(parts.len() > 1, "{}", told.body);
    for part in parts {
        let part: Value = serde_json::from_str(part).unwrap();
        let expected = (&json!("chat.completion.chunk"), &json!("llama-model"));
        assert_eq!((&part["object"], &part["model"]), expected, "{part}");
    }
    let completion = json!({"model": "llama-model", "prompt": "hello", "max_tokens": 4});
    let told = caller.post("/team-a/llama/v1/completions?beta=true", &completion).await;
    assert_eq!(told.json()["object"], "text_completion", "{}", told.body);

    for body in [asked(&clouds, "InvokeModel"), asked(&clouds, "InvokeModelWithResponseStream")].concat() {
        assert_eq!((&body["model"], body.get("stream")), (&json!(arn("imported-model")), None), "{body}");
    }
    assert_granted(&clouds, ToOwned::to_owned);
}

#[tokio::test]
async fn other_questions_are_refused_without_asking_the_model() {
    let clouds = service().await;
    let rig = gateway(&clouds).await;
    rig.write(&route("llama", vec![at(&clouds)])).await;
    let caller = rig.caller("key-of-alice");
    rig.until("the endpoint is there", async |_| ask(&caller).await.status == StatusCode::TOO_MANY_REQUESTS).await;
    assert_eq!(caller.get("/team-a/llama/v1/models").await.json()["data"][0]["id"], "llama-model");
    assert_not_served(&[
        caller.get("/team-a/llama/v1/files").await,
        caller.post("/team-a/llama/tokenize", &json!({"prompt": "a"})).await,
        caller.post("/team-a/llama/v1/embeddings", &json!({"model": "llama-model", "input": "a"})).await,
        caller.get(PATH).await,
    ]);
    assert_eq!(asked(&clouds, "unknown").len(), 0);
}

#[tokio::test]
async fn another_endpoint_answers_the_paths_that_the_model_does_not() {
    let clouds = service().await;
    let rig = gateway(&clouds).await;
    let (_engine, address) = Engine::start().await;
    rig.write(&route("llama", vec![at(&clouds), endpoint("llama-a", address)])).await;
    let caller = rig.caller("key-of-alice");
    rig.until("both answer chats", async |_| ask(&caller).await.json()["object"] == "chat.completion").await;
    for path in ["v1/embeddings", "v1/responses?a=b", "tokenize"] {
        for _ in 0..10 {
            let answer = caller.post(&format!("/team-a/llama/{path}"), &json!({})).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
            assert_eq!(answer.json()["path"], format!("/{}", path.split('?').next().unwrap()));
        }
    }
    rig.until("the engine answers chats too", async |_| ask(&caller).await.json()["path"] == "/v1/chat/completions")
        .await;
}

#[tokio::test]
async fn another_endpoint_answers_whole_requests_while_the_model_is_cold() {
    answers_while_the_model_is_cold(|caller| caller).await;
}

#[tokio::test]
async fn another_endpoint_answers_chunked_requests_while_the_model_is_cold() {
    answers_while_the_model_is_cold(|caller| caller.with("transfer-encoding", "chunked")).await;
}

async fn answers_while_the_model_is_cold(sending: fn(Caller) -> Caller) {
    let clouds = service_that_wakes_in(3600).await;
    let rig = gateway(&clouds).await;
    let (_engine, address) = Engine::start().await;
    rig.write(&route("llama", vec![at(&clouds), endpoint("llama-a", address)])).await;
    let caller = sending(rig.caller("key-of-alice"));
    rig.until("both are there", async |_| {
        ask(&caller).await.status == StatusCode::OK && !asked(&clouds, "InvokeModel").is_empty()
    })
    .await;
    // The translation for the attempt at the model leaves no trace at the engine: neither in the body nor in its length.
    for number in 0..20 {
        let answer = ask(&caller).await;
        assert_eq!(answer.status, StatusCode::OK, "{number}: {}", answer.body);
        assert_eq!(answer.json()["bytes"], chat(false).to_string().len(), "{number}");
    }
    assert!(asked(&clouds, "InvokeModel").len() > 1, "no request was sent to the model first");
}

/// The parts of the answers of the server of the tests.
const PARTS: [&str; 3] =
    [r#"{"model":"m","delta":"a\"b"}"#, r#"{"delta":"data: é","n":[1,2]}"#, r#"{"finish_reason":"stop"}"#];

/// A stream of these parts and what comes after them.
fn stream_of(end: &[u8]) -> Vec<u8> {
    let parts: Vec<u8> = PARTS.iter().flat_map(|part| chunk(part.as_bytes())).collect();
    [parts.as_slice(), end].concat()
}

/// Answers as Bedrock does, with its stream in two pieces, cut where the request says, and with the end that it asks for.
async fn answer_in_pieces(uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    assert_eq!(uri.path(), "/model/m/invoke-with-response-stream");
    assert!(!headers.contains_key("accept"), "{headers:?}");
    let asked: Value = serde_json::from_slice(&body).unwrap();
    assert!(asked.get("stream").is_none(), "{asked}");
    let bytes = stream_of(&match asked["end"].as_str() {
        Some("exception") => exception("modelStreamErrorException", "the model ended").to_vec(),
        Some("cut off") => chunk(b"{}")[..40].to_vec(),
        Some("nonsense") => b"<html>no message of a stream</html>".to_vec(),
        _ => Vec::new(),
    });
    let cut = usize::try_from(asked["cut"].as_u64().unwrap()).unwrap().min(bytes.len());
    let pieces = [Bytes::copy_from_slice(&bytes[..cut]), Bytes::copy_from_slice(&bytes[cut..])];
    let pieces = futures::stream::iter(pieces).then(|piece| async move {
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok::<_, Infallible>(piece)
    });
    ([("content-type", "application/vnd.amazon.eventstream")], Body::from_stream(pieces)).into_response()
}

/// A request for a stream; the member that asks for it is first, in the middle, or last.
fn request(cut: usize, end: &str) -> String {
    let (stream, rest) = (r#""stream" : true"#, format!(r#""cut":{cut},"end":"{end}""#));
    match cut % 3 {
        0 => format!("{{{stream},{rest}}}"),
        1 => format!(r#"{{"user":"stream", {stream} ,{rest}}}"#),
        _ => format!("{{{rest} , {stream}}}"),
    }
}

#[tokio::test]
async fn a_stream_is_read_at_whatever_byte_it_is_cut() {
    let rig = before(Router::new().fallback(answer_in_pieces), EndpointProtocol::BedrockInvoke).await;
    let [first, second, third] = PARTS;
    let expected = format!("data: {first}\n\ndata: {second}\n\ndata: {third}\n\ndata: [DONE]\n\n");
    let caller = rig.caller("key-of-alice");
    let answers = futures::stream::iter(0..=stream_of(b"").len()).map(|cut| {
        let caller = caller.clone();
        async move { (cut, caller.send(http::Method::POST, PATH, request(cut, "")).await.unwrap()) }
    });
    let answers: Vec<(usize, Answer)> = answers.buffered(4).collect().await;
    assert!(answers.len() > 300);
    for (cut, answer) in answers {
        assert_eq!(answer.body, expected, "cut at {cut}");
    }
}

#[tokio::test]
async fn a_stream_that_fails_ends_with_an_error_and_not_as_if_it_were_whole() {
    let rig = before(Router::new().fallback(answer_in_pieces), EndpointProtocol::BedrockInvoke).await;
    let caller = rig.caller("key-of-alice");
    for (end, code) in [("exception", "modelStreamErrorException"), ("cut off", "stream"), ("nonsense", "stream")] {
        let answer = caller.send(http::Method::POST, PATH, request(0, end)).await.unwrap();
        let events = data(&answer);
        assert_eq!((events.len(), &events[..3]), (4, &PARTS[..]), "{end}: {}", answer.body);
        let error: Value = serde_json::from_str(events[3]).unwrap();
        assert_eq!(error["error"]["code"], code, "{end}");
        assert!(error["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{end}: {error}");
    }
}
