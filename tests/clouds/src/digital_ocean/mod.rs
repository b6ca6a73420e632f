//! `DigitalOcean` Dedicated Inference: control plane (v2) and traffic. One address serves both: the address of an instance is a path below
//! it.

mod document;
mod instance;
mod rules;
mod settings;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::http::StatusCode;
use serde_json::{Value, json};

pub use self::rules::ALL as RULES;
pub use self::settings::{DigitalOceanSettings, GpuSize, OceanModel, OceanToken, SCOPES, TEAM, TOKEN};
use self::world::{OceanAt, OceanFault, OceanWorld, missing};
use crate::clock::VirtualClock;
use crate::cloud::{Call, Cloud, Reply, Scripted, ServiceName};
use crate::engines::{Container, Engines, Question};
use crate::faults::Fate;
use crate::query;
use crate::rules::Rule;

const MEDIA: &str = "application/json";

/// The service.
pub struct DigitalOcean {
    world: Mutex<OceanWorld>,
    engines: Engines,
    clock: Arc<VirtualClock>,
}

/// Something that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum OceanRequest {
    Account,
    Sizes,
    Models,
    List,
    Create,
    Get(String),
    Update(String),
    Delete(String),
    Tokens(String),
    CreateToken(String),
    DeleteToken(String, String),
    Traffic(String, String),
    Unknown,
}

impl OceanRequest {
    /// Name of the operation, and the scope that it needs ([`rules::SCOPES`]).
    const fn operation(&self) -> (&'static str, &'static str) {
        const READ: &str = "dedicated_inference:read";
        match self {
            Self::Account => ("account", "account:read"),
            Self::Sizes => ("sizes", READ),
            Self::Models => ("models", READ),
            Self::List => ("list", READ),
            Self::Create => ("create", "dedicated_inference:create"),
            Self::Get(_) => ("get", READ),
            Self::Update(_) => ("update", "dedicated_inference:update"),
            Self::Delete(_) => ("delete", "dedicated_inference:delete"),
            Self::Tokens(_) => ("tokens", "dedicated_inference_tokens:read"),
            Self::CreateToken(_) => ("createToken", "dedicated_inference_tokens:create"),
            Self::DeleteToken(..) => ("deleteToken", "dedicated_inference_tokens:delete"),
            Self::Traffic(..) => ("traffic", ""),
            Self::Unknown => ("unknown", ""),
        }
    }

    /// Status of an answer.
    const fn status(&self) -> StatusCode {
        match self {
            Self::Create | Self::Update(_) | Self::Delete(_) | Self::CreateToken(_) => StatusCode::ACCEPTED,
            Self::DeleteToken(..) => StatusCode::NO_CONTENT,
            _ => StatusCode::OK,
        }
    }
}

/// Reads the request.
fn asked(call: &Call) -> OceanRequest {
    let text = |part: &&str| (*part).to_owned();
    let parts: Vec<&str> = call.path.split('/').skip(1).collect();
    match (call.method.as_str(), parts.as_slice()) {
        ("GET", ["v2", "account"]) => OceanRequest::Account,
        ("GET", ["v2", "dedicated-inferences", "sizes"]) => OceanRequest::Sizes,
        ("GET", ["v2", "dedicated-inferences", "gpu-model-config"]) => OceanRequest::Models,
        ("GET", ["v2", "dedicated-inferences"]) => OceanRequest::List,
        ("POST", ["v2", "dedicated-inferences"]) => OceanRequest::Create,
        ("GET", ["v2", "dedicated-inferences", id]) => OceanRequest::Get(text(id)),
        ("PATCH", ["v2", "dedicated-inferences", id]) => OceanRequest::Update(text(id)),
        ("DELETE", ["v2", "dedicated-inferences", id]) => OceanRequest::Delete(text(id)),
        ("GET", ["v2", "dedicated-inferences", id, "tokens"]) => OceanRequest::Tokens(text(id)),
        ("POST", ["v2", "dedicated-inferences", id, "tokens"]) => OceanRequest::CreateToken(text(id)),
        ("DELETE", ["v2", "dedicated-inferences", id, "tokens", token]) => {
            OceanRequest::DeleteToken(text(id), text(token))
        }
        (_, ["serve", id, path @ ..]) => OceanRequest::Traffic(text(id), format!("/{}", path.join("/"))),
        _ => OceanRequest::Unknown,
    }
}

