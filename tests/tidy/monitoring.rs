//! The alerts and the dashboard: they ask for metrics that there are, and lead to sections that there are.

use std::collections::BTreeSet;
use std::sync::Arc;

use roadstead::telemetry::figures::{DeploymentFigures, Figures, Readiness};
use roadstead::telemetry::metrics::Metrics;
use roadstead_ground::promql::{Query, Scrape};
use roadstead_model::MicroDollars;
use roadstead_runtime::clock::Clock;
use roadstead_runtime::meter::Meter;
use serde_json::Value;

use crate::{none, root};

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// The metrics of an operator that has one of everything.
pub fn metrics() -> String {
    let metrics = Metrics::new(Clock::system());
    metrics.provider_used("kubernetes", &["observe"], &["success"]);
    metrics.service_used("example", &["Describe"]);
    metrics.max_concurrent_reconciles("modeldeployment", 1);
    metrics.orphans("east", 1, MicroDollars(5));
    let readiness = Readiness { ready: "True".to_owned(), reason: "Ready".to_owned() };
    let one = DeploymentFigures {
        namespace: "team".to_owned(),
        name: "llama".to_owned(),
        readiness: readiness.clone(),
        wanted: 1,
        ready: 1,
        hourly_cost: Some(MicroDollars(5)),
    };
    let figures = Figures {
        deployments: vec![(readiness, 1)],
        each: vec![one],
        targets: vec![("east".to_owned(), true)],
        ..Figures::default()
    };
    metrics.read_fleet_from(Arc::new(move || figures.clone()));
    metrics.encode().unwrap()
}

/// The rules of the alerts.
fn alerts() -> Vec<Value> {
    let file: Value = serde_saphyr::from_str(&text("charts/roadstead/monitoring/alerts.yaml")).unwrap();
    let groups = file["groups"].as_array().unwrap().iter();
    let rules: Vec<Value> = groups.flat_map(|group| group["rules"].as_array().unwrap().clone()).collect();
    assert!(rules.len() >= 5);
    rules
}

fn dashboard() -> Value {
    serde_json::from_str(&text("charts/roadstead/monitoring/dashboard.json")).unwrap()
}

/// The expressions of the dashboard's panels and variables, each with the name of where it stands.
fn expressions_of_dashboard() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().unwrap() {
            all.push((title.to_owned(), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let query = variable["query"].as_str().unwrap();
        if let Some(inside) = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')) {
            let (metric, label) = inside.split_once(", ").unwrap();
            all.push((variable["name"].as_str().unwrap().to_owned(), format!("sum by ({label}) ({metric})")));
        }
    }
    all
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_and_labels_that_there_are() {
    let scrape = Scrape::read(&metrics());
    let of_alerts = alerts().into_iter().map(|rule| {
        let text = |field: &str| rule[field].as_str().unwrap().to_owned();
        (text("alert"), text("expr"))
    });
    let mut faults = Vec::new();
    for (place, expression) in of_alerts.chain(expressions_of_dashboard()) {
        let query = Query::read(&expression);
        assert!(!query.selectors.is_empty(), "{place}: {expression} is not read as it is written");
        faults.extend(query.missing(&scrape).into_iter().map(|missing| format!("{place}: {missing}")));
    }
    none("alerts and dashboard ask for what there is", &faults);
}

#[test]
fn every_alert_says_what_it_means_and_leads_to_its_section() {
    let page = text("docs/troubleshooting.md");
    let mut names = BTreeSet::new();
    for rule in alerts() {
        let name = rule["alert"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        assert!(page.contains(&format!("\n### {name}\n")), "{name} has no section");
        let annotations = &rule["annotations"];
        let anchor = format!("docs/troubleshooting.md#{}", name.to_lowercase());
        assert_eq!(annotations["runbook_url"], anchor.as_str());
        assert!(["warning", "critical"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
        // What a sentence quotes of a series, the expression has left.
        let query = Query::read(rule["expr"].as_str().unwrap());
        for field in ["summary", "description"] {
            let sentence = annotations[field].as_str().unwrap();
            for label in sentence.split("$labels.").skip(1).map(|rest| rest.split([' ', '}', '/']).next().unwrap()) {
                assert!(query.groups.contains(label), "{name} quotes the label {label}");
            }
        }
    }
    let sections = page.split("\n## Alerts\n").nth(1).unwrap().split("\n## ").next().unwrap().matches("\n### ").count();
    assert_eq!(sections, names.len(), "a section has no alert");
}

#[test]
fn the_dashboard_is_one_that_grafana_loads() {
    let dashboard = dashboard();
    assert!(dashboard["uid"].is_string() && dashboard["title"].is_string() && dashboard["schemaVersion"].is_u64());
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    let mut taken: BTreeSet<(u64, u64)> = BTreeSet::new();
    for panel in panels {
        let title = &panel["title"];
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let at = |field: &str| panel["gridPos"][field].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{title} is wider than the grid");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{title} lies on another panel");
            }
        }
    }
}

#[test]
fn metrics_have_base_units_and_the_names_that_their_types_ask_for() {
    let text = metrics();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    for (name, type_) in names {
        for unit in ["microdollars", "cents", "milliseconds", "_ms", "minutes", "kilobytes", "percent"] {
            assert!(!name.contains(unit), "{name} is in {unit}");
        }
        let samples: Vec<&str> = text.lines().filter(|line| line.starts_with(&format!("{name}_total"))).collect();
        assert_eq!(samples.is_empty(), type_ != "counter", "{name} is a {type_}; a counter begins at zero");
    }
}
