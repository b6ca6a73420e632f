//! Bedrock, played by a stateful fake in this process whose clock runs fast.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use roadstead_api::v1alpha1::{InferenceEndpoint, ModelMirror, ServingTarget, names};
use roadstead_aws::{CredentialSettings, CredentialSource, LongLivedKey};
use roadstead_bedrock::{Bedrock, BedrockAccess, BedrockPlace, BedrockThroughput, ImportSettings, tags};
use roadstead_clouds::bedrock::{BedrockSettings, FOUNDATION};
use roadstead_clouds::faults::{AfterFailure, Effect, ScriptedFault};
use roadstead_clouds::sagemaker::{ACCOUNT, KEY_ID, KEY_SECRET};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_conformance::faults::{Call, Fault, InjectedRefusal, Service, Way};
use roadstead_conformance::request::{LLAMA, record, wanted};
use roadstead_conformance::{CallBudget, Conduct, Fixture, HUB, Habits, MANY, Oddity, Place};
use roadstead_provider::discreet::Discreet;
use roadstead_provider::{ErrorClass, Provider, Redacted};
use roadstead_rest::{BaseUrl, Insecure, ManagedService, ServiceDriver};
use serde_json::json;

use crate::odd::{self, Played};
use crate::refused;
use crate::sweep::{self, Swept};
use crate::upstream::{Upstream, context};

const TARGET: &str = "east";
const REGION: &str = "us-east-1";
/// Time of the service between two looks.
const STEP: Duration = Duration::from_secs(5);
/// Interval between two listings.
const LISTING: Duration = Duration::from_millis(200);

/// Longer than the last copy of a model stays without a request.
const IDLE: Duration = Duration::from_mins(10);

/// Source that deployments of the suite name.
const SOURCE: &str = "hf://example/llama";

/// Accounts in one region, used in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BedrockAccounts {
    /// By custom model import.
    Imports,
    /// By provisioned throughput.
    Throughput,
}

#[async_trait]
impl Fixture for BedrockAccounts {
    fn cannot_play(&self, oddity: Oddity) -> Option<&'static str> {
        self.played()(oddity).err()
    }

    async fn place(&self, conduct: Conduct) -> anyhow::Result<Box<dyn Place>> {
        Ok(Box::new(self.account(conduct).await?))
    }
}

/// Name and tags of the endpoint with this number.
fn crowd(number: usize) -> (String, std::collections::BTreeMap<String, String>) {
    let deployment = format!("llama-{number}");
    let name = names::endpoint_name("prod", "team", &deployment, TARGET, "one", "OnDemand", 0);
    let mut endpoint: InferenceEndpoint = record(&name);
    endpoint.spec.deployment_ref.name = deployment;
    (name, tags("prod", &endpoint, "0f0f", None, "key", HUB))
}

impl BedrockAccounts {
    const fn creation(self) -> &'static str {
        match self {
            Self::Imports => "CreateModelImportJob",
            Self::Throughput => "CreateProvisionedModelThroughput",
        }
    }

    fn played(self) -> fn(Oddity) -> Played {
        match self {
            Self::Imports => played_by_imports,
            Self::Throughput => played_by_throughput,
        }
    }

    /// An account that behaves so.
    pub async fn account(self, conduct: Conduct) -> anyhow::Result<BedrockAccount> {
        let bedrock = BedrockSettings { importing_seconds: 30, provisioning_seconds: 30, ..BedrockSettings::default() };
        let clouds = Clouds::start(CloudSettings { bedrock, ..CloudSettings::default() }).await?;
        match conduct {
            Conduct::Ordinary => {}
            Conduct::LacksCapacity => clouds.add_fault(late(self, "There is no capacity for the model")),
            Conduct::LacksQuota => clouds.add_fault(late(self, "The quota of models is exceeded")),
            Conduct::Crowded if self == Self::Imports => clouds.bedrock.crowd(REGION, MANY, crowd),
            Conduct::Crowded => clouds.bedrock.crowd_throughputs(REGION, MANY, crowd),
        }
        let host = Arc::<OnceLock<HeaderValue>>::default();
        let service = AwsRest { upstream: Upstream::at(&clouds.urls.bedrock), host: Arc::clone(&host) };
        let way = Way::to(service).await?;
        host.get_or_init(|| HeaderValue::try_from(way.address.to_string()).unwrap());
        Ok(BedrockAccount { clouds, serves_by: self, way })
    }
}