impl DigitalOcean {
    /// The service at the address `base`, with nothing in it.
    #[must_use]
    pub fn new(settings: DigitalOceanSettings, clock: Arc<VirtualClock>, base: &str) -> Self {
        Self { world: Mutex::new(OceanWorld::new(settings, base)), engines: Engines::default(), clock }
    }

    /// Changes the settings from now on.
    pub fn configure(&self, change: impl FnOnce(&mut DigitalOceanSettings)) {
        change(&mut self.world().settings);
    }

    /// Keeps so many instances of these specs, which are active at once.
    pub fn crowd(&self, count: usize, body: impl Fn(usize) -> Value) {
        let at = OceanAt { team: TEAM, fate: &Fate::default(), now: self.clock.millis() };
        let mut world = self.world();
        (0..count).for_each(|number| world.keep(&body(number), at));
    }

    /// Removes the instances whose names begin so at once, as an administrator would. True if there was one.
    pub fn take_away(&self, name: &str) -> bool {
        self.world().take_away(name)
    }

    /// Renames the instance whose name begins so at once, as somebody else would. True if there was one.
    pub fn rename(&self, name: &str, other: &str) -> bool {
        self.world().rename(name, other)
    }

    fn world(&self) -> MutexGuard<'_, OceanWorld> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Team of a caller with the right for an operation.
    fn team(&self, call: &Call, scope: &str) -> Result<String, Box<Reply>> {
        let world = self.world();
        let known = world.settings.tokens.iter().find(|known| Some(known.token.as_str()) == bearer(call));
        let Some(known) = known else {
            return Err(Box::new(refused(StatusCode::UNAUTHORIZED, "Unable to authenticate you").by(&rules::TOKEN)));
        };
        if !known.scopes.iter().any(|one| one == scope) {
            let message = "You are not authorized to perform this operation";
            return Err(Box::new(refused(StatusCode::FORBIDDEN, message).by(&rules::SCOPES)));
        }
        Ok(known.team.clone())
    }

    fn manage(&self, call: &Call, asked: &OceanRequest, fate: &Fate) -> Reply {
        let team = match self.team(call, asked.operation().1) {
            Ok(team) => team,
            Err(refusal) => return *refusal,
        };
        let now = self.clock.millis();
        let at = OceanAt { team: &team, fate, now };
        let mut world = self.world();
        world.settle(now);
        match act(&mut world, call, asked, at) {
            Ok(Value::Null) => Reply::new(asked.status(), MEDIA, ""),
            Ok(answer) => Reply::new(asked.status(), MEDIA, answer.to_string()),
            Err(OceanFault { status, message, rule }) => refused(status, &message).by(rule),
        }
    }

    async fn traffic(&self, call: &Call, id: &str, path: &str) -> Reply {
        let container = match self.serving(call, id) {
            Ok(container) => container,
            Err(refusal) => return *refusal,
        };
        let (method, body) = (call.method.clone(), call.body.clone());
        let question = Question { method, path: path.to_owned(), authorization: String::new(), body };
        self.engines.ask(id, &container, question).await.by(&rules::GUARD)
    }

    /// The container of an instance that serves, for a caller with a token of it.
    fn serving(&self, call: &Call, id: &str) -> Result<Container, Box<Reply>> {
        let mut world = self.world();
        world.settle(self.clock.millis());
        let fault = |status, text: &str, rule| Err(Box::new(refused(status, text).by(rule)));
        let Some(instance) = world.instances.get(id) else {
            return fault(StatusCode::NOT_FOUND, "no such endpoint", &rules::NOT_FOUND);
        };
        if !instance.tokens.iter().any(|token| Some(token.value.as_str()) == bearer(call)) {
            return fault(StatusCode::UNAUTHORIZED, "invalid token", &rules::GUARD);
        }
        match instance.serving() {
            Some(spec) => Ok(container(spec)),
            None => fault(StatusCode::SERVICE_UNAVAILABLE, "not active", &rules::STATES),
        }
    }
}

