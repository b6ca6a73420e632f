//! Least privilege, both ways: what was used was granted, and what is granted was used.
//!
//! The run does everything that the operator does: a right that it does not use is not needed.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::run::RECORD;
use crate::world::{MEMBER, SYSTEM, TEAM, chart, objects};

/// One verb on one resource, in one namespace (a Role) or everywhere (a `ClusterRole`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    namespace: Option<String>,
    verb: String,
    resource: String,
    names: Vec<String>,
}

impl Right {
    fn allows(&self, used: &Used) -> bool {
        let there = self.namespace.as_ref().is_none_or(|namespace| *namespace == used.namespace);
        let named = self.names.is_empty() || self.names.contains(&used.name);
        there && named && self.verb == used.verb && self.resource == used.resource
    }
}

/// One verb that was used on one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Used {
    namespace: String,
    verb: String,
    resource: String,
    name: String,
    code: u64,
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// The rights that these roles grant, those in one namespace first: they are the narrower ones.
fn granted(objects: &[Value], roles: &[&str]) -> Vec<Right> {
    let mut rights = Vec::new();
    let ours = |object: &&Value| roles.contains(&object["metadata"]["name"].as_str().unwrap_or_default());
    for kind in ["Role", "ClusterRole"] {
        for role in objects.iter().filter(|object| object["kind"] == kind).filter(ours) {
            let namespace = role["metadata"]["namespace"].as_str().map(ToOwned::to_owned);
            for rule in role["rules"].as_array().unwrap() {
                for (group, resource) in texts(&rule["apiGroups"]).into_iter().flat_map(|group| {
                    texts(&rule["resources"]).into_iter().map(move |resource| (group.clone(), resource))
                }) {
                    rights.extend(texts(&rule["verbs"]).into_iter().map(|verb| Right {
                        namespace: namespace.clone(),
                        verb,
                        resource: format!("{group}/{resource}"),
                        names: texts(&rule["resourceNames"]),
                    }));
                }
            }
        }
    }
    assert!(!rights.is_empty());
    rights
}

/// Rights that the account used, according to the API server's audit log.
fn used(requests: &[Value], account: &str) -> BTreeSet<Used> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let used: BTreeSet<Used> = requests
        .iter()
        .filter(|request| request["user"]["username"] == account)
        .map(|request| {
            let object = &request["objectRef"];
            let sub = object["subresource"].as_str().map(|sub| format!("/{sub}")).unwrap_or_default();
            Used {
                namespace: text(&object["namespace"]),
                verb: text(&request["verb"]),
                resource: format!("{}/{}{sub}", text(&object["apiGroup"]), text(&object["resource"])),
                name: text(&object["name"]),
                code: request["responseStatus"]["code"].as_u64().unwrap_or_default(),
            }
        })
        .collect();
    assert!(used.len() > 10, "{used:?}");
    used
}

/// Compares both ways.
fn compare(rights: &[Right], used: &BTreeSet<Used>) {
    let beyond: Vec<&Used> =
        used.iter().filter(|used| used.code == 403 || !rights.iter().any(|right| right.allows(used))).collect();
    assert!(beyond.is_empty(), "used and not granted: {beyond:#?}");
    // A use counts for the narrowest right that allows it.
    let exercised: BTreeSet<&Right> =
        used.iter().filter_map(|used| rights.iter().find(|right| right.allows(used))).collect();
    let idle: Vec<&Right> = rights.iter().filter(|right| !exercised.contains(right)).collect();
    assert!(idle.is_empty(), "granted and not used: {idle:#?}");
}

#[test]
fn on_the_hub_what_is_granted_is_what_is_used() {
    let account = format!("system:serviceaccount:{SYSTEM}:roadstead");
    compare(&granted(&chart(), &["roadstead"]), &used(&RECORD.hub, &account));
}

#[test]
fn on_a_member_what_is_granted_is_what_is_used() {
    let account = format!("system:serviceaccount:{MEMBER}:roadstead-hub");
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/member.yaml")).unwrap();
    compare(&granted(&objects(&manifest), &["roadstead-hub"]), &used(&RECORD.member, &account));
}

#[test]
fn of_a_tenants_secrets_only_those_are_read_that_its_deployment_names() {
    let account = format!("system:serviceaccount:{SYSTEM}:roadstead");
    for used in used(&RECORD.hub, &account).into_iter().filter(|used| used.resource == "/secrets") {
        match used.verb.as_str() {
            "list" | "watch" => assert_eq!(used.namespace, SYSTEM),
            "get" => {
                let named = ["env", "hub", "pull"].contains(&used.name.as_str()) || used.name.contains("-key-");
                assert!(used.namespace == TEAM && named, "{used:?}");
            }
            verb => assert!(verb == "create" && used.namespace == TEAM, "{used:?}"),
        }
    }
}

/// Time of the first API key, according to the server's audit log.
fn first_key(requests: &[Value]) -> String {
    let secret = |request: &&Value| {
        let object = &request["objectRef"];
        let named = object["name"].as_str().is_some_and(|name| name.contains("-key"));
        object["resource"] == "secrets" && request["verb"] == "create" && named
    };
    requests.iter().find(secret).expect("a Secret was made")["stageTimestamp"].as_str().unwrap().to_owned()
}

#[test]
fn a_key_stands_on_the_hub_before_it_is_sent_to_the_member() {
    // Times of one machine, written alike.
    assert!(first_key(&RECORD.hub) < first_key(&RECORD.member));
}

#[test]
fn every_endpoint_has_a_key_of_its_own() {
    let keys: BTreeSet<&String> = RECORD.secrets.iter().filter(|secret| secret.starts_with("rs-")).collect();
    assert_eq!(keys.len(), 2);
}
