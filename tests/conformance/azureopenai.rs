//! Azure OpenAI, played by a stateful fake in this process whose clock runs fast.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::Response;
use bytes::Bytes;
use roadstead_api::v1alpha1::{InferenceEndpoint, ServingTarget, names};
use roadstead_azure::marks::ArmMark;
use roadstead_azure::{EntraIdentity, EntraSecret};
use roadstead_azureopenai::{AzureOpenAi, CatalogModel, CognitiveAccess, CognitivePlace, tags};
use roadstead_clouds::azure::{CLIENT, LOCATION, RESOURCE_GROUP, SECRET, SUBSCRIPTION, TENANT};
use roadstead_clouds::azure_openai::{AzureOpenAiSettings, CATALOG_MODEL, COGNITIVE_ACCOUNT, COGNITIVE_CREATED};
use roadstead_clouds::faults::{AfterFailure, Effect, ScriptedFault};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_conformance::faults::{Call, Fault, InjectedRefusal, Service, Way};
use roadstead_conformance::request::{LLAMA, record, wanted};
use roadstead_conformance::{Conduct, Fixture, Habits, MANY, Oddity, Place};
use roadstead_provider::discreet::Discreet;
use roadstead_provider::{ErrorClass, Provider, Redacted};
use roadstead_rest::{BaseUrl, Insecure, ServiceDriver};
use serde_json::{Value, json};

use crate::odd::{self, Played};
use crate::refused;
use crate::sweep::{self, Swept};
use crate::upstream::{Upstream, context, refused_by_arm};

/// The one target and its SKU.
const TARGET: &str = "east";
const SKU: &str = "GlobalProvisionedManaged";
/// Source that deployments of the suite name.
const SOURCE: &str = "hf://example/llama";
/// Time of the service between two looks.
const STEP: Duration = Duration::from_secs(5);
/// Interval between two listings.
const LISTING: Duration = Duration::from_millis(200);

/// Accounts in one region.
pub struct CognitiveAccounts;

#[async_trait]
impl Fixture for CognitiveAccounts {
    fn cannot_play(&self, oddity: Oddity) -> Option<&'static str> {
        played(oddity).err()
    }

    async fn place(&self, conduct: Conduct) -> anyhow::Result<Box<dyn Place>> {
        Ok(Box::new(Self::account(conduct).await?))
    }
}

impl CognitiveAccounts {
    /// An account that behaves so.
    pub async fn account(conduct: Conduct) -> anyhow::Result<OpenAiAccount> {
        let azure_openai = AzureOpenAiSettings {
            deploying_seconds: 30,
            updating_seconds: 10,
            deleting_seconds: 10,
            capacity_seconds: 20,
            ..AzureOpenAiSettings::default()
        };
        let clouds = Clouds::start(CloudSettings { azure_openai, ..CloudSettings::default() }).await?;
        match conduct {
            Conduct::Ordinary => {}
            Conduct::LacksCapacity => {
                clouds.azure_openai.configure(|settings| settings.units = [(SKU.to_owned(), 0)].into());
            }
            Conduct::LacksQuota => clouds.add_fault(quota_used_up()),
            Conduct::Crowded => clouds.azure_openai.crowd(MANY, crowd_form),
        }
        let service = Arm(Upstream::at(&clouds.urls.azure_openai));
        Ok(OpenAiAccount { way: Way::to(service).await?, clouds })
    }
}

/// A deployment that is accepted, and fails because of a quota. The service says most quotas at once.
fn quota_used_up() -> ScriptedFault {
    ScriptedFault {
        service: ServiceName::AzureOpenAi,
        operation: "Deployments_CreateOrUpdate".to_owned(),
        skip: 0,
        times: None,
        effect: Effect::FailLate {
            after_seconds: 20,
            reason: format!("The quota OpenAI.{SKU} is used up."),
            leaves: AfterFailure::Failed,
        },
    }
}

