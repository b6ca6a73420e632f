//! Azure OpenAI: Resource Manager with the deployments of one account, Entra ID's tokens, and the account's data plane. One address serves
//! all of them.

mod account;
mod deployment;
mod rules;
mod settings;
mod traffic;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use self::account::{AccountAnswer, AccountAt, Answered, CognitiveAccount};
use self::deployment::ModelDeployed;
pub use self::rules::ALL as RULES;
pub use self::settings::{
    AzureOpenAiSettings, CATALOG_MODEL, COGNITIVE_ACCOUNT, COGNITIVE_CREATED, COGNITIVE_KEY, CatalogModel,
};
use crate::azure::fault::{self, ArmFault, MEDIA};
use crate::azure::tokens::{self, EntraTokens};
use crate::azure::{MANAGEMENT, rules as arm};
use crate::clock::VirtualClock;
use crate::cloud::{Call, Cloud, Reply, Scripted, ServiceName};
use crate::engines::Engines;
use crate::faults::Fate;
use crate::kept::Visibility;
use crate::query;
use crate::rules::Rule;

/// The resource provider.
const PROVIDER: &str = "Microsoft.CognitiveServices";

/// The service.
pub struct AzureOpenAi {
    state: Mutex<AccountDirectory>,
    engines: Engines,
    clock: Arc<VirtualClock>,
}

/// Everything that exists.
struct AccountDirectory {
    settings: AzureOpenAiSettings,
    tokens: EntraTokens,
    account: CognitiveAccount,
}

/// Something that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum OpenAiAsked {
    /// A token of a tenant.
    Exchange(String),
    /// The addresses of a tenant.
    Discovery(String),
    /// Something below a location of the subscription: subscription, location, and the rest.
    Located([String; 2], Vec<String>),
    /// A path below an account: subscription, group, account, and the rest.
    Below([String; 3], Vec<String>),
    /// A route of the data plane.
    Traffic(String),
    Unknown,
}

impl AzureOpenAi {
    /// The service with nothing but an empty account.
    #[must_use]
    pub fn new(settings: AzureOpenAiSettings, clock: Arc<VirtualClock>) -> Self {
        let directory =
            AccountDirectory { settings, tokens: EntraTokens::default(), account: CognitiveAccount::default() };
        Self { state: Mutex::new(directory), engines: Engines::default(), clock }
    }

    /// Changes the settings from now on.
    pub fn configure(&self, change: impl FnOnce(&mut AzureOpenAiSettings)) {
        change(&mut self.directory().settings);
    }

    /// Ends every token that was given.
    pub fn revoke_tokens(&self) {
        self.directory().tokens.revoke();
    }

    /// Creates `count` deployments that serve; `form` gives name and body of the one with this number. Quotas do not count.
    pub fn crowd(&self, count: usize, form: impl Fn(usize) -> (String, Value)) {
        let now = self.clock.millis();
        let mut directory = self.directory();
        for (name, body) in (0..count).map(form) {
            let mut deployment = ModelDeployed::new(body, Visibility::default(), now);
            deployment.is_up();
            directory.account.deployments.insert(name, deployment);
        }
    }

    /// Removes a deployment at once, as an administrator would. True if there was one.
    pub fn take_away(&self, deployment: &str) -> bool {
        self.directory().account.deployments.remove(deployment).is_some()
    }

    fn directory(&self) -> MutexGuard<'_, AccountDirectory> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn control(&self, call: &Call, asked: &OpenAiAsked, fate: &Fate) -> Answered {
        let now = self.clock.millis();
        let mut directory = self.directory();
        let AccountDirectory { settings, tokens, account } = &mut *directory;
        tokens.accept(call, MANAGEMENT, settings.directory())?;
        if !query::pairs(&call.query).contains_key("api-version") {
            let message = "The api-version query parameter (?api-version=) is required for all requests.";
            return Err(ArmFault::new(400, "MissingApiVersionParameter", &arm::API_VERSION, message));
        }
        account.settle(now);
        let parent = parent(settings);
        let is_creation = call.header("if-none-match") == "*";
        let at = AccountAt { parent: &parent, settings, fate, is_creation, now };
        let answer = match asked {
            OpenAiAsked::Located([subscription, location], rest)
                if *subscription == settings.subscription && *location == settings.location =>
            {
                located(account, call, rest, settings)
            }
            OpenAiAsked::Below(scope, rest) => {
                in_scope(scope, settings)?;
                below(account, call, rest, at)
            }
            _ => Err(ArmFault::missing(&call.path, &settings.resource_group)),
        };
        account.settle(now);
        answer
    }
}

