//! Refusals of a service in front of an engine, told by their words.

use std::collections::BTreeMap;

use serde_json::Value;

use super::extension;
use super::model::lua_string;
use crate::route::{RefusalMeaning, Route, ServiceRefusal};

/// Header by which the filter learns that the endpoint has such a service, and its name in the endpoint's metadata.
pub(super) const HEADER: &str = "x-roadstead-refusals";
/// Changes the status of such answers.
const SCRIPT: &str = include_str!("refusal.lua");

/// The filter of each attempt that changes the status of such answers; `None` if no endpoint has such a service.
pub(super) fn filter(route: &Route) -> Option<Value> {
    let mut by_status: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for refusal in route.endpoints.iter().flat_map(|endpoint| &endpoint.refusals) {
        let entry = entry(refusal);
        let entries = by_status.entry(refusal.status).or_default();
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    if by_status.is_empty() {
        return None;
    }
    let table: Vec<String> =
        by_status.iter().map(|(status, entries)| format!("[\"{status}\"] = {{ {} }}", entries.join(", "))).collect();
    let script = format!("local REFUSALS = {{ {} }}\n{SCRIPT}", table.join(", "));
    let source = serde_json::json!({"default_source_code": {"inline_string": script}});
    Some(extension("refusal", "envoy.extensions.filters.http.lua.v3.Lua", source))
}

fn entry(refusal: &ServiceRefusal) -> String {
    // Both statuses are retried. Envoy counts 503 as a failure of the endpoint, and 429 not.
    let becomes = match refusal.meaning {
        RefusalMeaning::Cold => 429,
        RefusalMeaning::Absent => 503,
    };
    format!("{{ words = {}, becomes = \"{becomes}\" }}", lua_string(&refusal.words))
}
