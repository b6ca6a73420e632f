//! Teams of `DigitalOcean`'s fake in this process.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use roadstead_api::v1alpha1::{DigitalOceanTarget, InferenceEndpoint, ServingTarget, names};
use roadstead_clouds::digital_ocean::{TEAM, TOKEN};
use roadstead_clouds::faults::{AfterFailure, Effect, ScriptedFault};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_conformance::faults::{Call, Fault, InjectedRefusal, Service, Way};
use roadstead_conformance::request::{record, request};
use roadstead_conformance::{Conduct, Fixture, HUB, Habits, MANY, Oddity, Place};
use roadstead_digitalocean::{DedicatedAccess, DedicatedAddresses, DedicatedForm, DedicatedInference, DedicatedPlace};
use roadstead_provider::discreet::Discreet;
use roadstead_provider::{Provider, Redacted, address};
use roadstead_rest::{BaseUrl, Insecure, ServiceDriver};
use serde_json::{Value, json};

use crate::odd::{self, Played};
use crate::refused;
use crate::sweep::{self, Swept};
use crate::upstream::{Upstream, context};

const REGION: &str = "atl1";
/// The one target and the GPUs of its offer.
const TARGET: &str = "east";
const GPU: &str = "gpu-h100x1-80gb";
/// The model of the cases, as the service calls it.
const SLUG: &str = "example/llama";
/// Time that passes at the service whenever it does its work.
const STEP: Duration = Duration::from_secs(10);
/// Short, so that listings are seen soon, and long enough for the rate of calls that the service allows.
const LISTING_PAUSE: Duration = Duration::from_millis(500);

/// Teams with a fake of their own each.
pub struct OceanTeams;

impl OceanTeams {
    /// A new team.
    pub async fn team(conduct: Conduct) -> anyhow::Result<OceanTeam> {
        let clouds = Clouds::start(CloudSettings::default()).await?;
        match conduct {
            Conduct::Ordinary => {}
            Conduct::LacksCapacity => {
                clouds.digital_ocean.configure(|settings| settings.machines = [(GPU.to_owned(), 0)].into());
            }
            Conduct::LacksQuota => clouds.set_faults(vec![fails_late()]),
            Conduct::Crowded => clouds.digital_ocean.crowd(MANY, crowd_body),
        }
        let way = Way::to(OceanService(Upstream::at(&clouds.urls.digital_ocean))).await?;
        Ok(OceanTeam { way, clouds })
    }
}

#[async_trait]
impl Fixture for OceanTeams {
    fn cannot_play(&self, oddity: Oddity) -> Option<&'static str> {
        played(oddity).err()
    }

    async fn place(&self, conduct: Conduct) -> anyhow::Result<Box<dyn Place>> {
        Ok(Box::new(Self::team(conduct).await?))
    }
}

/// A creation that is accepted, and fails a minute later.
fn fails_late() -> ScriptedFault {
    ScriptedFault {
        service: ServiceName::DigitalOcean,
        operation: "create".to_owned(),
        skip: 0,
        times: None,
        effect: Effect::FailLate { after_seconds: 60, reason: String::new(), leaves: AfterFailure::Failed },
    }
}

/// Body of the instance with this number, as the driver writes it.
pub fn crowd_body(number: usize) -> Value {
    let deployment = format!("llama-{number}");
    let name = names::endpoint_name("prod", "team", &deployment, TARGET, "one", "OnDemand", 0);
    let mut endpoint: InferenceEndpoint = record(&name);
    endpoint.spec.deployment_ref.name = deployment;
    DedicatedForm::of(&request(endpoint, &target()), "prod", HUB, &place()).unwrap().creation()
}

fn place() -> DedicatedPlace {
    DedicatedPlace { region: REGION.to_owned(), settings: target().spec.digital_ocean.unwrap() }
}

fn target() -> ServingTarget {
    let settings: DigitalOceanTarget = serde_json::from_value(json!({
        "vpcUUID": "997615ce-132d-4bae-9270-9ee21b395e5d", "tokenSecretRef": {"name": "digitalocean", "key": "token"},
    }))
    .unwrap();
    serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": TARGET},
        "spec": {
            "cloud": "digitalocean", "region": REGION, "type": "DigitalOcean", "digitalOcean": settings,
            "offers": [{"name": "a3", "instanceType": GPU, "accelerator": {"type": "H100", "count": 1},
                        "capacityType": "OnDemand"}],
        },
    }))
    .unwrap()
}

/// A team, its fake and the way there.
pub struct OceanTeam {
    way: Way,
    /// Its fake.
    pub clouds: Clouds,
}

