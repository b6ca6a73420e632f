//! A target with everything that is worked out about it when it is put in.

use roadstead_model::catalogue::{jurisdictions_of, locate};
use roadstead_model::{Location, Node, Offer, Target};

use crate::capacity::{OfferNodes, Standing, mask_of};

/// A target, with what was worked out when it was put in.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The target, its lists in a fixed order.
    pub(crate) target: Target,
    /// For each offer, in the same order, the nodes that it may use.
    pub(crate) offer_nodes: Vec<OfferNodes>,
    /// Accelerators that endpoints hold on its offers.
    pub(crate) standing: Standing,
    /// Its location, from the built-in table or from its owner.
    pub(crate) location: Option<Location>,
}

impl Entry {
    pub(crate) fn new(mut target: Target) -> Self {
        normalize(&mut target);
        let offer_nodes = OfferNodes::derive_all(&target.cloud, &target.offers, target.nodes.as_deref());
        let location = locate(&target.cloud, &target.region).or_else(|| target.location.clone().map(complete));
        Self { target, offer_nodes, standing: Standing::default(), location }
    }

    /// The place of the offer of this name.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.target.offers.binary_search_by(|offer| offer.name.as_str().cmp(name)).ok()
    }

    /// The offer of this name.
    pub(crate) fn offer(&self, name: &str) -> Option<&Offer> {
        self.target.offers.get(self.position(name)?)
    }

    /// The first offer whose nodes lead, from offer to offer by shared nodes, to those of the offer of this name.
    pub(crate) fn pool_of(&self, name: &str) -> usize {
        let Some(position) = self.position(name) else { return usize::MAX };
        let reach = |offer: usize| self.offer_nodes.get(offer).map_or(0, |nodes| nodes.reach);
        let mut pool = reach(position);
        loop {
            let all = (0..self.offer_nodes.len()).map(reach).filter(|other| other & pool != 0);
            let grown = all.fold(pool, |pool, other| pool | other);
            if grown == pool {
                return usize::try_from(pool.trailing_zeros()).unwrap_or(0);
            }
            pool = grown;
        }
    }

    /// For a node, the offers that may use it, as bits.
    pub(crate) fn mask_of(&self, node: usize) -> u64 {
        mask_of(&self.offer_nodes, node)
    }
}

/// Adds to what a target's owner says of its place what follows from the country.
fn complete(mut location: Location) -> Location {
    location.jurisdictions.extend(jurisdictions_of(&location.country));
    location
}

/// Sorts every list: the order of the input never matters.
fn normalize(target: &mut Target) {
    target.offers.sort();
    target.offers.dedup_by(|later, kept| later.name == kept.name);
    target.taints.sort();
    target.exhausted.sort();
    if let Some(nodes) = &mut target.nodes {
        nodes.sort();
        nodes.dedup_by(|later: &mut Node, kept| later.name == kept.name);
        for node in nodes {
            node.taints.sort();
        }
    }
}
