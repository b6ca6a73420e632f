//! The true state of every location, and the operations on it. Time is an argument.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::endpoint::{VertexEndpoint, count, last};
use super::fault::{Answer, VertexFault};
use super::forms;
use super::operation::{Ending, Operation, Work};
use super::rules;
use super::settings::VertexAiSettings;
use crate::clock::rfc3339;
use crate::faults::{AfterFailure, Fate};
use crate::kept::{Visibility, page};

/// The text of a lack of machines ([`rules::CAPACITY`]).
const NO_MACHINES: &str =
    "Unable to deploy the model because the service is temporarily out of capacity in this region. Try again later.";
/// Items of a page ([`rules::PAGE_SIZE`]).
const PAGE_ITEMS: usize = 100;

/// A model in the registry.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    pub form: Value,
    pub created: i64,
    pub visibility: Visibility,
}

/// One location of the project.
#[derive(Debug, Default)]
pub struct Location {
    pub models: BTreeMap<String, Model>,
    pub endpoints: BTreeMap<String, VertexEndpoint>,
    pub operations: Vec<Operation>,
    /// Replica-milliseconds so far.
    billed: i64,
}

/// Circumstances of one operation.
#[derive(Debug, Clone, Copy)]
pub struct VertexAt<'a> {
    /// Name of the location, with the number of the project ([`rules::NUMBER`]).
    pub parent: &'a str,
    pub settings: &'a VertexAiSettings,
    pub fate: &'a Fate,
    pub now: i64,
}

impl VertexAt<'_> {
    fn name(&self, kind: &str, id: &str) -> String {
        format!("{}/{kind}/{id}", self.parent)
    }
}

impl Location {
    /// Ends what has ended.
    pub fn settle(&mut self, now: i64) {
        let mut due: Vec<usize> = (0..self.operations.len())
            .filter(|at| self.operations[*at].is_running() && self.operations[*at].ends.is_some_and(|end| end <= now))
            .collect();
        due.sort_by_key(|at| self.operations[*at].ends);
        for at in due {
            let operation = self.operations[at].clone();
            let end = operation.ends.unwrap_or(now);
            if operation.fails.is_none() {
                self.finish(&operation, end);
            }
            self.operations[at].ending =
                operation.fails.map_or(Ending::Done, |(code, message)| Ending::Failed { code, message });
        }
        self.models.retain(|_, model| !model.visibility.is_over(now));
        self.endpoints.retain(|_, endpoint| !endpoint.visibility.is_over(now));
    }

    /// Brings about what an operation was for ([`rules::AT_THE_END`]).
    fn finish(&mut self, operation: &Operation, end: i64) {
        let id = operation.resource.clone();
        // One that is gone and still listed gives way to a new one of its name.
        let there = self.endpoints.get_mut(&id).filter(|known| !known.visibility.is_gone());
        let Some(endpoint) = there.filter(|_| operation.kind == "endpoints") else {
            match &operation.work {
                Work::Upload(form) => {
                    let (form, visibility) = (form.clone(), operation.visibility.clone());
                    self.models.insert(id, Model { form, created: operation.began, visibility });
                }
                Work::CreateEndpoint(form) => drop(self.endpoints.insert(id, operation.endpoint(form, end))),
                Work::DeleteModel => drop(self.models.remove(&id)),
                _ => {}
            }
            return;
        };
        endpoint.updated = end;
        match &operation.work {
            Work::Deploy(form) => {
                let deployed = operation.deployed(form, end);
                if let Some(split) = forms::split(form) {
                    let new = |id: &String| if id == "0" { deployed.id.clone() } else { id.clone() };
                    endpoint.traffic = split.iter().map(|(id, percent)| (new(id), *percent)).collect();
                }
                endpoint.deployed.push(deployed);
            }
            Work::Mutate(form) => {
                let wanted = &form["deployedModel"];
                for deployed in endpoint.deployed.iter_mut().filter(|known| wanted["id"] == known.id.as_str()) {
                    self.billed += deployed.bill(end);
                    for member in ["minReplicaCount", "maxReplicaCount"] {
                        deployed.form["dedicatedResources"][member] = wanted["dedicatedResources"][member].clone();
                    }
                }
            }
            Work::Undeploy(id) => {
                for deployed in endpoint.deployed.iter_mut().filter(|known| known.id == *id) {
                    self.billed += deployed.bill(end);
                }
                endpoint.deployed.retain(|known| known.id != *id);
                endpoint.traffic.remove(id);
            }
            Work::DeleteEndpoint => endpoint.visibility.gone(end),
            Work::Upload(_) | Work::CreateEndpoint(_) | Work::DeleteModel => {}
        }
    }

