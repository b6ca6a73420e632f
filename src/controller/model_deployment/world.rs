//! A small world for tests: one deployment, two targets, and a hub that carries out every plan at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::jiff;
use roadstead_model::{self as model, Action, Exhaust, Keep, Placement, PodFields, Timestamp};
use roadstead_planner::{self as planner, Fleet};
use serde_json::{Value, json};

use super::kstatus::{Kstatus, kstatus};
use super::progress::urgency;
use super::status::{ReconcileStage, status};
use super::{Planned, build, candidates, status_write};
use crate::controller::convert;
use crate::controller::throttle::Urgency;
use roadstead_api::planning;
use roadstead_api::v1alpha1::conditions::{self, find};
use roadstead_api::v1alpha1::{
    EndpointState, InferenceEndpoint, LastError, ModelDeployment, ModelDeploymentStatus, PlacementRole, ServingTarget,
};

/// The world.
pub struct World {
    /// The deployment, with its status.
    pub object: ModelDeployment,
    /// The targets by name.
    pub targets: BTreeMap<String, model::Target>,
    /// The records of its endpoints.
    pub endpoints: Vec<InferenceEndpoint>,
    /// The time in seconds.
    pub now: i64,
    /// Number of status writes.
    pub writes: usize,
}

/// Possible change of a target.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    Ready(bool),
    Price(Option<u64>),
    Taint(bool),
    Nodes(bool),
    Offer(bool),
    Label(bool),
}

/// A target with two nodes of four H100, with a price for each accelerator.
pub fn target(name: &str, cloud: &str, region: &str, price: u32) -> model::Target {
    let target: ServingTarget = serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": name},
        "spec": {
            "cloud": cloud, "region": region, "type": "Kubernetes", "allowedNamespaces": {},
            "offers": [{"name": "o", "instanceType": "i", "accelerator": {"type": "H100", "count": 4},
                        "capacityType": "OnDemand", "hourlyPrice": format!("{}.00", 4 * price)}],
        },
    }))
    .unwrap();
    let node = |name: &str| model::Node {
        name: name.to_owned(),
        labels: BTreeMap::new(),
        taints: Vec::new(),
        schedulable: true,
        allocatable_accelerators: [("nvidia.com/gpu".to_owned(), 4)].into(),
        free_accelerators: [("nvidia.com/gpu".to_owned(), 4)].into(),
        free: model::Resources { cpu_millis: 64_000, memory_bytes: 512 << 30, ephemeral_storage_bytes: 512 << 30 },
    };
    model::Target {
        state: model::TargetState::Ready,
        contact: model::Contact::Answers,
        in_cluster: false,
        nodes: Some(vec![node("n1"), node("n2")]),
        inventory: model::Inventory::Answered,
        ..convert::target(&target, None, None, jiff::Timestamp::UNIX_EPOCH)
    }
}

fn merge(object: &mut Value, change: &Value) {
    let (Some(fields), Some(changes)) = (object.as_object_mut(), change.as_object()) else {
        *object = change.clone();
        return;
    };
    for (key, change) in changes {
        if change.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key.clone()).or_insert(json!({})), change);
        }
    }
}

impl World {
    /// A deployment of one H100, and targets east in the US and west, dearer, in the EU.
    pub fn new() -> Self {
        let object = json!({
            "apiVersion": "roadstead.dev/v1alpha1", "kind": "ModelDeployment",
            "metadata": {"name": "llama", "namespace": "team", "uid": "u", "generation": 1},
            "spec": {
                "model": {"source": "hf://a/b"},
                "serving": {
                    "engine": "vllm", "image": "a:1",
                    "shapes": [{"name": "s", "accelerator": {"type": "H100", "count": 1}}],
                },
            },
        });
        let targets = [target("east", "aws", "us-east-1", 5), target("west", "gcp", "europe-west4", 6)];
        Self {
            object: serde_json::from_value(object).unwrap(),
            targets: targets.map(|target| (target.name.clone(), target)).into(),
            endpoints: Vec::new(),
            now: 1_000,
            writes: 0,
        }
    }

    /// The deployment served with this spec.
    pub fn serving(spec: &Value) -> Self {
        let mut world = Self::new();
        world.edit(spec);
        world.settle();
        assert_eq!(kstatus(&world.object), Kstatus::Current, "{:?}", world.object.status);
        world
    }

    /// Edits the deployment's spec.
    pub fn edit(&mut self, spec: &Value) {
        let mut object = serde_json::to_value(&self.object).unwrap();
        merge(&mut object["spec"], spec);
        let mut edited: ModelDeployment = serde_json::from_value(object).unwrap();
        if edited.spec != self.object.spec {
            edited.metadata.generation = edited.metadata.generation.map(|generation| generation + 1);
        }
        self.object = edited;
    }

