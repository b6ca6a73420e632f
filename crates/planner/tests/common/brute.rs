//! The room of a place and its cost, found by trying everything.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use roadstead_model::catalogue::{jurisdictions_of, locate};
use roadstead_model::*;

use super::*;

pub fn allowed(target: &Target, deployment: &Deployment) -> bool {
    let rules = &deployment.rules;
    let region = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(&target.region));
    let inside = |wanted: &std::collections::BTreeSet<String>| {
        let own = target.location.as_ref().map(|location| jurisdictions_of(&location.country));
        let known = locate(&target.cloud, &target.region).map(|location| location.jurisdictions);
        known.or(own).is_some_and(|jurisdictions| jurisdictions.iter().any(|one| wanted.contains(one)))
    };
    let tolerated = |taint: &Taint| rules.target_tolerations.iter().any(|toleration| toleration.tolerates(taint));
    target.state == TargetState::Ready
        && target.allowed_namespaces.as_ref().is_some_and(|one| one.matches(&deployment.namespace_labels))
        && rules.target_selector.matches(&target.labels)
        && rules.clouds.as_ref().is_none_or(|clouds| clouds.contains(&target.cloud))
        && rules.allow_regions.as_ref().is_none_or(|patterns| region(patterns))
        && !region(&rules.deny_regions)
        && rules.jurisdictions.as_ref().is_none_or(inside)
        && target.taints.iter().all(tolerated)
        && target.capabilities.engines.as_ref().is_none_or(|engines| engines.contains(&deployment.engine))
        && !deployment
            .settings
            .values()
            .any(|out| target.capabilities.own_server.as_ref().is_some_and(|one| !out.contains(one)))
}

/// A node as brute force sees it: free accelerators, free memory (`None` is without bound).
pub type Bin = (u32, Option<u64>, Vec<String>);

/// A pod that is decided and not bound: accelerators, memory, offer.
pub type Pod = (u32, u64, String);

pub fn bins_of(target: &Target, offer: &Offer, pods: usize) -> Vec<Bin> {
    let usable_by = |offer: &Offer, node: &Node| {
        node.schedulable && node.taints.is_empty() && offer.node_selector.matches(&node.labels)
    };
    let mut bins: Vec<Bin> = target
        .nodes
        .iter()
        .flatten()
        .filter(|node| usable_by(offer, node))
        .map(|node| {
            let sharing = target.offers.iter().filter(|other| usable_by(other, node));
            let mut sharing: Vec<String> = sharing.map(|offer| offer.name.clone()).collect();
            sharing.push("gone".into());
            let (all, free) =
                (node.allocatable_accelerators["nvidia.com/gpu"], node.free_accelerators["nvidia.com/gpu"]);
            let instance = all.min(offer.accelerators());
            (instance.saturating_sub(all - free), Some(node.free.memory_bytes), sharing)
        })
        .collect();
    let belonging = target.nodes.iter().flatten().filter(|node| offer.node_selector.matches(&node.labels)).count();
    let more = match (&target.nodes, offer.max_instances) {
        (Some(_), _) if !offer.autoscaled => 0,
        (Some(_), Some(most)) => (most as usize).saturating_sub(belonging),
        (None, Some(most)) => most as usize,
        // Without a limit: one for every pod that could be laid, and enough for every replica.
        (_, None) => pods + 4,
    };
    let mut sharing = vec![offer.name.clone()];
    if target.nodes.is_some() {
        sharing.push("gone".into());
    }
    bins.extend(std::iter::repeat_n((offer.accelerators(), None, sharing), more));
    bins
}

pub fn slots(bins: &[Bin], accelerators: u32, memory: u64) -> u32 {
    let one = |(free, free_memory, _): &Bin| {
        let by_memory = free_memory
            .and_then(|free| free.checked_div(memory))
            .map_or(u32::MAX, |slots| u32::try_from(slots).unwrap());
        (free / accelerators).min(by_memory)
    };
    bins.iter().map(one).sum()
}

