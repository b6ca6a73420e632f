//! Looks at an endpoint where it is: the table of what a verdict means to newcomers and incumbents.

use std::collections::BTreeSet;

use roadstead_model::{
    Decision, Demand, Deployment, Endpoint, Exhaust, FailureKind, Finding, Keep, Lack, LackOfRoom, OfferTrouble,
    OverBudget, PodFields, Removal, Resources, Size, SpecChange, TargetState, TargetTrouble, Timestamp, Unaffordable,
    first_evicting, first_untolerated,
};

use super::failover;
use crate::candidates::Question;
use crate::capacity::Own;
use crate::cost::cost_of;
use crate::entry::Entry;
use crate::reasons::{capacity_type, forbidden, limit, unusable};
use crate::room::Room;
use crate::rules::{capacity_type_rule, target_rule};

/// A newcomer stays at a target that cannot be used for so long.
pub(super) const NOT_READY_GRACE_SECONDS: u32 = 60;

/// Condition of an endpoint at its place.
#[derive(Debug)]
pub(super) struct Assessment {
    /// Its wanted state if it stays.
    pub(super) keep: Keep,
    /// Usability of its target.
    pub(super) usable: Usable,
    problems: BTreeSet<Problem>,
    lacking: Option<Decision>,
    undecided: bool,
}

/// Usability of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usable {
    /// It can.
    Yes,
    /// It cannot, since then.
    NotSince(Timestamp),
    /// Not for what is new; it may be well all the same.
    NotForNew,
    /// There is no such target any more.
    Gone,
}

/// Problem of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Problem {
    /// A rule forbids it.
    Forbidden,
    /// The spec asks for something else.
    SpecChanged,
    /// The target wants nothing new of the kind: a taint, or something that it cannot do.
    Unwelcome,
    /// A taint evicts it from its target.
    Evicted,
    /// The offer is gone.
    OfferGone,
    /// It costs too much.
    OverBudget,
}

/// Why a newcomer cannot stay.
#[derive(Debug)]
pub(super) struct Fault {
    /// The reason of its deletion.
    pub(super) reason: Removal,
    /// Back-off to record.
    pub(super) exhaust: Option<Exhaust>,
}

impl Assessment {
    /// Why an incumbent is to be replaced, `failing` being the decision about one that fails.
    pub(super) fn cause(&self, failing: Option<Decision>) -> Option<Decision> {
        if self.has(Problem::Forbidden) {
            return Some(Decision::PolicyViolated);
        }
        if self.has(Problem::SpecChanged) {
            return Some(Decision::SpecChanged);
        }
        if self.has(Problem::Evicted) {
            return Some(Decision::TargetEvicted);
        }
        if failing.is_some() {
            return failing;
        }
        // A target that cannot be used is left only for reasons that do not depend on it.
        if self.usable != Usable::Yes {
            return None;
        }
        if self.has(Problem::OverBudget) { Some(Decision::OverBudget) } else { self.lacking }
    }

    /// Why an incumbent is to be replaced, the wish of a user for another target included, which comes last.
    pub(super) fn cause_or_wish(
        &mut self,
        question: &Question,
        endpoint: &Endpoint,
        failing: Option<Decision>,
    ) -> Option<Decision> {
        self.cause(failing).or_else(|| {
            let to = question.deployment.move_to.as_ref().filter(|to| **to != endpoint.target)?;
            self.find(Finding::MoveRequested { to: to.clone() });
            Some(Decision::MoveRequested)
        })
    }

    /// True if it has to leave its place: a rule forbids it, or a taint evicts it.
    pub(super) fn must_leave(&self) -> bool {
        self.has(Problem::Forbidden) || self.has(Problem::Evicted)
    }

    /// True if a rule forbids its place.
    pub(super) fn is_forbidden(&self) -> bool {
        self.has(Problem::Forbidden)
    }

    /// True if its place cannot give it what the spec wants: another feasible place is better.
    pub(super) const fn lacks_room(&self) -> bool {
        self.lacking.is_some()
    }

