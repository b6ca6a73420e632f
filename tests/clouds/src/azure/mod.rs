//! Azure: Resource Manager with the resource provider of Azure Machine Learning, its online endpoints, and Entra ID's tokens.
//! One address serves all of them.

mod deployments;
pub(crate) mod endpoint;
pub(crate) mod fault;
pub(crate) mod forms;
mod operation;
pub(crate) mod rules;
pub(crate) mod settings;
pub(crate) mod tokens;
mod workspace;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use self::endpoint::{OnlineDeployment, OnlineEndpoint};
use self::fault::{ArmFault, MEDIA};
pub use self::rules::ALL as RULES;
pub use self::settings::{
    AzureSettings, CLIENT, EntraApplication, FEDERATED, LOCATION, RESOURCE_GROUP, SECRET, SUBSCRIPTION, TENANT, TOKEN,
    WORKSPACE, WORKSPACE_ID,
};
use self::tokens::EntraTokens;
use self::workspace::{Answer, ArmAnswer, Workspace, WorkspaceAt};
use crate::clock::VirtualClock;
use crate::cloud::{Call, Cloud, Reply, Scripted, ServiceName};
use crate::engines::{Container, Engines, Question, arguments_of};
use crate::faults::Fate;
use crate::kept::Visibility;
use crate::query;
use crate::rules::Rule;

/// Audience of Resource Manager.
pub(crate) const MANAGEMENT: &str = "https://management.azure.com";
/// The resource provider.
const PROVIDER: &str = "Microsoft.MachineLearningServices";

/// The service.
pub struct Azure {
    state: Mutex<Directory>,
    engines: Engines,
    clock: Arc<VirtualClock>,
}

/// Everything that exists.
struct Directory {
    settings: AzureSettings,
    tokens: EntraTokens,
    workspace: Workspace,
}

/// Something that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    /// A token of a tenant.
    Exchange(String),
    /// The addresses of a tenant.
    Discovery(String),
    /// An operation, by its id.
    Operation {
        subscription: String,
        id: String,
    },
    /// A path below a workspace: subscription, group, workspace, and the rest.
    Below {
        scope: [String; 3],
        rest: Vec<String>,
    },
    /// A route of an endpoint's container.
    Score {
        endpoint: String,
        path: String,
    },
    Unknown,
}

impl Azure {
    /// The service with nothing but an empty workspace.
    #[must_use]
    pub fn new(settings: AzureSettings, clock: Arc<VirtualClock>) -> Self {
        let directory = Directory { settings, tokens: EntraTokens::default(), workspace: Workspace::default() };
        Self { state: Mutex::new(directory), engines: Engines::default(), clock }
    }

    /// Changes the settings from now on.
    pub fn configure(&self, change: impl FnOnce(&mut AzureSettings)) {
        change(&mut self.directory().settings);
    }

    /// Ends every token that was given.
    pub fn revoke_tokens(&self) {
        self.directory().tokens.revoke();
    }

    /// Creates `count` endpoints in which a deployment serves; `form` gives name, tags and body of the deployment of the one
    /// with this number. Quotas do not count.
    pub fn crowd(&self, count: usize, form: impl Fn(usize) -> (String, Value, Value)) {
        let now = self.clock.millis();
        let mut directory = self.directory();
        for number in 0..count {
            let (name, tags, body) = form(number);
            let properties = json!({"authMode": "Key", "traffic": {"main": 100}});
            let form = json!({"location": directory.settings.location, "tags": tags, "properties": properties});
            let mut deployment = OnlineDeployment::new(body, now);
            deployment.state = "Succeeded";
            deployment.is_up();
            let endpoint = OnlineEndpoint {
                form,
                keys: [String::new(), String::new()],
                state: "Succeeded",
                created: now,
                modified: now,
                deployments: [("main".to_owned(), deployment)].into(),
                visibility: Visibility::default(),
            };
            directory.workspace.endpoints.insert(name, endpoint);
        }
    }

