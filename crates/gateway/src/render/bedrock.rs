//! Requests to models of Amazon Bedrock, and their answers.

use serde_json::{Value, json};

use super::extension;

/// Header by which the filter learns that the endpoint is such a model, and its name in the endpoint's metadata.
pub(super) const HEADER: &str = "x-roadstead-bedrock";
/// Translates requests to such endpoints and their answers.
const SCRIPT: &str = include_str!("bedrock.lua");

/// The filter of each attempt that translates. In answers it comes before the one that renames the model, which reads text.
pub(super) fn filter() -> Value {
    extension(
        "bedrock",
        "envoy.extensions.filters.http.lua.v3.Lua",
        json!({"default_source_code": {"inline_string": SCRIPT}}),
    )
}
