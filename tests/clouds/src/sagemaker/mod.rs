//! Amazon SageMaker AI: control plane (JSON 1.1), runtime, and of STS and the tagging service what belongs to it. One
//! address serves all of them, as one `endpoint_url` does for AWS's own clients.

mod endpoint;
pub(crate) mod identity;
mod rules;
pub(crate) mod runtime;
mod settings;
pub(crate) mod shapes;
pub(crate) mod signature;
mod store;
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

pub use self::rules::ALL as RULES;
use self::runtime::Route;
pub use self::settings::{ACCOUNT, KEY_ID, KEY_SECRET, LongLivedKey, SageMakerSettings, TrustedRole};
use self::signature::{AccessKey, Caller, Moment, SAGEMAKER_TOKENS, SignatureFault};
use self::store::shown_tags;
use self::world::{ApiFault, At, World};
use crate::clock::VirtualClock;
use crate::cloud::{Call, Cloud, Reply, Scripted, ServiceName};
use crate::engines::{Container, Engines};
use crate::faults::Fate;
use crate::kept::page;
use crate::query;
use crate::rules::Rule;

const TARGET: &str = "SageMaker.";
const TAGGING: &str = "ResourceGroupsTaggingAPI_20170126.";
const MEDIA: &str = "application/x-amz-json-1.1";

/// The service.
pub struct SageMaker {
    world: Mutex<World>,
    keys: Mutex<Vec<AccessKey>>,
    engines: Engines,
    clock: Arc<VirtualClock>,
    requests: AtomicUsize,
}

/// Part of AWS that a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Control(String),
    Tagging(String),
    Identity(BTreeMap<String, String>),
    Runtime(Route),
    Unknown,
}

impl SageMaker {
    /// The service with nothing in it.
    #[must_use]
    pub fn new(settings: SageMakerSettings, clock: Arc<VirtualClock>) -> Self {
        let keys = Mutex::new(settings.keys.iter().map(AccessKey::long_lived).collect());
        let (engines, requests) = (Engines::default(), AtomicUsize::new(0));
        Self { world: Mutex::new(World::new(settings)), keys, engines, clock, requests }
    }

    /// Changes the settings from now on.
    pub fn configure(&self, change: impl FnOnce(&mut SageMakerSettings)) {
        change(&mut self.world().settings);
    }

    /// Creates `count` endpoints that are in service, each with a model and a configuration of its name, which is the name of the served model as well; `named` gives name and
    /// tags of the endpoint with this number. Quotas and machines do not count.
    ///
    /// # Errors
    /// If a name is taken; the text names it.
    pub fn crowd(
        &self,
        region: &str,
        instance_type: &str,
        count: usize,
        named: impl Fn(usize) -> (String, BTreeMap<String, String>),
    ) -> Result<(), String> {
        let now = self.clock.millis();
        let caller = Caller { account: ACCOUNT.to_owned(), arn: String::new(), region: region.to_owned() };
        let fate = Fate::default();
        let at = At { caller: &caller, fate: &fate, now };
        let mut world = self.world();
        let place = world.places.entry((caller.account.clone(), caller.region.clone())).or_default();
        for number in 0..count {
            let (name, tags) = named(number);
            if let Err(fault) = place.install(&name, instance_type, &shown_tags(&tags), at) {
                return Err(fault.message);
            }
        }
        Ok(())
    }

    /// Removes an endpoint at once, as if an administrator had deleted it some time ago. True if there was one.
    pub fn take_away(&self, region: &str, endpoint: &str) -> bool {
        let place = (ACCOUNT.to_owned(), region.to_owned());
        self.world().places.get_mut(&place).is_some_and(|place| place.endpoints.remove(endpoint).is_some())
    }

