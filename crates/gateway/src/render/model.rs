//! The name of the model, where an endpoint knows it by another one than callers do.

use serde_json::{Value, json};

use super::extension;
use crate::route::Route;

/// Header by which the filter learns the endpoint's name of the model, a JSON string, and its name in the endpoint's metadata.
pub(super) const HEADER: &str = "x-roadstead-model";
/// Renames the model in requests to such endpoints and in their answers.
const SCRIPT: &str = include_str!("model.lua");

/// The filter of each attempt that renames the model; the one in answers is the deployment's own.
pub(super) fn filter(route: &Route) -> Value {
    let script = format!("local OWN_NAME = {}\n{SCRIPT}", lua_string(&json_string(&route.model)));
    extension(
        "model",
        "envoy.extensions.filters.http.lua.v3.Lua",
        json!({"default_source_code": {"inline_string": script}}),
    )
}

/// The name as JSON has it.
pub(super) fn json_string(name: &str) -> String {
    Value::from(name).to_string()
}

/// A string of Lua with these bytes: every one of them as a number, so that none ends the string.
pub(super) fn lua_string(text: &str) -> String {
    let bytes: Vec<String> = text.bytes().map(|byte| format!("\\{byte:03}")).collect();
    format!("\"{}\"", bytes.concat())
}
