//! The true state of every team, and the operations on it. Time is an argument.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::document;
use super::instance::{Instance, InstanceToken, Phase};
use super::rules;
use super::settings::DigitalOceanSettings;
use crate::faults::{AfterFailure, Fate};
use crate::rules::Rule;

/// Tokens for providers that an update may have.
const TOKENS_OF_UPDATE: &[&str] = &["hugging_face_token"];

/// A refusal: status, id and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OceanFault {
    pub status: StatusCode,
    pub message: String,
    pub rule: &'static Rule,
}

fn unprocessable(rule: &'static Rule, message: impl Into<String>) -> OceanFault {
    OceanFault { status: StatusCode::UNPROCESSABLE_ENTITY, message: message.into(), rule }
}

pub fn missing() -> OceanFault {
    let message = "The resource you requested could not be found.".to_owned();
    OceanFault { status: StatusCode::NOT_FOUND, message, rule: &rules::NOT_FOUND }
}

/// Circumstances of one operation.
#[derive(Debug, Clone, Copy)]
pub struct OceanAt<'a> {
    pub team: &'a str,
    pub fate: &'a Fate,
    pub now: i64,
}

/// All teams.
#[derive(Debug)]
pub struct OceanWorld {
    pub settings: DigitalOceanSettings,
    pub instances: BTreeMap<String, Instance>,
    base: String,
    made: u64,
    /// GPU-instance-milliseconds of instances that are gone.
    billed: i64,
}

type Answer = Result<Value, OceanFault>;

impl OceanWorld {
    pub fn new(settings: DigitalOceanSettings, base: &str) -> Self {
        Self { settings, instances: BTreeMap::new(), base: base.to_owned(), made: 0, billed: 0 }
    }

    /// Ends what has ended everywhere.
    pub fn settle(&mut self, now: i64) {
        for instance in self.instances.values_mut() {
            instance.settle(now);
        }
        let over = |_: &String, instance: &mut Instance| instance.visibility.is_over(now);
        let gone: Vec<Instance> = self.instances.extract_if(.., over).map(|(_, instance)| instance).collect();
        self.billed += gone.into_iter().map(|mut instance| instance.billed_until(now)).sum::<i64>();
    }

    fn uuid(&mut self) -> String {
        self.made += 1;
        format!("00000000-0000-4000-8000-{:012}", self.made)
    }

    fn find(&mut self, id: &str, at: OceanAt<'_>) -> Result<&mut Instance, OceanFault> {
        let found = self.instances.get_mut(id);
        found.filter(|one| one.team == at.team && one.visibility.is_read(at.now)).ok_or_else(missing)
    }

    fn shown(&self, instance: &Instance, at: OceanAt<'_>) -> Value {
        instance.shown(&self.base, at.fate.status.as_deref(), at.now)
    }

    /// # Errors
    /// The service's refusal.
    pub fn get(&mut self, id: &str, at: OceanAt<'_>) -> Answer {
        let instance = self.find(id, at)?.clone();
        Ok(json!({"dedicated_inference": self.shown(&instance, at)}))
    }

    /// A page of the list ([`rules::PAGES`]).
    ///
    /// # Errors
    /// The service's refusal.
    pub fn list(&self, query: &BTreeMap<String, String>, at: OceanAt<'_>) -> Answer {
        let region = query.get("region");
        if region.is_some_and(|region| !document::is_region(region)) {
            return Err(unprocessable(&rules::PAGES, "region: has no dedicated inference"));
        }
        let mine = |one: &&Instance| {
            one.team == at.team
                && one.visibility.is_listed(at.now)
                && region.is_none_or(|region| one.spec["region"] == **region)
        };
        let all = self.instances.values().filter(mine).map(|one| self.shown(one, at)).collect();
        self.paged("dedicated_inferences", "dedicated-inferences", all, query)
    }

    /// A page of what is at a path, under its name ([`rules::PAGES`]).
    fn paged(&self, name: &str, path: &str, all: Vec<Value>, query: &BTreeMap<String, String>) -> Answer {
        let (page, size) = document::page(query).map_err(|fault| unprocessable(&rules::PAGES, fault))?;
        let (total, before) = (all.len(), (page - 1).saturating_mul(size));
        let shown: Vec<Value> = all.into_iter().skip(before).take(size).collect();
        let mut pages = serde_json::Map::new();
        if before.saturating_add(size) < total {
            let next = format!("{}/v2/{path}?page={}&per_page={size}", self.base, page + 1);
            pages.insert("next".to_owned(), json!(next));
        }
        Ok(json!({name: shown, "links": {"pages": pages}, "meta": {"total": total}}))
    }

