//! The table of best divisions, by replicas and lacking domains.

use super::prune::cheapest_pools;
use super::supply::{Share, Supply, Wish};
use super::weights::Weights;

/// So many divisions of one cell are compared where a dearer one can be the only one within the budget.
const MAX_FRONT: usize = 32;

/// Rank of a division: replicas of unknown price, then weight, then new endpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    unknown: u32,
    weight: i128,
    endpoints: u32,
}

/// A division of so many replicas.
#[derive(Debug, Clone, Copy)]
struct Cell {
    rank: Rank,
    /// Cost an hour in micro-dollars.
    hourly: u64,
    /// Its last share, in the trail; `None` is the empty division.
    last: Option<usize>,
}

/// The divisions of one number of replicas and domains, none of which is worse than another in both rank and cost.
type Front = Vec<Cell>;

/// A layer of the table: fronts by replicas and domains that are no longer lacking.
#[derive(Debug, Clone)]
struct Layer(Vec<Front>);

/// The divisions of all numbers of replicas.
#[derive(Debug)]
pub(super) struct Table<'a> {
    wish: &'a Wish<'a>,
    weights: Weights,
    /// A dearer division may be the only one within the budget.
    compares_cost: bool,
    /// Each share with the one before it.
    trail: Vec<(Share, Option<usize>)>,
}

impl<'a> Table<'a> {
    /// The best division for these weights.
    pub(super) fn solve(supplies: &[Supply], wish: &'a Wish<'a>, weights: Weights) -> Vec<Share> {
        let adjusts = |supply: &Supply| supply.price.is_some_and(|price| !price.is_plain());
        let compares_cost = wish.budget.is_some() && (wish.by_tokens || supplies.iter().any(adjusts));
        let mut table = Table { wish, weights, compares_cost, trail: Vec::new() };
        let mut all = table.empty();
        if let Some(first) = all.0.first_mut() {
            first.push(Cell { rank: Rank::default(), hourly: 0, last: None });
        }
        let prune = !compares_cost;
        for domain in cheapest_pools(supplies, wish, weights, prune) {
            let mut used = table.empty();
            for pool in &domain.pools {
                table.add_pool(supplies, pool, domain.is_lacking, &all, &mut used);
            }
            table.merge(&mut all, &used);
        }
        table.best(&all)
    }

    fn empty(&self) -> Layer {
        Layer(vec![Front::new(); self.index(self.wish.replicas, self.wish.lacking).saturating_add(1)])
    }

    fn index(&self, replicas: u32, domains: u32) -> usize {
        let width = self.wish.lacking.saturating_add(1);
        usize::try_from(replicas.saturating_mul(width).saturating_add(domains.min(self.wish.lacking))).unwrap_or(0)
    }

    /// Extends the divisions without this domain and those that use it by each place of a pool.
    fn add_pool(&mut self, supplies: &[Supply], pool: &[usize], is_lacking: bool, before: &Layer, used: &mut Layer) {
        let former = used.clone();
        for index in pool {
            let Some(supply) = supplies.get(*index) else { continue };
            for replicas in 0..self.wish.replicas {
                for domains in 0..=self.wish.lacking {
                    let at = self.index(replicas, domains);
                    for (layer, more) in [(before, u32::from(is_lacking)), (&former, 0)] {
                        for cell in layer.0.get(at).into_iter().flatten() {
                            self.extend(*index, supply, (replicas, domains.saturating_add(more)), cell, used);
                        }
                    }
                }
            }
        }
    }

    /// Adds every number of replicas of one place to a division.
    fn extend(&mut self, index: usize, supply: &Supply, (placed, domains): (u32, u32), cell: &Cell, used: &mut Layer) {
        let unit = self.weights.of(supply);
        for replicas in 1..=supply.most.min(self.wish.replicas.saturating_sub(placed)) {
            let hourly = supply.price.map_or(0, |price| price.hourly.0.saturating_mul(replicas.into()));
            let hourly = cell.hourly.saturating_add(hourly);
            if self.wish.budget.is_some_and(|budget| supply.price.is_none() || hourly > budget.0) {
                return;
            }
            let rank = Rank {
                unknown: cell.rank.unknown + if unit.is_none() { replicas } else { 0 },
                weight: cell.rank.weight.saturating_add(unit.unwrap_or(0).saturating_mul(replicas.into())),
                endpoints: cell.rank.endpoints + u32::from(supply.is_new),
            };
            let at = self.index(placed.saturating_add(replicas), domains);
            let Some(front) = used.0.get_mut(at) else { return };
            let next = Cell { rank, hourly, last: Some(self.trail.len()) };
            if insert(front, next, self.compares_cost) {
                self.trail.push((Share { supply: index, replicas }, cell.last));
            }
        }
    }

    fn merge(&self, all: &mut Layer, used: &Layer) {
        for (front, more) in all.0.iter_mut().zip(&used.0) {
            for cell in more {
                insert(front, *cell, self.compares_cost);
            }
        }
    }

    /// The most replicas, leaving one for each domain that is still lacking; then the best rank.
    fn best(&self, all: &Layer) -> Vec<Share> {
        let Wish { replicas: wanted, lacking, .. } = *self.wish;
        for replicas in (1..=wanted).rev() {
            let allowed = |domains: &u32| replicas <= wanted.saturating_sub(lacking.saturating_sub(*domains));
            let fronts = (0..=lacking).filter(allowed).filter_map(|domains| all.0.get(self.index(replicas, domains)));
            if let Some(cell) = fronts.flatten().min_by_key(|cell| cell.rank) {
                return self.shares(cell);
            }
        }
        Vec::new()
    }

    fn shares(&self, cell: &Cell) -> Vec<Share> {
        let mut shares = Vec::new();
        let mut at = cell.last;
        while let Some((share, before)) = at.and_then(|at| self.trail.get(at)) {
            shares.push(*share);
            at = *before;
        }
        shares.sort_by_key(|share| share.supply);
        shares
    }
}

/// Puts a division in unless one that is there is as good; says whether it did.
fn insert(front: &mut Front, next: Cell, compares_cost: bool) -> bool {
    let is_no_worse = |a: &Cell, b: &Cell| a.rank <= b.rank && (!compares_cost || a.hourly <= b.hourly);
    if front.iter().any(|known| is_no_worse(known, &next)) {
        return false;
    }
    front.retain(|known| !is_no_worse(&next, known));
    front.push(next);
    if front.len() > MAX_FRONT {
        front.sort_by_key(|cell| cell.rank);
        front.truncate(MAX_FRONT);
    }
    true
}
