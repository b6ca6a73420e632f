//! Completion of a derived definition.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool, ValidationRule,
};
use serde_json::json;

use super::columns::Column;
use super::rules::Rule;
use crate::v1alpha1::limits;

/// The longest name of an object: it becomes a label's value.
const NAME_LENGTH: i64 = 63;

/// Adds to a derived definition what a derive cannot say.
pub fn finish(
    mut definition: CustomResourceDefinition,
    rules: &[Rule],
    columns: &[Column],
    whole: &[&str],
) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        version.additional_printer_columns = Some(columns.iter().map(Column::definition).collect());
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            root(schema);
            for path in whole {
                if let Some(place) = at(schema, path) {
                    own_whole(place);
                }
            }
            for rule in rules {
                if let Some(place) = at(schema, rule.at) {
                    place.x_kubernetes_validations.get_or_insert_default().push(validation(rule));
                }
            }
        }
    }
    definition
}

fn root(schema: &mut JSONSchemaProps) {
    let properties = schema.properties.get_or_insert_default();
    if let Some(spec) = properties.get_mut("spec") {
        tidy(spec, &list_in_spec);
    }
    if let Some(status) = properties.get_mut("status") {
        tidy(status, &list_in_status);
        status.default = Some(JSON(json!({"observedGeneration": -1})));
        if let Some(conditions) = at(status, "conditions") {
            bound_conditions(conditions);
        }
        if let Some(condition) = at(status, "conditions[]") {
            own_whole(condition);
        }
    }
    let name =
        JSONSchemaProps { type_: Some("string".to_owned()), max_length: Some(NAME_LENGTH), ..Default::default() };
    let metadata = JSONSchemaProps {
        type_: Some("object".to_owned()),
        properties: Some([("name".to_owned(), name)].into()),
        ..Default::default()
    };
    properties.insert("metadata".to_owned(), metadata);
}

/// Applies to a schema and everything in it what holds everywhere.
fn tidy(schema: &mut JSONSchemaProps, list: &dyn Fn(&mut JSONSchemaProps)) {
    // An explicit null is dropped by the server instead of being kept as a third state beside absent and present.
    schema.nullable = None;
    // A struct's default consists of the defaults of its fields, which also apply to an empty struct.
    if schema.properties.is_some() && schema.default.is_some() {
        schema.default = Some(JSON(json!({})));
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items, list);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values, list);
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        tidy(property, list);
    }
    if schema.type_.as_deref() == Some("array") && schema.x_kubernetes_list_type.is_none() {
        list(schema);
    }
}

/// In specs, objects with a name are known by it, so that several writers can each own some of them.
fn list_in_spec(schema: &mut JSONSchemaProps) {
    let named = super::items(schema)
        .and_then(|items| items.required.as_ref())
        .is_some_and(|required| required.iter().any(|field| field == "name"));
    if named {
        list_map(schema, "name");
    } else {
        schema.x_kubernetes_list_type = Some("atomic".to_owned());
    }
}

/// In statuses, only conditions have several writers.
fn list_in_status(schema: &mut JSONSchemaProps) {
    let is_condition = |items: &JSONSchemaProps| {
        items.properties.as_ref().is_some_and(|fields| fields.contains_key("lastTransitionTime"))
    };
    if super::items(schema).is_some_and(is_condition) {
        list_map(schema, "type");
    } else {
        schema.x_kubernetes_list_type = Some("atomic".to_owned());
    }
}

/// Makes a struct the possession of one writer. The API server keeps, for every write of an object, who owns each field; of
/// such a struct it keeps one entry.
fn own_whole(schema: &mut JSONSchemaProps) {
    schema.x_kubernetes_map_type = Some("atomic".to_owned());
}

fn list_map(schema: &mut JSONSchemaProps, key: &str) {
    schema.x_kubernetes_list_type = Some("map".to_owned());
    schema.x_kubernetes_list_map_keys = Some(vec![key.to_owned()]);
}

/// Kubernetes' type of a condition has no bounds; these are those of its own validation.
fn bound_conditions(schema: &mut JSONSchemaProps) {
    schema.max_items = Some(limits::CONDITIONS);
    for (field, length) in [("type", 316), ("reason", 1024), ("message", 32768), ("status", 16)] {
        if let Some(place) = at(schema, &format!("[].{field}")) {
            place.max_length = Some(length);
        }
    }
}

fn validation(rule: &Rule) -> ValidationRule {
    ValidationRule {
        rule: rule.rule.to_owned(),
        message: Some(rule.message.to_owned()),
        field_path: rule.field.map(ToOwned::to_owned),
        ..Default::default()
    }
}

/// The schema at a path such as `spec.offers[].name`; `[]` means the items of a list.
pub fn at<'a>(schema: &'a mut JSONSchemaProps, path: &str) -> Option<&'a mut JSONSchemaProps> {
    let mut place = schema;
    for step in path.replace("[]", ".[]").split('.').filter(|step| !step.is_empty()) {
        place = if step == "[]" {
            match place.items.as_mut()? {
                JSONSchemaPropsOrArray::Schema(items) => items,
                JSONSchemaPropsOrArray::Schemas(_) => return None,
            }
        } else {
            place.properties.as_mut()?.get_mut(step)?
        };
    }
    Some(place)
}
