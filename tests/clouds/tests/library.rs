//! The library as tests of drivers use it.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;

use roadstead_clouds::{CloudSettings, Clouds, ServiceName, rules};
use serde_json::json;

/// The endpoints of SageMaker's first place.
fn endpoints(clouds: &Clouds) -> Vec<String> {
    let state = clouds.state(ServiceName::SageMaker);
    let endpoints = state[0]["endpoints"].as_array().unwrap().iter();
    endpoints.map(|endpoint| format!("{} {}", endpoint["name"], endpoint["status"]).replace('"', "")).collect()
}

#[tokio::test]
async fn a_crowd_is_in_service_and_an_administrator_can_take_one_away() {
    let clouds = Clouds::start(CloudSettings::default()).await.unwrap();
    let named = |number| (format!("e-{number}"), BTreeMap::from([("owner".to_owned(), "prod".to_owned())]));
    clouds.sagemaker.crowd("eu-west-1", "ml.g6e.12xlarge", 3, named).unwrap();
    assert_eq!(endpoints(&clouds), ["e-0 InService", "e-1 InService", "e-2 InService"]);
    assert!(clouds.sagemaker.take_away("eu-west-1", "e-1") && !clouds.sagemaker.take_away("eu-west-1", "e-1"));
    assert_eq!(endpoints(&clouds), ["e-0 InService", "e-2 InService"]);
    let twice = clouds.sagemaker.crowd("eu-west-1", "ml.g6e.12xlarge", 1, named);
    assert!(twice.unwrap_err().contains("Cannot create already existing model"));
}

#[tokio::test]
async fn endpoints_of_hugging_face_run_and_can_be_taken_away() {
    let clouds = Clouds::start(CloudSettings::default()).await.unwrap();
    let compute = json!({"accelerator": "gpu", "instanceType": "nvidia-l4", "instanceSize": "x1"});
    let form = |number| json!({"name": format!("e-{number}"), "compute": compute, "tags": ["prod"]});
    clouds.hugging_face.crowd("acme", 200, form);
    let state = clouds.state(ServiceName::HuggingFace);
    assert_eq!(
        (state["endpoints"].as_array().unwrap().len(), &state["endpoints"][0]["status"]),
        (200, &json!("running"))
    );
    assert!(clouds.hugging_face.take_away("acme", "e-0") && !clouds.hugging_face.take_away("acme", "e-0"));
}

#[test]
fn every_rule_has_a_name_of_its_own_and_a_source_or_is_assumed() {
    for (service, rules) in rules() {
        assert!(!rules.is_empty(), "{service:?}");
        let mut names: Vec<&str> = rules.iter().map(|rule| rule.id).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rules.len(), "{service:?}");
        for rule in rules {
            let line = rule.line();
            assert!(line.ends_with(']') && !line.ends_with("[]") && !rule.says.is_empty(), "{line}");
        }
    }
}

/// A rule that decides an answer stands in its code; one of time's effects, in the documentation of the code that has it.
#[test]
fn every_rule_is_used_by_its_service() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (service, rules) in rules() {
        let name = format!("{service:?}").chars().fold(String::new(), |name, c| {
            let split = c.is_uppercase() && !name.is_empty() && service != ServiceName::SageMaker;
            name + if split { "_" } else { "" } + &c.to_lowercase().to_string()
        });
        let sources: String = std::fs::read_dir(folder.join(&name))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "rs") && !path.ends_with("rules.rs"))
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        for rule in rules {
            let constant = format!("rules::{}", rule.id.to_uppercase().replace('-', "_"));
            assert!(sources.contains(&constant), "{name}: {constant} is used nowhere");
        }
    }
}
