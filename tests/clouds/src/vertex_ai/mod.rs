//! Vertex AI: control plane (v1), invocations of dedicated endpoints, and the parts of Google's identity services that go with it.
//! One address serves all of them, the metadata server too.

mod endpoint;
mod fault;
mod forms;
mod operation;
mod rules;
mod settings;
mod tokens;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use self::endpoint::VertexEndpoint;
use self::fault::{Answer, MEDIA, VertexFault};
pub use self::rules::ALL as RULES;
pub use self::settings::{
    AUDIENCE, MachineType, PRINCIPAL, PROJECT, PROJECT_NUMBER, SUBJECT_TOKEN, ServiceAccount, TOKEN, VertexAiSettings,
    WORKLOAD,
};
use self::tokens::Tokens;
use self::world::{Location, Model, VertexAt};
use crate::clock::VirtualClock;
use crate::cloud::{Call, Cloud, Reply, Scripted, ServiceName};
use crate::engines::{Container, Engines, Question};
use crate::faults::Fate;
use crate::kept::Visibility;
use crate::query;
use crate::rules::Rule;

/// The service.
pub struct VertexAi {
    state: Mutex<Project>,
    engines: Engines,
    clock: Arc<VirtualClock>,
}

/// One project.
struct Project {
    settings: VertexAiSettings,
    tokens: Tokens,
    locations: BTreeMap<String, Location>,
}

/// Something that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    /// A token of the metadata server.
    Metadata,
    /// A token for a signed JWT.
    Exchange,
    /// A token for one of another issuer.
    Federation,
    /// A token of another account.
    Impersonation(String),
    /// A project of Resource Manager.
    Project(String),
    /// A path below a location: project, location, and the rest.
    Below {
        project: String,
        location: String,
        rest: Vec<String>,
    },
    Unknown,
}

impl VertexAi {
    /// The service with nothing in it.
    #[must_use]
    pub fn new(settings: VertexAiSettings, clock: Arc<VirtualClock>) -> Self {
        let project = Project { settings, tokens: Tokens::default(), locations: BTreeMap::new() };
        Self { state: Mutex::new(project), engines: Engines::default(), clock }
    }

    /// Changes the settings from now on.
    pub fn configure(&self, change: impl FnOnce(&mut VertexAiSettings)) {
        change(&mut self.project().settings);
    }

    /// Ends every token that was given.
    pub fn revoke_tokens(&self) {
        self.project().tokens.revoke();
    }

    /// Creates `count` endpoints in which a model serves; `form` gives name, labels and body of the deployed model of the one
    /// with this number. Quotas do not count.
    pub fn crowd(&self, location: &str, count: usize, form: impl Fn(usize) -> (String, Value, Value)) {
        let now = self.clock.millis();
        let mut project = self.project();
        let location = project.locations.entry(location.to_owned()).or_default();
        for number in 0..count {
            let (name, labels, deployed) = form(number);
            let form = json!({"displayName": name, "labels": labels, "dedicatedEndpointEnabled": true});
            let id = deployed["id"].as_str().unwrap_or_default().to_owned();
            let endpoint = VertexEndpoint {
                form,
                created: now,
                updated: now,
                traffic: [(id.clone(), 100)].into(),
                deployed: vec![endpoint::Deployed::new(id, deployed, now, now)],
                visibility: Visibility::default(),
            };
            location.endpoints.insert(name, endpoint);
        }
    }

    /// Creates an endpoint in which this container serves, with one replica.
    pub fn serve(&self, location: &str, name: &str, container: &Value) {
        let form = json!({"displayName": name, "containerSpec": container});
        let model = Model { form, created: self.clock.millis(), visibility: Visibility::default() };
        self.project().locations.entry(location.to_owned()).or_default().models.insert(name.to_owned(), model);
        let resources = json!({"minReplicaCount": 1, "maxReplicaCount": 1});
        let deployed = json!({"id": "1", "model": format!("models/{name}"), "dedicatedResources": resources});
        self.crowd(location, 1, |_| (name.to_owned(), json!({}), deployed.clone()));
    }

    /// Removes an endpoint at once, as an administrator would. True if there was one.
    pub fn take_away(&self, location: &str, endpoint: &str) -> bool {
        let mut project = self.project();
        project.locations.get_mut(location).is_some_and(|known| known.endpoints.remove(endpoint).is_some())
    }

    /// Has no replica of the location's deployed models be available, or all of them again.
    pub fn lose_replicas(&self, location: &str, are_lost: bool) {
        let mut project = self.project();
        let endpoints = project.locations.get_mut(location).into_iter().flat_map(|known| known.endpoints.values_mut());
        for deployed in endpoints.flat_map(|endpoint| &mut endpoint.deployed) {
            deployed.is_lost = are_lost;
        }
    }

