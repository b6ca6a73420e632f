//! Finds a place: for a deployment that has none, or for what takes over.

use std::collections::{BTreeMap, BTreeSet};

use roadstead_model::{Decision, Deployment, Endpoint, Inventory, Nowhere, Placed, Placement, Reason, Summary, Wait};

use super::dividing::{Piece, divide_candidates};
use super::draft::{Draft, Outcome};

use crate::candidates::{Candidates, Judged, Judgement, Question, Refused, judge_all, last_refusal};
use crate::cost::Cost;
use crate::entry::Entry;
use crate::report::Chosen;
use crate::rules::{admits, capacity_type_rule, target_rule};

/// A target that has not said what runs there is named after so long.
const INVENTORY_PATIENCE_SECONDS: u32 = 60;

/// At most so many names are listed in a wait.
const MAX_NAMES: usize = 8;

/// Maximum number of reported places that lower priority holds.
const MAX_HELD_PLACES: usize = 3;

/// Chooses the first place of a deployment that has no active endpoint.
pub(super) fn first<'a>(draft: &mut Draft<'a>) -> Outcome<'a> {
    if draft.question.deployment.replicas == 0 {
        return Outcome {
            decision: Decision::ScaledToZero,
            summary: Summary::ScaledToZero,
            chosen: Vec::new(),
            candidates: None,
        };
    }
    if let Some(summary) = await_inventory(draft) {
        let candidates = judge_all(&draft.question);
        return Outcome {
            decision: Decision::AwaitingInventory,
            summary,
            chosen: Vec::new(),
            candidates: Some(candidates),
        };
    }
    anew(draft, None)
}

/// Chooses places for replicas that no endpoint has, what `refused` left out.
pub(super) fn anew<'a>(draft: &mut Draft<'a>, refused: Option<Refused<'a>>) -> Outcome<'a> {
    draft.question.refused = refused;
    let candidates = requested(draft).unwrap_or_else(|| judge_all(&draft.question));
    if let Some(summary) = await_removal(draft) {
        return Outcome {
            decision: Decision::AwaitingRemoval,
            summary,
            chosen: Vec::new(),
            candidates: Some(candidates),
        };
    }
    let pieces = choose(draft, &candidates, None);
    if let Some((chosen, placed)) = create(draft, &candidates, &pieces, None, Decision::InitialPlacement) {
        if placed.replicas() < draft.question.replicas {
            let _ = nothing_feasible(draft, &candidates);
        }
        return Outcome {
            decision: Decision::InitialPlacement,
            summary: Summary::Placed(placed),
            chosen,
            candidates: Some(candidates),
        };
    }
    let summary = Summary::Nowhere(nothing_feasible(draft, &candidates));
    Outcome { decision: Decision::NoFeasiblePlacement, summary, chosen: Vec::new(), candidates: Some(candidates) }
}

/// The candidates on the target to which a user asked to move, if one of them is feasible.
fn requested<'a>(draft: &Draft<'a>) -> Option<Candidates<'a>> {
    let only = Some(draft.question.deployment.move_to.as_deref()?);
    let there = judge_all(&Question { only, ..draft.question });
    there.best().is_some().then_some(there)
}

/// Waits until everything is gone, where nothing is created beside an endpoint.
fn await_removal(draft: &mut Draft) -> Option<Summary> {
    if !draft.question.deployment.removes_first {
        return None;
    }
    let left: Vec<&Endpoint> = draft.existing.all().collect();
    for endpoint in &left {
        draft.waits.push(Wait::Removal { endpoint: endpoint.name.clone(), target: endpoint.target.clone() });
    }
    let first = left.first()?;
    Some(Summary::AwaitsRemoval { endpoint: first.name.clone(), target: first.target.clone() })
}

/// The best places for the replicas in question, which may take over from `replaced`. Without a gateway that is one place
/// for all of them. Else they are divided: what serves is replaced only by all of them, but fewer are better than none.
pub(super) fn choose<'a>(
    draft: &Draft<'a>,
    candidates: &Candidates<'a>,
    replaced: Option<&Endpoint>,
) -> Vec<Piece<'a>> {
    let question = &draft.question;
    if !question.deployment.divisible {
        let best = candidates.best().and_then(|best| Some((*best, best.offer?)));
        return best.map(|(judged, offer)| Piece { judged, offer, replicas: question.replicas }).into_iter().collect();
    }
    let pieces = divide_candidates(draft, candidates, replaced);
    let replicas: u32 = pieces.iter().map(|piece| piece.replicas).sum();
    let all = replicas >= question.replicas;
    if all || replaced.is_none_or(|replaced| !replaced.ready) { pieces } else { Vec::new() }
}

