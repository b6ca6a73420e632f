//! Members: namespaces of one real API server. Its controllers do not run; the test does their work on what the driver makes.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Pod, ResourceQuota, Secret, Service as KubeService};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Config, Resource, ResourceExt};
use roadstead_api::v1alpha1::{ServingTarget, names};
use roadstead_conformance::faults::{Call, Fault, InjectedRefusal, Service, Way};
use roadstead_conformance::{CallBudget, Conduct, Fixture, Habits, MANY, Oddity, Place};
use roadstead_ground::api_server::ApiServer;
use roadstead_kubernetes::Kubernetes;
use roadstead_provider::Provider;
use roadstead_provider::discreet::Discreet;
use roadstead_runtime::client::client;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::odd;

/// Name of a quota of Deployments, and looks until the API server, which keeps quotas for half a minute, knows of a change.
const QUOTA: &str = "deployments";
const QUOTA_LOOKS: usize = 600;

/// One API server, started with the first member.
#[derive(Default)]
pub struct Members {
    server: OnceCell<ApiServer>,
    count: AtomicUsize,
}

#[async_trait]
impl Fixture for Members {
    fn cannot_play(&self, oddity: Oddity) -> Option<&'static str> {
        match oddity {
            Oddity::QuotaNow | Oddity::NameTaken | Oddity::Degraded => None,
            Oddity::CapacityNow => Some("an API server accepts what no node has room for"),
            Oddity::WrongRegion => Some("no call to an API server names a region"),
            Oddity::Cold => Some("a cluster takes no replicas away by itself"),
            _ => Some(odd::NO_FAKE),
        }
    }

    async fn place(&self, conduct: Conduct) -> anyhow::Result<Box<dyn Place>> {
        let start = || async { tokio::task::spawn_blocking(ApiServer::start).await? };
        let server = self.server.get_or_try_init(start).await?;
        let client = server.client().await?;
        let namespace = format!("member-{}", self.count.fetch_add(1, Ordering::Relaxed));
        let object = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
        Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &object).await?;
        let way = Way::to(ApiCalls { client: client.clone(), conduct }).await?;
        Ok(Box::new(Member { client, namespace, conduct, way, is_degraded: AtomicBool::default() }))
    }
}

/// A namespace, and the way there.
struct Member {
    client: Client,
    namespace: String,
    conduct: Conduct,
    way: Way,
    /// Its replicas are not ready.
    is_degraded: AtomicBool,
}

impl Member {
    fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The work of the deployment controller, the scheduler and the kubelets.
    async fn run(&self, deployment: &Deployment) -> anyhow::Result<()> {
        let (api, name) = (self.api::<Deployment>(), deployment.name_any());
        if deployment.metadata.deletion_timestamp.is_some() {
            let pods = ListParams::default().labels(&format!("{}={name}", names::LABEL_ENDPOINT));
            let at_once = DeleteParams::default().grace_period(0);
            self.api::<Pod>().delete_collection(&at_once, &pods).await?;
            let free = json!({"metadata": {"finalizers": null}});
            return gone_is_fine(api.patch(&name, &PatchParams::default(), &Patch::Merge(free)).await);
        }
        let status = match self.conduct {
            _ if self.is_degraded.load(Ordering::Relaxed) => unready(deployment),
            Conduct::Ordinary | Conduct::Crowded => running(deployment),
            Conduct::LacksQuota => out_of_quota(deployment),
            Conduct::LacksCapacity => {
                self.make_unschedulable_pod(deployment).await?;
                json!({"observedGeneration": deployment.metadata.generation, "replicas": 1, "updatedReplicas": 1})
            }
        };
        let known = serde_json::to_value(&deployment.status)?;
        let same = status
            .as_object()
            .is_some_and(|wanted| wanted.iter().all(|(key, value)| known.get(key).unwrap_or(&json!(0)) == value));
        if same {
            return Ok(());
        }
        let patch = Patch::Merge(json!({"status": status}));
        gone_is_fine(api.patch_status(&name, &PatchParams::default(), &patch).await)
    }

