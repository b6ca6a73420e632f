//! Teams of Baseten's fake in this process.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use roadstead_api::v1alpha1::{InferenceEndpoint, ServingTarget, names};
use roadstead_baseten::{Baseten, BasetenAccess, BasetenAddresses, BasetenForm, BasetenPlace};
use roadstead_clouds::baseten::{KEY, TEAM_ID};
use roadstead_clouds::faults::{AfterFailure, Effect, Hidden, ScriptedFault};
use roadstead_clouds::{CloudSettings, Clouds, ServiceName};
use roadstead_conformance::faults::{Call, Fault, InjectedRefusal, Service, Way};
use roadstead_conformance::request::{LLAMA, edited, record, request, wanted};
use roadstead_conformance::{CallBudget, Conduct, Fixture, Habits, Oddity, Place};
use roadstead_provider::discreet::Discreet;
use roadstead_provider::{ErrorClass, Observation, Progress, Provider, Redacted, Wanted, address};
use roadstead_rest::{BaseUrl, Insecure, ServiceDriver};
use serde_json::{Value, json};

use crate::life::{LOOKS, pause};
use crate::odd::{self, Played};
use crate::sweep::{self, Swept};
use crate::upstream::{Upstream, context};

const REGION: &str = "eu-west";
/// The one target and the instance type of its offer.
const TARGET: &str = "east";
const INSTANCE: &str = "H100x1";
/// Models in the case of the long listing: the service shows labels by a call for each, and allows a hundred in a second.
const FEW: usize = 500;
/// Time that passes at the service whenever it does its work.
const STEP: Duration = Duration::from_secs(10);
/// Short, so that listings are seen soon.
const LISTING_PAUSE: Duration = Duration::from_millis(200);

/// Teams with a fake of their own each.
pub struct Teams;

impl Teams {
    /// A new team.
    pub async fn team(conduct: Conduct) -> anyhow::Result<Team> {
        let clouds = Clouds::start(CloudSettings::default()).await?;
        match conduct {
            Conduct::Ordinary => {}
            Conduct::LacksCapacity => {
                clouds.baseten.configure(|settings| settings.machines = [(INSTANCE.to_owned(), 0)].into());
            }
            Conduct::LacksQuota => clouds.set_faults(vec![quota_used_up()]),
            Conduct::Crowded => clouds.baseten.crowd(FEW, crowd_form).map_err(anyhow::Error::msg)?,
        }
        let host = Arc::<OnceLock<HeaderValue>>::default();
        let service = BasetenService { upstream: Upstream::at(&clouds.urls.baseten), host: Arc::clone(&host) };
        let way = Way::to(service).await?;
        host.get_or_init(|| HeaderValue::try_from(way.address.to_string()).unwrap());
        Ok(Team { way, clouds })
    }
}

#[async_trait]
impl Fixture for Teams {
    fn many(&self) -> usize {
        FEW
    }

    fn cannot_play(&self, oddity: Oddity) -> Option<&'static str> {
        played(oddity).err()
    }

    async fn place(&self, conduct: Conduct) -> anyhow::Result<Box<dyn Place>> {
        Ok(Box::new(Self::team(conduct).await?))
    }
}

/// A creation that is accepted, and fails because of a quota a minute later.
fn quota_used_up() -> ScriptedFault {
    ScriptedFault {
        service: ServiceName::Baseten,
        operation: "create".to_owned(),
        skip: 0,
        times: None,
        effect: Effect::FailLate {
            after_seconds: 60,
            reason: "the quota of GPUs is used up".to_owned(),
            leaves: AfterFailure::Failed,
        },
    }
}

/// Name and payload of the model with this number, as the driver writes them.
fn crowd_form(number: usize) -> (String, Value) {
    let deployment = format!("llama-{number}");
    let name = names::endpoint_name("prod", "team", &deployment, TARGET, "one", "OnDemand", 0);
    let mut endpoint: InferenceEndpoint = record(&name);
    endpoint.spec.deployment_ref.name = deployment;
    let payload = BasetenForm::of(&request(endpoint, &target()), "prod", REGION).unwrap().payload();
    (name, payload)
}

fn target() -> ServingTarget {
    serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": TARGET},
        "spec": {
            "cloud": "baseten", "region": REGION, "type": "Baseten",
            "baseten": {"apiKeySecretRef": {"name": "baseten", "key": "token"}},
            "offers": [{"name": "a3", "instanceType": INSTANCE, "accelerator": {"type": "H100", "count": 1},
                        "capacityType": "OnDemand"}],
        },
    }))
    .unwrap()
}