    /// The deployment as the planner sees it.
    pub fn request(&self) -> model::Deployment {
        convert::deployment(&self.object, BTreeMap::new()).unwrap()
    }

    /// The planner's view of the world.
    pub fn fleet(&self) -> Fleet {
        let mut fleet = Fleet::new();
        for target in self.targets.values() {
            fleet.upsert_target(target.clone());
        }
        for endpoint in &self.endpoints {
            fleet.upsert_endpoint(convert::endpoint(endpoint, Some(&self.object), BTreeMap::new(), None));
        }
        fleet
    }

    /// Plans, carries the plan out, and reports it; plans again at once if only the next plan is reported.
    pub fn reconcile(&mut self) {
        self.now += 1;
        while self.plan_and_tell() {}
        self.is_told_truly();
    }

    /// Makes a plan and executes it, and ends before the status is written.
    pub fn reconcile_untold(&mut self) {
        self.now += 1;
        let request = self.request();
        let plan = planner::plan(&self.fleet(), &request, Timestamp(self.now));
        let object = Arc::new(self.object.clone());
        self.carry_out(&Planned { object, request, plan, outdated: false, known: BTreeSet::new() });
    }

    fn plan_and_tell(&mut self) -> bool {
        let request = self.request();
        let fleet = self.fleet();
        let plan = planner::plan(&fleet, &request, Timestamp(self.now));
        let former = self.object.status.clone().unwrap_or_default();
        let outdated = candidates::outdated(&fleet, &request, &plan, &former);
        let object = Arc::new(self.object.clone());
        let planned = Planned { object, request, plan, outdated, known: BTreeSet::new() };
        self.carry_out(&planned);
        if status_write::is_half_told(&planned.plan) {
            return true;
        }
        let endpoints: Vec<_> = self.endpoints.iter().cloned().map(Arc::new).collect();
        let now = jiff::Timestamp::from_second(self.now).unwrap();
        let new = status(
            &self.object,
            &ReconcileStage::Planned { plan: &planned.plan, outdated, has_gateway: false, hosted: &[] },
            &endpoints,
            now,
        );
        let waits = urgency(&former, &new, self.object.spec.replicas) == Urgency::InTurn
            && candidates::wait(&former, now).is_some();
        if !waits && new != former {
            self.writes += 1;
            self.is_one_decision(&planned, &new);
            self.object.status = Some(new);
        }
        false
    }

    fn carry_out(&mut self, planned: &Planned) {
        for action in &planned.plan.actions {
            match action {
                Action::Create { placement, replaces, .. } => {
                    self.endpoints.push(created(planned, placement, replaces.as_deref(), self.now));
                }
                Action::Keep(keep) => self.change(&keep.endpoint, |endpoint| {
                    endpoint.spec = build::kept(planned, endpoint, keep);
                }),
                Action::Drain { endpoint, deadline, .. } => self.change(endpoint, |endpoint| {
                    endpoint.spec.state = EndpointState::Draining;
                    endpoint.spec.deadline = Some(planning::time(*deadline));
                }),
                Action::Delete { endpoint, exhaust, .. } => {
                    self.endpoints.retain(|other| other.metadata.name.as_ref() != Some(endpoint));
                    if let Some(refusal) = exhaust {
                        self.exhaust(refusal);
                    }
                }
                Action::Adopt { .. } | Action::Promote { .. } => {}
            }
        }
    }

    fn exhaust(&mut self, refusal: &Exhaust) {
        let until = Timestamp(self.now).plus(300);
        if let Some(target) = self.targets.get_mut(&refusal.target) {
            target.exhausted.push(model::Exhausted {
                offer: refusal.offer.clone(),
                size: refusal.size,
                only_for: refusal.only_for.clone(),
                generation: refusal.generation,
                until,
                attempts: 1,
                reason: refusal.reason.clone(),
            });
        }
    }

