//! SageMaker, played by a stateful fake in this process whose clock runs fast.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use roadstead_api::v1alpha1::{ServingTarget, names};
use roadstead_aws::{CredentialSettings, CredentialSource, LongLivedKey};
use roadstead_clouds::faults::{AfterFailure, Effect, ScriptedFault};
use roadstead_clouds::sagemaker::{ACCOUNT, KEY_ID, KEY_SECRET, SageMakerSettings};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_conformance::faults::{Call, Fault, InjectedRefusal, Service, Way};
use roadstead_conformance::request::{LLAMA, edited, wanted};
use roadstead_conformance::{CallBudget, Conduct, Fixture, Habits, MANY, Oddity, Place};
use roadstead_provider::discreet::Discreet;
use roadstead_provider::{Provider, Redacted};
use roadstead_rest::{BaseUrl, Insecure, ServiceDriver};
use roadstead_sagemaker::{AccountAccess, SageMaker, SageMakerPlace};
use serde_json::json;

use crate::life::reaches;
use crate::odd::{self, Played};
use crate::refused;
use crate::sweep::{self, Swept};
use crate::upstream::{Upstream, context};

/// The one target and its region.
const TARGET: &str = "east";
const REGION: &str = "eu-west-1";
const INSTANCE: &str = "ml.p5.4xlarge";
/// Time of the service between two looks.
const STEP: Duration = Duration::from_secs(5);
/// Interval between two listings.
const LISTING: Duration = Duration::from_millis(200);

/// Accounts in one region.
pub struct Accounts;

#[async_trait]
impl Fixture for Accounts {
    fn cannot_play(&self, oddity: Oddity) -> Option<&'static str> {
        played(oddity).err()
    }

    async fn place(&self, conduct: Conduct) -> anyhow::Result<Box<dyn Place>> {
        Ok(Box::new(Self::account(conduct).await?))
    }
}

impl Accounts {
    /// An account that behaves so.
    pub async fn account(conduct: Conduct) -> anyhow::Result<Account> {
        let sagemaker = SageMakerSettings {
            creating_seconds: 30,
            updating_seconds: 30,
            deleting_seconds: 10,
            capacity_seconds: 20,
            ..SageMakerSettings::default()
        };
        let clouds = Clouds::start(CloudSettings { sagemaker, ..CloudSettings::default() }).await?;
        match conduct {
            Conduct::Ordinary => {}
            Conduct::LacksCapacity => {
                clouds.sagemaker.configure(|settings| {
                    settings.machines.insert(INSTANCE.to_owned(), 0);
                });
            }
            // The service says at once that a quota does not suffice; only its words in a late failure are like this.
            Conduct::LacksQuota => clouds.add_fault(ScriptedFault {
                service: ServiceName::SageMaker,
                operation: "CreateEndpoint".to_owned(),
                skip: 0,
                times: None,
                effect: Effect::FailLate {
                    after_seconds: 20,
                    reason: format!("The account-level service limit '{INSTANCE} for endpoint usage' is 0 Instances."),
                    leaves: AfterFailure::Failed,
                },
            }),
            Conduct::Crowded => crowd(&clouds).map_err(anyhow::Error::msg)?,
        }
        let host = Arc::<OnceLock<HeaderValue>>::default();
        let service = Aws { upstream: Upstream::at(&clouds.urls.sagemaker), host: Arc::clone(&host) };
        let way = Way::to(service).await?;
        host.get_or_init(|| HeaderValue::try_from(way.address.to_string()).unwrap());
        Ok(Account { clouds, way })
    }
}

