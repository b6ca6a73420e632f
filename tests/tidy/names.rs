//! One word, one meaning: type names that the product declares more than once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::{files, none, shown};

/// Names that two types may have, and the reason.
const ACCEPTED: &[(&str, &str)] = &[
    ("Accelerator", "the API's declaration and the planner's data of the same thing"),
    ("CapacityType", "the API's declaration and the planner's data of the same thing"),
    ("Change", "of the gateway's routes, and of a cached object"),
    ("Credential", "of a route of the gateway, and of a probe"),
    ("DeploymentLabels", "labels of two metric families"),
    ("Endpoint", "the model's, and the same thing on the wire of the simulated cloud"),
    ("EndpointState", "the API's declaration and the planner's data of the same thing"),
    ("Engine", "the API's field `engine`, and the crate of decisions, which is named after it"),
    ("Failback", "the API's declaration and the planner's data of the same thing"),
    ("Fault", "injected by the conformance suite, and private to the planner's assessment"),
    ("Health", "the API's declaration and the planner's data of the same thing"),
    ("Inventory", "the listing of a driver, and its state in the model"),
    ("Key", "an API key at the gateway, and the name of a cached object"),
    ("LabelSelector", "the API's declaration and the planner's data of the same thing"),
    ("Listener", "of the gateway's socket, and of a driver's events"),
    ("Location", "the API's declaration and the planner's data of the same thing"),
    ("Mark", "private to the catalogue, and the labels of the Kubernetes driver's objects"),
    ("Metrics", "of the gateway, and of the operator"),
    ("Offer", "the API's declaration and the planner's data of the same thing"),
    ("OfferNodes", "the API's declaration, and the planner's set of these nodes"),
    ("Outcome", "the result of a queue's item, and private to the planner's decisions"),
    ("Place", "the conformance suite's, and the same thing in the simulated cloud"),
    ("Preference", "the API's declaration and the planner's data of the same thing"),
    ("Problem", "of a spec, and private to the planner's assessment"),
    ("Progress", "of the gateway's rounds, and of an endpoint's start"),
    ("ReadySummary", "the condition Ready of a deployment, and that of an endpoint"),
    ("Removal", "the reason of a plan, and the progress at a driver"),
    ("Settings", "of the gateway, and of the operator"),
    ("Shape", "the API's declaration and the planner's data of the same thing"),
    ("Shared", "private to the conformance suite, and to the gateway's server"),
    ("Space", "private to two independent searches for room"),
    ("Standing", "private to the membership of nodes, and the planner's load of nodes"),
    ("State", "private to one module each, behind its lock"),
    ("Taint", "the API's declaration and the planner's data of the same thing"),
    ("TargetLabels", "labels of two metric families"),
    ("Toleration", "the API's declaration and the planner's data of the same thing"),
    ("TolerationOperator", "the API's declaration and the planner's data of the same thing"),
];

#[test]
fn no_type_name_has_two_meanings() {
    let declared = declarations();
    let twice: BTreeMap<&String, &Vec<String>> = declared.iter().filter(|(_, places)| places.len() > 1).collect();
    let accepted: BTreeSet<&str> = ACCEPTED.iter().map(|(name, _)| *name).collect();
    assert_eq!(accepted.len(), ACCEPTED.len(), "each name is accepted once");
    let unknown = twice.iter().filter(|(name, _)| !accepted.contains(name.as_str()));
    let faults: Vec<String> = unknown.map(|(name, places)| format!("{name}: {}", places.join(", "))).collect();
    none("each type has a name of its own; rename one, or accept the pair with its reason", &faults);
    let stale: Vec<String> = ACCEPTED
        .iter()
        .filter(|(name, reason)| !twice.contains_key(&(*name).to_owned()) || reason.is_empty())
        .map(|(name, _)| (*name).to_owned())
        .collect();
    none("accepted names are declared twice and have a reason", &stale);
}

/// The types that modules of the product declare, by name.
fn declarations() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in [files("crates", ".rs"), files("src", ".rs")].concat() {
        let path = shown(&file);
        if path.contains("/tests/") || path.ends_with("tests.rs") || path.ends_with("model_deployment/world.rs") {
            continue;
        }
        for line in fs::read_to_string(&file).unwrap().lines() {
            if let Some(name) = declared(line) {
                found.entry(name.to_owned()).or_default().push(path.clone());
            }
        }
    }
    found
}

/// The name of the type that a line declares at the top of a module.
fn declared(line: &str) -> Option<&str> {
    let rest = match line.strip_prefix("pub") {
        Some(public) => public.split_once(' ')?.1,
        None => line,
    };
    let rest = ["struct ", "enum ", "type ", "trait "].iter().find_map(|kind| rest.strip_prefix(kind))?;
    rest.split(|c: char| !c.is_alphanumeric()).next().filter(|name| !name.is_empty())
}

#[test]
fn declarations_are_found_however_visible_they_are() {
    for (line, name) in [
        ("struct A;", Some("A")),
        ("pub struct B<'a>(&'a str);", Some("B")),
        ("pub(crate) enum C {", Some("C")),
        ("type D<L> = Vec<L>;", Some("D")),
        ("    struct Inner;", None),
        ("use a::E;", None),
    ] {
        assert_eq!(declared(line), name, "{line}");
    }
}
