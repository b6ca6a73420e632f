//! Custom model import and provisioned throughput of Amazon Bedrock: control plane and runtime (both REST with JSON), and of STS what says whose a key is. One
//! address serves all of them, as one `endpoint_url` does for AWS's own clients.

mod converse;
mod events;
mod model;
mod route;
mod rules;
mod settings;
mod throughput;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use axum::http::StatusCode;
use serde_json::{Value, json};

pub use self::events::{chunk, event, exception};
use self::route::{Asked, asked};
pub use self::rules::ALL as RULES;
pub use self::settings::BedrockSettings;
pub use self::throughput::FOUNDATION;
use self::world::{At, Refusal, World};
use crate::clock::VirtualClock;
use crate::cloud::{Call, Cloud, Content, Reply, Scripted, ServiceName};
use crate::engines::{Container, Engines};
use crate::faults::Fate;
use crate::rules::Rule;
use crate::sagemaker::signature::{self, AccessKey, BEDROCK_TOKENS, Caller, Moment, SignatureFault};
use crate::sagemaker::{ACCOUNT, identity, runtime, shapes, tagged_page};

const MEDIA: &str = "application/json";
/// Name of the service in signatures; that of the runtime is the same.
const SIGNED: &str = "bedrock";

/// The service.
pub struct Bedrock {
    world: Mutex<World>,
    keys: Vec<AccessKey>,
    engines: Engines,
    clock: Arc<VirtualClock>,
}

/// The operations and shapes of Bedrock that the fake knows.
fn shapes() -> &'static shapes::Model {
    static MODEL: OnceLock<shapes::Model> = OnceLock::new();
    MODEL.get_or_init(|| shapes::Model::read(include_str!("model.json")))
}

/// Converse and its shapes.
fn runtime_shapes() -> &'static shapes::Model {
    static MODEL: OnceLock<shapes::Model> = OnceLock::new();
    MODEL.get_or_init(|| shapes::Model::read(include_str!("runtime.json")))
}