    fn begin(&mut self, mut operation: Operation, at: VertexAt<'_>) -> Value {
        operation.number = 7_000_000_000_000_000_001 + self.operations.len() as u64;
        let shown = operation.shown(at.parent);
        self.operations.push(operation);
        shown
    }

    fn is_coming(&self, kind: &str, id: &str) -> bool {
        let makes = |work: &Work| matches!(work, Work::Upload(_) | Work::CreateEndpoint(_));
        self.operations
            .iter()
            .any(|known| known.is_running() && known.kind == kind && known.resource == id && makes(&known.work))
    }

    /// The operation that changes an endpoint at present.
    fn change(&self, id: &str) -> Option<&Operation> {
        let of_it = |known: &&Operation| known.kind == "endpoints" && known.resource == id;
        self.operations.iter().filter(of_it).find(|known| known.is_running() && known.work.is_change())
    }

    pub fn upload(&mut self, body: &Value, at: VertexAt<'_>) -> Answer {
        let id = body["modelId"].as_str().unwrap_or_default().to_owned();
        forms::model(&id, &body["model"])?;
        if self.models.get(&id).is_some_and(|model| !model.visibility.is_gone()) || self.is_coming("models", &id) {
            return Err(VertexFault::taken(&at.name("models", &id)));
        }
        let work = Work::Upload(body["model"].clone());
        let seconds = at.settings.uploading_seconds;
        Ok(self.begin(Operation::new("models", &id, work, seconds, at.fate, at.now), at))
    }

    pub fn create(&mut self, id: &str, form: &Value, at: VertexAt<'_>) -> Answer {
        forms::endpoint(id, form)?;
        if self.endpoints.get(id).is_some_and(|known| !known.visibility.is_gone()) || self.is_coming("endpoints", id) {
            return Err(VertexFault::taken(&at.name("endpoints", id)));
        }
        let seconds = at.settings.creating_seconds;
        let work = Work::CreateEndpoint(form.clone());
        Ok(self.begin(Operation::new("endpoints", id, work, seconds, at.fate, at.now), at))
    }

    fn find(&mut self, id: &str, at: VertexAt<'_>) -> Result<&mut VertexEndpoint, VertexFault> {
        let found = self.endpoints.get_mut(id).filter(|known| known.visibility.is_read(at.now));
        found.ok_or_else(|| VertexFault::missing(&at.name("endpoints", id)))
    }

    pub fn get(&mut self, id: &str, at: VertexAt<'_>) -> Answer {
        Ok(self.find(id, at)?.shown(&at.name("endpoints", id)))
    }

    /// Changes labels and display name at once ([`rules::PATCH`]).
    pub fn patch(&mut self, id: &str, mask: &str, body: &Value, at: VertexAt<'_>) -> Answer {
        forms::labels(&body["labels"])?;
        let endpoint = self.find(id, at)?;
        for field in mask.split(',') {
            let member = match field {
                "labels" => "labels",
                "displayName" | "display_name" => "displayName",
                _ => return Err(VertexFault::invalid(&rules::PATCH, format!("the mask {field} is not played"))),
            };
            endpoint.form[member] = body[member].clone();
        }
        endpoint.updated = at.now;
        self.get(id, at)
    }

    /// Refuses a second change at a time ([`rules::ONE_CHANGE`]).
    fn is_free(&self, id: &str, at: VertexAt<'_>) -> Result<(), VertexFault> {
        let Some(operation) = self.change(id) else { return Ok(()) };
        let name = at.name("endpoints", id);
        let message = format!("The endpoint {name} has another operation in progress: {}.", operation.number);
        Err(VertexFault::precondition(&rules::ONE_CHANGE, message))
    }

