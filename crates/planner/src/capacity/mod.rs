//! How many replicas an offer still holds.

mod laying;

use std::collections::BTreeMap;

use laying::{Bin, Pods, fewest_slots};

use crate::endpoint::Endpoint;
use crate::fleet::Entry;
use crate::resources::Size;
use crate::taints::first_untolerated;
use crate::target::{Node, Offer};

/// What endpoints hold on one offer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Accelerators of all their replicas, bound or not.
    pub(crate) accelerators: u64,
    /// Replicas that are not bound to a node yet, by size.
    pub(crate) assumed: BTreeMap<Size, u32>,
    /// Sizes that endpoints were refused here, with how many say so.
    pub(crate) refused: BTreeMap<Size, u32>,
    /// How many endpoints there are.
    endpoints: u32,
}

impl Load {
    /// Counts an endpoint.
    pub(crate) fn add(&mut self, endpoint: &Endpoint) {
        self.endpoints += 1;
        self.accelerators += accelerators(endpoint);
        if endpoint.unbound() > 0 {
            *self.assumed.entry(endpoint.size()).or_default() += endpoint.unbound();
        }
        if endpoint.shows_exhaustion() {
            *self.refused.entry(endpoint.size()).or_default() += 1;
        }
    }

    /// Counts an endpoint no more.
    pub(crate) fn subtract(&mut self, endpoint: &Endpoint) {
        self.endpoints = self.endpoints.saturating_sub(1);
        self.accelerators = self.accelerators.saturating_sub(accelerators(endpoint));
        take(&mut self.assumed, endpoint.size(), endpoint.unbound());
        take(
            &mut self.refused,
            endpoint.size(),
            u32::from(endpoint.shows_exhaustion()),
        );
    }

    /// Whether nothing is counted.
    pub(crate) const fn is_empty(&self) -> bool {
        self.endpoints == 0
    }
}

fn accelerators(endpoint: &Endpoint) -> u64 {
    u64::from(endpoint.replicas) * u64::from(endpoint.accelerator.count)
}

fn take(counts: &mut BTreeMap<Size, u32>, size: Size, amount: u32) {
    if let Some(count) = counts.get_mut(&size) {
        *count = count.saturating_sub(amount);
        if *count == 0 {
            counts.remove(&size);
        }
    }
}

/// The nodes that an offer may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OfferNodes {
    /// Indexes into the target's nodes, ascending; `None` where the target has no node information.
    pub(crate) usable: Option<Vec<usize>>,
    /// Nodes that belong to the offer, usable now or not: an autoscaler adds beside them.
    pub(crate) belonging: u32,
}

impl OfferNodes {
    /// Works out which of `nodes` the offer may use.
    pub(crate) fn derive(offer: &Offer, nodes: Option<&[Node]>) -> Self {
        let Some(nodes) = nodes else {
            return Self::default();
        };
        let belongs = |node: &Node| {
            node.allocatable_accelerators
                .get(&offer.resource_name)
                .is_some_and(|count| *count > 0)
                && offer.node_selector.matches(&node.labels)
        };
        let can_be_used = |node: &Node| {
            node.schedulable && first_untolerated(&node.taints, &offer.node_tolerations).is_none()
        };
        let belonging: Vec<(usize, &Node)> = nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| belongs(node))
            .collect();
        let count = u32::try_from(belonging.len()).unwrap_or(u32::MAX);
        let usable = belonging
            .into_iter()
            .filter(|(_, node)| can_be_used(node))
            .map(|(index, _)| index);
        Self {
            usable: Some(usable.collect()),
            belonging: count,
        }
    }
}

/// For each node of a target, which of its offers may use it, as bits.
pub(crate) fn node_masks(offers: &[OfferNodes], nodes: usize) -> Vec<u64> {
    let mut masks = vec![0; nodes];
    for (offer, derived) in offers.iter().enumerate() {
        for node in derived.usable.iter().flatten() {
            if let Some(mask) = masks.get_mut(*node) {
                *mask |= bit(offer);
            }
        }
    }
    masks
}

/// The room that an offer has, as its target's entry and the endpoints there say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room<'a> {
    /// The target.
    pub(crate) entry: &'a Entry,
    /// What endpoints hold there, by offer.
    pub(crate) loads: Option<&'a BTreeMap<String, Load>>,
    /// The offer.
    pub(crate) offer: &'a Offer,
    /// Its nodes.
    pub(crate) nodes: &'a OfferNodes,
}

