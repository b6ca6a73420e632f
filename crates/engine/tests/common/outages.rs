//! Outages of the world: targets and endpoints that stop answering, probes that notice it, and an operator that crashes.

use std::collections::BTreeMap;

use roadstead_model::*;

use super::world::{Event, TARGETS, World};
use super::{id, key};

/// Interval of probes of an endpoint that answers, and of one that may have to be replaced.
const AT_REST: u32 = 30;
pub const CLOSE: u32 = 5;
/// The longest until a target's check notices a change.
const CHECK: u32 = 10;
/// The longest random outage.
const LONGEST: u32 = 1_800;
/// Toleration of every deployment.
pub const TOLERATION: u32 = 60;

/// The real outages, and what the operator has seen of them.
#[derive(Debug, Default)]
pub struct Outages {
    /// End of the outage of each target's API.
    api_until: [Timestamp; TARGETS.len()],
    /// End of the outage of the endpoints on each target.
    dark_until: [Timestamp; TARGETS.len()],
    /// One in so many probes has no result; 0 is none.
    pub blind: u32,
    /// Time of each endpoint's next probe.
    probes: BTreeMap<String, Timestamp>,
    /// Time of each endpoint's last answer.
    answered: BTreeMap<String, Timestamp>,
    /// Time of each endpoint's last failed probe by this process.
    failed: BTreeMap<String, Timestamp>,
    /// Replacements of endpoints that failed: the replaced one, the time of its first failed probe, and that of the decision.
    pub failovers: Vec<(String, Timestamp, Timestamp)>,
}

impl World {
    pub fn api_is_down(&self, index: usize) -> bool {
        self.now < self.outages.api_until[index]
    }

    pub fn is_dark(&self, index: usize) -> bool {
        self.now < self.outages.dark_until[index]
    }

    /// The API of a target, its endpoints or both do not answer for so many seconds.
    pub fn cut_off(&mut self, index: usize, api: bool, dark: bool, seconds: u32) {
        let until = self.now.plus(seconds);
        for (concerned, end) in [(api, &mut self.outages.api_until[index]), (dark, &mut self.outages.dark_until[index])]
        {
            if concerned {
                *end = until.max(*end);
            }
        }
        let (begin, end) = (self.below(CHECK), seconds + self.below(CHECK));
        self.after(begin, Event::Check(index));
        self.after(end, Event::Check(index));
    }

    /// A random outage, and the time of the next one.
    pub fn outage(&mut self) {
        if self.quiet {
            return;
        }
        let seconds = 1 + if self.one_in(3) { self.below(LONGEST) } else { self.below(3 * TOLERATION) };
        let index = self.below(4) as usize;
        match self.below(8) {
            0 | 1 => self.cut_off(index, true, false, seconds),
            2 | 3 => self.cut_off(index, false, true, seconds),
            4 => (0..TARGETS.len()).for_each(|index| self.cut_off(index, true, true, seconds)),
            _ => self.cut_off(index, true, true, seconds),
        }
        let pause = seconds / 2 + 60 + self.below(600);
        self.after(pause, Event::Outage);
    }

    /// The check of a target: its state is what it really is, and its endpoints are probed if that changed.
    pub fn check(&mut self, index: usize) {
        let down = self.api_is_down(index);
        let contact = if down { Contact::Silent } else { Contact::Answers };
        if self.places[index].contact == contact {
            return;
        }
        self.places[index].contact = contact;
        self.disturbs(index);
        let since = (!down).then_some(self.now);
        self.places[index].ready_since = since;
        self.places[index].state = if down {
            TargetState::NotReady { reason: "Unreachable".to_owned(), message: String::new(), since: self.now }
        } else {
            TargetState::Ready
        };
        self.tell(index);
        for name in self.records_on(index) {
            self.probe_in(0, &name);
        }
        for owner in self.deployments() {
            self.after(0, Event::Decide(owner));
        }
    }

    pub fn probe_in(&mut self, seconds: u32, name: &str) {
        self.outages.probes.insert(name.to_owned(), self.now.plus(seconds));
        self.after(seconds, Event::Probe(name.to_owned()));
    }

