//! Azure ML, played by a stateful fake in this process whose clock runs fast.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;
use bytes::Bytes;
use roadstead_api::v1alpha1::{InferenceEndpoint, ServingTarget, names};
use roadstead_azure::marks::{ArmMark, mark_tags};
use roadstead_azure::{EntraIdentity, EntraSecret};
use roadstead_azureml::{AzureMl, AzureMlPlace, WorkspaceAccess};
use roadstead_clouds::azure::{
    AzureSettings, CLIENT, LOCATION, RESOURCE_GROUP, SECRET, SUBSCRIPTION, TENANT, WORKSPACE, WORKSPACE_ID,
};
use roadstead_clouds::faults::{AfterFailure, Effect, ScriptedFault};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_conformance::faults::{Call, Fault, InjectedRefusal, Service, Way};
use roadstead_conformance::request::record;
use roadstead_conformance::{CallBudget, Conduct, Fixture, Habits, MANY, Oddity, Place};
use roadstead_provider::discreet::Discreet;
use roadstead_provider::{Provider, Redacted};
use roadstead_rest::{BaseUrl, Insecure, ServiceDriver};
use serde_json::{Value, json};

use crate::odd::{self, Played};
use crate::refused;
use crate::sweep::{self, Swept};
use crate::upstream::{Upstream, context, refused_by_arm};

/// The one target and its instance type.
const TARGET: &str = "east";
const SIZE: &str = "Standard_NC40ads_H100_v5";
/// Time of the service between two looks.
const STEP: Duration = Duration::from_secs(5);
/// Interval between two listings.
const LISTING: Duration = Duration::from_millis(200);
/// Begin of the name of a hub's claim, which is an environment.
const CLAIM: &str = "roadstead-claim-";

/// Workspaces in one region.
pub struct Workspaces;

#[async_trait]
impl Fixture for Workspaces {
    fn cannot_play(&self, oddity: Oddity) -> Option<&'static str> {
        played(oddity).err()
    }

    async fn place(&self, conduct: Conduct) -> anyhow::Result<Box<dyn Place>> {
        Ok(Box::new(Self::workspace(conduct).await?))
    }
}

impl Workspaces {
    /// A workspace that behaves so.
    pub async fn workspace(conduct: Conduct) -> anyhow::Result<AzureWorkspace> {
        let azure = AzureSettings {
            creating_seconds: 6,
            updating_seconds: 6,
            deploying_seconds: 30,
            scaling_seconds: 20,
            deleting_seconds: 10,
            capacity_seconds: 20,
            ..AzureSettings::default()
        };
        let clouds = Clouds::start(CloudSettings { azure, ..CloudSettings::default() }).await?;
        match conduct {
            Conduct::Ordinary => {}
            Conduct::LacksCapacity => {
                clouds.azure.configure(|settings| settings.machines = [(SIZE.to_owned(), 0)].into());
            }
            Conduct::LacksQuota => clouds.add_fault(quota_used_up()),
            Conduct::Crowded => clouds.azure.crowd(MANY, crowd_form),
        }
        let service = Arm(Upstream::at(&clouds.urls.azure));
        Ok(AzureWorkspace { way: Way::to(service).await?, clouds })
    }
}

/// A deployment that is accepted, and fails because of a quota. The service says most quotas at once.
fn quota_used_up() -> ScriptedFault {
    ScriptedFault {
        service: ServiceName::Azure,
        operation: "OnlineDeployments_CreateOrUpdate".to_owned(),
        skip: 0,
        times: None,
        effect: Effect::FailLate {
            after_seconds: 20,
            reason: format!("Not enough quota available for {SIZE} in SubscriptionId {SUBSCRIPTION}."),
            leaves: AfterFailure::Failed,
        },
    }
}

/// Name, tags and deployment of the endpoint with this number.
fn crowd_form(number: usize) -> (String, Value, Value) {
    let deployment = format!("llama-{number}");
    let name = names::endpoint_name("prod", "team", &deployment, TARGET, "one", "OnDemand", 0);
    let mut endpoint: InferenceEndpoint = record(&name);
    endpoint.spec.deployment_ref.name = deployment;
    let tags = mark_tags(&ArmMark::of("prod", &endpoint, "0f0f"), None).unwrap();
    let body = json!({"sku": {"name": "Default", "capacity": 1}, "properties": {"instanceType": SIZE}});
    (name, json!(tags), body)
}

/// A workspace and the way there.
pub struct AzureWorkspace {
    /// The fake.
    pub clouds: Clouds,
    way: Way,
}

