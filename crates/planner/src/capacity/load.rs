//! Accelerators that endpoints hold on the offers of a target.

use std::collections::BTreeMap;

use roadstead_model::{Endpoint, Size, Target};

use super::bit;

/// Accelerators that endpoints hold on one offer, updated with each endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Load {
    accelerators: u64,
    unbound: BTreeMap<Size, u64>,
    refused: BTreeMap<Size, u64>,
    priorities: BTreeMap<i32, u64>,
    endpoints: u64,
}

impl Load {
    /// Counts an endpoint.
    pub(crate) fn add(&mut self, endpoint: &Endpoint) {
        self.endpoints += 1;
        *self.priorities.entry(endpoint.priority).or_default() += 1;
        self.accelerators += accelerators(endpoint);
        if endpoint.unbound() > 0 {
            *self.unbound.entry(endpoint.size()).or_default() += u64::from(endpoint.unbound());
        }
        if endpoint.shows_exhaustion() {
            *self.refused.entry(endpoint.size()).or_default() += 1;
        }
    }

    /// Counts an endpoint no more.
    pub(crate) fn subtract(&mut self, endpoint: &Endpoint) {
        self.endpoints = self.endpoints.saturating_sub(1);
        self.accelerators = self.accelerators.saturating_sub(accelerators(endpoint));
        take(&mut self.priorities, &endpoint.priority, 1);
        take(&mut self.unbound, &endpoint.size(), endpoint.unbound().into());
        take(&mut self.refused, &endpoint.size(), u64::from(endpoint.shows_exhaustion()));
    }

    /// True if nothing is counted.
    pub(crate) const fn is_empty(&self) -> bool {
        self.endpoints == 0
    }
}

/// Accelerators of all replicas of an endpoint, bound or not.
pub(crate) fn accelerators(endpoint: &Endpoint) -> u64 {
    u64::from(endpoint.replicas) * u64::from(endpoint.accelerator.count)
}

fn take<K: Ord>(counts: &mut BTreeMap<K, u64>, key: &K, amount: u64) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(amount);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Replicas of one size that are decided and not bound yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Place of their offer among those of the target; `None` if that is gone.
    pub(crate) offer: Option<usize>,
    /// Size of one.
    pub(crate) size: Size,
    /// Nodes that they may use: those that share a bit.
    pub(crate) mask: u64,
    /// Number of them.
    pub(crate) count: u32,
}

/// The loads of a target by the place of the offer, for quick use in many plans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    offers: Vec<Load>,
    waiting: Vec<Waiting>,
}

impl Standing {
    /// Works it out for a target and the loads on it by the name of the offer.
    pub(crate) fn of(target: &Target, loads: &BTreeMap<String, Load>) -> Self {
        let mut standing = Self { offers: vec![Load::default(); target.offers.len()], waiting: Vec::new() };
        for (name, load) in loads {
            let offer = target.offers.binary_search_by(|offer| offer.name.cmp(name)).ok();
            // Where there are no nodes, an offer that is gone took its own instances with it.
            let mask = offer.map_or(if target.nodes.is_some() { u64::MAX } else { 0 }, bit);
            standing.waiting.extend(load.unbound.iter().map(|(size, count)| Waiting {
                offer,
                size: *size,
                mask,
                count: narrow(*count),
            }));
            if let Some(slot) = offer.and_then(|offer| standing.offers.get_mut(offer)) {
                slot.clone_from(load);
            }
        }
        standing
    }

    pub(crate) fn held(&self, offer: usize) -> u64 {
        self.offers.get(offer).map_or(0, |load| load.accelerators)
    }

    pub(crate) fn unbound(&self, offer: usize) -> u32 {
        self.offers.get(offer).map_or(0, |load| narrow(load.unbound.values().sum()))
    }

    pub(crate) fn lowest_priority(&self, offer: usize) -> Option<i32> {
        self.offers.get(offer)?.priorities.keys().next().copied()
    }

    pub(crate) fn refused(&self, offer: usize) -> impl Iterator<Item = &Size> {
        self.offers.get(offer).into_iter().flat_map(|load| load.refused.keys())
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter()
    }
}