/// A team, its fake and the way there.
pub struct Team {
    way: Way,
    /// Its fake.
    pub clouds: Clouds,
}

impl Team {
    /// A new driver, as it is without the operator's decorations.
    pub fn plain_driver(&self, install_id: &str) -> anyhow::Result<ServiceDriver<Baseten>> {
        let base = BaseUrl::parse(&format!("http://{}", self.way.address), Insecure::Allowed)?;
        let service = Baseten::new(BasetenAccess {
            addresses: BasetenAddresses::of(Some(&base))?,
            place: BasetenPlace { team: None, region: REGION.to_owned() },
            key: Redacted::new(KEY.to_owned()),
            reach: address::anywhere,
            context: context(install_id),
        });
        Ok(ServiceDriver::new(service).listing_every(LISTING_PAUSE))
    }
}

#[async_trait]
impl Place for Team {
    fn target(&self) -> ServingTarget {
        target()
    }

    async fn driver(&self, install_id: &str) -> anyhow::Result<Arc<dyn Provider>> {
        Ok(Arc::new(Discreet::new(self.plain_driver(install_id)?)))
    }

    fn habits(&self) -> Habits {
        // The model and its deployments.
        Habits { budget: CallBudget { observe: 2, ensure: 2 }, ..Habits::default() }
    }

    fn set(&self, fault: Option<Fault>) {
        self.way.set(fault);
    }

    fn calls(&self) -> usize {
        self.way.calls()
    }

    async fn play(&self, oddity: Option<Oddity>) -> anyhow::Result<()> {
        if oddity == Some(Oddity::Cold) {
            anyhow::ensure!(self.clouds.baseten.put_to_zero() == 1, "nothing ran");
        } else {
            self.clouds.baseten.wake();
        }
        odd::play(&self.clouds, ServiceName::Baseten, played, oddity)
    }

    async fn work(&self) -> anyhow::Result<()> {
        self.clouds.advance(STEP);
        Ok(())
    }

    async fn make_foreign(&self, endpoint: &str) -> anyhow::Result<()> {
        let unmarked = |number| {
            let (_, mut payload) = crowd_form(number);
            payload["labels"] = json!({});
            (endpoint.to_owned(), payload)
        };
        self.clouds.baseten.crowd(1, unmarked).map_err(anyhow::Error::msg)
    }

    async fn take_away(&self, endpoint: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.clouds.baseten.take_away(endpoint), "there is no model {endpoint}");
        Ok(())
    }

    async fn holds(&self) -> anyhow::Result<Vec<String>> {
        let state = self.clouds.state(ServiceName::Baseten);
        let models = state["models"].as_array().into_iter().flatten();
        Ok(models.filter_map(|model| model["name"].as_str()).map(ToOwned::to_owned).collect())
    }
}

/// Names of the secrets that belong to models. The claim of the hub is none of them.
pub fn secrets(state: &Value) -> Vec<&str> {
    let names = state["secrets"].as_array().into_iter().flatten().filter_map(Value::as_str);
    names.filter(|name| !name.starts_with("roadstead-claim_")).collect()
}

/// Deployments beside the one of each model, keys and secrets.
fn parts(clouds: &Clouds) -> usize {
    let state = clouds.state(ServiceName::Baseten);
    let models = state["models"].as_array().into_iter().flatten();
    let surplus: usize =
        models.map(|model| model["deployments"].as_array().map_or(0, Vec::len).saturating_sub(1)).sum();
    let keys = usize::try_from(state["keys"].as_u64().unwrap_or(0)).unwrap_or(0);
    surplus + keys + secrets(&state).len()
}

/// Operations at which the fake plays an oddity.
fn played(oddity: Oddity) -> Played {
    match oddity {
        Oddity::CreationHangs
        | Oddity::CreationHides
        | Oddity::QuotaNow
        | Oddity::CapacityNow
        | Oddity::WrongRegion => Ok(&["create"]),
        Oddity::DeletionHangs | Oddity::DeletionLingers => Ok(&["delete"]),
        Oddity::DeletionFails => Err("the answer to a deletion says whether the model is deleted"),
        Oddity::UnknownState | Oddity::Degraded => Ok(&["deployments"]),
        Oddity::NameTaken | Oddity::Cold => Ok(&[]),
        Oddity::UpdateRollsBack => Ok(&["deploy"]),
    }
}

/// Sweeps over the changes that the driver makes.
pub async fn sweep() -> anyhow::Result<()> {
    let swept = Swept {
        service: ServiceName::Baseten,
        changes: &["prepare", "upload", "create", "deploy", "deleteDeployment", "delete"],
        clouds: |team: &Team| &team.clouds,
        parts,
    };
    sweep::the_end_is_the_same(&swept, async || Teams::team(Conduct::Ordinary).await).await
}