    pub fn deploy(&mut self, id: &str, body: &Value, at: VertexAt<'_>) -> Answer {
        let mut body = body.clone();
        let wanted = body["deployedModel"].clone();
        forms::deployment(&wanted, at.settings)?;
        let endpoint = self.find(id, at)?.clone();
        self.is_free(id, at)?;
        if endpoint.deployed.iter().any(|known| wanted["id"] == known.id.as_str()) {
            return Err(VertexFault::taken(&format!("{}/deployedModels/{}", at.name("endpoints", id), wanted["id"])));
        }
        forms::traffic(&body, &endpoint, true)?;
        let model = last(wanted["model"].as_str().unwrap_or_default()).to_owned();
        let known = self.models.get(&model).filter(|known| known.visibility.is_read(at.now));
        let known = known.ok_or_else(|| VertexFault::missing(&at.name("models", &model)))?;
        if known.form["containerSpec"]["invokeRoutePrefix"] == "/*" && !endpoint.is_dedicated() {
            let message = "A model with invokeRoutePrefix can only be deployed to a dedicated endpoint.";
            return Err(VertexFault::invalid(&rules::INVOKE, message));
        }
        self.quota(&wanted, "", at)?;
        body["deployedModel"]["model"] = json!(at.name("models", &model));
        if wanted["id"].as_str().is_none_or(str::is_empty) {
            body["deployedModel"]["id"] = json!((5_000_000_000 + self.operations.len()).to_string());
        }
        let fate = self.fate(&wanted, at);
        let operation =
            Operation::new("endpoints", id, Work::Deploy(body), at.settings.deploying_seconds, &fate, at.now);
        Ok(self.begin(operation, at))
    }

    pub fn mutate(&mut self, id: &str, body: &Value, at: VertexAt<'_>) -> Answer {
        let wanted = &body["deployedModel"];
        forms::replicas(&wanted["dedicatedResources"])?;
        let deployed = self.deployed(id, wanted["id"].as_str().unwrap_or_default(), at)?;
        self.is_free(id, at)?;
        let mut all = deployed.clone();
        all["dedicatedResources"]["maxReplicaCount"] = wanted["dedicatedResources"]["maxReplicaCount"].clone();
        self.quota(&all, deployed["id"].as_str().unwrap_or_default(), at)?;
        let seconds = at.settings.mutating_seconds;
        let work = Work::Mutate(body.clone());
        Ok(self.begin(Operation::new("endpoints", id, work, seconds, at.fate, at.now), at))
    }

    pub fn undeploy(&mut self, id: &str, body: &Value, at: VertexAt<'_>) -> Answer {
        let deployed = body["deployedModelId"].as_str().unwrap_or_default().to_owned();
        self.deployed(id, &deployed, at)?;
        self.is_free(id, at)?;
        let endpoint = self.find(id, at)?;
        let has_traffic = endpoint.traffic.get(&deployed).is_some_and(|percent| *percent > 0);
        if endpoint.deployed.len() > 1 && has_traffic && forms::split(body).is_none() {
            let message = format!("The deployed model {deployed} has traffic; give another trafficSplit.");
            return Err(VertexFault::precondition(&rules::TRAFFIC_SPLIT, message));
        }
        if let Some(split) = forms::split(body) {
            forms::traffic(body, endpoint, false)?;
            endpoint.traffic = split;
        }
        let seconds = at.settings.undeploying_seconds;
        let work = Work::Undeploy(deployed);
        Ok(self.begin(Operation::new("endpoints", id, work, seconds, at.fate, at.now), at))
    }

    /// The form of a deployed model, with its id.
    fn deployed(&mut self, endpoint: &str, id: &str, at: VertexAt<'_>) -> Answer {
        let found = self.find(endpoint, at)?.deployed.iter().find(|known| known.id == id);
        let missing = || VertexFault::missing(&format!("{}/deployedModels/{id}", at.name("endpoints", endpoint)));
        found.map(|known| known.form.clone()).ok_or_else(missing)
    }

