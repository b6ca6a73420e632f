//! The true state of the workspace, and the operations on it. Time is an argument.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::endpoint::{OnlineEndpoint, capacity, with_head};
use super::fault::ArmFault;
use super::operation::{Ending, OnlineOperation, Work};
use super::settings::AzureSettings;
use super::{forms, rules};
use crate::faults::Fate;
use crate::kept::{Visibility, page};

/// Items of a page ([`rules::LIST`]).
const PAGE_ITEMS: usize = 30;

/// An environment: a container, and its versions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Environment {
    container: Value,
    pub versions: BTreeMap<String, Value>,
    created: i64,
}

/// The workspace.
#[derive(Debug, Default)]
pub struct Workspace {
    pub environments: BTreeMap<String, Environment>,
    pub endpoints: BTreeMap<String, OnlineEndpoint>,
    pub operations: Vec<OnlineOperation>,
    /// Instance-milliseconds so far.
    billed: i64,
}

/// Circumstances of one operation.
#[derive(Debug, Clone, Copy)]
pub struct WorkspaceAt<'a> {
    /// Resource id of the workspace.
    pub parent: &'a str,
    /// Origin under which the fake is asked.
    pub origin: &'a str,
    pub settings: &'a AzureSettings,
    pub fate: &'a Fate,
    /// The request is for something new only ([`rules::IF_NONE_MATCH`]).
    pub is_creation: bool,
    pub now: i64,
}

impl WorkspaceAt<'_> {
    pub fn missing(&self, kind: &str, name: &str) -> ArmFault {
        let resource =
            format!("Microsoft.MachineLearningServices/workspaces/{}/{kind}/{name}", self.settings.workspace);
        ArmFault::missing(&resource, &self.settings.resource_group)
    }

    pub fn id(&self, kind: &str, name: &str) -> String {
        format!("{}/{kind}/{name}", self.parent)
    }
}

/// An answer that is none of the refusals.
#[derive(Debug, Clone, PartialEq)]
pub enum ArmAnswer {
    /// 200 with a body.
    Done(Value),
    /// 201 or 200 with a body; this operation has not ended.
    Made(u16, Value, String),
    /// 202; this operation has not ended.
    Accepted(String),
    /// 204: there is nothing to do.
    Nothing,
}

pub type Answer = Result<ArmAnswer, ArmFault>;

impl Workspace {
    /// Ends what has ended.
    pub fn settle(&mut self, now: i64) {
        let is_due = |known: &OnlineOperation| known.is_running() && known.ends.is_some_and(|end| end <= now);
        let mut due: Vec<usize> = (0..self.operations.len()).filter(|at| is_due(&self.operations[*at])).collect();
        due.sort_by_key(|at| self.operations[*at].ends);
        for at in due {
            let operation = self.operations[at].clone();
            self.finish(&operation, operation.ends.unwrap_or(now));
            self.operations[at].ending =
                operation.fails.map_or(Ending::Succeeded, |(code, message)| Ending::Failed { code, message });
        }
        self.endpoints.retain(|_, endpoint| !endpoint.visibility.is_over(now));
    }

    /// Brings about what an operation was for, or the state of a failure ([`rules::FAILED`]).
    fn finish(&mut self, operation: &OnlineOperation, end: i64) {
        let has_failed = operation.fails.is_some();
        let Some(endpoint) = self.endpoints.get_mut(&operation.endpoint) else { return };
        if let Some(name) = &operation.deployment {
            let Some(deployment) = endpoint.deployments.get_mut(name) else { return };
            self.billed += deployment.bill(end);
            deployment.modified = end;
            deployment.state = if has_failed { "Failed" } else { "Succeeded" };
            match &operation.work {
                _ if has_failed => {}
                Work::Deploy(form) => {
                    deployment.capacity = capacity(form);
                    deployment.form = form.clone();
                    deployment.is_up();
                }
                Work::Scale(count) => deployment.capacity = *count,
                Work::Retire => drop(endpoint.deployments.remove(name)),
                _ => {}
            }
            return;
        }
        endpoint.modified = end;
        endpoint.state = if has_failed { "Failed" } else { "Succeeded" };
        match &operation.work {
            _ if has_failed => {}
            Work::UpdateEndpoint(form) => endpoint.form = form.clone(),
            Work::TagEndpoint(tags) => endpoint.form["tags"] = tags.clone(),
            Work::SetKeys(keys) => endpoint.keys.clone_from(keys),
            Work::DeleteEndpoint => {
                for deployment in endpoint.deployments.values_mut() {
                    self.billed += deployment.bill(end);
                }
                endpoint.deployments.clear();
                endpoint.visibility.linger(&operation.fate);
                endpoint.visibility.gone(end);
            }
            _ => {}
        }
    }

