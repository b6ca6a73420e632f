use std::sync::Arc;

use roadstead_api::v1alpha1::ServingTarget;
use roadstead_conformance::request::{record, request};
use serde_json::{Value, json};

use super::*;
use crate::form::form;
use crate::place::VertexPlace;

const NOW: Timestamp = Timestamp(1_796_090_000);

fn target() -> ServingTarget {
    serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
        "spec": {
            "cloud": "gcp", "region": "europe-west4", "type": "VertexAI",
            "vertexAI": {"project": "acme-models", "imageMirrors": [{"source": "example.com/", "mirror": "gcr.io/acme/"}]},
            "offers": [{"name": "a3", "instanceType": "a3-highgpu-1g", "accelerator": {"type": "H100", "count": 1},
                        "capacityType": "OnDemand", "hourlyPrice": "11.00"}],
        },
    }))
    .unwrap()
}

fn wanted_form(args: &[&str]) -> VertexForm {
    let mut endpoint = record("llama-ifozqn2uokcb");
    endpoint.spec.template.args = args.iter().map(|arg| (*arg).to_owned()).collect();
    let place = VertexPlace { project: "acme-models".to_owned(), location: "europe-west4".to_owned(), endpoint: None };
    form(&place, "prod", &request(endpoint, &target())).unwrap()
}

/// An endpoint with these models: name, replicas, available ones.
fn view(form: &VertexForm, models: &[(&str, i32, i32)]) -> VertexView {
    let deployed = |(at, (model, replicas, available)): (usize, &(&str, i32, i32))| {
        json!({"id": at.to_string(), "model": format!("projects/1/locations/europe-west4/models/{model}@1"),
               "dedicatedResources": {"minReplicaCount": replicas, "maxReplicaCount": replicas},
               "status": {"availableReplicaCount": available}})
    };
    let models: Value = models.iter().enumerate().map(deployed).collect();
    serde_json::from_value(json!({
        "name": "projects/1/locations/europe-west4/endpoints/llama-ifozqn2uokcb", "labels": form.labels,
        "deployedModels": models, "createTime": "2026-12-01T01:02:03.004Z",
    }))
    .unwrap()
}

fn operation(kind: &str, ago: i64, error: Option<&str>, done: bool) -> OperationView {
    let begin = k8s_time(NOW.0 - ago);
    let metadata = json!({"@type": format!("type.googleapis.com/google.cloud.aiplatform.v1.{kind}OperationMetadata"),
                          "genericMetadata": {"createTime": begin}});
    let error = error.map(|message| json!({"code": 8, "message": message}));
    serde_json::from_value(json!({"done": done, "error": error, "metadata": metadata})).unwrap()
}

fn k8s_time(second: i64) -> String {
    jiff::Timestamp::from_second(second).unwrap().to_string()
}

struct Scene {
    form: Arc<VertexForm>,
    view: VertexView,
    operations: Vec<OperationView>,
}

impl Scene {
    fn new(models: &[(&str, i32, i32)]) -> Self {
        let form = Arc::new(wanted_form(&["--max-model-len=1"]));
        let own = form.model.clone();
        let models: Vec<(&str, i32, i32)> =
            models.iter().map(|(model, a, b)| (if *model == "own" { own.as_str() } else { *model }, *a, *b)).collect();
        Self { view: view(&form, &models), form, operations: Vec::new() }
    }

    /// The same with an attempt that began so many seconds ago, and these operations.
    fn attempted(mut self, ago: i64, operations: Vec<OperationView>) -> Self {
        let reading = VertexReading { now: Timestamp(NOW.0 - ago), ..self.reading() };
        self.view.labels = reading.labels_of_attempt();
        self.operations = operations;
        self
    }

    fn reading(&self) -> VertexReading<'_> {
        VertexReading { view: &self.view, operations: &self.operations, form: &self.form, now: NOW }
    }
}