/// Name and form of the deployment with this number.
fn crowd_form(number: usize) -> (String, Value) {
    let deployment = format!("llama-{number}");
    let name = names::endpoint_name("prod", "team", &deployment, TARGET, "one", "OnDemand", 0);
    let mut endpoint: InferenceEndpoint = record(&name);
    endpoint.spec.deployment_ref.name = deployment;
    let tags = tags(&ArmMark::of("prod", &endpoint, "0f0f"), None, &Redacted::new(String::new()), "").unwrap();
    let [format, model, version] = CATALOG_MODEL;
    let properties = json!({"model": {"format": format, "name": model, "version": version}});
    (name, json!({"tags": tags, "sku": {"name": SKU, "capacity": 1}, "properties": properties}))
}

/// An account and the way there.
pub struct OpenAiAccount {
    /// The fake.
    pub clouds: Clouds,
    way: Way,
}

impl OpenAiAccount {
    /// A driver for a target in this region.
    fn driver_in(&self, region: &str, install_id: &str) -> anyhow::Result<Arc<dyn Provider>> {
        let endpoint = BaseUrl::parse(&format!("http://{}", self.way.address), Insecure::Allowed)?;
        let secret = Redacted::new(SECRET.to_owned());
        let [format, name, version] = CATALOG_MODEL.map(ToOwned::to_owned);
        let driver = AzureOpenAi::new(CognitiveAccess {
            place: CognitivePlace {
                subscription: SUBSCRIPTION.to_owned(),
                resource_group: RESOURCE_GROUP.to_owned(),
                account: COGNITIVE_ACCOUNT.to_owned(),
                region: region.to_owned(),
                models: [(SOURCE.to_owned(), CatalogModel { format, name, version })].into(),
                units: [(SKU.to_owned(), 1)].into(),
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
}

#[async_trait]
impl Place for OpenAiAccount {
    fn target(&self) -> ServingTarget {
        let [format, model, version] = CATALOG_MODEL;
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": TARGET},
            "spec": {
                "cloud": "azure", "region": "global", "type": "AzureOpenAI",
                "azureOpenAI": {
                    "subscriptionID": SUBSCRIPTION, "resourceGroup": RESOURCE_GROUP, "account": COGNITIVE_ACCOUNT,
                    "models": [{"source": SOURCE, "format": format, "name": model, "version": version}],
                },
                "offers": [{"name": "a3", "instanceType": SKU, "accelerator": {"type": "PTU", "count": 1},
                            "capacityType": "OnDemand", "hourlyPrice": "1.00"}],
            },
        }))
        .unwrap()
    }

    async fn driver(&self, install_id: &str) -> anyhow::Result<Arc<dyn Provider>> {
        self.driver_in(LOCATION, install_id)
    }

    fn habits(&self) -> Habits {
        // An account makes one change at a time.
        Habits { stops_creations: false, ..Habits::default() }
    }

    fn set(&self, fault: Option<Fault>) {
        self.way.set(fault);
    }

    fn calls(&self) -> usize {
        self.way.calls()
    }

    async fn play(&self, oddity: Option<Oddity>) -> anyhow::Result<()> {
        odd::play(&self.clouds, ServiceName::AzureOpenAi, played, oddity)
    }

    /// The service works by itself.
    async fn work(&self) -> anyhow::Result<()> {
        self.clouds.advance(STEP);
        Ok(())
    }

    async fn make_foreign(&self, endpoint: &str) -> anyhow::Result<()> {
        self.clouds.azure_openai.crowd(1, |number| {
            let (_, mut body) = crowd_form(number);
            body["tags"] = json!({});
            (endpoint.to_owned(), body)
        });
        Ok(())
    }

    async fn take_away(&self, endpoint: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.clouds.azure_openai.take_away(endpoint), "there is no deployment {endpoint}");
        Ok(())
    }

    async fn holds(&self) -> anyhow::Result<Vec<String>> {
        let state = self.clouds.state(ServiceName::AzureOpenAi);
        let deployments = state["deployments"].as_array().into_iter().flatten();
        Ok(deployments.filter_map(|deployment| deployment["name"].as_str()).map(ToOwned::to_owned).collect())
    }
}

