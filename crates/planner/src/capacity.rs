//! How many replicas an offer still holds.

use std::collections::BTreeMap;

use crate::endpoint::Endpoint;
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
    /// Indexes into the target's nodes; `None` where the target has no node information.
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
        let belonging: Vec<usize> = nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| {
                node.allocatable_accelerators
                    .get(&offer.resource_name)
                    .is_some_and(|count| *count > 0)
                    && offer.node_selector.matches(&node.labels)
            })
            .map(|(index, _)| index)
            .collect();
        let count = u32::try_from(belonging.len()).unwrap_or(u32::MAX);
        let usable = belonging.into_iter().filter(|index| {
            nodes.get(*index).is_some_and(|node| {
                node.schedulable
                    && first_untolerated(&node.taints, &offer.node_tolerations).is_none()
            })
        });
        Self {
            usable: Some(usable.collect()),
            belonging: count,
        }
    }
}
