//! A deployment is Current for pipelines only while all that it wants is served, whatever was edited and whatever
//! happened to its targets and endpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::jiff;
use proptest::prelude::*;
use roadstead_planner::{self as planner, Action, Fleet, Keep, Placement, PodFields, Timestamp};
use serde_json::{Value, json};

use super::kstatus::{Kstatus, kstatus};
use super::status::{Stage, status};
use super::{Planned, build};
use crate::api::v1alpha1::conditions::{self, find};
use crate::api::v1alpha1::{EndpointState, InferenceEndpoint, ModelDeployment, ServingTarget};
use crate::controller::convert;

/// One deployment, two targets, and a hub that carries out every plan at once.
struct World {
    object: ModelDeployment,
    targets: BTreeMap<String, planner::Target>,
    endpoints: Vec<InferenceEndpoint>,
    now: i64,
}

/// A target with two nodes of four H100; an accelerator costs so many dollars.
fn target(name: &str, cloud: &str, region: &str, price: u32) -> planner::Target {
    let target: ServingTarget = serde_json::from_value(json!({
        "apiVersion": "roadstead.dev/v1alpha1", "kind": "ServingTarget", "metadata": {"name": name},
        "spec": {
            "cloud": cloud, "region": region, "type": "Kubernetes", "allowedNamespaces": {},
            "offers": [{"name": "o", "instanceType": "i", "accelerator": {"type": "H100", "count": 4},
                        "capacityType": "OnDemand", "hourlyPrice": format!("{}.00", 4 * price)}],
        },
    }))
    .unwrap();
    let node = |name: &str| planner::Node {
        name: name.to_owned(),
        labels: BTreeMap::new(),
        taints: Vec::new(),
        schedulable: true,
        allocatable_accelerators: [("nvidia.com/gpu".to_owned(), 4)].into(),
        free_accelerators: [("nvidia.com/gpu".to_owned(), 4)].into(),
        free: planner::Resources { cpu_millis: 64_000, memory_bytes: 512 << 30, ephemeral_storage_bytes: 512 << 30 },
    };
    planner::Target {
        state: planner::TargetState::Ready,
        nodes: Some(vec![node("n1"), node("n2")]),
        inventory: planner::Inventory::Answered,
        ..convert::target(&target, None, None)
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
    fn new() -> Self {
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
        }
    }

    /// The deployment served with this spec.
    fn serving(spec: &Value) -> Self {
        let mut world = Self::new();
        world.edit(spec);
        world.settle();
        assert_eq!(kstatus(&world.object), Kstatus::Current, "{:?}", world.object.status);
        world
    }

    fn edit(&mut self, spec: &Value) {
        let mut object = serde_json::to_value(&self.object).unwrap();
        merge(&mut object["spec"], spec);
        let mut edited: ModelDeployment = serde_json::from_value(object).unwrap();
        if edited.spec != self.object.spec {
            edited.metadata.generation = edited.metadata.generation.map(|generation| generation + 1);
        }
        self.object = edited;
    }

    fn request(&self) -> planner::Deployment {
        convert::deployment(&self.object, BTreeMap::new()).unwrap()
    }

    fn fleet(&self) -> Fleet {
        let mut fleet = Fleet::new();
        for target in self.targets.values() {
            fleet.upsert_target(target.clone());
        }
        for endpoint in &self.endpoints {
            fleet.upsert_endpoint(convert::endpoint(endpoint, Some(&self.object), BTreeMap::new()));
        }
        fleet
    }

    /// Plans, carries the plan out, and tells of it.
    fn reconcile(&mut self) {
        self.now += 1;
        let request = self.request();
        let plan = planner::plan(&self.fleet(), &request, Timestamp(self.now));
        let planned = Planned { object: Arc::new(self.object.clone()), request, plan, known: BTreeSet::new() };
        for action in &planned.plan.actions {
            match action {
                Action::Create { placement, replaces, .. } => {
                    self.endpoints.push(created(&planned, placement, replaces.as_deref(), self.now));
                }
                Action::Keep(keep) => self.change(&keep.endpoint, |endpoint| {
                    endpoint.spec = build::kept(&planned, endpoint, keep);
                }),
                Action::Drain { endpoint, deadline, .. } => self.change(endpoint, |endpoint| {
                    endpoint.spec.state = EndpointState::Draining;
                    endpoint.spec.deadline = Some(convert::time(*deadline));
                }),
                Action::Delete { endpoint, .. } => {
                    self.endpoints.retain(|other| other.metadata.name.as_ref() != Some(endpoint));
                }
                Action::Adopt { .. } => {}
            }
        }
        let endpoints: Vec<_> = self.endpoints.iter().cloned().map(Arc::new).collect();
        let now = jiff::Timestamp::from_second(self.now).unwrap();
        self.object.status = Some(status(&self.object, &Stage::Planned(&planned.plan), &endpoints, now));
        self.is_told_truly();
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

    /// What every endpoint's controller says: it serves its newest spec, or it cannot be asked.
    fn endpoints_say(&mut self, ready: &str) {
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
                    status.first_ready_time = Some(convert::api_time(now));
                }
            }
            let mut set = conditions::Conditions::new(&[], endpoint.metadata.generation, now);
            set.set(conditions::READY, ready, reason, "m");
            status.conditions = set.finish();
            endpoint.status = Some(status);
        }
    }

    /// Everything that was decided comes up.
    fn settle(&mut self) {
        for _ in 0..6 {
            self.reconcile();
            self.endpoints_say(conditions::TRUE);
            self.now += 200;
        }
        self.reconcile();
    }

    fn reads(&self, type_: &str) -> String {
        let status = self.object.status.as_ref().unwrap();
        let condition = find(&status.conditions, type_);
        condition.map(|one| format!("{} {}: {}", one.status, one.reason, one.message)).unwrap_or_default()
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
        let live = self.endpoints.iter().filter(|endpoint| endpoint.spec.state == EndpointState::Active);
        let Some(newest) = live.max_by_key(|endpoint| endpoint.metadata.creation_timestamp.clone().map(|time| time.0))
        else {
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
    let created = convert::time(Timestamp(now));
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

fn budget(dollars: u32) -> Value {
    json!({"placement": {"cost": {"maxHourlyCost": format!("{dollars}.00")}}})
}

fn with(mut spec: Value, change: &Value) -> Value {
    merge(&mut spec, change);
    spec
}

#[test]
fn a_scale_up_past_the_budget_is_not_ready_and_says_what_is_wanted_its_cost_and_the_budget() {
    for former in [0, 2] {
        let mut world = World::serving(&with(budget(20), &json!({"replicas": 2})));
        world.edit(&json!({"replicas": former}));
        world.settle();
        world.edit(&json!({"replicas": 5}));
        world.settle();
        let ready = world.reads(conditions::READY);
        assert!(
            ready.starts_with("False OverBudget: 5 replicas would cost $25.00/h, the budget is $20.00/h"),
            "{ready}"
        );
        assert!(ready.contains(&format!("stays at {former}")), "{ready}");
        assert_eq!(ready.matches("would cost $25.00/h").count(), 1, "once: {ready}");
        assert_eq!(kstatus(&world.object), Kstatus::Failed, "no candidate is within the budget");
        world.edit(&budget(25));
        world.settle();
        assert_eq!(kstatus(&world.object), Kstatus::Current, "{}", world.reads(conditions::READY));
    }
}

#[test]
fn a_budget_below_what_runs_is_said_and_more_replicas_beyond_it_are_not_ready() {
    let mut world = World::serving(&json!({"replicas": 2}));
    world.edit(&budget(8));
    world.settle();
    assert!(world.reads(conditions::WITHIN_BUDGET).starts_with("False OverBudget"));
    assert_eq!(kstatus(&world.object), Kstatus::Current, "all that is wanted is served");
    world.edit(&json!({"replicas": 3}));
    world.settle();
    let ready = world.reads(conditions::READY);
    assert!(ready.starts_with("False OverBudget") && ready.contains("3 replicas would cost $15.00/h"), "{ready}");
}

#[test]
fn more_replicas_at_an_unknown_price_are_not_ready_where_a_budget_is_set() {
    let mut world = World::serving(&budget(20));
    for target in world.targets.values_mut() {
        target.offers[0].hourly_price = None;
    }
    for endpoint in &mut world.endpoints {
        endpoint.spec.replica_hourly_cost = None;
    }
    world.edit(&json!({"replicas": 2}));
    world.settle();
    assert!(world.reads(conditions::READY).starts_with("False PriceUnknown"), "{}", world.reads(conditions::READY));
    assert_eq!(kstatus(&world.object), Kstatus::InProgress, "a price may come");
}

#[test]
fn suspended_with_an_edit_waiting_is_not_ready_and_names_what_waits() {
    let cases = [
        (json!({"replicas": 5}), "replicas (5 wanted, 2 kept)"),
        (json!({"serving": {"image": "a:2"}}), "image"),
        (json!({"serving": {"engine": "custom"}}), "engine"),
        (json!({"serving": {"resources": {"requests": {"memory": "900Gi"}}}}), "resources"),
        (json!({"placement": {"jurisdictions": ["EU"]}}), "JurisdictionNotAllowed"),
        (
            json!({"serving": {"shapes": [{"name": "t", "accelerator": {"type": "H100", "count": 1}}]}}),
            "shape s is gone",
        ),
    ];
    for (edit, named) in cases {
        let mut world = World::serving(&json!({"replicas": 2}));
        world.edit(&json!({"suspend": true}));
        world.settle();
        assert!(world.reads(conditions::READY).starts_with("True Suspended"), "{}", world.reads(conditions::READY));
        world.edit(&edit);
        world.settle();
        let ready = world.reads(conditions::READY);
        assert!(ready.starts_with("False Suspended") && ready.contains(named), "{named}: {ready}");
        assert_eq!(kstatus(&world.object), Kstatus::InProgress);
        world.edit(&json!({"suspend": false}));
        world.settle();
        assert!(!world.reads(conditions::READY).contains("Suspended"));
    }
}

#[test]
fn a_finding_gives_the_same_kstatus_whether_something_serves_or_not() {
    let shape = |kind: &str, count: u32| json!({"serving": {"shapes": [{"name": "s", "accelerator": {"type": kind, "count": count}}]}});
    let cases = [
        ("over the budget everywhere", with(budget(20), &json!({"replicas": 5})), Kstatus::Failed),
        ("over the budget, and no room", with(budget(20), &json!({"replicas": 50})), Kstatus::Failed),
        ("no room", json!({"replicas": 50}), Kstatus::InProgress),
        ("no such accelerator", shape("B200", 1), Kstatus::Failed),
        ("more accelerators than an instance has", shape("H100", 8), Kstatus::Failed),
        ("no such jurisdiction", json!({"placement": {"jurisdictions": ["IN"]}}), Kstatus::Failed),
        ("no such cloud", json!({"placement": {"clouds": {"allow": ["azure"]}}}), Kstatus::Failed),
        ("no such capacity type", json!({"placement": {"capacityTypes": ["Spot"]}}), Kstatus::Failed),
        ("no label", json!({"placement": {"targetSelector": {"matchLabels": {"a": "b"}}}}), Kstatus::Failed),
        ("too much memory", json!({"serving": {"resources": {"requests": {"memory": "900Gi"}}}}), Kstatus::InProgress),
    ];
    for (name, edit, expected) in cases {
        let mut new = World::new();
        new.edit(&edit);
        new.settle();
        let mut served = World::serving(&json!({}));
        served.edit(&edit);
        served.settle();
        assert_eq!(kstatus(&new.object), expected, "{name}: new: {}", new.reads(conditions::READY));
        assert_eq!(kstatus(&served.object), expected, "{name}: served: {}", served.reads(conditions::READY));
    }
}

#[test]
fn the_reason_of_a_place_is_placed_however_it_was_chosen() {
    let mut world = World::serving(&json!({}));
    world.edit(&json!({"placement": {"jurisdictions": ["EU"]}}));
    world.settle();
    assert_eq!(kstatus(&world.object), Kstatus::Current, "{}", world.reads(conditions::READY));
    assert!(world.reads(conditions::PLACED).starts_with("True Placed: 1 x 1 H100 on west"));
}

#[derive(Debug, Clone)]
enum Event {
    Edit(Value),
    Target(bool, Change),
    Endpoints(bool),
    Time(i64),
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Ready(bool),
    Price(Option<u64>),
    Taint(bool),
    Nodes(bool),
    Offer(bool),
    Label(bool),
}

fn any_edit() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (0..7).prop_map(|replicas| json!({"replicas": replicas})),
        3 => proptest::option::of(5u32..40).prop_map(|dollars| dollars.map_or_else(|| json!({"placement": {"cost": {"maxHourlyCost": null}}}), budget)),
        1 => prop::sample::select(vec!["1Gi", "300Gi", "900Gi"])
            .prop_map(|memory| json!({"serving": {"resources": {"requests": {"memory": memory}}}})),
        1 => any::<bool>().prop_map(|new| json!({"serving": {"image": if new { "a:2" } else { "a:1" }}})),
        1 => any::<bool>().prop_map(|custom| json!({"serving": {"engine": if custom { "custom" } else { "vllm" }}})),
        1 => prop::sample::select(vec![1, 2, 8]).prop_map(|count| json!({"serving": {"shapes": [{"name": "s", "accelerator": {"type": "H100", "count": count}}]}})),
        1 => any::<bool>().prop_map(|eu| json!({"placement": {"jurisdictions": if eu { json!(["EU"]) } else { Value::Null }}})),
        1 => any::<bool>().prop_map(|prod| json!({"placement": {"targetSelector": if prod { json!({"matchLabels": {"env": "prod"}}) } else { Value::Null }}})),
        1 => any::<bool>().prop_map(|suspend| json!({"suspend": suspend})),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    let change = prop_oneof![
        any::<bool>().prop_map(Change::Ready),
        proptest::option::weighted(0.8, 1u64..20).prop_map(Change::Price),
        any::<bool>().prop_map(Change::Taint),
        any::<bool>().prop_map(Change::Nodes),
        any::<bool>().prop_map(Change::Offer),
        any::<bool>().prop_map(Change::Label),
    ];
    prop_oneof![
        4 => any_edit().prop_map(Event::Edit),
        2 => (any::<bool>(), change).prop_map(|(east, change)| Event::Target(east, change)),
        6 => prop::bool::weighted(0.8).prop_map(Event::Endpoints),
        1 => (1i64..300).prop_map(Event::Time),
    ]
}

impl World {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Edit(edit) => self.edit(&edit),
            Event::Endpoints(ready) => {
                self.endpoints_say(if ready { conditions::TRUE } else { conditions::UNKNOWN });
            }
            Event::Time(seconds) => self.now += seconds,
            Event::Target(east, change) => self.change_target(if east { "east" } else { "west" }, change),
        }
    }

    fn change_target(&mut self, name: &str, change: Change) {
        let (now, fresh) = (Timestamp(self.now), World::new().targets.remove(name).unwrap());
        let target = self.targets.get_mut(name).unwrap();
        match change {
            Change::Ready(true) => target.state = planner::TargetState::Ready,
            Change::Ready(false) => {
                let (reason, message) = ("Unreachable".to_owned(), String::new());
                target.state = planner::TargetState::NotReady { reason, message, since: now };
            }
            Change::Price(price) => {
                let price = price.map(|price| planner::MicroDollars(price * 4_000_000));
                target.offers.iter_mut().for_each(|offer| offer.hourly_price = price);
            }
            Change::Taint(tainted) => {
                let effect = planner::Effect::NoPlacement;
                let taint = planner::Taint { key: "t".to_owned(), value: String::new(), effect };
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn current_means_served_as_wanted_whatever_happens(events in prop::collection::vec(any_event(), 1..30)) {
        let mut world = World::new();
        world.reconcile();
        for event in events {
            world.happen(event);
            world.reconcile();
            world.reconcile();
        }
    }
}
