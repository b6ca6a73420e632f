//! A plan that is being made.

use std::collections::BTreeSet;

use roadstead_model::{
    Action, Allocation, Decision, Endpoint, EndpointState, Exhaust, Found, Keep, MicroDollars, Phase, Placement,
    Removal, Role, Summary, Timestamp, Wait,
};

use super::existing::Existing;
use crate::candidates::{Candidates, Question};
use crate::cost::cost_of;
use crate::report::Chosen;

/// A plan that is being made.
#[derive(Debug, Clone)]
pub(super) struct Draft<'a> {
    /// Input of the judgement.
    pub(super) question: Question<'a>,
    /// Existing endpoints.
    pub(super) existing: Existing<'a>,
    /// Actions so far.
    pub(super) actions: Vec<Action>,
    /// Wanted allocations so far, one for each action.
    allocations: Vec<Allocation>,
    /// Waits so far.
    pub(super) waits: Vec<Wait>,
    /// Earliest time that changes the plan, if known.
    pub(super) recheck_at: Option<Timestamp>,
    removed: BTreeSet<&'a str>,
    promoted: BTreeSet<&'a str>,
}

/// Result of a step.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    /// The sum.
    pub(super) decision: Decision,
    /// The sum with names and numbers.
    pub(super) summary: Summary,
    /// The places chosen or kept.
    pub(super) chosen: Vec<Chosen<'a>>,
    /// The candidates, as they were judged, if a place was looked for.
    pub(super) candidates: Option<Candidates<'a>>,
}

impl<'a> Draft<'a> {
    /// Nothing is decided yet.
    pub(super) const fn new(question: Question<'a>, existing: Existing<'a>) -> Self {
        Self {
            question,
            existing,
            actions: Vec::new(),
            allocations: Vec::new(),
            waits: Vec::new(),
            recheck_at: None,
            removed: BTreeSet::new(),
            promoted: BTreeSet::new(),
        }
    }

    /// The wanted allocations: endpoints that no action names stay as they are.
    pub(super) fn allocations(&self) -> Vec<Allocation> {
        let mut all = self.allocations.clone();
        for (endpoint, role) in self.existing.roles() {
            if !all.iter().any(|allocation| allocation.is_of(&endpoint.name, endpoint.slot)) {
                all.push(Allocation::of(endpoint, role, endpoint.replicas));
            }
        }
        all.sort_by_key(|allocation| (allocation.role, allocation.slot));
        all
    }

    /// Time changes the plan at `at`, unless that is past.
    pub(super) fn look_again(&mut self, at: Timestamp) {
        if at > self.question.now {
            self.recheck_at = Some(self.recheck_at.map_or(at, |earlier| earlier.min(at)));
        }
    }

    /// Decides something under another question, and returns to this one.
    pub(super) fn asking<T>(&mut self, question: Question<'a>, decide: impl FnOnce(&mut Self) -> T) -> T {
        let own = std::mem::replace(&mut self.question, question);
        let decided = decide(self);
        self.question = own;
        decided
    }

    /// Leaves the rest to the next plan, at once: the fleet does not show yet what this plan takes.
    pub(super) fn decide_again(&mut self) {
        self.look_again(self.question.now.plus(1));
    }

    /// True if the plan creates an endpoint.
    pub(super) fn has_created(&self) -> bool {
        self.actions.iter().any(|action| matches!(action, Action::Create { .. }))
    }

    /// True if the plan creates an endpoint or lets one grow: what the rest needs may be taken.
    pub(super) fn takes_room(&self) -> bool {
        self.has_created() || self.growing().next().is_some()
    }

    /// True if an endpoint that is to take over grows.
    pub(super) fn successor_grows(&self) -> bool {
        self.growing().any(|endpoint| self.existing.role_of(endpoint) == Role::Replacement)
    }

