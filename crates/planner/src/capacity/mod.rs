//! How many replicas an offer still holds.

mod laying;
mod load;

use laying::{Bin, Pods, fewest_slots};
pub(crate) use load::{Load, Standing};

use crate::endpoint::Endpoint;
use crate::fleet::Entry;
use crate::membership::{Cloud, Members, Said, free_devices};
use crate::resources::{Resources, Size};
use crate::target::{Node, Offer};

/// What is worked out about an offer when its target is put in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OfferNodes {
    /// The nodes that it may use and those that it leaves out; `None` where there is no node information.
    pub(crate) members: Option<Members>,
    /// The first offer of the target that has the same resource.
    resource: usize,
    /// What is free on its nodes and on those that may be added.
    bins: Vec<Bin>,
    /// The offers whose pods may get in its way, as bits.
    reach: u64,
}

impl OfferNodes {
    /// Works out everything for the offers of one target.
    pub(crate) fn derive_all(cloud: &str, offers: &[Offer], nodes: Option<&[Node]>) -> Vec<Self> {
        let cloud = Cloud::called(cloud);
        let said: Vec<Said> = nodes.unwrap_or_default().iter().map(|node| Said::by(cloud, &node.labels)).collect();
        let members = |offer| nodes.map(|nodes| Members::sort(cloud, offer, nodes, &said));
        let mut derived: Vec<Self> = offers.iter().map(|offer| Self::of(offer, offers, members(offer))).collect();
        let mut masks = vec![0u64; nodes.map_or(0, <[Node]>::len)];
        for (offer, derived) in derived.iter().enumerate() {
            for node in derived.usable() {
                if let Some(mask) = masks.get_mut(*node) {
                    *mask |= bit(offer);
                }
            }
        }
        for (index, (derived, offer)) in derived.iter_mut().zip(offers).enumerate() {
            derived.bins = derived.all_bins(offer, index, nodes.unwrap_or_default(), &masks, None);
            derived.reach = derived.bins.iter().fold(bit(index), |reach, bin| reach | bin.mask);
        }
        derived
    }

    fn of(offer: &Offer, offers: &[Offer], members: Option<Members>) -> Self {
        let resource = offers.iter().position(|other| other.resource_name == offer.resource_name);
        Self { members, resource: resource.unwrap_or_default(), ..Self::default() }
    }

    /// The nodes that it may use, as indexes into the target's nodes.
    fn usable(&self) -> impl Iterator<Item = &usize> {
        self.members.iter().flat_map(|members| &members.usable)
    }

    /// What is free on each usable node, without what `own` has there, and on the nodes that may be added.
    fn all_bins(&self, offer: &Offer, index: usize, nodes: &[Node], masks: &[u64], own: Option<Own>) -> Vec<Bin> {
        let mut bins: Vec<Bin> = Vec::new();
        let size = own.map_or_else(Size::default, |own| Size { resources: own.bound, ..own.endpoint.size() });
        for node_index in self.usable() {
            let Some(node) = nodes.get(*node_index) else {
                continue;
            };
            let pods = own.and_then(|own| own.endpoint.bound.get(&node.name)).copied().unwrap_or(0);
            bins.push(Bin {
                accelerators: free_devices(offer, node, size.accelerators.saturating_mul(pods)),
                free: Some(node.free.plus(&size.resources.times(pods))),
                mask: masks.get(*node_index).copied().unwrap_or(u64::MAX),
                copies: 1,
            });
        }
        let copies = self.addable(offer).unwrap_or(u32::MAX);
        bins.push(Bin { accelerators: offer.accelerator.count, free: None, mask: bit(index), copies });
        bins.retain(|bin| bin.accelerators > 0 && bin.copies > 0);
        bins.sort();
        bins.dedup_by(|later, kept| {
            let alike = kept.is_like(later);
            kept.copies = kept.copies.saturating_add(if alike { later.copies } else { 0 });
            alike
        });
        bins
    }

    /// Instances that may still be added; `None` is no end.
    fn addable(&self, offer: &Offer) -> Option<u32> {
        match &self.members {
            None => offer.max_instances,
            Some(here) if offer.autoscaled => offer.max_instances.map(|most| most.saturating_sub(here.belonging)),
            Some(_) => Some(0),
        }
    }
}

/// The bit of an offer; beyond 64 offers on one target all share the last one, which only counts too much.
fn bit(offer: usize) -> u64 {
    1 << offer.min(63)
}

/// An endpoint that is judged where it is: what it holds does not count against it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own<'a> {
    /// The endpoint.
    pub(crate) endpoint: &'a Endpoint,
    /// What each of its bound pods asks for, as far as that is certain.
    pub(crate) bound: Resources,
}

impl<'a> Own<'a> {
    /// Its bound pods ask for what it was told.
    pub(crate) const fn as_told(endpoint: &'a Endpoint) -> Self {
        Self { endpoint, bound: endpoint.resources }
    }