/// A creation that is accepted, and fails later with these words.
fn late(serves_by: BedrockAccounts, reason: &str) -> ScriptedFault {
    ScriptedFault {
        service: ServiceName::Bedrock,
        operation: serves_by.creation().to_owned(),
        skip: 0,
        times: None,
        effect: Effect::FailLate { after_seconds: 20, reason: reason.to_owned(), leaves: AfterFailure::Failed },
    }
}

/// Operations at which the fake plays an oddity of imports.
fn played_by_imports(oddity: Oddity) -> Played {
    match oddity {
        Oddity::CreationHangs | Oddity::CreationHides => Ok(&["CreateModelImportJob"]),
        Oddity::DeletionHangs | Oddity::DeletionFails => Err(odd::DELETES_AT_ONCE),
        Oddity::DeletionLingers => Ok(&["DeleteImportedModel"]),
        Oddity::UnknownState | Oddity::Degraded => Err("imported models have no state"),
        Oddity::UpdateRollsBack | Oddity::QuotaNow | Oddity::NameTaken | Oddity::Cold => Ok(&[]),
        Oddity::CapacityNow => Err(refused::LATE_ALONE),
        Oddity::WrongRegion => Ok(&["*"]),
    }
}

/// Operations at which the fake plays an oddity of provisioned throughput.
fn played_by_throughput(oddity: Oddity) -> Played {
    match oddity {
        Oddity::CreationHangs | Oddity::CreationHides => Ok(&["CreateProvisionedModelThroughput"]),
        Oddity::DeletionHangs | Oddity::DeletionFails => Err(odd::DELETES_AT_ONCE),
        Oddity::DeletionLingers => Ok(&["DeleteProvisionedModelThroughput"]),
        Oddity::UnknownState | Oddity::Degraded => Ok(&["GetProvisionedModelThroughput"]),
        Oddity::UpdateRollsBack | Oddity::QuotaNow | Oddity::NameTaken => Ok(&[]),
        Oddity::CapacityNow => Err(refused::LATE_ALONE),
        Oddity::WrongRegion => Ok(&["*"]),
        Oddity::Cold => Err(refused::NEVER_COLD),
    }
}

/// An account and the way there.
pub struct BedrockAccount {
    /// The fake.
    pub clouds: Clouds,
    /// The way to serve.
    pub serves_by: BedrockAccounts,
    way: Way,
}

#[async_trait]
impl Place for BedrockAccount {
    fn target(&self) -> ServingTarget {
        serde_json::from_value(json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": TARGET},
            "spec": {
                "cloud": "aws", "region": REGION, "type": "Bedrock",
                "offers": [{"name": "copy", "instanceType": "model-copy", "accelerator": {"type": "H100", "count": 1},
                            "capacityType": "OnDemand", "hourlyPrice": "9.44"}],
            },
        }))
        .unwrap()
    }

    async fn driver(&self, install_id: &str) -> anyhow::Result<Arc<dyn Provider>> {
        let endpoint = format!("http://{}", self.way.address);
        let key = LongLivedKey { id: KEY_ID.to_owned(), secret: Redacted::new(KEY_SECRET.to_owned()), session: None };
        let access = BedrockAccess {
            place: BedrockPlace {
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
        };
        Ok(match self.serves_by {
            BedrockAccounts::Imports => {
                let mirror = ModelMirror { source: SOURCE.to_owned(), mirror: "s3://weights/llama/".to_owned() };
                let role = format!("arn:aws:iam::{ACCOUNT}:role/imports");
                used(Bedrock::new(access, ImportSettings { role, mirrors: vec![mirror] })?)
            }
            BedrockAccounts::Throughput => {
                used(BedrockThroughput::new(access, [(SOURCE.to_owned(), FOUNDATION.to_owned())].into())?)
            }
        })
    }

    fn habits(&self) -> Habits {
        Habits {
            // An import cannot be stopped.
            stops_creations: self.serves_by == BedrockAccounts::Throughput,
            // The model and its tags.
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
        if oddity == Some(Oddity::Cold) {
            self.clouds.advance(IDLE);
        }
        odd::play(&self.clouds, ServiceName::Bedrock, self.serves_by.played(), oddity)
    }

    /// The service works by itself.
    async fn work(&self) -> anyhow::Result<()> {
        self.clouds.advance(STEP);
        Ok(())
    }

    async fn make_foreign(&self, endpoint: &str) -> anyhow::Result<()> {
        let unmarked = |_: usize| (endpoint.to_owned(), std::collections::BTreeMap::new());
        match self.serves_by {
            BedrockAccounts::Imports => self.clouds.bedrock.crowd(REGION, 1, unmarked),
            BedrockAccounts::Throughput => self.clouds.bedrock.crowd_throughputs(REGION, 1, unmarked),
        }
        Ok(())
    }

    async fn take_away(&self, endpoint: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.clouds.bedrock.take_away(REGION, endpoint), "there is no model {endpoint}");
        Ok(())
    }

    async fn holds(&self) -> anyhow::Result<Vec<String>> {
        let state = self.clouds.state(ServiceName::Bedrock);
        let named = |list: &str, member: &'static str| {
            let all = state[0][list].as_array().into_iter().flatten();
            all.filter_map(move |one| Some(one[member].as_str()?.to_owned())).collect::<Vec<String>>()
        };
        // What is being imported becomes an endpoint, and cannot be stopped.
        Ok([named("models", "name"), named("jobs", "model"), named("throughputs", "name")].concat())
    }
}

