//! A found endpoint is recorded as it runs, whatever the file contains now.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roadstead_model::{self as model, EndpointState, Found, Plan};
use roadstead_planner as planner;
use serde_json::{Value, json};

use super::{Planned, adoption, build};
use crate::controller::convert;
use crate::controller::test_context::context;
use roadstead_api::v1alpha1::{Dollars, InferenceEndpoint, InferenceEndpointSpec, ModelDeployment, ServingTarget};
use roadstead_provider::record;
use roadstead_provider::template_hash::template_hash;

/// A deployment with a change of its serving part.
fn deployment(serving: &Value) -> ModelDeployment {
    let mut object = json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": "llama", "namespace": "team", "uid": "u", "generation": 1},
        "spec": {
            "model": {"source": "hf://a/b", "credentialsSecretRef": {"name": "hf"}},
            "serving": {
                "engine": "vllm", "image": "a:1", "args": ["--max-model-len=4096"],
                "env": [{"name": "A", "value": "b"}, {"name": "T", "secretKeyRef": {"name": "s", "key": "k"}}],
                "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 2}, "args": ["--tensor-parallel-size=2"]}],
            },
        },
    });
    for (field, value) in serving.as_object().unwrap() {
        object["spec"]["serving"][field] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn planned(object: ModelDeployment) -> Planned {
    let request = convert::deployment(&object, BTreeMap::new()).unwrap();
    let plan: Plan = planner::plan(&planner::Fleet::new(), &request, model::Timestamp(0));
    Planned { object: Arc::new(object), request, plan, outdated: false, known: BTreeSet::new() }
}

/// The form of an endpoint as it is left with it at its place.
fn left_with(spec: &InferenceEndpointSpec) -> Option<model::Runs> {
    record::runs(&record::record(spec).unwrap().unwrap())
}

/// The record of an endpoint that was made for the unedited deployment, and what a place shows of it.
fn made() -> (InferenceEndpointSpec, Found) {
    let context = with_target();
    let planned = planned(deployment(&json!({})));
    let placement = model::Placement {
        target: "east".to_owned(),
        offer: "o".to_owned(),
        shape: "s".to_owned(),
        accelerator: model::Accelerator { kind: "H100".to_owned(), count: 2 },
        capacity_type: model::CapacityType::OnDemand,
        slot: 0,
        replicas: 3,
        replica_cost: None,
        hourly_cost: None,
    };
    let record = build::new(&context, &planned, &placement, None, "InitialPlacement").unwrap();
    let found = Found {
        name: record.metadata.name.clone().unwrap(),
        id: "uid".to_owned(),
        deployment: planned.request.id.clone(),
        target: placement.target,
        offer: placement.offer,
        shape: placement.shape,
        capacity_type: placement.capacity_type,
        slot: 0,
        accelerators: 2,
        replicas: 3,
        ready_replicas: 3,
        created_at: model::Timestamp(0),
        runs: left_with(&record.spec),
    };
    (record.spec, found)
}

fn with_target() -> Arc<crate::controller::context::Context> {
    let context = context();
    let target: ServingTarget = serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget",
        "metadata": {"name": "east", "resourceVersion": "1"},
        "spec": {
            "cloud": "aws", "region": "us-east-1", "type": "Kubernetes", "allowedNamespaces": {},
            "offers": [{"name": "o", "instanceType": "i", "accelerator": {"type": "H100", "count": 8},
                        "capacityType": "OnDemand", "hourlyPrice": "40.00"}],
        },
    }))
    .unwrap();
    context.caches.targets.apply(target);
    context
}

fn adopted(object: ModelDeployment, found: &Found) -> InferenceEndpoint {
    adoption::record(&with_target(), &planned(object), found, EndpointState::Active).unwrap()
}

/// The hash from which a driver sees whether pods have to be made anew.
fn hash(spec: &InferenceEndpointSpec) -> String {
    template_hash(spec, &BTreeMap::new()).unwrap()
}