    async fn make_unschedulable_pod(&self, deployment: &Deployment) -> anyhow::Result<()> {
        let api = self.api::<Pod>();
        let name = format!("{}-0", deployment.name_any());
        let labels = deployment.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref()?.labels.clone());
        let pod = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": labels},
            "spec": {"containers": [{"name": "engine", "image": "example.com/vllm:1"}]},
        }))?;
        match api.create(&PostParams::default(), &pod).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let status = json!({"status": {"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        }]}});
        api.patch_status(&name, &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(())
    }

    /// Has a quota admit no Deployment, or any again, and waits until the API server knows of it.
    async fn admit(&self, is_admitted: bool) -> anyhow::Result<()> {
        let api = self.api::<ResourceQuota>();
        if is_admitted {
            gone_is_fine(api.delete(QUOTA, &DeleteParams::default()).await)?;
        } else {
            let none = json!({"count/deployments.apps": "0"});
            let quota = serde_json::from_value(json!({"metadata": {"name": QUOTA}, "spec": {"hard": none}}))?;
            gone_is_fine(api.create(&PostParams::default(), &quota).await)?;
            // The work of the quota controller.
            let status = Patch::Merge(json!({"status": {"hard": none, "used": none}}));
            api.patch_status(QUOTA, &PatchParams::default(), &status).await?;
        }
        let trial = PostParams { dry_run: true, ..PostParams::default() };
        let probe = unmarked("trial")?;
        for _ in 0..QUOTA_LOOKS {
            if self.api::<Deployment>().create(&trial, &probe).await.is_ok() == is_admitted {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("the API server takes no notice of the quota")
    }

    /// The work of the garbage collector: what the Secret of an API key owned goes with it.
    async fn collect<K>(&self, secrets: &[String]) -> anyhow::Result<()>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        for object in self.api::<K>().list(&ListParams::default()).await?.items {
            let owners = object.owner_references();
            if !owners.is_empty() && owners.iter().all(|owner| !secrets.contains(&owner.uid)) {
                let _ = self.api::<K>().delete(&object.name_any(), &DeleteParams::default()).await;
            }
        }
        Ok(())
    }
}

fn gone_is_fine<T>(result: kube::Result<T>) -> anyhow::Result<()> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        result => Ok(result.map(drop)?),
    }
}

/// The status of a Deployment whose replicas all run.
fn running(deployment: &Deployment) -> Value {
    let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    json!({
        "observedGeneration": deployment.metadata.generation, "replicas": replicas, "updatedReplicas": replicas,
        "readyReplicas": replicas, "availableReplicas": replicas,
    })
}

/// The status of a Deployment whose replicas were ready and are no more.
fn unready(deployment: &Deployment) -> Value {
    let mut status = running(deployment);
    (status["readyReplicas"], status["availableReplicas"]) = (json!(0), json!(0));
    status["unavailableReplicas"] = status["replicas"].clone();
    status
}

/// The status of a Deployment whose pods a quota refuses.
fn out_of_quota(deployment: &Deployment) -> Value {
    json!({"observedGeneration": deployment.metadata.generation, "conditions": [{
        "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate",
        "message": "pods \"llama-x\" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: \
                    requests.nvidia.com/gpu=8, limited: requests.nvidia.com/gpu=8",
    }]})
}

#[async_trait]
impl Place for Member {
    fn target(&self) -> ServingTarget {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
            "spec": {
                "cloud": "aws", "region": "eu-west-1", "type": "Kubernetes",
                "kubernetes": {
                    "connection": {"inCluster": {}}, "namespace": self.namespace, "expose": {"type": "ClusterIP"},
                },
                "offers": [{"name": "a3", "instanceType": "i", "accelerator": {"type": "H100", "count": 8},
                            "capacityType": "OnDemand", "hourlyPrice": "88.00"}],
            },
        }))
        .unwrap()
    }

    async fn driver(&self, install_id: &str) -> anyhow::Result<Arc<dyn Provider>> {
        let config = Config::new(format!("http://{}", self.way.address).parse()?);
        let client = client(config, Arc::new(|| true))?;
        Ok(Arc::new(Discreet::new(Kubernetes::new(client, self.namespace.clone(), install_id.to_owned()))))
    }

    fn habits(&self) -> Habits {
        // The objects of the endpoint.
        Habits { budget: CallBudget { observe: 4, ensure: 4 }, ..Habits::default() }
    }

    fn set(&self, fault: Option<Fault>) {
        self.way.set(fault);
    }

    fn calls(&self) -> usize {
        self.way.calls()
    }

    async fn play(&self, oddity: Option<Oddity>) -> anyhow::Result<()> {
        self.is_degraded.store(oddity == Some(Oddity::Degraded), Ordering::Relaxed);
        match oddity {
            None => self.admit(true).await,
            Some(Oddity::QuotaNow) => self.admit(false).await,
            Some(Oddity::Degraded) => Ok(()),
            Some(oddity) => odd::nothing(Some(oddity)),
        }
    }

    async fn work(&self) -> anyhow::Result<()> {
        for deployment in self.api::<Deployment>().list(&ListParams::default()).await?.items {
            self.run(&deployment).await?;
        }
        let secrets = self.api::<Secret>().list(&ListParams::default()).await?.items;
        let uids: Vec<String> = secrets.iter().filter_map(ResourceExt::uid).collect();
        self.collect::<Deployment>(&uids).await?;
        self.collect::<KubeService>(&uids).await?;
        self.collect::<PodDisruptionBudget>(&uids).await?;
        self.collect::<Secret>(&uids).await
    }

    async fn make_foreign(&self, endpoint: &str) -> anyhow::Result<()> {
        Ok(self.api::<Deployment>().create(&PostParams::default(), &unmarked(endpoint)?).await.map(drop)?)
    }

    async fn take_away(&self, endpoint: &str) -> anyhow::Result<()> {
        Ok(self.api::<Deployment>().delete(endpoint, &DeleteParams::background()).await.map(drop)?)
    }

    async fn holds(&self) -> anyhow::Result<Vec<String>> {
        let deployments = self.api::<Deployment>().list(&ListParams::default()).await?;
        Ok(deployments.items.iter().map(ResourceExt::name_any).collect())
    }
}

