//! Tokens of an answer, as its usage states them, for the access log.

use serde_json::{Map, Value, json};

use super::{extension, typed};

/// Namespace of the tokens in a request's metadata.
const NAMESPACE: &str = "roadstead.tokens";
/// Fields of the log, and the names under which engines state them: in chat completions and in responses.
const FIELDS: [(&str, [&str; 2]); 2] =
    [("promptTokens", ["prompt_tokens", "input_tokens"]), ("completionTokens", ["completion_tokens", "output_tokens"])];

/// The filters that read usage: of whole answers, which Envoy keeps until they are complete, and of streams event by event.
pub(super) fn filters() -> [Value; 2] {
    let whole = extension(
        "tokens",
        "envoy.extensions.filters.http.json_to_metadata.v3.JsonToMetadata",
        json!({"response_rules": {"rules": rules()}}),
    );
    let parser = typed(
        "envoy.extensions.content_parsers.json.v3.JsonContentParser",
        json!({"rules": rules().into_iter().map(|rule| json!({"rule": rule})).collect::<Vec<_>>()}),
    );
    let events = extension(
        "tokens of events",
        "envoy.extensions.filters.http.sse_to_metadata.v3.SseToMetadata",
        json!({"response_rules": {"content_parser": {"name": "json", "typed_config": parser}}}),
    );
    [whole, events]
}

fn rules() -> Vec<Value> {
    FIELDS
        .into_iter()
        .flat_map(|(field, names)| names.map(|name| (field, name)))
        .map(|(field, name)| {
            json!({
                "selectors": [{"key": "usage"}, {"key": name}],
                "on_present": {"metadata_namespace": NAMESPACE, "key": field},
            })
        })
        .collect()
}

/// The fields of the access log.
pub(super) fn fields() -> Map<String, Value> {
    FIELDS
        .into_iter()
        .map(|(field, _)| (field.to_owned(), json!(format!("%DYNAMIC_METADATA({NAMESPACE}:{field})%"))))
        .collect()
}
