//! Hugging Face Inference Endpoints: control plane (v2) and traffic. One address serves both: the URL of an endpoint is a path
//! below it.

mod endpoint;
mod rules;
mod settings;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use self::endpoint::{Durations, HubEndpoint, Progress, State};
pub use self::rules::ALL as RULES;
pub use self::settings::{Hardware, HubToken, HuggingFaceSettings, NAMESPACE, TOKEN, TokenScope};
use self::world::{HubAt, HubFault, HubWorld};
use crate::clock::VirtualClock;
use crate::cloud::{Call, Cloud, Reply, Scripted, ServiceName};
use crate::engines::{Container, Engines, Question};
use crate::faults::Fate;
use crate::rules::Rule;

const MEDIA: &str = "application/json";
/// Longest time of the machine for which a request waits for an endpoint to wake.
const LONGEST_HOLD: Duration = Duration::from_mins(1);
/// Time between two looks at an endpoint that wakes.
const LOOK: Duration = Duration::from_millis(20);

/// The service.
pub struct HuggingFace {
    world: Mutex<HubWorld>,
    engines: Engines,
    clock: Arc<VirtualClock>,
}

/// Something that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    /// Of a namespace: its endpoints.
    Namespace(String),
    /// Of an endpoint.
    Endpoint(String, String),
    /// An action on an endpoint.
    Action(String, String, String),
    /// Hardware and prices for a namespace.
    Hardware(String),
    /// A path of an endpoint's container.
    Traffic(String, String),
    /// The identity of a token.
    Identity,
    Unknown,
}

impl HuggingFace {
    /// The service at the address `base`, with nothing in it.
    #[must_use]
    pub fn new(settings: HuggingFaceSettings, clock: Arc<VirtualClock>, base: &str) -> Self {
        Self { world: Mutex::new(HubWorld::new(settings, base)), engines: Engines::default(), clock }
    }

    /// Changes the settings from now on.
    pub fn configure(&self, change: impl FnOnce(&mut HuggingFaceSettings)) {
        change(&mut self.world().settings);
    }

    /// Creates `count` endpoints that run; `form` gives the body of the one with this number. Quotas do not count.
    pub fn crowd(&self, namespace: &str, count: usize, form: impl Fn(usize) -> Value) {
        let now = self.clock.millis();
        let fate = Fate::default();
        let mut world = self.world();
        for number in 0..count {
            let form = form(number);
            let name = form["name"].as_str().unwrap_or_default().to_owned();
            let at_once = Progress::start(Durations { pending: 0, initializing: 0 }, &fate, now);
            world.keep(name, form, at_once, HubAt { namespace, fate: &fate, now });
        }
    }

    /// Removes an endpoint at once, as an administrator would. True if there was one.
    pub fn take_away(&self, namespace: &str, endpoint: &str) -> bool {
        self.world().namespaces.get_mut(namespace).is_some_and(|all| all.remove(endpoint).is_some())
    }

    /// Puts every endpoint that runs to zero, as the service does where no request comes; returns their number.
    pub fn put_to_zero(&self) -> usize {
        self.world().put_to_zero(self.clock.millis())
    }

    /// Wakes every endpoint at zero, as a request does.
    pub fn wake(&self) {
        self.world().wake_all(self.clock.millis());
    }

    fn world(&self) -> MutexGuard<'_, HubWorld> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a caller without the right for the namespace.
    fn authorized(&self, call: &Call, namespace: &str) -> Result<(), Box<Reply>> {
        let token = call.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        let world = self.world();
        let known = world.settings.tokens.iter().find(|known| known.token == token);
        let known = known.filter(|known| known.namespaces.iter().any(|one| one == namespace));
        let Some(known) = known else {
            return Err(Box::new(
                refused(StatusCode::UNAUTHORIZED, "Invalid credentials in Authorization header").by(&rules::TOKEN),
            ));
        };
        if known.scope == TokenScope::Read && call.method != Method::GET {
            return Err(Box::new(refused(StatusCode::FORBIDDEN, "The token has no right to write").by(&rules::WRITES)));
        }
        Ok(())
    }

