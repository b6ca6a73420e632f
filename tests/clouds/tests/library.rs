//! The library as tests of drivers use it.

#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::BTreeMap;

use roadstead_clouds::rules::{Rule, Source};
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
            let told = line.to_lowercase().matches("assumed").count();
            let expected = usize::from(!matches!(rule.source, Source::Cited(_)));
            assert_eq!(told, expected, "what is assumed is no text, but a part of the rule's source: {line}");
        }
    }
}

/// A rule that decides an answer stands in its code; one of time's effects, in the documentation of the code that has it.
#[test]
fn every_rule_is_printed_and_used_by_its_service() {
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
    let services = folders.map(|entry| entry.unwrap().path()).filter(|folder| folder.join("rules.rs").is_file());
    let mut seen = 0;
    for folder in services {
        let rules = std::fs::read_to_string(folder.join("rules.rs")).unwrap();
        let sources: String = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "rs") && !path.ends_with("rules.rs"))
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        let names = rules.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(": Rule"));
        for (name, _) in names {
            assert!(sources.contains(&format!("rules::{name}")), "{folder:?}: {name} is used nowhere");
            assert!(rules.contains(&format!("    &{name},\n")), "{folder:?}: {name} is not in ALL");
            seen += 1;
        }
    }
    assert!(seen > 100, "rules are found: {seen}");
}

#[tokio::test]
async fn the_rules_of_every_fake_are_printed() {
    let clouds = Clouds::start(CloudSettings::default()).await.unwrap();
    let addresses = json!(clouds.urls);
    // One address is that of the administrative interface.
    assert_eq!(rules().len(), addresses.as_object().unwrap().len() - 1, "{addresses}");
}

/// The page on what nobody has seen is written from the rules. `ROADSTEAD_WRITE=1` writes it anew.
#[test]
fn the_page_on_what_nobody_has_seen_has_every_assumed_rule() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers/unseen.md");
    let page = unseen();
    if std::env::var_os("ROADSTEAD_WRITE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = page.lines().zip(written.lines()).find(|(wanted, found)| wanted != found);
    assert!(
        page == written,
        "rules have changed: run ROADSTEAD_WRITE=1 cargo test -p roadstead-clouds and commit docs/providers/unseen.md; {differs:?}"
    );
}

fn unseen() -> String {
    let services = rules().into_iter().map(|(service, rules)| {
        let lines: Vec<String> = rules.iter().copied().filter_map(assumption).collect();
        let heading = service.title();
        format!(
            "\n## {heading}\n\n{} of {} rules are assumed, in whole or in part:\n\n{}",
            lines.len(),
            rules.len(),
            lines.concat()
        )
    });
    std::iter::once(include_str!("unseen.txt").to_owned()).chain(services).collect()
}

/// The line of a rule that is assumed, if only in part.
fn assumption(rule: &'static Rule) -> Option<String> {
    match rule.source {
        Source::Cited(_) => None,
        Source::Partly { assumed, .. } => Some(format!("- `{}`: {}. In part: {assumed}\n", rule.id, rule.says)),
        Source::Assumed => Some(format!("- `{}`: {}\n", rule.id, rule.says)),
    }
}
