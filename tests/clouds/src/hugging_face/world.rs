//! The true state of every namespace, and the operations on it. Time is an argument.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::endpoint::{Durations, HubEndpoint, Progress, State};
use super::rules;
use super::settings::{Hardware, HuggingFaceSettings};
use crate::faults::{AfterFailure, Fate, Hidden};
use crate::rules::Rule;

const NO_HARDWARE: &str = "Endpoint failed to start: Scheduling failure: not enough hardware capacity";
const TYPES: [&str; 3] = ["public", "authenticated", "private"];
/// Longest name.
const NAME_CHARS: usize = 32;

/// A refusal of the control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubFault {
    pub status: StatusCode,
    pub message: String,
    pub rule: &'static Rule,
}

fn bad(rule: &'static Rule, message: impl Into<String>) -> HubFault {
    HubFault { status: StatusCode::BAD_REQUEST, message: message.into(), rule }
}

/// An entry of a namespace: the endpoint, and when listings and reads show it.
#[derive(Debug, Clone)]
pub struct Kept {
    pub endpoint: HubEndpoint,
    listed_from: i64,
    read_from: i64,
    /// Set once it is deleted: it is listed until then.
    listed_until: Option<i64>,
}

impl Kept {
    fn is_read(&self, now: i64) -> bool {
        self.listed_until.is_none() && self.read_from <= now
    }

    fn is_listed(&self, now: i64) -> bool {
        self.listed_from <= now && self.listed_until.is_none_or(|until| now < until)
    }
}

/// All namespaces.
#[derive(Debug)]
pub struct HubWorld {
    pub namespaces: BTreeMap<String, BTreeMap<String, Kept>>,
    pub settings: HuggingFaceSettings,
    base: String,
    made: u64,
    /// Replica-milliseconds of endpoints that are gone.
    billed: i64,
}

/// Circumstances of one operation.
#[derive(Debug, Clone, Copy)]
pub struct HubAt<'a> {
    pub namespace: &'a str,
    pub fate: &'a Fate,
    pub now: i64,
}

type Answer = Result<Value, HubFault>;

impl HubWorld {
    pub fn new(settings: HuggingFaceSettings, base: &str) -> Self {
        Self { namespaces: BTreeMap::new(), settings, base: base.to_owned(), made: 0, billed: 0 }
    }

    /// Ends what has ended everywhere.
    pub fn settle(&mut self, now: i64) {
        for kept in self.namespaces.values_mut().flat_map(BTreeMap::values_mut) {
            if kept.listed_until.is_none() {
                kept.endpoint.settle(now);
            }
        }
        for namespace in self.namespaces.values_mut() {
            namespace.retain(|_, kept| kept.listed_until.is_none_or(|until| now < until));
        }
    }

    pub fn list(&self, at: HubAt<'_>) -> Value {
        let kept = self.namespaces.get(at.namespace).into_iter().flat_map(BTreeMap::values);
        let shown = kept.filter(|kept| kept.is_listed(at.now));
        let items: Value = shown.map(|kept| self.shown(&kept.endpoint, at)).collect();
        json!({"items": items})
    }

    fn shown(&self, endpoint: &HubEndpoint, at: HubAt<'_>) -> Value {
        endpoint.shown(&self.base, at.fate.status.as_deref(), at.now)
    }

    /// # Errors
    /// The service's refusal.
    pub fn create(&mut self, form: Value, at: HubAt<'_>) -> Answer {
        let name = form["name"].as_str().unwrap_or_default().to_owned();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > NAME_CHARS || !name.chars().all(plain) {
            let message = format!("name: must have 1 to {NAME_CHARS} lower-case letters, digits and hyphens");
            return Err(bad(&rules::NAME, message));
        }
        complete(&form)?;
        let hardware = self.hardware(&form)?.clone();
        let exists = |kept: &Kept| kept.listed_until.is_none();
        if self.namespaces.get(at.namespace).and_then(|all| all.get(&name)).is_some_and(exists) {
            let message = format!("Endpoint {name} already exists in namespace {}", at.namespace);
            return Err(HubFault { status: StatusCode::CONFLICT, message, rule: &rules::NAME_TAKEN });
        }
        self.quota(&hardware, &form, &name, at.namespace)?;
        let fate = self.fate(&hardware, &form, &name, at.fate);
        let progress = self.start(&fate, at.now);
        Ok(self.keep(name, form, progress, at))
    }