    /// True if nothing speaks against more replicas at its place.
    pub(super) fn may_grow(&self) -> bool {
        self.usable == Usable::Yes && self.lacking.is_none() && !self.undecided && !self.has_any_but(Problem::Unwelcome)
    }

    /// True if it has to be ready before it is known what fits there.
    pub(super) const fn is_undecided(&self) -> bool {
        self.undecided
    }

    /// Why an endpoint that does not serve yet cannot stay. One that was ready once only goes for what makes its place
    /// forbidden, unless it takes over and stopped answering before it did.
    pub(super) fn fault(&self, question: &Question, endpoint: &Endpoint, takes_over: bool) -> Option<Fault> {
        let now = question.now;
        // Kept under a new spec, it would not be ready any more.
        let is_ready = endpoint.ready && !self.keep.tells_anew(endpoint, question.deployment);
        let is_newcomer = !endpoint.ever_ready || (takes_over && !is_ready);
        if is_newcomer && let Some(fault) = failed(endpoint, takes_over, now) {
            return Some(fault);
        }
        let forbidden = [(Problem::Forbidden, Removal::PolicyViolated), (Problem::SpecChanged, Removal::SpecChanged)];
        let unfit_for_newcomers = [
            (Problem::Unwelcome, Removal::PolicyViolated),
            (Problem::OfferGone, Removal::OfferGone),
            (Problem::OverBudget, Removal::OverBudget),
        ];
        let unfit = unfit_for_newcomers.iter().filter(|_| is_newcomer);
        let found = forbidden.iter().chain(unfit).find(|(problem, _)| self.has(*problem));
        let out_of_patience = match self.usable {
            Usable::Yes | Usable::NotForNew => false,
            Usable::NotSince(since) => since.plus(NOT_READY_GRACE_SECONDS) <= now,
            Usable::Gone => true,
        };
        let left = (out_of_patience && is_newcomer).then_some(Removal::TargetNotReady);
        let reason = found.map(|(_, reason)| *reason).or(left)?;
        Some(Fault { reason, exhaust: None })
    }

    fn has(&self, problem: Problem) -> bool {
        self.problems.contains(&problem)
    }

    fn has_any_but(&self, problem: Problem) -> bool {
        self.problems.iter().any(|found| *found != problem)
    }

    pub(super) fn find(&mut self, finding: Finding) {
        self.keep.findings.push(finding);
    }
}

/// The fault of a newcomer that does not come up: its place has no room for it, or it is to take over and cannot.
fn failed(endpoint: &Endpoint, takes_over: bool, now: Timestamp) -> Option<Fault> {
    let broken = || (endpoint.ever_ready && endpoint.is_overdue(now)).then_some(FailureKind::StartupTimeout);
    let kind = endpoint.failure.map(|failure| failure.kind).or_else(broken)?;
    (kind.is_refusal() || takes_over).then(|| fault_of(endpoint, kind))
}

/// The fault of a first endpoint that goes only if another place would do. Elsewhere than in a lack of capacity the user
/// may be able to mend it, and without another place there is nothing to gain by its removal.
pub(super) fn failed_unless_alone(endpoint: &Endpoint) -> Option<Fault> {
    let kind = endpoint.failure.map(|failure| failure.kind).filter(|kind| !kind.is_refusal())?;
    Some(fault_of(endpoint, kind))
}

/// Consequence of a failure for the endpoint and its place. A lack of capacity concerns the offer; any other failure
/// concerns only this deployment there.
fn fault_of(endpoint: &Endpoint, kind: FailureKind) -> Fault {
    let reason = match kind {
        FailureKind::CapacityExhausted | FailureKind::QuotaExceeded => Removal::CapacityExhausted,
        FailureKind::StartupTimeout => Removal::StartupTimeout,
        FailureKind::AdmissionRefused => Removal::AdmissionRefused,
        FailureKind::NameConflict => Removal::NameConflict,
    };
    Fault { reason, exhaust: Some(exhaust(endpoint, kind, !kind.is_refusal())) }
}

/// The statement that an endpoint failed where it is, for its own deployment.
pub(super) fn left_alone(endpoint: &Endpoint) -> Exhaust {
    let reason = Decision::EndpointFailing.as_str().to_owned();
    Exhaust { reason, ..exhaust(endpoint, FailureKind::StartupTimeout, true) }
}