/// Resource id of the account.
fn parent(settings: &AzureOpenAiSettings) -> String {
    let AzureOpenAiSettings { subscription, resource_group, account, .. } = settings;
    format!("/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/{PROVIDER}/accounts/{account}")
}

/// Refuses another subscription, group or account ([`arm::NOT_FOUND`]).
fn in_scope([subscription, group, account]: &[String; 3], settings: &AzureOpenAiSettings) -> Result<(), ArmFault> {
    let refused = |code, message| Err(ArmFault::new(404, code, &arm::NOT_FOUND, message));
    if *subscription != settings.subscription {
        return refused("SubscriptionNotFound", format!("The subscription '{subscription}' could not be found."));
    }
    if *group != settings.resource_group {
        return refused("ResourceGroupNotFound", format!("Resource group '{group}' could not be found."));
    }
    if *account != settings.account {
        return Err(ArmFault::missing(&format!("{PROVIDER}/accounts/{account}"), group));
    }
    Ok(())
}

/// An operation on something below a location.
fn located(account: &CognitiveAccount, call: &Call, rest: &[String], settings: &AzureOpenAiSettings) -> Answered {
    let parts: Vec<&str> = rest.iter().map(String::as_str).collect();
    let missing = || ArmFault::missing(&call.path, &settings.resource_group);
    match (&call.method, parts.as_slice()) {
        (&Method::GET, ["usages"]) => Ok(AccountAnswer::Done(account.usages(settings))),
        (&Method::GET, ["operationStatuses", id]) => account.operation(id).map(AccountAnswer::Done).ok_or_else(missing),
        _ => Err(missing()),
    }
}

/// An operation on something in the account.
fn below(account: &mut CognitiveAccount, call: &Call, rest: &[String], at: AccountAt<'_>) -> Answered {
    let body = || call.json().ok_or_else(|| ArmFault::invalid(&arm::ENVELOPE, "The request content was invalid."));
    let parts: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (&call.method, parts.as_slice()) {
        (&Method::GET, []) => Ok(AccountAnswer::Done(shown_account(at))),
        (&Method::POST, ["listKeys"]) => {
            let [first, second] = &at.settings.keys;
            Ok(AccountAnswer::Done(json!({"key1": first, "key2": second})))
        }
        (&Method::GET, ["models"]) => Ok(AccountAnswer::Done(shown_models(at.settings))),
        (&Method::GET, ["deployments"]) => {
            let kept: Vec<&str> = call.query.split('&').filter(|pair| !pair.contains("skipToken=")).collect();
            let next = format!("http://{}{}?{}", call.header("host"), call.path, kept.join("&"));
            let skip = query::pairs(&call.query).get("$skipToken").cloned();
            Ok(AccountAnswer::Done(account.list(skip.as_deref(), &next, at)))
        }
        (&Method::GET, ["deployments", name]) => account.deployment(name, at),
        (&Method::PUT, ["deployments", name]) => account.put(name, &body()?, at),
        (&Method::PATCH, ["deployments", name]) => account.patch(name, &body()?, at),
        (&Method::DELETE, ["deployments", name]) => account.delete(name, at),
        _ => Err(ArmFault::missing(&call.path, &at.settings.resource_group)),
    }
}

/// The account itself ([`rules::ACCOUNT`]).
fn shown_account(at: AccountAt<'_>) -> Value {
    let AzureOpenAiSettings { account, location, created, .. } = at.settings;
    json!({
        "id": at.parent, "name": account, "type": format!("{PROVIDER}/accounts"), "location": location, "kind": "OpenAI",
        "sku": {"name": "S0"},
        "properties": {"provisioningState": "Succeeded", "customSubDomainName": account, "dateCreated": created,
                       "endpoint": format!("https://{account}.openai.azure.com/")},
    })
}

/// Models of the account ([`rules::MODELS`]).
fn shown_models(settings: &AzureOpenAiSettings) -> Value {
    let models = settings.models.iter().map(|model| {
        let sku = |(sku, least): (&String, &u32)| {
            json!({"name": sku, "usageName": model.usage_name(sku), "capacity": {"minimum": least, "step": 1}})
        };
        json!({"format": model.format, "name": model.name, "version": model.version,
               "lifecycleStatus": "GenerallyAvailable", "skus": model.skus.iter().map(sku).collect::<Vec<_>>()})
    });
    json!({"value": models.collect::<Vec<_>>()})
}