/// The API server, as its administrator.
struct ApiCalls {
    client: Client,
    conduct: Conduct,
}

impl ApiCalls {
    /// A page of a list of Deployments that has [`MANY`] of them.
    async fn page(&self, parts: Parts) -> anyhow::Result<Response> {
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let asked = |name: &str| {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<usize>().ok())
        };
        let (from, limit) = (asked("continue").unwrap_or(0), asked("limit").unwrap_or(MANY));
        let until = MANY.min(from + limit);
        // Where a watch may begin, only the server knows.
        let request = Request::get(parts.uri.path()).body(kube::client::Body::empty())?;
        let body = self.client.send(request).await?.into_body().collect().await?.to_bytes();
        let mut list: Value = serde_json::from_slice(&body)?;
        list["items"] = (from..until).map(deployment).collect();
        if until < MANY {
            list["metadata"]["continue"] = json!(until.to_string());
        }
        Ok(axum::Json(list).into_response())
    }
}

/// One of many Deployments as the driver makes them.
fn deployment(number: usize) -> Value {
    let served = format!("llama-{number}");
    let name = names::endpoint_name("prod", "team", &served, "east", "one", "OnDemand", 0);
    json!({
        "metadata": {
            "name": name, "namespace": "crowd", "uid": format!("uid-{number}"), "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                names::LABEL_INSTALL_ID: "prod", names::LABEL_NAMESPACE: "team", names::LABEL_DEPLOYMENT: served,
                names::LABEL_ENDPOINT: name,
            },
            "annotations": {
                names::ANNOTATION_TARGET: "east", names::ANNOTATION_OFFER: "a3", names::ANNOTATION_SHAPE: "one",
                names::ANNOTATION_CAPACITY_TYPE: "OnDemand", names::ANNOTATION_SLOT: "0",
            },
        },
        "spec": {"replicas": 1, "selector": {}, "template": {"spec": {"containers": [{"name": "engine", "image": "i"}]}}},
    })
}

/// A Deployment of somebody who knows nothing of Roadstead.
fn unmarked(name: &str) -> serde_json::Result<Deployment> {
    let labels = json!({"app": "theirs"});
    let mut theirs = deployment(0);
    theirs["metadata"] = json!({"name": name});
    theirs["spec"]["selector"] = json!({"matchLabels": labels});
    theirs["spec"]["template"]["metadata"] = json!({"labels": labels});
    serde_json::from_value(theirs)
}

#[async_trait]
impl Service for ApiCalls {
    fn call(&self, request: &Parts) -> Call {
        let (path, query) = (request.uri.path(), request.uri.query().unwrap_or_default());
        let last = path.rsplit('/').next().unwrap_or_default();
        let of_one_endpoint = query.contains("roadstead.dev%2Fendpoint");
        match request.method {
            Method::GET if query.contains("watch=true") => Call::Watch,
            Method::GET if path == "/api/v1/namespaces/kube-system" => Call::Identify,
            _ if path.contains("/configmaps") => Call::Claim,
            Method::GET if ["nodes", "pods", "deployments"].contains(&last) && !of_one_endpoint => Call::List,
            Method::GET => Call::Read,
            Method::POST => Call::Create,
            Method::DELETE => Call::Delete,
            _ => Call::Update,
        }
    }

    fn refusal(&self, refusal: &InjectedRefusal) -> Response {
        let (code, reason, message, details) = match refusal {
            InjectedRefusal::Throttled(after) => {
                let after = after.map(|after| json!({"retryAfterSeconds": after.as_secs()}));
                (429, "TooManyRequests", "too many calls", after.unwrap_or_else(|| json!({})))
            }
            InjectedRefusal::Unauthorized | InjectedRefusal::Expired => {
                (401, "Unauthorized", "Unauthorized", json!({}))
            }
            InjectedRefusal::Unavailable => (503, "ServiceUnavailable", "try again", json!({})),
            InjectedRefusal::Echo(text) => (422, "Invalid", text.as_str(), json!({})),
        };
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
            "message": message, "details": details,
        });
        (StatusCode::from_u16(code).unwrap(), axum::Json(status)).into_response()
    }

    fn of_another_place(&self, answer: Bytes) -> Bytes {
        let mut namespace: Value = serde_json::from_slice(&answer).unwrap();
        namespace["metadata"]["uid"] = json!("another-cluster");
        serde_json::to_vec(&namespace).unwrap().into()
    }

    async fn send(&self, parts: Parts, body: Bytes) -> anyhow::Result<Response> {
        let crowded = self.conduct == Conduct::Crowded && self.call(&parts) == Call::List;
        if crowded && parts.uri.path().ends_with("/deployments") {
            return self.page(parts).await;
        }
        let request = Request::from_parts(parts, kube::client::Body::from(body.to_vec()));
        Ok(self.client.send(request).await?.map(Body::new))
    }
}