impl Bedrock {
    /// The service with nothing in it.
    #[must_use]
    pub fn new(settings: BedrockSettings, clock: Arc<VirtualClock>) -> Self {
        let keys = settings.keys.iter().map(AccessKey::long_lived).collect();
        Self { keys, world: Mutex::new(World::new(settings)), engines: Engines::default(), clock }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment {
        Moment { machine: VirtualClock::machine_millis(), service: self.clock.millis() }
    }

    /// The caller of a request that is signed, or has a bearer token where the runtime is asked ([`rules::BEARER`]).
    fn caller(&self, call: &Call, service: &str, takes_token: bool) -> Result<Caller, SignatureFault> {
        match call.header("authorization").strip_prefix("Bearer ").filter(|_| takes_token) {
            Some(token) => signature::of_token(token, &BEDROCK_TOKENS, &self.keys, self.moment()),
            None => signature::of_headers(call, service, &self.keys, self.moment()),
        }
    }

    fn control(&self, call: &Call, operation: &str, input: &Value, fate: &Fate) -> Reply {
        let caller = match self.caller(call, SIGNED, false) {
            Ok(caller) => caller,
            Err(fault) => return unsigned(fault),
        };
        if let Some(refusal) = invalid(shapes(), operation, input) {
            return refusal;
        }
        let at = At { caller: &caller, fate, now: self.clock.millis() };
        match self.world().call(operation, input, at) {
            Ok(output) => answered(operation, &output, fate),
            Err(refusal) => worded(&refusal),
        }
    }

    fn identity(&self, call: &Call) -> Reply {
        match self.caller(call, "sts", false) {
            Ok(caller) => identity::caller(&caller),
            Err(fault) => {
                let (code, _) = identity::signature(fault);
                identity::refused(StatusCode::FORBIDDEN, code, fault.1).by(&rules::SIGNATURE)
            }
        }
    }

    fn tagging(&self, call: &Call, input: &Value) -> Reply {
        let caller = match self.caller(call, "tagging", false) {
            Ok(caller) => caller,
            Err(fault) => return unsigned(fault),
        };
        let mut world = self.world();
        let at = At { caller: &caller, fate: &Fate::default(), now: self.clock.millis() };
        tagged_page(input, world.tagged(at)).by(&rules::TAGS_BY_TAGGING)
    }

    /// Changes the settings.
    pub fn configure(&self, change: impl FnOnce(&mut BedrockSettings)) {
        change(&mut self.world().settings);
    }

    /// Removes a model or a provisioned throughput at once, as if an administrator had deleted it. True if there was one.
    pub fn take_away(&self, region: &str, model: &str) -> bool {
        self.world().take_away(ACCOUNT, region, model, self.clock.millis())
    }

    /// Imports `count` models at once; `named` gives name and tags of the one with this number. Quotas do not count.
    pub fn crowd(&self, region: &str, count: usize, named: impl Fn(usize) -> (String, BTreeMap<String, String>)) {
        let caller = Caller { account: ACCOUNT.to_owned(), arn: String::new(), region: region.to_owned() };
        let at = At { caller: &caller, fate: &Fate::default(), now: self.clock.millis() };
        let mut world = self.world();
        for (name, tags) in (0..count).map(named) {
            world.install(&name, tags, at);
        }
    }

    /// Buys `count` throughputs that are there at once; `named` gives name and tags of the one with this number.
    pub fn crowd_throughputs(
        &self,
        region: &str,
        count: usize,
        named: impl Fn(usize) -> (String, BTreeMap<String, String>),
    ) {
        let caller = Caller { account: ACCOUNT.to_owned(), arn: String::new(), region: region.to_owned() };
        let at = At { caller: &caller, fate: &Fate::default(), now: self.clock.millis() };
        let mut world = self.world();
        for (name, tags) in (0..count).map(named) {
            world.provision(&name, tags, at);
        }
    }

    /// Converses with the model of a provisioned throughput ([`rules::CONVERSE`]).
    async fn converse(&self, call: &Call, model: &str, streams: bool, fate: &Fate) -> Reply {
        let caller = match self.caller(call, SIGNED, true) {
            Ok(caller) => caller,
            Err(fault) => return unsigned(fault),
        };
        let mut asked = call.json().unwrap_or_default();
        asked["modelId"] = json!(model);
        let operation = if streams { "ConverseStream" } else { "Converse" };
        if let Some(refusal) = invalid(runtime_shapes(), operation, &asked).or_else(|| untimely(&asked)) {
            return refusal;
        }
        let name = self.world().converse(model, At { caller: &caller, fate, now: self.clock.millis() });
        let name = match name {
            Ok(name) => name,
            Err(refusal) => return worded(&refusal),
        };
        let container = Container { arguments: vec!["--model".to_owned(), name.clone()], environment: [].into() };
        let question = runtime::invocation(&converse::chat(&asked, &name, streams));
        let reply = self.engines.ask(model, &container, question).await;
        match reply.content {
            Content::Stream(stream) if streams && reply.status == StatusCode::OK => {
                let headers = vec![("content-type", "application/vnd.amazon.eventstream".to_owned())];
                Reply { headers, content: Content::Stream(events::of_sse(stream, converse::messages)), ..reply }
            }
            Content::Stream(body) if reply.status == StatusCode::OK => {
                answered_by(runtime_shapes(), operation, &converse::answer(body).await, fate)
            }
            _ => refused(StatusCode::FAILED_DEPENDENCY, "ModelErrorException", "the model has failed"),
        }
    }

    /// Asks a model ([`rules::OPENAI_BODIES`]).
    async fn invoke(&self, call: &Call, model: &str, streams: bool, fate: &Fate) -> Reply {
        let caller = match self.caller(call, SIGNED, true) {
            Ok(caller) => caller,
            Err(fault) => return unsigned(fault),
        };
        let name = self.world().invoke(model, At { caller: &caller, fate, now: self.clock.millis() });
        let name = match name {
            Ok(name) => name,
            Err(refusal) => return worded(&refusal),
        };
        let container = Container { arguments: vec!["--model".to_owned(), name], environment: [].into() };
        let mut question = runtime::invocation(&call.body);
        question.body = body(&question.body, &container, streams);
        let reply = self.engines.ask(model, &container, question).await;
        match reply.content {
            Content::Stream(stream) if streams && reply.status == StatusCode::OK => {
                let headers = vec![("content-type", "application/vnd.amazon.eventstream".to_owned())];
                Reply {
                    headers,
                    content: Content::Stream(events::of_sse(stream, |part| vec![events::chunk(part)])),
                    ..reply
                }
            }
            content => Reply { content, ..reply },
        }
    }
}

/// The body for the engine, which wants a model and the wish for a stream in it.
fn body(body: &[u8], container: &Container, streams: bool) -> bytes::Bytes {
    let mut body: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(body) = body.as_object_mut() {
        body.insert("model".to_owned(), json!(container.model()));
        body.insert("stream".to_owned(), json!(streams));
    }
    body.to_string().into()
}

/// The refusal of input that breaks the service's model.
fn invalid(shapes: &shapes::Model, operation: &str, input: &Value) -> Option<Reply> {
    let faults = shapes.faults_of_input(operation, input);
    let errors = if faults.len() == 1 { "error" } else { "errors" };
    let message = format!("{} validation {errors} detected: {}", faults.len(), faults.join("; "));
    let refusal = || refused(StatusCode::BAD_REQUEST, "ValidationException", &message).by(&rules::VALIDATED);
    (!faults.is_empty()).then(refusal)
}

/// The refusal of a conversation in which the two do not take turns ([`rules::TURNS`]).
fn untimely(asked: &Value) -> Option<Reply> {
    let roles: Vec<&Value> = asked["messages"].as_array().into_iter().flatten().map(|one| &one["role"]).collect();
    let takes_turns = roles.iter().enumerate().all(|(at, role)| **role == ["user", "assistant"][at % 2]);
    let message = "A conversation must alternate between user and assistant roles and start with a user message.";
    let refusal = || refused(StatusCode::BAD_REQUEST, "ValidationException", message).by(&rules::TURNS);
    (!takes_turns || roles.is_empty()).then(refusal)
}

/// The answer of an operation of the control plane.
fn answered(operation: &str, output: &Value, fate: &Fate) -> Reply {
    answered_by(shapes(), operation, output, fate)
}

/// The answer of an operation. An answer that breaks the service's model is an error of the fake, and shows as one.
fn answered_by(shapes: &shapes::Model, operation: &str, output: &Value, fate: &Fate) -> Reply {
    let faults = shapes.faults_of_output(operation, output);
    // A state that no client knows breaks the model on purpose.
    if !faults.is_empty() && fate.status.is_none() {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException", &faults.join("; "));
    }
    let creations = ["CreateModelImportJob", "CreateProvisionedModelThroughput"];
    let status = if creations.contains(&operation) { StatusCode::CREATED } else { StatusCode::OK };
    Reply::new(status, MEDIA, output.to_string())
}

fn worded(Refusal { status, code, message, rule }: &Refusal) -> Reply {
    refused(StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST), code, message).by(rule)
}

