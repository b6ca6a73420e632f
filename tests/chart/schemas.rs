//! kubeconform, with the schemas that a real API server publishes: of its own kinds and of ours. Nothing is downloaded.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use roadstead_ground::command::finish;
use roadstead_ground::tools::Tools;
use serde_json::{Value, json};

use crate::helm::{objects, of_kind};
use crate::lint::report;
use crate::server::server;
use crate::variants::manifests;

/// A folder of schemas for every kind that a manifest has. It goes with the server.
static SCHEMAS: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = server().dir().join("schemas");
    fs::create_dir(&dir).unwrap();
    let all: Vec<Value> = manifests().iter().flat_map(|(_, text)| objects(text)).collect();
    let versions: BTreeSet<&str> = all.iter().map(|object| object["apiVersion"].as_str().unwrap()).collect();
    for version in versions {
        write_schemas(&dir, version);
    }
    dir
});

/// Writes the schema of each kind of an API version, as kubeconform looks for it.
fn write_schemas(dir: &Path, version: &str) {
    let prefix = if version.contains('/') { "apis" } else { "api" };
    let document = format!("/openapi/v3/{prefix}/{version}");
    let published = finish(server().kubectl().args(["get", "--raw", &document])).unwrap();
    let mut document: Value = serde_json::from_str(&published).unwrap();
    let mut schemas = document["components"]["schemas"].take();
    close(&mut schemas);
    let group = version.split('/').next().unwrap();
    let number = version.rsplit('/').next().unwrap();
    for (name, schema) in schemas.as_object().unwrap() {
        for kind in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
            let of = match kind["group"].as_str() {
                None | Some("") => kind["version"].as_str().unwrap().to_owned(),
                Some(group) => format!("{group}/{}", kind["version"].as_str().unwrap()),
            };
            if of == version {
                let whole =
                    json!({"$ref": format!("#/components/schemas/{name}"), "components": {"schemas": &schemas}});
                let file = format!("{group}_{}_{number}.json", kind["kind"].as_str().unwrap().to_lowercase());
                fs::write(dir.join(file), whole.to_string()).unwrap();
            }
        }
    }
}

/// Fields that a schema does not name are faults, as they are for an API server that validates strictly.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let open = fields.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
            if fields.get("properties").is_some_and(Value::is_object) && !open {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Findings of kubeconform about a manifest.
fn faults(manifest: &str) -> Vec<String> {
    let pattern = SCHEMAS.join("{{.Group}}_{{.ResourceKind}}_{{.ResourceAPIVersion}}.json");
    let mut command = Command::new(Tools::linters().unwrap().path("kubeconform"));
    command.args(["-strict", "-summary", "-output", "json", "-schema-location"]).arg(pattern).arg("-");
    let report = report(&mut command, manifest);
    let count = |field: &str| report["summary"][field].as_u64().unwrap();
    assert_eq!(count("skipped"), 0, "{report}");
    let found = report["resources"].as_array().into_iter().flatten();
    let faults: Vec<String> = found.map(|one| format!("{} {}: {}", one["kind"], one["name"], one["msg"])).collect();
    assert_eq!(faults.len() as u64, count("invalid") + count("errors"), "{report}");
    assert_eq!(count("valid") + faults.len() as u64, objects(manifest).len() as u64, "{report}");
    faults
}

#[test]
fn every_manifest_has_the_form_that_the_api_server_publishes() {
    for (name, manifest) in manifests() {
        assert_eq!(faults(&manifest), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_misspelt_field_and_a_wrong_value_would_be_found() {
    for (kind, pointer, field, value) in [
        ("Deployment", "/spec/template/spec", "enableServiceLink", json!(false)),
        ("NetworkPolicy", "/spec/egress/0", "ports", json!("53")),
        ("ServingTarget", "/spec", "colour", json!("red")),
        ("ModelDeployment", "/spec", "replicas", json!("two")),
        ("ModelDeployment", "/spec/serving", "engine", json!("steam")),
    ] {
        let all = manifests();
        let objects: Vec<Value> = all.iter().flat_map(|(_, text)| objects(text)).collect();
        let mut object = of_kind(&objects, kind)[0].clone();
        assert!(faults(&object.to_string()).is_empty());
        object.pointer_mut(pointer).unwrap()[field] = value;
        assert_eq!(faults(&object.to_string()).len(), 1, "{kind} with {field}");
    }
}
