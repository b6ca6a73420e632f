use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kube::Config;
use roadstead_conformance::request;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::Kubernetes;
use roadstead_provider::Workload;
use roadstead_runtime::client::client;

const NAME: &str = "llama-abcdefghijkl";
/// Path and name of each object on the member.
const DEPLOYMENT: (&str, &str) = ("/apis/apps/v1/namespaces/roadstead/deployments", NAME);
const SERVICE: (&str, &str) = ("/api/v1/namespaces/roadstead/services", NAME);
const BUDGET: (&str, &str) = ("/apis/policy/v1/namespaces/roadstead/poddisruptionbudgets", NAME);
const KEY: (&str, &str) = ("/api/v1/namespaces/roadstead/secrets", "llama-abcdefghijkl-key");
/// Path of pods.
const PODS: &str = "/api/v1/namespaces/roadstead/pods";

/// The copy of the Secret that the endpoint names.
fn copy() -> (&'static str, String) {
    (KEY.0, copied_name(NAME, "settings"))
}

fn path((place, name): (&str, &str)) -> String {
    format!("{place}/{name}")
}

/// Objects of a member, by path; a deletion takes effect at once.
type Objects = Arc<Mutex<BTreeMap<String, Value>>>;

async fn answer(State(objects): State<Objects>, uri: http::Uri, method: http::Method) -> Response {
    if uri.path() == PODS {
        return axum::Json(pods(&objects.lock().unwrap(), uri.query().unwrap_or_default())).into_response();
    }
    let mut objects = objects.lock().unwrap();
    let found =
        if method == http::Method::DELETE { objects.remove(uri.path()) } else { objects.get(uri.path()).cloned() };
    drop(objects);
    let mut parts = uri.path().rsplit('/');
    let (name, kind) = (parts.next().unwrap(), parts.next().unwrap());
    if let Some(object) = found {
        return axum::Json(object).into_response();
    }
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound",
        "message": "not found", "details": {"kind": kind, "name": name},
    });
    (StatusCode::NOT_FOUND, axum::Json(status)).into_response()
}

/// The list of pods that a request's label selects; those that are over are not asked for.
fn pods(objects: &BTreeMap<String, Value>, query: &str) -> Value {
    assert!(query.contains("status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed"), "{query}");
    let selected = |pod: &&Value| {
        let endpoint = pod["metadata"]["labels"][names::LABEL_ENDPOINT].as_str().unwrap();
        query.contains(&format!("labelSelector=roadstead.dev%2Fendpoint%3D{endpoint}"))
    };
    let pods = objects.iter().filter(|(path, _)| path.starts_with(PODS)).map(|(_, pod)| pod).filter(selected);
    json!({
        "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {"resourceVersion": "1"},
        "items": pods.collect::<Vec<_>>(),
    })
}

/// A member with everything of the endpoint, and a driver for it.
struct Member {
    objects: Objects,
    driver: Kubernetes,
    server: JoinHandle<()>,
}

impl Drop for Member {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Member {
    async fn start() -> Self {
        let objects = Objects::default();
        for (place, name) in [DEPLOYMENT, SERVICE, BUDGET, KEY, (copy().0, copy().1.as_str())] {
            objects.lock().unwrap().insert(path((place, name)), object(name, name == KEY.1));
        }
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&objects));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Config::new(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let driver = Kubernetes::new(client(config, Arc::new(|| true)).unwrap(), "roadstead".into(), "prod".into());
        Self { objects, driver, server }
    }

    fn put(&self, object: (&str, &str), value: Value) {
        self.objects.lock().unwrap().insert(path(object), value);
    }

    /// Changes the metadata of an object.
    fn edit(&self, object: (&str, &str), edit: impl Fn(&mut Value)) {
        edit(&mut self.objects.lock().unwrap().get_mut(&path(object)).unwrap()["metadata"]);
    }

    fn has(&self, object: (&str, &str)) -> bool {
        self.objects.lock().unwrap().contains_key(&path(object))
    }

