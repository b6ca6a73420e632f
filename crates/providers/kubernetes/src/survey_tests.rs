use std::sync::Arc;

use kube::Config;
use roadstead_model as model;
use serde_json::{Value, json};

use super::*;
use crate::admission::Admissions;
use roadstead_runtime::client::client;

const NAME: &str = "llama-abcdefghijkl";
const TARGET: &str = include_str!("../../../../tests/api/cases/serving_target.base.yaml");
const PRODUCT: &str = "nvidia.com/gpu.product";

/// A wanted Deployment with one argument.
fn wanted(argument: &str, status: &Value) -> Wanted {
    let endpoint = json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
        "metadata": {"name": NAME, "namespace": "team"},
        "spec": {
            "deploymentRef": {"name": "llama", "uid": "u"}, "target": "t", "cloud": "aws", "region": "eu-west-1",
            "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
            "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement",
            "template": {
                "engine": "vllm", "image": "i", "port": 8000, "args": [argument], "model": {"name": "a"},
                "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 1,
            },
        },
        "status": status,
    });
    Wanted {
        endpoint: Arc::new(serde_json::from_value(endpoint).unwrap()),
        target: Arc::new(serde_saphyr::from_str(TARGET).unwrap()),
        api_key: Redacted::new("rs-x".into()),
        secrets: Arc::default(),
    }
}

/// The wanted Deployment on a member with `deployment`.
fn desired(deployment: Option<Deployment>, wanted: &Wanted, inventory: &Inventory) -> Deployment {
    surveyed(deployment, wanted, inventory, |_, desired| desired.deployment)
}

/// The answer about the wanted objects on a member with `deployment`.
fn surveyed<T>(
    deployment: Option<Deployment>,
    wanted: &Wanted,
    inventory: &Inventory,
    ask: impl FnOnce(&Survey, Desired) -> T,
) -> T {
    let config = Config::new("http://127.0.0.1:9".parse().unwrap());
    let client = client(config, Arc::new(|| true)).unwrap();
    let admissions = Admissions::default();
    let member =
        Member { client: &client, namespace: "roadstead", install_id: "prod", admissions: &admissions, identity: "c" };
    let survey = Survey { key: None, copies: BTreeMap::new(), deployment, service: None, budget: None };
    let desired = survey.desired(&member, wanted, Some(inventory)).unwrap();
    ask(&survey, desired)
}

/// A full node with these labels; the endpoint's pod is on it.
fn full_node(labels: &Value) -> Inventory {
    let devices = |count: u32| [("nvidia.com/gpu".to_owned(), count)].into();
    let node = model::Node {
        name: "n".into(),
        labels: serde_json::from_value(labels.clone()).unwrap(),
        taints: Vec::new(),
        schedulable: true,
        allocatable_accelerators: devices(1),
        free_accelerators: devices(0),
        free: model::Resources::default(),
    };
    let bound = [(NAME.to_owned(), [("n".to_owned(), 1)].into())].into();
    Inventory { nodes: Some(vec![node]), bound, ..Inventory::default() }
}

/// A Deployment as a release made it that rendered no affinity.
fn without_affinity(mut deployment: Deployment) -> Deployment {
    let spec = deployment.spec.as_mut().unwrap().template.spec.as_mut().unwrap();
    spec.affinity = None;
    let rendered = serde_json::to_string(&deployment.spec.as_ref().unwrap().template).unwrap();
    deployment.annotations_mut().insert(names::ANNOTATION_TEMPLATE.to_owned(), rendered);
    deployment
}

fn affinity(deployment: &Deployment) -> Option<k8s_openapi::api::core::v1::Affinity> {
    deployment.spec.as_ref().unwrap().template.spec.as_ref().unwrap().affinity.clone()
}

fn surge(deployment: &Deployment) -> Rollout {
    let spec = deployment.spec.clone().unwrap();
    let surge = spec.strategy.unwrap().rolling_update.unwrap().max_surge.unwrap();
    if surge == k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(0) {
        Rollout::InPlace
    } else {
        Rollout::Surge
    }
}

fn shared() -> Value {
    json!({"nvidia.com/gpu.sharing-strategy": "time-slicing"})
}

#[tokio::test]
async fn an_edit_keeps_the_nodes_that_the_endpoint_was_given_by_a_former_release() {
    for labels in [
        shared(),
        json!({PRODUCT: "NVIDIA-H100-80GB-HBM3-SHARED"}),
        json!({PRODUCT: "Tesla-T4"}),
        json!({"nvidia.com/mig.strategy": "single"}),
        json!({"karpenter.sh/capacity-type": "spot"}),
    ] {
        let inventory = full_node(&labels);
        let standing = without_affinity(desired(None, &wanted("--a", &Value::Null), &inventory));
        let edited = desired(Some(standing), &wanted("--b", &Value::Null), &inventory);
        assert_eq!(affinity(&edited), None, "{labels}");
        assert_eq!(surge(&edited), Rollout::InPlace, "{labels}: the new pod takes the place of the old one");
        let again = desired(Some(edited), &wanted("--c", &Value::Null), &inventory);
        assert_eq!(affinity(&again), None, "{labels}");
    }
}

