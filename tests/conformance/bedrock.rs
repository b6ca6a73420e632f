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
use roadstead_bedrock::{Bedrock, BedrockAccess, BedrockPlace, tags};
use roadstead_clouds::bedrock::BedrockSettings;
use roadstead_clouds::faults::{AfterFailure, Effect, ScriptedFault};
use roadstead_clouds::sagemaker::{ACCOUNT, KEY_ID, KEY_SECRET};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_conformance::faults::{Call, Fault, InjectedRefusal, Service, Way};
use roadstead_conformance::request::record;
use roadstead_conformance::{Conduct, Fixture, HUB, MANY, Place};
use roadstead_provider::discreet::Discreet;
use roadstead_provider::{Provider, Redacted};
use roadstead_rest::{BaseUrl, Insecure, ServiceDriver};
use serde_json::json;

use crate::sweep::{self, Swept};
use crate::upstream::{Upstream, context};

const TARGET: &str = "east";
const REGION: &str = "us-east-1";
/// Time of the service between two looks.
const STEP: Duration = Duration::from_secs(5);
/// Interval between two listings.
const LISTING: Duration = Duration::from_millis(200);

/// Accounts in one region.
pub struct Imports;

#[async_trait]
impl Fixture for Imports {
    async fn place(&self, conduct: Conduct) -> anyhow::Result<Box<dyn Place>> {
        Ok(Box::new(Self::account(conduct).await?))
    }
}

impl Imports {
    /// An account that behaves so.
    pub async fn account(conduct: Conduct) -> anyhow::Result<ImportAccount> {
        let bedrock = BedrockSettings { importing_seconds: 30, ..BedrockSettings::default() };
        let clouds = Clouds::start(CloudSettings { bedrock, ..CloudSettings::default() }).await?;
        match conduct {
            Conduct::Ordinary => {}
            Conduct::LacksCapacity => clouds.add_fault(late("There is no capacity for the import")),
            Conduct::LacksQuota => clouds.add_fault(late("The quota of imported models is exceeded")),
            Conduct::Crowded => clouds.bedrock.crowd(REGION, MANY, |number| {
                let deployment = format!("llama-{number}");
                let name = names::endpoint_name("prod", "team", &deployment, TARGET, "one", "OnDemand", 0);
                let mut endpoint: InferenceEndpoint = record(&name);
                endpoint.spec.deployment_ref.name = deployment;
                (name, tags("prod", &endpoint, "0f0f", None, "key", HUB))
            }),
        }
        let host = Arc::<OnceLock<HeaderValue>>::default();
        let service = AwsRest { upstream: Upstream::at(&clouds.urls.bedrock), host: Arc::clone(&host) };
        let way = Way::to(service).await?;
        host.get_or_init(|| HeaderValue::try_from(way.address.to_string()).unwrap());
        Ok(ImportAccount { clouds, way })
    }
}

/// An import that is accepted, and fails later with these words.
fn late(reason: &str) -> ScriptedFault {
    ScriptedFault {
        service: ServiceName::Bedrock,
        operation: "CreateModelImportJob".to_owned(),
        skip: 0,
        times: None,
        effect: Effect::FailLate { after_seconds: 20, reason: reason.to_owned(), leaves: AfterFailure::Failed },
    }
}

/// An account and the way there.
pub struct ImportAccount {
    /// The fake.
    pub clouds: Clouds,
    way: Way,
}

#[async_trait]
impl Place for ImportAccount {
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
        let service = Bedrock::new(BedrockAccess {
            place: BedrockPlace {
                region: REGION.to_owned(),
                account: ACCOUNT.to_owned(),
                import_role: format!("arn:aws:iam::{ACCOUNT}:role/imports"),
                mirrors: vec![ModelMirror {
                    source: "hf://example/llama".to_owned(),
                    mirror: "s3://weights/llama/".to_owned(),
                }],
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

    fn set(&self, fault: Option<Fault>) {
        self.way.set(fault);
    }

    /// The service works by itself.
    async fn work(&self) -> anyhow::Result<()> {
        self.clouds.advance(STEP);
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
        Ok([named("models", "name"), named("jobs", "model")].concat())
    }
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
            (_, "/" | "/imported-models") => Call::List,
            (&Method::POST, "/model-import-jobs") => Call::Create,
            (&Method::POST, "/tagResource") => Call::Update,
            (&Method::DELETE, _) => Call::Delete,
            _ => Call::Read,
        }
    }

    fn refusal(&self, refusal: &InjectedRefusal) -> Response {
        let (status, code, message) = match refusal {
            InjectedRefusal::Throttled(_) => (429, "ThrottlingException", "Too many requests"),
            InjectedRefusal::Unauthorized => (403, "UnrecognizedClientException", "The security token is invalid."),
            InjectedRefusal::Unavailable => (503, "ServiceUnavailableException", "try again"),
            InjectedRefusal::Echo(text) => (400, "ValidationException", text.as_str()),
        };
        // STS answers in XML: the same words for both protocols.
        let xml = format!("<Code>{code}</Code><Message>{message}</Message>");
        let body = json!({"__type": code, "message": message, "xml": xml}).to_string();
        let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
        if let InjectedRefusal::Throttled(after) = refusal {
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

/// Sweeps over the changes that the driver makes.
pub async fn sweep() -> anyhow::Result<()> {
    let swept = Swept {
        service: ServiceName::Bedrock,
        changes: &["CreateModelImportJob", "DeleteImportedModel"],
        clouds: |account: &ImportAccount| &account.clouds,
        parts: |_| 0,
    };
    sweep::the_end_is_the_same(&swept, async || Imports::account(Conduct::Ordinary).await).await
}
