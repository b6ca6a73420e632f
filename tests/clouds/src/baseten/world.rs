//! The true state of every team, and the operations on it. Time is an argument.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::deployment::{Deployment, Start, State};
use super::rules;
use super::settings::{BasetenInstance, BasetenSettings};
use super::upload::Uploads;
use crate::clock::rfc3339;
use crate::faults::{AfterFailure, Fate};
use crate::kept::Visibility;
use crate::rules::Rule;

const NO_MACHINES: &str = "Unable to schedule the deployment: insufficient capacity for the requested instance type";

/// A refusal of the management API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasetenFault {
    pub status: StatusCode,
    pub message: String,
    pub rule: &'static Rule,
}

fn bad(rule: &'static Rule, message: impl Into<String>) -> BasetenFault {
    BasetenFault { status: StatusCode::BAD_REQUEST, message: message.into(), rule }
}

pub fn missing(what: &str) -> BasetenFault {
    BasetenFault { status: StatusCode::NOT_FOUND, message: format!("{what} not found"), rule: &rules::NOT_FOUND }
}

/// A model with its deployments, oldest first.
#[derive(Debug, Clone)]
pub struct Model {
    pub id: String,
    pub name: String,
    pub team: String,
    created: i64,
    pub deployments: Vec<Deployment>,
    /// Id of the deployment that production uses.
    production: Option<String>,
    visibility: Visibility,
}

impl Model {
    /// The deployment that takes the traffic of production, if it is active.
    pub fn serving(&self) -> Option<&Deployment> {
        let production = self.deployments.iter().find(|one| Some(&one.id) == self.production.as_ref())?;
        (production.state == State::Active).then_some(production)
    }

    /// Ends what has ended; an active deployment for production takes over from an older one ([`rules::PRODUCTION`]).
    fn settle(&mut self, now: i64) {
        for deployment in &mut self.deployments {
            deployment.settle(now);
        }
        let active = |one: &&Deployment| one.is_for_production() && one.state == State::Active;
        let Some(newest) = self.deployments.iter().rfind(active).map(|one| one.id.clone()) else { return };
        if self.production.as_ref() == Some(&newest) {
            return;
        }
        let former = self.production.replace(newest);
        let former = self.deployments.iter_mut().find(|one| Some(&one.id) == former.as_ref());
        if let Some(former) = former.filter(|former| former.state == State::Active) {
            former.become_(State::AtZero, now);
        }
    }

    fn shown(&self, settings: &BasetenSettings) -> Value {
        let team = settings.teams.iter().find(|(id, _)| *id == self.team).map(|(_, name)| name.as_str());
        let instance = self.deployments.last().map(|one| one.instance.as_str());
        json!({
            "id": self.id, "created_at": rfc3339(self.created), "name": self.name,
            "deployments_count": self.deployments.len(), "production_deployment_id": self.production,
            "development_deployment_id": null, "instance_type_name": instance.unwrap_or_default(),
            "team_name": team.unwrap_or_default(),
        })
    }

    fn shown_deployment(&self, deployment: &Deployment, at: BasetenAt<'_>) -> Value {
        let is_production = Some(&deployment.id) == self.production.as_ref();
        deployment.shown(&self.id, at.fate.status.as_deref(), is_production, at.now)
    }
}

/// Circumstances of one operation.
#[derive(Debug, Clone, Copy)]
pub struct BasetenAt<'a> {
    pub team: &'a str,
    pub fate: &'a Fate,
    pub now: i64,
}

/// All teams.
#[derive(Debug, Default)]
pub struct BasetenWorld {
    pub settings: BasetenSettings,
    pub models: BTreeMap<String, Model>,
    pub uploads: Uploads,
    pub issued: super::keys::Issued,
    made: u64,
    /// Replica-milliseconds of deployments that are gone.
    billed: i64,
}

type Answer = Result<Value, BasetenFault>;

impl BasetenWorld {
    pub fn new(settings: BasetenSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Ends what has ended everywhere.
    pub fn settle(&mut self, now: i64) {
        for model in self.models.values_mut().filter(|model| !model.visibility.is_gone()) {
            model.settle(now);
        }
        self.models.retain(|_, model| !model.visibility.is_over(now));
    }

    fn next_id(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}{:07}", self.made)
    }

    pub fn list(&self, at: BasetenAt<'_>) -> Value {
        let listed = self.models.values().filter(|model| model.team == at.team && model.visibility.is_listed(at.now));
        let models: Vec<Value> = listed.map(|model| model.shown(&self.settings)).collect();
        json!({"models": models})
    }

