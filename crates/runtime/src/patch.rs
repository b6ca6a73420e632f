//! Merge patches that carry the version they were computed from.

use serde_json::{Map, Value};

/// The JSON merge patch (RFC 7386) that turns `from` into `to`; `None` if they are equal.
///
/// Lists are replaced whole, and a field that is absent in `to` becomes `null`.
#[must_use]
pub fn merge_patch(from: &Value, to: &Value) -> Option<Value> {
    if from == to {
        return None;
    }
    let (Value::Object(from), Value::Object(to)) = (from, to) else {
        return Some(to.clone());
    };
    let mut patch = Map::new();
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in to {
        let change = from.get(key).map_or_else(|| Some(value.clone()), |old| merge_patch(old, value));
        if let Some(change) = change {
            patch.insert(key.clone(), change);
        }
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::merge_patch;
    use serde_json::json;

    #[test]
    fn equal_values_need_no_patch() {
        assert_eq!(merge_patch(&json!({"a": [1]}), &json!({"a": [1]})), None);
    }

    #[test]
    fn a_removed_field_becomes_null_and_a_list_is_replaced() {
        let from = json!({"keep": 1, "gone": 2, "list": [1, 2], "deep": {"x": 1, "y": 2}});
        let to = json!({"keep": 1, "list": [2], "deep": {"x": 1}, "new": "n"});
        assert_eq!(merge_patch(&from, &to), Some(json!({"gone": null, "list": [2], "deep": {"y": null}, "new": "n"})));
    }
}
