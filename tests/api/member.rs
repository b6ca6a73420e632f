//! A cluster as a member: what the driver makes there, puts right, leaves alone and takes away. The server is real; its
//! controllers are not running, so nothing makes pods and nothing is collected.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Secret as KubeSecret, Service};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy};
use roadstead_api::v1alpha1::InferenceEndpoint;
use roadstead_kubernetes::Kubernetes;
use roadstead_provider::{ErrorClass, Observation, Redacted, Removal, Site, Wanted, Workload, remove_from};
use serde_json::json;

use crate::server::{kubectl, server, text};

const ENDPOINT: &str = include_str!("cases/inference_endpoint.base.yaml");
const TARGET: &str = include_str!("cases/serving_target.base.yaml");
pub const NAME: &str = "llama-aaaaaaaaaaaa";

/// A member in a namespace of its own, watched.
pub struct Member {
    pub driver: Kubernetes,
    client: kube::Client,
    namespace: &'static str,
}

impl Member {
    pub async fn new(namespace: &'static str) -> Self {
        // Makes the namespace.
        text(kubectl(namespace).args(["get", "namespace", namespace]));
        let client = server().client().await.unwrap();
        let driver = Kubernetes::new(client.clone(), namespace.to_owned(), "test".to_owned());
        driver.identity().await.unwrap();
        driver.watch(Arc::new(|_| {}));
        while driver.inventory().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Self { driver, client, namespace }
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), self.namespace)
    }

    pub async fn in_sync(&self, wanted: &Wanted) -> bool {
        match self.driver.observe(wanted).await.unwrap() {
            Observation::Present(present) => present.in_sync,
            other => panic!("{other:?}"),
        }
    }

    /// The versions of everything of the endpoint.
    pub fn versions(&self) -> String {
        let columns = "custom-columns=K:.kind,N:.metadata.name,V:.metadata.resourceVersion";
        text(kubectl(self.namespace).args(["get", "deploy,svc,pdb,secret", "--no-headers", "-o", columns]))
    }
}

pub fn wanted() -> Wanted {
    let mut endpoint: InferenceEndpoint = serde_saphyr::from_str(ENDPOINT).unwrap();
    endpoint.metadata.namespace = Some("team".to_owned());
    Wanted {
        endpoint: Arc::new(endpoint),
        target: Arc::new(serde_saphyr::from_str(TARGET).unwrap()),
        api_key: Redacted::new(format!("rs-{}", "k".repeat(43))),
        secrets: Arc::new(BTreeMap::new()),
    }
}

#[tokio::test]
async fn a_member_without_the_manifest_is_told_what_is_missing() {
    let driver = Kubernetes::new(server().client().await.unwrap(), "nowhere".to_owned(), "test".to_owned());
    let error = driver.claim("hub", None).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::NotFound);
    assert!(error.message.contains("namespace nowhere") && error.message.contains("member.yaml"), "{error}");
}

#[tokio::test]
async fn an_endpoint_is_made_once_and_its_key_owns_the_rest() {
    let member = Member::new("made-once").await;
    let wanted = wanted();
    assert_eq!(member.driver.observe(&wanted).await.unwrap(), Observation::Absent);
    member.driver.ensure(&wanted).await.unwrap();
    assert!(member.in_sync(&wanted).await);
    let key = member.api::<KubeSecret>().get(&format!("{NAME}-key")).await.unwrap();
    let service = member.api::<Service>().get(NAME).await.unwrap();
    assert_eq!(service.owner_references()[0].uid, key.uid().unwrap());
    let before = member.versions();
    member.driver.ensure(&wanted).await.unwrap();
    assert_eq!(member.versions(), before, "asked again, it wrote again");
    assert_eq!(member.driver.api_key(NAME).await.unwrap(), Some(wanted.api_key));
}