    fn find(&mut self, id: &str, at: BasetenAt<'_>) -> Result<&mut Model, BasetenFault> {
        let found = self.models.get_mut(id).filter(|model| model.team == at.team && model.visibility.is_read(at.now));
        found.ok_or_else(|| missing(&format!("model {id}")))
    }

    /// # Errors
    /// The service's refusal.
    pub fn model(&mut self, id: &str, at: BasetenAt<'_>) -> Answer {
        let model = self.find(id, at)?.clone();
        Ok(model.shown(&self.settings))
    }

    /// # Errors
    /// The service's refusal.
    pub fn deployments(&mut self, id: &str, at: BasetenAt<'_>) -> Answer {
        let model = self.find(id, at)?;
        let listed = model.deployments.iter().filter(|one| one.visibility.is_listed(at.now));
        let shown: Vec<Value> = listed.map(|one| model.shown_deployment(one, at)).collect();
        Ok(json!({"deployments": shown}))
    }

    fn deployment(&mut self, model: &str, id: &str, at: BasetenAt<'_>) -> Result<&mut Deployment, BasetenFault> {
        let found = self.find(model, at)?.deployments.iter_mut().find(|one| one.id == id);
        found.ok_or_else(|| missing(&format!("deployment {id}")))
    }

    /// Checks a creation before its upload ([`rules::PREPARE`]).
    ///
    /// # Errors
    /// The service's refusal.
    pub fn prepare(&mut self, body: &Value, at: BasetenAt<'_>) -> Answer {
        self.check(&body["deployment"])?;
        match (body["name"].as_str(), body["model_id"].as_str()) {
            (Some(name), None) => self.name(name, at)?,
            (None, Some(model)) => drop(self.find(model, at)?),
            _ => return Err(bad(&rules::BODY, "exactly one of name and model_id is required")),
        }
        Ok(self.uploads.prepare(at.now))
    }

    fn name(&self, name: &str, at: BasetenAt<'_>) -> Result<(), BasetenFault> {
        if name.is_empty() {
            return Err(bad(&rules::BODY, "name: must not be empty"));
        }
        let same = |model: &&Model| model.team == at.team && model.name == name && !model.visibility.is_gone();
        match self.models.values().find(same) {
            Some(_) => {
                Err(bad(&rules::NAME_TAKEN, format!("a model with the name {name} already exists in this team")))
            }
            None => Ok(()),
        }
    }

    /// # Errors
    /// The service's refusal.
    pub fn create(&mut self, body: &Value, at: BasetenAt<'_>) -> Answer {
        let source = &body["source"];
        let name = source["name"].as_str().unwrap_or_default().to_owned();
        self.source(source)?;
        self.name(&name, at)?;
        let id = self.next_id("m");
        let (model, deployment) = self.keep(id, name, source["deployment"].clone(), false, at)?;
        Ok(json!({"model": model, "deployment": deployment}))
    }

    /// Keeps a new model.
    ///
    /// # Errors
    /// The service's refusal.
    pub fn keep(
        &mut self,
        id: String,
        name: String,
        payload: Value,
        is_built: bool,
        at: BasetenAt<'_>,
    ) -> Result<(Value, Value), BasetenFault> {
        let deployment = self.new_deployment(payload, is_built, at)?;
        let production = deployment.is_for_production().then(|| deployment.id.clone());
        let (deployments, visibility) = (vec![deployment], Visibility::new(at.fate, at.now));
        let team = at.team.to_owned();
        let model = Model { id: id.clone(), name, team, created: at.now, deployments, production, visibility };
        let shown = (model.shown(&self.settings), model.shown_deployment(&model.deployments[0], at));
        self.models.insert(id, model);
        Ok(shown)
    }

    /// # Errors
    /// The service's refusal.
    pub fn deploy(&mut self, model: &str, body: &Value, at: BasetenAt<'_>) -> Answer {
        self.find(model, at)?;
        self.source(&body["source"])?;
        let deployment = self.new_deployment(body["source"]["deployment"].clone(), false, at)?;
        let found = self.find(model, at)?;
        found.deployments.push(deployment.clone());
        let found = found.clone();
        Ok(json!({"model": found.shown(&self.settings), "deployment": found.shown_deployment(&deployment, at)}))
    }