#[tokio::test]
async fn whatever_the_file_says_by_now_the_record_is_of_what_runs() {
    let other = json!([{"name": "t", "accelerator": {"type": "H100", "count": 4}}]);
    let larger = json!([{"name": "s", "accelerator": {"type": "H100", "count": 4}}]);
    let (record, found) = made();
    for edit in [
        json!({}),
        json!({"engine": "custom", "custom": {}}),
        json!({"shapes": larger}),
        json!({"shapes": other}),
        json!({"image": "a:2"}),
        json!({"args": [], "port": 9000, "resources": {"requests": {"memory": "900Gi"}}}),
    ] {
        let adopted = adopted(deployment(&edit), &found);
        assert_eq!(adopted.spec.template, record.template, "{edit}");
        assert_eq!(adopted.spec.accelerator, record.accelerator, "{edit}");
        assert_eq!(hash(&adopted.spec), hash(&record), "{edit}: its pods would restart");
        assert_eq!((adopted.spec.replicas, adopted.spec.reason.as_str()), (3, "Adopted"));
        assert_eq!(
            adopted.spec.hourly_cost.as_ref().map(Dollars::as_str),
            Some("30.00"),
            "six of eight accelerators for $40.00"
        );
    }
}

#[tokio::test]
async fn an_offer_that_is_gone_keeps_nothing_from_being_adopted() {
    let (mut record, mut found) = made();
    found.offer = "gone".to_owned();
    record.accelerator.type_ = "unknown".to_owned();
    record.instance.as_mut().unwrap().type_ = "former".to_owned();
    found.runs = left_with(&record);
    let adopted = adopted(deployment(&json!({})), &found);
    assert_eq!(adopted.spec.instance, record.instance, "its place would be asked for another instance");
    assert_eq!((adopted.spec.offer.as_str(), adopted.spec.hourly_cost), ("gone", None));
    assert_eq!(adopted.spec.accelerator.resource_name, "nvidia.com/gpu");
}

#[tokio::test]
async fn a_place_cannot_have_secrets_copied_to_it_that_the_deployment_does_not_name() {
    let (mut forged, mut found) = made();
    let stolen = json!({"name": "X", "secretKeyRef": {"name": "bank", "key": "pin"}});
    forged.template.env.push(serde_json::from_value(stolen).unwrap());
    let bank = || serde_json::from_value(json!({"name": "bank"})).unwrap();
    forged.template.model.credentials_secret_ref = Some(bank());
    forged.image_pull_secrets = vec![bank()];
    found.runs = left_with(&forged);
    let adopted = adopted(deployment(&json!({})), &found);
    assert_eq!(adopted.spec.secret_names(), BTreeSet::from(["s".to_owned()]));
}

#[tokio::test]
async fn what_no_record_can_hold_is_not_believed() {
    let (record, found) = made();
    let with = |change: fn(&mut InferenceEndpointSpec)| {
        let mut forged = record.clone();
        change(&mut forged);
        record::record(&forged).unwrap().unwrap()
    };
    let bad = [
        String::new(),
        "{}".to_owned(),
        "null".to_owned(),
        with(|forged| forged.template.port = 0),
        with(|forged| forged.template.image = "x".repeat(600)),
        with(|forged| forged.accelerator.count = -1),
    ];
    for text in bad {
        let mut forged = found.clone();
        forged.runs.as_mut().unwrap().record = text.as_str().into();
        let adopted = adopted(deployment(&json!({"image": "a:2"})), &forged);
        assert_eq!(adopted.spec.template.image, "a:2", "as the spec has it: {text}");
    }
}

#[tokio::test]
async fn what_a_former_release_made_is_adopted_as_the_spec_has_it_with_the_accelerators_that_it_has() {
    let (_, mut found) = made();
    found.runs = None;
    found.accelerators = 4;
    let adopted = adopted(deployment(&json!({})), &found);
    assert_eq!(adopted.spec.accelerator.count, 4, "else its place would be thought to have room");
}