    pub fn begin(&mut self, mut operation: OnlineOperation) -> String {
        operation.id = format!("oe:{:08x}", self.operations.len() + 1);
        let id = operation.id.clone();
        self.operations.push(operation);
        id
    }

    pub fn operation(&self, id: &str) -> Option<Value> {
        self.operations.iter().find(|known| known.id == id).map(OnlineOperation::shown)
    }

    /// Refuses a second change at a time ([`rules::ONE_CHANGE`]).
    pub fn is_free(&self, name: &str) -> Result<(), ArmFault> {
        if !self.operations.iter().any(|known| known.is_running() && known.endpoint == name) {
            return Ok(());
        }
        Err(ArmFault::conflict(
            &rules::ONE_CHANGE,
            format!("Another operation on online endpoint {name} is in progress."),
        ))
    }

    pub fn put_environment(&mut self, name: &str, body: &Value, at: WorkspaceAt<'_>) -> Answer {
        let known = self.environments.entry(name.to_owned()).or_default();
        known.container = body["properties"].clone();
        known.created = if known.created == 0 { at.now } else { known.created };
        self.environment(name, at)
    }

    pub fn environment(&self, name: &str, at: WorkspaceAt<'_>) -> Answer {
        let known = self.environments.get(name).ok_or_else(|| at.missing("environments", name))?;
        let shown = json!({"properties": known.container});
        let kind = "Microsoft.MachineLearningServices/workspaces/environments";
        Ok(ArmAnswer::Done(with_head(shown, (&at.id("environments", name), kind), [known.created; 2])))
    }

    /// Registers a version of an environment, which cannot be changed ([`rules::ENVIRONMENT`]).
    pub fn put_version(&mut self, name: &str, version: &str, body: &Value, at: WorkspaceAt<'_>) -> Answer {
        let properties = &body["properties"];
        if properties["image"].as_str().is_none_or(str::is_empty) {
            return Err(ArmFault::invalid(
                &rules::ENVIRONMENT,
                "An environment needs an image, a build context or a conda file.",
            ));
        }
        let known = self.environments.entry(name.to_owned()).or_default();
        let former = known.versions.get(version).map(|former| &former["image"]);
        if former.is_some_and(|image| *image != properties["image"]) {
            return Err(ArmFault::conflict(
                &rules::ENVIRONMENT,
                format!("Version {version} of {name} exists with another image."),
            ));
        }
        known.versions.insert(version.to_owned(), properties.clone());
        self.version(name, version, at)
    }

    pub fn version(&self, name: &str, version: &str, at: WorkspaceAt<'_>) -> Answer {
        let kind = format!("environments/{name}/versions");
        let known = self.environments.get(name).and_then(|known| known.versions.get(version));
        let mut shown = json!({"properties": known.ok_or_else(|| at.missing(&kind, version))?});
        shown["properties"]["provisioningState"] = json!("Succeeded");
        let head = (at.id(&kind, version), "Microsoft.MachineLearningServices/workspaces/environments/versions");
        Ok(ArmAnswer::Done(with_head(shown, (&head.0, head.1), [at.now; 2])))
    }