#[test]
fn an_endpoint_is_deployed_scaled_and_its_former_form_retired() {
    assert_eq!(Scene::new(&[]).reading().due(), VertexStep::Deploy);
    assert_eq!(Scene::new(&[("former", 1, 1)]).reading().due(), VertexStep::Deploy);
    assert_eq!(Scene::new(&[("own", 2, 2)]).reading().due(), VertexStep::Scale);
    assert_eq!(Scene::new(&[("former", 1, 1), ("own", 1, 1)]).reading().due(), VertexStep::Retire("0".to_owned()));
    let mut scene = Scene::new(&[("own", 1, 1)]);
    assert_eq!((scene.reading().due(), scene.reading().progress()), (VertexStep::Nothing, Progress::Serving));
    scene.view.labels.remove("roadstead-record-0");
    assert_eq!(scene.reading().due(), VertexStep::Label);
}

#[test]
fn a_change_under_way_is_waited_for() {
    let running = || vec![operation("DeployModel", 10, None, false)];
    let ours = Scene::new(&[]).attempted(11, running());
    assert_eq!(ours.reading().due(), VertexStep::Nothing);
    assert!(matches!(ours.reading().progress(), Progress::Starting { .. }));
    let others = Scene { operations: running(), ..Scene::new(&[("former", 1, 1)]) };
    assert_eq!(others.reading().due(), VertexStep::Wait);
    let creation = vec![operation("CreateEndpoint", 10, None, false)];
    assert_eq!(Scene::new(&[]).attempted(11, creation).reading().due(), VertexStep::Deploy);
}

#[test]
fn a_first_deployment_that_failed_is_trouble_and_left_to_the_core() {
    let failed = vec![operation("DeployModel", 400, Some("out of capacity"), true)];
    let scene = Scene::new(&[]).attempted(401, failed);
    assert_eq!(scene.reading().due(), VertexStep::Nothing);
    assert_eq!(scene.reading().failed_at_first().map(|error| error.message.as_str()), Some("out of capacity"));
}

#[test]
fn a_change_that_failed_is_tried_again_after_half_an_hour() {
    let failed = |ago| vec![operation("DeployModel", ago, Some("no"), true)];
    let lately = Scene::new(&[("former", 1, 1)]).attempted(401, failed(400));
    assert!(matches!(lately.reading().due(), VertexStep::Failed(error) if error.message == "no"));
    assert!(lately.reading().failed_at_first().is_none());
    let long_ago = Scene::new(&[("former", 1, 1)]).attempted(1901, failed(1900));
    assert_eq!(long_ago.reading().due(), VertexStep::Deploy);
}

#[test]
fn the_failure_of_another_change_counts_for_nothing() {
    let failed = vec![operation("DeployModel", 400, Some("no"), true)];
    // The attempt came later than the operation that failed.
    let scene = Scene::new(&[("former", 1, 1)]).attempted(10, failed.clone());
    assert_eq!(scene.reading().due(), VertexStep::Deploy);
    // The attempt was for another form.
    let mut scene = Scene::new(&[]).attempted(401, failed);
    scene.form = Arc::new(wanted_form(&["--max-model-len=2"]));
    assert_eq!((scene.reading().due(), scene.reading().failed_at_first()), (VertexStep::Deploy, None));
}

#[test]
fn an_endpoint_at_rest_shows_it_by_itself() {
    let scene = |models: &[(&str, i32, i32)]| {
        let scene = Scene::new(models);
        is_at_rest(&scene.view, &scene.form)
    };
    assert!(scene(&[("own", 1, 1)]));
    let mut silent = Scene::new(&[("own", 1, 0)]);
    silent.view.deployed_models[0].status = None;
    assert!(is_at_rest(&silent.view, &silent.form), "the service says nothing of its replicas");
    for other in [&[][..], &[("own", 1, 0)], &[("own", 2, 2)], &[("former", 1, 1)], &[("own", 1, 1), ("former", 1, 1)]]
    {
        assert!(!scene(other), "{other:?}");
    }
}
