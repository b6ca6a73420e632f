//! Granted rights equal used rights: every rule is listed here as well, so that a new right is a decision.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::helm::{at, objects, of_kind, only, rendered, rendered_gateway, text};
use crate::variants::{VARIANTS, manifests};

/// Rights to tenants' objects.
const TENANTS: [&str; 5] = [
    "roadstead.dev/modeldeployments: get,list,patch,watch",
    "roadstead.dev/inferenceendpoints: create,delete,get,list,patch,watch",
    "roadstead.dev/inferenceendpoints/status,modeldeployments/status: patch",
    "/secrets: create,get",
    "events.k8s.io/events: create",
];
/// Rights to targets, which are cluster-scoped.
const TARGETS: [&str; 2] =
    ["roadstead.dev/servingtargets: list,patch,watch", "roadstead.dev/servingtargets/status: patch"];

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

pub fn granted(role: &Value, expected: &[&str]) {
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
    let everywhere = [&TARGETS[..], &TENANTS, &["/namespaces: get,list,watch"]].concat();
    granted(named(&objects, "ClusterRole", "roadstead"), &everywhere);
    granted(only(&objects, "Role"), &["/secrets: list,watch", "coordination.k8s.io/leases: create,get,update"]);
}

#[test]
fn told_which_namespaces_to_watch_it_may_do_nothing_in_others() {
    let objects = rendered(&["--set", "watchNamespaces={team-a,team-b}"]);
    let cluster =
        [&TARGETS[..], &["/namespaces [kube-system]: get", "/namespaces [team-a,team-b]: list,watch"]].concat();
    granted(named(&objects, "ClusterRole", "roadstead"), &cluster);
    let rights: Vec<(&str, &str, Vec<String>)> = of_kind(&objects, "Role")
        .iter()
        .map(|role| {
            let namespace = at(role, "/metadata/namespace").as_str().unwrap();
            (namespace, at(role, "/metadata/name").as_str().unwrap(), lines(role).into_iter().collect())
        })
        .collect();
    let sorted = |rules: &[&str]| rules.iter().map(ToString::to_string).collect::<BTreeSet<_>>().into_iter().collect();
    assert_eq!(
        rights,
        [
            (
                "roadstead-system",
                "roadstead",
                sorted(&["/secrets: list,watch", "coordination.k8s.io/leases: create,get,update"])
            ),
            ("team-a", "roadstead-watched", sorted(&TENANTS)),
            ("team-b", "roadstead-watched", sorted(&TENANTS)),
            ("default", "roadstead-events", sorted(&["events.k8s.io/events: create"])),
        ]
    );
}

#[test]
fn with_a_gateway_it_writes_routes_in_their_own_namespace() {
    for more in ["", ",watchNamespaces={team-a}"] {
        let values = format!("gateway.enabled=true,gateway.url=https://a.example,gateway.routesNamespace=routes{more}");
        let objects = rendered(&["--set", &values]);
        let role = named(&objects, "Role", "roadstead-routes");
        granted(role, &["/secrets: create,delete,list,patch,watch", "/configmaps: delete,list,watch"]);
        for object in [role, named(&objects, "RoleBinding", "roadstead-routes")] {
            assert_eq!(at(object, "/metadata/namespace"), "routes");
        }
    }
}

#[test]
fn secrets_are_listed_nowhere_but_in_the_operators_own_namespace_and_that_of_the_routes() {
    for (variant, values) in VARIANTS {
        let objects = rendered(values);
        let roles = of_kind(&objects, "Role").into_iter().chain(of_kind(&objects, "ClusterRole"));
        let elsewhere = |role: &&Value| {
            !["roadstead-system", "roadstead-routes"]
                .contains(&role["metadata"]["namespace"].as_str().unwrap_or_default())
        };
        for role in roles.filter(elsewhere) {
            for rule in lines(role).iter().filter(|rule| rule.contains("secrets")) {
                assert_eq!(rule, "/secrets: create,get", "{variant}: {} {}", role["kind"], role["metadata"]["name"]);
            }
        }
    }
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
fn a_hub_grants_a_gateway_elsewhere_what_the_chart_grants_one_on_the_hub() {
    let remote = objects(&text("deploy/gateway-remote.yaml"));
    let chart = rendered_gateway(&[]);
    assert_eq!(only(&remote, "Role")["rules"], only(&chart, "Role")["rules"]);
    for kind in ["Role", "RoleBinding", "ServiceAccount"] {
        assert_eq!(at(only(&remote, kind), "/metadata/namespace"), at(only(&chart, "Role"), "/metadata/namespace"));
    }
    assert_eq!(at(only(&remote, "ServiceAccount"), "/automountServiceAccountToken"), false);
    assert_eq!(remote.len(), 3);
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
fn probes_through_the_api_server_need_one_right_in_the_namespace_of_the_member() {
    let (proxy, member) = (objects(&text("deploy/member-proxy.yaml")), objects(&text("deploy/member.yaml")));
    granted(only(&proxy, "Role"), &["/services/proxy: get"]);
    assert_eq!(at(only(&proxy, "RoleBinding"), "/subjects"), at(only(&member, "RoleBinding"), "/subjects"));
    assert_eq!(at(only(&proxy, "Role"), "/metadata/namespace"), at(only(&member, "Role"), "/metadata/namespace"));
    assert_eq!(proxy.len(), 2);
}

#[test]
fn nothing_is_granted_by_a_wildcard() {
    for (manifest, text) in manifests() {
        let objects = objects(&text);
        for role in of_kind(&objects, "Role").into_iter().chain(of_kind(&objects, "ClusterRole")) {
            let rules = at(role, "/rules").to_string();
            for word in ["*", "escalate", "bind", "impersonate", "nonResourceURLs"] {
                assert!(!rules.contains(word), "{manifest}: {} has {word:?}: {rules}", role["metadata"]["name"]);
            }
        }
    }
}

#[test]
fn every_binding_leads_from_the_account_to_a_role_that_is_there() {
    for (manifest, text) in manifests() {
        let objects = objects(&text);
        for binding in of_kind(&objects, "RoleBinding").into_iter().chain(of_kind(&objects, "ClusterRoleBinding")) {
            let role = at(binding, "/roleRef");
            let at_home = |other: &&Value| {
                other["kind"] != "Role" || other["metadata"]["namespace"] == binding["metadata"]["namespace"]
            };
            let mut roles = of_kind(&objects, role["kind"].as_str().unwrap()).into_iter().filter(at_home);
            assert!(roles.any(|other| other["metadata"]["name"] == role["name"]), "{manifest}: {role}");
            assert_eq!(at(binding, "/subjects/0/kind"), "ServiceAccount");
            let account = at(binding, "/subjects/0/name").as_str().unwrap();
            if account != "mine" {
                named(&objects, "ServiceAccount", account);
            }
        }
    }
}
