//! A hub, its members and their users in virtual time: everything that happens is drawn from one seed.
//!
//! Writes take time, some are refused and some answers are lost; watches show the past; pods bind where there is room,
//! start and serve; users edit, and places fail and come back.

use std::collections::{BTreeMap, BTreeSet};

use roadstead_decision_engine::{Engine, Listing};
use roadstead_model::*;

use super::homes::Homes;
use super::outages::Outages;
use super::{BEGIN, deployment, id, key, name_of, target};

const DEPLOYMENTS: usize = 16;
pub const TARGETS: [(&str, &str, &str, u64); 4] = [
    ("east", "aws", "us-east-1", 80),
    ("west", "aws", "us-west-2", 84),
    ("europe", "gcp", "europe-west4", 88),
    ("berlin", "azure", "germanywestcentral", 90),
];
const NODES: usize = 6;

/// Random numbers of a seed.
pub struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).unwrap()
    }

    fn one_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }
}

/// Something that happens at its time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A deployment's turn in the queue.
    Decide(String),
    /// The next write of a deployment's plan lands.
    Write(String),
    /// A watch shows a record as it was when this was sent; `None` is gone.
    Shown(String, u64),
    /// A target tells what runs there.
    Told(usize),
    /// A record's pods bind, its endpoint answers, its address is published, its pods end.
    Bind(String),
    Ready(String),
    Publish(String),
    End(String),
    /// A record's endpoint is probed, a target is checked.
    Probe(String),
    Check(usize),
    /// A user edits a deployment; something fails for a while; the operator crashes.
    Edit,
    Outage,
    Crash,
}

/// A record on the hub, with what its controller said of it.
#[derive(Debug, Clone)]
struct Record {
    endpoint: Endpoint,
    version: u64,
}