    /// A probe of an endpoint that was ready: its health, by the table of the two witnesses.
    pub fn probe(&mut self, name: &str) {
        if self.outages.probes.get(name) != Some(&self.now) {
            return;
        }
        let Some(endpoint) = self.endpoint(name).filter(|one| one.ever_ready && one.state != EndpointState::Deleting)
        else {
            self.outages.probes.remove(name);
            return;
        };
        let index = self.place_of(&endpoint);
        let answers = !self.is_dark(index) && endpoint.unbound() == 0;
        let blind = self.outages.blind > 0 && self.one_in(self.outages.blind);
        let isolated = self.engine.fleet().is_hub_isolated();
        let health = match (self.places[index].contact, answers) {
            _ if blind => Health::Unknown,
            (Contact::Answers, true) => Health::Healthy,
            (Contact::Answers, false) => Health::Failing,
            (Contact::Silent, true) => Health::Isolated,
            (Contact::Silent, false) if !isolated => Health::Lost,
            _ => Health::Unknown,
        };
        let now = self.now;
        if answers && !blind {
            self.outages.answered.insert(name.to_owned(), now);
        }
        let failing_since = match health {
            Health::Healthy | Health::Isolated => None,
            Health::Unknown if isolated && !blind => None,
            Health::Unknown => endpoint.failing_since,
            Health::Failing | Health::Lost => endpoint.failing_since.or(Some(now)),
        };
        let changed = self.change(name, |one| {
            one.health = health;
            one.failing_since = failing_since;
            one.ready = health == Health::Healthy;
        });
        if changed.is_some() {
            self.record(name);
        }
        // The operator takes in the answer to its own write at once.
        let fails = matches!(health, Health::Failing | Health::Lost);
        let is_new = fails && self.outages.failed.insert(name.to_owned(), now) != Some(now);
        if changed.is_some() || is_new {
            self.show(name);
        }
        let until = failing_since.map(|since| since.plus(TOLERATION)).filter(|until| *until > now);
        let left = until.and_then(|until| u32::try_from(until.since(now)).ok()).filter(|left| *left <= 2 * CLOSE);
        self.probe_in(if health == Health::Healthy { AT_REST } else { left.unwrap_or(CLOSE) }, name);
    }

    /// A record with what this process has seen of it.
    pub fn as_witnessed(&self, endpoint: Endpoint) -> Endpoint {
        Endpoint { failed_at: self.outages.failed.get(&endpoint.name).copied(), ..endpoint }
    }

    /// The operator crashes and starts again: all that it knew is lost, and what was under way is not gone on with.
    pub fn crash(&mut self) {
        self.engine = roadstead_decision_engine::Engine::default();
        self.outages.failed.clear();
        self.forget_writes();
        for index in 0..TARGETS.len() {
            self.places[index].contact = Contact::Pending;
            self.places[index].state =
                TargetState::NotReady { reason: "Unknown".to_owned(), message: String::new(), since: self.now };
            self.tell(index);
            let seconds = 1 + self.below(CHECK);
            self.after(seconds, Event::Check(index));
            for name in self.records_on(index) {
                self.show(&name);
                let seconds = seconds + self.below(3);
                self.probe_in(seconds, &name);
            }
        }
        for name in self.deployments() {
            self.after(1, Event::Decide(name));
        }
        if !self.quiet {
            let pause = 300 + self.below(3_000);
            self.after(pause, Event::Crash);
        }
    }

    /// Fails if an endpoint that fails is replaced without a whole toleration of failed probes.
    pub fn tolerates(&mut self, plan: &Plan) {
        let failover = |reason: Decision| matches!(reason, Decision::TargetLost | Decision::EndpointFailing);
        let replaced = plan.actions.iter().find_map(|action| match action {
            Action::Create { replaces: Some(replaced), reason, .. }
            | Action::Promote { replaces: replaced, reason, .. }
                if failover(*reason) =>
            {
                Some(replaced.clone())
            }
            _ => None,
        });
        let Some(replaced) = replaced else { return };
        let endpoint = self.endpoint(&replaced).unwrap();
        let since = endpoint.failing_since.unwrap_or(self.now);
        let answered = self.outages.answered.get(&replaced).copied().unwrap_or_default();
        assert!(
            answered.plus(TOLERATION) <= self.now,
            "{replaced} answered at {answered} and is replaced at {}: {endpoint:#?}",
            self.now
        );
        self.outages.failovers.push((replaced, since, self.now));
    }

    /// Shows a record to the engine, and has its deployment decided again.
    fn show(&mut self, name: &str) {
        let Some(endpoint) = self.endpoint(name) else { return };
        let owner = endpoint.deployment.name.clone();
        let seen = self.as_witnessed(endpoint);
        self.engine.observe_endpoint(seen);
        self.after(0, Event::Decide(owner));
    }

    /// The one target where a deployment serves.
    pub fn place_where(&self, deployment: &str) -> usize {
        let own = self.engine.fleet().endpoints_of(&id(deployment)).find(|one| one.serves()).unwrap();
        self.place_of(own)
    }

    /// Start of the run of failures of each failing endpoint.
    pub fn failing_since(&self) -> BTreeMap<String, Timestamp> {
        let all = self.deployments().into_iter().flat_map(|name| self.records_of(&name));
        all.filter_map(|name| Some((name.clone(), self.endpoint(&name)?.failing_since?))).collect()
    }

    /// The endpoints of a deployment that the hub has on record.
    pub fn endpoints_of(&self, deployment: &str) -> Vec<Endpoint> {
        let all = self.records_of(deployment);
        all.iter().filter_map(|name| self.engine.fleet().endpoint(&key(name)).cloned()).collect()
    }
}