/// Creates an endpoint for each of the pieces; nothing if there are none.
pub(super) fn create<'a>(
    draft: &mut Draft<'a>,
    candidates: &Candidates<'a>,
    pieces: &[Piece<'a>],
    replaces: Option<&Endpoint>,
    reason: Decision,
) -> Option<(Vec<Chosen<'a>>, Placed)> {
    if draft.has_created() && !pieces.is_empty() {
        draft.decide_again();
        return None;
    }
    let wanted = draft.question.replicas;
    let mut slots = free_slots(draft);
    let mut chosen = Vec::with_capacity(pieces.len());
    let mut placements = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let placement = placement(draft, piece, slots.next().unwrap_or(u32::MAX));
        chosen.push(Chosen {
            target: &piece.judged.entry.target.name,
            offer: &piece.offer.name,
            shape: &piece.judged.shape.name,
            cost: placement.hourly_cost,
            kept: false,
            share: (piece.replicas < wanted).then_some((piece.replicas, wanted)),
        });
        draft.create(placement.clone(), replaces, reason);
        placements.push(placement);
    }
    let (first, others) = placements.split_first()?;
    let placed = Placed {
        placement: first.clone(),
        others: others.to_vec(),
        wanted,
        feasible: number_of(candidates.feasible()),
        candidates: number_of(candidates.all.len()),
    };
    Some((chosen, placed))
}

/// The placement that a piece makes.
pub(super) fn placement(draft: &Draft, piece: &Piece, slot: u32) -> Placement {
    let (judged, offer) = (piece.judged, piece.offer);
    let cost = |replicas| Cost::on(offer, judged.shape, replicas, draft.question.now).hourly.ok();
    Placement {
        target: judged.entry.target.name.clone(),
        offer: offer.name.clone(),
        shape: judged.shape.name.clone(),
        accelerator: judged.shape.accelerator.clone(),
        capacity_type: offer.capacity_type,
        slot,
        replicas: piece.replicas,
        replica_cost: cost(1),
        hourly_cost: cost(piece.replicas),
    }
}

fn number_of(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The slots that nothing of the deployment holds, what is being deleted or only found included, the lowest first.
pub(super) fn free_slots(draft: &Draft) -> impl Iterator<Item = u32> + use<> {
    let found = draft.question.fleet.found_of(&draft.question.deployment.id);
    let held: BTreeSet<u32> =
        draft.existing.all().map(|endpoint| endpoint.slot).chain(found.iter().map(|found| found.slot)).collect();
    (0..=u32::MAX).filter(move |slot| !held.contains(slot))
}

/// Waits while no candidate is feasible, and a summary of the reasons.
pub(super) fn nothing_feasible(draft: &mut Draft, candidates: &Candidates) -> Nowhere {
    draft.waits.push(Wait::Feasible);
    why_nowhere(draft, candidates)
}

/// The reasons that no candidate is feasible. The plan is made again when a place that refused may be tried again.
pub(super) fn why_nowhere(draft: &mut Draft, candidates: &Candidates) -> Nowhere {
    tell_holders(draft, candidates);
    for judged in &candidates.all {
        if let Some(until) = exhausted_until(&draft.question, judged) {
            draft.look_again(until);
        }
    }
    let namespace = &draft.question.deployment.id.namespace;
    if let Some(target) = draft.question.only.filter(|_| candidates.all.is_empty()) {
        // Which of the two is not revealed to a namespace that may not use the target.
        return Nowhere::NoSuchTarget { target: target.to_owned(), namespace: namespace.clone() };
    }
    if candidates.all.is_empty() {
        return match candidates.namespace_not_allowed {
            0 => Nowhere::NoTarget,
            targets => Nowhere::NoneForNamespace { namespace: namespace.clone(), targets },
        };
    }
    all_rejected(&draft.question, candidates)
}

fn all_rejected(question: &Question, candidates: &Candidates) -> Nowhere {
    let mut reasons = BTreeMap::<Reason, u32>::new();
    for judged in &candidates.all {
        *reasons.entry(judged.judgement.reason()).or_default() += 1;
    }
    let mut reasons: Vec<(Reason, u32)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(reason, number)| (std::cmp::Reverse(*number), *reason));
    Nowhere::AllRejected {
        replicas: question.replicas,
        candidates: number_of(candidates.all.len()),
        reasons,
        largest_fit: candidates.largest_fit().map(|(judged, replicas)| judged.largest_fit(replicas)),
    }
}

fn exhausted_until(question: &Question, judged: &Judged) -> Option<roadstead_model::Timestamp> {
    if judged.judgement != Judgement::Rejected(Reason::Exhausted) {
        return None;
    }
    let size = judged.size(question.deployment);
    last_refusal(question, judged.entry, judged.offer?, &size).map(|refusal| refusal.until)
}