/// The world.
pub struct World {
    pub engine: Engine,
    pub now: Timestamp,
    pub steps: u64,
    pub decisions: u64,
    pub moves: u64,
    /// Standbys that took over.
    pub promotions: u64,
    /// A digest of everything that happened.
    pub digest: u64,
    pub quiet: bool,
    pub places: Vec<Target>,
    pub outages: Outages,
    pub homes: Homes,
    chance: Chance,
    queue: BTreeMap<(Timestamp, u64), Event>,
    pending: BTreeSet<Event>,
    requests: BTreeMap<String, Deployment>,
    records: BTreeMap<String, Record>,
    history: BTreeMap<(String, u64), Option<Endpoint>>,
    writes: BTreeMap<String, (Plan, usize)>,
    unanswered: BTreeMap<String, Timestamp>,
    sequence: u64,
    version: u64,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let places = TARGETS.map(|(name, cloud, region, price)| target(name, cloud, region, price, NODES));
        let mut world = Self {
            engine: Engine::default(),
            now: BEGIN,
            steps: 0,
            decisions: 0,
            moves: 0,
            promotions: 0,
            digest: seed,
            quiet: false,
            places: places.into(),
            outages: Outages::default(),
            homes: Homes::default(),
            chance: Chance(seed | 1),
            queue: BTreeMap::new(),
            pending: BTreeSet::new(),
            requests: BTreeMap::new(),
            records: BTreeMap::new(),
            history: BTreeMap::new(),
            writes: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            sequence: 0,
            version: 0,
        };
        for index in 0..TARGETS.len() {
            world.tell(index);
        }
        for index in 0..DEPLOYMENTS {
            let name = format!("d{index}");
            let replicas = 1 + world.chance.below(4);
            // Every other one may be divided, and every fourth removes first.
            let (divisible, removes_first) = (index % 2 == 1, index % 4 == 2);
            let standby_replicas = if divisible { world.chance.below(3) } else { 0 };
            let request = Deployment { divisible, removes_first, standby_replicas, ..deployment(&name, replicas) };
            world.requests.insert(name.clone(), request);
            world.after(index.try_into().unwrap(), Event::Decide(name));
        }
        world.after(60, Event::Edit);
        world.after(600, Event::Outage);
        world.after(1_000, Event::Crash);
        world
    }

    pub fn below(&mut self, bound: u32) -> u32 {
        self.chance.below(bound)
    }

    pub fn one_in(&mut self, times: u32) -> bool {
        self.chance.one_in(times)
    }

    pub fn after(&mut self, seconds: u32, event: Event) {
        if matches!(event, Event::Decide(_)) && !self.pending.insert(event.clone()) {
            return;
        }
        self.sequence += 1;
        self.queue.insert((self.now.plus(seconds), self.sequence), event);
    }

    /// Lets so many seconds pass.
    pub fn run(&mut self, seconds: u32) {
        let end = self.now.plus(seconds);
        while let Some(((at, _), _)) = self.queue.first_key_value() {
            if *at > end {
                break;
            }
            let ((at, _), event) = self.queue.pop_first().unwrap();
            self.now = at;
            self.steps += 1;
            self.digest = self.digest.rotate_left(5) ^ u64::try_from(at.0).unwrap() ^ self.version;
            self.happen(event);
        }
        self.now = end;
    }

    /// Stops all edits and failures.
    pub fn calm(&mut self) {
        self.quiet = true;
        self.outages.blind = 0;
        for name in self.records.keys().cloned().collect::<Vec<_>>() {
            self.after(60, Event::Ready(name));
        }
        for request in self.requests.values_mut() {
            request.rules.jurisdictions = None;
        }
        for name in self.requests.keys().cloned().collect::<Vec<_>>() {
            self.after(1, Event::Decide(name));
        }
    }

    fn happen(&mut self, event: Event) {
        self.pending.remove(&event);
        match event {
            Event::Decide(name) => self.decide(&name),
            Event::Write(name) => self.write(&name),
            Event::Shown(name, version) => self.shown(&name, version),
            Event::Told(index) => self.tell(index),
            Event::Bind(name) => self.bind(&name),
            Event::Ready(name) => self.ready(&name),
            Event::Publish(name) => self.publish(&name),
            Event::End(name) => self.end(&name),
            Event::Probe(name) => self.probe(&name),
            Event::Check(index) => self.check(index),
            Event::Edit => self.edit(),
            Event::Outage => self.outage(),
            Event::Crash => self.crash(),
        }
    }

    fn decide(&mut self, name: &str) {
        // What became of a write without an answer shows on the watch before it is decided again.
        let unanswered = self.unanswered.get(name).is_some_and(|until| self.now < *until);
        if self.writes.contains_key(name) || unanswered {
            return self.after(1, Event::Decide(name.to_owned()));
        }
        let failback = self.failback(name);
        let request = Deployment { failback, ..self.requests[name].clone() };
        let decided = self.engine.decide(&request, self.now, name_of(&request));
        let decided = decided.unwrap_or_else(|unsound| panic!("{name}: {:?}", unsound.violations));
        assert!(decided.warnings.is_empty(), "{name}: {:?}", decided.warnings);
        self.decisions += 1;
        self.goes_in_order(name, &decided.plan);
        self.tolerates(&decided.plan);
        self.returns(name, &decided.plan);
        for other in decided.again {
            self.after(0, Event::Decide(other.name));
        }
        if let Some(at) = decided.plan.recheck_at {
            self.after(u32::try_from(at.since(self.now)).unwrap(), Event::Decide(name.to_owned()));
        }
        self.writes.insert(name.to_owned(), (decided.plan, 0));
        let latency = self.chance.below(3);
        self.after(latency, Event::Write(name.to_owned()));
    }

    /// Fails if a serving endpoint is removed before another one serves (invariant I3).
    fn goes_in_order(&self, name: &str, plan: &Plan) {
        let going = |one: &str| {
            plan.actions.iter().any(|action| match action {
                Action::Drain { endpoint, .. } | Action::Delete { endpoint, .. } => endpoint == one,
                _ => false,
            })
        };
        let own = || self.records.values().map(|record| &record.endpoint).filter(|one| one.deployment.name == *name);
        let serves = own().any(|one| one.is_active() && one.serves() && !going(&one.name));
        let lost = own().any(|one| one.is_active() && one.serves() && going(&one.name));
        let request = &self.requests[name];
        assert!(serves || !lost || request.replicas == 0 || request.removes_first, "{name} goes first: {plan:#?}");
    }

    fn write(&mut self, name: &str) {
        let Some((plan, done)) = self.writes.get(name).cloned() else { return };
        let Some(action) = plan.actions.get(done) else {
            self.writes.remove(name);
            return self.engine.ended(&id(name));
        };
        // Refused, or the answer is lost: the plan ends here, and is made anew.
        let (refused, lost) = (self.chance.one_in(50), self.chance.one_in(50));
        if !refused {
            self.land(name, action, plan.decided_at, !lost);
        }
        if refused || lost {
            self.writes.remove(name);
            if refused {
                self.engine.ended(&id(name));
            } else {
                self.unanswered.insert(name.to_owned(), self.now.plus(5));
            }
            return self.after(5, Event::Decide(name.to_owned()));
        }
        self.writes.insert(name.to_owned(), (plan, done + 1));
        let latency = self.chance.below(2);
        self.after(latency, Event::Write(name.to_owned()));
    }

    fn land(&mut self, name: &str, action: &Action, at: Timestamp, answered: bool) {
        let request = self.requests[name].clone();
        let written = match action {
            Action::Create { placement, replaces, stands_by, reason } => {
                let is_alone = !self.requests[name].removes_first || self.records_of(name).is_empty();
                assert!(is_alone, "{name} has two: {action:?}");
                let endpoint = name_of(&request)(placement);
                if self.records.contains_key(&endpoint) {
                    return;
                }
                self.moves += u64::from(replaces.is_some());
                self.originates(&endpoint, *reason, replaces.as_deref());
                let mut made = Endpoint::planned(endpoint.clone(), &request, placement, replaces.clone(), at);
                if *stands_by {
                    made.state = EndpointState::Standby;
                }
                self.records.insert(endpoint.clone(), Record { endpoint: made, version: 0 });
                let delay = 1 + self.chance.below(5);
                self.after(delay, Event::Bind(endpoint.clone()));
                Some(endpoint)
            }
            Action::Keep(keep) => self.change(&keep.endpoint, |one| one.replicas = keep.replicas),
            Action::Drain { endpoint, deadline, .. } => {
                self.change(endpoint, |one| one.state = EndpointState::Draining { deadline: *deadline })
            }
            Action::Delete { endpoint, .. } => {
                let deleted = self.change(endpoint, |one| one.state = EndpointState::Deleting);
                let delay = 2 + self.chance.below(20);
                self.after(delay, Event::End(endpoint.clone()));
                deleted
            }
            Action::Promote { endpoint, replaces, reason } => {
                self.promotions += 1;
                self.originates(endpoint, *reason, Some(replaces));
                self.change(endpoint, |one| {
                    one.state = EndpointState::Active;
                    one.replaces = Some(replaces.clone());
                    one.promoted_at = Some(at);
                })
            }
            Action::Adopt { .. } => None,
        };
        let Some(written) = written else { return };
        self.has_one_for_each_place(name);
        self.record(&written);
        if let Some(record) = self.records.get(&written).filter(|_| answered) {
            let seen = self.as_witnessed(record.endpoint.clone());
            self.engine.observe_endpoint(seen);
            self.engine.answered(&key(&written));
        }
        if matches!(action, Action::Keep(_)) {
            let delay = 1 + self.chance.below(5);
            self.after(delay, Event::Bind(written));
        }
    }

    /// Fails if two endpoints of a deployment are at one place (invariant I1), or more are there than a move needs. A part of a
    /// divided deployment may take over from another one at its side.
    fn has_one_for_each_place(&self, deployment: &str) {
        if self.requests[deployment].divisible {
            return;
        }
        let own = self.records.values().map(|record| &record.endpoint);
        let own: Vec<&Endpoint> = own.filter(|one| one.deployment.name == deployment && one.is_active()).collect();
        let places: BTreeSet<_> = own.iter().map(|one| &one.target).collect();
        assert_eq!(places.len(), own.len(), "{deployment} is twice at one place: {own:#?}");
        assert!(own.len() <= 2, "{deployment} has more than a move needs: {own:#?}");
    }

    /// Changes a record; its name if that changes anything.
    pub fn change(&mut self, name: &str, change: impl FnOnce(&mut Endpoint)) -> Option<String> {
        let record = self.records.get_mut(name)?;
        let before = record.endpoint.clone();
        change(&mut record.endpoint);
        if record.endpoint.replicas != before.replicas {
            record.endpoint.ready &= record.endpoint.replicas < before.replicas;
        }
        (record.endpoint != before).then(|| name.to_owned())
    }

    /// The hub has a new version of a record, which watches show a little later.
    pub fn record(&mut self, name: &str) {
        self.version += 1;
        let version = self.version;
        if let Some(record) = self.records.get_mut(name) {
            record.version = version;
        }
        let endpoint = self.records.get(name).map(|record| record.endpoint.clone());
        self.history.insert((name.to_owned(), version), endpoint);
        let delay = self.chance.below(4);
        self.after(delay, Event::Shown(name.to_owned(), version));
    }

    /// A watch shows versions in their order; one that an answer has overtaken is not shown any more, but what an
    /// endpoint's controller said meanwhile shows the record from before a write in flight.
    fn shown(&mut self, name: &str, version: u64) {
        let shown = self.history.remove(&(name.to_owned(), version));
        let newest = self.records.get(name).map_or(version, |record| record.version);
        match shown {
            Some(Some(endpoint)) if version == newest => {
                let seen = self.as_witnessed(endpoint);
                self.engine.observe_endpoint(seen);
            }
            Some(None) if !self.records.contains_key(name) => self.engine.observe_endpoint_gone(&key(name)),
            _ => {}
        }
        let owner = name.split('-').next().unwrap().to_owned();
        self.after(0, Event::Decide(owner));
    }

    pub fn place_of(&self, endpoint: &Endpoint) -> usize {
        self.places.iter().position(|place| place.name == endpoint.target).unwrap()
    }

    /// The scheduler of a member binds pods at random where they fit; every replica that was decided finds its room.
    fn bind(&mut self, name: &str) {
        let Some(record) = self.records.get(name) else { return };
        let mut endpoint = record.endpoint.clone();
        if endpoint.state == EndpointState::Deleting {
            return;
        }
        let index = self.place_of(&endpoint);
        while endpoint.bound_pods() > endpoint.replicas {
            let node = endpoint.bound.keys().next().unwrap().clone();
            self.free(index, &node, &endpoint, 1);
            endpoint.bound.entry(node).and_modify(|pods| *pods -= 1);
            endpoint.bound.retain(|_, pods| *pods > 0);
        }
        while endpoint.unbound() > 0 {
            let fits = |node: &&Node| node.free_accelerators["nvidia.com/gpu"] >= endpoint.accelerator.count;
            let open: Vec<String> =
                self.places[index].nodes.iter().flatten().filter(fits).map(|node| node.name.clone()).collect();
            assert!(!open.is_empty(), "{name} was promised room on {} that is not there", endpoint.target);
            let node = open[self.chance.below(open.len().try_into().unwrap()) as usize].clone();
            self.free(index, &node, &endpoint, -1);
            *endpoint.bound.entry(node).or_default() += 1;
        }
        self.change(name, |one| one.bound = endpoint.bound);
        self.after(1, Event::Told(index));
        let start = 30 + self.chance.below(200);
        self.after(start, Event::Ready(name.to_owned()));
    }

    /// Gives the accelerators of so many pods back to a node.
    fn free(&mut self, place: usize, node: &str, endpoint: &Endpoint, pods: i64) {
        let nodes = self.places[place].nodes.iter_mut().flatten();
        for node in nodes.filter(|one| one.name == *node) {
            let free = node.free_accelerators.get_mut("nvidia.com/gpu").unwrap();
            let changed = i64::from(*free) + pods * i64::from(endpoint.accelerator.count);
            *free = changed.try_into().unwrap();
            assert!(*free <= 8);
        }
    }

    fn ready(&mut self, name: &str) {
        let Some(record) = self.records.get(name) else { return };
        let index = self.place_of(&record.endpoint);
        if record.endpoint.ready || record.endpoint.unbound() > 0 {
            return;
        }
        if self.is_dark(index) || self.places[index].contact != Contact::Answers {
            return self.after(20, Event::Ready(name.to_owned()));
        }
        self.change(name, |one| {
            one.ready = true;
            one.ever_ready = true;
            one.health = Health::Healthy;
            one.failing_since = None;
        });
        self.record(name);
        self.probe_in(0, name);
        self.after(1, Event::Publish(name.to_owned()));
    }

    fn publish(&mut self, name: &str) {
        let now = self.now;
        if self.change(name, |one| one.published_at = one.published_at.or(Some(now))).is_some() {
            self.record(name);
        }
    }

    fn end(&mut self, name: &str) {
        let Some(record) = self.records.get(name) else { return };
        let index = self.place_of(&record.endpoint);
        if self.api_is_down(index) {
            return self.after(60, Event::End(name.to_owned()));
        }
        let endpoint = self.records.remove(name).unwrap().endpoint;
        for (node, pods) in &endpoint.bound {
            self.free(index, node, &endpoint, i64::from(*pods));
        }
        self.tell(index);
        self.record(name);
    }

    /// A target tells its nodes and where pods are bound.
    pub fn tell(&mut self, index: usize) {
        let place = self.places[index].clone();
        let here = self.records.values().map(|record| &record.endpoint).filter(|one| one.target == place.name);
        let bound = here.map(|one| (one.name.clone(), one.bound.clone())).collect();
        if self.engine.observe_target(place, Some(Listing { found: Vec::new(), bound })) {
            for other in self.engine.unsettled(self.now) {
                self.after(0, Event::Decide(other.name));
            }
        }
    }

    fn edit(&mut self) {
        if self.quiet {
            return;
        }
        let name = format!("d{}", self.chance.below(DEPLOYMENTS.try_into().unwrap()));
        let request = self.requests.get_mut(&name).unwrap();
        if self.chance.one_in(3) {
            let eu = self.chance.one_in(2);
            request.rules.jurisdictions = eu.then(|| BTreeSet::from(["EU".to_owned()]));
        } else if request.divisible && self.chance.one_in(2) {
            if self.chance.one_in(2) {
                request.standby_replicas = self.chance.below(3);
            } else {
                let min_domains = self.chance.below(4);
                request.spread = Some(SpreadRule { topology: Topology::Region, min_domains });
            }
        } else {
            request.replicas = self.chance.below(6);
        }
        self.after(0, Event::Decide(name));
        let pause = 20 + self.chance.below(60);
        self.after(pause, Event::Edit);
    }

    /// The names of all deployments, of the records on a target, and of those of a deployment.
    pub fn deployments(&self) -> Vec<String> {
        self.requests.keys().cloned().collect()
    }

    pub fn records_on(&self, index: usize) -> Vec<String> {
        let here = self.records.values().map(|record| &record.endpoint).filter(|one| self.place_of(one) == index);
        here.map(|one| one.name.clone()).collect()
    }

    pub fn records_of(&self, deployment: &str) -> Vec<String> {
        let own = self.records.values().map(|record| &record.endpoint);
        own.filter(|one| one.deployment.name == deployment).map(|one| one.name.clone()).collect()
    }

    /// A record as the hub has it.
    pub fn endpoint(&self, name: &str) -> Option<Endpoint> {
        self.records.get(name).map(|record| record.endpoint.clone())
    }

    /// No write is under way any more.
    pub fn forget_writes(&mut self) {
        self.writes.clear();
    }

    /// The replicas that are divided, or have been.
    pub fn divided(&self) -> usize {
        let parts = |name: &String| self.records.values().filter(|one| one.endpoint.deployment.name == *name).count();
        self.requests.keys().filter(|name| parts(name) > 1).count()
    }

    /// Every deployment serves with all its replicas at one place, or as many as it wants, and nothing else is there.
    pub fn is_settled(&self) {
        for (name, request) in &self.requests {
            let own: Vec<&Endpoint> = self
                .records
                .values()
                .map(|record| &record.endpoint)
                .filter(|one| one.deployment.name == *name)
                .collect();
            if request.divisible && request.replicas > 0 {
                is_divided_as_wanted(request, &own);
                continue;
            }
            let [one] = own.as_slice() else {
                assert!(request.replicas == 0 && own.is_empty(), "{name}: {own:#?}");
                continue;
            };
            assert_eq!(one.replicas, request.replicas, "{name}: {one:#?}");
            assert!(request.replicas == 0 || one.serves(), "{name}: {one:#?}");
            let known = self.engine.fleet().endpoint(&one.key()).cloned();
            assert_eq!(known, Some(self.as_witnessed((*one).clone())), "the engine knows what is so");
        }
    }
}

