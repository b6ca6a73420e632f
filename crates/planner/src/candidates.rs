//! All candidates of a deployment, judged as newcomers.

use roadstead_model::{
    Demand, Deployment, Exhausted, Inventory, Lack, LargestFit, MicroDollars, Offer, Reason, Shape, Size, Target,
    TargetState, Timestamp, first_untolerated,
};

use crate::cost::{Adjusted, Cost, preference};
use crate::entry::Entry;
use crate::fleet::Fleet;
use crate::room::Room;
use crate::rules::{admits, capacity_type_rule, target_rule};

/// A place that refused replicas within the plan that is being made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused<'a> {
    /// Target.
    pub(crate) target: &'a str,
    /// Offer.
    pub(crate) offer: &'a str,
    /// Size of the refused replica.
    pub(crate) size: Size,
}

impl Refused<'_> {
    /// True if it was there.
    pub(crate) fn is(&self, judged: &Judged) -> bool {
        self.target == judged.entry.target.name && self.offer == judged.offer_name()
    }
}

/// Input of the judgement of candidates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// Everything that is known.
    pub(crate) fleet: &'a Fleet,
    /// The deployment to place.
    pub(crate) deployment: &'a Deployment,
    /// Replicas to place: all of the deployment's, or a part's.
    pub(crate) replicas: u32,
    /// Budget for them: the deployment's, without the cost of its other parts.
    pub(crate) budget: Option<MicroDollars>,
    /// The time it is.
    pub(crate) now: Timestamp,
    /// Refusal that this plan has seen.
    pub(crate) refused: Option<Refused<'a>>,
    /// The only target that is judged, where a user asked for it.
    pub(crate) only: Option<&'a str>,
    /// The target that is left because the endpoint there fails.
    pub(crate) left: Option<&'a str>,
}

impl<'a> Question<'a> {
    /// Asks about all replicas of a deployment.
    pub(crate) const fn new(fleet: &'a Fleet, deployment: &'a Deployment, now: Timestamp) -> Self {
        let (replicas, budget) = (deployment.replicas, deployment.budget());
        Self { fleet, deployment, replicas, budget, now, refused: None, only: None, left: None }
    }

    /// The abilities that a place must have.
    pub(crate) fn demand(&self) -> Demand<'a> {
        Demand { replicas: self.replicas, ..Demand::of(self.deployment) }
    }
}

/// A candidate and how it was judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged<'a> {
    /// Its target.
    pub(crate) entry: &'a Entry,
    /// Its offer; `None` where no offer of the target has the accelerator.
    pub(crate) offer: Option<&'a Offer>,
    /// Its shape.
    pub(crate) shape: &'a Shape,
    /// Cost of all replicas.
    pub(crate) cost: Cost,
    /// Result of the judgement.
    pub(crate) judgement: Judgement,
    /// Replicas that it could hold as a part of them, where they may be divided.
    pub(crate) part: u32,
    order: Order,
}

/// Judgement of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It would do.
    Feasible,
    /// It would not.
    Rejected(Reason),
    /// It holds only so many replicas.
    Fits(u32),
}

impl Judgement {
    /// Its reason.
    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::Feasible => Reason::Feasible,
            Self::Rejected(reason) => reason,
            Self::Fits(_) => Reason::InsufficientCapacity,
        }
    }
}

/// Rank of a candidate without its names: adjusted objective, then order of shapes, then order of preferences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    adjusted: Adjusted,
    shape: usize,
    preference: usize,
}

/// All candidates of a deployment.
#[derive(Debug)]
pub(crate) struct Candidates<'a> {
    /// Judged, the best first; rejected ones are ordered by cost.
    pub(crate) all: Vec<Judged<'a>>,
    /// Targets that the namespace may not use.
    pub(crate) namespace_not_allowed: u32,
}

impl<'a> Candidates<'a> {
    /// The cheapest that would do.
    pub(crate) fn best(&self) -> Option<&Judged<'a>> {
        self.all.iter().find(|judged| judged.judgement == Judgement::Feasible)
    }

    /// Number of feasible candidates.
    pub(crate) fn feasible(&self) -> usize {
        self.all.iter().filter(|judged| judged.judgement == Judgement::Feasible).count()
    }

    /// The one that holds the most replicas, if none holds all but one holds some.
    pub(crate) fn largest_fit(&self) -> Option<(&Judged<'a>, u32)> {
        let fits = self.all.iter().filter_map(|judged| match judged.judgement {
            Judgement::Fits(fits) if fits > 0 => Some((judged, fits)),
            _ => None,
        });
        // The first of the largest: the cheapest of them.
        fits.reduce(|best, next| if next.1 > best.1 { next } else { best })
    }
}

