use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use kube::{Client, Config};
use roadstead_api::v1alpha1::InferenceEndpoint;
use roadstead_model::{Accelerator, CapacityType, Found};
use roadstead_provider::record::Record;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::admission::Admissions;
use crate::found::found;
use roadstead_runtime::client::client;

const TARGET: &str = include_str!("../../../../tests/api/cases/serving_target.base.yaml");
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/roadstead/deployments";

/// Objects of a member by path, and the writes that it received: method, path and body.
#[derive(Default)]
struct Seen {
    objects: BTreeMap<String, Value>,
    writes: Vec<(String, String, Value)>,
}

type Shared = Arc<Mutex<Seen>>;

/// Stores what is created or applied, as a server without admission does.
async fn answer(State(state): State<Shared>, uri: http::Uri, method: http::Method, body: Bytes) -> Response {
    let mut state = state.lock().unwrap();
    let path = uri.path().to_owned();
    if method == http::Method::GET {
        let missing = || {
            let (kind, name) =
                path.rsplit_once('/').map(|(rest, name)| (rest.rsplit('/').next().unwrap(), name)).unwrap();
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound",
                "message": "not found", "details": {"kind": kind, "name": name},
            });
            (StatusCode::NOT_FOUND, axum::Json(status)).into_response()
        };
        return state.objects.get(&path).map_or_else(missing, |object| axum::Json(object.clone()).into_response());
    }
    let mut object: Value = serde_json::from_slice(&body).unwrap();
    state.writes.push((method.to_string(), path.clone(), object.clone()));
    let name = object["metadata"]["name"].as_str().unwrap().to_owned();
    let path = if method == http::Method::POST { format!("{path}/{name}") } else { path };
    object["metadata"]["uid"] = json!(format!("{name}-uid"));
    object["metadata"]["resourceVersion"] = json!(state.writes.len().to_string());
    object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    state.objects.insert(path, object.clone());
    axum::Json(object).into_response()
}

/// A member without objects.
struct Place {
    state: Shared,
    client: Client,
    server: JoinHandle<()>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Place {
    async fn start() -> Self {
        let state = Shared::default();
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Config::new(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { state, client: client(config, Arc::new(|| true)).unwrap(), server }
    }

    /// Ensures an endpoint from a hub that has just started; returns the writes that it needed.
    async fn ensure(&self, wanted: &Wanted) -> Vec<(String, String, Value)> {
        let (client, admissions) = (&self.client, &Admissions::default());
        let member = Member { client, namespace: "roadstead", install_id: "prod", admissions, identity: "c" };
        self.state.lock().unwrap().writes.clear();
        let survey = Box::pin(Survey::take(&member, wanted)).await.unwrap();
        Box::pin(survey.put_right(&member, wanted, None)).await.unwrap();
        self.state.lock().unwrap().writes.clone()
    }

    fn deployment(&self, name: &str) -> Deployment {
        let object = self.state.lock().unwrap().objects[&format!("{DEPLOYMENTS}/{name}")].clone();
        serde_json::from_value(object).unwrap()
    }
}

fn name() -> String {
    names::endpoint_name("prod", "team", "llama", "east", "h100x2", "Reserved", 3)
}

/// An endpoint as the hub asks for it, with a change of its spec.
fn wanted(uid: &str, change: &Value) -> Wanted {
    let mut endpoint = json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
        "metadata": {"name": name(), "namespace": "team", "uid": format!("{uid}-endpoint")},
        "spec": {
            "deploymentRef": {"name": "llama", "uid": uid}, "target": "east", "cloud": "aws", "region": "eu-west-1",
            "offer": "a3", "shape": "h100x2",
            "accelerator": {"type": "H100", "count": 2, "resourceName": "nvidia.com/gpu"},
            "capacityType": "Reserved", "slot": 3, "replicas": 2, "reason": "InitialPlacement",
            "imagePullSecrets": [{"name": "registry"}],
            "template": {
                "engine": "vllm", "image": "vllm/vllm-openai:v0.20.0", "port": 8000, "args": ["--max-model-len=1"],
                "model": {"name": "llama"}, "nodes": {"selector": {"pool": "a3"}},
                "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 1,
            },
        },
    });
    for (field, value) in change.as_object().unwrap() {
        endpoint["spec"][field] = value.clone();
    }
    Wanted {
        endpoint: Arc::new(serde_json::from_value(endpoint).unwrap()),
        target: Arc::new(serde_saphyr::from_str(TARGET).unwrap()),
        api_key: Redacted::new("rs-x".into()),
        secrets: Arc::default(),
    }
}

