//! What is granted is exactly what is used: every rule is listed here as well, so that a new right is a decision.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::helm::{at, objects, of_kind, only, rendered, text};

/// A rule as one line: `group/resources: verbs`, with names where it is restricted to some.
fn line(rule: &Value) -> String {
    let list = |field: &str| {
        let items = rule[field].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut items: Vec<&str> = items.iter().map(|item| item.as_str().unwrap()).collect();
        items.sort_unstable();
        items.join(",")
    };
    let names = list("resourceNames");
    let names = if names.is_empty() { String::new() } else { format!(" [{names}]") };
    format!("{}/{}{names}: {}", list("apiGroups"), list("resources"), list("verbs"))
}

fn lines(role: &Value) -> BTreeSet<String> {
    at(role, "/rules").as_array().unwrap().iter().map(line).collect()
}

fn granted(role: &Value, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
    assert_eq!(lines(role), expected, "the rules of {} {}", role["kind"], role["metadata"]["name"]);
}

fn named<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = of_kind(objects, kind).into_iter().find(|object| object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
}

#[test]
fn the_operator_may_do_on_the_hub_what_it_does_and_no_more() {
    let objects = rendered(&[]);
    granted(
        named(&objects, "ClusterRole", "roadstead"),
        &[
            "roadstead.dev/modeldeployments,servingtargets: list,patch,watch",
            "roadstead.dev/inferenceendpoints: create,delete,get,list,patch,watch",
            "roadstead.dev/inferenceendpoints/status,modeldeployments/status,servingtargets/status: patch",
            "/namespaces: get,list,watch",
            "/secrets: create,get",
            "events.k8s.io/events: create",
        ],
    );
    granted(only(&objects, "Role"), &["/secrets: list,watch", "coordination.k8s.io/leases: create,get,update"]);
}

#[test]
fn tenants_write_deployments_and_read_the_rest() {
    let objects = rendered(&[]);
    let view = named(&objects, "ClusterRole", "roadstead-view");
    granted(view, &["roadstead.dev/inferenceendpoints,modeldeployments,servingtargets: get,list,watch"]);
    let edit = named(&objects, "ClusterRole", "roadstead-edit");
    granted(
        edit,
        &[
            "roadstead.dev/modeldeployments: create,delete,deletecollection,patch,update",
            "roadstead.dev/modeldeployments/scale: get,patch,update",
        ],
    );
    let aggregates = |role: &Value, to: &str| {
        role["metadata"]["labels"][format!("rbac.authorization.k8s.io/aggregate-to-{to}")] == "true"
    };
    assert!(aggregates(view, "view") && aggregates(view, "edit") && aggregates(view, "admin"));
    assert!(!aggregates(edit, "view") && aggregates(edit, "edit") && aggregates(edit, "admin"));
}

#[test]
fn a_member_grants_one_namespace_and_a_look_at_nodes_and_pods() {
    let objects = objects(&text("deploy/member.yaml"));
    granted(
        only(&objects, "Role"),
        &[
            "apps/deployments: create,delete,get,list,patch,watch",
            "/services: create,delete,get,patch",
            "policy/poddisruptionbudgets: create,delete,get,patch",
            "/secrets: create,delete,get,patch",
            "/configmaps: create,get,patch",
        ],
    );
    granted(only(&objects, "ClusterRole"), &["/nodes,pods: list,watch", "/namespaces [kube-system]: get"]);
    let namespace = only(&objects, "Namespace");
    assert_eq!(at(namespace, "/metadata/labels")["pod-security.kubernetes.io/enforce"], "baseline");
    for kind in ["Role", "RoleBinding", "ServiceAccount"] {
        assert_eq!(at(only(&objects, kind), "/metadata/namespace"), &namespace["metadata"]["name"]);
    }
}

#[test]
fn nothing_is_granted_by_a_wildcard() {
    for objects in [rendered(&[]), objects(&text("deploy/member.yaml")), objects(&text("deploy/install.yaml"))] {
        for role in of_kind(&objects, "Role").into_iter().chain(of_kind(&objects, "ClusterRole")) {
            let rules = at(role, "/rules").to_string();
            assert!(!rules.contains('*'), "{} has a wildcard: {rules}", role["metadata"]["name"]);
            assert!(
                !rules.contains("escalate") && !rules.contains("bind") && !rules.contains("impersonate"),
                "{rules}"
            );
        }
    }
}

#[test]
fn every_binding_leads_from_the_account_to_a_role_that_is_there() {
    for objects in [
        rendered(&[]),
        rendered(&["--set", "serviceAccount.create=false", "--set", "serviceAccount.name=mine"]),
        objects(&text("deploy/member.yaml")),
    ] {
        for binding in of_kind(&objects, "RoleBinding").into_iter().chain(of_kind(&objects, "ClusterRoleBinding")) {
            let role = at(binding, "/roleRef");
            named(&objects, role["kind"].as_str().unwrap(), role["name"].as_str().unwrap());
            assert_eq!(at(binding, "/subjects/0/kind"), "ServiceAccount");
            let account = at(binding, "/subjects/0/name").as_str().unwrap();
            if account != "mine" {
                named(&objects, "ServiceAccount", account);
            }
        }
    }
}