    /// Removes an endpoint at once, as an administrator would. True if there was one.
    pub fn take_away(&self, endpoint: &str) -> bool {
        self.directory().workspace.endpoints.remove(endpoint).is_some()
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn control(&self, call: &Call, asked: &Asked, fate: &Fate) -> Answer {
        let now = self.clock.millis();
        let mut directory = self.directory();
        let Directory { settings, tokens, workspace } = &mut *directory;
        tokens.accept(call, MANAGEMENT, settings.directory())?;
        if !query::pairs(&call.query).contains_key("api-version") {
            let message = "The api-version query parameter (?api-version=) is required for all requests.";
            return Err(ArmFault::new(400, "MissingApiVersionParameter", &rules::API_VERSION, message));
        }
        workspace.settle(now);
        let answer = match asked {
            Asked::Operation { subscription, id } if *subscription == settings.subscription => workspace
                .operation(id)
                .map(ArmAnswer::Done)
                .ok_or_else(|| ArmFault::missing(id, &settings.resource_group)),
            Asked::Below { scope, rest } => {
                in_scope(scope, settings)?;
                let origin = format!("http://{}", call.header("host"));
                let parent = parent(settings);
                let is_creation = call.header("if-none-match") == "*";
                let at = WorkspaceAt { parent: &parent, origin: &origin, settings, fate, is_creation, now };
                below(workspace, call, rest, at)
            }
            _ => Err(ArmFault::missing(&call.path, &settings.resource_group)),
        };
        workspace.settle(now);
        answer
    }

    /// The container of an endpoint that serves ([`rules::GUARDED`]).
    fn serving(&self, call: &Call, name: &str) -> Result<Container, ArmFault> {
        let now = self.clock.millis();
        let mut directory = self.directory();
        let workspace = &mut directory.workspace;
        workspace.settle(now);
        let refused = |status, code, message: &str| ArmFault::new(status, code, &rules::GUARDED, message);
        let endpoint = workspace.endpoints.get(name).filter(|known| !known.visibility.is_gone());
        let endpoint = endpoint.ok_or_else(|| refused(404, "NotFound", "There is no such endpoint."))?;
        let key = call.header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        if key.is_empty() || !endpoint.keys.iter().any(|known| known == key) {
            return Err(refused(401, "Unauthorized", "The key is not valid."));
        }
        let deployment = endpoint.serving().ok_or_else(|| refused(404, "NotFound", "No deployment takes traffic."))?;
        Ok(container(workspace, deployment))
    }

    /// Asks the container; what is no success becomes another status ([`rules::MODEL_ERROR`]).
    async fn score(&self, call: &Call, endpoint: &str, path: &str) -> Reply {
        let container = match self.serving(call, endpoint) {
            Ok(container) => container,
            Err(fault) => return fault.reply(),
        };
        let question = Question {
            method: call.method.clone(),
            path: path.to_owned(),
            authorization: String::new(),
            body: call.body.clone(),
        };
        let reply = self.engines.ask(endpoint, &container, question).await.by(&rules::ROUTES);
        if reply.status == StatusCode::OK {
            return reply;
        }
        let told = reply.status.as_u16().to_string();
        Reply { status: StatusCode::FAILED_DEPENDENCY, ..reply }
            .with("ms-azureml-model-error-statuscode", told)
            .by(&rules::MODEL_ERROR)
    }
}

/// Resource id of the workspace.
fn parent(settings: &AzureSettings) -> String {
    let AzureSettings { subscription, resource_group, workspace, .. } = settings;
    format!("/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/{PROVIDER}/workspaces/{workspace}")
}

/// Refuses another subscription, group or workspace ([`rules::NOT_FOUND`]).
fn in_scope([subscription, group, workspace]: &[String; 3], settings: &AzureSettings) -> Result<(), ArmFault> {
    let refused = |code, message| Err(ArmFault::new(404, code, &rules::NOT_FOUND, message));
    if *subscription != settings.subscription {
        return refused("SubscriptionNotFound", format!("The subscription '{subscription}' could not be found."));
    }
    if *group != settings.resource_group {
        return refused("ResourceGroupNotFound", format!("Resource group '{group}' could not be found."));
    }
    if *workspace != settings.workspace {
        return Err(ArmFault::missing(&format!("{PROVIDER}/workspaces/{workspace}"), group));
    }
    Ok(())
}

/// The container of a deployment: an environment, and no command line.
fn container(workspace: &Workspace, deployment: &OnlineDeployment) -> Container {
    let variables = deployment.form["properties"]["environmentVariables"].as_object().into_iter().flatten();
    let variables = variables.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()));
    let environment = variables.collect();
    let port =
        workspace.environment_of(deployment).map(|version| version["inferenceConfig"]["scoringRoute"]["port"].clone());
    // The image that reads its arguments from the environment listens on one port.
    let reached = port.is_some_and(|port| port == 8080);
    let arguments = if reached { arguments_of(&environment) } else { Vec::new() };
    Container { arguments, environment }
}