fn exhaust(endpoint: &Endpoint, kind: FailureKind, only_for_this: bool) -> Exhaust {
    Exhaust {
        target: endpoint.target.clone(),
        offer: endpoint.offer.clone(),
        size: endpoint.size(),
        only_for: only_for_this.then(|| endpoint.deployment.clone()),
        generation: 0,
        reason: kind.as_str().to_owned(),
    }
}

/// Looks at `endpoint` where it is.
pub(super) fn assess(question: &Question, endpoint: &Endpoint) -> Assessment {
    let deployment = question.deployment;
    let entry = question.fleet.entry(&endpoint.target);
    let room = entry.and_then(|entry| entry.room_of(&endpoint.offer));
    let mut assessment = Assessment {
        keep: Keep {
            endpoint: endpoint.name.clone(),
            replicas: question.replicas,
            pods: PodFields::FollowSpec,
            hourly_cost: None,
            findings: Vec::new(),
        },
        usable: Usable::Yes,
        problems: BTreeSet::new(),
        lacking: None,
        undecided: false,
    };
    look_at_rules(&mut assessment, question, endpoint, entry);
    look_at_spec(&mut assessment, question, endpoint, entry);
    look_at_target(&mut assessment, deployment, endpoint, entry);
    look_at_offer(&mut assessment, endpoint, entry, room.as_ref());
    look_at_room(&mut assessment, question, endpoint, room.as_ref());
    look_at_money(&mut assessment, question, endpoint, room.as_ref());
    look_at_health(&mut assessment, question, endpoint);
    assessment.keep.findings.sort_by_key(Finding::reason);
    assessment
}

fn look_at_rules(assessment: &mut Assessment, question: &Question, endpoint: &Endpoint, entry: Option<&Entry>) {
    let deployment = question.deployment;
    let of_target = entry.and_then(|entry| Some((entry, target_rule(entry, deployment)?)));
    let rule = match of_target {
        Some((entry, reason)) => forbidden(question, entry, reason),
        None if capacity_type_rule(deployment, endpoint.capacity_type).is_some() => {
            Some(capacity_type(deployment, endpoint.capacity_type))
        }
        None => return,
    };
    assessment.problems.insert(Problem::Forbidden);
    assessment.keep.replicas = question.replicas.min(endpoint.replicas);
    assessment.keep.findings.extend(rule.map(Finding::PolicyViolated));
}

fn look_at_spec(assessment: &mut Assessment, question: &Question, endpoint: &Endpoint, entry: Option<&Entry>) {
    let deployment = question.deployment;
    let is_updated = endpoint.outdated || deployment.resources != endpoint.resources;
    let ignored: BTreeSet<_> =
        entry.into_iter().flat_map(|entry| entry.target.capabilities.ignores(&deployment.settings)).collect();
    let cannot_update = entry.is_some_and(|entry| !entry.target.capabilities.update_in_place);
    let change = match deployment.shape(&endpoint.shape) {
        None => SpecChange::ShapeGone { shape: endpoint.shape.clone() },
        Some(shape) if shape.accelerator != endpoint.accelerator => SpecChange::Accelerator {
            shape: endpoint.shape.clone(),
            wanted: shape.accelerator.clone(),
            found: endpoint.accelerator.clone(),
        },
        Some(_) if deployment.engine != endpoint.engine => {
            SpecChange::Engine { wanted: deployment.engine.clone(), found: endpoint.engine.clone() }
        }
        Some(_) if is_updated && !ignored.is_empty() => {
            SpecChange::Settings { target: endpoint.target.clone(), ignored }
        }
        Some(_) if is_updated && cannot_update => SpecChange::InPlace { target: endpoint.target.clone() },
        Some(_) => return,
    };
    assessment.problems.insert(Problem::SpecChanged);
    assessment.keep.replicas = question.replicas.min(endpoint.replicas);
    assessment.keep.pods = PodFields::StayAsPlaced;
    assessment.find(Finding::SpecChanged(change));
}

