//! Divides replicas over candidates and over endpoints that can grow, spread over failure domains.

use std::collections::{BTreeMap, BTreeSet};

use roadstead_model::{Endpoint, MicroDollars, Objective, Offer, Target};

use super::draft::Draft;
use crate::candidates::{Candidates, Judged};
use crate::cost::{Cost, preference};
use crate::division::{Share, Supply, UnitPrice, Wish, divide};
use crate::entry::Entry;

/// A deployment has at most so many parts; where that is too few, small places are left out.
pub(super) const MAX_PARTS: usize = 8;

/// Replicas at a candidate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    /// The candidate.
    pub(super) judged: Judged<'a>,
    /// Its offer.
    pub(super) offer: &'a Offer,
    /// Replicas there.
    pub(super) replicas: u32,
}

/// Divides the replicas in question over candidates.
pub(super) fn divide_candidates<'a>(
    draft: &Draft<'a>,
    candidates: &Candidates<'a>,
    replaced: Option<&Endpoint>,
) -> Vec<Piece<'a>> {
    divide_all(draft, &[], candidates, replaced, MAX_PARTS).1
}

/// Divides the replicas in question over endpoints that can grow and candidates: shares of the former by their index, and
/// pieces at the latter.
pub(super) fn divide_all<'a>(
    draft: &Draft<'a>,
    growing: &[(&Endpoint, u32)],
    candidates: &Candidates<'a>,
    replaced: Option<&Endpoint>,
    most_new: usize,
) -> (Vec<Share>, Vec<Piece<'a>>) {
    let mut names = Names::default();
    let (lacking, held) = spread(draft, replaced);
    let held: Vec<usize> = held.into_iter().map(|domain| names.domain(domain)).collect();
    let mut supplies: Vec<Supply> =
        growing.iter().filter_map(|(endpoint, most)| grown_supply(draft, &mut names, endpoint, *most)).collect();
    let places: Vec<&Judged> = candidates.all.iter().filter(|judged| judged.part > 0).collect();
    supplies.extend(places.iter().map(|judged| supply_of(draft, &mut names, judged)));
    let wish = Wish {
        replicas: draft.question.replicas,
        lacking: lacking.min(draft.question.replicas),
        held: &held,
        budget: draft.question.budget,
        by_tokens: draft.question.deployment.objective == Objective::CostPerMillionTokens,
    };
    let shares = divide_within(&mut supplies, &wish, most_new);
    let (grown, new): (Vec<Share>, Vec<Share>) = shares.into_iter().partition(|share| share.supply < growing.len());
    let pieces = new.into_iter().filter_map(|share| {
        let judged = **places.get(share.supply.checked_sub(growing.len())?)?;
        Some(Piece { judged, offer: judged.offer?, replicas: share.replicas })
    });
    (grown, pieces.collect())
}

/// The best division with at most so many new endpoints: as long as there are more, the smallest places are left out.
fn divide_within(supplies: &mut [Supply], wish: &Wish<'_>, most_new: usize) -> Vec<Share> {
    let mut smallest = 1;
    loop {
        let shares = divide(supplies, wish);
        let is_new = |share: &&Share| supplies.get(share.supply).is_some_and(|supply| supply.is_new);
        if shares.iter().filter(is_new).count() <= most_new {
            return shares;
        }
        smallest *= 2;
        for supply in supplies.iter_mut().filter(|supply| supply.is_new && supply.most < smallest) {
            supply.most = 0;
        }
    }
}

/// Numbers for pools and domains.
#[derive(Default)]
struct Names<'a> {
    pools: BTreeMap<(&'a str, usize), usize>,
    domains: BTreeMap<(&'a str, &'a str), usize>,
}

impl<'a> Names<'a> {
    /// The pool of an offer: offers of a target that share nodes are in one.
    fn pool(&mut self, entry: &'a Entry, offer: &str) -> usize {
        let next = self.pools.len();
        *self.pools.entry((&entry.target.name, entry.pool_of(offer))).or_insert(next)
    }