    /// Removes the endpoint step by step until that ends.
    async fn remove(&self, endpoint: &InferenceEndpoint) -> Result<(), ProviderError> {
        for _ in 0..5 {
            if self.driver.remove(endpoint).await? == Removal::Gone {
                return Ok(());
            }
        }
        panic!("it never ends: {:?}", self.objects.lock().unwrap());
    }
}

/// An object as the driver makes it.
fn object(name: &str, owns: bool) -> Value {
    let labels = json!({names::LABEL_INSTALL_ID: "prod", names::LABEL_ENDPOINT: NAME});
    let mut metadata = json!({
        "name": name, "namespace": "roadstead", "labels": labels, "resourceVersion": "1",
        "uid": if owns { "key-uid".to_owned() } else { format!("{name}-uid") },
    });
    if !owns {
        metadata["ownerReferences"] = json!([{"apiVersion": "v1", "kind": "Secret", "name": KEY.1, "uid": "key-uid"}]);
    }
    json!({"metadata": metadata, "data": {names::API_KEY: "cnMtMDEyMw=="}})
}

/// The record of the endpoint; `id` is what it says of the things that were made.
fn record(id: &Value) -> InferenceEndpoint {
    let mut endpoint = request::record(NAME);
    let env = json!([{"name": "A", "secretKeyRef": {"name": "settings", "key": "a"}}]);
    endpoint.spec.template.env = serde_json::from_value(env).unwrap();
    endpoint.status = serde_json::from_value(json!({"externalID": id})).unwrap();
    endpoint
}

fn known() -> Value {
    json!({"clusterUID": "c", "namespace": "roadstead", "uid": format!("{NAME}-uid"), "ownerUID": "key-uid"})
}

/// A record of a release that did not record the owner.
fn known_in_part() -> Value {
    json!({"clusterUID": "c", "namespace": "roadstead", "uid": format!("{NAME}-uid")})
}

fn found() -> model::Found {
    request::found(NAME, &format!("{NAME}-uid"))
}

fn other_installation(metadata: &mut Value) {
    metadata["labels"][names::LABEL_INSTALL_ID] = json!("staging");
}

fn no_label(metadata: &mut Value) {
    metadata["labels"].as_object_mut().unwrap().remove(names::LABEL_INSTALL_ID);
}

fn no_labels(metadata: &mut Value) {
    metadata["labels"] = Value::Null;
}

fn other_endpoint(metadata: &mut Value) {
    metadata["labels"][names::LABEL_ENDPOINT] = json!("other");
}

fn ours_again(metadata: &mut Value) {
    metadata["labels"] = json!({names::LABEL_INSTALL_ID: "prod", names::LABEL_ENDPOINT: NAME});
}

#[tokio::test]
async fn what_carries_our_mark_goes() {
    for id in [known(), known_in_part(), Value::Null] {
        let member = Member::start().await;
        member.remove(&record(&id)).await.unwrap();
        assert!(member.objects.lock().unwrap().is_empty(), "{id}");
    }
}