fn look_at_target(assessment: &mut Assessment, deployment: &Deployment, endpoint: &Endpoint, entry: Option<&Entry>) {
    let Some(entry) = entry else {
        assessment.usable = Usable::Gone;
        assessment.find(Finding::TargetNotReady(TargetTrouble::Gone { target: endpoint.target.clone() }));
        return;
    };
    assessment.usable = match &entry.target.state {
        TargetState::Ready => Usable::Yes,
        TargetState::NotReady { since, .. } => Usable::NotSince(*since),
        TargetState::Invalid { .. } => Usable::NotForNew,
    };
    if assessment.usable != Usable::Yes {
        assessment.find(Finding::TargetNotReady(TargetTrouble::Unusable(unusable(&entry.target.state))));
    }
    let demand = Demand { engine: &endpoint.engine, replicas: endpoint.replicas, ..Demand::of(deployment) };
    let lack = entry.target.capabilities.lacks(&demand).filter(|lack| *lack != Lack::ScaleToZero);
    let untolerated = first_untolerated(&entry.target.taints, &deployment.rules.target_tolerations);
    if untolerated.is_some() || lack.is_some() {
        assessment.problems.insert(Problem::Unwelcome);
    }
    if let Some(taint) = first_evicting(&entry.target.taints, &deployment.rules.target_tolerations) {
        assessment.problems.insert(Problem::Evicted);
        assessment.find(Finding::TargetEvicted { target: endpoint.target.clone(), taint: taint.clone() });
    }
}

fn look_at_offer(assessment: &mut Assessment, endpoint: &Endpoint, entry: Option<&Entry>, room: Option<&Room>) {
    let Some(room) = room else {
        if entry.is_some() {
            assessment.problems.insert(Problem::OfferGone);
            let (target, offer) = (endpoint.target.clone(), endpoint.offer.clone());
            assessment.find(Finding::OfferGone(OfferTrouble::Gone { target, offer }));
        }
        return;
    };
    let Some(instances) = room.offer.max_instances else {
        return;
    };
    let allowed = u64::from(instances) * u64::from(room.offer.accelerators());
    let held = room.held();
    if held > allowed {
        assessment.find(Finding::OfferGone(OfferTrouble::Smaller {
            target: endpoint.target.clone(),
            offer: endpoint.offer.clone(),
            instances,
            allowed,
            held,
        }));
    }
}

/// True if the wanted replicas and resources fit where the endpoint is; what does not fit stays as it was.
fn look_at_room(assessment: &mut Assessment, question: &Question, endpoint: &Endpoint, room: Option<&Room>) {
    if assessment.has(Problem::SpecChanged) {
        return;
    }
    let (wanted, asked) = (assessment.keep.replicas, question.deployment.resources);
    let held = wanted.min(endpoint.replicas);
    let most = room.and_then(|room| most_replicas(room, question));
    let all =
        if most.is_some_and(|most| wanted > most.max(held)) { Fit::No } else { fit(room, endpoint, wanted, asked) };
    let part = fit(room, endpoint, held, asked);
    if all == Fit::Yes {
        return;
    }
    assessment.keep.replicas = held;
    if part != Fit::Yes {
        assessment.keep.pods = PodFields::StayAsPlaced;
    }
    if assessment.has(Problem::Forbidden) {
        return;
    }
    if all == Fit::Unclear {
        assessment.undecided = true;
        return;
    }
    let grows = part == Fit::Yes;
    assessment.lacking = Some(if grows { Decision::Scaled } else { Decision::SpecChanged });
    let size = Size { accelerators: endpoint.accelerator.count, resources: asked };
    let own = Some(Own::as_told(endpoint));
    if let Some(most) = most.filter(|most| wanted > *most) {
        assessment.find(Finding::ProviderUnsupported { target: endpoint.target.clone(), wanted, most, held });
        return;
    }
    assessment.find(Finding::InsufficientCapacity(LackOfRoom::Growth {
        replicas: grows.then_some(wanted),
        target: endpoint.target.clone(),
        offer: endpoint.offer.clone(),
        limit: room.map(|room| limit(room, &size, own, wanted)),
        held,
    }));
}

