//! Places of a simulated cloud in this process.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use roadstead_api::v1alpha1::{CapacityType, ServingTarget, names};
use roadstead_conformance::faults::{Call, Fault, InjectedRefusal, Service, Way};
use roadstead_conformance::{Conduct, Fixture, MANY, Oddity, Place};
use roadstead_model::Capabilities;
use roadstead_provider::Provider;
use roadstead_provider::discreet::Discreet;
use roadstead_provider::tags::EndpointTags;
use roadstead_runtime::clock::Clock;
use roadstead_simulated::Simulated;
use roadstead_simulated::cloud as simulated_cloud;
use roadstead_simulated::cloud::wire::{Capacity, CreateOrder, EndpointView, Form, PlaceView, Profile};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::odd;

/// Milliseconds from a creation until it answers: long enough for a start to be seen.
const STARTUP_MILLIS: i64 = 500;
/// The one target and its place.
const PLACE: &str = "east";

/// Clouds whose places can do so much.
pub struct Clouds {
    capabilities: Capabilities,
}

impl Clouds {
    /// Whose places can do everything.
    pub fn of_everything() -> Self {
        Self { capabilities: Capabilities::default() }
    }

    /// Whose places can do as little as a place may.
    pub fn of_little() -> Self {
        let capabilities = Capabilities {
            max_replicas: Some(1),
            scale_to_zero: false,
            update_in_place: false,
            ..Capabilities::default()
        };
        Self { capabilities }
    }
}

#[async_trait]
impl Fixture for Clouds {
    fn cannot_play(&self, oddity: Oddity) -> Option<&'static str> {
        match oddity {
            Oddity::QuotaNow | Oddity::CapacityNow | Oddity::NameTaken => None,
            Oddity::WrongRegion => Some("a place of the simulated cloud has no region of its own"),
            Oddity::Cold | Oddity::Degraded => Some("an endpoint of the simulated cloud serves until it is deleted"),
            _ => Some(odd::NO_FAKE),
        }
    }

    async fn place(&self, conduct: Conduct) -> anyhow::Result<Box<dyn Place>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            let _ = simulated_cloud::serve(listener, None, Clock::system(), std::future::pending()).await;
        });
        let service = Cloud { address, client: Client::builder(TokioExecutor::new()).build_http() };
        let cloud = service.clone();
        let way = Way::to(service).await?;
        let place = East { way, cloud, profile: profile(conduct), capabilities: self.capabilities.clone(), server };
        if conduct == Conduct::Crowded {
            place.crowd().await?;
        }
        Ok(Box::new(place))
    }
}

fn profile(conduct: Conduct) -> Profile {
    let none = |quota| Capacity { accelerators: 0, late: true, quota };
    let capacity = match conduct {
        Conduct::LacksCapacity => [("a3".to_owned(), none(false))].into(),
        Conduct::LacksQuota => [("a3".to_owned(), none(true))].into(),
        Conduct::Ordinary | Conduct::Crowded => [].into(),
    };
    Profile { startup_millis: STARTUP_MILLIS, capacity, ..Profile::default() }
}

/// Tags of an endpoint on offer `a3`.
fn tags(install_id: &str, namespace: &str, deployment: &str, target: &str) -> EndpointTags {
    EndpointTags {
        install_id: install_id.to_owned(),
        namespace: namespace.to_owned(),
        deployment: deployment.to_owned(),
        target: target.to_owned(),
        offer: "a3".to_owned(),
        shape: "one".to_owned(),
        capacity_type: CapacityType::OnDemand,
        slot: 0,
    }
}

/// A place, its cloud and the way there.
struct East {
    way: Way,
    cloud: Cloud,
    profile: Profile,
    capabilities: Capabilities,
    server: JoinHandle<()>,
}

impl Drop for East {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl East {
    /// Fills the place with endpoints.
    async fn crowd(&self) -> anyhow::Result<()> {
        self.shape(&self.profile).await?;
        for number in 0..MANY {
            let deployment = format!("llama-{number}");
            let tags = tags("prod", "team", &deployment, PLACE);
            let name = names::endpoint_name("prod", "team", &deployment, PLACE, "one", "OnDemand", 0);
            self.order(name, tags).await?;
        }
        Ok(())
    }

    /// Gives the place another profile.
    async fn shape(&self, profile: &Profile) -> anyhow::Result<()> {
        let profile = serde_json::to_value(profile)?;
        self.cloud.json(Method::PUT, &format!("/places/{PLACE}"), &profile).await.map(drop)
    }

    /// Creates an endpoint.
    async fn order(&self, name: String, tags: EndpointTags) -> anyhow::Result<()> {
        let form = Form { replicas: 1, accelerators: 1, model: tags.deployment.clone(), ..Form::default() };
        let order = serde_json::to_value(CreateOrder { name, tags, form })?;
        self.cloud.json(Method::POST, &format!("/places/{PLACE}/endpoints"), &order).await.map(drop)
    }

