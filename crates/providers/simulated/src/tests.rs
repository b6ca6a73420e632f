use std::net::SocketAddr;

use roadstead_conformance::request;
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
    request::request(request::record("llama-abcdefghijkl"), &target)
}

/// The record of an endpoint that was seen.
fn recorded(wanted: &Wanted, uid: &str) -> InferenceEndpoint {
    let id = ExternalId::new("c", [(PLACE, "east"), (UID, uid)]);
    wanted.made_as(&id).endpoint.as_ref().clone()
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
    prod.ensure(&wanted).await.unwrap();
    let Observation::Present(present) = prod.observe(&wanted).await.unwrap() else { panic!("it is not there") };
    let uid = present.external_id.get(UID).unwrap().to_owned();

    let Observation::Foreign { message } = staging.observe(&wanted).await.unwrap() else { panic!("not foreign") };
    says_both(&ProviderError::new(ErrorClass::Conflict, message));
    says_both(&staging.ensure(&wanted).await.unwrap_err());
    says_both(&staging.api_key(&name).await.unwrap_err());
    says_both(&staging.remove(&recorded(&wanted, &uid)).await.unwrap_err());
    says_both(&staging.remove(&wanted.endpoint).await.unwrap_err());
    let found = request::found(&name, &uid);
    says_both(&staging.remove_found(&found).await.unwrap_err());
    assert!(matches!(prod.observe(&wanted).await.unwrap(), Observation::Present(_)), "it was touched");

    assert_eq!(staging.remove(&recorded(&wanted, "another")).await.unwrap(), Removal::Gone, "what it made is gone");
    assert!(prod.api_key(&name).await.unwrap().is_some());
    assert_eq!(prod.remove(&recorded(&wanted, &uid)).await.unwrap(), Removal::Gone);
    assert_eq!(staging.remove(&recorded(&wanted, &uid)).await.unwrap(), Removal::Gone);
}