/// An operation on something in the workspace.
fn below(workspace: &mut Workspace, call: &Call, rest: &[String], at: WorkspaceAt<'_>) -> Answer {
    let body = || call.json().ok_or_else(|| ArmFault::invalid(&rules::ENVELOPE, "The request content was invalid."));
    let parts: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (&call.method, parts.as_slice()) {
        (&Method::GET, []) => Ok(ArmAnswer::Done(shown_workspace(at))),
        (&Method::GET, ["environments", name]) => workspace.environment(name, at),
        (&Method::PUT, ["environments", name]) => workspace.put_environment(name, &body()?, at),
        (&Method::GET, ["environments", name, "versions", version]) => workspace.version(name, version, at),
        (&Method::PUT, ["environments", name, "versions", version]) => {
            workspace.put_version(name, version, &body()?, at)
        }
        (&Method::GET, ["onlineEndpoints"]) => {
            let kept: Vec<&str> = call.query.split('&').filter(|pair| !pair.contains("skip=")).collect();
            let next = format!("{}{}?{}", at.origin, call.path, kept.join("&"));
            Ok(ArmAnswer::Done(workspace.list(&query::pairs(&call.query), &next, at)))
        }
        (&Method::GET, ["onlineEndpoints", name]) => workspace.endpoint(name, at),
        (&Method::PUT, ["onlineEndpoints", name]) => workspace.put_endpoint(name, &body()?, at),
        (&Method::PATCH, ["onlineEndpoints", name]) => workspace.patch_endpoint(name, &body()?, at),
        (&Method::DELETE, ["onlineEndpoints", name]) => workspace.delete_endpoint(name, at),
        (&Method::POST, ["onlineEndpoints", name, "listKeys"]) => workspace.keys(name, at),
        (&Method::POST, ["onlineEndpoints", name, "regenerateKeys"]) => workspace.regenerate(name, &body()?, at),
        (&Method::GET, ["onlineEndpoints", name, "deployments"]) => workspace.deployments(name, at),
        (&Method::GET, ["onlineEndpoints", name, "deployments", one]) => workspace.deployment([name, one], at),
        (&Method::PUT, ["onlineEndpoints", name, "deployments", one]) => {
            workspace.put_deployment([name, one], &body()?, at)
        }
        (&Method::PATCH, ["onlineEndpoints", name, "deployments", one]) => workspace.scale([name, one], &body()?, at),
        (&Method::DELETE, ["onlineEndpoints", name, "deployments", one]) => workspace.retire([name, one], at),
        _ => Err(ArmFault::missing(&call.path, &at.settings.resource_group)),
    }
}

/// The workspace itself ([`rules::WORKSPACE`]).
fn shown_workspace(at: WorkspaceAt<'_>) -> Value {
    let AzureSettings { workspace, workspace_id, location, .. } = at.settings;
    json!({
        "id": at.parent, "name": workspace, "type": format!("{PROVIDER}/workspaces"), "location": location,
        "properties": {"workspaceId": workspace_id, "provisioningState": "Succeeded"},
    })
}

/// The thing that a request asks for.
fn asked(call: &Call) -> Asked {
    let path = query::decoded(&call.path);
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let text = |part: &str| part.to_owned();
    match parts.as_slice() {
        [tenant, "oauth2", "v2.0", "token"] => Asked::Exchange(text(tenant)),
        [tenant, "v2.0", ".well-known", "openid-configuration"] => Asked::Discovery(text(tenant)),
        ["inference", endpoint, rest @ ..] => {
            Asked::Score { endpoint: text(endpoint), path: format!("/{}", rest.join("/")) }
        }
        ["subscriptions", subscription, "providers", PROVIDER, "locations", _, "mfeOperationsStatus", id] => {
            Asked::Operation { subscription: text(subscription), id: text(id) }
        }
        [
            "subscriptions",
            subscription,
            "resourceGroups",
            group,
            "providers",
            PROVIDER,
            "workspaces",
            workspace,
            rest @ ..,
        ] => {
            let scope = [text(subscription), text(group), text(workspace)];
            Asked::Below { scope, rest: rest.iter().map(|part| text(part)).collect() }
        }
        _ => Asked::Unknown,
    }
}