impl Room<'_> {
    /// Replicas of `size` that fit: exactly how many (or a lower bound on large instances) if less than
    /// `enough`, else at least `enough`. What `own` holds is not counted.
    pub(crate) fn slots(&self, size: &Size, own: Option<&Endpoint>, enough: u32) -> u32 {
        let limit = self.limit(size, own);
        if limit == 0 {
            return 0;
        }
        fewest_slots(&self.bins(own), &self.assumed(own), size, enough).min(limit)
    }

    /// The nodes that the offer may use now.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        let nodes = self.entry.target.nodes.as_deref().unwrap_or_default();
        self.nodes
            .usable
            .iter()
            .flatten()
            .filter_map(|index| nodes.get(*index))
    }

    /// Replicas of `size` that `max_instances` still allows.
    pub(crate) fn limit(&self, size: &Size, own: Option<&Endpoint>) -> u32 {
        let Some(instances) = self.offer.max_instances else {
            return u32::MAX;
        };
        let allowed = u64::from(instances) * u64::from(self.offer.accelerator.count);
        let own = own.map_or(0, accelerators);
        let held = self
            .load()
            .map_or(0, |load| load.accelerators)
            .saturating_sub(own);
        let slots = allowed
            .saturating_sub(held)
            .checked_div(u64::from(size.accelerators));
        slots.map_or(u32::MAX, |slots| u32::try_from(slots).unwrap_or(u32::MAX))
    }

    /// What endpoints hold on this offer.
    pub(crate) fn load(&self) -> Option<&Load> {
        self.loads?.get(&self.offer.name)
    }

    /// Instances that may still be added; `None` is no end.
    pub(crate) fn addable(&self) -> Option<u32> {
        match &self.nodes.usable {
            None => self.offer.max_instances,
            Some(_) if self.offer.autoscaled => self
                .offer
                .max_instances
                .map(|most| most.saturating_sub(self.nodes.belonging)),
            Some(_) => Some(0),
        }
    }

    fn bins(&self, own: Option<&Endpoint>) -> Vec<Bin> {
        let mut bins: Vec<Bin> = Vec::new();
        let nodes = self.entry.target.nodes.as_deref().unwrap_or_default();
        for index in self.nodes.usable.iter().flatten() {
            let Some(node) = nodes.get(*index) else {
                continue;
            };
            let pods = own
                .and_then(|own| own.bound.get(&node.name))
                .copied()
                .unwrap_or(0);
            let size = own.map_or_else(Size::default, Endpoint::size);
            let free = node
                .free_accelerators
                .get(&self.offer.resource_name)
                .copied()
                .unwrap_or(0);
            let accelerators = free.saturating_add(size.accelerators.saturating_mul(pods));
            if accelerators == 0 {
                continue;
            }
            let bin = Bin {
                accelerators,
                free: Some(node.free.plus(&size.resources.times(pods))),
                mask: self
                    .entry
                    .node_masks
                    .get(*index)
                    .copied()
                    .unwrap_or(u64::MAX),
                copies: 1,
            };
            match bins.last_mut() {
                Some(last) if last.is_like(&bin) => last.copies += 1,
                _ => bins.push(bin),
            }
        }
        let copies = self.addable().unwrap_or(u32::MAX);
        let mask = self.mask_of_offer(&self.offer.name).unwrap_or(u64::MAX);
        bins.push(Bin {
            accelerators: self.offer.accelerator.count,
            free: None,
            mask,
            copies,
        });
        bins
    }

    /// Pods that may get in the way: those of this offer, of offers that share nodes with it, and of offers that
    /// are gone, for nobody knows which nodes those may use.
    fn assumed(&self, own: Option<&Endpoint>) -> Vec<Pods> {
        let mut assumed = Vec::new();
        for (name, load) in self.loads.into_iter().flatten() {
            let mask = match self.mask_of_offer(name) {
                Some(mask) => mask,
                None if self.nodes.usable.is_some() => u64::MAX,
                None => continue,
            };
            let same_resource = self
                .entry
                .offer(name)
                .is_none_or(|(offer, _)| offer.resource_name == self.offer.resource_name);
            for (size, count) in &load.assumed {
                let own = own.filter(|own| own.offer == *name && own.size() == *size);
                let count = count.saturating_sub(own.map_or(0, Endpoint::unbound));
                let accelerators = if same_resource { size.accelerators } else { 0 };
                assumed.push(Pods {
                    size: Size {
                        accelerators,
                        ..*size
                    },
                    mask,
                    count,
                });
            }
        }
        assumed
    }

    fn mask_of_offer(&self, name: &str) -> Option<u64> {
        self.entry
            .target
            .offers
            .iter()
            .position(|offer| offer.name == name)
            .map(bit)
    }
}

/// The bit of an offer; beyond 64 offers on one target all share the last one, which only counts too much.
fn bit(offer: usize) -> u64 {
    1 << offer.min(63)
}