/// Operations at which the fake plays an oddity.
fn played(oddity: Oddity) -> Played {
    match oddity {
        Oddity::CreationHangs | Oddity::CreationHides | Oddity::CapacityNow => Ok(&["Deployments_CreateOrUpdate"]),
        Oddity::DeletionHangs | Oddity::DeletionFails | Oddity::DeletionLingers => Ok(&["Deployments_Delete"]),
        Oddity::UnknownState | Oddity::Degraded => Ok(&["Deployments_Get"]),
        Oddity::QuotaNow | Oddity::NameTaken => Ok(&[]),
        Oddity::WrongRegion => {
            Err("a deployment is in the region of its account, which the driver checks at first contact")
        }
        Oddity::Cold => Err(refused::NEVER_COLD),
        Oddity::UpdateRollsBack => Ok(&["Deployments_Update"]),
    }
}

/// Sweeps over the changes that the driver makes.
pub async fn sweep() -> anyhow::Result<()> {
    let swept = Swept {
        service: ServiceName::AzureOpenAi,
        changes: &["Deployments_CreateOrUpdate", "Deployments_Delete", "Deployments_Update"],
        clouds: |account: &OpenAiAccount| &account.clouds,
        parts: |_| 0,
    };
    sweep::the_end_is_the_same(&swept, async || CognitiveAccounts::account(Conduct::Ordinary).await).await
}

/// The data zone of a target is that of its account: any other target has no identity, so nothing is placed there.
pub async fn an_account_outside_the_data_zone_is_refused() -> anyhow::Result<()> {
    let account = CognitiveAccounts::account(Conduct::Ordinary).await?;
    for region in [LOCATION, "global", "datazone-eu"] {
        account.driver_in(region, "prod")?.identity().await?;
    }
    let Err(error) = account.driver_in("datazone-us", "prod")?.identity().await else {
        anyhow::bail!("an account in {LOCATION} is in the data zone of the US");
    };
    anyhow::ensure!(error.class == ErrorClass::Invalid && error.message.contains("is not in US"), "{error}");
    Ok(())
}

/// Somebody makes a deployment of the name between the driver's read and its creation: it is left as it is.
pub async fn a_deployment_that_was_made_meanwhile_is_not_overwritten() -> anyhow::Result<()> {
    let account = CognitiveAccounts::account(Conduct::Ordinary).await?;
    let theirs = account.driver("other").await?;
    let ours = account.driver("prod").await?;
    let form = wanted(&account.target(), "prod", LLAMA)?;
    theirs.ensure(&form).await?;
    account.clouds.advance(Duration::from_mins(10));
    let before = account.clouds.state(ServiceName::AzureOpenAi)["deployments"].clone();
    account.clouds.add_fault(ScriptedFault {
        service: ServiceName::AzureOpenAi,
        operation: "Deployments_Get".to_owned(),
        skip: 0,
        times: Some(1),
        effect: Effect::Reject {
            status: 404,
            code: "ResourceNotFound".to_owned(),
            message: format!("The resource {} was not found.", before[0]["name"]),
        },
    });
    let answer = ours.ensure(&form).await;
    anyhow::ensure!(answer.is_err(), "another's deployment is ours: {answer:?}");
    let requests = account.clouds.requests_after(0).into_iter();
    let creations = requests.filter(|exchange| exchange.operation == "Deployments_CreateOrUpdate").count();
    anyhow::ensure!(creations == 2, "{creations} creations were tried");
    let after = account.clouds.state(ServiceName::AzureOpenAi)["deployments"].clone();
    anyhow::ensure!(before == after, "another's deployment was {before} and is {after}");
    Ok(())
}

/// Resource Manager at an address.
struct Arm(Upstream);

#[async_trait]
impl Service for Arm {
    fn call(&self, request: &Parts) -> Call {
        let segments: Vec<&str> = request.uri.path().split('/').skip(1).collect();
        match (&request.method, segments.as_slice()) {
            // Tokens are kept for an hour, as a driver keeps them.
            (_, [_, "oauth2", ..]) | (&Method::GET, [.., "deployments" | "models" | "usages"]) => Call::List,
            (&Method::GET, [.., "accounts", _]) => Call::Identify,
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
        String::from_utf8_lossy(&answer).replace(COGNITIVE_CREATED, "2027-01-01T00:00:00Z").into()
    }

    async fn send(&self, parts: Parts, body: Bytes) -> anyhow::Result<Response> {
        self.0.send(parts, body).await
    }
}
