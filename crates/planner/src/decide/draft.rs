//! A plan that is being made.

use std::collections::BTreeSet;

use roadstead_model::{Action, Decision, Endpoint, Exhaust, Keep, MicroDollars, Removal, Timestamp, Wait};

use super::cast::Cast;
use crate::candidates::{Candidates, Question};
use crate::cost::cost_of;
use crate::report::Chosen;

/// A plan that is being made.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    /// What is asked.
    pub(super) question: Question<'a>,
    /// Who is who.
    pub(super) cast: Cast<'a>,
    /// What to do so far.
    pub(super) actions: Vec<Action>,
    /// What is waited for so far.
    pub(super) waits: Vec<Wait>,
    /// When time changes the plan, as far as is known.
    pub(super) recheck_at: Option<Timestamp>,
    removed: BTreeSet<&'a str>,
}

/// What came out of it.
#[derive(Debug)]
pub(super) struct Outcome<'a> {
    /// The sum.
    pub(super) decision: Decision,
    /// The sum as a sentence.
    pub(super) message: String,
    /// The place chosen or kept.
    pub(super) chosen: Option<Chosen<'a>>,
    /// The candidates, as they were judged, if a place was looked for.
    pub(super) candidates: Option<Candidates<'a>>,
}

impl<'a> Draft<'a> {
    /// Nothing is decided yet.
    pub(super) const fn new(question: Question<'a>, cast: Cast<'a>) -> Self {
        Self { question, cast, actions: Vec::new(), waits: Vec::new(), recheck_at: None, removed: BTreeSet::new() }
    }

    /// Time changes the plan at `at`, unless that is past.
    pub(super) fn look_again(&mut self, at: Timestamp) {
        if at > self.question.now {
            self.recheck_at = Some(self.recheck_at.map_or(at, |earlier| earlier.min(at)));
        }
    }

    /// Whether an endpoint may go without a loss: it never was ready, or another one serves in its stead, or
    /// nothing is to be served.
    pub(super) fn may_go(&self, endpoint: &Endpoint) -> bool {
        !endpoint.ever_ready
            || self.question.deployment.replicas == 0
            || self.cast.all.iter().any(|other| {
                other.name != endpoint.name
                    && other.is_active()
                    && other.serves()
                    && !self.removed.contains(other.name.as_str())
            })
    }

    /// Requests the deletion of an endpoint that may go.
    pub(super) fn delete(&mut self, endpoint: &'a Endpoint, reason: Removal, exhaust: Option<Exhaust>) {
        self.removed.insert(&endpoint.name);
        self.actions.push(Action::Delete { endpoint: endpoint.name.clone(), reason, exhaust });
    }

    /// Lets an endpoint that may go serve until the deadline, or go now if that is past.
    pub(super) fn retire(&mut self, endpoint: &'a Endpoint, deadline: Timestamp, reason: Removal) {
        if deadline <= self.question.now {
            self.delete(endpoint, reason, None);
            return;
        }
        self.removed.insert(&endpoint.name);
        self.actions.push(Action::Drain { endpoint: endpoint.name.clone(), deadline, reason });
        self.await_deadline(endpoint, deadline);
    }

    /// Waits for the deadline of an endpoint that drains.
    pub(super) fn await_deadline(&mut self, endpoint: &Endpoint, deadline: Timestamp) {
        self.waits.push(Wait::DrainDeadline { endpoint: endpoint.name.clone(), deadline });
        self.look_again(deadline);
    }

    /// Keeps an endpoint.
    pub(super) fn keep(&mut self, keep: Keep) {
        self.actions.push(Action::Keep(keep));
    }

    /// What an endpoint costs an hour with `replicas`.
    pub(super) fn cost_of(&self, endpoint: &Endpoint, replicas: u32) -> Option<MicroDollars> {
        let entry = self.question.fleet.entry(&endpoint.target);
        let offer = entry.and_then(|entry| entry.offer(&endpoint.offer));
        cost_of(endpoint, offer, replicas)
    }
}