    /// # Errors
    /// The service's refusal.
    pub fn create(&mut self, body: &Value, at: OceanAt<'_>) -> Answer {
        let mut spec = body["spec"].clone();
        self.check(&spec, body.get("access_tokens"), None)?;
        self.name_models(&mut spec, &[]);
        self.check_free(&spec["name"], at)?;
        let (id, fate) = (self.uuid(), self.fate(&spec, at.fate));
        let mut instance = Instance::new(id.clone(), at.team, spec, &self.settings, &fate, at.now);
        let token = self.token("default", at.now);
        instance.tokens.push(token.clone());
        let shown = self.shown(&instance, at);
        self.instances.insert(id, instance);
        Ok(json!({"dedicated_inference": shown, "token": token.shown(true)}))
    }

    /// Refuses a name that another instance of the team has.
    fn check_free(&self, name: &Value, at: OceanAt<'_>) -> Result<(), OceanFault> {
        let has_name = |one: &Instance| one.team == at.team && one.spec["name"] == *name && !one.visibility.is_gone();
        if self.instances.values().any(has_name) {
            return Err(unprocessable(&rules::NAME_TAKEN, "spec.name: is already in use in this team"));
        }
        Ok(())
    }

    /// Gives an id to each model of a spec that has none of the former ones ([`rules::MODEL_ID`]).
    fn name_models(&mut self, spec: &mut Value, former: &[Value]) {
        for model in spec["model_deployments"].as_array_mut().into_iter().flatten() {
            let is_known = former.iter().any(|known| known["model_id"] == model["model_id"]);
            if !is_known || model["model_id"].as_str().is_none_or(str::is_empty) {
                model["model_id"] = json!(self.uuid());
            }
        }
    }

    /// Keeps an instance that is active at once, unchecked.
    pub fn keep(&mut self, body: &Value, at: OceanAt<'_>) {
        let mut spec = body["spec"].clone();
        self.name_models(&mut spec, &[]);
        let id = self.uuid();
        let mut instance = Instance::new(id.clone(), at.team, spec, &self.settings, at.fate, at.now);
        instance.phase = Phase::Active;
        self.instances.insert(id, instance);
    }

    /// Removes the instances whose names begin so at once. True if there was one.
    pub fn take_away(&mut self, name: &str) -> bool {
        let before = self.instances.len();
        self.instances.retain(|_, one| !one.spec["name"].as_str().unwrap_or_default().starts_with(name));
        self.instances.len() < before
    }

    /// Renames the instance whose name begins so at once. True if there was one.
    pub fn rename(&mut self, name: &str, other: &str) -> bool {
        let is_it = |one: &&mut Instance| one.spec["name"].as_str().unwrap_or_default().starts_with(name);
        let found = self.instances.values_mut().find(is_it);
        found.map(|one| one.spec["name"] = json!(other)).is_some()
    }

    fn token(&mut self, name: &str, now: i64) -> InstanceToken {
        let id = self.uuid();
        InstanceToken { value: format!("di_value_of_{id}"), id, name: name.to_owned(), created: now }
    }

    /// Refuses a spec that is incomplete or not on offer.
    fn check(&self, spec: &Value, tokens: Option<&Value>, known: Option<&[&str]>) -> Result<(), OceanFault> {
        if !document::is_name(&spec["name"]) {
            return Err(unprocessable(&rules::NAME, "spec.name: does not match ^[a-zA-Z0-9_-]+$"));
        }
        if let Some(fault) = document::fault_of_spec(spec).or_else(|| document::fault_of_tokens(tokens, known)) {
            return Err(unprocessable(&rules::BODY, fault));
        }
        let token = tokens.and_then(|tokens| tokens["hugging_face_token"].as_str()).unwrap_or_default();
        let region = spec["region"].as_str().unwrap_or_default();
        for deployment in spec["model_deployments"].as_array().into_iter().flatten() {
            let slug = deployment["model_slug"].as_str().unwrap_or_default();
            let model = self.settings.models.iter().find(|model| model.slug == slug);
            let Some(model) = model else {
                return Err(unprocessable(&rules::MODELS, format!("model_slug {slug} is not supported")));
            };
            if model.gated && token.is_empty() {
                return Err(unprocessable(&rules::GATED, format!("model {slug} needs a hugging_face_token")));
            }
            for gpu in deployment["accelerators"].as_array().into_iter().flatten() {
                let slug = gpu["accelerator_slug"].as_str().unwrap_or_default();
                if !model.gpus.iter().any(|known| known == slug) {
                    return Err(unprocessable(&rules::MODELS, format!("{} does not run on {slug}", model.slug)));
                }
                if !self.settings.sizes.iter().any(|size| size.slug == slug && size.region == region) {
                    return Err(unprocessable(&rules::SIZES, format!("{slug} is not available in {region}")));
                }
            }
        }
        Ok(())
    }

