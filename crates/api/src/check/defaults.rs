//! Prepares an object as the API server does before its other checks.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::Value;

use crate::schema;

/// Fills in the defaults of a schema; a null counts as absent here, and `nulls` reports it.
pub fn apply(value: &mut Value, schema: &JSONSchemaProps) {
    match value {
        Value::Object(fields) => {
            let properties = schema.properties.as_ref();
            let of = |name: &str| properties.and_then(|known| known.get(name)).or_else(|| schema::values(schema));
            fields.retain(|name, value| !value.is_null() || of(name).is_none());
            for (name, property) in properties.into_iter().flatten() {
                if let Some(default) = &property.default {
                    fields.entry(name.clone()).or_insert_with(|| default.0.clone());
                }
            }
            for (name, value) in fields.iter_mut() {
                if let Some(property) = of(name) {
                    apply(value, property);
                }
            }
        }
        Value::Array(values) => {
            if let Some(items) = schema::items(schema) {
                for value in values {
                    apply(value, items);
                }
            }
        }
        // JSON has no integers: 2.0 is read as 2.
        Value::Number(number) if is_integer(schema) => {
            let whole = number.as_f64().filter(|float| float.fract() == 0.0).map(|float| format!("{float:.0}"));
            if let Some(whole) = whole.and_then(|text| text.parse::<i64>().ok()) {
                *number = whole.into();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_integer(schema: &JSONSchemaProps) -> bool {
    schema.type_.as_deref() == Some("integer") || schema.x_kubernetes_int_or_string == Some(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::v1alpha1::{ModelDeployment, PlacementRules};

    #[test]
    fn a_struct_that_is_absent_has_the_defaults_of_its_fields() {
        let definitions = schema::definitions();
        let mut object = json!({"spec": {"serving": {"engine": "vllm", "env": [{"name": "A", "value": null}]}}});
        apply(&mut object, schema::root(&definitions[0]).unwrap());
        assert_eq!(
            object["spec"]["placement"],
            json!({"capacityTypes": ["Reserved", "OnDemand"], "cost": {"objective": "HourlyCost"}})
        );
        assert_eq!(object["spec"]["serving"]["port"], 8000);
        assert_eq!(object["spec"]["serving"]["env"], json!([{"name": "A"}]));
        assert_eq!(object["status"], json!({"observedGeneration": -1, "replicas": 0, "readyReplicas": 0}));
    }

    #[test]
    fn the_defaults_of_the_schema_are_those_of_the_types() {
        let object = json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment", "metadata": {"name": "a"},
            "spec": {"serving": {
                "engine": "custom", "image": "a", "custom": {},
                "shapes": [{"name": "a", "accelerator": {"type": "H100", "count": 1}}],
            }},
        });
        let mut defaulted = object.clone();
        apply(&mut defaulted, schema::root(&schema::definitions()[0]).unwrap());
        let read: ModelDeployment = serde_json::from_value(object).unwrap();
        let read_defaulted: ModelDeployment = serde_json::from_value(defaulted).unwrap();
        assert_eq!(read.spec, read_defaulted.spec);
        assert_eq!(read.spec.placement, PlacementRules::default());
        assert_eq!(read.spec.serving.custom, Some(crate::v1alpha1::CustomEngine::default()));
    }
}
