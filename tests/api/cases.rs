//! Tables of documents, each judged by the server and by `roadstead validate`'s checker: both must say the same.
//!
//! A case changes the valid object of its kind (a JSON merge patch) and names the faults that follow.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, Request};
use kube::core::Status;
use roadstead_api::check::{CheckVerdict, Checker};
use roadstead_api::schema::all_rules;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::server::{kubectl, server};

const NAMESPACE: &str = "cases";

/// One row of a table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Title of the case.
    #[serde(rename = "case")]
    title: String,
    /// Change of the valid object before it is created, for checks of updates.
    #[serde(default)]
    from: Value,
    /// Change of the valid object.
    change: Value,
    /// The fields that are faulty, each with a part of the message; none if the object is valid.
    #[serde(default)]
    faults: BTreeMap<String, String>,
    /// Checks that find it.
    #[serde(default)]
    seen: Seen,
}

/// Checks that find the faults of a case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Seen {
    /// The server and the checker, and on the same fields.
    #[default]
    ByBoth,
    /// The operator and the checker; the server cannot.
    ByOperator,
    /// The server, when an object that exists is changed.
    OnUpdate,
}

struct Table {
    kind: &'static str,
    path: &'static str,
    base: &'static str,
    cases: &'static str,
}

const TABLES: [Table; 3] = [
    Table {
        kind: "ModelDeployment",
        path: "/apis/roadstead.dev/v1alpha1/namespaces/cases/modeldeployments",
        base: include_str!("cases/model_deployment.base.yaml"),
        cases: include_str!("cases/model_deployment.yaml"),
    },
    Table {
        kind: "ServingTarget",
        path: "/apis/roadstead.dev/v1alpha1/servingtargets",
        base: include_str!("cases/serving_target.base.yaml"),
        cases: include_str!("cases/serving_target.yaml"),
    },
    Table {
        kind: "InferenceEndpoint",
        path: "/apis/roadstead.dev/v1alpha1/namespaces/cases/inferenceendpoints",
        base: include_str!("cases/inference_endpoint.base.yaml"),
        cases: include_str!("cases/inference_endpoint.yaml"),
    },
];

/// A fault as both sides tell it: the field's steps, and the message.
type Faults = Vec<(Vec<String>, String)>;