/// The thing that a request asks for.
fn asked(call: &Call) -> OpenAiAsked {
    let path = query::decoded(&call.path);
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let text = |part: &&str| (*part).to_owned();
    match parts.as_slice() {
        [tenant, "oauth2", "v2.0", "token"] => OpenAiAsked::Exchange(text(tenant)),
        [tenant, "v2.0", ".well-known", "openid-configuration"] => OpenAiAsked::Discovery(text(tenant)),
        ["openai", "v1", rest @ ..] => OpenAiAsked::Traffic(format!("/v1/{}", rest.join("/"))),
        ["subscriptions", subscription, "providers", PROVIDER, "locations", location, rest @ ..] => {
            OpenAiAsked::Located([text(subscription), text(location)], rest.iter().map(text).collect())
        }
        [
            "subscriptions",
            subscription,
            "resourceGroups",
            group,
            "providers",
            PROVIDER,
            "accounts",
            account,
            rest @ ..,
        ] => OpenAiAsked::Below([text(subscription), text(group), text(account)], rest.iter().map(text).collect()),
        _ => OpenAiAsked::Unknown,
    }
}

/// The service's name of an operation.
fn named(method: &Method, asked: &OpenAiAsked) -> &'static str {
    let parts = |rest: &[String]| -> Vec<String> { rest.to_vec() };
    let rest = match asked {
        OpenAiAsked::Exchange(_) => return "Token",
        OpenAiAsked::Discovery(_) => return "Discovery",
        OpenAiAsked::Traffic(path) if path == "/v1/models" => return "ListModels",
        OpenAiAsked::Traffic(_) => return "Inference",
        OpenAiAsked::Located(_, rest) => {
            return match rest.first().map(String::as_str) {
                Some("usages") => "Usages_List",
                Some("operationStatuses") => "Operation_Get",
                _ => "unknown",
            };
        }
        OpenAiAsked::Below(_, rest) => parts(rest),
        OpenAiAsked::Unknown => return "unknown",
    };
    let parts: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (method, parts.as_slice()) {
        (&Method::GET, []) => "Accounts_Get",
        (&Method::POST, ["listKeys"]) => "Accounts_ListKeys",
        (&Method::GET, ["models"]) => "Accounts_ListModels",
        (&Method::GET, ["deployments"]) => "Deployments_List",
        (&Method::GET, ["deployments", _]) => "Deployments_Get",
        (&Method::PUT, ["deployments", _]) => "Deployments_CreateOrUpdate",
        (&Method::PATCH, ["deployments", _]) => "Deployments_Update",
        (&Method::DELETE, ["deployments", _]) => "Deployments_Delete",
        _ => "unknown",
    }
}

/// The answer in HTTP ([`rules::OPERATIONS`]).
fn sent(answer: AccountAnswer, call: &Call, settings: &AzureOpenAiSettings) -> Reply {
    let AzureOpenAiSettings { subscription, location, .. } = settings;
    let address = |id: &str| {
        let path =
            format!("/subscriptions/{subscription}/providers/{PROVIDER}/locations/{location}/operationStatuses/{id}");
        let version = query::pairs(&call.query).get("api-version").cloned().unwrap_or_default();
        format!("http://{}{path}?api-version={version}", call.header("host"))
    };
    match answer {
        AccountAnswer::Done(body) => Reply::new(StatusCode::OK, MEDIA, body.to_string()),
        AccountAnswer::Made(status, body, operation) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            Reply::new(status, MEDIA, body.to_string())
                .with("azure-asyncoperation", address(&operation))
                .by(&rules::OPERATIONS)
        }
        AccountAnswer::Accepted(operation) => Reply::new(StatusCode::ACCEPTED, MEDIA, "")
            .with("azure-asyncoperation", address(&operation))
            .with("location", address(&operation))
            .by(&rules::OPERATIONS),
        AccountAnswer::Nothing => Reply::new(StatusCode::NO_CONTENT, MEDIA, ""),
    }
}

#[async_trait]
impl Cloud for AzureOpenAi {
    fn name(&self) -> ServiceName {
        ServiceName::AzureOpenAi
    }

    fn operation(&self, call: &Call) -> String {
        named(&call.method, &asked(call)).to_owned()
    }

    async fn answer(&self, call: &Call, _operation: &str, fate: &Fate) -> Reply {
        let asked = asked(call);
        match &asked {
            OpenAiAsked::Exchange(tenant) => {
                let directory = &mut *self.directory();
                return directory.tokens.exchange(call, tenant, directory.settings.directory());
            }
            OpenAiAsked::Discovery(tenant) => {
                let shown = tokens::discovery("https://login.microsoftonline.com", tenant);
                return Reply::new(StatusCode::OK, MEDIA, shown.to_string()).by(&arm::DISCOVERY);
            }
            OpenAiAsked::Traffic(path) => return self.traffic(call, path).await,
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
        self.directory().account.state(now)
    }

    fn rules(&self) -> &'static [&'static Rule] {
        RULES
    }
}
