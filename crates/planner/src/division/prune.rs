//! The pools that an optimal division may use.
//!
//! Within a domain, let the cheapest places of the first pools, in order of their price, hold all wished replicas together.
//! Then no other pool of the domain is needed: its replicas would fit in the free room of these, and cost no more there. In
//! the same way whole domains are left out whose places cost more than the cheapest pools of all domains that hold all
//! replicas, as long as as many domains are left as are lacking. What costs the same as the last one
//! stays: it may hold the replicas in fewer endpoints.

use super::supply::{Supply, Wish};
use super::weights::Weights;

/// The pools of a failure domain, as indexes of supplies.
#[derive(Debug)]
pub(super) struct Domain {
    /// Its pools, the cheapest first.
    pub(super) pools: Vec<Vec<usize>>,
    /// A replica here makes one domain less lacking.
    pub(super) is_lacking: bool,
    /// Price of its cheapest place.
    price: SortKey,
    /// Replicas that the cheapest places of its pools hold.
    most: u32,
    /// Weight of its dearest pool that is needed: others of the same weight may make fewer endpoints.
    dearest: Weight,
    /// Weight of the cheapest place of each pool, with the replicas that it holds.
    cheapest: Vec<(Weight, u32)>,
}

/// Weight of one replica; unknown ones last.
type Weight = (bool, i128);

/// Price of one replica: unknown ones last, then weight, then new endpoints, then the order of the supplies.
type SortKey = (bool, i128, bool, usize);

/// The domains with their pools, the cheapest first; with `prune` only those that an optimal division may use.
pub(super) fn cheapest_pools(supplies: &[Supply], wish: &Wish<'_>, weights: Weights, prune: bool) -> Vec<Domain> {
    let mut priced: Vec<(SortKey, usize)> = Vec::with_capacity(supplies.len());
    for (index, supply) in supplies.iter().enumerate().filter(|(_, supply)| supply.most > 0) {
        let weight = weights.of(supply);
        priced.push(((weight.is_none(), weight.unwrap_or(0), supply.is_new, index), index));
    }
    priced.sort_by_key(|(price, _)| *price);
    let mut domains: Vec<(usize, Domain)> = Vec::new();
    let mut pools: Vec<(usize, usize, usize)> = Vec::new();
    for (price, index) in priced {
        let Some(supply) = supplies.get(index) else { continue };
        let at = domains.iter().position(|(name, _)| *name == supply.domain).unwrap_or_else(|| {
            let is_lacking = wish.lacking > 0 && !wish.held.contains(&supply.domain);
            domains.push((
                supply.domain,
                Domain {
                    pools: Vec::new(),
                    is_lacking,
                    price,
                    most: 0,
                    dearest: (price.0, price.1),
                    cheapest: Vec::new(),
                },
            ));
            domains.len() - 1
        });
        let Some((_, domain)) = domains.get_mut(at) else { continue };
        if let Some((.., known)) = pools.iter().find(|(name, of, _)| (*name, *of) == (supply.pool, at)) {
            domain.pools.get_mut(*known).into_iter().for_each(|pool| pool.push(index));
        } else if !prune || domain.most < wish.replicas || domain.dearest == (price.0, price.1) {
            domain.dearest = (price.0, price.1);
            pools.push((supply.pool, at, domain.pools.len()));
            domain.pools.push(vec![index]);
            domain.most = domain.most.saturating_add(supply.most);
            domain.cheapest.push(((price.0, price.1), supply.most));
        }
    }
    let mut domains: Vec<Domain> = domains.into_iter().map(|(_, domain)| domain).collect();
    domains.sort_by_key(|domain| domain.price);
    if prune { enough(domains, wish) } else { domains }
}

/// The domains that are as cheap as the pools that hold all replicas, and as many as are lacking.
fn enough(domains: Vec<Domain>, wish: &Wish<'_>) -> Vec<Domain> {
    let mut pools: Vec<(Weight, u32)> = domains.iter().flat_map(|domain| domain.cheapest.iter().copied()).collect();
    pools.sort_by_key(|(weight, _)| *weight);
    let mut most = 0_u32;
    let dearest = pools.into_iter().find(|(_, more)| {
        most = most.saturating_add(*more);
        most >= wish.replicas
    });
    let mut lacking = 0_u32;
    let is_needed = |domain: &Domain| {
        let is_cheap = dearest.is_none_or(|(weight, _)| (domain.price.0, domain.price.1) <= weight);
        let fills = domain.is_lacking && lacking < wish.lacking;
        lacking += u32::from(domain.is_lacking && (is_cheap || fills));
        is_cheap || fills
    };
    domains.into_iter().filter(is_needed).collect()
}