#[tokio::test]
async fn what_somebody_changed_is_put_right_and_what_somebody_added_stays() {
    let member = Member::new("drift").await;
    let wanted = wanted();
    member.driver.ensure(&wanted).await.unwrap();
    let deployments = member.api::<Deployment>();
    let patch = json!({"metadata": {"labels": {"theirs": "yes"}}, "spec": {"replicas": 7}});
    deployments.patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    assert!(!member.in_sync(&wanted).await);
    member.driver.ensure(&wanted).await.unwrap();
    assert!(member.in_sync(&wanted).await);
    let deployment = deployments.get(NAME).await.unwrap();
    assert_eq!(deployment.spec.as_ref().and_then(|spec| spec.replicas), Some(2));
    assert_eq!(deployment.labels().get("theirs").map(String::as_str), Some("yes"));
}

#[tokio::test]
async fn an_object_that_is_not_ours_is_reported_and_untouched() {
    let member = Member::new("foreign").await;
    text(kubectl("foreign").args(["create", "service", "clusterip", NAME, "--tcp=80"]));
    let before = member.versions();
    let wanted = wanted();
    let Observation::Foreign { message } = member.driver.observe(&wanted).await.unwrap() else {
        panic!("it is somebody else's");
    };
    assert!(message.contains(&format!("Service foreign/{NAME}")), "{message}");
    assert_eq!(remove_from(&member.driver, &wanted.endpoint, "").await.unwrap_err().class, ErrorClass::Conflict);
    assert_eq!(member.versions(), before);
}

#[tokio::test]
async fn gone_is_what_the_cluster_where_it_was_made_says_of_everything() {
    let member = Member::new("removed").await;
    let wanted = wanted();
    let pinned = member.driver.identity().await.unwrap();
    member.driver.ensure(&wanted).await.unwrap();
    let step = || remove_from(&member.driver, &wanted.endpoint, &pinned);
    let Removal::InProgress { message } = step().await.unwrap() else { panic!("its Deployment is there") };
    assert!(message.contains("pods are terminating"), "{message}");
    let service = member.api::<Service>().get_opt(NAME).await.unwrap();
    assert!(service.is_some(), "it has its address for as long as pods end");
    // Its pods are gone: what the member's garbage collector says by taking its finalizer off.
    let patch = json!({"metadata": {"finalizers": null}});
    member.api::<Deployment>().patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    assert!(matches!(step().await.unwrap(), Removal::InProgress { .. }), "the others were just asked to go");
    assert_eq!(step().await.unwrap(), Removal::Gone);
    assert_eq!(member.versions(), "");

    let error = remove_from(&member.driver, &wanted.endpoint, "another-cluster").await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.message.contains("where the endpoint was created; ignored"), "{error}");
}

#[tokio::test]
async fn pods_that_somebody_let_outlive_their_deployment_are_not_gone() {
    let member = Member::new("outlived").await;
    let wanted = wanted();
    member.driver.ensure(&wanted).await.unwrap();
    // As its ReplicaSet would make them.
    let pod = |name: &str| -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"roadstead.dev/endpoint": NAME}},
            "spec": {"containers": [{"name": "engine", "image": "vllm:1"}]},
        }))
        .unwrap()
    };
    let pods = member.api::<Pod>();
    for name in ["ended", "serves"] {
        pods.create(&PostParams::default(), &pod(name)).await.unwrap();
    }
    let failed = json!({"status": {"phase": "Failed"}});
    pods.patch_status("ended", &PatchParams::default(), &Patch::Merge(failed)).await.unwrap();
    let orphan = DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    member.api::<Deployment>().delete(NAME, &orphan).await.unwrap();
    let patch = json!({"metadata": {"finalizers": null}});
    member.api::<Deployment>().patch(NAME, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();

    let step = || member.driver.remove(&wanted.endpoint);
    let Removal::InProgress { message } = step().await.unwrap() else { panic!("a pod of it serves") };
    assert!(message.contains("1 still there, such as pod serves"), "{message}");
    assert!(member.driver.api_key(NAME).await.unwrap().is_some(), "it serves with its key");
    pods.delete("serves", &DeleteParams::default().grace_period(0)).await.unwrap();
    assert!(matches!(step().await.unwrap(), Removal::InProgress { .. }), "the others were just asked to go");
    assert_eq!(step().await.unwrap(), Removal::Gone);
}