/// Says which places are short because deployments of lower priority hold them.
fn tell_holders(draft: &mut Draft, candidates: &Candidates) {
    // Without anything of lower priority on the offer there is no need to look at its endpoints.
    let priority = draft.question.deployment.priority;
    let lowest = |judged: &Judged| judged.entry.room_of(judged.offer_name())?.lowest_priority();
    let short = candidates.all.iter().filter(|judged| {
        matches!(judged.judgement, Judgement::Fits(_)) && lowest(judged).is_some_and(|lowest| lowest < priority)
    });
    let mut told = BTreeSet::new();
    for judged in short {
        let place = (judged.entry.target.name.as_str(), judged.offer_name());
        if told.len() == MAX_HELD_PLACES {
            return;
        }
        if told.contains(&place) {
            continue;
        }
        if let Some(wait) = held_by_lower(&draft.question, place.0, place.1) {
            told.insert(place);
            draft.waits.push(wait);
        }
    }
}

fn held_by_lower(question: &Question, target: &str, offer: &str) -> Option<Wait> {
    let deployment = question.deployment;
    let holders: BTreeSet<_> = question
        .fleet
        .endpoints_on(target)
        .filter(|endpoint| {
            endpoint.offer == offer
                && endpoint.stays()
                && endpoint.replicas > 0
                && endpoint.priority < deployment.priority
                && endpoint.deployment != deployment.id
        })
        .map(|endpoint| &endpoint.deployment)
        .collect();
    if holders.is_empty() {
        return None;
    }
    // Names of other namespaces are not revealed.
    let held_by: Vec<String> = holders
        .iter()
        .filter(|id| id.namespace == deployment.id.namespace)
        .map(|id| id.name.clone())
        .take(MAX_NAMES)
        .collect();
    let others = u32::try_from(holders.len() - held_by.len()).unwrap_or(u32::MAX);
    Some(Wait::LowerPriority { target: target.to_owned(), offer: offer.to_owned(), held_by, others })
}

/// Waits, before a first placement, until every target that could hold an endpoint of this deployment has said
/// what runs there.
fn await_inventory(draft: &mut Draft) -> Option<Summary> {
    let question = draft.question;
    let pending: Vec<_> = question
        .fleet
        .entries()
        .filter_map(|entry| match entry.target.inventory {
            Inventory::Answered => None,
            Inventory::Pending { since } => Some((entry, since)),
        })
        .filter(|(entry, _)| {
            !question.deployment.place_without.contains(&entry.target.name) && could_hold(entry, question.deployment)
        })
        .map(|(entry, since)| (&entry.target.name, since))
        .collect();
    if pending.is_empty() {
        return None;
    }
    let mut overdue = Vec::new();
    for (name, since) in &pending {
        let named_at = since.plus(INVENTORY_PATIENCE_SECONDS);
        if named_at <= question.now {
            overdue.push((*name).clone());
        } else {
            draft.look_again(named_at);
        }
    }
    overdue.truncate(MAX_NAMES);
    let targets = u32::try_from(pending.len()).unwrap_or(u32::MAX);
    draft.waits.push(Wait::Inventory { targets, overdue: overdue.clone() });
    Some(Summary::AwaitsInventory { targets, overdue })
}

/// True if no target could still say that an endpoint of this deployment runs there, or has not answered for long: what is
/// created beside endpoints that serve waits for a short time only.
pub(super) fn inventory_is_complete(draft: &mut Draft) -> bool {
    let question = draft.question;
    let pending = question.fleet.entries().filter(|entry| could_hold(entry, question.deployment));
    let until = pending.filter_map(|entry| match entry.target.inventory {
        Inventory::Answered => None,
        Inventory::Pending { since } => Some(since.plus(INVENTORY_PATIENCE_SECONDS)),
    });
    match until.filter(|until| *until > question.now).max() {
        None => true,
        Some(until) => {
            draft.look_again(until);
            false
        }
    }
}

/// True if an endpoint of the deployment could be on the target without breaking a hard rule.
fn could_hold(entry: &Entry, deployment: &Deployment) -> bool {
    admits(entry, deployment)
        && target_rule(entry, deployment).is_none()
        && entry.target.offers.iter().any(|offer| {
            capacity_type_rule(deployment, offer.capacity_type).is_none()
                && deployment.shapes.iter().any(|shape| {
                    offer.has_kind_of(&shape.accelerator)
                        && entry.target.capabilities.fits(shape.accelerator.count, offer.accelerators())
                })
        })
}