#[test]
fn the_checker_and_the_server_say_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    kubectl(NAMESPACE);
    let client = runtime.block_on(server().client()).unwrap();
    let checker = Checker::new();
    let mut wrong = Vec::new();
    let mut told = BTreeSet::new();
    for table in &TABLES {
        let base: Value = serde_saphyr::from_str(table.base).unwrap();
        let cases: Vec<Case> = serde_saphyr::from_str(table.cases).unwrap();
        for (index, case) in cases.iter().enumerate() {
            let mut old = base.clone();
            old["metadata"]["name"] = json!(format!("case-{index}"));
            if !case.from.is_null() {
                merge(&mut old, &case.from);
            }
            let mut object = if case.seen == Seen::OnUpdate { old.clone() } else { base.clone() };
            merge(&mut object, &case.change);
            let by_checker = if case.seen == Seen::OnUpdate { None } else { Some(check(&checker, &object)) };
            let by_server = runtime.block_on(judge(&client, table.path, case, &old, &object));
            told.extend(by_server.iter().map(|(_, message)| (table.kind, message.clone())));
            if let Some(complaint) = compare(case, by_checker, by_server) {
                wrong.push(format!("{}: {}: {complaint}", table.kind, case.title));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (kind, rule) in all_rules() {
        let tried = told.iter().any(|(of, message)| *of == kind && message.contains(rule.message));
        assert!(tried, "no case breaks the rule of {kind} at {:?}: {}", rule.at, rule.message);
    }
}

fn compare(case: &Case, by_checker: Option<Faults>, by_server: Faults) -> Option<String> {
    let expected: BTreeSet<Vec<String>> = case.faults.keys().map(|field| steps(field)).collect();
    let accepted = BTreeSet::new();
    let sides = [
        ("checker", by_checker, &expected),
        ("server", Some(by_server), if case.seen == Seen::ByOperator { &accepted } else { &expected }),
    ];
    for (side, faults, expected) in sides {
        let Some(faults) = faults else { continue };
        let fields: BTreeSet<_> = faults.iter().map(|(field, _)| field.clone()).collect();
        let told = |field: &String, part: &String| {
            faults.iter().any(|(found, message)| *found == steps(field) && message.contains(part.as_str()))
        };
        let missing = case.faults.iter().find(|(field, part)| expected.contains(&steps(field)) && !told(field, part));
        if fields != *expected || missing.is_some() {
            return Some(format!("the {side} says {faults:?}"));
        }
    }
    None
}

fn check(checker: &Checker, object: &Value) -> Faults {
    match checker.check(object) {
        CheckVerdict::NotOurs => panic!("not ours: {object}"),
        CheckVerdict::Checked { problems, .. } => {
            problems.into_iter().map(|problem| (steps(&problem.field), problem.message)).collect()
        }
    }
}

/// The server's answer to the creation of the object, or to the change of the old one into it. Nothing is kept.
async fn judge(client: &kube::Client, path: &str, case: &Case, old: &Value, object: &Value) -> Faults {
    let query = "dryRun=All&fieldValidation=Strict";
    let request = |method: Method, uri: String, body: &Value| {
        let request = Request::builder().method(method).uri(uri).header("content-type", "application/json");
        request.body(serde_json::to_vec(body).unwrap()).unwrap()
    };
    let answer: Result<Value, kube::Error> = if case.seen == Seen::OnUpdate {
        let created: Value = client.request(request(Method::POST, path.to_owned(), old)).await.unwrap();
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = created["metadata"]["resourceVersion"].clone();
        let name = created["metadata"]["name"].as_str().unwrap().to_owned();
        let changed = client.request(request(Method::PUT, format!("{path}/{name}?{query}"), &object)).await;
        let _: Value = client.request(request(Method::DELETE, format!("{path}/{name}"), &Value::Null)).await.unwrap();
        changed
    } else {
        client.request(request(Method::POST, format!("{path}?{query}"), object)).await
    };
    match answer {
        Ok(_) => Vec::new(),
        Err(kube::Error::Api(status)) => faults(&status),
        Err(error) => panic!("{}: {error}", case.title),
    }
}

fn faults(status: &Status) -> Faults {
    // Unknown fields are told as one text: strict decoding error: unknown field "spec.a", unknown field "spec.b"
    if status.message.contains("strict decoding error") {
        let fields = status.message.split("unknown field \"").skip(1).filter_map(|rest| rest.split('"').next());
        return fields.map(|field| (steps(field), "unknown field".to_owned())).collect();
    }
    let causes = status.details.as_ref().map(|details| details.causes.clone()).unwrap_or_default();
    assert!(!causes.is_empty(), "{status:?}");
    // The cause without a field says that rules were left out.
    let of_fields = causes.into_iter().filter(|cause| cause.field != "<nil>");
    of_fields.map(|cause| (steps(&cause.field), cause.message)).collect()
}

/// The steps of a path, however the keys of maps and the indices of lists are written.
fn steps(field: &str) -> Vec<String> {
    field.split(['.', '[', ']']).filter(|step| !step.is_empty()).map(ToOwned::to_owned).collect()
}

/// A JSON merge patch (RFC 7386).
fn merge(value: &mut Value, change: &Value) {
    let (Value::Object(fields), Value::Object(changes)) = (&mut *value, change) else {
        *value = change.clone();
        return;
    };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            let field = fields.entry(name.clone()).or_insert(Value::Null);
            if !field.is_object() && change.is_object() {
                *field = json!({});
            }
            merge(field, change);
        }
    }
}