/// Fills the account with endpoints.
fn crowd(clouds: &Clouds) -> Result<(), String> {
    clouds.sagemaker.crowd(REGION, INSTANCE, MANY, |number| {
        let deployment = format!("llama-{number}");
        let name = names::endpoint_name("prod", "team", &deployment, TARGET, "one", "OnDemand", 0);
        let tags = [
            (names::LABEL_INSTALL_ID, "prod"),
            (names::LABEL_NAMESPACE, "team"),
            (names::LABEL_DEPLOYMENT, &deployment),
            (names::ANNOTATION_TARGET, TARGET),
            (names::ANNOTATION_OFFER, "p5"),
            (names::ANNOTATION_SHAPE, "one"),
            (names::ANNOTATION_CAPACITY_TYPE, "OnDemand"),
            (names::ANNOTATION_SLOT, "0"),
        ];
        (name, tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
    })
}

/// An account and the way there.
pub struct Account {
    /// The fake.
    pub clouds: Clouds,
    way: Way,
}

#[async_trait]
impl Place for Account {
    fn target(&self) -> ServingTarget {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": TARGET},
            "spec": {
                "cloud": "aws", "region": REGION, "type": "SageMaker",
                "sageMaker": {
                    "accountID": ACCOUNT, "executionRoleARN": format!("arn:aws:iam::{ACCOUNT}:role/containers"),
                    "imageMirrors": [{"source": "example.com/",
                                      "mirror": format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/")}],
                },
                "offers": [{"name": "p5", "instanceType": INSTANCE, "accelerator": {"type": "H100", "count": 1},
                            "capacityType": "OnDemand", "hourlyPrice": "7.00"}],
            },
        }))
        .unwrap()
    }

    async fn driver(&self, install_id: &str) -> anyhow::Result<Arc<dyn Provider>> {
        let endpoint = format!("http://{}", self.way.address);
        let key = LongLivedKey { id: KEY_ID.to_owned(), secret: Redacted::new(KEY_SECRET.to_owned()), session: None };
        let service = SageMaker::new(AccountAccess {
            place: SageMakerPlace {
                region: REGION.to_owned(),
                account: ACCOUNT.to_owned(),
                endpoint: Some(BaseUrl::parse(&endpoint, Insecure::Allowed)?),
            },
            credentials: CredentialSettings {
                source: CredentialSource::Key(key),
                role: None,
                region: REGION.to_owned(),
                endpoint: Some(endpoint),
            },
            context: context(install_id),
        });
        Ok(Arc::new(Discreet::new(ServiceDriver::new(service?).listing_every(LISTING))))
    }

    fn habits(&self) -> Habits {
        Habits {
            // The service deletes nothing that it is making.
            stops_creations: false,
            // The endpoint and its tags.
            budget: CallBudget { observe: 2, ensure: 2 },
            ..Habits::default()
        }
    }

    fn set(&self, fault: Option<Fault>) {
        self.way.set(fault);
    }

    fn calls(&self) -> usize {
        self.way.calls()
    }

    async fn play(&self, oddity: Option<Oddity>) -> anyhow::Result<()> {
        odd::play(&self.clouds, ServiceName::SageMaker, played, oddity)
    }

    /// The service works by itself.
    async fn work(&self) -> anyhow::Result<()> {
        self.clouds.advance(STEP);
        Ok(())
    }

    async fn make_foreign(&self, endpoint: &str) -> anyhow::Result<()> {
        let made = self.clouds.sagemaker.crowd(REGION, INSTANCE, 1, |_| (endpoint.to_owned(), [].into()));
        made.map_err(anyhow::Error::msg)
    }

    async fn take_away(&self, endpoint: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.clouds.sagemaker.take_away(REGION, endpoint), "there is no endpoint {endpoint}");
        Ok(())
    }

    async fn holds(&self) -> anyhow::Result<Vec<String>> {
        let state = self.clouds.state(ServiceName::SageMaker);
        let places = state.as_array().into_iter().flatten();
        let endpoints = places.flat_map(|place| place["endpoints"].as_array().into_iter().flatten());
        Ok(endpoints.filter_map(|endpoint| Some(endpoint["name"].as_str()?.to_owned())).collect())
    }
}

/// Operations at which the fake plays an oddity.
fn played(oddity: Oddity) -> Played {
    match oddity {
        Oddity::CreationHangs | Oddity::CreationHides => Ok(&["CreateEndpoint"]),
        Oddity::DeletionHangs | Oddity::DeletionFails | Oddity::DeletionLingers => Ok(&["DeleteEndpoint"]),
        Oddity::UnknownState | Oddity::Degraded => Ok(&["DescribeEndpoint"]),
        Oddity::QuotaNow | Oddity::NameTaken => Ok(&[]),
        Oddity::CapacityNow => Err(refused::LATE_ALONE),
        Oddity::WrongRegion => Ok(&["*"]),
        Oddity::Cold => Err(refused::NEVER_COLD),
        Oddity::UpdateRollsBack => Ok(&["UpdateEndpoint"]),
    }
}