/// The replicas that the place runs of one endpoint, where more are wanted.
fn most_replicas(room: &Room, question: &Question) -> Option<u32> {
    match room.entry.target.capabilities.lacks(&question.demand()) {
        Some(Lack::Replicas { most }) => Some(most),
        _ => None,
    }
}

/// Result of the check that something fits at an endpoint's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Yes,
    No,
    /// That depends on what its bound pods ask for now, which is known once it is ready.
    Unclear,
}

/// True if `replicas` that each ask for `resources` fit where the endpoint is. Its own pods do not count against it,
/// and those on nodes that newcomers could not use stay where they are.
fn fit(room: Option<&Room>, endpoint: &Endpoint, replicas: u32, resources: Resources) -> Fit {
    if replicas <= endpoint.replicas && resources.within(&endpoint.resources) {
        return Fit::Yes;
    }
    let Some(room) = room else { return Fit::No };
    let size = Size { accelerators: endpoint.accelerator.count, resources };
    let elsewhere = if resources == endpoint.resources { bound_elsewhere(room, endpoint) } else { 0 };
    let needed = replicas.saturating_sub(elsewhere);
    let holds = |own| room.slots(&size, Some(own), needed) >= needed;
    if !holds(Own::as_told(endpoint)) {
        return Fit::No;
    }
    // During a rolling update, its pods may be older and smaller than its spec: growth waits for the end of the update.
    // Other resources do not wait, for they may be what it needs to become ready.
    let is_known = endpoint.ready || endpoint.bound.is_empty() || resources != endpoint.resources;
    if is_known || holds(Own::at_least(endpoint)) { Fit::Yes } else { Fit::Unclear }
}

fn bound_elsewhere(room: &Room, endpoint: &Endpoint) -> u32 {
    let here = room.nodes().filter_map(|node| endpoint.bound.get(&node.name));
    here.fold(endpoint.bound_pods(), |left, pods| left.saturating_sub(*pods))
}

/// Cost and budget of the endpoint. Replicas that exceed the budget are not added, with or without room for them.
fn look_at_money(assessment: &mut Assessment, question: &Question, endpoint: &Endpoint, room: Option<&Room>) {
    let cost = |replicas| cost_of(endpoint, room.map(|room| room.offer), replicas, question.now);
    let held = assessment.keep.replicas.min(endpoint.replicas);
    let elsewhere = assessment.has(Problem::Forbidden) || assessment.has(Problem::SpecChanged);
    let wanted = if elsewhere { held } else { question.replicas };
    if let Some(budget) = question.budget {
        let (now, then) = (cost(held), cost(wanted));
        let is_over = now.is_some_and(|now| now > budget);
        if is_over {
            assessment.problems.insert(Problem::OverBudget);
            assessment.keep.replicas = held;
        }
        if wanted > held && then.is_none_or(|then| then > budget) {
            assessment.lacking = assessment.lacking.or(Some(Decision::Scaled));
            assessment.keep.replicas = held;
            let growth = Unaffordable { wanted, cost: then, budget: question.budget, held };
            assessment.find(match then {
                Some(_) => Finding::OverBudget(OverBudget::Grown(growth)),
                None => Finding::PriceUnknown(growth),
            });
        } else if is_over {
            let budget = question.budget;
            assessment.find(Finding::OverBudget(OverBudget::AsItIs { cost: now, budget }));
        }
    }
    assessment.keep.hourly_cost = cost(assessment.keep.replicas);
}

fn look_at_health(assessment: &mut Assessment, question: &Question, endpoint: &Endpoint) {
    assessment.keep.findings.extend(failover::finding(question, endpoint));
    if endpoint.ever_ready && endpoint.unschedulable {
        assessment.find(Finding::InsufficientCapacity(LackOfRoom::Unschedulable {
            target: endpoint.target.clone(),
            bound: endpoint.bound_pods(),
            replicas: endpoint.replicas,
        }));
    }
    let failure = endpoint.failure.filter(|failure| failure.kind == FailureKind::StartupTimeout);
    if let Some(failure) = failure.filter(|_| !endpoint.ever_ready) {
        assessment.find(Finding::StartupTimeout { ended: failure.since });
    }
}