#[async_trait]
impl Place for AzureWorkspace {
    fn target(&self) -> ServingTarget {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": TARGET},
            "spec": {
                "cloud": "azure", "region": LOCATION, "type": "AzureML",
                "azureML": {"subscriptionID": SUBSCRIPTION, "resourceGroup": RESOURCE_GROUP, "workspace": WORKSPACE},
                "offers": [{"name": "a3", "instanceType": SIZE, "accelerator": {"type": "H100", "count": 1},
                            "capacityType": "OnDemand", "hourlyPrice": "11.06"}],
            },
        }))
        .unwrap()
    }

    async fn driver(&self, install_id: &str) -> anyhow::Result<Arc<dyn Provider>> {
        let endpoint = BaseUrl::parse(&format!("http://{}", self.way.address), Insecure::Allowed)?;
        let secret = Redacted::new(SECRET.to_owned());
        let driver = AzureMl::new(WorkspaceAccess {
            place: AzureMlPlace {
                subscription: SUBSCRIPTION.to_owned(),
                resource_group: RESOURCE_GROUP.to_owned(),
                workspace: WORKSPACE.to_owned(),
                region: LOCATION.to_owned(),
                endpoint: Some(endpoint),
            },
            identity: EntraIdentity::Application(EntraSecret {
                tenant: TENANT.to_owned(),
                client: CLIENT.to_owned(),
                secret,
            }),
            context: context(install_id),
        });
        Ok(Arc::new(Discreet::new(ServiceDriver::new(driver?).listing_every(LISTING))))
    }

    fn habits(&self) -> Habits {
        // The endpoint and its deployments.
        Habits { budget: CallBudget { observe: 2, ensure: 2 }, ..Habits::default() }
    }

    fn set(&self, fault: Option<Fault>) {
        self.way.set(fault);
    }

    fn calls(&self) -> usize {
        self.way.calls()
    }

    async fn play(&self, oddity: Option<Oddity>) -> anyhow::Result<()> {
        odd::play(&self.clouds, ServiceName::Azure, played, oddity)
    }

    /// The service works by itself.
    async fn work(&self) -> anyhow::Result<()> {
        self.clouds.advance(STEP);
        Ok(())
    }

    async fn make_foreign(&self, endpoint: &str) -> anyhow::Result<()> {
        self.clouds.azure.crowd(1, |number| {
            let (_, _, body) = crowd_form(number);
            (endpoint.to_owned(), json!({}), body)
        });
        Ok(())
    }

    async fn take_away(&self, endpoint: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.clouds.azure.take_away(endpoint), "there is no endpoint {endpoint}");
        Ok(())
    }

    async fn holds(&self) -> anyhow::Result<Vec<String>> {
        let state = self.clouds.state(ServiceName::Azure);
        let endpoints = state["endpoints"].as_array().into_iter().flatten();
        Ok(endpoints.filter_map(|endpoint| endpoint["name"].as_str()).map(ToOwned::to_owned).collect())
    }
}

/// Operations at which the fake plays an oddity.
fn played(oddity: Oddity) -> Played {
    match oddity {
        Oddity::CreationHangs | Oddity::UpdateRollsBack | Oddity::CapacityNow => {
            Ok(&["OnlineDeployments_CreateOrUpdate"])
        }
        Oddity::CreationHides | Oddity::WrongRegion => Ok(&["OnlineEndpoints_CreateOrUpdate"]),
        Oddity::DeletionHangs | Oddity::DeletionFails | Oddity::DeletionLingers => Ok(&["OnlineEndpoints_Delete"]),
        Oddity::UnknownState => Ok(&["OnlineEndpoints_Get", "OnlineDeployments_List"]),
        Oddity::Degraded => Err("the service shows no health of instances"),
        Oddity::QuotaNow | Oddity::NameTaken => Ok(&[]),
        Oddity::Cold => Err(refused::NEVER_COLD),
    }
}

/// Sweeps over the changes that the driver makes. Versions of environments stay: they are names of images, and cost nothing.
pub async fn sweep() -> anyhow::Result<()> {
    let swept = Swept {
        service: ServiceName::Azure,
        changes: &[
            "EnvironmentVersions_CreateOrUpdate",
            "OnlineDeployments_CreateOrUpdate",
            "OnlineDeployments_Delete",
            "OnlineEndpoints_CreateOrUpdate",
            "OnlineEndpoints_Delete",
        ],
        clouds: |workspace: &AzureWorkspace| &workspace.clouds,
        parts: |clouds| {
            let state = clouds.state(ServiceName::Azure);
            let deployments = |endpoint: &Value| endpoint["deployments"].as_array().map_or(0, Vec::len);
            state["endpoints"].as_array().into_iter().flatten().map(deployments).sum()
        },
    };
    sweep::the_end_is_the_same(&swept, async || Workspaces::workspace(Conduct::Ordinary).await).await
}

/// Resource Manager at an address.
struct Arm(Upstream);

#[async_trait]
impl Service for Arm {
    fn call(&self, request: &Parts) -> Call {
        let path = request.uri.path();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (&request.method, segments.as_slice()) {
            // Tokens are kept for an hour, as a driver keeps them.
            (_, [_, "oauth2", ..]) => Call::List,
            (&Method::GET, [.., "workspaces", _]) => Call::Identify,
            _ if path.contains(CLAIM) => Call::Claim,
            (&Method::GET, [.., "onlineEndpoints"]) => Call::List,
            (&Method::DELETE, _) => Call::Delete,
            (&Method::PUT, _) => Call::Create,
            (&Method::PATCH, _) => Call::Update,
            _ => Call::Read,
        }
    }

    fn refusal(&self, refusal: &InjectedRefusal) -> Response {
        refused_by_arm(refusal)
    }

    fn of_another_place(&self, answer: Bytes) -> Bytes {
        String::from_utf8_lossy(&answer).replace(WORKSPACE_ID, "99999999-7b7a-4a7e-9a3f-0c1d2e3f4a5b").into()
    }

    async fn send(&self, parts: Parts, body: Bytes) -> anyhow::Result<Response> {
        self.0.send(parts, body).await
    }
}