/// The endpoint that a rebuilt hub makes of what it found.
fn adopted(found: &Found) -> Wanted {
    let record: Record = serde_json::from_str(&found.runs.as_ref().unwrap().record).unwrap();
    let wanted = wanted("rebuilt", &json!({"reason": "Adopted"}));
    let mut endpoint = InferenceEndpoint::clone(&wanted.endpoint);
    endpoint.spec.replicas = i32::try_from(found.replicas).unwrap();
    endpoint.spec.accelerator = record.accelerator;
    endpoint.spec.template = record.template;
    endpoint.spec.image_pull_secrets = record.image_pull_secrets;
    Wanted { endpoint: Arc::new(endpoint), ..wanted }
}

fn template(deployment: &Deployment) -> Value {
    serde_json::to_value(&deployment.spec.as_ref().unwrap().template).unwrap()
}

#[tokio::test]
async fn what_a_hub_rendered_is_found_as_it_runs() {
    let place = Place::start().await;
    let made = wanted("first", &json!({}));
    place.ensure(&made).await;
    let found = found(&place.deployment(&name())).unwrap();
    let tags = (found.target.as_str(), found.offer.as_str(), found.shape.as_str(), found.capacity_type, found.slot);
    assert_eq!(tags, ("east", "a3", "h100x2", CapacityType::Reserved, 3));
    assert_eq!((found.name.clone(), found.deployment.to_string()), (name(), "team/llama".to_owned()));
    assert_eq!((found.accelerators, found.replicas, found.ready_replicas), (2, 2, 0));
    let runs = found.runs.as_ref().unwrap();
    assert_eq!(runs.accelerator, Accelerator { kind: "H100".into(), count: 2 });
    assert_eq!((runs.resource_name.as_str(), runs.engine.as_str()), ("nvidia.com/gpu", "vllm"));
    let record: Record = serde_json::from_str(&runs.record).unwrap();
    assert_eq!(record.template, made.endpoint.spec.template);
    assert_eq!(record.image_pull_secrets, made.endpoint.spec.image_pull_secrets);
}

#[tokio::test]
async fn an_adopted_endpoint_keeps_its_pods() {
    let place = Place::start().await;
    place.ensure(&wanted("first", &json!({}))).await;
    let before = place.deployment(&name());
    let adopted = adopted(&found(&before).unwrap());
    let writes = place.ensure(&adopted).await;
    assert!(writes.iter().all(|(method, ..)| method == "PATCH"), "nothing is made again: {writes:?}");
    let path = format!("{DEPLOYMENTS}/{}", name());
    let sent: Vec<&Value> = writes.iter().filter(|(_, at, _)| *at == path).map(|(.., body)| body).collect();
    assert_eq!(sent.len(), 1, "the tag of the deployment's UID: {writes:?}");
    assert_eq!(sent[0]["spec"]["template"], template(&before));
    assert_eq!(template(&place.deployment(&name())), template(&before));
    let hash = |deployment: &Deployment| deployment.annotations()[names::ANNOTATION_TEMPLATE_HASH].clone();
    assert_eq!(hash(&place.deployment(&name())), hash(&before));
    assert_eq!(place.ensure(&adopted).await, [], "the next look changes nothing");
}

#[tokio::test]
async fn an_edit_after_the_adoption_reaches_the_pods() {
    let place = Place::start().await;
    place.ensure(&wanted("first", &json!({}))).await;
    let before = place.deployment(&name());
    let mut edited = adopted(&found(&before).unwrap());
    let mut endpoint = InferenceEndpoint::clone(&edited.endpoint);
    endpoint.spec.template.args = vec!["--max-model-len=2".to_owned()];
    edited.endpoint = Arc::new(endpoint);
    place.ensure(&edited).await;
    assert_ne!(template(&place.deployment(&name())), template(&before));
}