    /// Keeps an endpoint that begins. Quotas do not count.
    pub fn keep(&mut self, name: String, form: Value, progress: Progress, at: HubAt<'_>) -> Value {
        self.made += 1;
        let endpoint = HubEndpoint::new(format!("ep{:014}", self.made), form, progress, at.now);
        let shown = self.shown(&endpoint, at);
        let (listed_from, read_from) = match at.fate.hidden {
            Some((seconds, Hidden::FromLists)) => (at.now + i64::from(seconds) * 1000, at.now),
            Some((seconds, Hidden::Everywhere)) => {
                let from = at.now + i64::from(seconds) * 1000;
                (from, from)
            }
            None => (at.now, at.now),
        };
        let kept = Kept { endpoint, listed_from, read_from, listed_until: None };
        self.namespaces.entry(at.namespace.to_owned()).or_default().insert(name, kept);
        shown
    }

    fn start(&self, fate: &Fate, now: i64) -> Progress {
        let HuggingFaceSettings { pending_seconds: pending, initializing_seconds: initializing, .. } = self.settings;
        Progress::start(Durations { pending, initializing }, fate, now)
    }

    /// The hardware that a body asks for.
    fn hardware(&self, form: &Value) -> Result<&Hardware, HubFault> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (compute, provider) = (&form["compute"], &form["provider"]);
        let (accelerator, kind) = (text(&compute["accelerator"]), text(&compute["instanceType"]));
        let (size, vendor) = (text(&compute["instanceSize"]), text(&provider["vendor"]));
        let region = text(&provider["region"]);
        let found = self.settings.hardware.iter().find(|one| {
            one.vendor == vendor
                && one.region == region
                && one.accelerator == accelerator
                && one.instance_type == kind
                && one.instance_size == size
        });
        found.filter(|one| one.status != "deprecated").ok_or_else(|| {
            let accelerator = capitalized(&accelerator);
            let message =
                format!("Instance compute '{accelerator}' - '{kind}' - '{size}' in '{vendor}' - '{region}' not found");
            bad(&rules::COMPUTE, message)
        })
    }

    /// Accelerators of a type that a namespace uses, without one endpoint.
    fn used(&self, namespace: &str, instance_type: &str, without: &str) -> u32 {
        let all = self.namespaces.get(namespace).into_iter().flatten();
        let others = all.filter(|(name, kept)| *name != without && kept.listed_until.is_none());
        let used = others.filter_map(|(_, kept)| {
            let hardware = self.hardware(&kept.endpoint.form).ok()?;
            (hardware.instance_type == instance_type).then(|| kept.endpoint.reserved() * hardware.num_accelerators)
        });
        used.sum()
    }

    fn quota(&self, hardware: &Hardware, form: &Value, name: &str, namespace: &str) -> Result<(), HubFault> {
        let used = self.used(namespace, &hardware.instance_type, name);
        let wanted = replicas(form, "maxReplica") * hardware.num_accelerators;
        if used + wanted <= hardware.max_accelerators {
            return Ok(());
        }
        let Hardware { instance_type, max_accelerators, .. } = hardware;
        let message = format!(
            "Quota exceeded: {instance_type} has {max_accelerators} accelerators in namespace {namespace}, {used} of them in use, {wanted} requested"
        );
        Err(bad(&rules::QUOTA, message))
    }

    /// The script's fate, or that of a start for which there is no hardware ([`rules::CAPACITY`]).
    fn fate(&self, hardware: &Hardware, form: &Value, name: &str, scripted: &Fate) -> Fate {
        let used: u32 =
            self.namespaces.keys().map(|namespace| self.used(namespace, &hardware.instance_type, name)).sum();
        let wanted = replicas(form, "minReplica").max(1) * hardware.num_accelerators;
        let machines = self.settings.machines.get(&hardware.id());
        let lacking = hardware.status == "not_available" || machines.is_some_and(|machines| used + wanted > *machines);
        if lacking && scripted.fails.is_none() {
            let fails = Some((self.settings.capacity_seconds, NO_HARDWARE.to_owned(), AfterFailure::RolledBack));
            return Fate { fails, ..scripted.clone() };
        }
        scripted.clone()
    }

    fn find(&mut self, name: &str, at: HubAt<'_>) -> Result<&mut HubEndpoint, HubFault> {
        let found = self.namespaces.get_mut(at.namespace).and_then(|all| all.get_mut(name));
        found.filter(|kept| kept.is_read(at.now)).map(|kept| &mut kept.endpoint).ok_or_else(|| HubFault {
            status: StatusCode::NOT_FOUND,
            message: format!("Endpoint {name} not found in namespace {}", at.namespace),
            rule: &rules::NOT_FOUND,
        })
    }

    /// # Errors
    /// The service's refusal.
    pub fn get(&mut self, name: &str, at: HubAt<'_>) -> Answer {
        let endpoint = self.find(name, at)?.clone();
        Ok(self.shown(&endpoint, at))
    }

    /// # Errors
    /// The service's refusal.
    pub fn update(&mut self, name: &str, change: &Value, at: HubAt<'_>) -> Answer {
        let endpoint = self.find(name, at)?;
        let (mut form, state, serving) = (endpoint.form.clone(), endpoint.state.clone(), endpoint.serving().clone());
        merge(&mut form, change);
        complete(&form)?;
        // See [`rules::TAGS`].
        if change.as_object().is_some_and(|members| members.keys().all(|member| member == "tags")) {
            let endpoint = self.find(name, at)?;
            (endpoint.form, endpoint.updated) = (form, at.now);
            return self.get(name, at);
        }
        let hardware = self.hardware(&form)?.clone();
        self.quota(&hardware, &form, name, at.namespace)?;
        let fate = self.fate(&hardware, &form, name, at.fate);
        let (progress, updating) = (self.start(&fate, at.now), self.settings.updating_seconds);
        let endpoint = self.find(name, at)?;
        match state {
            State::Running | State::Updating(..) | State::UpdateFailed(_) => {
                let until = at.now + i64::from(updating) * 1000;
                let until = if fate.fails.is_some() || fate.stuck { progress.until } else { Some(until) };
                endpoint.become_(State::Updating(Progress { until, ..progress }, Box::new(serving)), at.now);
            }
            State::Paused | State::ScaledToZero => endpoint.updated = at.now,
            State::Starting(_) | State::Failed => endpoint.become_(State::Starting(progress), at.now),
        }
        endpoint.form = form;
        self.get(name, HubAt { fate: &Fate::default(), ..at })
    }

    /// # Errors
    /// The service's refusal.
    pub fn pause(&mut self, name: &str, at: HubAt<'_>) -> Answer {
        self.find(name, at)?.become_(State::Paused, at.now);
        self.get(name, at)
    }

    /// # Errors
    /// The service's refusal.
    pub fn scale_to_zero(&mut self, name: &str, at: HubAt<'_>) -> Answer {
        let endpoint = self.find(name, at)?;
        if endpoint.state == State::Paused {
            return Err(bad(&rules::PAUSED, format!("Endpoint {name} is paused")));
        }
        endpoint.become_(State::ScaledToZero, at.now);
        self.get(name, at)
    }

    /// # Errors
    /// The service's refusal.
    pub fn resume(&mut self, name: &str, at: HubAt<'_>) -> Answer {
        let endpoint = self.find(name, at)?.clone();
        if !matches!(endpoint.state, State::Paused | State::ScaledToZero | State::Failed) {
            return Err(bad(&rules::RUNNING_ALREADY, format!("Endpoint {name} is already running")));
        }
        let hardware = self.hardware(&endpoint.form)?.clone();
        self.quota(&hardware, &endpoint.form, name, at.namespace)?;
        let fate = self.fate(&hardware, &endpoint.form, name, at.fate);
        let progress = self.start(&fate, at.now);
        self.find(name, at)?.become_(State::Starting(progress), at.now);
        self.get(name, at)
    }

    /// Deletes an endpoint ([`rules::DELETED`], [`rules::DELETE_FAILED`]).
    ///
    /// # Errors
    /// The service's refusal.
    pub fn delete(&mut self, name: &str, at: HubAt<'_>) -> Answer {
        self.find(name, at)?;
        if let Some((_, reason, _)) = &at.fate.fails {
            let endpoint = self.find(name, at)?;
            endpoint.become_(State::Failed, at.now);
            endpoint.message.clone_from(reason);
            return Ok(json!({}));
        }
        // A deletion that hangs is accepted, and changes nothing.
        if at.fate.stuck {
            return Ok(json!({}));
        }
        let listed_until = at.now + at.fate.lingers.map_or(0, |seconds| i64::from(seconds) * 1000);
        if let Some(kept) = self.namespaces.get_mut(at.namespace).and_then(|all| all.get_mut(name)) {
            self.billed += kept.endpoint.billed_until(at.now);
            kept.listed_until = Some(listed_until);
        }
        self.settle(at.now);
        Ok(json!({}))
    }

    /// Every kind of hardware with its price and the namespace's quota ([`rules::HARDWARE`]).
    pub fn prices(&self, namespace: &str) -> Value {
        let mut vendors: BTreeMap<&str, BTreeMap<&str, Vec<Value>>> = BTreeMap::new();
        for hardware in &self.settings.hardware {
            let used = self.used(namespace, &hardware.instance_type, "");
            let regions = vendors.entry(&hardware.vendor).or_default();
            regions.entry(&hardware.region).or_default().push(hardware.shown(used));
        }
        let region = |(name, computes): (&str, Vec<Value>)| json!({"name": name, "label": name, "computes": computes});
        let vendor = |(name, regions): (&str, BTreeMap<&str, Vec<Value>>)| json!({"name": name, "status": "available", "regions": regions.into_iter().map(region).collect::<Vec<_>>()});
        json!({"vendors": vendors.into_iter().map(vendor).collect::<Vec<_>>()})
    }

    /// The endpoint with this id, wherever it is, and its namespace.
    pub fn by_id(&mut self, id: &str) -> Option<(String, &mut HubEndpoint)> {
        let all = self.namespaces.iter_mut().flat_map(|(name, all)| all.values_mut().map(move |kept| (name, kept)));
        let mut all = all.filter(|(_, kept)| kept.listed_until.is_none() && kept.endpoint.id == id);
        all.next().map(|(name, kept)| (name.clone(), &mut kept.endpoint))
    }

    /// Puts every endpoint that runs to zero; returns their number.
    pub fn put_to_zero(&mut self, now: i64) -> usize {
        self.settle(now);
        let mut count = 0;
        let all = self.namespaces.values_mut().flat_map(BTreeMap::values_mut).map(|kept| &mut kept.endpoint);
        for endpoint in all.filter(|endpoint| endpoint.state == State::Running) {
            endpoint.become_(State::ScaledToZero, now);
            count += 1;
        }
        count
    }

    /// Wakes every endpoint at zero.
    pub fn wake_all(&mut self, now: i64) {
        let all = self.namespaces.values().flat_map(BTreeMap::values);
        let ids: Vec<String> = all.map(|kept| kept.endpoint.id.clone()).collect();
        for id in &ids {
            self.wake(id, now);
        }
    }

    /// Wakes an endpoint at zero; what runs is not touched.
    pub fn wake(&mut self, id: &str, now: i64) {
        let HuggingFaceSettings { pending_seconds: pending, initializing_seconds: initializing, .. } = self.settings;
        let progress = Progress::start(Durations { pending, initializing }, &Fate::default(), now);
        if let Some((_, endpoint)) = self.by_id(id).filter(|(_, endpoint)| endpoint.state == State::ScaledToZero) {
            endpoint.become_(State::Starting(progress), now);
        }
    }

    /// The true state, for tests.
    pub fn state(&mut self, now: i64) -> Value {
        self.settle(now);
        let mut billed = self.billed;
        let mut endpoints = Vec::new();
        for (namespace, all) in &mut self.namespaces {
            for (name, kept) in all.iter_mut().filter(|(_, kept)| kept.listed_until.is_none()) {
                billed += kept.endpoint.billed_until(now);
                let endpoint = &kept.endpoint;
                endpoints.push(json!({"namespace": namespace, "name": name, "status": endpoint.status(now),
                                      "billedReplicas": endpoint.billed_replicas(now), "tags": endpoint.form["tags"]}));
            }
        }
        json!({"endpoints": endpoints, "billedReplicaSeconds": billed / 1000})
    }
}

