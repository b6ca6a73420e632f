//! Checks a finished plan against the hard rules, independently of how it was made.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use roadstead_model::{
    Action, Deployment, Endpoint, EndpointKey, Keep, Offer, Placement, Plan, Shape, Size, TargetState,
    first_untolerated,
};

use crate::cost::cost_on;
use crate::decide::MAX_REPLACEMENTS;
use crate::entry::Entry;
use crate::fleet::Fleet;
use crate::rules::{capacity_type_rule, target_rule};

/// A hard rule that a plan breaks. Such a plan must not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What it is about: an endpoint or a target.
    pub subject: String,
    /// A sentence that says which rule and how.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.message)
    }
}

/// Checks `plan`, made for `deployment` against `fleet`; empty if it breaks no hard rule.
///
/// The fleet must be the one that the plan was made for: before what was decided is put in.
#[must_use]
pub fn lint(fleet: &Fleet, deployment: &Deployment, plan: &Plan) -> Vec<Violation> {
    let mut check = Check { fleet, deployment, plan, violations: Vec::new() };
    check.subjects();
    check.removals();
    check.moves();
    for action in &plan.actions {
        match action {
            Action::Create { placement, .. } => check.placement(placement),
            Action::Keep(keep) => check.kept(keep),
            Action::Adopt { .. } | Action::Drain { .. } | Action::Delete { .. } => {}
        }
    }
    if deployment.suspended {
        check.suspended();
    }
    check.violations
}

struct Check<'a> {
    fleet: &'a Fleet,
    deployment: &'a Deployment,
    plan: &'a Plan,
    violations: Vec<Violation>,
}

impl<'a> Check<'a> {
    fn require(&mut self, holds: bool, subject: &str, message: &str) {
        if !holds {
            self.violations.push(Violation { subject: subject.to_owned(), message: message.to_owned() });
        }
    }

