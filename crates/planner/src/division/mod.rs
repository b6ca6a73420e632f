//! The division of replicas over places: most replicas, then least cost, then fewest new endpoints. Exact.
//!
//! Places that share nodes form a pool, of which one place is used: what one of them holds depends on the others. So the
//! choice is a knapsack with groups, solved by dynamic programming over domains, pools and places (`table`). Replicas are
//! few, at most 128, and mostly a handful of the cheapest pools hold all of them (`prune`).

mod prune;
mod supply;
mod table;
mod weights;

pub(crate) use self::supply::{Share, Supply, UnitPrice, Wish};
use self::table::Table;
use self::weights::Weights;

/// Ratios converge in a few steps; this bounds them.
const MAX_ROUNDS: usize = 64;

/// The best division of the wished replicas over `supplies`, which come in the order that breaks ties.
///
/// Cost per token is a ratio of sums. It is minimised by Dinkelbach's method: minimise `cost x T - C x tokens` for the ratio
/// `C / T` of the last solution, until that no longer improves (W. Dinkelbach, "On nonlinear fractional programming",
/// Management Science 13 (1967)).
pub(crate) fn divide(supplies: &[Supply], wish: &Wish<'_>) -> Vec<Share> {
    let mut best = Table::solve(supplies, wish, Weights::COST);
    if !wish.by_tokens {
        return best;
    }
    for _ in 0..MAX_ROUNDS {
        let ratio = Weights::ratio_of(supplies, &best);
        let next = Table::solve(supplies, wish, ratio);
        let (was, is) = (ratio.sum(supplies, &best), ratio.sum(supplies, &next));
        if is >= was {
            break;
        }
        best = next;
    }
    best
}

#[cfg(test)]
mod tests;