    /// All that is written at once is of one plan, and shows no fact that has changed.
    fn is_one_decision(&self, planned: &Planned, status: &ModelDeploymentStatus) {
        let plan = &planned.plan;
        if candidates::seeks(plan) {
            assert_eq!(status.candidates, candidates::of(plan), "{status:?}");
        }
        let outdated = candidates::outdated(&self.fleet(), &planned.request, plan, status);
        assert!(!outdated, "{status:#?}\n{}", roadstead_explain::render_text(plan));
        let Some(chosen) = status.candidates.iter().find(|candidate| candidate.verdict == "Chosen") else { return };
        let is_there = status.placements.iter().any(|place| {
            (&place.target, &place.shape, &place.hourly_cost) == (&chosen.target, &chosen.shape, &chosen.hourly_cost)
        });
        assert!(is_there, "nothing is at the chosen place at its price: {status:#?}");
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut InferenceEndpoint)) {
        let endpoint = self.endpoints.iter_mut().find(|endpoint| endpoint.metadata.name.as_deref() == Some(name));
        let endpoint = endpoint.unwrap();
        let before = endpoint.spec.clone();
        change(endpoint);
        if endpoint.spec != before {
            endpoint.metadata.generation = endpoint.metadata.generation.map(|generation| generation + 1);
        }
    }

    /// Sets the condition of every endpoint: it serves its newest spec, or it is unreachable.
    pub fn endpoints_say(&mut self, ready: &str) {
        let now = jiff::Timestamp::from_second(self.now).unwrap();
        for endpoint in &mut self.endpoints {
            let reason = match (ready, endpoint.spec.replicas) {
                (conditions::TRUE, 0) => "ScaledToZero",
                (conditions::TRUE, _) => "Ready",
                _ => "TargetNotReady",
            };
            let mut status = endpoint.status.clone().unwrap_or_default();
            if ready == conditions::TRUE {
                status.observed_generation = endpoint.metadata.generation.unwrap();
                status.replicas = endpoint.spec.replicas;
                status.ready_replicas = endpoint.spec.replicas;
                status.url = Some("http://198.18.0.2:30000".to_owned());
                if endpoint.spec.replicas > 0 {
                    status.first_ready_time = Some(planning::api_time(now));
                }
            }
            let mut set = conditions::Conditions::new(&[], endpoint.metadata.generation, now);
            set.set(conditions::READY, ready, reason, "m");
            status.conditions = set.finish();
            endpoint.status = Some(status);
        }
    }

    /// The places of all endpoints that were never ready refuse them.
    pub fn refuse(&mut self) {
        let now = planning::time(Timestamp(self.now));
        for endpoint in &mut self.endpoints {
            let mut status = endpoint.status.clone().unwrap_or_default();
            if status.first_ready_time.is_none() {
                let (class, message) = ("CapacityExhausted".to_owned(), "no room".to_owned());
                status.last_error = Some(LastError { class, message, time: now.clone() });
                endpoint.status = Some(status);
            }
        }
    }

    /// Everything that was decided comes up.
    pub fn settle(&mut self) {
        for _ in 0..6 {
            self.reconcile();
            self.endpoints_say(conditions::TRUE);
            self.now += 200;
        }
        self.reconcile();
    }

    /// A condition as `status reason: message`; empty where it is absent.
    pub fn reads(&self, type_: &str) -> String {
        let status = self.object.status.as_ref().unwrap();
        let condition = find(&status.conditions, type_);
        condition.map(|one| format!("{} {}: {}", one.status, one.reason, one.message)).unwrap_or_default()
    }

    /// The records of the endpoints that serve, as the status says.
    pub fn relied_on(&self) -> Vec<&InferenceEndpoint> {
        let status = self.object.status.as_ref().unwrap();
        let serving = status.placements.iter().filter(|placement| placement.role == PlacementRole::Serving);
        let record = |name: &str| self.endpoints.iter().find(|one| one.metadata.name.as_deref() == Some(name)).unwrap();
        serving.map(|placement| record(&placement.endpoint)).collect()
    }

    /// Every number is a sum over the records.
    pub fn adds_up(&self) {
        let status = self.object.status.as_ref().unwrap();
        let (mut replicas, mut ready) = (0, 0);
        for endpoint in self.relied_on() {
            let seen = endpoint.status.clone().unwrap_or_default();
            (replicas, ready) = (replicas + seen.replicas, ready + seen.ready_replicas);
        }
        assert_eq!((status.replicas, status.ready_replicas), (replicas, ready), "{status:?}");
        let told = status.placements.len() + status.releasing.len();
        assert_eq!(told, self.endpoints.len(), "every endpoint has its role: {status:?}");
    }

    fn is_told_truly(&self) {
        let status = self.object.status.as_ref().unwrap();
        let says =
            |type_| find(&status.conditions, type_).is_some_and(|condition| condition.status == conditions::TRUE);
        let ready = find(&status.conditions, conditions::READY).unwrap();
        assert_eq!(Some(status.observed_generation), self.object.metadata.generation);
        let (reconciling, stalled) = (says(conditions::RECONCILING), says(conditions::STALLED));
        match ready.status.as_str() {
            conditions::TRUE => assert!(!reconciling && !stalled, "{ready:?}"),
            conditions::FALSE => assert!(reconciling != stalled, "{ready:?}"),
            _ => assert!(!stalled, "{ready:?}"),
        }
        if kstatus(&self.object) != Kstatus::Current {
            return;
        }
        let serving = self.relied_on();
        assert!(serving.len() <= 1, "what serves is not divided yet: {ready:?}");
        let Some(newest) = serving.first() else {
            assert_eq!(self.object.spec.replicas, 0, "nothing runs: {ready:?}");
            return;
        };
        let wanted = &self.object.spec;
        assert_eq!(newest.spec.replicas, wanted.replicas, "{ready:?}");
        let observed = newest.status.as_ref().map(|status| status.observed_generation);
        assert_eq!(observed, newest.metadata.generation, "{ready:?}");
        if wanted.replicas == 0 {
            return;
        }
        let template = &newest.spec.template;
        assert_eq!(template.image, wanted.serving.image, "{ready:?}");
        assert_eq!(template.engine, wanted.serving.engine, "{ready:?}");
        assert_eq!(template.resources, wanted.serving.resources, "{ready:?}");
        let shape = wanted.serving.shapes.iter().find(|shape| shape.name == newest.spec.shape).unwrap();
        assert_eq!(newest.spec.accelerator.count, shape.accelerator.count, "{ready:?}");
        let rule = self.fleet().rule_against(&self.request(), &newest.spec.target);
        assert!(rule.is_none() || !self.targets.contains_key(&newest.spec.target), "{rule:?}: {ready:?}");
    }
}

