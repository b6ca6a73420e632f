//! Turns of replacements: the budgets that one has to wait for.

use roadstead_model::{Decision, Facts, ReplacementBudget, Timestamp, Wait};

use super::dividing::Piece;
use super::draft::Draft;
use super::existing::ServingPart;
use super::failover::{self, is_failover};

/// The wait for the first budget that has no room for the replacement of a part at these places. A failover waits for the
/// budgets of the fleet and of its destination; every other replacement also for that of its namespace.
pub(super) fn wait(draft: &Draft, part: &ServingPart, cause: Decision, pieces: &[Piece]) -> Option<Wait> {
    let question = &draft.question;
    let limits = question.fleet.replacement_limits();
    let namespace = || ReplacementBudget::Namespace { namespace: question.deployment.id.namespace.clone() };
    let of_namespace = limits.namespace.filter(|_| !is_failover(cause)).map(|limit| (namespace(), limit));
    let of_destinations = pieces.iter().filter_map(|piece| {
        let target = piece.judged.entry.target.name.clone();
        Some((ReplacementBudget::Destination { target }, limits.destination?))
    });
    let of_fleet = (ReplacementBudget::Fleet, failover::limit(question, cause));
    of_namespace.into_iter().chain(of_destinations).chain([of_fleet]).find_map(|(budget, limit)| {
        // Several endpoints may take over from the part: that is one replacement.
        let under_way = question.fleet.in_progress(&budget, question.now, Some(part.serving));
        let before = question.fleet.before_in_turn(question.deployment, &budget, question.now);
        let is_full = under_way.saturating_add(before) >= limit;
        is_full.then_some(Wait::ReplacementLimit { budget, under_way, limit })
    })
}

/// Time when a replacement that waits is decided again: when one that counts against its limit stops counting by itself, if it
/// is among the first. The others follow when these have left.
pub(super) fn again_at(draft: &Draft, wait: &Wait) -> Option<Timestamp> {
    let Wait::ReplacementLimit { budget, limit, .. } = wait else { return None };
    let question = &draft.question;
    let before = question.fleet.before_in_turn(question.deployment, budget, question.now);
    question.fleet.next_turn_at(question.now).filter(|_| before < *limit)
}