/// The operation on the things of a team ([`rules::ACCOUNT`]).
fn act(world: &mut OceanWorld, call: &Call, asked: &OceanRequest, at: OceanAt<'_>) -> Result<Value, OceanFault> {
    let body = call.json().unwrap_or_default();
    match asked {
        OceanRequest::Account => Ok(json!({"account": {
            "droplet_limit": 25, "floating_ip_limit": 5, "email": "robot@example.com", "uuid": "robot-of-the-fake",
            "email_verified": true, "status": "active", "status_message": "",
            "team": {"uuid": at.team, "name": "models"},
        }})),
        OceanRequest::Sizes => Ok(world.sizes()),
        OceanRequest::Models => Ok(world.models()),
        OceanRequest::List => world.list(&query::pairs(&call.query), at),
        OceanRequest::Create => world.create(&body, at),
        OceanRequest::Get(id) => world.get(id, at),
        OceanRequest::Update(id) => world.update(id, &body, at),
        OceanRequest::Delete(id) => world.delete(id, at),
        OceanRequest::Tokens(id) => world.list_tokens(id, &query::pairs(&call.query), at),
        OceanRequest::CreateToken(id) => world.create_token(id, &body, at),
        OceanRequest::DeleteToken(id, token) => world.delete_token(id, token, at),
        OceanRequest::Traffic(..) | OceanRequest::Unknown => Err(missing()),
    }
}

fn bearer(call: &Call) -> Option<&str> {
    call.headers.get("authorization")?.to_str().ok()?.strip_prefix("Bearer ")
}

/// The container of a spec: vLLM under the model's slug ([`rules::SERVED_NAME`]).
fn container(spec: &Value) -> Container {
    let slug = spec["model_deployments"][0]["model_slug"].as_str().unwrap_or_default().to_owned();
    Container { arguments: vec!["--model".to_owned(), slug], environment: BTreeMap::new() }
}

fn refused(status: StatusCode, message: &str) -> Reply {
    let id = match status {
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::UNPROCESSABLE_ENTITY => "unprocessable_entity",
        StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
        _ => "server_error",
    };
    Reply::new(status, MEDIA, json!({"id": id, "message": message}).to_string()).by(&rules::ENVELOPE)
}

#[async_trait]
impl Cloud for DigitalOcean {
    fn name(&self) -> ServiceName {
        ServiceName::DigitalOcean
    }

    fn operation(&self, call: &Call) -> String {
        asked(call).operation().0.to_owned()
    }

    async fn answer(&self, call: &Call, _operation: &str, fate: &Fate) -> Reply {
        match asked(call) {
            OceanRequest::Traffic(id, path) => self.traffic(call, &id, &path).await,
            OceanRequest::Unknown => refused(StatusCode::NOT_FOUND, "no such route").by(&rules::NOT_FOUND),
            asked => self.manage(call, &asked, fate),
        }
    }

    fn refusal(&self, _call: &Call, _operation: &str, scripted: &Scripted) -> Reply {
        match scripted {
            Scripted::Error { status, message, .. } => refused(*status, message),
            Scripted::Throttle { after_seconds } => {
                let reply = refused(StatusCode::TOO_MANY_REQUESTS, "API Rate limit exceeded.").by(&rules::THROTTLED);
                match after_seconds {
                    Some(after) => reply.with("retry-after", after.to_string()),
                    None => reply,
                }
            }
            Scripted::Deny => {
                let message = "You are not authorized to perform this operation";
                refused(StatusCode::FORBIDDEN, message).by(&rules::SCOPES)
            }
        }
    }

    fn state(&self) -> Value {
        self.world().state(self.clock.millis())
    }

    fn rules(&self) -> &'static [&'static Rule] {
        RULES
    }
}
