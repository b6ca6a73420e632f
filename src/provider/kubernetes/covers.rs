//! Does a live object still say everything that we said? The server adds defaults, others add fields: neither is drift.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

use crate::api::v1alpha1::quantity;

/// Fields whose strings are quantities: the server may write them in another form of the same amount.
const QUANTITY_MAPS: [&str; 2] = ["requests", "limits"];

/// Whether `live` holds all of `wanted`.
///
/// Lists whose elements have names (containers, ports, environment variables, volumes) are compared by name, so that an
/// element which somebody added is no drift; other lists must be equal element by element.
#[must_use]
pub fn covers(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| match live.get(key) {
            Some(live) if QUANTITY_MAPS.contains(&key.as_str()) => same_quantities(live, wanted),
            Some(live) if key == "sizeLimit" => same_quantity(live, wanted),
            // With one label more, a selector finds nothing.
            Some(live) if key == "selector" => live == wanted,
            Some(live) => covers(live, wanted),
            None => is_empty(wanted),
        }),
        (Value::Array(live), Value::Array(wanted)) => covers_list(live, wanted),
        (live, wanted) => live == wanted,
    }
}

fn covers_list(live: &[Value], wanted: &[Value]) -> bool {
    if !wanted.is_empty() && wanted.iter().all(|element| name_of(element).is_some()) {
        return wanted.iter().all(|wanted| {
            live.iter().filter(|live| name_of(live) == name_of(wanted)).any(|live| covers(live, wanted))
        });
    }
    live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| covers(live, wanted))
}

fn name_of(element: &Value) -> Option<&str> {
    element.get("name").and_then(Value::as_str)
}

/// The server drops empty maps and lists.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn same_quantities(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(resource, wanted)| live.get(resource).is_some_and(|live| same_quantity(live, wanted)))
        }
        _ => live == wanted,
    }
}

fn same_quantity(live: &Value, wanted: &Value) -> bool {
    let parsed = |value: &Value| value.as_str().and_then(|text| quantity::millis(&Quantity(text.to_owned())).ok());
    live == wanted || (parsed(live).is_some() && parsed(live) == parsed(wanted))
}

#[cfg(test)]
mod tests {
    use super::covers;
    use serde_json::json;

    #[test]
    fn defaults_and_other_peoples_fields_are_no_drift() {
        let live = json!({
            "replicas": 2, "added": true,
            "containers": [{"name": "sidecar"}, {"name": "engine", "image": "a", "imagePullPolicy": "Always"}],
        });
        assert!(covers(&live, &json!({"replicas": 2, "containers": [{"name": "engine", "image": "a"}]})));
        assert!(covers(&live, &json!({"nodeSelector": {}})));
    }

    #[test]
    fn what_we_said_and_is_otherwise_is_drift() {
        assert!(!covers(&json!({"replicas": 3}), &json!({"replicas": 2})));
        assert!(!covers(&json!({}), &json!({"replicas": 2})));
        assert!(!covers(&json!({"args": ["a", "b"]}), &json!({"args": ["a"]})));
        assert!(!covers(
            &json!({"env": [{"name": "A", "value": "1"}]}),
            &json!({"env": [{"name": "B", "value": "1"}]})
        ));
        assert!(!covers(
            &json!({"env": [{"name": "A", "value": "2"}]}),
            &json!({"env": [{"name": "A", "value": "1"}]})
        ));
    }

    #[test]
    fn a_label_that_somebody_adds_to_a_selector_is_drift() {
        assert!(!covers(&json!({"selector": {"a": "b", "c": "d"}}), &json!({"selector": {"a": "b"}})));
        assert!(covers(&json!({"selector": {"a": "b"}, "added": 1}), &json!({"selector": {"a": "b"}})));
    }

    #[test]
    fn the_same_amount_in_another_form_is_no_drift() {
        let live = json!({"requests": {"cpu": "1", "memory": "1Gi"}});
        assert!(covers(&live, &json!({"requests": {"cpu": "1000m", "memory": "1024Mi"}})));
        assert!(!covers(&live, &json!({"requests": {"cpu": "1001m"}})));
    }
}
