//! Models with provisioned throughput: chats become conversations, which the fake holds to the service's own model.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri};
use roadstead_clouds::bedrock::{event, exception};
use roadstead_clouds::{CloudSettings, Clouds};
use roadstead_gateway::{Endpoint, EndpointProtocol, RefusalMeaning};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::engine::Engine;
use crate::rig::{Rig, endpoint, route};

use super::{PATH, REGION, arn, asked, assert_granted, assert_not_served, before, data, gateway};

/// A gateway before Bedrock with one throughput in service. The fake's clock is the machine's, by which gateways sign.
async fn before_bedrock() -> (Clouds, Rig) {
    let clouds = Clouds::start(CloudSettings { pace: 1, ..CloudSettings::default() }).await.unwrap();
    clouds.bedrock.crowd_throughputs(REGION, 1, |_| ("llama".to_owned(), [].into()));
    let rig = gateway(&clouds).await;
    (clouds, rig)
}

/// The throughput.
fn at(clouds: &Clouds) -> Endpoint {
    let refusal = (404, "ResourceNotFoundException", RefusalMeaning::Absent);
    super::at(clouds, &arn("provisioned-model"), EndpointProtocol::BedrockConverse, refusal)
}

/// A chat with everything that has a translation.
fn chat(stream: bool) -> Value {
    json!({
        "model": "llama-model", "stream": stream, "stream_options": {"include_usage": true},
        "max_tokens": 4, "temperature": 0.5, "top_p": 0.9, "stop": ["\n\n", "é\u{1}"], "user": "user-7",
        "n": 1, "logprobs": false, "presence_penalty": 0, "tools": [], "seed": null, "response_format": {"type": "text"},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be \"kind\"."}]},
            {"role": "user", "content": "say \"stream\": true, {\\"},
            {"role": "user", "content": [{"type": "text", "text": "twice"}, {"type": "text", "text": " \u{1f600}"}]},
            {"role": "assistant", "content": "what?", "refusal": null, "tool_calls": []},
            {"role": "user", "content": "hello"},
        ],
    })
}

/// That chat as a conversation.
fn conversation() -> Value {
    json!({
        "system": [{"text": "Be brief."}, {"text": "Be \"kind\"."}],
        "messages": [
            {"role": "user", "content": [{"text": "say \"stream\": true, {\\"}, {"text": "twice"}, {"text": " \u{1f600}"}]},
            {"role": "assistant", "content": [{"text": "what?"}]},
            {"role": "user", "content": [{"text": "hello"}]},
        ],
        "inferenceConfig": {"maxTokens": 4, "temperature": 0.5, "topP": 0.9, "stopSequences": ["\n\n", "é\u{1}"]},
        "requestMetadata": {"user": "user-7"},
    })
}

fn parsed(data: &[&str]) -> Vec<Value> {
    data.iter().map(|part| serde_json::from_str(part).unwrap()).collect()
}

