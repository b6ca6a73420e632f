//! Requests to models of Amazon Bedrock, and their answers.

use serde_json::{Value, json};

use super::extension;
use crate::route::EndpointProtocol;

/// Header by which the filter learns the protocol of the endpoint, and its name in the endpoint's metadata.
pub(super) const HEADER: &str = "x-roadstead-bedrock";
/// Translates requests to such endpoints and their answers: each part may use those before it.
const SCRIPT: &str = concat!(
    include_str!("bedrock/json.lua"),
    include_str!("bedrock/events.lua"),
    include_str!("bedrock/invoke.lua"),
    include_str!("bedrock/converse.lua"),
    include_str!("bedrock/filter.lua"),
);

/// The filter of each attempt that translates. In answers it comes before the one that renames the model, which reads text.
pub(super) fn filter() -> Value {
    extension(
        "bedrock",
        "envoy.extensions.filters.http.lua.v3.Lua",
        json!({"default_source_code": {"inline_string": SCRIPT}}),
    )
}

/// Filter of the answers by which the script refuses a request.
pub(super) fn refusals() -> Value {
    json!({"metadata_filter": {
        "matcher": {"filter": "roadstead.bedrock", "path": [{"key": "is_refused"}], "value": {"bool_match": true}},
        "match_if_key_not_found": false,
    }})
}

/// Name of the protocol in the metadata of an endpoint; `None` where it is not one of Bedrock.
pub(super) const fn name(protocol: EndpointProtocol) -> Option<&'static str> {
    match protocol {
        EndpointProtocol::OpenAi => None,
        EndpointProtocol::BedrockInvoke => Some("invoke"),
        EndpointProtocol::BedrockConverse => Some("converse"),
    }
}
