//! Random lives of a small fleet: edits, facts and time in any order. Nothing that serves goes before another
//! serves, the pace is kept, planning again changes nothing, and when all is well again everything settles.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;

use common::random::cases;
use common::*;
use proptest::collection::vec;
use proptest::prelude::*;
use roadstead_explain::render_text;
use roadstead_model::*;
use roadstead_planner::*;

const DEPLOYMENTS: usize = 3;
const TARGETS: usize = 4;

/// Something that happens. Numbers pick what it happens to.
#[derive(Debug, Clone)]
enum Event {
    Time(u32),
    Edit(usize, Edit),
    Target(usize, Change),
    Endpoint(usize, Fact),
    Found(usize, usize, u32),
    /// Every endpoint gets one step further: bound, ready, published; or gone, if it is being deleted.
    Progress,
}

#[derive(Debug, Clone, Copy)]
enum Edit {
    Replicas(u32),
    Jurisdiction(bool),
    Shape(u32),
    ShapeName(bool),
    Engine(bool),
    Memory(u64),
    Budget(Option<u64>),
    Suspend(bool),
    Select(bool),
    Premium(u32),
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Ready(bool),
    Price(Option<u64>),
    Taint(bool),
    Offer(bool),
    Namespaces(bool),
    Label(bool),
    MaxInstances(Option<u32>),
    Node(bool),
    Inventory(bool),
    Gone,
}

#[derive(Debug, Clone, Copy)]
enum Fact {
    Bound,
    Ready,
    Published,
    NotReady,
    Failed(FailureKind),
    AnswerBy(u32),
    Unschedulable(bool),
    Confirmed,
}

/// The world: what users asked for, and what is.
struct World {
    fleet: Fleet,
    deployments: Vec<Deployment>,
    targets: Vec<Target>,
    now: Timestamp,
}

const PLACES: [(&str, &str, &str, &str); TARGETS] = [
    ("t0", "aws", "us-east-1", "8"),
    ("t1", "gcp", "europe-west4", "9"),
    ("t2", "azure", "germanywestcentral", "10"),
    ("t3", "aws", "eu-west-2", "11"),
];

impl World {
    fn new() -> Self {
        let targets: Vec<Target> = PLACES
            .iter()
            .map(|(name, cloud, region, price)| Target {
                labels: labels(&[("env", "prod")]),
                ..target(name, cloud, region, price)
            })
            .collect();
        let deployments = (0..DEPLOYMENTS).map(|index| {
            let mut deployment = deployment(&format!("d{index}"));
            deployment.shapes = vec![shape("s", "H100", 2), shape("big", "H100", 4)];
            deployment
        });
        Self { fleet: fleet(targets.clone()), deployments: deployments.collect(), targets, now: NOW }
    }

    fn happen(&mut self, event: &Event) {
        self.now = self.now.plus(1);
        match event {
            Event::Time(seconds) => self.now = self.now.plus(*seconds),
            Event::Edit(index, edit) => self.edit(index % DEPLOYMENTS, *edit),
            Event::Target(index, change) => self.change(index % TARGETS, *change),
            Event::Endpoint(index, fact) => {
                let names: Vec<String> = self.fleet.endpoints().map(|endpoint| endpoint.name.clone()).collect();
                if !names.is_empty() {
                    self.learn(&names[index % names.len()], *fact);
                }
            }
            Event::Progress => self.progress(),
            Event::Found(deployment, place, ready) => {
                self.find(deployment % DEPLOYMENTS, place % TARGETS, *ready);
            }
        }
    }

    fn progress(&mut self) {
        let endpoints: Vec<Endpoint> = self.fleet.endpoints().cloned().collect();
        for endpoint in endpoints {
            let step = match endpoint.state {
                EndpointState::Deleting => Fact::Confirmed,
                _ if endpoint.ready => Fact::Published,
                _ if endpoint.unbound() == 0 => Fact::Ready,
                _ => Fact::Bound,
            };
            self.learn(&endpoint.name, step);
        }
    }

    fn edit(&mut self, index: usize, edit: Edit) {
        let deployment = &mut self.deployments[index];
        match edit {
            Edit::Replicas(replicas) => deployment.replicas = replicas,
            Edit::Jurisdiction(eu) => {
                deployment.rules.jurisdictions = eu.then(|| BTreeSet::from(["EU".to_owned()]));
            }
            Edit::Shape(count) => deployment.shapes[0].accelerator.count = count,
            Edit::ShapeName(same) => deployment.shapes[0].name = if same { "s".into() } else { "z".into() },
            Edit::Engine(vllm) => deployment.engine = if vllm { "vllm".into() } else { "custom".into() },
            Edit::Memory(gib) => deployment.resources.memory_bytes = gib * GIB,
            Edit::Budget(budget) => {
                deployment.max_hourly_cost = budget.map(|budget| MicroDollars(budget * 1_000_000));
            }
            Edit::Suspend(suspended) => deployment.suspended = suspended,
            Edit::Select(prod) => {
                deployment.rules.target_selector = selector(if prod { &[("env", "prod")] } else { &[] });
            }
            Edit::Premium(premium_percent) => {
                deployment.rules.prefer =
                    vec![Preference { name: "p".into(), cloud: Some("azure".into()), region: None, premium_percent }];
            }
        }
    }