    /// The endpoints that get more replicas.
    fn growing(&self) -> impl Iterator<Item = &'a Endpoint> {
        let wanted = |name: &str| {
            let kept = |action: &Action| match action {
                Action::Keep(keep) if keep.endpoint == name => Some(keep.replicas),
                _ => None,
            };
            self.actions.iter().find_map(kept)
        };
        self.existing
            .all()
            .filter(move |endpoint| wanted(&endpoint.name).is_some_and(|wanted| wanted > endpoint.replicas))
    }

    /// True if the plan removes an endpoint.
    pub(super) fn is_removed(&self, endpoint: &Endpoint) -> bool {
        self.removed.contains(endpoint.name.as_str())
    }

    /// True if the plan lets a standby take over.
    pub(super) fn is_promoted(&self, endpoint: &Endpoint) -> bool {
        self.promoted.contains(endpoint.name.as_str())
    }

    /// A standby that serves, which could take over.
    pub(super) fn ready_standby(&self) -> Option<&'a Endpoint> {
        let mut standbys = self.existing.standbys().iter().copied();
        standbys.find(|standby| standby.serves() && !self.is_promoted(standby) && !self.is_removed(standby))
    }

    /// True if an endpoint may go without a loss: it never was ready, or another one serves in its stead, or nothing is
    /// to be served.
    pub(super) fn may_go(&self, endpoint: &Endpoint) -> bool {
        !endpoint.ever_ready
            || self.question.deployment.replicas == 0
            || (self.question.deployment.removes_first && !endpoint.is_active())
            || self.existing.all().any(|other| {
                other.name != endpoint.name && other.is_active() && other.serves() && !self.is_removed(other)
            })
    }

    /// Requests the deletion of an endpoint that may go.
    pub(super) fn delete(&mut self, endpoint: &'a Endpoint, reason: Removal, exhaust: Option<Exhaust>) {
        self.removed.insert(&endpoint.name);
        // What failed was made for the generation that was decided about last: an edit since may be the cure.
        let generation = self.question.deployment.decided.generation;
        let exhaust = exhaust.map(|refusal| match refusal.only_for {
            Some(_) => Exhaust { generation, ..refusal },
            None => refusal,
        });
        let allocation = Allocation::of(endpoint, Role::Draining, endpoint.replicas);
        self.allocations.push(Allocation { phase: Phase::Ending, ..allocation });
        self.actions.push(Action::Delete { endpoint: endpoint.name.clone(), reason, exhaust });
    }

    /// Lets an endpoint that may go serve until the deadline, or go now if that is past.
    pub(super) fn retire(&mut self, endpoint: &'a Endpoint, deadline: Timestamp, reason: Removal) {
        if deadline <= self.question.now {
            self.delete(endpoint, reason, None);
            return;
        }
        self.removed.insert(&endpoint.name);
        self.allocations.push(Allocation::of(endpoint, Role::Draining, endpoint.replicas));
        self.actions.push(Action::Drain { endpoint: endpoint.name.clone(), deadline, reason });
        self.await_deadline(endpoint, deadline);
    }

    /// Waits for the deadline of an endpoint that drains.
    pub(super) fn await_deadline(&mut self, endpoint: &Endpoint, deadline: Timestamp) {
        self.waits.push(Wait::DrainDeadline { endpoint: endpoint.name.clone(), deadline });
        self.look_again(deadline);
    }

    /// Keeps an endpoint in its role.
    pub(super) fn keep(&mut self, endpoint: &Endpoint, keep: Keep) {
        let role = self.existing.role_of(endpoint);
        self.allocations.push(Allocation::of(endpoint, role, keep.replicas));
        self.actions.push(Action::Keep(keep));
    }

    /// Creates an endpoint, which serves or is to take over from `replaces`.
    pub(super) fn create(&mut self, placement: Placement, replaces: Option<&Endpoint>, reason: Decision) {
        let role = if replaces.is_some() { Role::Replacement } else { Role::Serving };
        self.allocations.push(Allocation::planned(&placement, role));
        let replaces = replaces.map(|endpoint| endpoint.name.clone());
        self.actions.push(Action::Create { placement, replaces, stands_by: false, reason });
    }

    /// Creates an endpoint that stands by.
    pub(super) fn create_standby(&mut self, placement: Placement) {
        self.allocations.push(Allocation::planned(&placement, Role::Standby));
        let reason = Decision::StandbyPlaced;
        self.actions.push(Action::Create { placement, replaces: None, stands_by: true, reason });
    }

    /// Lets a standby take over from another endpoint.
    pub(super) fn promote(&mut self, standby: &'a Endpoint, from: &Endpoint, reason: Decision) {
        self.promoted.insert(&standby.name);
        self.allocations.push(Allocation::of(standby, Role::Replacement, standby.replicas));
        let (endpoint, replaces) = (standby.name.clone(), from.name.clone());
        self.actions.push(Action::Promote { endpoint, replaces, reason });
    }

    /// Records what was found, in a state.
    pub(super) fn adopt(&mut self, found: &Found, state: EndpointState) {
        let role = match state {
            EndpointState::Active => Role::Serving,
            EndpointState::Standby => Role::Standby,
            EndpointState::Draining { .. } | EndpointState::Deleting => Role::Draining,
        };
        self.allocations.push(Allocation::adopted(found, role));
        self.actions.push(Action::Adopt { found: found.clone(), state });
    }

    /// Hourly cost of an endpoint with `replicas`.
    pub(super) fn cost_of(&self, endpoint: &Endpoint, replicas: u32) -> Option<MicroDollars> {
        let entry = self.question.fleet.entry(&endpoint.target);
        let offer = entry.and_then(|entry| entry.offer(&endpoint.offer));
        cost_of(endpoint, offer, replicas, self.question.now)
    }
}