impl OceanTeam {
    /// A new driver, as it is without the operator's decorations.
    pub fn plain_driver(&self, install_id: &str) -> anyhow::Result<ServiceDriver<DedicatedInference>> {
        let base = BaseUrl::parse(&format!("http://{}", self.way.address), Insecure::Allowed)?;
        let service = DedicatedInference::new(DedicatedAccess {
            addresses: DedicatedAddresses::of(Some(&base))?,
            place: place(),
            token: Redacted::new(TOKEN.to_owned()),
            reach: address::anywhere,
            context: context(install_id),
        });
        Ok(ServiceDriver::new(service).listing_every(LISTING_PAUSE))
    }
}

#[async_trait]
impl Place for OceanTeam {
    fn target(&self) -> ServingTarget {
        target()
    }

    fn habits(&self) -> Habits {
        Habits { keeps_records: false, tells_reasons: false, model: SLUG.to_owned(), ..Habits::default() }
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
        odd::play(&self.clouds, ServiceName::DigitalOcean, played, oddity)
    }

    async fn work(&self) -> anyhow::Result<()> {
        self.clouds.advance(STEP);
        Ok(())
    }

    async fn make_foreign(&self, _: &str) -> anyhow::Result<()> {
        anyhow::bail!("a name without our mark is another name")
    }

    async fn take_away(&self, endpoint: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.clouds.digital_ocean.take_away(endpoint), "there is no instance of {endpoint}");
        Ok(())
    }

    async fn holds(&self) -> anyhow::Result<Vec<String>> {
        let state = self.clouds.state(ServiceName::DigitalOcean);
        let instances = state["instances"].as_array().into_iter().flatten();
        Ok(instances.filter_map(|instance| instance["name"].as_str()).map(ToOwned::to_owned).collect())
    }
}

/// Operations at which the fake plays an oddity.
fn played(oddity: Oddity) -> Played {
    match oddity {
        Oddity::CreationHangs
        | Oddity::CreationHides
        | Oddity::QuotaNow
        | Oddity::CapacityNow
        | Oddity::WrongRegion => Ok(&["create"]),
        Oddity::DeletionHangs | Oddity::DeletionFails | Oddity::DeletionLingers => Ok(&["delete"]),
        Oddity::UnknownState | Oddity::Degraded => Ok(&["get", "list"]),
        Oddity::NameTaken => Err("our mark is part of the name: one without it is another name"),
        Oddity::Cold => Err(refused::NEVER_COLD),
        Oddity::UpdateRollsBack => Ok(&[]),
    }
}

/// Sweeps over the changes that the driver makes.
pub async fn sweep() -> anyhow::Result<()> {
    let swept = Swept {
        service: ServiceName::DigitalOcean,
        changes: &["create", "delete"],
        clouds: |team: &OceanTeam| &team.clouds,
        parts: |_| 0,
    };
    sweep::the_end_is_the_same(&swept, async || OceanTeams::team(Conduct::Ordinary).await).await
}

/// The fake behind the way.
struct OceanService(Upstream);

#[async_trait]
impl Service for OceanService {
    fn call(&self, request: &Parts) -> Call {
        let segments = request.uri.path().split('/').skip(1).collect::<Vec<_>>();
        // The inventory is made of the instances of the region; a name is looked up among those of all regions.
        let is_of_region = request.uri.query().is_some_and(|query| query.contains("region="));
        match (&request.method, segments.as_slice()) {
            (_, ["v2", "account"]) => Call::Identify,
            (&Method::GET, ["v2", "dedicated-inferences"]) if is_of_region => Call::List,
            (&Method::POST, ["v2", "dedicated-inferences"]) => Call::Create,
            (&Method::DELETE, _) => Call::Delete,
            (&Method::GET, _) => Call::Read,
            _ => Call::Update,
        }
    }

    fn refusal(&self, refusal: &InjectedRefusal) -> Response {
        let error = |status, id: &str, message: &str| {
            (status, axum::Json(json!({"id": id, "message": message}))).into_response()
        };
        match refusal {
            InjectedRefusal::Throttled(after) => {
                let mut response =
                    error(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "API Rate limit exceeded.");
                response.headers_mut().extend(after.map(|after| (header::RETRY_AFTER, after.as_secs().into())));
                response
            }
            InjectedRefusal::Unauthorized | InjectedRefusal::Expired => {
                error(StatusCode::UNAUTHORIZED, "unauthorized", "Unable to authenticate you")
            }
            InjectedRefusal::Unavailable => {
                error(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", "Service Unavailable")
            }
            InjectedRefusal::Echo(text) => error(StatusCode::UNPROCESSABLE_ENTITY, "unprocessable_entity", text),
        }
    }

    fn of_another_place(&self, answer: Bytes) -> Bytes {
        String::from_utf8_lossy(&answer).replace(TEAM, "another-team").into()
    }

    async fn send(&self, parts: Parts, body: Bytes) -> anyhow::Result<Response> {
        self.0.send(parts, body).await
    }
}