    fn new_deployment(
        &mut self,
        payload: Value,
        is_built: bool,
        at: BasetenAt<'_>,
    ) -> Result<Deployment, BasetenFault> {
        let instance = self.instance(&payload)?.id.clone();
        let replicas = payload["autoscaling_settings"]["min_replica"].as_u64().unwrap_or(0);
        let fate = self.fate(&payload, &instance, u32::try_from(replicas).unwrap_or(u32::MAX), at.fate);
        let start = Start::new(&self.settings, &fate, is_built, at.now);
        let mut deployment = Deployment::new(self.next_id("d"), payload, instance, start, at.now);
        deployment.visibility = Visibility::new(at.fate, at.now);
        Ok(deployment)
    }

    /// Refuses an incomplete source.
    fn source(&self, source: &Value) -> Result<(), BasetenFault> {
        // The vendor's client leaves out what is the default.
        if source["kind"].as_str().is_some_and(|kind| kind != "model_archive") {
            return Err(bad(&rules::BODY, "source.kind: expected model_archive"));
        }
        if !source["s3_key"].as_str().is_some_and(|key| self.uploads.has(key)) {
            return Err(bad(&rules::UPLOAD, "source.s3_key: no archive was uploaded there"));
        }
        self.check(&source["deployment"])
    }

    /// Refuses an incomplete payload ([`rules::BODY`], [`rules::REGION`], [`rules::INSTANCE`]).
    fn check(&self, payload: &Value) -> Result<(), BasetenFault> {
        let text = |path: &str| payload.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let required = [
            "/config/base_image/image",
            "/config/docker_server/start_command",
            "/config/docker_server/predict_endpoint",
            "/config/docker_server/readiness_endpoint",
            "/config/docker_server/liveness_endpoint",
        ];
        if let Some(lacking) = required.iter().find(|path| text(path).is_empty()) {
            let path = lacking.trim_start_matches('/').replace('/', ".");
            return Err(bad(&rules::BODY, format!("{path}: field required")));
        }
        if payload["config"]["docker_server"]["server_port"].as_u64().is_none() {
            return Err(bad(&rules::BODY, "config.docker_server.server_port: field required"));
        }
        let region = text("/region");
        if !region.is_empty() && !self.settings.regions.iter().any(|known| known == region) {
            return Err(bad(&rules::REGION, format!("region {region} is not available to this team")));
        }
        self.instance(payload).map(drop)
    }

    fn instance(&self, payload: &Value) -> Result<&BasetenInstance, BasetenFault> {
        let id = payload["instance_type_id"].as_str().unwrap_or_default();
        let found = self.settings.instances.iter().find(|one| one.id == id);
        found.ok_or_else(|| bad(&rules::INSTANCE, format!("instance type {id:?} does not exist")))
    }

    /// The script's fate, or that of a start that cannot be ([`rules::CAPACITY`], [`rules::PORT`]).
    fn fate(&self, payload: &Value, instance: &str, replicas: u32, scripted: &Fate) -> Fate {
        if scripted.fails.is_some() {
            return scripted.clone();
        }
        let all = self.models.values().filter(|model| !model.visibility.is_gone()).flat_map(|model| &model.deployments);
        let used: u32 = all.filter(|one| one.instance == instance).map(Deployment::wanted).sum();
        let lacks = self.settings.machines.get(instance).is_some_and(|machines| used + replicas > *machines);
        let fails = if lacks {
            Some((self.settings.capacity_seconds, NO_MACHINES))
        } else if payload["config"]["docker_server"]["server_port"] == 8080 {
            Some((self.settings.building_seconds, "[Errno 98] address already in use"))
        } else {
            None
        };
        let fails = fails.map(|(seconds, text)| (seconds, text.to_owned(), AfterFailure::Failed));
        Fate { fails, ..scripted.clone() }
    }

    /// # Errors
    /// The service's refusal.
    pub fn scale(&mut self, model: &str, id: &str, body: &Value, at: BasetenAt<'_>) -> Answer {
        let seconds = self.settings.loading_seconds;
        let deployment = self.deployment(model, id, at)?;
        let wanted = |member: &str, former: u32| {
            body[member].as_u64().map_or(former, |count| u32::try_from(count).unwrap_or(u32::MAX))
        };
        let (min, max) = (wanted("min_replica", deployment.min_replica), wanted("max_replica", deployment.max_replica));
        if min > max {
            return Err(bad(&rules::SCALE, "min_replica is greater than max_replica"));
        }
        let status = if deployment.scale(min, max, seconds, at.now) { "ACCEPTED" } else { "UNCHANGED" };
        Ok(json!({"status": status, "message": "the settings were received"}))
    }

    /// # Errors
    /// The service's refusal.
    pub fn deactivate(&mut self, model: &str, id: &str, at: BasetenAt<'_>) -> Answer {
        self.deployment(model, id, at)?.become_(State::Inactive, at.now);
        Ok(json!({"success": true}))
    }

