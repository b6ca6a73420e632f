//! Health of our objects in Argo CD, Flux and others: Argo CD uses the health script of `examples/gitops`, in its own
//! interpreter; Flux uses kstatus and the expressions of the example.
//!
//! The objects were recorded from the operator by the fault test `gitops_every_state_is_recorded`.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod flux;
mod kstatus;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use roadstead_ground::command::feed;
use roadstead_ground::tools::Tools;
use serde_json::{Value, json};

use kstatus::Status;

/// A recorded state, what kstatus says of it, and what Argo CD shows.
const STATES: [(&str, Status, &str); 20] = [
    ("deployment-unobserved", Status::InProgress, "Progressing"),
    ("deployment-starting", Status::InProgress, "Progressing"),
    ("deployment-ready", Status::Current, "Healthy"),
    ("deployment-edited", Status::InProgress, "Progressing"),
    ("deployment-target-unreachable", Status::InProgress, "Progressing"),
    ("deployment-scaled-to-zero", Status::Current, "Healthy"),
    ("deployment-suspended", Status::Current, "Suspended"),
    ("deployment-suspended-with-an-edit", Status::InProgress, "Suspended"),
    ("deployment-scaled-past-its-budget", Status::Failed, "Degraded"),
    ("deployment-suspended-before-it-ran", Status::InProgress, "Suspended"),
    ("deployment-waits-for-room", Status::InProgress, "Progressing"),
    ("deployment-no-feasible-place", Status::Failed, "Degraded"),
    ("deployment-refused-by-provider", Status::Failed, "Degraded"),
    ("deployment-deleted", Status::Terminating, "Progressing"),
    ("target-unobserved", Status::InProgress, "Progressing"),
    ("target-ready", Status::Current, "Healthy"),
    ("target-without-credentials", Status::InProgress, "Progressing"),
    ("target-invalid", Status::Failed, "Degraded"),
    ("endpoint-ready", Status::Current, "Healthy"),
    ("endpoint-deleted", Status::Terminating, "Progressing"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn example(name: &str) -> String {
    fs::read_to_string(root().join("examples/gitops").join(name)).unwrap()
}

fn recorded(name: &str) -> Value {
    let path = root().join("tests/golden/gitops").join(format!("{name}.yaml"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap()
}

/// Result of the health script for each object, in Argo CD's interpreter with its libraries.
fn health(script: &str, objects: &[Value]) -> Vec<Value> {
    let question = json!({"script": script, "objects": objects}).to_string();
    let answer = feed(&mut Command::new(Tools::health().unwrap().path("lua-health")), &question).unwrap();
    serde_json::from_str(&answer).unwrap()
}

#[test]
fn every_recorded_state_is_in_the_table() {
    let files = fs::read_dir(root().join("tests/golden/gitops")).unwrap().flatten();
    let recorded: BTreeSet<PathBuf> = files.map(|file| PathBuf::from(file.file_name()).with_extension("")).collect();
    let listed: BTreeSet<PathBuf> = STATES.iter().map(|(name, ..)| PathBuf::from(name)).collect();
    assert_eq!(recorded, listed);
}

#[test]
fn kstatus_says_of_each_state_what_users_should_wait_for() {
    for (name, status, _) in STATES {
        assert_eq!(kstatus::status(&recorded(name)), status, "{name}");
    }
}

#[test]
fn argo_cd_shows_each_state_and_its_reason() {
    let objects: Vec<Value> = STATES.iter().map(|(name, ..)| recorded(name)).collect();
    for ((name, _, wanted), (object, told)) in
        STATES.iter().zip(objects.iter().zip(health(&example("health.lua"), &objects)))
    {
        assert_eq!(told["status"], *wanted, "{name}: {told}");
        let message = told["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "{name} has no message");
        if object["status"]["observedGeneration"] == object["metadata"]["generation"] {
            let ready = kstatus::condition(object, "Ready").unwrap();
            let reason = ready["reason"].as_str().unwrap();
            assert!(message.starts_with(reason), "{name}: {message:?} does not begin with {reason}");
        }
    }
}

/// Whoever suspends a deployment knows why nothing happens; Argo CD has a word for it, kstatus has none.
#[test]
fn argo_cd_and_kstatus_agree_but_for_suspended_deployments() {
    for (name, status, shown) in STATES {
        let agreed = match status {
            Status::Current => "Healthy",
            Status::InProgress | Status::Terminating => "Progressing",
            Status::Failed => "Degraded",
        };
        let suspended = recorded(name)["spec"]["suspend"] == true;
        assert_eq!(shown, if suspended { "Suspended" } else { agreed }, "{name}");
    }
}

#[test]
fn argo_cd_takes_nothing_half_made_for_healthy() {
    let half_made = [
        json!({"metadata": {"generation": 1}, "spec": {}}),
        json!({"metadata": {"generation": 1}, "spec": {}, "status": {}}),
        json!({"metadata": {"generation": 1}, "spec": {}, "status": {"observedGeneration": 1}}),
        json!({"metadata": {"generation": 1}, "spec": {}, "status": {"observedGeneration": 1, "conditions": []}}),
        json!({"metadata": {"generation": 2}, "spec": {}, "status": {"observedGeneration": 1, "conditions": [
            {"type": "Ready", "status": "True", "reason": "Ready"}]}}),
    ];
    for (object, told) in half_made.iter().zip(health(&example("health.lua"), &half_made)) {
        assert_eq!(told["status"], "Progressing", "{object}: {told}");
    }
}

#[test]
fn the_values_for_argo_cd_hold_the_script_for_each_kind() {
    let values: Value = serde_saphyr::from_str(&example("argocd-values.yaml")).unwrap();
    let settings = values["configs"]["cm"].as_object().unwrap();
    let kinds = ["InferenceEndpoint", "ModelDeployment", "ServingTarget"];
    let keys = kinds.map(|kind| format!("resource.customizations.health.roadstead.dev_{kind}"));
    assert_eq!(settings.keys().collect::<BTreeSet<_>>(), keys.iter().collect());
    for (key, script) in settings {
        assert_eq!(script.as_str().unwrap(), example("health.lua"), "{key} is not health.lua");
    }
}

#[test]
fn the_expressions_for_flux_agree_with_kstatus_but_for_suspended_deployments() {
    let expressions = flux::Expressions::of(&example("flux-kustomization.yaml"), "ModelDeployment");
    for (name, status, _) in STATES.iter().filter(|(name, ..)| name.starts_with("deployment-")) {
        let object = recorded(name);
        let suspended = object["spec"]["suspend"] == true;
        // Flux leaves an object that is being deleted to kstatus's own first rule.
        if *status != Status::Terminating {
            let wanted = if suspended { Status::InProgress } else { *status };
            assert_eq!(expressions.status(&object), wanted, "{name}");
        }
    }
}