#[tokio::test]
async fn chats_are_conversations_whole_and_in_streams() {
    let (clouds, rig) = before_bedrock().await;
    rig.write(&route("llama", vec![at(&clouds)])).await;
    let caller = rig.caller("key-of-alice");
    rig.until("it answers", async |_| caller.post(PATH, &chat(false)).await.status == StatusCode::OK).await;
    let told = caller.post(PATH, &chat(false)).await.json();
    assert_eq!((&told["object"], &told["model"]), (&json!("chat.completion"), &json!("llama-model")), "{told}");
    let choice = &told["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["role"]), (&json!("length"), &json!("assistant")));
    let content = choice["message"]["content"].as_str().unwrap();
    let usage = &told["usage"];
    assert_eq!(usage["completion_tokens"], 4, "{usage}");
    assert!(usage["prompt_tokens"].as_u64().unwrap() + 4 == usage["total_tokens"].as_u64().unwrap(), "{usage}");
    assert!(told["id"].as_str().unwrap().starts_with("chatcmpl-0") && told["created"].is_u64(), "{told}");

    let told = caller.post(PATH, &chat(true)).await;
    assert_eq!((told.status, &told.headers["content-type"]), (StatusCode::OK, &"text/event-stream".parse().unwrap()));
    let data = data(&told);
    let (last, parts) = data.split_last().unwrap();
    assert_eq!(*last, "[DONE]", "{}", told.body);
    let parts = parsed(parts);
    assert!(parts.iter().all(|part| part["object"] == "chat.completion.chunk" && part["model"] == "llama-model"));
    let texts: Vec<&str> = parts.iter().filter_map(|part| part["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(texts.concat(), content);
    assert!(texts.len() > 2, "{texts:?}");
    assert_eq!(parts[0]["choices"][0]["delta"]["role"], "assistant");
    let reasons: Vec<&str> = parts.iter().filter_map(|part| part["choices"][0]["finish_reason"].as_str()).collect();
    assert_eq!(reasons, ["length"]);
    let (usage, choices) = (&parts.last().unwrap()["usage"], &parts.last().unwrap()["choices"]);
    assert_eq!((&usage["completion_tokens"], choices), (&json!(4), &json!([])), "{}", told.body);

    for body in [asked(&clouds, "Converse"), asked(&clouds, "ConverseStream")].concat() {
        assert_eq!(body, conversation());
    }
    // Converse needs the rights of InvokeModel.
    assert_granted(&clouds, |operation| {
        operation.replace("Converse", "InvokeModel").replace("ModelStream", "ModelWithResponseStream")
    });
}

/// The chat with this member in the place of its own.
fn with(member: &str, value: Value) -> Value {
    let mut chat = chat(false);
    chat[member] = value;
    chat
}

#[tokio::test]
async fn what_has_no_translation_is_refused_by_its_name_without_asking_the_model() {
    let (clouds, rig) = before_bedrock().await;
    rig.write(&route("llama", vec![at(&clouds)])).await;
    let caller = rig.caller("key-of-alice");
    rig.until("it answers", async |_| caller.post(PATH, &chat(false)).await.status == StatusCode::OK).await;
    let before = asked(&clouds, "Converse").len();
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    let image =
        json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://example.com/a"}}]);
    let turns = json!([{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]);
    let with_tools = json!([{"role": "assistant", "content": "a", "tool_calls": [{"id": "1"}]}]);
    for (chat, param) in [
        (with("tools", json!([{"type": "function"}])), "tools"),
        (with("n", json!(2)), "n"),
        (with("logprobs", json!(true)), "logprobs"),
        (with("top_k", json!(4)), "top_k"),
        (with("seed", json!(7)), "seed"),
        (with("response_format", json!({"type": "json_object"})), "response_format"),
        (with("max_completion_tokens", json!(5)), "max_completion_tokens"),
        (with("temperature", json!("hot")), "temperature"),
        (with("stream", json!("yes")), "stream"),
        (with("stream_options", json!({"other": true})), "stream_options.other"),
        (with("stop", json!([1])), "stop"),
        (with("stream_options", json!("yes")), "stream_options"),
        (with("user", json!("auth0|5f7c")), "user"),
        (with("user", json!("a".repeat(257))), "user"),
        (with("messages", user(json!(" \n"))), "messages[0].content"),
        (with("messages", user(json!([{"type": "text", "text": ""}]))), "messages[0].content[0].text"),
        (with("messages", json!([])), "messages"),
        (with("messages", user(json!(7))), "messages[0].content"),
        (with("messages", user(image)), "messages[0].content[1].type"),
        (with("messages", turns), "messages[1].role"),
        (with("messages", with_tools), "messages[0].tool_calls"),
        (with("messages", json!([{"role": "tool", "content": "a"}])), "messages[0].role"),
    ] {
        let answer = caller.post(PATH, &chat).await;
        let error = &answer.json()["error"];
        assert_eq!(
            (answer.status, &error["type"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_request_error")),
            "{param}"
        );
        // Two fields contradict each other: either may be named.
        let named = error["param"].as_str().unwrap();
        assert!(named == param || named == "max_tokens" && param == "max_completion_tokens", "{param}: {error}");
        assert!(error["message"].as_str().unwrap().contains("Bedrock"), "{error}");
    }
    let deep = format!("{{\"messages\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    for body in
        [deep.as_str(), "no JSON", "{\"messages\": [", "[]", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]} x"]
    {
        let answer = caller.send(http::Method::POST, PATH, body.to_owned()).await.unwrap();
        assert_eq!(
            (answer.status, &answer.json()["error"]["param"]),
            (StatusCode::BAD_REQUEST, &Value::Null),
            "{body}"
        );
    }
    assert_not_served(&[
        caller.get("/team-a/llama/v1/models").await,
        caller.post("/team-a/llama/v1/completions", &json!({"model": "llama-model", "prompt": "a"})).await,
    ]);
    assert_eq!((asked(&clouds, "Converse").len(), asked(&clouds, "unknown").len()), (before, 0));
}

#[tokio::test]
async fn another_endpoint_answers_unchanged_chats_once_the_throughput_is_gone() {
    let (clouds, rig) = before_bedrock().await;
    let (_engine, address) = Engine::start().await;
    rig.write(&route("llama", vec![at(&clouds), endpoint("llama-a", address)])).await;
    let caller = rig.caller("key-of-alice");
    let chunked = rig.caller("key-of-alice").with("transfer-encoding", "chunked");
    rig.until("both answer", async |_| {
        caller.post(PATH, &chat(false)).await.status == StatusCode::OK && !asked(&clouds, "Converse").is_empty()
    })
    .await;
    assert!(clouds.bedrock.take_away(REGION, "llama"));
    let refused = asked(&clouds, "Converse").len();
    let tries = async |caller: &Caller| {
        let answer = caller.post(PATH, &chat(false)).await;
        // The translation for the attempt before leaves no trace in this one.
        assert_eq!((answer.status, &answer.json()["bytes"]), (StatusCode::OK, &json!(chat(false).to_string().len())));
    };
    rig.until("the other one is asked after it", async |_| {
        tries(&caller).await;
        tries(&chunked).await;
        asked(&clouds, "Converse").len() > refused + 1
    })
    .await;
}

/// Answers as Converse does, as the user's name says.
async fn speak(uri: Uri, body: Bytes) -> Response {
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let wish = asked["requestMetadata"]["user"].as_str().unwrap();
    if uri.path() == "/model/m/converse" {
        let usage = json!({"inputTokens": 3, "outputTokens": 2, "totalTokens": 5});
        let blocks = json!({"thoughts": [{"reasoningContent": {"reasoningText": {"text": "hm\n", "signature": "s"}}}, {"text": "a\"b"}, {"text": "c"}],
                            "tools": [{"toolUse": {"toolUseId": "1", "name": "n", "input": {}}}]});
        let reason = json!({"thoughts": "end_turn", "tools": "tool_use"});
        let told = json!({"output": {"message": {"role": "assistant", "content": blocks[wish]}}, "stopReason": reason[wish],
                          "usage": usage, "metrics": {"latencyMs": 1}});
        let body = if wish == "nonsense" { "<html>".to_owned() } else { told.to_string() };
        return ([("content-type", "application/json")], body).into_response();
    }
    assert_eq!(uri.path(), "/model/m/converse-stream");
    let delta =
        |delta: Value| event("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": delta, "p": "abcd"}));
    let mut parts = vec![
        event("messageStart", &json!({"role": "assistant"})),
        delta(json!({"reasoningContent": {"text": "hm"}})),
        delta(json!({"reasoningContent": {"signature": "s"}})),
        delta(json!({"text": "a\"b\n"})),
    ];
    parts.extend(match wish {
        "whole" => vec![
            event("contentBlockStop", &json!({"contentBlockIndex": 0})),
            event("messageStop", &json!({"stopReason": "content_filtered"})),
            event("metadata", &json!({"usage": {"inputTokens": 3, "outputTokens": 2}, "metrics": {"latencyMs": 1}})),
        ],
        "exception" => vec![exception("modelStreamErrorException", "the model ended")],
        "tool" => vec![event("contentBlockStart", &json!({"start": {"toolUse": {}}, "contentBlockIndex": 1}))],
        // It ends between two messages, and before the model has said that it stopped.
        _ => Vec::new(),
    });
    ([("content-type", "application/vnd.amazon.eventstream")], Body::from(parts.concat())).into_response()
}

fn wish(wish: &str, stream: bool) -> Value {
    let messages = json!([{"role": "user", "content": "a"}]);
    json!({"model": "m", "user": wish, "stream": stream, "stream_options": {"include_usage": true}, "messages": messages})
}

#[tokio::test]
async fn answers_keep_reasoning_and_what_cannot_be_read_is_an_error() {
    let rig = before(Router::new().fallback(speak), EndpointProtocol::BedrockConverse).await;
    let caller = rig.caller("key-of-alice");
    let told = caller.post(PATH, &wish("thoughts", false)).await.json();
    let message = json!({"role": "assistant", "content": "a\"bc", "reasoning_content": "hm\n"});
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": "stop"});
    assert_eq!(told["choices"], json!([choice]));
    assert_eq!(told["usage"], json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}));
    for unreadable in ["tools", "nonsense"] {
        let answer = caller.post(PATH, &wish(unreadable, false)).await;
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (StatusCode::BAD_GATEWAY, &json!("answer")));
    }

    let told = caller.post(PATH, &wish("whole", true)).await;
    let all = data(&told);
    let parts = parsed(&all[..all.len() - 1]);
    let deltas: Vec<&Value> = parts.iter().map(|part| &part["choices"][0]["delta"]).collect();
    let (start, thought, text) =
        (json!({"role": "assistant", "content": ""}), json!({"reasoning_content": "hm"}), json!({"content": "a\"b\n"}));
    assert_eq!(deltas[..4], [&start, &thought, &text, &json!({})], "{}", told.body);
    assert_eq!((&parts[3]["choices"][0]["finish_reason"], all.last()), (&json!("content_filter"), Some(&"[DONE]")));
    // It adds up where the service does not.
    assert_eq!(parts[4]["usage"]["total_tokens"], 5, "{}", told.body);
}

#[tokio::test]
async fn a_stream_that_fails_or_ends_early_does_not_end_as_if_it_were_whole() {
    let rig = before(Router::new().fallback(speak), EndpointProtocol::BedrockConverse).await;
    let caller = rig.caller("key-of-alice");
    for (end, code) in [("exception", "modelStreamErrorException"), ("tool", "stream"), ("early", "stream")] {
        let answer = caller.post(PATH, &wish(end, true)).await;
        let events = data(&answer);
        assert_eq!(events.len(), 4, "{end}: {}", answer.body);
        let error: Value = serde_json::from_str(events[3]).unwrap();
        assert_eq!(error["error"]["code"], code, "{end}");
    }
}