fn refused(status: StatusCode, code: &str, message: &str) -> Reply {
    Reply::new(status, MEDIA, json!({"message": message}).to_string()).with("x-amzn-errortype", code)
}

fn unsigned(SignatureFault(code, message): SignatureFault) -> Reply {
    refused(StatusCode::FORBIDDEN, code, message).by(&rules::SIGNATURE)
}

#[async_trait]
impl Cloud for Bedrock {
    fn name(&self) -> ServiceName {
        ServiceName::Bedrock
    }

    fn operation(&self, call: &Call) -> String {
        let operation = match asked(call) {
            Asked::Control(operation, _) => operation,
            Asked::Invoke(_, false) => "InvokeModel",
            Asked::Invoke(_, true) => "InvokeModelWithResponseStream",
            Asked::Converse(_, false) => "Converse",
            Asked::Converse(_, true) => "ConverseStream",
            Asked::Identity => "GetCallerIdentity",
            Asked::Tagged(_) => "GetResources",
            Asked::Unknown => "unknown",
        };
        operation.to_owned()
    }

    async fn answer(&self, call: &Call, _: &str, fate: &Fate) -> Reply {
        let reply = match asked(call) {
            Asked::Control(operation, input) => self.control(call, operation, &input, fate),
            Asked::Invoke(model, streams) => self.invoke(call, &model, streams, fate).await,
            Asked::Converse(model, streams) => self.converse(call, &model, streams, fate).await,
            Asked::Identity => self.identity(call),
            Asked::Tagged(input) => self.tagging(call, &input),
            Asked::Unknown => refused(StatusCode::NOT_FOUND, "UnknownOperationException", "no such operation"),
        };
        reply.with("x-amzn-requestid", "00000000-0000-4000-8000-000000000001")
    }

    fn refusal(&self, call: &Call, operation: &str, scripted: &Scripted) -> Reply {
        let (status, code, message, rule): (_, &str, String, Option<&'static Rule>) = match scripted {
            Scripted::Error { status, code, message } => (*status, code, message.clone(), None),
            Scripted::Throttle { .. } => {
                let message = "Too many requests, please wait before trying again.".to_owned();
                (StatusCode::TOO_MANY_REQUESTS, "ThrottlingException", message, Some(&rules::THROTTLED))
            }
            Scripted::Deny => {
                let message = format!(
                    "User: arn:aws:iam::{ACCOUNT}:user/clouds is not authorized to perform: bedrock:{operation} because no identity-based policy allows the bedrock:{operation} action"
                );
                (StatusCode::FORBIDDEN, "AccessDeniedException", message, Some(&rules::DENIED))
            }
        };
        let reply = match asked(call) {
            Asked::Identity => identity::refused(status, code, &message),
            _ => refused(status, code, &message),
        };
        let reply = match scripted {
            Scripted::Throttle { after_seconds: Some(after) } => reply.with("retry-after", after.to_string()),
            _ => reply,
        };
        match rule {
            Some(rule) => reply.by(rule),
            None => reply,
        }
    }

    fn state(&self) -> Value {
        self.world().state(self.clock.millis())
    }

    fn rules(&self) -> &'static [&'static Rule] {
        rules::ALL
    }
}