fn created(planned: &Planned, placement: &Placement, replaces: Option<&str>, now: i64) -> InferenceEndpoint {
    let name = format!("llama-{}-{}", placement.target, placement.slot);
    let created = planning::time(Timestamp(now));
    let endpoint: InferenceEndpoint = serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "InferenceEndpoint",
        "metadata": {"name": name, "namespace": "team", "generation": 1, "creationTimestamp": created},
        "spec": {
            "deploymentRef": {"name": "llama", "uid": "u"}, "target": placement.target, "cloud": "c", "region": "r",
            "offer": placement.offer, "shape": placement.shape,
            "accelerator": {"type": placement.accelerator.kind, "count": placement.accelerator.count,
                            "resourceName": "nvidia.com/gpu"},
            "capacityType": "OnDemand", "slot": placement.slot, "replicas": placement.replicas, "reason": "InitialPlacement",
            "template": {"engine": "vllm", "image": "i", "port": 1, "model": {"name": "m"},
                         "startupTimeoutSeconds": 60, "drainTimeoutSeconds": 5},
        },
    }))
    .unwrap();
    let keep = Keep {
        endpoint: name,
        replicas: placement.replicas,
        pods: PodFields::FollowSpec,
        hourly_cost: placement.hourly_cost,
        findings: Vec::new(),
    };
    let mut spec = build::kept(planned, &endpoint, &keep);
    spec.replaces = replaces.map(ToOwned::to_owned);
    InferenceEndpoint { spec, ..endpoint }
}

/// A budget in dollars an hour.
pub fn budget(dollars: u32) -> Value {
    json!({"placement": {"cost": {"maxHourlyCost": format!("{dollars}.00")}}})
}

/// A spec with a change of it.
pub fn with(mut spec: Value, change: &Value) -> Value {
    merge(&mut spec, change);
    spec
}

impl World {
    /// Something happens to a target.
    pub fn change_target(&mut self, name: &str, change: Change) {
        let (now, fresh) = (Timestamp(self.now), World::new().targets.remove(name).unwrap());
        let target = self.targets.get_mut(name).unwrap();
        match change {
            Change::Ready(true) => target.state = model::TargetState::Ready,
            Change::Ready(false) => {
                let (reason, message) = ("Unreachable".to_owned(), String::new());
                target.state = model::TargetState::NotReady { reason, message, since: now };
            }
            Change::Price(price) => {
                let amount = |dollars| model::MicroDollars(dollars * 4_000_000);
                let price = price.map(|price| model::Price::per_instance_hour(amount(price)));
                target.offers.iter_mut().for_each(|offer| offer.price = price.clone());
            }
            Change::Taint(tainted) => {
                let effect = model::Effect::NoPlacement;
                let taint = model::Taint { key: "t".to_owned(), value: String::new(), effect };
                target.taints = if tainted { vec![taint] } else { Vec::new() };
            }
            Change::Nodes(there) => target.nodes = if there { fresh.nodes } else { Some(Vec::new()) },
            Change::Offer(there) => target.offers = if there { fresh.offers } else { Vec::new() },
            Change::Label(prod) => {
                target.labels = if prod { [("env".to_owned(), "prod".to_owned())].into() } else { BTreeMap::new() };
            }
        }
    }
}