    /// The script's fate, or that of a start for which there are no GPUs ([`rules::CAPACITY`]).
    fn fate(&self, spec: &Value, scripted: &Fate) -> Fate {
        let slug = |spec: &Value| spec["model_deployments"][0]["accelerators"][0]["accelerator_slug"].clone();
        let wanted = slug(spec);
        let used: u32 =
            self.instances.values().filter(|one| slug(&one.spec) == wanted).map(|one| Instance::scale(&one.spec)).sum();
        let machines = wanted.as_str().and_then(|slug| self.settings.machines.get(slug));
        let lacks = machines.is_some_and(|machines| used + Instance::scale(spec) > *machines);
        if lacks && scripted.fails.is_none() {
            let fails = Some((self.settings.capacity_seconds, String::new(), AfterFailure::Failed));
            return Fate { fails, ..scripted.clone() };
        }
        scripted.clone()
    }

    /// # Errors
    /// The service's refusal.
    pub fn update(&mut self, id: &str, body: &Value, at: OceanAt<'_>) -> Answer {
        let former = self.find(id, at)?.spec.clone();
        if !body.is_object() {
            return Err(unprocessable(&rules::BODY, "the body is no object"));
        }
        let mut spec = body.get("spec").unwrap_or(&former).clone();
        self.check(&spec, body.get("access_tokens"), Some(TOKENS_OF_UPDATE))?;
        if spec["name"] != former["name"] {
            self.check_free(&spec["name"], at)?;
        }
        self.name_models(&mut spec, former["model_deployments"].as_array().map_or(&[], Vec::as_slice));
        let settings = self.settings.clone();
        self.find(id, at)?.update(spec, &settings, at.fate, at.now);
        self.get(id, at)
    }

    /// # Errors
    /// The service's refusal.
    pub fn delete(&mut self, id: &str, at: OceanAt<'_>) -> Answer {
        let settings = self.settings.clone();
        self.find(id, at)?.delete(&settings, at.fate, at.now);
        Ok(Value::Null)
    }

    /// # Errors
    /// The service's refusal.
    pub fn list_tokens(&mut self, id: &str, query: &BTreeMap<String, String>, at: OceanAt<'_>) -> Answer {
        let tokens = self.find(id, at)?.tokens.iter().map(|token| token.shown(false)).collect();
        self.paged("tokens", &format!("dedicated-inferences/{id}/tokens"), tokens, query)
    }

    /// # Errors
    /// The service's refusal.
    pub fn create_token(&mut self, id: &str, body: &Value, at: OceanAt<'_>) -> Answer {
        self.find(id, at)?;
        if !document::is_name(&body["name"]) {
            return Err(unprocessable(&rules::NAME, "name: does not match ^[a-zA-Z0-9_-]+$"));
        }
        let token = self.token(body["name"].as_str().unwrap_or_default(), at.now);
        self.find(id, at)?.tokens.push(token.clone());
        Ok(json!({"token": token.shown(true)}))
    }

    /// # Errors
    /// The service's refusal.
    pub fn delete_token(&mut self, id: &str, token: &str, at: OceanAt<'_>) -> Answer {
        let tokens = &mut self.find(id, at)?.tokens;
        let before = tokens.len();
        tokens.retain(|one| one.id != token);
        if tokens.len() == before { Err(missing()) } else { Ok(Value::Null) }
    }

    /// GPUs with their prices ([`rules::SIZES`]).
    pub fn sizes(&self) -> Value {
        let mut regions: Vec<&str> = self.settings.sizes.iter().map(|size| size.region.as_str()).collect();
        regions.sort_unstable();
        regions.dedup();
        json!({"enabled_regions": regions, "sizes": self.settings.sizes.iter().map(super::settings::GpuSize::shown).collect::<Vec<_>>()})
    }

    /// Models with their GPUs ([`rules::MODELS`]).
    pub fn models(&self) -> Value {
        json!({"gpu_model_configs": self.settings.models.iter().map(super::settings::OceanModel::shown).collect::<Vec<_>>()})
    }

    /// The true state, for tests.
    pub fn state(&mut self, now: i64) -> Value {
        self.settle(now);
        let (mut billed, mut instances) = (self.billed, Vec::new());
        for one in self.instances.values_mut().filter(|one| !one.visibility.is_gone()) {
            billed += one.billed_until(now);
            instances.push(json!({"id": one.id, "name": one.spec["name"], "status": one.status(now),
                                  "billedGpus": one.billed_gpus(now), "tokens": one.tokens.len()}));
        }
        json!({"instances": instances, "billedGpuSeconds": billed / 1000})
    }
}
