//! The account: its deployments, and what changes them. Time is an argument.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::deployment::ModelDeployed;
use super::rules;
use super::settings::{AzureOpenAiSettings, CatalogModel};
use crate::azure::endpoint::capacity;
use crate::azure::fault::ArmFault;
use crate::azure::forms;
use crate::clock::rfc3339;
use crate::faults::Fate;
use crate::kept::{Visibility, page};

/// Deployments of a page ([`rules::LIST`]).
const PAGE_ITEMS: usize = 50;

/// Answer to a call.
#[derive(Debug)]
pub enum AccountAnswer {
    /// A resource, or a list.
    Done(Value),
    /// A resource that changes by the operation of this id.
    Made(u16, Value, String),
    /// An operation of this id.
    Accepted(String),
    /// Nothing is there.
    Nothing,
}

pub type Answered = Result<AccountAnswer, ArmFault>;

/// Circumstances of a call.
#[derive(Debug, Clone, Copy)]
pub struct AccountAt<'a> {
    /// Resource id of the account.
    pub parent: &'a str,
    pub settings: &'a AzureOpenAiSettings,
    pub fate: &'a Fate,
    /// The request is for something new only ([`rules::IF_NONE_MATCH`]).
    pub is_creation: bool,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// A change of a deployment.
#[derive(Debug, Clone, PartialEq)]
struct AccountChange {
    id: String,
    deployment: String,
    is_removal: bool,
    began: i64,
    /// End; absent if it never ends.
    ends: Option<i64>,
    /// The failure that it will have.
    fails: Option<String>,
    /// Status once it has ended.
    ended: Option<&'static str>,
}

/// Everything in the account.
#[derive(Debug, Default)]
pub struct CognitiveAccount {
    pub deployments: BTreeMap<String, ModelDeployed>,
    changes: Vec<AccountChange>,
    /// Unit-milliseconds that are billed.
    billed: i64,
}

impl AccountAt<'_> {
    fn id(&self, name: &str) -> String {
        format!("{}/deployments/{name}", self.parent)
    }

    fn missing(&self, name: &str) -> ArmFault {
        let AzureOpenAiSettings { account, resource_group, .. } = self.settings;
        ArmFault::missing(&format!("Microsoft.CognitiveServices/accounts/{account}/deployments/{name}"), resource_group)
    }
}

impl CognitiveAccount {
    /// Carries out what is due.
    pub fn settle(&mut self, now: i64) {
        for change in self.changes.iter_mut().filter(|change| change.ended.is_none()) {
            let Some(ends) = change.ends.filter(|ends| *ends <= now) else { continue };
            let Some(known) = self.deployments.get_mut(&change.deployment) else { continue };
            self.billed += known.bill(ends);
            change.ended = Some(if change.fails.is_some() { "Failed" } else { "Succeeded" });
            match (&change.fails, change.is_removal, known.serving.clone()) {
                (None, true, _) => known.visibility.gone(ends),
                (None, false, _) => known.is_up(),
                // The former form serves on ([`rules::UPDATE`]).
                (Some(_), _, Some(former)) => {
                    known.form = former;
                    known.state = "Succeeded";
                }
                (Some(_), _, None) => known.state = "Failed",
            }
        }
        self.deployments.retain(|_, known| !known.visibility.is_over(now));
    }

    /// Begins a change, and tells the id of its operation.
    fn begin(&mut self, deployment: &str, is_removal: bool, seconds: u32, fate: &Fate, now: i64) -> String {
        let (seconds, fails) = match &fate.fails {
            Some((seconds, reason, _)) => (*seconds, Some(reason.clone())),
            None => (seconds, None),
        };
        let id = format!("op-{}", self.changes.len() + 1);
        let ends = (!fate.stuck).then_some(now + i64::from(seconds) * 1000);
        self.changes.push(AccountChange {
            id: id.clone(),
            deployment: deployment.to_owned(),
            is_removal,
            began: now,
            ends,
            fails,
            ended: None,
        });
        self.settle(now);
        id
    }

    /// An operation ([`rules::OPERATIONS`]).
    pub fn operation(&self, id: &str) -> Option<Value> {
        let change = self.changes.iter().find(|change| change.id == id)?;
        let status = change.ended.unwrap_or("InProgress");
        let mut shown = json!({"name": id, "status": status, "startTime": rfc3339(change.began)});
        if let (Some("Failed"), Some(message)) = (change.ended, &change.fails) {
            let has = |word: &str| message.to_lowercase().contains(word);
            let code = if has("quota") {
                "InsufficientQuota"
            } else if has("capacity") {
                "InsufficientCapacity"
            } else {
                "InternalServerError"
            };
            shown["error"] = json!({"code": code, "message": message});
        }
        Some(shown)
    }