/// A divided deployment serves with all its replicas in as many domains as it wants.
fn is_divided_as_wanted(request: &Deployment, own: &[&Endpoint]) {
    let (standbys, own): (Vec<&Endpoint>, Vec<&Endpoint>) = own.iter().partition(|one| one.stands_by());
    is_stood_by_as_wanted(request, &standbys, &own);
    let replicas: u32 = own.iter().map(|one| one.replicas).sum();
    assert_eq!(replicas, request.replicas, "{own:#?}");
    assert!(own.iter().all(|one| one.serves() && (one.replicas > 0 || own.len() == 1)), "{own:#?}");
    let domains: BTreeSet<&str> = own.iter().map(|one| one.target.as_str()).collect();
    let wanted = request.spread.map_or(0, |spread| spread.min_domains.min(request.replicas));
    assert!(domains.len() >= wanted as usize, "{wanted} domains: {own:#?}");
}

/// One standby at most, in another region than what serves, with the replicas that are wanted.
fn is_stood_by_as_wanted(request: &Deployment, standbys: &[&Endpoint], serving: &[&Endpoint]) {
    assert!(standbys.len() <= 1, "{standbys:#?}");
    for standby in standbys {
        assert_eq!(standby.replicas, request.wanted_standby(), "{standby:#?}");
        assert!(
            standby.serves() && serving.iter().all(|one| one.target != standby.target),
            "{standby:#?}, {serving:#?}"
        );
    }
}