    fn change(&mut self, index: usize, change: Change) {
        let name = PLACES[index].0;
        if matches!(change, Change::Gone) {
            self.fleet.remove_target(name);
            return;
        }
        let now = self.now;
        let Some(mut target) = self.fleet.target(name).cloned() else {
            self.fleet.upsert_target(self.targets[index].clone());
            return;
        };
        match change {
            Change::Ready(ready) => target.state = if ready { TargetState::Ready } else { not_ready(now) },
            Change::Price(price) => {
                for offer in &mut target.offers {
                    offer.price = price.map(|price| Price::per_instance_hour(MicroDollars(price * 1_000_000)));
                }
            }
            Change::Taint(tainted) => {
                let taint = Taint { key: "t".into(), value: String::new(), effect: Effect::NoPlacement };
                target.taints = if tainted { vec![taint] } else { vec![] };
            }
            Change::Offer(there) => {
                target.offers = if there { self.targets[index].offers.clone() } else { vec![] };
            }
            Change::Namespaces(all) => target.allowed_namespaces = all.then(LabelSelector::default),
            Change::Label(prod) => {
                target.labels = labels(&[("env", if prod { "prod" } else { "dev" })]);
            }
            Change::MaxInstances(most) => {
                target.offers.iter_mut().for_each(|offer| offer.max_instances = most);
            }
            Change::Node(usable) => {
                target.nodes.iter_mut().flatten().take(1).for_each(|node| node.schedulable = usable);
            }
            Change::Inventory(answered) => {
                target.inventory = if answered { Inventory::Answered } else { Inventory::Pending { since: now } };
            }
            Change::Gone => {}
        }
        self.fleet.upsert_target(target);
    }

    fn learn(&mut self, name: &str, fact: Fact) {
        let Some(endpoint) = self.fleet.endpoint(&key(name)).cloned() else {
            return;
        };
        let now = self.now;
        match fact {
            Fact::Bound if self.fleet.target(&endpoint.target).is_some() => {
                bind(&mut self.fleet, name);
            }
            Fact::Ready if endpoint.unbound() == 0 => change(&mut self.fleet, name, |endpoint| {
                endpoint.ready = true;
                endpoint.ever_ready = true;
                endpoint.failure = None;
                endpoint.answer_by = None;
                endpoint.unschedulable = false;
            }),
            Fact::Published if endpoint.ready && endpoint.published_at.is_none() => {
                change(&mut self.fleet, name, |endpoint| {
                    endpoint.published_at = Some(now);
                });
            }
            Fact::NotReady => change(&mut self.fleet, name, |endpoint| endpoint.ready = false),
            Fact::Failed(kind) if !endpoint.ever_ready => {
                change(&mut self.fleet, name, |endpoint| {
                    endpoint.failure = Some(Failure { kind, since: now });
                });
            }
            Fact::AnswerBy(seconds) => change(&mut self.fleet, name, |endpoint| {
                endpoint.answer_by = Some(now.plus(seconds));
            }),
            Fact::Unschedulable(unschedulable) => change(&mut self.fleet, name, |endpoint| {
                endpoint.unschedulable = unschedulable;
                endpoint.ready &= !unschedulable;
            }),
            Fact::Confirmed if endpoint.state == EndpointState::Deleting => {
                gone(&mut self.fleet, name);
            }
            _ => {}
        }
    }

    fn find(&mut self, index: usize, place: usize, ready_replicas: u32) {
        let id = self.deployments[index].id.clone();
        let target = PLACES[place].0;
        let found = Found {
            name: format!("{}-found-{target}", id.name),
            id: "uid".into(),
            deployment: id,
            target: target.into(),
            offer: "a3".into(),
            shape: "s".into(),
            capacity_type: CapacityType::OnDemand,
            slot: 9,
            accelerators: 2,
            replicas: 2,
            ready_replicas,
            runs: None,
            created_at: self.now,
        };
        // What is on its way out is not found anew.
        if self.fleet.endpoint(&key(&found.name)).is_none() && self.fleet.target(target).is_some() {
            self.fleet.set_found(target, vec![found]);
        }
    }

