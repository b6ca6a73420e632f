//! Namespaces of Hugging Face's fake in this process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use roadstead_api::v1alpha1::{InferenceEndpoint, ServingTarget, names};
use roadstead_clouds::faults::{AfterFailure, Effect, ScriptedFault};
use roadstead_clouds::hugging_face::{NAMESPACE, TOKEN};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_conformance::faults::{Call, Fault, InjectedRefusal, Service, Way};
use roadstead_conformance::request::{record, request};
use roadstead_conformance::{Conduct, Fixture, MANY, Place};
use roadstead_huggingface::{HubAddresses, HubForm, HubParts, HubTags, HuggingFace};
use roadstead_provider::discreet::Discreet;
use roadstead_provider::tags::EndpointTags;
use roadstead_provider::{Provider, Redacted, address};
use roadstead_rest::{BaseUrl, Insecure};
use roadstead_runtime::clock::Clock;
use serde_json::{Value, json};

const CLOUD: &str = "aws";
const REGION: &str = "eu-west-1";
/// The one target.
const TARGET: &str = "east";
/// Id of the hardware of its offer.
const HARDWARE: &str = "aws-eu-west-1-nvidia-l4-x1";
/// Time that passes at the service whenever it does its work.
const STEP: Duration = Duration::from_secs(10);
/// Short, so that listings are seen soon.
const LISTING_PAUSE: Duration = Duration::from_millis(200);

/// Namespaces with a fake of their own each.
pub struct Namespaces;

impl Namespaces {
    /// A new namespace.
    pub async fn namespace(conduct: Conduct) -> anyhow::Result<Namespace> {
        let clouds = Clouds::start(CloudSettings::default()).await?;
        match conduct {
            Conduct::Ordinary => {}
            Conduct::LacksCapacity => {
                clouds.hugging_face.configure(|settings| settings.machines = [(HARDWARE.to_owned(), 0)].into());
            }
            Conduct::LacksQuota => clouds.set_faults(vec![quota_used_up()]),
            Conduct::Crowded => clouds.hugging_face.crowd(NAMESPACE, MANY, crowd_form),
        }
        let service = Upstream { url: clouds.urls.hugging_face.clone(), client: client() };
        Ok(Namespace { way: Way::to(service).await?, clouds })
    }
}

#[async_trait]
impl Fixture for Namespaces {
    async fn place(&self, conduct: Conduct) -> anyhow::Result<Box<dyn Place>> {
        Ok(Box::new(Self::namespace(conduct).await?))
    }
}

/// A creation that is accepted, and fails because of a quota a minute later.
fn quota_used_up() -> ScriptedFault {
    let reason = "Endpoint failed to start: quota of accelerators exceeded".to_owned();
    ScriptedFault {
        service: ServiceName::HuggingFace,
        operation: "create".to_owned(),
        skip: 0,
        times: None,
        effect: Effect::FailLate { after_seconds: 60, reason, leaves: AfterFailure::Failed },
    }
}

/// The body of the endpoint with this number, as the driver writes it.
fn crowd_form(number: usize) -> Value {
    let deployment = format!("llama-{number}");
    let name = names::endpoint_name("prod", "team", &deployment, TARGET, "one", "OnDemand", 0);
    let mut endpoint: InferenceEndpoint = record(&name);
    endpoint.spec.deployment_ref.name.clone_from(&deployment);
    "l4".clone_into(&mut endpoint.spec.offer);
    let tags = HubTags { hub: roadstead_conformance::HUB.to_owned(), owner: EndpointTags::of("prod", &endpoint) };
    HubForm::of(&request(endpoint, &target()), &tags, None).unwrap().creation(CLOUD, REGION).unwrap()
}

fn target() -> ServingTarget {
    serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": TARGET},
        "spec": {
            "cloud": CLOUD, "region": REGION, "type": "Simulated",
            "offers": [{"name": "l4", "instanceType": "nvidia-l4-x1", "accelerator": {"type": "L4", "count": 1},
                        "capacityType": "OnDemand", "hourlyPrice": "0.80"}],
        },
    }))
    .unwrap()
}

