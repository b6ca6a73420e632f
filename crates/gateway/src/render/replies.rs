//! Answers of the gateway itself, in the form of OpenAI's errors.

use serde_json::{Value, json};

use super::{NAMESPACE, bedrock, limits};

/// An error body.
pub(super) fn error(message: &str, kind: &str, code: &str) -> Value {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

/// Rules that turn the answers of the listener of hosted models into these errors.
pub(super) fn hosted_replies() -> Value {
    let full = "the hosted model of the deployment has reached its limit of requests per minute: try again after the time in \
                Retry-After";
    let absent = "no endpoint of the deployment serves at present, and its hosted model answers POST requests to \
                  chat/completions, completions, embeddings and responses alone";
    let on = |status: u16, body: Value| {
        let value = json!({"default_value": status, "runtime_key": format!("replies.hosted.{status}")});
        json!({
            "filter": {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}},
            "status_code": status,
            "body_format_override": {"json_format": body},
        })
    };
    json!({
        "mappers": [
            on(429, error(full, "rate_limit_error", "hosted_ceiling")),
            on(404, error(absent, "invalid_request_error", "hosted_path")),
        ],
        "body_format": {"json_format": error("%LOCAL_REPLY_BODY%", "server_error", "%RESPONSE_CODE_DETAILS%")},
    })
}

/// Rules that turn Envoy's own answers into these errors.
pub(super) fn local_replies() -> Value {
    let on_status = |status: u16| {
        json!({"status_code_filter": {"comparison": {
            "op": "EQ", "value": {"default_value": status, "runtime_key": format!("replies.{status}")},
        }}})
    };
    let on_flag = |flag: &str| json!({"response_flag_filter": {"flags": [flag]}});
    let mapper = |filter: Value, status: u16, retry_after: Option<&str>, body: Value| {
        let mut mapper =
            json!({"filter": filter, "status_code": status, "body_format_override": {"json_format": body}});
        if let Some(after) = retry_after {
            mapper["headers_to_add"] = json!([{
                "header": {"key": "retry-after", "value": after}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }]);
        }
        mapper
    };
    let as_it_is = |filter: Value| {
        let format = json!({
            "text_format_source": {"inline_string": "%LOCAL_REPLY_BODY%"}, "content_type": "application/json",
        });
        json!({"filter": filter, "body_format_override": format})
    };
    let unauthorized = "the key is missing or unknown, or there is no deployment at this address: send the header \
                        Authorization with Bearer and a key of the deployment";
    let full = "all endpoints of the deployment are full: try again after the time in Retry-After";
    let nowhere = "no endpoint of the deployment serves at present: try again after the time in Retry-After";
    let limit = |key: &str| format!("%METADATA(ROUTE:{NAMESPACE}:{key})%");
    let slow = format!("the endpoint sent no byte within the {}", limit(limits::TIME));
    let large = format!("the body of the request is larger than the {}", limit(limits::BODY));
    json!({
        "mappers": [
            mapper(on_status(401), 401, None, error(unauthorized, "invalid_request_error", "invalid_api_key")),
            mapper(on_status(413), 413, None, error(&large, "invalid_request_error", "request_too_large")),
            mapper(on_flag("UO"), 429, Some("1"), error(full, "rate_limit_error", "deployment_full")),
            mapper(on_status(503), 503, Some("2"), error(nowhere, "server_error", "no_endpoint")),
            // Refusals of what has no translation and the routes' own answers are whole already.
            as_it_is(bedrock::refusals()),
            as_it_is(on_status(200)),
            as_it_is(on_status(404)),
            mapper(on_status(504), 504, None, error(&slow, "server_error", "timeout")),
        ],
        "body_format": {"json_format": error("%LOCAL_REPLY_BODY%", "server_error", "%RESPONSE_CODE_DETAILS%")},
    })
}