    /// Its bound pods may be older than what it was told: only their accelerators are certain.
    pub(crate) fn at_least(endpoint: &'a Endpoint) -> Self {
        Self { endpoint, bound: Resources::default() }
    }
}

/// The room that an offer has, as its target's entry and the endpoints there say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room<'a> {
    /// The target.
    pub(crate) entry: &'a Entry,
    /// The place of the offer among those of the target.
    pub(crate) index: usize,
    /// The offer.
    pub(crate) offer: &'a Offer,
    /// What was worked out about it.
    pub(crate) nodes: &'a OfferNodes,
}

impl Room<'_> {
    /// Replicas of `size` that fit: exactly how many (or a lower bound on large instances) if less than
    /// `enough`, else at least `enough`. What `own` holds is not counted.
    pub(crate) fn slots(&self, size: &Size, own: Option<Own>, enough: u32) -> u32 {
        let limit = self.limit(size, own);
        if limit == 0 {
            return 0;
        }
        let waiting = self.waiting(own);
        let enough = enough.min(limit);
        let slots = if own.is_none() {
            fewest_slots(&self.nodes.bins, &waiting, size, enough)
        } else {
            fewest_slots(&self.bins_without(own), &waiting, size, enough)
        };
        slots.min(limit)
    }

    fn bins_without(&self, own: Option<Own>) -> Vec<Bin> {
        let nodes = self.entry.target.nodes.as_deref().unwrap_or_default();
        let masks: Vec<u64> = (0..nodes.len()).map(|node| self.entry.mask_of(node)).collect();
        self.nodes.all_bins(self.offer, self.index, nodes, &masks, own)
    }

    /// The nodes that the offer may use now.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        let nodes = self.entry.target.nodes.as_deref().unwrap_or_default();
        self.nodes.usable().filter_map(|index| nodes.get(*index))
    }

    /// Replicas of `size` that `max_instances` still allows. What `own` holds is not counted.
    pub(crate) fn limit(&self, size: &Size, own: Option<Own>) -> u32 {
        let Some(instances) = self.offer.max_instances else {
            return u32::MAX;
        };
        let allowed = u64::from(instances) * u64::from(self.offer.accelerator.count);
        let own = own.map_or(0, |own| load::accelerators(own.endpoint));
        let held = self.held().saturating_sub(own);
        let slots = allowed.saturating_sub(held).checked_div(u64::from(size.accelerators));
        slots.map_or(u32::MAX, |slots| u32::try_from(slots).unwrap_or(u32::MAX))
    }

    /// Accelerators of the offer that endpoints hold, bound or not.
    pub(crate) fn held(&self) -> u64 {
        self.entry.standing.held(self.index)
    }

    /// Replicas on the offer that are decided and not bound yet.
    pub(crate) fn unbound(&self) -> u32 {
        self.entry.standing.unbound(self.index)
    }

    /// The lowest priority of the endpoints on the offer, whatever their state; `None` if there is none.
    pub(crate) fn lowest_priority(&self) -> Option<i32> {
        self.entry.standing.lowest_priority(self.index)
    }

    /// Whether an endpoint on the offer shows that it has no room for replicas as large as `size`.
    pub(crate) fn shows_exhaustion(&self, size: &Size) -> bool {
        self.entry.standing.refused(self.index).any(|refused| refused.within(size))
    }

    /// Instances that may still be added; `None` is no end.
    pub(crate) fn addable(&self) -> Option<u32> {
        self.nodes.addable(self.offer)
    }

    /// Pods that may get in the way: of this offer, of offers that share nodes with it, and of offers that are
    /// gone, for nobody knows which nodes those may use.
    fn waiting(&self, own: Option<Own>) -> Vec<Pods> {
        let in_the_way = self.entry.standing.waiting().filter(|waiting| waiting.mask & self.nodes.reach != 0);
        in_the_way
            .map(|waiting| {
                let own = own.map(|own| own.endpoint);
                let own = own.filter(|own| waiting.offer == Some(self.index) && own.size() == waiting.size);
                let resource = waiting.offer.and_then(|offer| self.entry.offer_nodes.get(offer));
                let competes = resource.is_none_or(|other| other.resource == self.nodes.resource);
                let accelerators = if competes { waiting.size.accelerators } else { 0 };
                Pods {
                    size: Size { accelerators, ..waiting.size },
                    mask: waiting.mask,
                    count: waiting.count.saturating_sub(own.map_or(0, Endpoint::unbound)),
                }
            })
            .collect()
    }
}

/// For a node, the offers that may use it, as bits.
pub(crate) fn mask_of(offers: &[OfferNodes], node: usize) -> u64 {
    offers.iter().enumerate().fold(0, |mask, (index, offer)| {
        let usable = offer.members.as_ref().is_some_and(|members| members.usable.binary_search(&node).is_ok());
        if usable { mask | bit(index) } else { mask }
    })
}
