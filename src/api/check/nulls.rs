//! Fields without a value, as templates leave them behind.
//!
//! A server drops them from what is created or updated, and refuses them in what is applied on its side, as Flux, Argo CD
//! and Helm can do. What one way of applying refuses is a problem of the file. The definitions take none of them: a null
//! that is stored would be a third state beside absent and present, which older operators could not read.

use serde_json::Value;

use crate::api::v1alpha1::validate::Problem;

/// What is said of each.
const MESSAGE: &str = "has no value, which server-side apply refuses: remove it, or give it one ([] or {} for an empty one)";

/// Every null below `field`.
pub fn find(field: &str, value: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    walk(field, value, &mut problems);
    problems
}

fn walk(field: &str, value: &Value, problems: &mut Vec<Problem>) {
    match value {
        Value::Null => problems.push(Problem { field: field.to_owned(), message: MESSAGE.to_owned() }),
        Value::Object(fields) => {
            for (name, value) in fields {
                walk(&below(field, name), value, problems);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                walk(&format!("{field}[{index}]"), value, problems);
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Keys of maps may hold dots and slashes, names of fields do not.
fn below(field: &str, name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric());
    if plain { format!("{field}.{name}") } else { format!("{field}[{name}]") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_null_has_its_place() {
        let spec = json!({"env": null, "list": [{"a": null}, null], "labels": {"example.com/a": null}, "b": 1});
        let fields: Vec<_> = find("spec", &spec).into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["spec.env", "spec.labels[example.com/a]", "spec.list[0].a", "spec.list[1]"]);
    }
}
