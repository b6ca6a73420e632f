//! The number of replicas that an offer can still hold.

mod laying;
mod load;

pub(crate) use laying::{Bin, Pods, fewest_slots};
pub(crate) use load::{Load, Standing, accelerators};
use roadstead_model::{Cloud, Endpoint, Members, Node, Offer, Resources, Said, Size, free_devices};

/// Derived data of an offer, computed when its target is inserted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OfferNodes {
    /// The nodes that it may use and those that it leaves out; `None` where there is no node information.
    pub(crate) members: Option<Members>,
    /// The first offer of the target that has the same resource.
    pub(crate) resource: usize,
    /// Free resources of its nodes and of those that may be added.
    pub(crate) bins: Vec<Bin>,
    /// The offers whose pods may get in its way, as bits.
    pub(crate) reach: u64,
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
    pub(crate) fn usable(&self) -> impl Iterator<Item = &usize> {
        self.members.iter().flat_map(|members| &members.usable)
    }

    /// Free resources of each usable node, without those of `own`, and of the nodes that may be added.
    pub(crate) fn all_bins(
        &self,
        offer: &Offer,
        index: usize,
        nodes: &[Node],
        masks: &[u64],
        own: Option<Own>,
    ) -> Vec<Bin> {
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
        bins.push(Bin { accelerators: offer.accelerators(), free: None, mask: bit(index), copies });
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
    pub(crate) fn addable(&self, offer: &Offer) -> Option<u32> {
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
    /// Requests of each of its bound pods, as far as they are certain.
    pub(crate) bound: Resources,
}

impl<'a> Own<'a> {
    /// Its bound pods request the resources of its spec.
    pub(crate) const fn as_told(endpoint: &'a Endpoint) -> Self {
        Self { endpoint, bound: endpoint.resources }
    }

    /// Its bound pods may be older than its spec: only their accelerators are certain.
    pub(crate) fn at_least(endpoint: &'a Endpoint) -> Self {
        Self { endpoint, bound: Resources::default() }
    }
}

/// For a node, the offers that may use it, as bits.
pub(crate) fn mask_of(offers: &[OfferNodes], node: usize) -> u64 {
    offers.iter().enumerate().fold(0, |mask, (index, offer)| {
        let usable = offer.members.as_ref().is_some_and(|members| members.usable.binary_search(&node).is_ok());
        if usable { mask | bit(index) } else { mask }
    })
}
