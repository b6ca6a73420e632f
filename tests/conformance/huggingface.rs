//! Namespaces of Hugging Face's fake in this process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use roadstead_api::v1alpha1::{InferenceEndpoint, ServingTarget, names};
use roadstead_clouds::faults::{AfterFailure, Effect, ScriptedFault};
use roadstead_clouds::hugging_face::{NAMESPACE, TOKEN};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_conformance::faults::{Call, Fault, InjectedRefusal, Service, Way};
use roadstead_conformance::request::{record, request};
use roadstead_conformance::{Conduct, Fixture, MANY, Oddity, Place};
use roadstead_huggingface::{HubAccess, HubAddresses, HubForm, HubPlace, HuggingFace};
use roadstead_provider::discreet::Discreet;
use roadstead_provider::tags::EndpointTags;
use roadstead_provider::{Provider, Redacted, address};
use roadstead_rest::{BaseUrl, Insecure, ServiceDriver};
use serde_json::{Value, json};

use crate::odd::{self, Played};
use crate::sweep::{self, Swept};
use crate::upstream::{Upstream, context};

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
        let service = HubService(Upstream::at(&clouds.urls.hugging_face));
        Ok(Namespace { way: Way::to(service).await?, clouds })
    }
}

#[async_trait]
impl Fixture for Namespaces {
    fn cannot_play(&self, oddity: Oddity) -> Option<&'static str> {
        played(oddity).err()
    }

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
pub fn crowd_form(number: usize) -> Value {
    let deployment = format!("llama-{number}");
    let name = names::endpoint_name("prod", "team", &deployment, TARGET, "one", "OnDemand", 0);
    let mut endpoint: InferenceEndpoint = record(&name);
    endpoint.spec.deployment_ref.name.clone_from(&deployment);
    "l4".clone_into(&mut endpoint.spec.offer);
    let owner = EndpointTags::of("prod", &endpoint);
    HubForm::of(&request(endpoint, &target()), roadstead_conformance::HUB, owner, None)
        .unwrap()
        .creation(CLOUD, REGION)
        .unwrap()
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
    pub fn plain_driver(&self, install_id: &str) -> anyhow::Result<ServiceDriver<HuggingFace>> {
        let base = BaseUrl::parse(&format!("http://{}", self.way.address), Insecure::Allowed)?;
        let service = HuggingFace::new(HubAccess {
            addresses: HubAddresses::of(Some(&base))?,
            place: HubPlace { namespace: NAMESPACE.to_owned(), cloud: CLOUD.to_owned(), region: REGION.to_owned() },
            token: Redacted::new(TOKEN.to_owned()),
            reach: address::anywhere,
            context: context(install_id),
        });
        Ok(ServiceDriver::new(service).listing_every(LISTING_PAUSE))
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

    fn calls(&self) -> usize {
        self.way.calls()
    }

    async fn play(&self, oddity: Option<Oddity>) -> anyhow::Result<()> {
        if oddity == Some(Oddity::Cold) {
            anyhow::ensure!(self.clouds.hugging_face.put_to_zero() == 1, "nothing ran");
        } else {
            self.clouds.hugging_face.wake();
        }
        odd::play(&self.clouds, ServiceName::HuggingFace, played, oddity)
    }

    async fn work(&self) -> anyhow::Result<()> {
        self.clouds.advance(STEP);
        Ok(())
    }

    async fn make_foreign(&self, endpoint: &str) -> anyhow::Result<()> {
        self.clouds.hugging_face.crowd(NAMESPACE, 1, |number| {
            let mut form = crowd_form(number);
            form["name"] = json!(endpoint);
            form["tags"] = json!([]);
            form["model"]["env"] = json!({});
            form
        });
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

/// Sweeps over the changes that the driver makes.
pub async fn sweep() -> anyhow::Result<()> {
    let swept = Swept {
        service: ServiceName::HuggingFace,
        changes: &["create", "update", "pause", "resume", "delete"],
        clouds: |namespace: &Namespace| &namespace.clouds,
        parts: |_| 0,
    };
    sweep::the_end_is_the_same(&swept, async || Namespaces::namespace(Conduct::Ordinary).await).await
}

/// Operations at which the fake plays an oddity.
#[allow(clippy::unnecessary_wraps, reason = "others cannot play every oddity")]
fn played(oddity: Oddity) -> Played {
    match oddity {
        Oddity::CreationHangs | Oddity::CreationHides | Oddity::CapacityNow | Oddity::WrongRegion => Ok(&["create"]),
        Oddity::DeletionHangs | Oddity::DeletionFails | Oddity::DeletionLingers => Ok(&["delete"]),
        Oddity::UnknownState | Oddity::Degraded => Ok(&["get"]),
        Oddity::QuotaNow | Oddity::NameTaken | Oddity::Cold => Ok(&[]),
        Oddity::UpdateRollsBack => Ok(&["update"]),
    }
}

/// The fake behind the way.
struct HubService(Upstream);

#[async_trait]
impl Service for HubService {
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
                response.headers_mut().extend(after.map(|after| (header::RETRY_AFTER, after.as_secs().into())));
                response
            }
            InjectedRefusal::Unauthorized => error(StatusCode::UNAUTHORIZED, "Invalid credentials"),
            InjectedRefusal::Expired => error(StatusCode::UNAUTHORIZED, "User Access Token \"roadstead\" is expired"),
            InjectedRefusal::Unavailable => error(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
            InjectedRefusal::Echo(text) => error(StatusCode::BAD_REQUEST, text),
        }
    }

    fn of_another_place(&self, answer: Bytes) -> Bytes {
        String::from_utf8_lossy(&answer).replace("id-of-", "id-of-another-").into()
    }

    async fn send(&self, parts: Parts, body: Bytes) -> anyhow::Result<Response> {
        self.0.send(parts, body).await
    }
}