fn used(service: impl ManagedService) -> Arc<dyn Provider> {
    Arc::new(Discreet::new(ServiceDriver::new(service).listing_every(LISTING)))
}

/// AWS at an address. Requests are signed for the host of the way to it.
struct AwsRest {
    upstream: Upstream,
    host: Arc<OnceLock<HeaderValue>>,
}

#[async_trait]
impl Service for AwsRest {
    fn call(&self, request: &Parts) -> Call {
        let path = request.uri.path();
        match (&request.method, path) {
            (&Method::POST, "/") if !request.headers.contains_key("x-amz-target") => Call::Identify,
            (_, "/" | "/imported-models" | "/provisioned-model-throughputs") => Call::List,
            (&Method::POST, "/model-import-jobs" | "/provisioned-model-throughput") => Call::Create,
            (&Method::POST, "/tagResource") => Call::Update,
            (&Method::DELETE, _) => Call::Delete,
            _ => Call::Read,
        }
    }

    fn refusal(&self, refusal: &InjectedRefusal) -> Response {
        let (status, code, message) = match refusal {
            InjectedRefusal::Throttled(_) => (429, "ThrottlingException", "Too many requests"),
            InjectedRefusal::Unauthorized => (403, "UnrecognizedClientException", "The security token is invalid."),
            InjectedRefusal::Expired => {
                (403, "ExpiredTokenException", "The security token included in the request is expired")
            }
            InjectedRefusal::Unavailable => (503, "ServiceUnavailableException", "try again"),
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

/// Sweeps over the changes that the driver of imports makes.
pub async fn sweep() -> anyhow::Result<()> {
    sweep_of(BedrockAccounts::Imports, &["CreateModelImportJob", "DeleteImportedModel"]).await
}

/// Sweeps over the changes that the driver of provisioned throughput makes.
pub async fn sweep_of_throughput() -> anyhow::Result<()> {
    let changes = &["CreateProvisionedModelThroughput", "DeleteProvisionedModelThroughput"];
    sweep_of(BedrockAccounts::Throughput, changes).await
}

async fn sweep_of(accounts: BedrockAccounts, changes: &'static [&'static str]) -> anyhow::Result<()> {
    let swept = Swept {
        service: ServiceName::Bedrock,
        changes,
        clouds: |account: &BedrockAccount| &account.clouds,
        parts: |_| 0,
    };
    sweep::the_end_is_the_same(&swept, async || accounts.account(Conduct::Ordinary).await).await
}

/// Whoever buys throughput in the moment after the driver has looked, under the same name, keeps it; and no purchase has a commitment.
pub async fn throughput_that_was_bought_meanwhile_is_left_alone() -> anyhow::Result<()> {
    let account = BedrockAccounts::Throughput.account(Conduct::Ordinary).await?;
    let (ours, theirs) = (account.driver("prod").await?, account.driver("other").await?);
    let form = wanted(&account.target(), "prod", LLAMA)?;
    theirs.ensure(&form).await?;
    let before = account.clouds.state(ServiceName::Bedrock)[0]["throughputs"].clone();
    anyhow::ensure!(before[0]["commitment"].is_null(), "bought for months: {before}");
    account.clouds.add_fault(ScriptedFault {
        service: ServiceName::Bedrock,
        operation: "GetProvisionedModelThroughput".to_owned(),
        skip: 0,
        times: Some(1),
        effect: Effect::Reject {
            status: 404,
            code: "ResourceNotFoundException".to_owned(),
            message: "Could not find the resource.".to_owned(),
        },
    });
    let Err(error) = ours.ensure(&form).await else { anyhow::bail!("another's throughput is ours") };
    anyhow::ensure!(error.class == ErrorClass::Transient && error.message.contains("concurrently"), "{error}");
    let after = account.clouds.state(ServiceName::Bedrock)[0]["throughputs"].clone();
    anyhow::ensure!(before == after, "another's throughput was {before} and is {after}");
    Ok(())
}
