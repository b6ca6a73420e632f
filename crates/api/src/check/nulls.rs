//! Fields without a value, as templates leave them behind.
//!
//! A server drops them from what is created or updated. In what is applied on its side, as Flux, Argo CD and Helm can do, it
//! fills in the field's default, and refuses a field that has none. What one way of applying refuses is a problem of the
//! file. The definitions take none of them: a null that is stored would be a third state beside absent and present, which
//! older operators could not read.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::Value;

use crate::schema;
use crate::v1alpha1::validate::Problem;

/// Message for each of them.
const MESSAGE: &str =
    "has no value, which server-side apply refuses: remove it, or give it one ([] or {} for an empty one)";

/// The fields without a value that a server refuses to apply.
pub fn find(object: &Value, root: &JSONSchemaProps) -> Vec<Problem> {
    let mut problems = Vec::new();
    let spec = root.properties.as_ref().and_then(|properties| properties.get("spec"));
    if let (Some(value), Some(schema)) = (object.get("spec"), spec) {
        walk("spec", value, schema, &mut problems);
    }
    problems
}

fn walk(field: &str, value: &Value, schema: &JSONSchemaProps, problems: &mut Vec<Problem>) {
    match value {
        Value::Null if schema.default.is_none() => {
            problems.push(Problem { field: field.to_owned(), message: MESSAGE.to_owned() });
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let property = schema.properties.as_ref().and_then(|properties| properties.get(name));
                match (property, schema::values(schema)) {
                    (Some(property), _) => walk(&format!("{field}.{name}"), value, property, problems),
                    (None, Some(values)) => walk(&format!("{field}[{name}]"), value, values, problems),
                    // Reported as an unknown field.
                    (None, None) => {}
                }
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                if let Some(items) = schema::items(schema) {
                    walk(&format!("{field}[{index}]"), value, items, problems);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_null_without_a_default_has_its_place() {
        let object = json!({"spec": {
            "replicas": null,
            "serving": {"env": [{"name": "A", "value": null}], "args": ["a", null], "imagePullSecrets": null, "port": null},
            "placement": {"targetSelector": {"matchLabels": {"example.com/a": null}}, "unknown": null},
        }});
        let definitions = schema::definitions();
        let problems = find(&object, schema::root(&definitions[0]).unwrap());
        let fields: Vec<_> = problems.into_iter().map(|problem| problem.field).collect();
        assert_eq!(
            fields,
            [
                "spec.placement.targetSelector.matchLabels[example.com/a]",
                "spec.serving.args[1]",
                "spec.serving.env[0].value",
                "spec.serving.imagePullSecrets",
            ]
        );
    }
}
