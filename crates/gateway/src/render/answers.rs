//! Routes that the gateway answers itself.

use serde_json::{Value, json};

use crate::route::{Caller, Route};

use super::serving::authentication;

/// The list of the models of these routes.
pub(super) fn models<'a>(path: &str, callers: &[Caller], routes: impl Iterator<Item = &'a Route>) -> Value {
    let model =
        |route: &Route| json!({"id": route.model, "object": "model", "created": 0, "owned_by": route.namespace});
    let data: Vec<Value> = routes.map(model).collect();
    answer(path, callers, 200, &json!({"object": "list", "data": data}))
}

/// The same answer to every request for a path.
pub(super) fn answer(path: &str, callers: &[Caller], status: u16, body: &Value) -> Value {
    json!({
        "match": {"path": path},
        "direct_response": {"status": status, "body": {"inline_string": body.to_string()}},
        "typed_per_filter_config": {"envoy.filters.http.api_key_auth": authentication(callers)},
    })
}