    fn domain(&mut self, domain: (&'a str, &'a str)) -> usize {
        let next = self.domains.len();
        *self.domains.entry(domain).or_insert(next)
    }
}

fn supply_of<'a>(draft: &Draft<'a>, names: &mut Names<'a>, judged: &Judged<'a>) -> Supply {
    let price = judged.offer.and_then(|offer| {
        let one = Cost::on(offer, judged.shape, 1, draft.question.now);
        unit_price(draft, &judged.entry.target, one.hourly.ok()?, judged.shape.tokens_per_second)
    });
    Supply {
        pool: names.pool(judged.entry, judged.offer_name()),
        domain: names.domain(domain(draft, &judged.entry.target)),
        most: judged.part,
        price,
        is_new: true,
    }
}

fn grown_supply<'a>(draft: &Draft<'a>, names: &mut Names<'a>, endpoint: &Endpoint, most: u32) -> Option<Supply> {
    let entry = draft.question.fleet.entry(&endpoint.target)?;
    Some(Supply {
        pool: names.pool(entry, &endpoint.offer),
        domain: names.domain(domain(draft, &entry.target)),
        most,
        price: price_of(draft, endpoint),
        is_new: false,
    })
}

/// Price of a replica of an endpoint.
pub(super) fn price_of(draft: &Draft, endpoint: &Endpoint) -> Option<UnitPrice> {
    let entry = draft.question.fleet.entry(&endpoint.target)?;
    let tokens = draft.question.deployment.shape(&endpoint.shape).and_then(|shape| shape.tokens_per_second);
    unit_price(draft, &entry.target, draft.cost_of(endpoint, 1)?, tokens)
}

fn unit_price(draft: &Draft, target: &Target, hourly: MicroDollars, tokens: Option<u64>) -> Option<UnitPrice> {
    let deployment = draft.question.deployment;
    let premium = preference(deployment, target).map_or(0, |(_, preference)| preference.premium_percent);
    let tokens = match deployment.objective {
        Objective::HourlyCost => 1,
        Objective::CostPerMillionTokens => u32::try_from(tokens?).ok().filter(|tokens| *tokens > 0)?,
    };
    Some(UnitPrice::new(hourly, premium, tokens))
}

/// Domains that are to hold a replica; 0 where replicas are not spread.
pub(super) fn domains_wanted(draft: &Draft) -> usize {
    let deployment = draft.question.deployment;
    let spread = deployment.spread.filter(|_| deployment.divisible);
    spread.map_or(0, |spread| usize::try_from(spread.min_domains.min(deployment.replicas)).unwrap_or(0))
}

/// The failure domain of a target; all targets are in one where replicas are not spread.
pub(super) fn domain_of<'a>(draft: &Draft<'a>, target: &str) -> (&'a str, &'a str) {
    let entry = draft.question.fleet.entry(target);
    entry.map_or(("", ""), |entry| domain(draft, &entry.target))
}

fn domain<'a>(draft: &Draft<'a>, target: &'a Target) -> (&'a str, &'a str) {
    draft.question.deployment.spread.map_or(("", ""), |spread| target.domain(spread.topology))
}

/// Domains that lack a replica, and those that have one, without the part that is replaced.
pub(super) fn spread<'a>(draft: &Draft<'a>, replaced: Option<&Endpoint>) -> (u32, BTreeSet<(&'a str, &'a str)>) {
    let parts = draft.existing.parts().iter();
    let stays = parts.flat_map(|part| match replaced {
        Some(replaced) if replaced.name == part.serving.name => part.successors.clone(),
        _ => vec![part.serving],
    });
    let held: BTreeSet<_> = stays
        .filter(|endpoint| endpoint.replicas > 0 && !draft.is_removed(endpoint))
        .map(|endpoint| domain_of(draft, &endpoint.target))
        .collect();
    let lacking = domains_wanted(draft).saturating_sub(held.len());
    (u32::try_from(lacking).unwrap_or(u32::MAX), held)
}