    fn endpoint(&self, name: &str) -> Option<&'a Endpoint> {
        let key = EndpointKey { namespace: self.deployment.id.namespace.clone(), name: name.to_owned() };
        self.fleet.endpoint(&key).filter(|endpoint| endpoint.deployment == self.deployment.id)
    }

    fn removed(&self) -> BTreeSet<&'a str> {
        let plan = self.plan;
        plan.actions
            .iter()
            .filter_map(|action| match action {
                Action::Drain { endpoint, .. } | Action::Delete { endpoint, .. } => Some(endpoint.as_str()),
                _ => None,
            })
            .collect()
    }

    /// Every endpoint that is named exists, is this deployment's, and is named once.
    fn subjects(&mut self) {
        let plan = self.plan;
        let mut named = BTreeMap::<&str, u32>::new();
        for action in &plan.actions {
            match action {
                Action::Keep(Keep { endpoint, .. })
                | Action::Drain { endpoint, .. }
                | Action::Delete { endpoint, .. } => *named.entry(endpoint).or_default() += 1,
                Action::Adopt { .. } | Action::Create { .. } => {}
            }
        }
        for (name, times) in named {
            self.require(self.endpoint(name).is_some(), name, "the deployment has no such endpoint");
            self.require(times == 1, name, "it stands in more than one action");
        }
    }

    /// Nothing that once served goes unless something else serves.
    fn removals(&mut self) {
        let removed = self.removed();
        let another_serves = self
            .fleet
            .endpoints_of(&self.deployment.id)
            .any(|endpoint| endpoint.is_active() && endpoint.serves() && !removed.contains(endpoint.name.as_str()));
        for name in removed {
            let served = self.endpoint(name).is_some_and(|endpoint| endpoint.ever_ready);
            self.require(
                !served || another_serves || self.deployment.replicas == 0,
                name,
                "it would go before another endpoint is ready and published",
            );
        }
    }

    /// At most one new endpoint; a replacement has something to replace, and the pace is kept.
    fn moves(&mut self) {
        let plan = self.plan;
        let removed = self.removed();
        let created = plan.actions.iter().filter_map(|action| match action {
            Action::Create { placement, replaces, .. } => Some((placement, replaces)),
            _ => None,
        });
        for (index, (placement, replaces)) in created.enumerate() {
            self.require(index == 0, &placement.target, "more than one endpoint would be created");
            let Some(replaced) = replaces else { continue };
            let stays =
                self.endpoint(replaced).is_some_and(Endpoint::is_active) && !removed.contains(replaced.as_str());
            self.require(stays, replaced, "what is to be replaced is not active");
            let given_up = self
                .fleet
                .endpoints_of(&self.deployment.id)
                .filter(|endpoint| endpoint.replaces.is_some() && removed.contains(endpoint.name.as_str()));
            let given_up = u32::try_from(given_up.count()).unwrap_or(u32::MAX);
            let under_way = self.fleet.replacements_under_way(self.plan.decided_at).saturating_sub(given_up);
            self.require(under_way < MAX_REPLACEMENTS, replaced, "too many replacements would be under way");
        }
    }

    /// A new place is one that every hard rule allows and that holds all replicas.
    fn placement(&mut self, placement: &Placement) {
        let subject = placement.target.as_str();
        let entry = self.fleet.entry(subject);
        let offer = entry.and_then(|entry| entry.offer(&placement.offer));
        let shape = self.deployment.shape(&placement.shape);
        let (Some(entry), Some(offer), Some(shape)) = (entry, offer, shape) else {
            self.require(false, subject, "target, offer or shape does not exist");
            return;
        };
        self.permission(entry, offer);
        self.fit(placement, entry, offer, shape);
        self.budget(placement, offer, shape);
        let taken = self.fleet.endpoints_of(&self.deployment.id).any(|other| other.slot == placement.slot);
        self.require(!taken, subject, "another endpoint of the deployment holds the slot");
    }

    fn permission(&mut self, entry: &Entry, offer: &Offer) {
        let (subject, target) = (entry.target.name.as_str(), &entry.target);
        let forbidden =
            target_rule(entry, self.deployment).or_else(|| capacity_type_rule(self.deployment, offer.capacity_type));
        self.require(forbidden.is_none(), subject, "a rule of the deployment or of the target forbids it");
        self.require(target.state == TargetState::Ready, subject, "the target cannot be used");
        let tolerations = &self.deployment.rules.target_tolerations;
        let tolerated = first_untolerated(&target.taints, tolerations).is_none();
        self.require(tolerated, subject, "a taint is not tolerated");
        let runs = target.engines.as_ref().is_none_or(|engines| engines.contains(&self.deployment.engine));
        self.require(runs, subject, "the target cannot run the engine");
    }

    fn fit(&mut self, placement: &Placement, entry: &'a Entry, offer: &'a Offer, shape: &Shape) {
        let subject = placement.target.as_str();
        let matches = placement.accelerator == shape.accelerator
            && placement.capacity_type == offer.capacity_type
            && offer.accelerator.kind == shape.accelerator.kind
            && offer.accelerator.count >= shape.accelerator.count;
        self.require(matches, subject, "offer, shape and placement do not match");
        self.require(placement.replicas == self.deployment.replicas, subject, "not all replicas are placed");
        let size = Size { accelerators: shape.accelerator.count, resources: self.deployment.resources };
        let room = entry.room_of(&offer.name);
        let fits = room.is_some_and(|room| {
            room.slots(&size, None, placement.replicas) >= placement.replicas && !room.shows_exhaustion(&size)
        });
        self.require(fits, subject, "the offer does not hold so many replicas");
        let refused = entry.target.exhausted.iter().any(|exhausted| {
            exhausted.offer == offer.name
                && exhausted.size.within(&size)
                && exhausted.until > self.plan.decided_at
                && exhausted.holds_for(self.deployment)
        });
        self.require(!refused, subject, "the offer refused this size lately");
    }

    fn budget(&mut self, placement: &Placement, offer: &Offer, shape: &Shape) {
        let cost = cost_on(offer, shape, placement.replicas);
        self.require(cost == placement.hourly_cost, &placement.target, "the cost is not that of the offer");
        let within = self.deployment.max_hourly_cost.is_none_or(|budget| cost.is_some_and(|cost| cost <= budget));
        self.require(within, &placement.target, "it costs more than the budget, or nobody knows what");
    }

    /// What stays never gets more than is wanted, and nothing is added where a rule forbids it.
    fn kept(&mut self, keep: &Keep) {
        let Some(endpoint) = self.endpoint(&keep.endpoint) else {
            return;
        };
        let most = self.deployment.replicas.max(if self.deployment.suspended { endpoint.replicas } else { 0 });
        self.require(keep.replicas <= most, &keep.endpoint, "it would have more replicas than are wanted");
        let forbidden = self.fleet.entry(&endpoint.target).is_some_and(|entry| {
            target_rule(entry, self.deployment).is_some()
                || capacity_type_rule(self.deployment, endpoint.capacity_type).is_some()
        });
        self.require(
            !forbidden || keep.replicas <= endpoint.replicas,
            &keep.endpoint,
            "replicas would be added where a rule forbids it",
        );
        self.require(endpoint.is_active(), &keep.endpoint, "what drains or goes is not kept");
    }

    fn suspended(&mut self) {
        let decided = self
            .plan
            .actions
            .iter()
            .any(|action| matches!(action, Action::Create { .. } | Action::Drain { .. } | Action::Delete { .. }));
        let subject = self.deployment.id.to_string();
        self.require(!decided, &subject, "it is suspended, and something is decided");
    }
}
