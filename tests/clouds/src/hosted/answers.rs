//! Answers to requests for completions, whole and as streams. Pure.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::settings::{VendorManners, VendorSettings};
use super::{MEDIA, refused, rules};
use crate::cloud::Reply;

/// Id and time of every answer.
const ID: &str = "chatcmpl-1";
const CREATED: i64 = 1_764_000_000;

/// The answer to a request with this body.
///
/// # Errors
/// The refusal of options that the vendor does not have.
pub fn answer(settings: &VendorSettings, body: &Value) -> Result<Reply, Box<Reply>> {
    if body["stream"] != true {
        return Ok(whole(settings));
    }
    let options = body["stream_options"].is_object();
    match settings.manners {
        VendorManners::Mistral if options => Err(Box::new(extra_forbidden())),
        VendorManners::Cohere if options => {
            let message = "unknown field: parameter 'stream_options' is not a valid field";
            Err(Box::new(refused(StatusCode::UNPROCESSABLE_ENTITY, "", message).by(&rules::COHERE_OPTIONS)))
        }
        VendorManners::OpenAi => Ok(stream_of_openai(settings, body["stream_options"]["include_usage"] == true)),
        VendorManners::Mistral => Ok(stream(&with_last_usage(settings)).by(&rules::MISTRAL_USAGE)),
        VendorManners::Cohere => Ok(stream(&chunks(settings))),
    }
}

/// The dated version of the model ([`rules::SNAPSHOT`]).
fn snapshot(settings: &VendorSettings) -> String {
    format!("{}-2026-08-01", settings.model)
}

/// The tokens of an answer ([`rules::USAGE`]).
fn usage(settings: &VendorSettings) -> Value {
    let [input, output] = settings.tokens;
    json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
}

fn whole(settings: &VendorSettings) -> Reply {
    let message = json!({"role": "assistant", "content": settings.text, "refusal": Value::Null});
    let body = json!({
        "id": ID, "object": "chat.completion", "created": CREATED, "model": snapshot(settings),
        "choices": [{"index": 0, "message": message, "logprobs": Value::Null, "finish_reason": "stop"}],
        "usage": usage(settings),
    });
    Reply::new(StatusCode::OK, MEDIA, body.to_string()).by(&rules::SNAPSHOT).by(&rules::USAGE)
}

/// The chunks of a stream without usage: text, and the end.
fn chunks(settings: &VendorSettings) -> Vec<Value> {
    let chunk = |delta: Value, finish_reason: Value| {
        json!({
            "id": ID, "object": "chat.completion.chunk", "created": CREATED, "model": snapshot(settings),
            "choices": [{"index": 0, "delta": delta, "logprobs": Value::Null, "finish_reason": finish_reason}],
        })
    };
    vec![chunk(json!({"role": "assistant", "content": settings.text}), Value::Null), chunk(json!({}), json!("stop"))]
}

/// A stream, with a last chunk of usage if it is asked for ([`rules::STREAM_USAGE`]).
fn stream_of_openai(settings: &VendorSettings, with_usage: bool) -> Reply {
    let mut chunks = chunks(settings);
    if with_usage {
        for chunk in &mut chunks {
            chunk["usage"] = Value::Null;
        }
        let mut last = chunks[0].clone();
        last["choices"] = json!([]);
        last["usage"] = usage(settings);
        chunks.push(last);
    }
    stream(&chunks).by(&rules::STREAM_USAGE)
}

fn with_last_usage(settings: &VendorSettings) -> Vec<Value> {
    let mut chunks = chunks(settings);
    if let Some(last) = chunks.last_mut() {
        last["usage"] = usage(settings);
    }
    chunks
}

/// The events of a stream ([`rules::STREAM`]).
fn stream(chunks: &[Value]) -> Reply {
    let mut events: Vec<String> = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    events.push("data: [DONE]\n\n".to_owned());
    Reply::new(StatusCode::OK, "text/event-stream", events.concat()).by(&rules::STREAM)
}

/// The refusal of [`rules::MISTRAL_OPTIONS`].
fn extra_forbidden() -> Reply {
    let detail = json!([{"type": "extra_forbidden", "loc": ["body", "stream_options", "include_usage"],
                         "msg": "Extra inputs are not permitted", "input": true}]);
    let body = json!({"object": "error", "message": {"detail": detail}, "type": "invalid_request_error",
                      "param": Value::Null, "code": Value::Null});
    Reply::new(StatusCode::UNPROCESSABLE_ENTITY, MEDIA, body.to_string()).by(&rules::MISTRAL_OPTIONS)
}