    /// Ends the sessions of all roles at once, as if an administrator had revoked them.
    pub fn end_sessions(&self) {
        let now = self.clock.millis();
        for (_, until) in self.keys().iter_mut().filter_map(|key| key.session.as_mut()) {
            *until = now;
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keys(&self) -> MutexGuard<'_, Vec<AccessKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment {
        Moment { machine: VirtualClock::machine_millis(), service: self.clock.millis() }
    }

    fn signed(&self, call: &Call, service: &str) -> Result<Caller, SignatureFault> {
        signature::of_headers(call, service, &self.keys(), self.moment())
    }

    fn control(&self, call: &Call, operation: &str, fate: &Fate) -> Reply {
        let caller = match self.signed(call, "sagemaker") {
            Ok(caller) => caller,
            Err(fault) => return unsigned(fault),
        };
        if !shapes::model().knows(operation) {
            return refused(StatusCode::NOT_FOUND, "UnknownOperationException", operation).by(&rules::VALIDATED);
        }
        let Some(input) = call.json() else {
            return refused(StatusCode::BAD_REQUEST, "SerializationException", "not JSON").by(&rules::VALIDATED);
        };
        let faults = shapes::model().faults_of_input(operation, &input);
        if !faults.is_empty() {
            let errors = if faults.len() == 1 { "error" } else { "errors" };
            let message = format!("{} validation {errors} detected: {}", faults.len(), faults.join("; "));
            return refused(StatusCode::BAD_REQUEST, "ValidationException", &message).by(&rules::VALIDATED);
        }
        let at = At { caller: &caller, fate, now: self.clock.millis() };
        match self.world().call(operation, &input, at) {
            Ok(output) => answered(operation, &output, fate),
            Err(ApiFault { code, message, rule }) => refused(StatusCode::BAD_REQUEST, code, &message).by(rule),
        }
    }

    fn tagging(&self, call: &Call, operation: &str) -> Reply {
        let caller = match self.signed(call, "tagging") {
            Ok(caller) => caller,
            Err(fault) => return unsigned(fault),
        };
        let input = call.json().filter(|_| operation == "GetResources");
        let Some(input) = input else {
            return refused(StatusCode::BAD_REQUEST, "UnknownOperationException", operation)
                .by(&rules::TAGS_BY_TAGGING);
        };
        let mut world = self.world();
        let now = self.clock.millis();
        world.settle(now);
        let place = world.places.get(&(caller.account, caller.region));
        let resources = place.map(|place| place.tagged(now)).unwrap_or_default();
        tagged_page(&input, resources).by(&rules::TAGS_BY_TAGGING)
    }

    fn identity(&self, call: &Call, form: &BTreeMap<String, String>) -> Reply {
        let operation = form.get("Action").map(String::as_str).unwrap_or_default();
        if operation != "AssumeRoleWithWebIdentity" {
            match self.signed(call, "sts") {
                Ok(caller) if operation == "GetCallerIdentity" => return identity::caller(&caller),
                Ok(_) => {}
                Err(fault) => {
                    let (code, rule) = identity::signature(fault);
                    return identity::refused(StatusCode::FORBIDDEN, code, fault.1).by(rule);
                }
            }
        }
        if !["AssumeRole", "AssumeRoleWithWebIdentity"].contains(&operation) {
            return identity::refused(StatusCode::BAD_REQUEST, "InvalidAction", operation).by(&rules::SESSION);
        }
        let roles = self.world().settings.roles.clone();
        let mut keys = self.keys();
        match identity::assume(operation, form, &roles, keys.len(), self.clock.millis()) {
            Ok((key, reply)) => {
                keys.push(key);
                reply
            }
            Err(reply) => *reply,
        }
    }

    async fn runtime(&self, call: &Call, route: &Route) -> Reply {
        let caller = match (route, call.header("authorization").strip_prefix("Bearer ")) {
            (Route::Invocations(_), _) => self.signed(call, "sagemaker"),
            (Route::OpenAi(..), Some(token)) => {
                signature::of_token(token, &SAGEMAKER_TOKENS, &self.keys(), self.moment())
            }
            (Route::OpenAi(..), None) => Err(SignatureFault("MissingAuthenticationTokenException", "no bearer token")),
        };
        let caller = match (caller, route) {
            (Ok(caller), _) => caller,
            (Err(fault), Route::Invocations(_)) => return unsigned(fault),
            (Err(SignatureFault(code, message)), Route::OpenAi(..)) => {
                return runtime::refused_openai(StatusCode::FORBIDDEN, code, message).by(&rules::TOKEN);
            }
        };
        let (Route::Invocations(name) | Route::OpenAi(name, _)) = route;
        let Some(container) = self.container(&caller, name) else {
            return runtime::not_in_service(route, &caller.account);
        };
        let (question, rule) = match route {
            Route::Invocations(_) => (runtime::invocation(&call.body), &rules::INVOCATIONS),
            Route::OpenAi(_, path) if path == "chat/completions" && call.method == Method::POST => {
                (runtime::chat(&call.body, &container), &rules::EMPTY_MODEL)
            }
            Route::OpenAi(_, path) => {
                let message = format!("no such route: {} {path}", call.method);
                return runtime::refused_openai(StatusCode::NOT_FOUND, "NotFound", &message).by(&rules::ONE_ROUTE);
            }
        };
        let id = format!("{}/{}/{name}", caller.account, caller.region);
        let mut reply = self.engines.ask(&id, &container, question).await;
        if !reply.status.is_success() && matches!(route, Route::Invocations(_)) {
            let message = format!("Received client error ({}) from primary", reply.status.as_u16());
            reply = runtime::refused(StatusCode::FAILED_DEPENDENCY, "ModelError", &message);
        }
        reply.by(rule)
    }

    /// The container of an endpoint that serves.
    fn container(&self, caller: &Caller, name: &str) -> Option<Container> {
        let mut world = self.world();
        world.settle(self.clock.millis());
        let place = world.places.get(&(caller.account.clone(), caller.region.clone()))?;
        place.endpoints.get(name).filter(|endpoint| endpoint.serves()).map(runtime::container)
    }

    /// The answer with the id that every answer of AWS has.
    fn identified(&self, reply: Reply) -> Reply {
        let number = self.requests.fetch_add(1, Relaxed) + 1;
        reply.with("x-amzn-requestid", format!("00000000-0000-4000-8000-{number:012}"))
    }
}

fn part(call: &Call) -> Part {
    let target = call.header("x-amz-target");
    if let Some(route) = runtime::route(&call.path) {
        Part::Runtime(route)
    } else if let Some(operation) = target.strip_prefix(TARGET) {
        Part::Control(operation.to_owned())
    } else if let Some(operation) = target.strip_prefix(TAGGING) {
        Part::Tagging(operation.to_owned())
    } else if call.header("content-type").starts_with("application/x-www-form-urlencoded") {
        Part::Identity(query::form(&call.body))
    } else {
        Part::Unknown
    }
}

/// A page of the tagging service: of these resources those that the input asks for.
pub(crate) fn tagged_page(input: &Value, resources: Vec<(&str, &BTreeMap<String, String>)>) -> Reply {
    let wanted = resources.into_iter().filter(|(arn, tags)| has_type(input, arn) && has_tags(input, tags));
    let size = input["ResourcesPerPage"].as_u64().unwrap_or(50).min(100);
    let token = input["PaginationToken"].as_str().filter(|token| !token.is_empty());
    let (rows, next) = page(wanted.collect(), token, usize::try_from(size).unwrap_or(50));
    let rows: Value =
        rows.into_iter().map(|(arn, tags)| json!({"ResourceARN": arn, "Tags": shown_tags(tags)})).collect();
    let body = json!({"PaginationToken": next.unwrap_or_default(), "ResourceTagMappingList": rows});
    Reply::new(StatusCode::OK, MEDIA, body.to_string())
}

fn has_type(input: &Value, arn: &str) -> bool {
    let service = arn.split(':').nth(2).unwrap_or_default();
    let resource = arn.split(':').nth(5).and_then(|resource| resource.split('/').next()).unwrap_or_default();
    input["ResourceTypeFilters"].as_array().is_none_or(|filters| {
        let matches = |filter: &str| filter == service || filter.split_once(':') == Some((service, resource));
        filters.is_empty() || filters.iter().filter_map(Value::as_str).any(matches)
    })
}

fn has_tags(input: &Value, tags: &BTreeMap<String, String>) -> bool {
    input["TagFilters"].as_array().into_iter().flatten().all(|filter| {
        let value = filter["Key"].as_str().and_then(|key| tags.get(key));
        let values = filter["Values"].as_array().filter(|values| !values.is_empty());
        value.is_some_and(|value| values.is_none_or(|values| values.iter().any(|one| one.as_str() == Some(value))))
    })
}

/// The answer of an operation. An answer that breaks the service's model is an error of the fake, and shows as one.
fn answered(operation: &str, output: &Value, fate: &Fate) -> Reply {
    let faults = shapes::model().faults_of_output(operation, output);
    // A state that no client knows breaks the model on purpose.
    if !faults.is_empty() && fate.status.is_none() {
        return refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", &faults.join("; "));
    }
    let body = if *output == json!({}) { String::new() } else { output.to_string() };
    Reply::new(StatusCode::OK, MEDIA, body)
}

/// A refusal in the envelope of JSON 1.1.
fn refused(status: StatusCode, code: &str, message: &str) -> Reply {
    // Errors that the model declares spell their member with a capital.
    let member = if code.ends_with("Exception") { "message" } else { "Message" };
    Reply::new(status, MEDIA, json!({"__type": code, member: message}).to_string())
}

/// A refusal from the script.
struct Refusal {
    status: StatusCode,
    code: String,
    message: String,
    rule: Option<&'static Rule>,
}

fn worded(call: &Call, operation: &str, scripted: &Scripted) -> Refusal {
    let refusal = |code: &str, message: String, rule| Refusal {
        status: StatusCode::BAD_REQUEST,
        code: code.to_owned(),
        message,
        rule,
    };
    match scripted {
        Scripted::Error { status, code, message } => {
            Refusal { status: *status, code: code.clone(), message: message.clone(), rule: None }
        }
        Scripted::Throttle { .. } => {
            refusal("ThrottlingException", "Rate exceeded".to_owned(), Some(&rules::THROTTLED))
        }
        Scripted::Deny => {
            let service = match part(call) {
                Part::Tagging(_) => "tag",
                Part::Identity(_) => "sts",
                _ => "sagemaker",
            };
            let message = format!(
                "User: arn:aws:iam::{ACCOUNT}:user/clouds is not authorized to perform: {service}:{operation} because no identity-based policy allows the {service}:{operation} action"
            );
            refusal("AccessDeniedException", message, Some(&rules::DENIED))
        }
    }
}

fn unsigned(SignatureFault(code, message): SignatureFault) -> Reply {
    let status = match code {
        "InvalidSignatureException" | "MissingAuthenticationTokenException" => StatusCode::FORBIDDEN,
        _ => StatusCode::BAD_REQUEST,
    };
    refused(status, code, message).by(&rules::SIGNATURE)
}

#[async_trait]
impl Cloud for SageMaker {
    fn name(&self) -> ServiceName {
        ServiceName::SageMaker
    }