    fn control(&self, call: &Call, asked: &Asked, fate: &Fate) -> Reply {
        let (Asked::Namespace(namespace)
        | Asked::Hardware(namespace)
        | Asked::Endpoint(namespace, _)
        | Asked::Action(namespace, ..)) = asked
        else {
            return refused(StatusCode::NOT_FOUND, "no such route").by(&rules::ENVELOPE);
        };
        if let Err(refusal) = self.authorized(call, namespace) {
            return *refusal;
        }
        let now = self.clock.millis();
        let at = HubAt { namespace, fate, now };
        let mut world = self.world();
        world.settle(now);
        let body = || call.json().ok_or_else(not_json);
        let answer = match (&call.method, asked) {
            (&Method::GET, Asked::Namespace(_)) => Ok(world.list(at)),
            (&Method::GET, Asked::Hardware(_)) => Ok(world.prices(namespace)),
            (&Method::GET, Asked::Endpoint(_, name)) => world.get(name, at),
            (&Method::POST, Asked::Namespace(_)) => body().and_then(|form| world.create(form, at)),
            (&Method::PUT, Asked::Endpoint(_, name)) => body().and_then(|change| world.update(name, &change, at)),
            (&Method::DELETE, Asked::Endpoint(_, name)) => world.delete(name, at),
            (&Method::POST, Asked::Action(_, name, action)) => match action.as_str() {
                "pause" => world.pause(name, at),
                "resume" => world.resume(name, at),
                _ => world.scale_to_zero(name, at),
            },
            _ => Err(HubFault {
                status: StatusCode::METHOD_NOT_ALLOWED,
                message: "Method not allowed".to_owned(),
                rule: &rules::ENVELOPE,
            }),
        };
        match answer {
            Ok(answer) => Reply::new(StatusCode::OK, MEDIA, answer.to_string()),
            Err(HubFault { status, message, rule }) => refused(status, &message).by(rule),
        }
    }

    /// The user of a token and its organizations.
    fn identity(&self, call: &Call) -> Reply {
        let token = call.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        let world = self.world();
        let Some(known) = world.settings.tokens.iter().find(|known| known.token == token) else {
            return refused(StatusCode::UNAUTHORIZED, "Invalid username or password.").by(&rules::TOKEN);
        };
        let org = |name: &String| json!({"type": "org", "id": format!("id-of-{name}"), "name": name});
        let orgs: Vec<Value> = known.namespaces.iter().map(org).collect();
        let user = json!({"type": "user", "id": "id-of-robot", "name": "robot", "orgs": orgs});
        Reply::new(StatusCode::OK, MEDIA, user.to_string()).by(&rules::WHOAMI)
    }

    async fn traffic(&self, call: &Call, id: &str, path: &str) -> Reply {
        let Some((namespace, kind)) = self.found(id) else {
            return refused(StatusCode::NOT_FOUND, "no such endpoint").by(&rules::NOT_FOUND);
        };
        if kind != "public"
            && let Err(refusal) = self.authorized(&Call { method: Method::GET, ..call.clone() }, &namespace)
        {
            return *refusal;
        }
        let hold = call.header("x-scale-up-timeout").parse().map_or(Duration::ZERO, Duration::from_secs);
        let container = match self.awake(id, hold.min(LONGEST_HOLD)).await {
            Ok(container) => container,
            Err(refusal) => return *refusal,
        };
        let question = Question {
            method: call.method.clone(),
            path: path.to_owned(),
            // A token of the Hub ends at the service's front.
            authorization: if kind == "public" { call.header("authorization").to_owned() } else { String::new() },
            body: call.body.clone(),
        };
        let rule = if kind == "public" { &rules::PUBLIC } else { &rules::HEALTH };
        self.engines.ask(id, &container, question).await.by(rule)
    }

    /// Namespace and type of an endpoint.
    fn found(&self, id: &str) -> Option<(String, String)> {
        let mut world = self.world();
        world.settle(self.clock.millis());
        let (namespace, endpoint) = world.by_id(id)?;
        Some((namespace, endpoint.form["type"].as_str().unwrap_or_default().to_owned()))
    }

    /// The container of an endpoint that serves, which is woken and waited for if it is at zero.
    async fn awake(&self, id: &str, hold: Duration) -> Result<Container, Box<Reply>> {
        let mut left = hold;
        loop {
            let refusal = match self.serving(id) {
                Ok(container) => return Ok(container),
                Err(refusal) => refusal,
            };
            if left.is_zero() || refusal.status != StatusCode::SERVICE_UNAVAILABLE {
                return Err(refusal);
            }
            tokio::time::sleep(LOOK.min(left)).await;
            left = left.saturating_sub(LOOK);
        }
    }

