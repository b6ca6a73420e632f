use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::cloud;
use roadstead_api::v1alpha1::ServingTarget;
use roadstead_runtime::clock::Clock;

/// A cloud that runs until this is dropped.
struct Cloud {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Cloud {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async move { cloud::serve(listener, None, Clock::system(), std::future::pending()).await.unwrap() };
        Self { address, server: tokio::spawn(serve) }
    }

    /// The driver of an installation for the one place.
    async fn driver(&self, install_id: &str) -> Simulated {
        let address = format!("http://{}", self.address).parse().unwrap();
        let gate: WriteGate = Arc::new(|| true);
        let driver = Simulated::new(address, "east".into(), install_id.into(), Profile::default(), gate);
        driver.identity().await.unwrap();
        driver
    }
}

fn wanted() -> Wanted {
    let target: ServingTarget = serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": "east"},
        "spec": {"cloud": "aws", "region": "eu-west-1", "type": "Simulated", "offers": []},
    }))
    .unwrap();
    let endpoint: InferenceEndpoint = serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
        "metadata": {"name": "llama-abcdefghijkl", "namespace": "team"},
        "spec": {
            "deploymentRef": {"name": "llama", "uid": "u"}, "target": "east", "cloud": "aws", "region": "eu-west-1",
            "offer": "o", "shape": "s", "accelerator": {"type": "H100", "count": 1, "resourceName": "nvidia.com/gpu"},
            "capacityType": "OnDemand", "slot": 0, "replicas": 1, "reason": "InitialPlacement",
            "template": {
                "engine": "vllm", "image": "i", "port": 8000, "model": {"name": "a"}, "startupTimeoutSeconds": 60,
                "drainTimeoutSeconds": 1,
            },
        },
    }))
    .unwrap();
    Wanted {
        endpoint: Arc::new(endpoint),
        target: Arc::new(target),
        api_key: Redacted::new(format!("{}{}", names::API_KEY_PREFIX, "k".repeat(43))),
        secrets: Arc::new(BTreeMap::new()),
    }
}

/// The record of an endpoint that was seen.
fn recorded(wanted: &Wanted, uid: &str) -> InferenceEndpoint {
    let mut endpoint = wanted.endpoint.as_ref().clone();
    let external_id =
        ExternalId { cluster_uid: "c".into(), namespace: "east".into(), uid: uid.into(), owner_uid: None };
    endpoint.status =
        Some(roadstead_api::v1alpha1::InferenceEndpointStatus { external_id: Some(external_id), ..Default::default() });
    endpoint
}

fn says_both(error: &ProviderError) {
    assert_eq!(error.class, ErrorClass::Conflict, "{error}");
    assert!(error.message.contains("installation \"prod\"") && error.message.contains("is \"staging\""), "{error}");
}

#[tokio::test]
async fn what_another_installation_made_is_a_conflict_to_every_call_and_gone_to_none() {
    let cloud = Cloud::start().await;
    let (prod, staging) = (cloud.driver("prod").await, cloud.driver("staging").await);
    let wanted = wanted();
    let name = wanted.endpoint.name_any();
    prod.apply(&wanted).await.unwrap();
    let Observation::Present(present) = prod.observe(&wanted).await.unwrap() else { panic!("it is not there") };
    let uid = present.external_id.uid;

    let Observation::Foreign { message } = staging.observe(&wanted).await.unwrap() else { panic!("not foreign") };
    says_both(&ProviderError::new(ErrorClass::Conflict, message));
    says_both(&staging.apply(&wanted).await.unwrap_err());
    says_both(&staging.api_key(&name).await.unwrap_err());
    says_both(&staging.remove(&recorded(&wanted, &uid)).await.unwrap_err());
    says_both(&staging.remove(&wanted.endpoint).await.unwrap_err());
    let found = model::Found {
        name: name.clone(),
        id: uid.clone(),
        deployment: model::DeploymentId { namespace: "team".into(), name: "llama".into() },
        target: "east".into(),
        offer: "o".into(),
        shape: "s".into(),
        capacity_type: model::CapacityType::OnDemand,
        slot: 0,
        accelerators: 1,
        replicas: 1,
        ready_replicas: 1,
        runs: None,
        created_at: model::Timestamp::default(),
    };
    says_both(&staging.remove_found(&found).await.unwrap_err());
    assert!(matches!(prod.observe(&wanted).await.unwrap(), Observation::Present(_)), "it was touched");

    assert_eq!(staging.remove(&recorded(&wanted, "another")).await.unwrap(), Removal::Gone, "what it made is gone");
    assert!(prod.api_key(&name).await.unwrap().is_some());
    assert_eq!(prod.remove(&recorded(&wanted, &uid)).await.unwrap(), Removal::Gone);
    assert_eq!(staging.remove(&recorded(&wanted, &uid)).await.unwrap(), Removal::Gone);
}