#[tokio::test]
async fn what_lost_our_mark_is_neither_gone_nor_deleted_and_nor_is_what_owns_it() {
    let copy = copy();
    let copy = (copy.0, copy.1.as_str());
    for (which, object) in [DEPLOYMENT, SERVICE, BUDGET, copy, KEY].into_iter().enumerate() {
        for (how, lose) in [other_installation, no_label, no_labels, other_endpoint].into_iter().enumerate() {
            for id in [known(), known_in_part(), Value::Null] {
                let case = format!("object {which}, change {how}, record {id}");
                let member = Member::start().await;
                member.edit(object, lose);
                let error = member.remove(&record(&id)).await.expect_err(&case);
                assert_eq!(error.class, ErrorClass::Conflict, "{case}");
                assert!(error.message.contains("this operator is \"prod\""), "{case}: {}", error.message);
                assert!(how > 0 || error.message.contains("installation \"staging\""), "{case}: {}", error.message);
                assert!(member.has(object) && member.has(KEY), "{case}");
                assert_eq!(member.has(DEPLOYMENT), object == DEPLOYMENT, "{case}: what costs most is not kept up");
                member.edit(object, ours_again);
                member.remove(&record(&id)).await.expect(&case);
                assert!(member.objects.lock().unwrap().is_empty(), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn what_others_made_under_our_names_keeps_nothing_and_is_left_alone() {
    for object in [DEPLOYMENT, SERVICE, BUDGET, KEY] {
        let member = Member::start().await;
        member.edit(object, |metadata| {
            no_labels(metadata);
            metadata["uid"] = json!("another");
            metadata["ownerReferences"] = Value::Null;
        });
        member.remove(&record(&known())).await.unwrap();
        let left = member.objects.lock().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(left, [path(object)]);
    }
}

#[tokio::test]
async fn a_deployment_that_was_made_again_from_its_manifest_without_our_mark_is_not_gone() {
    let member = Member::start().await;
    member.edit(DEPLOYMENT, |metadata| {
        no_labels(metadata);
        metadata["uid"] = json!("another");
    });
    assert_eq!(member.remove(&record(&known())).await.unwrap_err().class, ErrorClass::Conflict);
    assert!(member.has(KEY));
}

#[tokio::test]
async fn what_was_found_without_a_record_is_removed_by_the_same_rules() {
    for (object, lose) in [DEPLOYMENT, SERVICE, BUDGET, KEY]
        .into_iter()
        .flat_map(|object| [other_installation, no_label, no_labels].into_iter().map(move |lose| (object, lose)))
    {
        let member = Member::start().await;
        member.edit(DEPLOYMENT, |metadata| metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
        member.edit(object, lose);
        let error = member.driver.remove_found(&found()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Conflict, "{object:?}");
        assert!(error.message.contains("this operator is \"prod\""), "{}", error.message);
        assert!(member.has(object) && member.has(DEPLOYMENT), "{object:?}");
    }
}

#[tokio::test]
async fn the_key_of_another_installation_is_not_read() {
    for lose in [other_installation, no_label, no_labels, other_endpoint] {
        let member = Member::start().await;
        member.edit(KEY, lose);
        let error = member.driver.api_key(NAME).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Conflict, "{}", error.message);
    }
}

fn pod(endpoint: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": "p", "namespace": "roadstead", "labels": {names::LABEL_ENDPOINT: endpoint}},
    })
}

#[tokio::test]
async fn pods_that_outlive_their_deployment_keep_the_endpoint_from_being_gone() {
    let member = Member::start().await;
    let record = record(&known());
    for name in ["p-1", "p-2"] {
        member.put((PODS, name), pod(NAME));
        member.edit((PODS, name), |metadata| metadata["name"] = json!(name));
    }
    member.objects.lock().unwrap().remove(&path(DEPLOYMENT));
    for _ in 0..3 {
        let Removal::InProgress { message } = member.driver.remove(&record).await.unwrap() else {
            panic!("its pods run and cost");
        };
        let told = [
            "2 still there, such as pod p-1",
            "kubectl -n roadstead delete replicasets,pods -l roadstead.dev/endpoint=llama-abcdefghijkl",
        ];
        assert!(told.iter().all(|part| message.contains(part)), "{message}");
        assert!(matches!(member.driver.remove_found(&found()).await.unwrap(), Removal::InProgress { .. }));
        assert!(member.has(KEY) && member.has(SERVICE), "they still serve by these");
    }
    for name in ["p-1", "p-2"] {
        member.edit((PODS, name), |metadata| metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z"));
    }
    let ending = Removal::InProgress { message: format!("pods of Deployment {NAME} are terminating") };
    assert_eq!(member.driver.remove(&record).await.unwrap(), ending);
    member.objects.lock().unwrap().retain(|path, _| !path.starts_with(PODS));
    member.remove(&record).await.unwrap();
    assert!(member.objects.lock().unwrap().is_empty());
}

#[tokio::test]
async fn pods_of_other_endpoints_keep_nothing() {
    let member = Member::start().await;
    member.put((PODS, "p"), pod("llama-zzzzzzzzzzzz"));
    member.remove(&record(&known())).await.unwrap();
    assert!(!member.has(KEY) && member.has((PODS, "p")));
}