    /// Plans every deployment in the order of the queue; checks each plan, and puts it in.
    fn plan_all(&mut self) -> bool {
        let mut deployments = self.deployments.clone();
        deployments.sort_by_key(Deployment::queue_key);
        let mut changed = false;
        for deployment in &deployments {
            let plan = checked(&self.fleet, deployment, self.now);
            self.nothing_that_serves_goes_first(deployment, &plan);
            self.carry_out(deployment, &plan);
            let again = checked(&self.fleet, deployment, self.now);
            let adopted = |plan: &Plan| plan.actions.iter().any(|action| matches!(action, Action::Adopt { .. }));
            if !adopted(&plan) {
                self.changes_nothing(deployment, &again, &plan);
            }
            changed |= changes(&plan);
            assert!(self.fleet.replacements_under_way(self.now) <= DEFAULT_MAX_REPLACEMENTS);
        }
        changed
    }

    fn nothing_that_serves_goes_first(&self, deployment: &Deployment, plan: &Plan) {
        let going: Vec<&String> = plan
            .actions
            .iter()
            .filter_map(|action| match action {
                Action::Delete { endpoint, .. } | Action::Drain { endpoint, .. } => Some(endpoint),
                _ => None,
            })
            .collect();
        let serves = self
            .fleet
            .endpoints_of(&deployment.id)
            .any(|one| one.is_active() && one.ready && one.published_at.is_some() && !going.contains(&&one.name));
        for name in going {
            let endpoint = self.fleet.endpoint(&key(name)).unwrap();
            let idle = !endpoint.ready && !endpoint.ever_ready;
            assert!(idle || serves || deployment.replicas == 0, "{name} goes first\n{}", render_text(plan));
        }
    }

    fn carry_out(&mut self, deployment: &Deployment, plan: &Plan) {
        self.fleet.assume(deployment, plan, name_of(deployment));
        for action in &plan.actions {
            match action {
                Action::Delete { exhaust: Some(exhaust), .. } => self.exhaust(exhaust),
                Action::Adopt { found, .. } => self.fleet.set_found(&found.target, vec![]),
                Action::Keep(keep) => change(&mut self.fleet, &keep.endpoint, |endpoint| {
                    // Fewer replicas: pods go; more: it is not ready until they are.
                    while endpoint.bound.values().sum::<u32>() > endpoint.replicas {
                        let node = endpoint.bound.keys().next().unwrap().clone();
                        endpoint.bound.retain(|name, pods| {
                            *name != node || {
                                *pods -= 1;
                                *pods > 0
                            }
                        });
                    }
                    endpoint.ready &= endpoint.unbound() == 0;
                }),
                _ => {}
            }
        }
    }

    fn exhaust(&mut self, exhaust: &Exhaust) {
        let Some(mut target) = self.fleet.target(&exhaust.target).cloned() else {
            return;
        };
        target.exhausted.push(Exhausted {
            offer: exhaust.offer.clone(),
            size: exhaust.size,
            only_for: exhaust.only_for.clone(),
            generation: exhaust.generation,
            until: self.now.plus(60),
            attempts: 1,
            reason: exhaust.reason.clone(),
        });
        self.fleet.upsert_target(target);
    }

    fn changes_nothing(&self, deployment: &Deployment, again: &Plan, before: &Plan) {
        assert!(
            !changes(again),
            "planning {} again changes something\n{}\nthen\n{}",
            deployment.id,
            render_text(before),
            render_text(again)
        );
        for action in &again.actions {
            if let Action::Keep(keep) = action {
                let endpoint = self.fleet.endpoint(&key(&keep.endpoint)).unwrap();
                assert_eq!(keep.replicas, endpoint.replicas, "{}", render_text(again));
            }
        }
    }

    /// Everything works again: what is decided comes up, what goes is confirmed, and time passes.
    fn heal(&mut self) {
        for index in 0..TARGETS {
            let nodes = (0..8).map(|node_index| node(&format!("n{node_index}"), 8)).collect();
            let healed = Target { nodes: Some(nodes), ..self.targets[index].clone() };
            self.fleet.upsert_target(healed);
        }
        let names: Vec<String> = self.fleet.endpoints().map(|endpoint| endpoint.name.clone()).collect();
        for name in names {
            change(&mut self.fleet, &name, |endpoint| endpoint.bound.clear());
        }
        for deployment in &mut self.deployments {
            deployment.suspended = false;
            deployment.max_hourly_cost = None;
            deployment.resources.memory_bytes = GIB;
        }
        for _ in 0..40 {
            let changed = self.plan_all();
            let endpoints: Vec<Endpoint> = self.fleet.endpoints().cloned().collect();
            for endpoint in &endpoints {
                if endpoint.state == EndpointState::Deleting {
                    self.learn(&endpoint.name, Fact::Confirmed);
                } else {
                    change(&mut self.fleet, &endpoint.name, |endpoint| {
                        endpoint.failure = None;
                        endpoint.answer_by = None;
                    });
                    self.learn(&endpoint.name, Fact::Unschedulable(false));
                    self.learn(&endpoint.name, Fact::Bound);
                    self.learn(&endpoint.name, Fact::Ready);
                    self.learn(&endpoint.name, Fact::Published);
                }
            }
            self.now = self.now.plus(130);
            if !changed && endpoints.iter().all(|endpoint| endpoint.is_active() && endpoint.ready) {
                return;
            }
        }
        let left: Vec<_> = self.fleet.endpoints().collect();
        panic!("it does not settle: {left:#?}");
    }