    pub fn find(&mut self, name: &str, at: WorkspaceAt<'_>) -> Result<&mut OnlineEndpoint, ArmFault> {
        let found = self.endpoints.get_mut(name).filter(|known| known.visibility.is_read(at.now));
        found.ok_or_else(|| at.missing("onlineEndpoints", name))
    }

    fn shown(&self, name: &str, at: WorkspaceAt<'_>) -> Value {
        let host = format!("{}/inference/{name}", at.origin);
        let known = self.endpoints.get(name);
        let mut shown = known.map_or(Value::Null, |known| known.shown(&at.id("onlineEndpoints", name), &host));
        if let Some(status) = &at.fate.status {
            shown["properties"]["provisioningState"] = json!(status);
        }
        shown
    }

    pub fn endpoint(&mut self, name: &str, at: WorkspaceAt<'_>) -> Answer {
        self.find(name, at)?;
        Ok(ArmAnswer::Done(self.shown(name, at)))
    }

    /// Creates an endpoint or changes it ([`rules::PUT`]).
    pub fn put_endpoint(&mut self, name: &str, body: &Value, at: WorkspaceAt<'_>) -> Answer {
        forms::name(name)?;
        let known = self.endpoints.get(name).filter(|known| !known.visibility.is_gone());
        forms::endpoint(body, known, at.settings)?;
        let mut form = body.clone();
        let keys =
            form["properties"].as_object_mut().and_then(|properties| properties.remove("keys")).unwrap_or_default();
        if known.is_some() {
            if at.is_creation {
                let message = format!("Online endpoint {name} exists.");
                return Err(ArmFault::new(412, "PreconditionFailed", &rules::IF_NONE_MATCH, message));
            }
            self.is_free(name)?;
            let operation = OnlineOperation::new(
                name,
                None,
                Work::UpdateEndpoint(form),
                at.settings.updating_seconds,
                at.fate,
                at.now,
            );
            let operation = self.begin(operation);
            self.find(name, at)?.state = "Updating";
            return Ok(ArmAnswer::Made(200, self.shown(name, at), operation));
        }
        let made = |number: u32| format!("{number}fake{:028x}", at.now);
        let key = |member: &str, number: u32| keys[member].as_str().map_or_else(|| made(number), str::to_owned);
        let endpoint = OnlineEndpoint {
            form,
            keys: [key("primaryKey", 1), key("secondaryKey", 2)],
            state: "Creating",
            created: at.now,
            modified: at.now,
            deployments: BTreeMap::new(),
            visibility: Visibility::new(at.fate, at.now),
        };
        self.endpoints.insert(name.to_owned(), endpoint);
        let operation =
            OnlineOperation::new(name, None, Work::CreateEndpoint, at.settings.creating_seconds, at.fate, at.now);
        let operation = self.begin(operation);
        Ok(ArmAnswer::Made(201, self.shown(name, at), operation))
    }

    /// Replaces the tags of an endpoint ([`rules::PATCH`]).
    pub fn patch_endpoint(&mut self, name: &str, body: &Value, at: WorkspaceAt<'_>) -> Answer {
        forms::tags(&body["tags"])?;
        self.find(name, at)?;
        self.is_free(name)?;
        let work = Work::TagEndpoint(body["tags"].clone());
        let operation =
            self.begin(OnlineOperation::new(name, None, work, at.settings.updating_seconds, at.fate, at.now));
        self.find(name, at)?.state = "Updating";
        Ok(ArmAnswer::Accepted(operation))
    }

    /// Deletes an endpoint with its deployments; what is under way is canceled ([`rules::DELETE`]).
    pub fn delete_endpoint(&mut self, name: &str, at: WorkspaceAt<'_>) -> Answer {
        let Ok(endpoint) = self.find(name, at) else { return Ok(ArmAnswer::Nothing) };
        if endpoint.state == "Deleting" {
            return Err(ArmFault::conflict(&rules::ONE_CHANGE, format!("Online endpoint {name} is being deleted.")));
        }
        endpoint.state = "Deleting";
        for operation in self.operations.iter_mut().filter(|known| known.is_running() && known.endpoint == name) {
            operation.ending = Ending::Canceled;
        }
        let work = Work::DeleteEndpoint;
        let operation =
            self.begin(OnlineOperation::new(name, None, work, at.settings.deleting_seconds, at.fate, at.now));
        Ok(ArmAnswer::Accepted(operation))
    }

