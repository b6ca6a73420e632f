//! A null at every optional field, as a template leaves it behind: what any way of applying refuses, the checker refuses.

use http::{Method, Request};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use roadstead_api::check::{CheckVerdict, Checker};
use roadstead_api::schema;
use serde_json::Value;

use crate::server::{kubectl, server};

const NAMESPACE: &str = "nulls";

/// Objects in which every list and map has an entry, so that every field can be reached.
const FULL: [(&str, &str); 2] = [
    (
        "/apis/roadstead.dev/v1alpha1/namespaces/nulls/modeldeployments",
        include_str!("cases/model_deployment.full.yaml"),
    ),
    ("/apis/roadstead.dev/v1alpha1/servingtargets", include_str!("cases/serving_target.full.yaml")),
];

/// The places of all fields below `schema` that `object` reaches.
fn places(schema: &JSONSchemaProps, object: &Value, at: &str, found: &mut Vec<String>) {
    for (name, property) in schema.properties.iter().flatten() {
        let place = format!("{at}/{name}");
        found.push(place.clone());
        if let Some(value) = object.get(name) {
            places(property, value, &place, found);
        }
    }
    if let (Some(values), Some(fields)) = (schema::values(schema), object.as_object()) {
        for (name, value) in fields {
            let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            found.push(place.clone());
            places(values, value, &place, found);
        }
    }
    if let (Some(items), Some(list)) = (schema::items(schema), object.as_array()) {
        for (index, value) in list.iter().enumerate() {
            let place = format!("{at}/{index}");
            found.push(place.clone());
            places(items, value, &place, found);
        }
    }
}

fn with_null(object: &Value, place: &str) -> Value {
    let mut object = object.clone();
    let (parent, name) = place.rsplit_once('/').unwrap();
    match object.pointer_mut(parent).unwrap() {
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = Value::Null,
        parent => parent[name.replace("~1", "/").replace("~0", "~")] = Value::Null,
    }
    object
}

/// True if the server takes `object`, created and applied; and what it said of the first that it does not take.
async fn takes(client: &kube::Client, path: &str, object: &Value) -> Result<(), String> {
    let name = object["metadata"]["name"].as_str().unwrap();
    let created = (Method::POST, format!("{path}?dryRun=All&fieldValidation=Strict"), "application/json");
    let query = "dryRun=All&fieldValidation=Strict&fieldManager=flux&force=true";
    let applied = (Method::PATCH, format!("{path}/{name}?{query}"), "application/apply-patch+yaml");
    for (method, uri, kind) in [created, applied] {
        let request = Request::builder().method(method.clone()).uri(uri).header("content-type", kind);
        let answer = client.request::<Value>(request.body(serde_json::to_vec(object).unwrap()).unwrap()).await;
        answer.map_err(|error| format!("{method}: {error}"))?;
    }
    Ok(())
}

#[test]
fn the_checker_refuses_a_null_where_any_way_of_applying_does() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    kubectl(NAMESPACE);
    let client = runtime.block_on(server().client()).unwrap();
    let checker = Checker::new();
    let mut wrong = Vec::new();
    let mut tried = 0;
    for ((path, full), definition) in FULL.into_iter().zip(schema::definitions()) {
        let full: Value = serde_saphyr::from_str(full).unwrap();
        runtime.block_on(takes(&client, path, &full)).unwrap();
        let spec = schema::root(&definition).unwrap().properties.as_ref().unwrap()["spec"].clone();
        let mut found = vec!["/metadata/labels".to_owned(), "/metadata/annotations".to_owned()];
        places(&spec, &full["spec"], "/spec", &mut found);
        for place in found {
            tried += 1;
            let object = with_null(&full, &place);
            let CheckVerdict::Checked { problems, .. } = checker.check(&object) else { panic!("{object}") };
            let by_server = runtime.block_on(takes(&client, path, &object));
            if by_server.is_ok() != problems.is_empty() {
                wrong.push(format!("{place}: the server says {by_server:?}, the checker {problems:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 100, "{tried} fields");
}
