//! The replicas of a divided deployment that no part has, and places for them.

use roadstead_model::{Decision, Endpoint, MicroDollars, Nowhere, Placed};

use super::assess::assess;
use super::dividing::{MAX_PARTS, Piece, divide_all, spread};
use super::draft::Draft;
use super::place::{create, nothing_feasible};
use super::shares::{Shared, sum};
use crate::candidates::{Candidates, Question};
use crate::report::Chosen;

/// New places, as they are reported.
pub(super) type Created<'a> = (Vec<Chosen<'a>>, Placed);

/// Replicas that no part has.
#[derive(Debug)]
pub(super) struct Leftover {
    /// Replicas.
    pub(super) replicas: u32,
    /// All replicas have a place; these are to be in further domains.
    pub(super) is_for_spread: bool,
    /// The rest of the budget.
    budget: Option<MicroDollars>,
}

impl Leftover {
    /// Those that `shared` leaves over.
    pub(super) fn of(draft: &Draft, shared: &[Shared]) -> Self {
        let deployment = draft.question.deployment;
        let (lacking, _) = spread(draft, None);
        let replicas = deployment.replicas.saturating_sub(sum(shared));
        let spent = shared.iter().filter_map(|shared| draft.cost_of(shared.part.serving, shared.replicas));
        let spent = spent.fold(MicroDollars::ZERO, MicroDollars::saturating_add);
        let is_for_spread = replicas == 0;
        // A domain gets its replica before another one loses it.
        let replicas = if deployment.replicas == 0 { 0 } else { replicas.max(lacking) };
        Self { replicas, is_for_spread, budget: deployment.budget().map(|budget| budget.saturating_sub(spent)) }
    }

    /// The question about them; about all replicas where none is missing, for the report.
    pub(super) fn question<'a>(&self, draft: &Draft<'a>) -> Question<'a> {
        match self.replicas {
            0 => draft.question,
            replicas => Question { replicas, budget: self.budget, ..draft.question },
        }
    }

    /// Replicas that parts get in addition, and those for new places.
    pub(super) fn place<'a>(
        &self,
        draft: &Draft<'a>,
        shared: &[Shared<'a>],
        candidates: &Candidates<'a>,
    ) -> (Vec<(usize, u32)>, Vec<Piece<'a>>) {
        let mut draft = draft.clone();
        draft.question = self.question(&draft);
        if !draft.question.deployment.divisible {
            return (Vec::new(), Vec::new());
        }
        let can_grow: Vec<(usize, &Endpoint, u32)> = shared
            .iter()
            .enumerate()
            .filter_map(|(index, shared)| {
                let most = growth(&draft, shared, self.replicas);
                (most > 0).then_some((index, shared.part.serving, most))
            })
            .collect();
        let growing: Vec<(&Endpoint, u32)> = can_grow.iter().map(|(_, endpoint, most)| (*endpoint, *most)).collect();
        let (grown, pieces) = divide_all(&draft, &growing, candidates, None, MAX_PARTS.saturating_sub(shared.len()));
        let grown = grown.into_iter().filter_map(|share| Some((can_grow.get(share.supply)?.0, share.replicas)));
        (grown.collect(), pieces)
    }

    /// Creates endpoints at the new places.
    pub(super) fn create<'a>(
        &self,
        draft: &mut Draft<'a>,
        candidates: &Candidates<'a>,
        pieces: &[Piece<'a>],
    ) -> Option<Created<'a>> {
        let reason = if self.is_for_spread { Decision::SpecChanged } else { Decision::Scaled };
        draft.asking(self.question(draft), |draft| create(draft, candidates, pieces, None, reason))
    }

    /// Why they have no place.
    pub(super) fn nowhere<'a>(&self, draft: &mut Draft<'a>, candidates: &Candidates<'a>) -> Nowhere {
        draft.asking(self.question(draft), |draft| nothing_feasible(draft, candidates))
    }
}

/// Replicas that a part can get in its place in addition: as many as fit, where nothing speaks against the place.
fn growth(draft: &Draft, shared: &Shared, wanted: u32) -> u32 {
    let serving = shared.part.serving;
    let question = Question { replicas: shared.replicas, ..draft.question };
    if !shared.part.successors.is_empty() || serving.failing_since.is_some() || draft.is_removed(serving) {
        return 0;
    }
    let here = assess(&question, serving);
    let holds = |more: u32| {
        let question = Question { replicas: shared.replicas.saturating_add(more), budget: None, ..draft.question };
        assess(&question, serving).keep.replicas >= shared.replicas.saturating_add(more)
    };
    if !here.may_grow() {
        return 0;
    }
    // Room only shrinks with the number of replicas: the largest that fits is found by halving.
    let (mut most, mut too_many) = (0, wanted.saturating_add(1));
    while most + 1 < too_many {
        let middle = most + (too_many - most) / 2;
        if holds(middle) { most = middle } else { too_many = middle }
    }
    most
}
