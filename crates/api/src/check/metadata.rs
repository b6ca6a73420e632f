//! The server's rules for every object's metadata.

use serde_json::{Map, Value, json};

use crate::v1alpha1::syntax;
use crate::v1alpha1::validate::Problem;

/// The fields of metadata, of which most are the server's to fill in.
const FIELDS: [&str; 15] = [
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Checks an object's metadata; a name that the server is to generate is filled in, so that rules can speak of it.
pub fn check(object: &mut Value, namespaced: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some(fields) = object.get_mut("metadata").and_then(Value::as_object_mut) else {
        return vec![problem("metadata", "metadata with a name is required")];
    };
    for name in fields.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        problems.push(problem(&format!("metadata.{name}"), "unknown field: remove it"));
    }
    names(fields, namespaced, &mut problems);
    texts(fields, "labels", &mut problems);
    texts(fields, "annotations", &mut problems);
    for (key, value) in fields.get("labels").and_then(Value::as_object).into_iter().flatten() {
        if let Some(fault) = value.as_str().and_then(|value| syntax::label_fault(key, value)) {
            problems.push(problem("metadata.labels", &fault));
        }
    }
    problems
}

fn problem(field: &str, message: &str) -> Problem {
    Problem { field: field.to_owned(), message: message.to_owned() }
}

fn names(fields: &mut Map<String, Value>, namespaced: bool, problems: &mut Vec<Problem>) {
    for name in ["name", "generateName", "namespace"] {
        if fields.get(name).is_some_and(|value| !value.is_string() && !value.is_null()) {
            problems.push(problem(&format!("metadata.{name}"), "must be a string: write it in quotes"));
            fields.remove(name);
        }
    }
    let text = |name: &str| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(namespace) = text("namespace").filter(|_| namespaced)
        && !syntax::is_dns_label(namespace)
    {
        let message =
            format!("{namespace:?} is not a namespace: use lower-case letters, digits and hyphens, at most 63");
        problems.push(problem("metadata.namespace", &message));
    }
    match (text("name"), text("generateName")) {
        (Some(_), _) => {}
        (None, Some(prefix)) => {
            // The server appends five random characters.
            let generated = json!(format!("{prefix}x7k2p"));
            fields.insert("name".to_owned(), generated);
        }
        (None, None) => problems.push(problem("metadata.name", "is required: give the object a name")),
    }
}

/// A map of texts, which YAML likes to make into numbers and booleans.
fn texts(fields: &Map<String, Value>, field: &str, problems: &mut Vec<Problem>) {
    let Some(value) = fields.get(field).filter(|value| !value.is_null()) else { return };
    let Some(entries) = value.as_object() else {
        problems.push(problem(&format!("metadata.{field}"), "must be a map of strings"));
        return;
    };
    for (key, value) in entries {
        if !value.is_string() {
            let message = format!("{value} must be a string: write it in quotes");
            problems.push(problem(&format!("metadata.{field}[{key}]"), &message));
        }
    }
}
