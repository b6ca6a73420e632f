//! The replicas that each part of a deployment keeps.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::dividing::{domain_of, domains_wanted, price_of};
use super::draft::Draft;
use super::existing::ServingPart;

/// A part with the replicas that it is to have.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    /// The part.
    pub(super) part: ServingPart<'a>,
    /// Replicas.
    pub(super) replicas: u32,
}

/// The replicas that each part keeps, the most valuable part first: those that it was given, without superfluous ones.
pub(super) fn shares<'a>(draft: &Draft<'a>) -> Vec<Shared<'a>> {
    let wanted = draft.question.deployment.replicas;
    let share = |part: &ServingPart<'a>| Shared { replicas: part.serving.replicas.min(wanted), part: part.clone() };
    let mut shared: Vec<Shared> = draft.existing.parts().iter().map(share).collect();
    sort_by_worth(draft, &mut shared);
    let mut excess = sum(&shared).saturating_sub(wanted);
    for index in (0..shared.len()).rev() {
        let taken = excess.min(most_to_take(draft, &shared, index));
        if let Some(shared) = shared.get_mut(index) {
            shared.replicas -= taken;
            excess -= taken;
        }
    }
    shared
}

/// Replicas of all parts.
pub(super) fn sum(shared: &[Shared]) -> u32 {
    shared.iter().fold(0, |sum, shared| sum.saturating_add(shared.replicas))
}

/// Sorts the parts: what serves first, then what costs least, then the oldest. The last one loses replicas first.
fn sort_by_worth(draft: &Draft, shared: &mut [Shared]) {
    shared.sort_by_cached_key(|shared| {
        let serving = shared.part.serving;
        let price = price_of(draft, serving).map_or(i128::MAX, |price| price.adjusted);
        let serves = (serving.serves(), serving.ever_ready, serving.ready);
        (Reverse(serves), price, serving.created_at, serving.name.as_str())
    });
}

/// Replicas that a part can lose: the last one in its domain stays where that is one of the wanted domains, and what serves
/// only shrinks as far as others serve.
fn most_to_take(draft: &Draft, shared: &[Shared], index: usize) -> u32 {
    let Some(this) = shared.get(index) else { return 0 };
    let wanted = draft.question.deployment.replicas;
    let domain = domain_of(draft, &this.part.serving.target);
    let held: BTreeSet<_> = shared
        .iter()
        .filter(|shared| shared.replicas > 0)
        .map(|one| domain_of(draft, &one.part.serving.target))
        .collect();
    let is_last = !shared.iter().enumerate().any(|(other, shared)| {
        other != index && shared.replicas > 0 && domain_of(draft, &shared.part.serving.target) == domain
    });
    let is_needed = is_last && held.len() <= domains_wanted(draft);
    let by_domain = this.replicas.saturating_sub(u32::from(is_needed));
    if !this.part.serving.serves() {
        return by_domain;
    }
    let ready = shared.iter().filter(|shared| shared.part.serving.serves());
    let ready = ready.fold(0_u32, |sum, shared| sum.saturating_add(shared.replicas));
    by_domain.min(ready.saturating_sub(wanted))
}