    /// Refuses a change while another one is under way in the account ([`rules::ONE_CHANGE`]).
    fn is_free(&self, at: AccountAt<'_>) -> Result<(), ArmFault> {
        if self.changes.iter().all(|change| change.ended.is_some()) {
            return Ok(());
        }
        let message = format!(
            "Another operation is being performed on the parent resource '{}'. Please try again later.",
            at.parent
        );
        Err(ArmFault::new(409, "RequestConflict", &rules::ONE_CHANGE, message))
    }

    /// The deployment of this name, if reads find it.
    fn find(&mut self, name: &str, at: AccountAt<'_>) -> Result<&mut ModelDeployed, ArmFault> {
        self.deployments.get_mut(name).filter(|known| known.visibility.is_read(at.now)).ok_or_else(|| at.missing(name))
    }

    fn shown(&self, name: &str, at: AccountAt<'_>) -> Value {
        let mut shown = self.deployments.get(name).map_or(Value::Null, |known| known.shown(&at.id(name)));
        if let Some(status) = &at.fate.status {
            shown["properties"]["provisioningState"] = json!(status);
        }
        shown
    }

    pub fn deployment(&mut self, name: &str, at: AccountAt<'_>) -> Answered {
        self.find(name, at)?;
        Ok(AccountAnswer::Done(self.shown(name, at)))
    }

    /// One page of the deployments ([`rules::LIST`]).
    pub fn list(&self, skip: Option<&str>, next: &str, at: AccountAt<'_>) -> Value {
        let listed = self.deployments.iter().filter(|(_, known)| known.visibility.is_listed(at.now));
        let (names, more) = page(listed.map(|(name, _)| name).collect(), skip, PAGE_ITEMS);
        let mut list = json!({"value": names.into_iter().map(|name| self.shown(name, at)).collect::<Vec<_>>()});
        if let Some(more) = more {
            list["nextLink"] = json!(format!("{next}&$skipToken={more}"));
        }
        list
    }

    /// Creates a deployment or gives it another form ([`rules::PUT`]).
    pub fn put(&mut self, name: &str, body: &Value, at: AccountAt<'_>) -> Answered {
        self.check(name, body, at)?;
        let former = self.deployments.get(name).filter(|known| !known.visibility.is_gone()).cloned();
        let is_new = former.is_none();
        if at.is_creation && !is_new {
            let message = format!("Deployment {name} exists.");
            return Err(ArmFault::new(412, "PreconditionFailed", &rules::IF_NONE_MATCH, message));
        }
        self.is_free(at)?;
        let mut known =
            former.unwrap_or_else(|| ModelDeployed::new(Value::Null, Visibility::new(at.fate, at.now), at.now));
        known.form = json!({"sku": body["sku"], "tags": body["tags"], "properties": body["properties"]});
        Ok(self.change(name, known, if is_new { 201 } else { 200 }, at))
    }

    /// Changes tags and SKU ([`rules::PATCH`]).
    pub fn patch(&mut self, name: &str, body: &Value, at: AccountAt<'_>) -> Answered {
        let mut known = self.find(name, at)?.clone();
        for member in ["tags", "sku"].into_iter().filter(|member| !body[*member].is_null()) {
            known.form[member] = body[member].clone();
        }
        self.check(name, &known.form, at)?;
        self.is_free(at)?;
        Ok(self.change(name, known, 202, at))
    }

    /// Puts a deployment in its form, which takes a while.
    fn change(&mut self, name: &str, mut known: ModelDeployed, status: u16, at: AccountAt<'_>) -> AccountAnswer {
        self.billed += known.bill(at.now);
        let serves = known.serving.is_some();
        known.state = if serves { "Accepted" } else { "Creating" };
        known.modified = at.now;
        let fate = self.fate(name, &known.form, at);
        self.deployments.insert(name.to_owned(), known);
        let seconds = if serves { at.settings.updating_seconds } else { at.settings.deploying_seconds };
        let operation = self.begin(name, false, seconds, &fate, at.now);
        AccountAnswer::Made(status, self.shown(name, at), operation)
    }

    /// Begins a deletion ([`rules::DELETE`]).
    pub fn delete(&mut self, name: &str, at: AccountAt<'_>) -> Answered {
        if self.find(name, at).is_err() {
            return Ok(AccountAnswer::Nothing);
        }
        self.is_free(at)?;
        let known = self.find(name, at)?;
        known.state = "Deleting";
        known.visibility.linger(at.fate);
        Ok(AccountAnswer::Accepted(self.begin(name, true, at.settings.deleting_seconds, at.fate, at.now)))
    }

