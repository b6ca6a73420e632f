//! The room that an offer still has.

use roadstead_model::{Endpoint, Node, Offer, Size};

use crate::capacity::{Bin, OfferNodes, Own, Pods, accelerators, fewest_slots};
use crate::entry::Entry;

impl Entry {
    /// The room of an offer, by its place.
    pub(crate) fn room(&self, index: usize) -> Option<Room<'_>> {
        let offer = self.target.offers.get(index)?;
        Some(Room { entry: self, index, offer, nodes: self.offer_nodes.get(index)? })
    }

    /// The room of the offer of this name.
    pub(crate) fn room_of(&self, offer: &str) -> Option<Room<'_>> {
        self.room(self.position(offer)?)
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
    /// Derived data of the offer.
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

    /// Replicas of `size` that `max_instances` and the service still allow. What `own` holds is not counted.
    pub(crate) fn limit(&self, size: &Size, own: Option<Own>) -> u32 {
        let Some(allowed) = self.allowed() else {
            return u32::MAX;
        };
        let own = own.map_or(0, |own| accelerators(own.endpoint));
        let held = self.held().saturating_sub(own);
        let slots = allowed.saturating_sub(held).checked_div(u64::from(size.accelerators));
        slots.map_or(u32::MAX, |slots| u32::try_from(slots).unwrap_or(u32::MAX))
    }

    /// Accelerators that endpoints may hold; `None` is no limit. Where the service has none left, it is what they hold.
    fn allowed(&self) -> Option<u64> {
        let most = self.offer.max_instances.map(|most| u64::from(most) * u64::from(self.offer.accelerators()));
        let held = self.offer.sold_out.then(|| self.held());
        most.into_iter().chain(held).min()
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

    /// True if an endpoint on the offer shows that it has no room for replicas as large as `size`.
    pub(crate) fn shows_exhaustion(&self, size: &Size) -> bool {
        self.entry.standing.refused(self.index).any(|refused| refused.within(size))
    }

    /// Instances that may still be added; `None` is no end.
    pub(crate) fn addable(&self) -> Option<u32> {
        self.nodes.addable(self.offer)
    }

    /// Pods that may get in the way: of this offer, of offers that share nodes with it, and of offers that are
    /// gone, because the nodes that those may use are unknown.
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
