//! Vertex AI, played by a stateful fake in this process whose clock runs fast.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use roadstead_api::v1alpha1::{InferenceEndpoint, ServingTarget, names};
use roadstead_clouds::faults::{AfterFailure, Effect, ScriptedFault};
use roadstead_clouds::vertex_ai::{PROJECT, PROJECT_NUMBER, VertexAiSettings};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_conformance::faults::{Call, Fault, InjectedRefusal, Service, Way};
use roadstead_conformance::request::record;
use roadstead_conformance::{Conduct, Fixture, Habits, MANY, Oddity, Place};
use roadstead_google::GoogleIdentity;
use roadstead_provider::Provider;
use roadstead_provider::discreet::Discreet;
use roadstead_rest::{BaseUrl, Insecure, ServiceDriver};
use roadstead_vertex::{EndpointMark, ProjectAccess, VertexAi, VertexPlace, labels};
use serde_json::{Value, json};

use crate::odd::{self, Played};
use crate::refused;
use crate::sweep::{self, Swept};
use crate::upstream::{Upstream, context};

/// The one target and its location.
const TARGET: &str = "east";
const LOCATION: &str = "europe-west4";
const MACHINE: &str = "a3-highgpu-1g";
/// Seconds of the service in one of the machine: the driver waits for an upload within one call.
const PACE: u32 = 10;
/// Time of the service between two looks.
const STEP: Duration = Duration::from_secs(5);
/// Interval between two listings.
const LISTING: Duration = Duration::from_millis(200);
/// Begin of the name of a hub's claim, which is an endpoint too.
const CLAIM: &str = "roadstead-claim-";

/// Projects in one location.
pub struct Projects;

#[async_trait]
impl Fixture for Projects {
    fn cannot_play(&self, oddity: Oddity) -> Option<&'static str> {
        played(oddity).err()
    }

    async fn place(&self, conduct: Conduct) -> anyhow::Result<Box<dyn Place>> {
        Ok(Box::new(Self::project(conduct).await?))
    }
}

impl Projects {
    /// A project that behaves so.
    pub async fn project(conduct: Conduct) -> anyhow::Result<Project> {
        let vertex_ai = VertexAiSettings {
            uploading_seconds: 6,
            creating_seconds: 3,
            deploying_seconds: 30,
            mutating_seconds: 20,
            undeploying_seconds: 10,
            deleting_seconds: 3,
            capacity_seconds: 20,
            ..VertexAiSettings::default()
        };
        let clouds = Clouds::start(CloudSettings { pace: PACE, vertex_ai, ..CloudSettings::default() }).await?;
        match conduct {
            Conduct::Ordinary => {}
            Conduct::LacksCapacity => {
                clouds.vertex_ai.configure(|settings| settings.machines = [(MACHINE.to_owned(), 0)].into());
            }
            Conduct::LacksQuota => clouds.add_fault(quota_used_up()),
            Conduct::Crowded => clouds.vertex_ai.crowd(LOCATION, MANY, crowd_form),
        }
        let service = Google(Upstream::at(&clouds.urls.vertex_ai));
        Ok(Project { way: Way::to(service).await?, clouds })
    }
}

/// A deployment that is accepted, and fails because of a quota. The service says most quotas at once.
fn quota_used_up() -> ScriptedFault {
    let metric = "aiplatform.googleapis.com/custom_model_serving_nvidia_h100_80gb_gpus";
    ScriptedFault {
        service: ServiceName::VertexAi,
        operation: "DeployModel".to_owned(),
        skip: 0,
        times: None,
        effect: Effect::FailLate {
            after_seconds: 20,
            reason: format!("The following quota metrics exceed quota limits: {metric}"),
            leaves: AfterFailure::Failed,
        },
    }
}

/// Name, labels and deployed model of the endpoint with this number.
fn crowd_form(number: usize) -> (String, Value, Value) {
    let deployment = format!("llama-{number}");
    let name = names::endpoint_name("prod", "team", &deployment, TARGET, "one", "OnDemand", 0);
    let mut endpoint: InferenceEndpoint = record(&name);
    endpoint.spec.deployment_ref.name = deployment;
    let labels = labels(&EndpointMark::of("prod", &endpoint, "0f0f"), None).unwrap();
    let resources = json!({"minReplicaCount": 1, "maxReplicaCount": 1});
    let deployed = json!({"id": "1", "model": format!("projects/{PROJECT}/locations/{LOCATION}/models/m"),
                          "dedicatedResources": resources});
    (name, json!(labels), deployed)
}

/// A project and the way there.
pub struct Project {
    /// The fake.
    pub clouds: Clouds,
    way: Way,
}