/// Refuses a body that lacks something.
fn complete(form: &Value) -> Result<(), HubFault> {
    let text = |path: &str| form.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let required = [
        "/provider/vendor",
        "/provider/region",
        "/compute/accelerator",
        "/compute/instanceType",
        "/compute/instanceSize",
        "/model/repository",
        "/model/framework",
    ];
    if let Some(missing) = required.iter().find(|path| text(path).is_empty()) {
        return Err(bad(
            &rules::BODY,
            format!("missing field `{}`", missing.trim_start_matches('/').replace('/', ".")),
        ));
    }
    if !TYPES.contains(&text("/type")) {
        return Err(bad(
            &rules::BODY,
            format!("type: unknown variant `{}`, expected one of {}", text("/type"), TYPES.join(", ")),
        ));
    }
    if form["model"].get("task").is_some_and(Value::is_null) {
        return Err(bad(&rules::BODY, "model.task: invalid type: null, expected a string"));
    }
    let image =
        form["model"]["image"].as_object().filter(|image| image.len() == 1).and_then(|image| image.iter().next());
    let Some((variant, image)) = image else {
        return Err(bad(&rules::BODY, "model.image: expected exactly one variant"));
    };
    if variant != "huggingface" && image["url"].as_str().is_none_or(str::is_empty) {
        return Err(bad(&rules::BODY, format!("model.image.{variant}: missing field `url`")));
    }
    if replicas(form, "minReplica") > replicas(form, "maxReplica") {
        return Err(bad(&rules::BODY, "compute.scaling: minReplica is greater than maxReplica"));
    }
    Ok(())
}

fn replicas(form: &Value, member: &str) -> u32 {
    form["compute"]["scaling"][member].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(1)
}

/// Takes the fields of a change into a body: objects of settings field by field, everything else whole
/// ([`rules::UPDATE`], [`rules::UNKNOWN_FIELDS`]).
fn merge(form: &mut Value, change: &Value) {
    for (name, value) in change.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        if ["compute", "model", "scaling", "provider", "route"].contains(&name.as_str()) && form[name].is_object() {
            merge(&mut form[name], value);
        } else if name != "name" {
            form[name] = value.clone();
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