    fn project(&self) -> MutexGuard<'_, Project> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn control(&self, call: &Call, asked: &Asked, fate: &Fate) -> Answer {
        let now = self.clock.millis();
        let mut project = self.project();
        let Project { settings, tokens, locations } = &mut *project;
        if let Asked::Impersonation(email) = asked {
            return tokens.impersonate(call, email, settings);
        }
        tokens.account(call, settings)?;
        let of_it = |name: &String| *name == settings.project || *name == settings.project_number;
        match asked {
            Asked::Project(name) if of_it(name) => {
                let (id, number) = (&settings.project, &settings.project_number);
                Ok(json!({"name": format!("projects/{number}"), "projectId": id, "state": "ACTIVE"}))
            }
            Asked::Below { project, location, rest } if of_it(project) => {
                let parent = format!("projects/{}/locations/{location}", settings.project_number);
                let at = VertexAt { parent: &parent, settings, fate, now };
                let location = locations.entry(location.clone()).or_default();
                location.settle(now);
                let answer = below(location, call, rest, at);
                location.settle(now);
                answer
            }
            Asked::Project(name) | Asked::Below { project: name, .. } => {
                let message = format!("Permission denied on resource project {name} (or it may not exist).");
                Err(VertexFault::new(403, "PERMISSION_DENIED", &rules::PROJECT, message))
            }
            _ => Err(VertexFault::missing(&call.path)),
        }
    }

    /// The container of an endpoint that serves.
    fn serving(&self, call: &Call, location: &str, id: &str) -> Result<Container, VertexFault> {
        let now = self.clock.millis();
        let mut project = self.project();
        let Project { settings, tokens, locations } = &mut *project;
        tokens.account(call, settings)?;
        let location = locations.entry(location.to_owned()).or_default();
        location.settle(now);
        let endpoint = location.endpoints.get(id).filter(|known| known.is_dedicated());
        let model = endpoint.and_then(|known| location.models.get(known.serving()?.model()));
        model.map(container).ok_or_else(|| VertexFault::missing(id))
    }

    async fn invoke(&self, call: &Call, location: &str, id: &str, path: String) -> Reply {
        let container = match self.serving(call, location, id) {
            Ok(container) => container,
            Err(fault) => return fault.reply(),
        };
        // The token of Google ends at the service's front.
        let question =
            Question { method: call.method.clone(), path, authorization: String::new(), body: call.body.clone() };
        self.engines.ask(id, &container, question).await.by(&rules::INVOKE)
    }
}

/// The container of a model: its command line and its environment.
fn container(model: &Model) -> Container {
    let spec = &model.form["containerSpec"];
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let pair = |value: &Value| {
        let text = |member: &str| value[member].as_str().unwrap_or_default().to_owned();
        (text("name"), text("value"))
    };
    // The stand-in is vLLM's program itself: its arguments follow the program's name.
    let command = texts(&spec["command"]).into_iter().skip_while(|word| word == "vllm");
    let environment = spec["env"].as_array().into_iter().flatten().map(pair).collect();
    Container { arguments: command.chain(texts(&spec["args"])).collect(), environment }
}

/// An operation on something in a location.
fn below(location: &mut Location, call: &Call, rest: &[String], at: VertexAt<'_>) -> Answer {
    let query = query::pairs(&call.query);
    let body = || call.json().ok_or_else(|| VertexFault::invalid(&rules::ENVELOPE, "Invalid JSON payload received."));
    let parts: Vec<&str> = rest.iter().map(String::as_str).collect();
    let asked = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    match (&call.method, parts.as_slice()) {
        (&Method::POST, ["models:upload"]) => location.upload(&body()?, at),
        (&Method::GET, ["models"]) => Ok(location.list_models(&query, at)),
        (&Method::GET, ["models", id]) => location.model(id, at),
        (&Method::DELETE, ["models", id]) => location.delete_model(id, at),
        (&Method::POST, ["endpoints"]) => {
            let id = [asked("endpointId"), asked("endpoint_id")].concat();
            location.create(&id, &body()?, at)
        }
        (&Method::GET, ["endpoints"]) => Ok(location.list(&query, at)),
        (&Method::GET, [kind @ ("models" | "endpoints"), id, "operations"]) => {
            Ok(location.operations(kind, id, &query, at))
        }
        (&Method::GET, [.., "operations", number]) => location.operation(number, at),
        (&Method::GET, ["endpoints", id]) => location.get(id, at),
        (&Method::PATCH, ["endpoints", id]) => location.patch(id, asked("updateMask"), &body()?, at),
        (&Method::DELETE, ["endpoints", id]) => location.delete(id, at),
        (&Method::POST, ["endpoints", called]) => match called.split_once(':') {
            Some((id, "deployModel")) => location.deploy(id, &body()?, at),
            Some((id, "mutateDeployedModel")) => location.mutate(id, &body()?, at),
            Some((id, "undeployModel")) => location.undeploy(id, &body()?, at),
            _ => Err(VertexFault::missing(&call.path)),
        },
        _ => Err(VertexFault::missing(&call.path)),
    }
}