impl<'a> Judged<'a> {
    /// The offer's name, or nothing where there is none.
    pub(crate) fn offer_name(&self) -> &'a str {
        self.offer.map_or("", |offer| &offer.name)
    }

    /// It, as a place that would hold so many replicas.
    pub(crate) fn largest_fit(&self, replicas: u32) -> LargestFit {
        LargestFit {
            target: self.entry.target.name.clone(),
            offer: self.offer_name().to_owned(),
            shape: self.shape.name.clone(),
            replicas,
        }
    }

    /// True if it would do.
    pub(crate) fn is_feasible(&self) -> bool {
        self.judgement == Judgement::Feasible
    }

    /// True if it costs less by the deployment's objective and preferences.
    pub(crate) fn is_cheaper_than(&self, other: &Self) -> bool {
        self.order.adjusted < other.order.adjusted
    }

    /// The size of one replica.
    pub(crate) const fn size(&self, deployment: &Deployment) -> Size {
        Size { accelerators: self.shape.accelerator.count, resources: deployment.resources }
    }
}

/// Judges all candidates.
pub(crate) fn judge_all<'a>(question: &Question<'a>) -> Candidates<'a> {
    // A target mostly has one or two candidates for a shape.
    let likely = 2 * question.fleet.targets().len() * question.deployment.shapes.len();
    let mut candidates = Candidates { all: Vec::with_capacity(likely), namespace_not_allowed: 0 };
    let asked = |entry: &&Entry| question.only.is_none_or(|only| only == entry.target.name);
    for entry in question.fleet.entries().filter(asked) {
        match target_rule(entry, question.deployment) {
            Some(Reason::NamespaceNotAllowed) => candidates.namespace_not_allowed += 1,
            rule => judge_target(question, entry, rule, &mut candidates.all),
        }
    }
    // Targets and their offers come by name, and what is equal stays in that order: no need to compare names.
    candidates.all.sort_by_key(|judged| judged.order);
    candidates
}

/// Judges the candidates on one target, in no order; none where there is no such target, or the namespace may not use it.
pub(crate) fn judge_on<'a>(question: &Question<'a>, target: &str) -> Vec<Judged<'a>> {
    let mut judged = Vec::new();
    if let Some(entry) = question.fleet.entry(target) {
        let rule = target_rule(entry, question.deployment);
        if rule != Some(Reason::NamespaceNotAllowed) {
            judge_target(question, entry, rule, &mut judged);
        }
    }
    judged
}

/// Adds the candidates on one target: an offer with the accelerator for each shape, or one that says that
/// there is none.
fn judge_target<'a>(question: &Question<'a>, entry: &'a Entry, rule: Option<Reason>, judged: &mut Vec<Judged<'a>>) {
    if !entry.target.capabilities.holds_endpoints() {
        return;
    }
    let deployment = question.deployment;
    let rule = rule.map_or(Judgement::Feasible, Judgement::Rejected);
    let (preference, premium) = preference(deployment, &entry.target)
        .map_or((usize::MAX, 0), |(index, preference)| (index, preference.premium_percent));
    for (index, shape) in deployment.shapes.iter().enumerate() {
        let mut place = |offer: Option<&'a Offer>, cost: Cost, (judgement, part)| {
            let adjusted =
                Adjusted::new(deployment.objective, &cost, question.replicas, shape.tokens_per_second, premium);
            let order = Order { adjusted, shape: index, preference };
            judged.push(Judged { entry, offer, shape, cost, judgement, part, order });
        };
        let mut found = false;
        for (position, offer) in entry.target.offers.iter().enumerate() {
            if offer.has_kind_of(&shape.accelerator) {
                found = true;
                let cost = Cost::on(offer, shape, question.replicas, question.now);
                let judgement = match (rule, entry.room(position)) {
                    (Judgement::Feasible, Some(room)) => judge(question, &room, shape, &cost),
                    (rule, _) => (rule, 0),
                };
                place(Some(offer), cost, judgement);
            }
        }
        if !found {
            let missing = Judgement::Rejected(Reason::AcceleratorMissing);
            place(None, Cost::NOWHERE, (if rule == Judgement::Feasible { missing } else { rule }, 0));
        }
    }
}