    pub fn keys(&mut self, name: &str, at: WorkspaceAt<'_>) -> Answer {
        let [primary, secondary] = &self.find(name, at)?.keys;
        Ok(ArmAnswer::Done(json!({"primaryKey": primary, "secondaryKey": secondary})))
    }

    /// Sets one key to a value ([`rules::KEYS`]).
    pub fn regenerate(&mut self, name: &str, body: &Value, at: WorkspaceAt<'_>) -> Answer {
        let mut keys = self.find(name, at)?.keys.clone();
        self.is_free(name)?;
        let value = body["keyValue"].as_str().map_or_else(|| format!("fake{:028x}", at.now), str::to_owned);
        match body["keyType"].as_str() {
            Some("Primary") => keys[0] = value,
            Some("Secondary") => keys[1] = value,
            _ => return Err(ArmFault::invalid(&rules::KEYS, "keyType must be Primary or Secondary.")),
        }
        let work = Work::SetKeys(keys);
        let operation =
            self.begin(OnlineOperation::new(name, None, work, at.settings.updating_seconds, at.fate, at.now));
        self.find(name, at)?.state = "Updating";
        Ok(ArmAnswer::Accepted(operation))
    }

    /// One page of the endpoints with these tags ([`rules::LIST`]).
    pub fn list(&self, query: &BTreeMap<String, String>, next: &str, at: WorkspaceAt<'_>) -> Value {
        let tags = query.get("tags").map(String::as_str).unwrap_or_default();
        let wanted: Vec<(&str, &str)> =
            tags.split(',').filter(|tag| !tag.is_empty()).map(|tag| tag.split_once('=').unwrap_or((tag, ""))).collect();
        let has = |known: &OnlineEndpoint| {
            let of = |name: &str| known.form["tags"][name].as_str();
            wanted.iter().all(|(name, value)| of(name).is_some_and(|own| value.is_empty() || own == *value))
        };
        let listed: Vec<&String> = self
            .endpoints
            .iter()
            .filter(|(_, known)| known.visibility.is_listed(at.now) && has(known))
            .map(|(name, _)| name)
            .collect();
        let count = query.get("count").and_then(|count| count.parse().ok()).filter(|count| *count > 0);
        let (names, more) =
            page(listed, query.get("$skip").map(String::as_str), count.unwrap_or(PAGE_ITEMS).min(PAGE_ITEMS));
        let mut list = json!({"value": names.into_iter().map(|name| self.shown(name, at)).collect::<Vec<_>>()});
        if let Some(more) = more {
            list["nextLink"] = json!(format!("{next}&$skip={more}"));
        }
        list
    }

    /// The true state, for tests ([`rules::BILLED`]).
    pub fn state(&mut self, now: i64) -> Value {
        self.settle(now);
        for deployment in self.endpoints.values_mut().flat_map(|endpoint| endpoint.deployments.values_mut()) {
            self.billed += deployment.bill(now);
        }
        let shown = |(name, endpoint): (&String, &OnlineEndpoint)| {
            let deployments = endpoint.deployments.iter();
            let deployments: Value = deployments
                .map(|(name, known)| json!({"name": name, "state": known.state, "instances": known.instances()}))
                .collect();
            json!({"name": name, "tags": endpoint.form["tags"], "state": endpoint.state, "deployments": deployments,
                   "traffic": endpoint.traffic()})
        };
        let exist = self.endpoints.iter().filter(|(_, endpoint)| !endpoint.visibility.is_gone());
        let endpoints: Vec<Value> = exist.map(shown).collect();
        let versions: usize = self.environments.values().map(|known| known.versions.len()).sum();
        json!({"endpoints": endpoints, "environmentVersions": versions, "billedInstanceSeconds": self.billed / 1000})
    }
}