    /// Deletes an endpoint that is empty ([`rules::NOT_EMPTY`], [`rules::DEPLOYING_IS_NOT_EMPTY`]).
    pub fn delete(&mut self, id: &str, at: VertexAt<'_>) -> Answer {
        let deploying = self.change(id).is_some();
        let endpoint = self.find(id, at)?;
        let rule = if deploying { &rules::DEPLOYING_IS_NOT_EMPTY } else { &rules::NOT_EMPTY };
        if deploying || !endpoint.deployed.is_empty() {
            let ids: Vec<&str> = endpoint.deployed.iter().map(|known| known.id.as_str()).collect();
            let message = format!(
                "The Endpoint {} is not empty. Models deployed or being deployed: {}.",
                at.name("endpoints", id),
                ids.join(", ")
            );
            return Err(VertexFault::precondition(rule, message));
        }
        endpoint.visibility.linger(at.fate);
        let seconds = at.settings.deleting_seconds;
        Ok(self.begin(Operation::new("endpoints", id, Work::DeleteEndpoint, seconds, at.fate, at.now), at))
    }

    pub fn model(&self, id: &str, at: VertexAt<'_>) -> Answer {
        let found = self.models.get(id).filter(|known| known.visibility.is_read(at.now));
        let found = found.ok_or_else(|| VertexFault::missing(&at.name("models", id)))?;
        Ok(shown_model(&at.name("models", id), found))
    }

    pub fn delete_model(&mut self, id: &str, at: VertexAt<'_>) -> Answer {
        self.model(id, at)?;
        let uses = |endpoint: &VertexEndpoint| endpoint.deployed.iter().any(|known| known.model() == id);
        let holder = self.endpoints.iter().find(|(_, endpoint)| uses(endpoint));
        if let Some((holder, _)) = holder {
            let message = format!("The Model {} is deployed at {holder}.", at.name("models", id));
            return Err(VertexFault::precondition(&rules::NOT_EMPTY, message));
        }
        let seconds = at.settings.deleting_seconds;
        Ok(self.begin(Operation::new("models", id, Work::DeleteModel, seconds, at.fate, at.now), at))
    }

    pub fn list(&self, query: &BTreeMap<String, String>, at: VertexAt<'_>) -> Value {
        let listed = self.endpoints.iter().filter(|(_, known)| known.visibility.is_listed(at.now));
        let labelled = listed.map(|one| (one, &one.1.form["labels"]));
        paged("endpoints", labelled, query, |(id, known)| known.shown(&at.name("endpoints", id)))
    }

    pub fn list_models(&self, query: &BTreeMap<String, String>, at: VertexAt<'_>) -> Value {
        let listed = self.models.iter().filter(|(_, known)| known.visibility.is_listed(at.now));
        let labelled = listed.map(|one| (one, &one.1.form["labels"]));
        paged("models", labelled, query, |(id, known)| shown_model(&at.name("models", id), known))
    }

    /// The operations of a resource.
    pub fn operations(&self, kind: &str, id: &str, query: &BTreeMap<String, String>, at: VertexAt<'_>) -> Value {
        let of_it = self.operations.iter().filter(|known| known.kind == kind && known.resource == id);
        paged("operations", of_it.map(|known| (known, &Value::Null)), query, |known| known.shown(at.parent))
    }

    pub fn operation(&self, number: &str, at: VertexAt<'_>) -> Answer {
        let found = self.operations.iter().find(|known| known.number.to_string() == number);
        found.map(|known| known.shown(at.parent)).ok_or_else(|| VertexFault::missing(&at.name("operations", number)))
    }

    /// Accelerators that a deployment asks for at most.
    fn accelerators(form: &Value) -> u32 {
        let resources = &form["dedicatedResources"];
        count(&resources["maxReplicaCount"]) * count(&resources["machineSpec"]["acceleratorCount"])
    }

    fn deployments(&self) -> impl Iterator<Item = &Value> {
        let deployed = self.endpoints.values().flat_map(|endpoint| endpoint.deployed.iter().map(|known| &known.form));
        let coming = self.operations.iter().filter(|known| known.is_running()).filter_map(|known| match &known.work {
            Work::Deploy(form) => Some(&form["deployedModel"]),
            _ => None,
        });
        deployed.chain(coming)
    }