    fn serving(&self, id: &str) -> Result<Container, Box<Reply>> {
        let now = self.clock.millis();
        let mut world = self.world();
        world.settle(now);
        world.wake(id, now);
        let refusal = |status, text: &str, rule| Err(Box::new(refused(status, text).by(rule)));
        let Some((_, endpoint)) = world.by_id(id) else {
            return refusal(StatusCode::NOT_FOUND, "no such endpoint", &rules::NOT_FOUND);
        };
        match endpoint.state {
            State::Paused => {
                refusal(StatusCode::BAD_REQUEST, "The endpoint is paused, resume it first", &rules::PAUSED)
            }
            _ if endpoint.serves() => {
                endpoint.idle_since = now;
                Ok(container(endpoint))
            }
            _ => refusal(StatusCode::SERVICE_UNAVAILABLE, "503 Service Unavailable", &rules::COLD),
        }
    }
}

fn not_json() -> HubFault {
    HubFault { status: StatusCode::BAD_REQUEST, message: "the body is not JSON".to_owned(), rule: &rules::BODY }
}

/// The container of an endpoint: vLLM for its repository, with its arguments.
fn container(endpoint: &HubEndpoint) -> Container {
    let model = &endpoint.serving()["model"];
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let pairs = |value: &Value| -> BTreeMap<String, String> {
        let pairs = value.as_object().into_iter().flatten();
        pairs.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
    };
    let mut environment = pairs(&model["env"]);
    environment.extend(pairs(&model["secrets"]));
    let repository = model["repository"].as_str().unwrap_or_default().to_owned();
    let arguments = [vec!["--model".to_owned(), repository], texts(&model["args"])].concat();
    Container { arguments, environment }
}

fn asked(call: &Call) -> Asked {
    let text = |part: &&str| (*part).to_owned();
    let parts: Vec<&str> = call.path.split('/').skip(1).collect();
    match parts.as_slice() {
        ["v2", "provider", namespace] => Asked::Hardware(text(namespace)),
        ["v2", "endpoint", namespace] => Asked::Namespace(text(namespace)),
        ["v2", "endpoint", namespace, name] => Asked::Endpoint(text(namespace), text(name)),
        ["v2", "endpoint", namespace, name, action @ ("pause" | "resume" | "scale-to-zero")] => {
            Asked::Action(text(namespace), text(name), text(action))
        }
        ["api", "whoami-v2"] => Asked::Identity,
        ["serve", id, rest @ ..] => Asked::Traffic(text(id), format!("/{}", rest.join("/"))),
        _ => Asked::Unknown,
    }
}

fn refused(status: StatusCode, message: &str) -> Reply {
    Reply::new(status, MEDIA, json!({"error": message}).to_string())
}

#[async_trait]
impl Cloud for HuggingFace {
    fn name(&self) -> ServiceName {
        ServiceName::HuggingFace
    }

    fn operation(&self, call: &Call) -> String {
        let word = match (&call.method, asked(call)) {
            (_, Asked::Traffic(..)) => "traffic",
            (_, Asked::Hardware(_)) => "hardware",
            (_, Asked::Identity) => "whoami",
            (&Method::POST, Asked::Namespace(_)) => "create",
            (_, Asked::Namespace(_)) => "list",
            (&Method::PUT, Asked::Endpoint(..)) => "update",
            (&Method::DELETE, Asked::Endpoint(..)) => "delete",
            (_, Asked::Endpoint(..)) => "get",
            (_, Asked::Action(_, _, action)) => return action,
            (_, Asked::Unknown) => "unknown",
        };
        word.to_owned()
    }

    async fn answer(&self, call: &Call, _operation: &str, fate: &Fate) -> Reply {
        match asked(call) {
            Asked::Traffic(id, path) => self.traffic(call, &id, &path).await,
            Asked::Identity => self.identity(call),
            asked => self.control(call, &asked, fate).with("x-request-id", "request-of-the-fake"),
        }
    }

    fn refusal(&self, _call: &Call, _operation: &str, scripted: &Scripted) -> Reply {
        match scripted {
            Scripted::Error { status, message, .. } => refused(*status, message),
            Scripted::Throttle { after_seconds } => {
                let reply = refused(StatusCode::TOO_MANY_REQUESTS, "Too many requests").by(&rules::THROTTLED);
                match after_seconds {
                    Some(after) => reply.with("retry-after", after.to_string()),
                    None => reply,
                }
            }
            Scripted::Deny => refused(StatusCode::FORBIDDEN, "The token has no right for this").by(&rules::WRITES),
        }
    }

    fn state(&self) -> Value {
        self.world().state(self.clock.millis())
    }

    fn rules(&self) -> &'static [&'static Rule] {
        RULES
    }
}