#[async_trait]
impl Place for Project {
    fn target(&self) -> ServingTarget {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": TARGET},
            "spec": {
                "cloud": "gcp", "region": LOCATION, "type": "VertexAI",
                "vertexAI": {"project": PROJECT,
                             "imageMirrors": [{"source": "example.com/",
                                               "mirror": format!("{LOCATION}-docker.pkg.dev/{PROJECT}/images/")}]},
                "offers": [{"name": "a3", "instanceType": MACHINE, "accelerator": {"type": "H100", "count": 1},
                            "capacityType": "OnDemand", "hourlyPrice": "11.06"}],
            },
        }))
        .unwrap()
    }

    async fn driver(&self, install_id: &str) -> anyhow::Result<Arc<dyn Provider>> {
        let endpoint = BaseUrl::parse(&format!("http://{}", self.way.address), Insecure::Allowed)?;
        let service = VertexAi::new(ProjectAccess {
            place: VertexPlace { project: PROJECT.to_owned(), location: LOCATION.to_owned(), endpoint: Some(endpoint) },
            identity: GoogleIdentity::Workload,
            acting_as: None,
            context: context(install_id),
        });
        Ok(Arc::new(Discreet::new(ServiceDriver::new(service?).listing_every(LISTING))))
    }

    fn habits(&self) -> Habits {
        // The service deletes no endpoint to which it is deploying a model.
        Habits { stops_creations: false, ..Habits::default() }
    }

    fn set(&self, fault: Option<Fault>) {
        self.way.set(fault);
    }

    fn calls(&self) -> usize {
        self.way.calls()
    }

    async fn play(&self, oddity: Option<Oddity>) -> anyhow::Result<()> {
        self.clouds.vertex_ai.lose_replicas(LOCATION, oddity == Some(Oddity::Degraded));
        odd::play(&self.clouds, ServiceName::VertexAi, played, oddity)
    }

    /// The service works by itself.
    async fn work(&self) -> anyhow::Result<()> {
        self.clouds.advance(STEP);
        Ok(())
    }

    async fn make_foreign(&self, endpoint: &str) -> anyhow::Result<()> {
        self.clouds.vertex_ai.crowd(LOCATION, 1, |number| {
            let (_, _, deployed) = crowd_form(number);
            (endpoint.to_owned(), json!({}), deployed)
        });
        Ok(())
    }

    async fn take_away(&self, endpoint: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.clouds.vertex_ai.take_away(LOCATION, endpoint), "there is no endpoint {endpoint}");
        Ok(())
    }

    async fn holds(&self) -> anyhow::Result<Vec<String>> {
        let state = self.clouds.state(ServiceName::VertexAi);
        let endpoints = state[0]["endpoints"].as_array().into_iter().flatten();
        let names = endpoints.filter_map(|endpoint| endpoint["name"].as_str()).filter(|name| !name.starts_with(CLAIM));
        Ok(names.map(ToOwned::to_owned).collect())
    }
}

/// Operations at which the fake plays an oddity.
fn played(oddity: Oddity) -> Played {
    match oddity {
        Oddity::CreationHangs | Oddity::UpdateRollsBack | Oddity::CapacityNow => Ok(&["DeployModel"]),
        Oddity::CreationHides => Ok(&["CreateEndpoint"]),
        Oddity::DeletionHangs | Oddity::DeletionFails => Ok(&["UndeployModel"]),
        Oddity::DeletionLingers => Ok(&["DeleteEndpoint"]),
        Oddity::UnknownState => Err("endpoints of the service have no state"),
        Oddity::QuotaNow | Oddity::NameTaken | Oddity::Degraded => Ok(&[]),
        Oddity::WrongRegion => Ok(&["*"]),
        Oddity::Cold => Err(refused::NEVER_COLD),
    }
}

/// Sweeps over the changes that the driver makes.
pub async fn sweep() -> anyhow::Result<()> {
    let swept = Swept {
        service: ServiceName::VertexAi,
        changes: &[
            "CreateEndpoint",
            "DeleteEndpoint",
            "DeleteModel",
            "DeployModel",
            "UndeployModel",
            "UpdateEndpoint",
            "UploadModel",
        ],
        clouds: |project: &Project| &project.clouds,
        parts: |clouds| clouds.state(ServiceName::VertexAi)[0]["models"].as_array().map_or(0, Vec::len),
    };
    sweep::the_end_is_the_same(&swept, async || Projects::project(Conduct::Ordinary).await).await
}

/// Google at an address.
struct Google(Upstream);

#[async_trait]
impl Service for Google {
    fn call(&self, request: &Parts) -> Call {
        let path = request.uri.path();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (&request.method, segments.as_slice()) {
            (_, ["v3", ..]) => Call::Identify,
            // Tokens are kept for an hour, as a driver keeps them.
            (_, ["computeMetadata", ..]) => Call::List,
            _ if path.contains(CLAIM) || request.uri.query().is_some_and(|query| query.contains(CLAIM)) => Call::Claim,
            (&Method::GET, [.., "endpoints"]) => Call::List,
            (&Method::DELETE, _) => Call::Delete,
            (&Method::POST, [.., last]) if last.ends_with(":undeployModel") => Call::Delete,
            (&Method::POST, [.., last]) if last.ends_with(":mutateDeployedModel") => Call::Update,
            (&Method::POST, _) => Call::Create,
            (&Method::PATCH, _) => Call::Update,
            _ => Call::Read,
        }
    }

    fn refusal(&self, refusal: &InjectedRefusal) -> Response {
        let error = |code: u16, status: &str, message: &str| {
            let body = json!({"error": {"code": code, "message": message, "status": status}});
            (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
        };
        match refusal {
            InjectedRefusal::Throttled(after) => {
                let mut response = error(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric");
                response.headers_mut().extend(after.map(|after| (header::RETRY_AFTER, after.as_secs().into())));
                response
            }
            InjectedRefusal::Unauthorized => error(401, "UNAUTHENTICATED", "invalid authentication credentials"),
            InjectedRefusal::Expired => error(
                401,
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
            ),
            InjectedRefusal::Unavailable => error(503, "UNAVAILABLE", "The service is currently unavailable."),
            InjectedRefusal::Echo(text) => error(400, "INVALID_ARGUMENT", text),
        }
    }

    fn of_another_place(&self, answer: Bytes) -> Bytes {
        String::from_utf8_lossy(&answer).replace(PROJECT_NUMBER, "998877665544").into()
    }

    async fn send(&self, parts: Parts, body: Bytes) -> anyhow::Result<Response> {
        self.0.send(parts, body).await
    }
}