/// The thing that a request asks for ([`rules::ALIAS`]).
fn asked(call: &Call) -> Asked {
    let path = query::decoded(&call.path);
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let text = |part: &str| part.to_owned();
    match parts.as_slice() {
        ["computeMetadata", "v1", "instance", "service-accounts", "default", "token"] => Asked::Metadata,
        ["token"] => Asked::Exchange,
        ["v1", "token"] => Asked::Federation,
        ["v1", "projects", "-", "serviceAccounts", called] => match called.split_once(':') {
            Some((email, "generateAccessToken")) => Asked::Impersonation(text(email)),
            _ => Asked::Unknown,
        },
        ["v3", "projects", project] => Asked::Project(text(project)),
        ["v1" | "ui", "projects", project, "locations", location, rest @ ..] => Asked::Below {
            project: text(project),
            location: text(location),
            rest: rest.iter().map(|part| text(part)).collect(),
        },
        _ => Asked::Unknown,
    }
}

/// The service's name of an operation below a location.
fn named(method: &Method, rest: &[String]) -> &'static str {
    let parts: Vec<&str> = rest.iter().map(String::as_str).collect();
    let called = |called: &str| match called.split_once(':').map(|(_, verb)| verb) {
        Some("deployModel") => "DeployModel",
        Some("mutateDeployedModel") => "MutateDeployedModel",
        Some("undeployModel") => "UndeployModel",
        _ => "unknown",
    };
    match (method, parts.as_slice()) {
        (_, ["endpoints", _, "invoke", ..]) => "Invoke",
        (&Method::POST, ["models:upload"]) => "UploadModel",
        (&Method::GET, ["models"]) => "ListModels",
        (&Method::GET, ["endpoints"]) => "ListEndpoints",
        (&Method::GET, [_, _, "operations"]) => "ListOperations",
        (&Method::GET, [.., "operations", _]) => "GetOperation",
        (&Method::GET, ["models", _]) => "GetModel",
        (&Method::GET, ["endpoints", _]) => "GetEndpoint",
        (&Method::DELETE, ["models", _]) => "DeleteModel",
        (&Method::DELETE, ["endpoints", _]) => "DeleteEndpoint",
        (&Method::PATCH, ["endpoints", _]) => "UpdateEndpoint",
        (&Method::POST, ["endpoints"]) => "CreateEndpoint",
        (&Method::POST, ["endpoints", verb]) => called(verb),
        _ => "unknown",
    }
}

#[async_trait]
impl Cloud for VertexAi {
    fn name(&self) -> ServiceName {
        ServiceName::VertexAi
    }

    fn operation(&self, call: &Call) -> String {
        let name = match asked(call) {
            Asked::Metadata => "MetadataToken",
            Asked::Exchange => "Token",
            Asked::Federation => "ExchangeToken",
            Asked::Impersonation(_) => "GenerateAccessToken",
            Asked::Project(_) => "GetProject",
            Asked::Below { rest, .. } => named(&call.method, &rest),
            Asked::Unknown => "unknown",
        };
        name.to_owned()
    }

    async fn answer(&self, call: &Call, _operation: &str, fate: &Fate) -> Reply {
        let asked = asked(call);
        match &asked {
            Asked::Metadata => {
                let project = &mut *self.project();
                return project.tokens.metadata(call, &project.settings);
            }
            Asked::Exchange => {
                let project = &mut *self.project();
                return project.tokens.exchange(call, &project.settings);
            }
            Asked::Federation => {
                let project = &mut *self.project();
                return project.tokens.federate(call, &project.settings);
            }
            Asked::Below { location, rest, .. } if rest.len() > 2 && rest[0] == "endpoints" && rest[2] == "invoke" => {
                return self.invoke(call, location, &rest[1], format!("/{}", rest[3..].join("/"))).await;
            }
            _ => {}
        }
        match self.control(call, &asked, fate) {
            Ok(answer) => Reply::new(StatusCode::OK, MEDIA, answer.to_string()),
            Err(fault) => fault.reply(),
        }
    }

    fn refusal(&self, _call: &Call, operation: &str, scripted: &Scripted) -> Reply {
        match scripted {
            Scripted::Error { status, message, code } => {
                let error = json!({"code": status.as_u16(), "message": message, "status": code});
                Reply::new(*status, MEDIA, json!({"error": error}).to_string()).by(&rules::ENVELOPE)
            }
            Scripted::Throttle { after_seconds } => {
                let message = format!("Quota exceeded for quota metric 'Resource management requests' of {operation}.");
                let reply = VertexFault::new(429, "RESOURCE_EXHAUSTED", &rules::THROTTLED, message).reply();
                match after_seconds {
                    Some(after) => reply.with("retry-after", after.to_string()),
                    None => reply,
                }
            }
            Scripted::Deny => {
                let message = format!("Permission for {operation} denied on resource (or it may not exist).");
                VertexFault::new(403, "PERMISSION_DENIED", &rules::DENIED, message).reply()
            }
        }
    }

    fn state(&self) -> Value {
        let now = self.clock.millis();
        let mut project = self.project();
        project.locations.iter_mut().map(|(name, location)| location.state(name, now)).collect()
    }

    fn rules(&self) -> &'static [&'static Rule] {
        RULES
    }
}
