//! One `/v1/` in front of all deployments, routed by the caller's key and the body's `model`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::route::{Caller, Route};

use super::paths::by_path;
use super::replies::error;
use super::serving::{header_input, list, serving};
use super::{NAMESPACE, answers, limits, typed};

/// Key of the metadata that keeps the model of a request between the two matches of its route.
const MODEL: &str = "model";
/// Name of the filter that reads the model.
pub(super) const READER: &str = "envoy.filters.http.json_to_metadata";

/// A tree by the key of the caller; other keys match nothing, and are refused. `kept` are the bytes of a body that is read.
pub(super) fn by_key(routes: &[&Route], kept: u32) -> Value {
    let mut of_key: BTreeMap<&str, (&Caller, BTreeMap<&str, &Route>)> = BTreeMap::new();
    for route in routes {
        for caller in &route.callers {
            let (_, models) = of_key.entry(caller.key.expose()).or_insert_with(|| (caller, BTreeMap::new()));
            // Of several deployments with one model name, the first by namespace and name takes the requests.
            models.entry(&route.model).or_insert(route);
        }
    }
    if of_key.is_empty() {
        return list(&[]);
    }
    let branches: BTreeMap<String, Value> = of_key
        .into_iter()
        .map(|(key, (caller, models))| (format!("Bearer {key}"), list(&of_caller(caller, &models, kept))))
        .collect();
    json!({"matcher": {"matcher_tree": {
        "input": header_input("authorization"), "exact_match_map": {"map": branches},
    }}})
}

/// The routes of one key: by the model once it was read, then the answers that need none.
fn of_caller(caller: &Caller, models: &BTreeMap<&str, &Route>, kept: u32) -> Vec<Value> {
    let callers = std::slice::from_ref(caller);
    let by_model = models.iter().flat_map(|(model, route)| {
        let mut found = serving(route, callers, Some(kept));
        found["match"] = json!({
            "prefix": "/v1/",
            "dynamic_metadata": [{
                "filter": NAMESPACE, "path": [{"key": MODEL}], "value": {"string_match": {"exact": model}},
            }],
        });
        by_path(route, found, "/")
    });
    let listed = answers::models("/v1/models", callers, models.values().copied());
    by_model.chain([listed, unknown(callers, kept)]).collect()
}

/// The route of a request whose model is not known yet: it reads the model, and answers where none has it.
fn unknown(callers: &[Caller], kept: u32) -> Value {
    let body = error(
        "the body names no model that this key may use; GET /v1/models lists those it may",
        "invalid_request_error",
        "model_not_found",
    );
    let mut route = answers::answer("", callers, 404, &body);
    route["match"] = json!({"prefix": "/v1/"});
    route["metadata"] = limits::of_reader(kept);
    route["typed_per_filter_config"][READER] =
        typed("envoy.config.route.v3.FilterConfig", json!({"disabled": false, "config": reader()}));
    route
}

/// The rule that keeps the body's `model`.
pub(super) fn reader() -> Value {
    let rule = json!({
        "selectors": [{"key": MODEL}],
        "on_present": {"metadata_namespace": NAMESPACE, "key": MODEL},
    });
    typed(
        "envoy.extensions.filters.http.json_to_metadata.v3.JsonToMetadata",
        json!({"request_rules": {
            "rules": [rule],
            "allow_content_types_regex": {"google_re2": {}, "regex": "application/json(;.*)?"},
        }}),
    )
}
