//! Which fields of an object on a member did our own writes set? The server keeps account of it.
//!
//! The server attributes a value that admission substitutes in our own request to us, and a later write to its writer.
//! This distinguishes the two on a member without another record.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

use super::differences::{Path, Step};
use roadstead_api::v1alpha1::names;

/// The fields that our writes set, as the server lists them.
pub struct Owned(Vec<Value>);

impl Owned {
    /// Our ownership of the object itself according to `entries`.
    #[must_use]
    pub fn of(entries: &[ManagedFieldsEntry]) -> Self {
        let ours = |entry: &&ManagedFieldsEntry| {
            entry.manager.as_deref() == Some(names::FIELD_MANAGER)
                && entry.subresource.as_deref().is_none_or(str::is_empty)
        };
        Self(entries.iter().filter(ours).filter_map(|entry| Some(entry.fields_v1.as_ref()?.0.clone())).collect())
    }

    /// True if the value at `path` was set by us; `wanted` is the object in which the path leads there.
    #[must_use]
    pub fn includes(&self, path: &Path, wanted: &Value) -> bool {
        self.0.iter().any(|fields| includes(fields, path, wanted))
    }
}

fn includes(fields: &Value, path: &Path, wanted: &Value) -> bool {
    let (mut fields, mut wanted) = (fields, Some(wanted));
    for (depth, step) in path.0.iter().enumerate() {
        // A list or map that is set as a whole has nothing below it.
        if depth > 0 && fields.as_object().is_some_and(serde_json::Map::is_empty) {
            return true;
        }
        wanted = wanted.and_then(|wanted| Path(vec![step.clone()]).get(wanted));
        let Some(next) = child(fields, step, wanted) else { return false };
        fields = next;
    }
    true
}

fn child<'a>(fields: &'a Value, step: &Step, wanted: Option<&Value>) -> Option<&'a Value> {
    match step {
        Step::Field(name) => fields.get(format!("f:{name}")),
        Step::Named(_) => fields.as_object()?.iter().find(|(key, _)| is_key_of(key, wanted)).map(|(_, child)| child),
    }
}

/// True if `key` is what the server calls the list's element `wanted`: some of its fields with their values.
fn is_key_of(key: &str, wanted: Option<&Value>) -> bool {
    let Some(Ok(Value::Object(key))) = key.strip_prefix("k:").map(serde_json::from_str) else { return false };
    wanted.is_some_and(|wanted| key.iter().all(|(name, value)| wanted.get(name) == Some(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn owned(entries: Value) -> Owned {
        Owned::of(&serde_json::from_value::<Vec<ManagedFieldsEntry>>(entries).unwrap())
    }

    fn path(steps: &[Step]) -> Path {
        Path(steps.to_vec())
    }

    #[test]
    fn what_our_writes_set_is_ours_and_what_others_set_since_is_not() {
        let field = |name: &str| Step::Field(name.to_owned());
        let named = |name: &str| Step::Named(name.to_owned());
        let fields = json!({"f:spec": {
            "f:replicas": {},
            "f:args": {},
            "f:containers": {r#"k:{"name":"engine"}"#: {".": {}, "f:image": {},
                "f:ports": {r#"k:{"containerPort":8000,"protocol":"TCP"}"#: {".": {}, "f:name": {}}}}},
        }});
        let owned = owned(json!([
            {"manager": "roadstead", "operation": "Apply", "fieldsV1": fields},
            {"manager": "roadstead", "operation": "Update", "subresource": "status",
             "fieldsV1": {"f:status": {"f:replicas": {}}}},
            {"manager": "kubectl-edit", "operation": "Update", "fieldsV1": {"f:spec": {"f:paused": {}}}},
        ]));
        let wanted = json!({"spec": {
            "replicas": 1, "paused": true, "args": ["a"], "containers": [{
                "name": "engine", "image": "i", "command": ["c"],
                "ports": [{"name": "http", "containerPort": 8000, "protocol": "TCP"}, {"name": "b", "containerPort": 1}],
            }],
        }, "status": {"replicas": 1}});
        let includes = |steps: &[Step]| owned.includes(&path(steps), &wanted);
        let engine = [field("spec"), field("containers"), named("engine")];
        let of_engine = |steps: &[Step]| includes(&[&engine, steps].concat());
        assert!(includes(&[field("spec"), field("replicas")]) && of_engine(&[field("image")]));
        assert!(includes(&[field("spec"), field("args"), named("whatever")]), "it is set as a whole");
        assert!(of_engine(&[field("ports"), named("http"), field("name")]), "known by other fields than its name");
        assert!(!of_engine(&[field("ports"), named("b")]) && !of_engine(&[field("command")]));
        assert!(!includes(&[field("spec"), field("paused")]), "another's");
        assert!(!includes(&[field("status"), field("replicas")]), "another subresource");
    }
}