/// A namespace, its fake and the way there.
pub struct Namespace {
    way: Way,
    /// Its fake.
    pub clouds: Clouds,
}

impl Namespace {
    /// A new driver, as it is without the operator's decorations.
    pub fn plain_driver(&self, install_id: &str) -> anyhow::Result<HuggingFace> {
        let base = BaseUrl::parse(&format!("http://{}", self.way.address), Insecure::Allowed)?;
        Ok(HuggingFace::new(HubParts {
            addresses: HubAddresses::of(Some(&base))?,
            namespace: NAMESPACE.to_owned(),
            cloud: CLOUD.to_owned(),
            region: REGION.to_owned(),
            token: Redacted::new(TOKEN.to_owned()),
            install_id: install_id.to_owned(),
            listing_pause: LISTING_PAUSE,
            reach: address::anywhere,
            gate: Arc::new(|| true),
            meter: Arc::new(()),
            clock: Clock::system(),
        }))
    }
}

#[async_trait]
impl Place for Namespace {
    fn target(&self) -> ServingTarget {
        target()
    }

    async fn driver(&self, install_id: &str) -> anyhow::Result<Arc<dyn Provider>> {
        Ok(Arc::new(Discreet::new(self.plain_driver(install_id)?)))
    }

    fn set(&self, fault: Option<Fault>) {
        self.way.set(fault);
    }

    async fn work(&self) -> anyhow::Result<()> {
        self.clouds.advance(STEP);
        Ok(())
    }

    async fn take_away(&self, endpoint: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.clouds.hugging_face.take_away(NAMESPACE, endpoint), "there is no endpoint {endpoint}");
        Ok(())
    }

    async fn holds(&self) -> anyhow::Result<Vec<String>> {
        let state = self.clouds.state(ServiceName::HuggingFace);
        let endpoints = state["endpoints"].as_array().into_iter().flatten();
        Ok(endpoints.filter_map(|endpoint| endpoint["name"].as_str()).map(ToOwned::to_owned).collect())
    }
}

fn client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}

/// The fake behind the way.
struct Upstream {
    url: String,
    client: Client<HttpConnector, Body>,
}

#[async_trait]
impl Service for Upstream {
    fn call(&self, request: &Parts) -> Call {
        let segments = request.uri.path().split('/').skip(1).collect::<Vec<_>>();
        match (&request.method, segments.as_slice()) {
            (_, ["api", "whoami-v2"]) => Call::Identify,
            (&Method::GET, ["v2", "endpoint", _]) => Call::List,
            (&Method::POST, ["v2", "endpoint", _]) => Call::Create,
            (&Method::PUT | &Method::POST, ["v2", "endpoint", ..]) => Call::Update,
            (&Method::DELETE, _) => Call::Delete,
            _ => Call::Read,
        }
    }

    fn refusal(&self, refusal: &InjectedRefusal) -> Response {
        let error = |status, text: &str| (status, axum::Json(json!({"error": text}))).into_response();
        match refusal {
            InjectedRefusal::Throttled(after) => {
                let mut response = error(StatusCode::TOO_MANY_REQUESTS, "Too many requests");
                response.headers_mut().insert("retry-after", after.as_secs().into());
                response
            }
            InjectedRefusal::Unauthorized => error(StatusCode::UNAUTHORIZED, "Invalid credentials"),
            InjectedRefusal::Unavailable => error(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
            InjectedRefusal::Echo(text) => error(StatusCode::BAD_REQUEST, text),
        }
    }

    fn of_another_place(&self, answer: Bytes) -> Bytes {
        String::from_utf8_lossy(&answer).replace("id-of-", "id-of-another-").into()
    }

    async fn send(&self, mut parts: Parts, body: Bytes) -> anyhow::Result<Response> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        parts.uri = format!("{}{path}", self.url).parse()?;
        Ok(self.client.request(Request::from_parts(parts, Body::from(body))).await?.map(Body::new))
    }
}