    async fn views(&self) -> anyhow::Result<Vec<EndpointView>> {
        let mut world = self.cloud.json(Method::GET, "/world", &Value::Null).await?;
        Ok(serde_json::from_value(world.get_mut(PLACE).map_or_else(|| json!([]), Value::take))?)
    }
}

#[async_trait]
impl Place for East {
    fn target(&self) -> ServingTarget {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": PLACE},
            "spec": {
                "cloud": "aws", "region": "eu-west-1", "type": "Simulated",
                "offers": [{"name": "a3", "instanceType": "i", "accelerator": {"type": "H100", "count": 8},
                            "capacityType": "OnDemand", "hourlyPrice": "88.00"}],
            },
        }))
        .unwrap()
    }

    async fn driver(&self, install_id: &str) -> anyhow::Result<Arc<dyn Provider>> {
        let address = format!("http://{}", self.way.address).parse().map_err(anyhow::Error::msg)?;
        let driver =
            Simulated::new(address, PLACE.to_owned(), install_id.to_owned(), self.profile.clone(), Arc::new(|| true));
        Ok(Arc::new(Discreet::new(driver.able_to(self.capabilities.clone()))))
    }

    fn set(&self, fault: Option<Fault>) {
        self.way.set(fault);
    }

    fn calls(&self) -> usize {
        self.way.calls()
    }

    async fn play(&self, oddity: Option<Oddity>) -> anyhow::Result<()> {
        let none = |quota| [("a3".to_owned(), Capacity { accelerators: 0, late: false, quota })].into();
        let capacity = match oddity {
            None => self.profile.capacity.clone(),
            Some(Oddity::QuotaNow) => none(true),
            Some(Oddity::CapacityNow) => none(false),
            Some(oddity) => return odd::nothing(Some(oddity)),
        };
        self.shape(&Profile { capacity, ..self.profile.clone() }).await
    }

    /// The cloud works by itself.
    async fn work(&self) -> anyhow::Result<()> {
        Ok(())
    }

    /// The cloud keeps no endpoint without tags: these say nothing.
    async fn make_foreign(&self, endpoint: &str) -> anyhow::Result<()> {
        self.shape(&self.profile).await?;
        self.order(endpoint.to_owned(), tags("", "", "", "")).await
    }

    async fn take_away(&self, endpoint: &str) -> anyhow::Result<()> {
        let views = self.views().await?;
        let view = views.iter().find(|view| view.name == endpoint).unwrap();
        let path = format!("/places/{PLACE}/endpoints/{endpoint}?uid={}", view.uid);
        self.cloud.json(Method::DELETE, &path, &Value::Null).await.map(drop)
    }

    async fn holds(&self) -> anyhow::Result<Vec<String>> {
        Ok(self.views().await?.into_iter().map(|view| view.name).collect())
    }
}

/// The cloud at an address.
#[derive(Clone)]
struct Cloud {
    address: SocketAddr,
    client: Client<HttpConnector, Body>,
}

impl Cloud {
    async fn json(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))?;
        let response = self.client.request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        anyhow::ensure!(status == StatusCode::OK, "{path}: {status}: {}", String::from_utf8_lossy(&body));
        Ok(serde_json::from_slice(&body)?)
    }
}

#[async_trait]
impl Service for Cloud {
    fn call(&self, request: &Parts) -> Call {
        let segments = request.uri.path().split('/').skip(1).collect::<Vec<_>>();
        match (&request.method, segments.as_slice()) {
            (_, ["places", _]) => Call::Identify,
            (_, ["places", _, "claims", _]) => Call::Claim,
            (&Method::GET, ["places", _, "endpoints"]) => Call::List,
            (&Method::POST, _) => Call::Create,
            (&Method::PUT, _) => Call::Update,
            (&Method::DELETE, _) => Call::Delete,
            _ => Call::Read,
        }
    }

    fn refusal(&self, refusal: &InjectedRefusal) -> Response {
        let (code, refusal) = match refusal {
            InjectedRefusal::Throttled(after) => (
                429,
                json!({"class": "Throttled", "message": "too many calls", "retryAfterSeconds": after.map(|after| after.as_secs())}),
            ),
            InjectedRefusal::Unauthorized => (401, json!({"class": "Unauthorized", "message": "the token is refused"})),
            InjectedRefusal::Expired => (401, json!({"class": "Unauthorized", "message": "the token has expired"})),
            InjectedRefusal::Unavailable => (503, json!({"class": "Transient", "message": "try again"})),
            InjectedRefusal::Echo(text) => (400, json!({"class": "Invalid", "message": text})),
        };
        (StatusCode::from_u16(code).unwrap(), axum::Json(refusal)).into_response()
    }

    fn of_another_place(&self, _: Bytes) -> Bytes {
        serde_json::to_vec(&PlaceView { identity: "another-place".to_owned() }).unwrap().into()
    }

    async fn send(&self, mut parts: Parts, body: Bytes) -> anyhow::Result<Response> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        parts.uri = format!("http://{}{path}", self.address).parse()?;
        Ok(self.client.request(Request::from_parts(parts, Body::from(body))).await?.map(Body::new))
    }
}