    /// After healing every deployment serves, at one place, that its rules allow.
    fn is_well(&self) {
        for deployment in &self.deployments {
            let endpoints: Vec<&Endpoint> = self.fleet.endpoints_of(&deployment.id).collect();
            if deployment.replicas == 0 {
                assert!(endpoints.len() <= 1 && endpoints.iter().all(|endpoint| endpoint.replicas == 0));
                continue;
            }
            let [endpoint] = endpoints.as_slice() else { panic!("{endpoints:#?}") };
            assert!(endpoint.serves() && endpoint.replicas == deployment.replicas, "{endpoint:#?}");
            assert_eq!(endpoint.engine, deployment.engine);
            let plan = checked(&self.fleet, deployment, self.now);
            assert_eq!(plan.decision, Decision::Unchanged, "{}", render_text(&plan));
            assert!(kept(&plan, &endpoint.name).findings.is_empty(), "{}", render_text(&plan));
        }
    }
}

/// True if a plan does more than keep.
fn changes(plan: &Plan) -> bool {
    plan.actions.iter().any(|action| !matches!(action, Action::Keep(_)))
}

fn any_edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (0u32..7).prop_map(Edit::Replicas),
        any::<bool>().prop_map(Edit::Jurisdiction),
        prop_oneof![Just(1u32), Just(2), Just(4)].prop_map(Edit::Shape),
        any::<bool>().prop_map(Edit::ShapeName),
        any::<bool>().prop_map(Edit::Engine),
        prop_oneof![Just(1u64), Just(64), Just(900)].prop_map(Edit::Memory),
        proptest::option::of(1u64..20).prop_map(Edit::Budget),
        prop::bool::weighted(0.2).prop_map(Edit::Suspend),
        any::<bool>().prop_map(Edit::Select),
        (0u32..60).prop_map(Edit::Premium),
    ]
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<bool>().prop_map(Change::Ready),
        proptest::option::weighted(0.8, 1u64..20).prop_map(Change::Price),
        any::<bool>().prop_map(Change::Taint),
        any::<bool>().prop_map(Change::Offer),
        any::<bool>().prop_map(Change::Namespaces),
        any::<bool>().prop_map(Change::Label),
        proptest::option::of(0u32..3).prop_map(Change::MaxInstances),
        any::<bool>().prop_map(Change::Node),
        any::<bool>().prop_map(Change::Inventory),
        Just(Change::Gone),
    ]
}

fn any_fact() -> impl Strategy<Value = Fact> {
    prop_oneof![
        4 => Just(Fact::Bound),
        4 => Just(Fact::Ready),
        4 => Just(Fact::Published),
        1 => Just(Fact::NotReady),
        1 => Just(Fact::Failed(FailureKind::CapacityExhausted)),
        1 => Just(Fact::Failed(FailureKind::StartupTimeout)),
        1 => Just(Fact::Failed(FailureKind::NameConflict)),
        1 => Just(Fact::Failed(FailureKind::AdmissionRefused)),
        1 => (0u32..100).prop_map(Fact::AnswerBy),
        1 => any::<bool>().prop_map(Fact::Unschedulable),
        2 => Just(Fact::Confirmed),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (1u32..200).prop_map(Event::Time),
        5 => (0usize..DEPLOYMENTS, any_edit()).prop_map(|(index, edit)| Event::Edit(index, edit)),
        3 => (0usize..TARGETS, any_change()).prop_map(|(index, change)| Event::Target(index, change)),
        8 => Just(Event::Progress),
        4 => (0usize..16, any_fact()).prop_map(|(index, fact)| Event::Endpoint(index, fact)),
        1 => (0usize..DEPLOYMENTS, 0usize..TARGETS, 0u32..3).prop_map(|(a, b, ready)| Event::Found(a, b, ready)),
    ]
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn nothing_is_lost_whatever_happens(events in vec(any_event(), 1..60)) {
        let mut world = World::new();
        world.plan_all();
        for event in &events {
            world.happen(event);
            world.plan_all();
        }
        world.heal();
        world.is_well();
    }
}