/// Deployments that are listed some time after their push are waited for, and nothing is pushed twice, whether the answer to the push
/// arrived or not.
pub async fn a_deployment_that_is_listed_late_is_not_pushed_again() -> anyhow::Result<()> {
    for loses_answer in [false, true] {
        let pushes = pushes_to_a_late_list(loses_answer).await?;
        anyhow::ensure!(pushes == ["create", "deploy"], "the answer lost: {loses_answer}, and the pushes {pushes:?}");
    }
    Ok(())
}

/// The pushes of two forms, one after the other, whose deployments are listed late.
async fn pushes_to_a_late_list(loses_answer: bool) -> anyhow::Result<Vec<String>> {
    let team = Teams::team(Conduct::Ordinary).await?;
    let driver = team.driver("prod").await?;
    for operation in ["create", "deploy"] {
        team.clouds.add_fault(ScriptedFault {
            service: ServiceName::Baseten,
            operation: operation.to_owned(),
            skip: 0,
            times: Some(1),
            effect: Effect::Hide { seconds: 40, hidden: Hidden::FromLists, loses_answer },
        });
    }
    let first = wanted(&team.target(), "prod", LLAMA)?;
    let last = edited(&first, |endpoint| endpoint.spec.template.args = vec!["--max-model-len=3".to_owned()]);
    for form in [&first, &last] {
        serves(&team, driver.as_ref(), form).await?;
    }
    let calls = team.clouds.requests_after(0).into_iter();
    Ok(calls.map(|call| call.operation).filter(|one| ["create", "deploy"].contains(&one.as_str())).collect())
}

/// Looks as the core does until the endpoint serves in this form; what passes by itself is waited for.
async fn serves(team: &Team, driver: &dyn Provider, form: &Wanted) -> anyhow::Result<()> {
    for _ in 0..LOOKS {
        match driver.observe(form).await {
            Ok(Observation::Present(present)) if present.in_sync && present.progress == Progress::Serving => {
                return Ok(());
            }
            Ok(Observation::Present(present)) if present.in_sync => {}
            Ok(Observation::Foreign { message }) => anyhow::bail!("{message}"),
            Ok(_) => drop(driver.ensure(form).await),
            Err(error) => anyhow::ensure!(error.class == ErrorClass::Transient, "{error}"),
        }
        pause(team).await?;
    }
    anyhow::bail!("it does not serve")
}

/// The fake behind the way. Uploads are signed for the host of the way.
struct BasetenService {
    upstream: Upstream,
    host: Arc<OnceLock<HeaderValue>>,
}

#[async_trait]
impl Service for BasetenService {
    fn call(&self, request: &Parts) -> Call {
        let segments = request.uri.path().split('/').skip(1).collect::<Vec<_>>();
        match (&request.method, segments.as_slice()) {
            (_, ["v1", "teams"]) => Call::Identify,
            // The inventory is made of the models of the team; a name is looked up among those of all teams.
            (&Method::GET, ["v1", "teams", TEAM_ID, "models"]) => Call::List,
            (&Method::POST, ["v1", "teams", TEAM_ID, "models"]) => Call::Create,
            (&Method::DELETE, _) => Call::Delete,
            (&Method::GET, _) => Call::Read,
            _ => Call::Update,
        }
    }

    fn refusal(&self, refusal: &InjectedRefusal) -> Response {
        let error = |status, text: &str| (status, axum::Json(json!({"error": text}))).into_response();
        match refusal {
            InjectedRefusal::Throttled(after) => {
                let mut body = json!({"error": "Rate limit exceeded."});
                if let Some(after) = after {
                    body["retry_after"] = json!(after.as_secs());
                }
                (StatusCode::TOO_MANY_REQUESTS, axum::Json(body)).into_response()
            }
            // Keys do not expire; one that was revoked is like one that never was.
            InjectedRefusal::Unauthorized | InjectedRefusal::Expired => {
                error(StatusCode::UNAUTHORIZED, "Invalid API key")
            }
            InjectedRefusal::Unavailable => error(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
            InjectedRefusal::Echo(text) => error(StatusCode::BAD_REQUEST, text),
        }
    }

    fn of_another_place(&self, answer: Bytes) -> Bytes {
        String::from_utf8_lossy(&answer).replace(TEAM_ID, "another-team").into()
    }

    async fn send(&self, mut parts: Parts, body: Bytes) -> anyhow::Result<Response> {
        if let Some(host) = self.host.get() {
            parts.headers.insert(header::HOST, host.clone());
        }
        self.upstream.send(parts, body).await
    }
}
