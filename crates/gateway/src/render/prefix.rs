//! The path below which an endpoint serves.

use serde_json::{Value, json};

use super::extension;

/// Header by which the filter learns the prefix of the endpoint, and its name in the endpoint's metadata.
pub(super) const HEADER: &str = "x-roadstead-prefix";
/// Header that keeps the path without a prefix: a retry finds the headers as the attempt before has left them.
pub(super) const PATH: &str = "x-roadstead-path";
/// Puts the prefix before the path. The filter of headers refuses to change a path.
const SCRIPT: &str = "function envoy_on_request(handle)
  local headers = handle:headers()
  local path = headers:get(\"x-roadstead-path\") or headers:get(\":path\")
  headers:replace(\"x-roadstead-path\", path)
  headers:replace(\":path\", (headers:get(\"x-roadstead-prefix\") or \"\") .. path)
  headers:remove(\"x-roadstead-prefix\")
end";

/// The filter of each attempt that puts the prefix before the path.
pub(super) fn filter() -> Value {
    extension(
        "prefix",
        "envoy.extensions.filters.http.lua.v3.Lua",
        json!({"default_source_code": {"inline_string": SCRIPT}}),
    )
}