    /// Checks a form ([`rules::MODEL`], [`rules::SKU`], [`rules::CAPACITY`], [`rules::QUOTA`]).
    fn check(&self, name: &str, form: &Value, at: AccountAt<'_>) -> Result<(), ArmFault> {
        forms::tags(&form["tags"])?;
        let [format, model, version] = ModelDeployed::model(form);
        let Some(known) = at.settings.model([format, model, version]) else {
            let message = format!(
                "The model 'Format: {format}, Name: {model}, Version: {version}' of account deployment is not supported."
            );
            return Err(ArmFault::new(400, "DeploymentModelNotSupported", &rules::MODEL, message));
        };
        let sku = ModelDeployed::sku(form);
        let Some(least) = known.skus.get(sku) else {
            let message = format!(
                "The specified SKU '{sku}' of account deployment is not supported by the model '{model}' version: '{version}'."
            );
            return Err(ArmFault::new(400, "InvalidResourceProperties", &rules::SKU, message));
        };
        if capacity(form) < *least {
            let message = format!("The capacity should be at least {least} for the SKU '{sku}'.");
            return Err(ArmFault::new(400, "InvalidResourceProperties", &rules::CAPACITY, message));
        }
        self.quota(name, known, form, at)
    }

    fn quota(&self, name: &str, model: &CatalogModel, form: &Value, at: AccountAt<'_>) -> Result<(), ArmFault> {
        let usage = model.usage_name(ModelDeployed::sku(form));
        let Some(limit) = at.settings.quotas.get(&usage) else { return Ok(()) };
        let (wanted, others) = (capacity(form), self.used(&usage, Some(name), at.settings));
        if others + wanted <= *limit {
            return Ok(());
        }
        let message = format!(
            "This operation require {wanted} new capacity in quota {usage}, which is bigger than the current available capacity {}. The \
             current quota usage is {others} and the quota limit is {limit} for quota {usage}.",
            limit.saturating_sub(others)
        );
        Err(ArmFault::new(400, "InsufficientQuota", &rules::QUOTA, message))
    }

    /// Units of a quota that all deployments but one use.
    fn used(&self, usage: &str, but: Option<&str>, settings: &AzureOpenAiSettings) -> u32 {
        let of_usage = |known: &ModelDeployed| {
            let model = settings.model(ModelDeployed::model(&known.form));
            model.is_some_and(|model| model.usage_name(ModelDeployed::sku(&known.form)) == usage)
        };
        let others = self.deployments.iter().filter(|(name, known)| Some(name.as_str()) != but && of_usage(known));
        others.map(|(_, known)| known.units()).sum()
    }

    /// The script's fate, or that of a deployment for which there are no units ([`rules::UNITS`]).
    fn fate(&self, name: &str, form: &Value, at: AccountAt<'_>) -> Fate {
        let sku = ModelDeployed::sku(form);
        let of_sku =
            self.deployments.iter().filter(|(known, one)| *known != name && ModelDeployed::sku(&one.form) == sku);
        let used: u32 = of_sku.map(|(_, one)| one.units()).sum();
        let lacking = at.settings.units.get(sku).is_some_and(|units| used + capacity(form) > *units);
        let reason =
            format!("There is not enough capacity for {} units of {sku} in {}.", capacity(form), at.settings.location);
        let fails = Some((at.settings.capacity_seconds, reason, crate::faults::AfterFailure::Failed));
        if lacking && at.fate.fails.is_none() { Fate { fails, ..at.fate.clone() } } else { at.fate.clone() }
    }

    /// Usage and limit of every quota ([`rules::USAGES`]).
    pub fn usages(&self, settings: &AzureOpenAiSettings) -> Value {
        let all = settings.models.iter().flat_map(|model| model.skus.keys().map(|sku| model.usage_name(sku)));
        let names: std::collections::BTreeSet<String> = all.collect();
        let usages = names.into_iter().map(|name| {
            let limit = settings.quotas.get(&name).copied().unwrap_or(1_000_000);
            json!({"name": {"value": name, "localizedValue": name}, "unit": "Count", "status": "Included",
                   "currentValue": f64::from(self.used(&name, None, settings)), "limit": f64::from(limit)})
        });
        json!({"value": usages.collect::<Vec<_>>()})
    }

    /// The model behind a deployment that serves ([`rules::DEPLOYMENT_NAME`]).
    pub fn serving(&self, name: &str) -> Option<String> {
        let known = self.deployments.get(name).filter(|known| !known.visibility.is_gone())?;
        let form = known.serving.as_ref().filter(|_| known.state != "Deleting")?;
        let [_, model, version] = ModelDeployed::model(form);
        Some(format!("{model}-{version}"))
    }

    /// The true state, for tests ([`rules::BILLED`]).
    pub fn state(&mut self, now: i64) -> Value {
        self.settle(now);
        for known in self.deployments.values_mut().filter(|known| !known.visibility.is_gone()) {
            self.billed += known.bill(now);
        }
        let exist = self.deployments.iter().filter(|(_, known)| !known.visibility.is_gone());
        let deployments = exist.map(|(name, known)| {
            json!({"name": name, "state": known.state, "tags": known.form["tags"], "sku": known.form["sku"],
                   "model": known.form["properties"]["model"]})
        });
        json!({"deployments": deployments.collect::<Vec<_>>(), "billedUnitSeconds": self.billed / 1000})
    }
}