    fn operation(&self, call: &Call) -> String {
        match part(call) {
            Part::Control(operation) | Part::Tagging(operation) => operation,
            Part::Identity(form) => form.get("Action").cloned().unwrap_or_default(),
            Part::Runtime(Route::Invocations(_)) => "InvokeEndpoint".to_owned(),
            Part::Runtime(Route::OpenAi(..)) => "CallWithBearerToken".to_owned(),
            Part::Unknown => "unknown".to_owned(),
        }
    }

    async fn answer(&self, call: &Call, operation: &str, fate: &Fate) -> Reply {
        let reply = match part(call) {
            Part::Control(_) => self.control(call, operation, fate),
            Part::Tagging(_) => self.tagging(call, operation),
            Part::Identity(form) => self.identity(call, &form),
            Part::Runtime(route) => self.runtime(call, &route).await,
            Part::Unknown => refused(StatusCode::NOT_FOUND, "UnknownOperationException", "no such operation"),
        };
        self.identified(reply)
    }

    fn refusal(&self, call: &Call, operation: &str, scripted: &Scripted) -> Reply {
        let Refusal { status, code, message, rule } = worded(call, operation, scripted);
        let reply = match part(call) {
            Part::Identity(_) => identity::refused(status, &code, &message),
            Part::Runtime(Route::OpenAi(..)) => runtime::refused_openai(status, &code, &message),
            Part::Runtime(Route::Invocations(_)) => runtime::refused(status, &code, &message),
            _ => refused(status, &code, &message),
        };
        let reply = match scripted {
            Scripted::Throttle { after_seconds: Some(after) } => reply.with("retry-after", after.to_string()),
            _ => reply,
        };
        self.identified(match rule {
            Some(rule) => reply.by(rule),
            None => reply,
        })
    }

    fn state(&self) -> Value {
        self.world().state(self.clock.millis())
    }

    fn rules(&self) -> &'static [&'static Rule] {
        rules::ALL
    }
}