/// Sweeps over the changes that the driver makes.
pub async fn sweep() -> anyhow::Result<()> {
    let parts = |clouds: &Clouds| {
        let state = clouds.state(ServiceName::SageMaker);
        ["configs", "models"].into_iter().map(|kind| state[0][kind].as_array().map_or(0, Vec::len)).sum()
    };
    let swept = Swept {
        service: ServiceName::SageMaker,
        changes: &[
            "AddTags",
            "CreateEndpoint",
            "CreateEndpointConfig",
            "CreateModel",
            "DeleteEndpoint",
            "DeleteEndpointConfig",
            "DeleteModel",
            "UpdateEndpoint",
        ],
        clouds: |account: &Account| &account.clouds,
        parts,
    };
    sweep::the_end_is_the_same(&swept, async || Accounts::account(Conduct::Ordinary).await).await
}

/// The first form comes back, with the configuration that it had with one instance: five serve on, as they are wanted by now.
pub async fn a_form_that_comes_back_keeps_the_instances_that_serve() -> anyhow::Result<()> {
    let account = Accounts::account(Conduct::Ordinary).await?;
    let driver = account.driver("prod").await?;
    let one = wanted(&account.target(), "prod", LLAMA)?;
    let first = edited(&one, |endpoint| endpoint.spec.replicas = 5);
    let second = edited(&first, |endpoint| endpoint.spec.template.args = vec!["--max-model-len=3".to_owned()]);
    for form in [&one, &first, &second, &first] {
        reaches(&account, driver.as_ref(), form, true).await?;
    }
    let calls = account.clouds.requests_after(0).into_iter();
    let scaled = calls.filter(|exchange| exchange.operation == "UpdateEndpointWeightsAndCapacities").count();
    anyhow::ensure!(scaled == 1, "the number of instances was changed {scaled} times");
    Ok(())
}

/// Another form and another number at once: the form first, on as many instances as there are, and then the number.
pub async fn form_and_number_change_one_after_the_other() -> anyhow::Result<()> {
    let account = Accounts::account(Conduct::Ordinary).await?;
    let driver = account.driver("prod").await?;
    let first = wanted(&account.target(), "prod", LLAMA)?;
    let last = edited(&first, |endpoint| {
        endpoint.spec.replicas = 3;
        endpoint.spec.template.args = vec!["--max-model-len=3".to_owned()];
    });
    reaches(&account, driver.as_ref(), &first, true).await?;
    let present = reaches(&account, driver.as_ref(), &last, true).await?;
    anyhow::ensure!(present.ready_replicas == 3, "{} instances serve", present.ready_replicas);
    Ok(())
}

/// AWS at an address. Requests are signed for the host of the way to it.
struct Aws {
    upstream: Upstream,
    host: Arc<OnceLock<HeaderValue>>,
}

#[async_trait]
impl Service for Aws {
    fn call(&self, request: &Parts) -> Call {
        let target = request.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        match target.and_then(|target| target.rsplit('.').next()) {
            None => Call::Identify,
            Some("CreateModelPackageGroup" | "DescribeModelPackageGroup") => Call::Claim,
            Some("GetResources" | "ListEndpoints") => Call::List,
            Some(operation) if operation.starts_with("Create") => Call::Create,
            Some(operation) if operation.starts_with("Update") || operation == "AddTags" => Call::Update,
            Some(operation) if operation.starts_with("Delete") => Call::Delete,
            Some(_) => Call::Read,
        }
    }

    fn refusal(&self, refusal: &InjectedRefusal) -> Response {
        let (status, code, message) = match refusal {
            InjectedRefusal::Throttled(_) => (400, "ThrottlingException", "Rate exceeded"),
            InjectedRefusal::Unauthorized => {
                (400, "UnrecognizedClientException", "The security token included in the request is invalid.")
            }
            InjectedRefusal::Expired => {
                (403, "ExpiredTokenException", "The security token included in the request is expired")
            }
            InjectedRefusal::Unavailable => (503, "ServiceUnavailable", "try again"),
            InjectedRefusal::Echo(text) => (400, "ValidationException", text.as_str()),
        };
        // STS answers in XML: the same words for both protocols.
        let xml = format!("<Code>{code}</Code><Message>{message}</Message>");
        let body = json!({"__type": code, "message": message, "xml": xml}).to_string();
        let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
        if let InjectedRefusal::Throttled(Some(after)) = refusal {
            response.headers_mut().insert(header::RETRY_AFTER, after.as_secs().into());
        }
        response
    }

    fn of_another_place(&self, answer: Bytes) -> Bytes {
        String::from_utf8_lossy(&answer).replace(ACCOUNT, "210987654321").into()
    }

    async fn send(&self, mut parts: Parts, body: Bytes) -> anyhow::Result<Response> {
        if let Some(host) = self.host.get() {
            parts.headers.insert(header::HOST, host.clone());
        }
        self.upstream.send(parts, body).await
    }
}