#[tokio::test]
async fn an_edit_ends_no_pod_whose_node_takes_no_new_one() {
    let standing = desired(None, &wanted("--a", &Value::Null), &full_node(&json!({})));
    assert!(affinity(&standing).is_some());
    let edit = |inventory: &Inventory| {
        let edited = desired(Some(standing.clone()), &wanted("--b", &Value::Null), inventory);
        assert_eq!(affinity(&edited), affinity(&standing));
        surge(&edited)
    };
    assert_eq!(edit(&full_node(&json!({}))), Rollout::InPlace);
    for labels in [shared(), json!({PRODUCT: "Tesla-T4"})] {
        assert_eq!(edit(&full_node(&labels)), Rollout::Surge, "{labels}");
    }
    let change = |change: fn(&mut model::Node)| {
        let mut inventory = full_node(&json!({}));
        change(&mut inventory.nodes.as_mut().unwrap()[0]);
        inventory
    };
    assert_eq!(edit(&change(|node| node.schedulable = false)), Rollout::Surge, "cordoned");
    assert_eq!(edit(&change(|node| node.allocatable_accelerators.clear())), Rollout::Surge, "no devices any more");
    let taint = || model::Taint { key: "dedicated".into(), value: String::new(), effect: model::Effect::NoSchedule };
    let mut tainted = full_node(&json!({}));
    tainted.nodes.as_mut().unwrap()[0].taints.push(taint());
    assert_eq!(edit(&tainted), Rollout::Surge, "tainted");

    let mut elsewhere = full_node(&shared());
    elsewhere.bound.get_mut(NAME).unwrap().insert("m".into(), 1);
    elsewhere
        .nodes
        .as_mut()
        .unwrap()
        .push(model::Node { name: "m".into(), ..full_node(&json!({})).nodes.unwrap().remove(0) });
    assert_eq!(edit(&elsewhere), Rollout::InPlace, "one of its nodes takes a new pod");
}

#[tokio::test]
async fn an_edit_in_place_interrupts_an_endpoint_whose_last_replica_it_ends() {
    let full = full_node(&json!({}));
    let standing = desired(None, &wanted("--a", &Value::Null), &full);
    let interrupts = |ready: i32, argument: &str, inventory: &Inventory| {
        let mut standing = standing.clone();
        standing.status = Some(serde_json::from_value(json!({"readyReplicas": ready})).unwrap());
        let ask = |survey: &Survey, desired: Desired| survey.interrupts(&desired);
        surveyed(Some(standing), &wanted(argument, &Value::Null), inventory, ask)
    };
    assert!(interrupts(1, "--b", &full));
    assert!(!interrupts(1, "--a", &full), "the template is the same");
    assert!(!interrupts(2, "--b", &full), "another replica serves");
    assert!(!interrupts(0, "--b", &full), "none serves");
    let mut spare = full_node(&json!({}));
    spare.nodes.as_mut().unwrap()[0].free_accelerators = [("nvidia.com/gpu".to_owned(), 1)].into();
    assert!(!interrupts(1, "--b", &spare), "a new pod starts beside the old one");
}

#[tokio::test]
async fn where_no_pod_is_bound_or_nothing_is_known_an_edit_waits_for_no_spare() {
    let standing = desired(None, &wanted("--a", &Value::Null), &full_node(&json!({})));
    for inventory in [Inventory { bound: BTreeMap::new(), ..full_node(&shared()) }, Inventory::default()] {
        let edited = desired(Some(standing.clone()), &wanted("--b", &Value::Null), &inventory);
        assert_eq!(surge(&edited), Rollout::InPlace);
    }
}

#[tokio::test]
async fn a_template_that_somebody_changed_gives_no_affinity() {
    let inventory = full_node(&json!({}));
    let standing = desired(None, &wanted("--a", &Value::Null), &inventory);
    let digest = render::digest(&standing.annotations()[names::ANNOTATION_TEMPLATE]);
    let status = json!({"templateHash": "former", "templateDigest": digest});
    let edited = desired(Some(without_affinity(standing.clone())), &wanted("--b", &status), &inventory);
    assert_eq!(affinity(&edited), affinity(&standing));

    let kept = without_affinity(standing.clone());
    let digest = render::digest(&kept.annotations()[names::ANNOTATION_TEMPLATE]);
    let status = json!({"templateHash": "former", "templateDigest": digest});
    assert_eq!(affinity(&desired(Some(kept), &wanted("--b", &status), &inventory)), None);
}
