//! Conversations with a model that has provisioned throughput: from Converse to the engine's chats, and back ([`super::rules::CONVERSE`]).

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::events;

/// Bytes of an answer at most.
const LONGEST: usize = 8 * 1024 * 1024;

/// The chat for the engine.
pub fn chat(asked: &Value, model: &str, streams: bool) -> Bytes {
    let system = text(&asked["system"]);
    let mut messages: Vec<Value> = system.iter().map(|system| json!({"role": "system", "content": system})).collect();
    for message in asked["messages"].as_array().into_iter().flatten() {
        messages.push(json!({"role": message["role"], "content": text(&message["content"]).unwrap_or_default()}));
    }
    let mut chat = Map::from_iter([
        ("model".to_owned(), json!(model)),
        ("messages".to_owned(), json!(messages)),
        ("stream".to_owned(), json!(streams)),
    ]);
    if streams {
        chat.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    let config = &asked["inferenceConfig"];
    for (name, key) in
        [("maxTokens", "max_tokens"), ("temperature", "temperature"), ("topP", "top_p"), ("stopSequences", "stop")]
    {
        if !config[name].is_null() {
            chat.insert(key.to_owned(), config[name].clone());
        }
    }
    Value::Object(chat).to_string().into()
}

/// The text of a list of blocks; `None` if there is no list.
fn text(blocks: &Value) -> Option<String> {
    Some(blocks.as_array()?.iter().filter_map(|block| block["text"].as_str()).collect())
}

/// The answer of Converse for one of the engine.
pub async fn answer(body: Body) -> Value {
    let told: Value = match to_bytes(body, LONGEST).await {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => Value::Null,
    };
    let choice = &told["choices"][0];
    json!({
        "output": {"message": {"role": "assistant", "content": [{"text": choice["message"]["content"]}]}},
        "stopReason": reason(&choice["finish_reason"]), "usage": usage(&told["usage"]), "metrics": {"latencyMs": 1},
    })
}

fn usage(usage: &Value) -> Value {
    json!({"inputTokens": usage["prompt_tokens"], "outputTokens": usage["completion_tokens"],
           "totalTokens": usage["total_tokens"]})
}

fn reason(reason: &Value) -> &'static str {
    if reason == "length" { "max_tokens" } else { "end_turn" }
}

/// The events of Converse for a part of the engine's stream ([`super::rules::CONVERSE_EVENTS`]), by name and content.
pub fn parts(part: &Value) -> Vec<(&'static str, Value)> {
    let (choice, usage_told) = (&part["choices"][0], &part["usage"]);
    let mut parts = Vec::new();
    if choice["delta"]["role"].is_string() {
        parts.push(("messageStart", json!({"role": "assistant"})));
    }
    if let Some(text) = choice["delta"]["content"].as_str().filter(|text| !text.is_empty()) {
        parts.push(("contentBlockDelta", json!({"contentBlockIndex": 0, "delta": {"text": text}})));
    }
    if choice["finish_reason"].is_string() {
        parts.push(("contentBlockStop", json!({"contentBlockIndex": 0})));
        parts.push(("messageStop", json!({"stopReason": reason(&choice["finish_reason"])})));
    }
    if usage_told.is_object() {
        parts.push(("metadata", json!({"usage": usage(usage_told), "metrics": {"latencyMs": 1}})));
    }
    parts
}

/// The messages for a part of the engine's stream. One that breaks the service's model is an error of the fake, and shows as one.
pub fn messages(part: &[u8]) -> Vec<Bytes> {
    let part: Value = serde_json::from_slice(part).unwrap_or_default();
    let message = |(name, content): (&'static str, Value)| {
        let faults = super::runtime_shapes().faults_of_output("ConverseStream", &json!({"stream": {name: content}}));
        if faults.is_empty() {
            events::event(name, &content)
        } else {
            events::exception("internalServerException", &faults.join("; "))
        }
    };
    parts(&part).into_iter().map(message).collect()
}