/// Judges one place on a target that no rule forbids, and says what part it could hold. What only an edit can change comes
/// first.
fn judge(question: &Question, room: &Room, shape: &Shape, cost: &Cost) -> (Judgement, u32) {
    let deployment = question.deployment;
    let broken = offer_rule(question, room, shape).or_else(|| price_rule(question, cost));
    let may_hold_part = deployment.divisible && broken.is_none_or(|reason| concerns_all(question, room, reason));
    if let Some(reason) = broken.filter(|_| !may_hold_part) {
        return (Judgement::Rejected(reason), 0);
    }
    let rejected = |reason| (Judgement::Rejected(broken.unwrap_or(reason)), 0);
    if room.entry.target.state != TargetState::Ready || left_out(deployment, &room.entry.target) {
        return rejected(Reason::TargetNotReady);
    }
    if question.left == Some(room.entry.target.name.as_str()) {
        return rejected(Reason::EndpointFailing);
    }
    let size = Size { accelerators: shape.accelerator.count, resources: deployment.resources };
    if is_refused(question, room, &size) {
        return rejected(Reason::Exhausted);
    }
    let fits = room.slots(&size, None, question.replicas);
    let part = fits.min(room.entry.target.capabilities.max_replicas.unwrap_or(u32::MAX));
    match broken {
        Some(reason) => (Judgement::Rejected(reason), part),
        None if fits < question.replicas => (Judgement::Fits(fits), part),
        None => (Judgement::Feasible, part),
    }
}

/// True if a place is rejected only because it is to hold all replicas.
fn concerns_all(question: &Question, room: &Room, reason: Reason) -> bool {
    let capabilities = &room.entry.target.capabilities;
    match reason {
        Reason::OverBudget => true,
        Reason::ProviderUnsupported => matches!(capabilities.lacks(&question.demand()), Some(Lack::Replicas { .. })),
        _ => false,
    }
}

/// The next time at which a price expires that the deployment may be judged by.
pub(crate) fn next_expiry(question: &Question) -> Option<Timestamp> {
    let Question { fleet, deployment, now, .. } = question;
    let holds = |target: &Target| fleet.endpoints_of(&deployment.id).any(|own| own.target == target.name);
    let expiries = fleet.entries().filter_map(|entry| {
        let prices = entry.target.offers.iter().filter_map(|offer| offer.price.as_ref());
        let next = prices.filter_map(|price| price.valid_until).filter(|until| until > now).min()?;
        (admits(entry, deployment) || holds(&entry.target)).then_some(next)
    });
    expiries.min()
}

/// True if the deployment is placed without the inventory of this target, which is then no place for it.
pub(crate) fn left_out(deployment: &Deployment, target: &Target) -> bool {
    target.inventory != Inventory::Answered && deployment.place_without.contains(&target.name)
}

fn offer_rule(question: &Question, room: &Room, shape: &Shape) -> Option<Reason> {
    let (deployment, target) = (question.deployment, &room.entry.target);
    if !target.capabilities.fits(shape.accelerator.count, room.offer.accelerators()) {
        return Some(Reason::AcceleratorMissing);
    }
    if let Some(reason) = capacity_type_rule(deployment, room.offer.capacity_type) {
        return Some(reason);
    }
    if target.capabilities.lacks(&question.demand()).is_some() {
        return Some(Reason::ProviderUnsupported);
    }
    let taint = first_untolerated(&target.taints, &deployment.rules.target_tolerations);
    taint.map(|_| Reason::TaintNotTolerated)
}

fn price_rule(question: &Question, cost: &Cost) -> Option<Reason> {
    let budget = question.budget?;
    match cost.hourly {
        Err(_) => Some(Reason::PriceUnknown),
        Ok(cost) if cost > budget => Some(Reason::OverBudget),
        Ok(_) => None,
    }
}

/// True if the offer refused this size: within this plan, lately, or as endpoints there show now.
fn is_refused(question: &Question, room: &Room, size: &Size) -> bool {
    let now = question.refused.is_some_and(|refused| {
        refused.target == room.entry.target.name && refused.offer == room.offer.name && refused.size.within(size)
    });
    now || last_refusal(question, room.entry, room.offer, size).is_some() || room.shows_exhaustion(size)
}

/// The recorded refusal that holds longest.
pub(crate) fn last_refusal<'a>(
    question: &Question,
    entry: &'a Entry,
    offer: &Offer,
    size: &Size,
) -> Option<&'a Exhausted> {
    let holds = |exhausted: &&Exhausted| {
        exhausted.offer == offer.name
            && exhausted.size.within(size)
            && exhausted.until > question.now
            && exhausted.holds_for(question.deployment)
    };
    entry.target.exhausted.iter().filter(holds).max_by_key(|exhausted| exhausted.until)
}