    /// # Errors
    /// The service's refusal.
    pub fn activate(&mut self, model: &str, id: &str, at: BasetenAt<'_>) -> Answer {
        let start = Start::new(&self.settings, at.fate, true, at.now);
        let deployment = self.deployment(model, id, at)?;
        if matches!(deployment.state, State::Inactive | State::AtZero | State::Failed(_)) {
            deployment.become_(State::Starting(start), at.now);
        }
        Ok(json!({"success": true}))
    }

    /// Puts every active deployment to zero; returns their number.
    pub fn put_to_zero(&mut self, now: i64) -> usize {
        self.settle(now);
        let mut count = 0;
        let all = self.models.values_mut().flat_map(|model| &mut model.deployments);
        for deployment in all.filter(|one| one.state == State::Active) {
            deployment.become_(State::AtZero, now);
            count += 1;
        }
        count
    }

    /// Wakes every deployment at zero that production uses.
    pub fn wake(&mut self, now: i64) {
        let start = Start::new(&self.settings, &Fate::default(), true, now);
        for model in self.models.values_mut() {
            let used = model.production.as_ref();
            let at_zero = |one: &&mut Deployment| Some(&one.id) == used && one.state == State::AtZero;
            for deployment in model.deployments.iter_mut().filter(at_zero) {
                deployment.become_(State::Starting(start.clone()), now);
            }
        }
    }

    /// # Errors
    /// The service's refusal.
    pub fn delete_deployment(&mut self, model: &str, id: &str, at: BasetenAt<'_>) -> Answer {
        self.deployment(model, id, at)?;
        let found = self.find(model, at)?;
        if found.production.as_deref() == Some(id) {
            return Err(bad(&rules::DELETE_DEPLOYMENT, format!("deployment {id} is the one of production")));
        }
        if !at.fate.stuck {
            let billed: i64 =
                found.deployments.extract_if(.., |one| one.id == id).map(|mut one| one.billed_until(at.now)).sum();
            self.billed += billed;
        }
        Ok(json!({"id": id, "deleted": true, "model_id": model}))
    }

    /// Deletes a model ([`rules::DELETED`]).
    ///
    /// # Errors
    /// The service's refusal.
    pub fn delete(&mut self, id: &str, at: BasetenAt<'_>) -> Answer {
        let model = self.find(id, at)?;
        // A deletion that hangs is accepted, and changes nothing.
        if !at.fate.stuck {
            let billed: i64 = model.deployments.iter_mut().map(|one| one.billed_until(at.now)).sum();
            model.visibility.linger(at.fate);
            model.visibility.gone(at.now);
            self.billed += billed;
            self.settle(at.now);
        }
        Ok(json!({"id": id, "deleted": true}))
    }

    /// # Errors
    /// The service's refusal.
    pub fn config(&mut self, model: &str, id: &str, at: BasetenAt<'_>) -> Answer {
        let config = self.deployment(model, id, at)?.payload["config"].clone();
        Ok(json!({"config": config, "raw_config": null}))
    }

    /// # Errors
    /// The service's refusal.
    pub fn logs(&mut self, model: &str, id: &str, at: BasetenAt<'_>) -> Answer {
        Ok(self.deployment(model, id, at)?.logs())
    }

    /// Every instance type with its price ([`rules::PRICES`]).
    pub fn prices(&self) -> Value {
        let price = |one: &BasetenInstance| json!({"instance_type": one.shown(), "price": one.price_per_minute});
        json!({"instance_types": self.settings.instances.iter().map(price).collect::<Vec<_>>()})
    }

    /// The true state, for tests.
    pub fn state(&mut self, now: i64) -> Value {
        self.settle(now);
        let (mut billed, mut models) = (self.billed, Vec::new());
        for model in self.models.values_mut().filter(|model| !model.visibility.is_gone()) {
            billed += model.deployments.iter_mut().map(|one| one.billed_until(now)).sum::<i64>();
            let deployment = |one: &Deployment| json!({"id": one.id, "status": one.status(now), "billedReplicas": one.billed_replicas(now)});
            let deployments: Vec<Value> = model.deployments.iter().map(deployment).collect();
            models.push(json!({"id": model.id, "team": model.team, "name": model.name, "deployments": deployments}));
        }
        json!({"models": models, "billedReplicaSeconds": billed / 1000,
               "keys": self.issued.keys.len(), "secrets": self.issued.secrets.keys().map(|(_, name)| name).collect::<Vec<_>>()})
    }
}