/// The service's name of an operation below a workspace.
fn named(method: &Method, rest: &[String]) -> &'static str {
    let parts: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (method, parts.as_slice()) {
        (&Method::GET, []) => "Workspaces_Get",
        (&Method::GET, ["environments", _]) => "EnvironmentContainers_Get",
        (&Method::PUT, ["environments", _]) => "EnvironmentContainers_CreateOrUpdate",
        (&Method::GET, ["environments", _, "versions", _]) => "EnvironmentVersions_Get",
        (&Method::PUT, ["environments", _, "versions", _]) => "EnvironmentVersions_CreateOrUpdate",
        (&Method::GET, ["onlineEndpoints"]) => "OnlineEndpoints_List",
        (&Method::GET, ["onlineEndpoints", _]) => "OnlineEndpoints_Get",
        (&Method::PUT, ["onlineEndpoints", _]) => "OnlineEndpoints_CreateOrUpdate",
        (&Method::PATCH, ["onlineEndpoints", _]) => "OnlineEndpoints_Update",
        (&Method::DELETE, ["onlineEndpoints", _]) => "OnlineEndpoints_Delete",
        (&Method::POST, ["onlineEndpoints", _, "listKeys"]) => "OnlineEndpoints_ListKeys",
        (&Method::POST, ["onlineEndpoints", _, "regenerateKeys"]) => "OnlineEndpoints_RegenerateKeys",
        (&Method::GET, ["onlineEndpoints", _, "deployments"]) => "OnlineDeployments_List",
        (&Method::GET, ["onlineEndpoints", _, "deployments", _]) => "OnlineDeployments_Get",
        (&Method::PUT, ["onlineEndpoints", _, "deployments", _]) => "OnlineDeployments_CreateOrUpdate",
        (&Method::PATCH, ["onlineEndpoints", _, "deployments", _]) => "OnlineDeployments_Update",
        (&Method::DELETE, ["onlineEndpoints", _, "deployments", _]) => "OnlineDeployments_Delete",
        _ => "unknown",
    }
}

/// The answer in HTTP ([`rules::OPERATIONS`]).
fn sent(answer: ArmAnswer, call: &Call, settings: &AzureSettings) -> Reply {
    let AzureSettings { subscription, location, .. } = settings;
    let address = |id: &str| {
        let path =
            format!("/subscriptions/{subscription}/providers/{PROVIDER}/locations/{location}/mfeOperationsStatus/{id}");
        let version = query::pairs(&call.query).get("api-version").cloned().unwrap_or_default();
        format!("http://{}{path}?api-version={version}", call.header("host"))
    };
    let status = |number| StatusCode::from_u16(number).unwrap_or(StatusCode::OK);
    match answer {
        ArmAnswer::Done(body) => Reply::new(StatusCode::OK, MEDIA, body.to_string()),
        ArmAnswer::Made(number, body, operation) => Reply::new(status(number), MEDIA, body.to_string())
            .with("azure-asyncoperation", address(&operation))
            .with("x-ms-async-operation-timeout", "PT1H")
            .by(&rules::OPERATIONS),
        ArmAnswer::Accepted(operation) => Reply::new(StatusCode::ACCEPTED, MEDIA, "")
            .with("azure-asyncoperation", address(&operation))
            .with("location", address(&operation))
            .by(&rules::OPERATIONS),
        ArmAnswer::Nothing => Reply::new(StatusCode::NO_CONTENT, MEDIA, ""),
    }
}

#[async_trait]
impl Cloud for Azure {
    fn name(&self) -> ServiceName {
        ServiceName::Azure
    }

    fn operation(&self, call: &Call) -> String {
        let name = match asked(call) {
            Asked::Exchange(_) => "Token",
            Asked::Discovery(_) => "Discovery",
            Asked::Operation { .. } => "Operation_Get",
            Asked::Below { rest, .. } => named(&call.method, &rest),
            Asked::Score { .. } => "Score",
            Asked::Unknown => "unknown",
        };
        name.to_owned()
    }

    async fn answer(&self, call: &Call, _operation: &str, fate: &Fate) -> Reply {
        let asked = asked(call);
        match &asked {
            Asked::Exchange(tenant) => {
                let directory = &mut *self.directory();
                return directory.tokens.exchange(call, tenant, directory.settings.directory());
            }
            Asked::Discovery(tenant) => {
                let shown = tokens::discovery("https://login.microsoftonline.com", tenant);
                return Reply::new(StatusCode::OK, MEDIA, shown.to_string()).by(&rules::DISCOVERY);
            }
            Asked::Score { endpoint, path } => return self.score(call, endpoint, path).await,
            _ => {}
        }
        match self.control(call, &asked, fate) {
            Ok(answer) => sent(answer, call, &self.directory().settings),
            Err(fault) => fault.reply(),
        }
    }

    fn refusal(&self, _call: &Call, operation: &str, scripted: &Scripted) -> Reply {
        fault::scripted(operation, scripted)
    }

    fn state(&self) -> Value {
        let now = self.clock.millis();
        self.directory().workspace.state(now)
    }

    fn rules(&self) -> &'static [&'static Rule] {
        RULES
    }
}