    /// Refuses what is beyond the quota ([`rules::QUOTA`]); `without` is the id of a deployed model that does not count.
    fn quota(&self, wanted: &Value, without: &str, at: VertexAt<'_>) -> Result<(), VertexFault> {
        let kind = |form: &Value| forms::accelerator(&form["dedicatedResources"]["machineSpec"]).to_owned();
        let others = self.deployments().filter(|form| kind(form) == kind(wanted) && form["id"] != without);
        let used: u32 = others.map(Self::accelerators).sum();
        let kind = kind(wanted);
        let quota = at.settings.quotas.get(&kind).copied().unwrap_or(at.settings.quota);
        if used + Self::accelerators(wanted) <= quota {
            return Ok(());
        }
        let metric = format!("custom_model_serving_{}_gpus", kind.to_lowercase());
        let message = format!("The following quota metrics exceed quota limits: aiplatform.googleapis.com/{metric}");
        Err(VertexFault::new(429, "RESOURCE_EXHAUSTED", &rules::QUOTA, message))
    }

    /// The script's fate, or that of a deployment for which there are no machines.
    fn fate(&self, wanted: &Value, at: VertexAt<'_>) -> Fate {
        let machine = |form: &Value| form["dedicatedResources"]["machineSpec"]["machineType"].clone();
        let replicas = |form: &Value| count(&form["dedicatedResources"]["minReplicaCount"]);
        let used: u32 = self.deployments().filter(|form| machine(form) == machine(wanted)).map(replicas).sum();
        let machines = at.settings.machines.get(machine(wanted).as_str().unwrap_or_default());
        let lacking = machines.is_some_and(|machines| used + replicas(wanted) > *machines);
        let fails = Some((at.settings.capacity_seconds, NO_MACHINES.to_owned(), AfterFailure::Failed));
        if lacking && at.fate.fails.is_none() { Fate { fails, ..at.fate.clone() } } else { at.fate.clone() }
    }

    /// The true state, for tests ([`rules::BILLED`]).
    pub fn state(&mut self, parent: &str, now: i64) -> Value {
        self.settle(now);
        for deployed in self.endpoints.values_mut().flat_map(|endpoint| endpoint.deployed.iter_mut()) {
            self.billed += deployed.bill(now);
        }
        let shown = |(id, endpoint): (&String, &VertexEndpoint)| {
            let deployed = endpoint.deployed.iter();
            let deployed: Value = deployed
                .map(|known| json!({"id": known.id, "model": known.model(), "replicas": known.replicas()}))
                .collect();
            json!({"name": id, "labels": endpoint.form["labels"], "deployed": deployed, "traffic": endpoint.traffic})
        };
        let exist = self.endpoints.iter().filter(|(_, endpoint)| !endpoint.visibility.is_gone());
        let endpoints: Vec<Value> = exist.map(shown).collect();
        let models: Vec<&String> = self.models.keys().collect();
        let running = self.operations.iter().filter(|known| known.is_running()).count();
        json!({"location": parent, "endpoints": endpoints, "models": models, "running": running,
               "billedReplicaSeconds": self.billed / 1000})
    }
}

fn shown_model(name: &str, model: &Model) -> Value {
    let mut shown = model.form.clone();
    shown["name"] = json!(name);
    shown["createTime"] = json!(rfc3339(model.created));
    shown["updateTime"] = json!(rfc3339(model.created));
    shown["versionId"] = json!("1");
    shown["versionAliases"] = json!(["default"]);
    shown["supportedDeploymentResourcesTypes"] = json!(["DEDICATED_RESOURCES"]);
    shown
}

/// One page of a list ([`rules::LIST`]) of things with their labels. Only what the page has is rendered: lists are long.
fn paged<'a, T>(
    member: &str,
    all: impl Iterator<Item = (T, &'a Value)>,
    query: &BTreeMap<String, String>,
    shown: impl Fn(T) -> Value,
) -> Value {
    let filter = forms::filter(query.get("filter").map(String::as_str).unwrap_or_default());
    let matching: Vec<T> = all.filter(|(_, labels)| filter.matches(labels)).map(|(item, _)| item).collect();
    let asked = query.get("pageSize").and_then(|size| size.parse().ok()).filter(|size| *size > 0);
    let size = asked.unwrap_or(PAGE_ITEMS).min(PAGE_ITEMS);
    let (items, next) = page(matching, query.get("pageToken").map(String::as_str), size);
    let mut list = json!({});
    if !items.is_empty() {
        list[member] = items.into_iter().map(shown).collect();
    }
    if let Some(next) = next {
        list["nextPageToken"] = json!(next);
    }
    list
}