pub fn fewest(bins: &mut Vec<Bin>, pods: &[Pod], accelerators: u32, memory: u64) -> u32 {
    let Some(((taken, taken_memory, offer), rest)) = pods.split_first() else {
        return slots(bins, accelerators, memory);
    };
    let mut least = fewest(bins, rest, accelerators, memory);
    for index in 0..bins.len() {
        let (free, free_memory, sharing) = bins[index].clone();
        let fits = free >= *taken && free_memory.is_none_or(|free| free >= *taken_memory);
        if fits && sharing.contains(offer) {
            bins[index].0 -= taken;
            bins[index].1 = free_memory.map(|free| free - taken_memory);
            least = least.min(fewest(bins, rest, accelerators, memory));
            bins[index] = (free, free_memory, sharing);
        }
    }
    least
}

pub fn holds(target: &Target, offer: &Offer, endpoints: &[Endpoint], deployment: &Deployment, shape: &Shape) -> bool {
    let here: Vec<&Endpoint> = endpoints.iter().filter(|endpoint| endpoint.target == target.name).collect();
    let known = |name: &str| target.offers.iter().any(|offer| offer.name == name);
    let pods: Vec<Pod> = here
        .iter()
        .flat_map(|endpoint| {
            let offer = if known(&endpoint.offer) { endpoint.offer.clone() } else { "gone".into() };
            let pod = (endpoint.accelerator.count, endpoint.resources.memory_bytes, offer);
            std::iter::repeat_n(pod, endpoint.unbound() as usize)
        })
        .collect();
    let (count, memory) = (shape.accelerator.count, deployment.resources.memory_bytes);
    let held: u32 = here
        .iter()
        .filter(|endpoint| endpoint.offer == offer.name)
        .map(|endpoint| endpoint.replicas * endpoint.accelerator.count)
        .sum();
    let most = offer.max_instances.map_or(u32::MAX, |most| (most * offer.accelerators()).saturating_sub(held) / count);
    let limit = if offer.sold_out { 0 } else { most };
    let mut bins = bins_of(target, offer, pods.len());
    limit >= deployment.replicas && fewest(&mut bins, &pods, count, memory) >= deployment.replicas
}

pub fn refused(target: &Target, offer: &Offer, endpoints: &[Endpoint], deployment: &Deployment, shape: &Shape) -> bool {
    let size = Size { accelerators: shape.accelerator.count, resources: deployment.resources };
    let recorded = target.exhausted.iter().any(|exhausted| {
        exhausted.offer == offer.name
            && exhausted.until > NOW
            && exhausted.size.within(&size)
            && exhausted.only_for.as_ref().is_none_or(|id| *id == deployment.id)
    });
    recorded
        || endpoints.iter().any(|endpoint| {
            endpoint.target == target.name
                && endpoint.offer == offer.name
                && endpoint.unschedulable
                && endpoint.size().within(&size)
        })
}

/// The rate that holds now; `None` is unknown.
pub fn rate(offer: &Offer) -> Option<Rate> {
    match &offer.price {
        None if offer.capacity_type == CapacityType::Reserved => Some(Rate::PerInstanceHour(MicroDollars::ZERO)),
        price => {
            price.as_ref().filter(|price| price.valid_until.is_none_or(|until| until > NOW)).map(|price| price.rate)
        }
    }
}

pub fn cost(offer: &Offer, shape: &Shape, replicas: u32) -> Option<u128> {
    let accelerators = u128::from(replicas * shape.accelerator.count);
    match rate(offer)? {
        Rate::PerInstanceHour(price) => {
            Some((u128::from(price.0) * accelerators).div_ceil(u128::from(offer.accelerators())))
        }
        Rate::PerAcceleratorHour(price) => Some(u128::from(price.0) * accelerators),
        Rate::PerMillionTokens { .. } | Rate::Unreadable => None,
    }
}
