//! Tokens of an answer, as its usage states them, for the access log.

use serde_json::{Map, Value, json};

use super::extension;

/// Namespace of the tokens in a request's metadata.
const NAMESPACE: &str = "roadstead.tokens";
/// Fields of the log, and the names under which engines state them: in chat completions and in responses.
const FIELDS: [(&str, [&str; 2]); 2] =
    [("promptTokens", ["prompt_tokens", "input_tokens"]), ("completionTokens", ["completion_tokens", "output_tokens"])];

/// The filter that reads the usage of answers, which Envoy keeps until they are complete. Streams pass by: the parser of events
/// ends Envoy 1.40 at an event that is JSON and no object (ADR 0058).
pub(super) fn filter() -> Value {
    extension(
        "tokens",
        "envoy.extensions.filters.http.json_to_metadata.v3.JsonToMetadata",
        json!({"response_rules": {"rules": rules()}}),
    )
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
