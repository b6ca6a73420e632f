//! Divides the replicas of a deployment over its parts and over new places.
//!
//! Endpoints that run stay. Missing replicas go where they are cheapest, in place or elsewhere; superfluous ones leave what
//! serves least, then what costs most. Each part is then planned as a deployment of its own that wants its share.

use roadstead_model::{Action, Decision, Keep, MicroDollars, PartSummary, Placed, Summary};

use super::dividing::Piece;
use super::draft::{Draft, Outcome};
use super::failover::is_failover;
use super::leftover::{Created, Leftover};
use super::place::inventory_is_complete;
use super::settle;
use super::shares::{Shared, shares};
use crate::candidates::{Candidates, Question, judge_all};

/// Decides about all parts, and about replicas that none of them has.
pub(super) fn decide<'a>(draft: &mut Draft<'a>) -> Outcome<'a> {
    let before = draft.clone();
    let (outcome, grows) = decide_with(draft, true);
    let creates = || draft.has_created() && !matches!(outcome.summary, Summary::Divided { .. });
    if !grows || !creates() {
        return outcome;
    }
    // A part that grows and another one that is replaced might take the same room: growth waits for the next plan.
    *draft = before;
    draft.decide_again();
    decide_with(draft, false).0
}

/// Decides, and says whether a part grows in its place.
fn decide_with<'a>(draft: &mut Draft<'a>, may_grow: bool) -> (Outcome<'a>, bool) {
    let mut shared = shares(draft);
    let leftover = Leftover::of(draft, &shared);
    let candidates = judge_all(&leftover.question(draft));
    let (growth, pieces) =
        if leftover.replicas > 0 { leftover.place(draft, &shared, &candidates) } else { Default::default() };
    let grows = may_grow && !growth.is_empty();
    for (index, replicas) in growth.iter().filter(|_| may_grow) {
        if let Some(shared) = shared.get_mut(*index) {
            shared.replicas = shared.replicas.saturating_add(*replicas);
        }
    }
    let mut index = 0;
    let mut kept_at_zero = !is_at_zero(draft);
    shared.retain(|shared| {
        let stays = shared.replicas > 0 || growth.iter().any(|(growing, _)| *growing == index) || !kept_at_zero;
        kept_at_zero |= stays;
        index += 1;
        if !stays {
            draft.existing.set_aside(&shared.part);
        }
        stays
    });
    let outcomes = plan_parts(draft, &shared);
    let placed = if pieces.is_empty() {
        None
    } else if draft.successor_grows() {
        // It may take the room that the division found.
        draft.decide_again();
        None
    } else {
        inventory_is_complete(draft).then(|| leftover.create(draft, &candidates, &pieces)).flatten()
    };
    (combine(draft, outcomes, &leftover, (candidates, pieces, placed)), grows)
}

fn is_at_zero(draft: &Draft) -> bool {
    draft.question.deployment.replicas == 0
}

/// Plans each part as a deployment of its own that wants its share of the replicas and of the budget.
fn plan_parts<'a>(draft: &mut Draft<'a>, shared: &[Shared<'a>]) -> Vec<Outcome<'a>> {
    let whole = draft.question;
    let cost = |draft: &Draft, shared: &Shared| draft.cost_of(shared.part.serving, shared.replicas);
    let costs: Vec<MicroDollars> =
        shared.iter().map(|shared| cost(draft, shared).unwrap_or(MicroDollars::ZERO)).collect();
    let total = costs.iter().copied().fold(MicroDollars::ZERO, MicroDollars::saturating_add);
    let mut outcomes = Vec::with_capacity(shared.len());
    for (shared, own) in shared.iter().zip(costs) {
        let others = total.saturating_sub(own);
        let budget = whole.budget.map(|budget| budget.saturating_sub(others));
        let question = Question { replicas: shared.replicas, budget, ..whole };
        outcomes.push(draft.asking(question, |draft| settle::part(draft, &shared.part)));
    }
    outcomes
}

/// The outcome of all parts: what one of them undergoes, else what becomes of the whole.
fn combine<'a>(
    draft: &mut Draft<'a>,
    mut outcomes: Vec<Outcome<'a>>,
    leftover: &Leftover,
    (candidates, pieces, placed): (Candidates<'a>, Vec<Piece<'a>>, Option<Created<'a>>),
) -> Outcome<'a> {
    let moves = |outcome: &Outcome| !matches!(outcome.decision, Decision::Unchanged | Decision::Scaled);
    let fails = outcomes.iter().position(|outcome| is_failover(outcome.decision));
    let told = fails.or_else(|| outcomes.iter().position(moves));
    let only = (outcomes.len() == 1 && leftover.replicas == 0).then_some(0);
    let (mut chosen, placed) = placed.map_or_else(Default::default, |(chosen, placed)| (chosen, Some(placed)));
    let lacks = leftover.replicas.saturating_sub(placed.as_ref().map_or(0, Placed::replicas));
    let nowhere = (lacks > 0 && pieces.is_empty()).then(|| leftover.nowhere(draft, &candidates));
    if let Some(index) = told.or(only) {
        let mut outcome = outcomes.swap_remove(index);
        outcome.chosen.extend(outcomes.into_iter().flat_map(|other| other.chosen).chain(chosen));
        return outcome;
    }
    let scaled = placed.is_some() || outcomes.iter().any(|outcome| outcome.decision == Decision::Scaled);
    let decision = match (scaled, nowhere.is_some()) {
        (true, _) => Decision::Scaled,
        (false, false) => Decision::Unchanged,
        (false, true) if leftover.is_for_spread => Decision::SpreadUnsatisfied,
        (false, true) => Decision::PartlyPlaced,
    };
    let wanted = draft.question.deployment.replicas;
    let summary = Summary::Divided { parts: summaries(draft), placed, wanted, nowhere };
    chosen.extend(outcomes.into_iter().flat_map(|outcome| outcome.chosen));
    Outcome { decision, summary, chosen, candidates: Some(candidates) }
}

/// The parts that the plan keeps.
fn summaries(draft: &Draft) -> Vec<PartSummary> {
    let kept = draft.actions.iter().filter_map(|action| match action {
        Action::Keep(keep) => Some(keep),
        _ => None,
    });
    let part = |keep: &Keep| {
        let mut parts = draft.existing.parts().iter().map(|part| part.serving);
        let serving = parts.find(|serving| serving.name == keep.endpoint)?;
        Some(PartSummary {
            replicas: keep.replicas,
            shape: serving.shape.clone(),
            target: serving.target.clone(),
            offer: serving.offer.clone(),
            hourly_cost: keep.hourly_cost,
        })
    };
    kept.filter_map(part).collect()
}
