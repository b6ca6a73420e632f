//! Rules about room: replicas that are added fit, wherever pods that are not bound yet end up.
//!
//! The ways in which those pods may end up are tried, the most harmful first; `worst` says how many. Each is one that can
//! happen, so what does not fit in the worst that is found may not fit at all. The planner considers all ways and allows no
//! more.

use std::collections::BTreeMap;

use roadstead_model::{
    Cloud, Endpoint, Facts, Members, Membership, Node, Numbers, Offer, Resources, Rule, Said, Size, Target,
    free_devices,
};

use crate::check::Check;
use crate::worst::{Loose, Space, worst};

/// Replicas that are to be at an offer.
pub(crate) struct Asked<'a> {
    /// The target.
    pub(crate) target: &'a Target,
    /// The offer.
    pub(crate) offer: &'a Offer,
    /// Size of one.
    pub(crate) size: Size,
    /// Their number.
    pub(crate) replicas: u32,
    /// Their endpoint, if it exists.
    pub(crate) own: Option<&'a Endpoint>,
}

/// Requires that the replicas fit.
pub(crate) fn check<F: Facts>(check: &mut Check<'_, F>, subject: &str, asked: &Asked<'_>) {
    let others: Vec<&Endpoint> = check
        .facts
        .endpoints_on(&asked.target.name)
        .filter(|one| asked.own.is_none_or(|own| own.key() != one.key()))
        .collect();
    let Some(needed) = needed(asked) else { return };
    limit(check, subject, asked, &others, needed);
    let found = room(asked, &others, needed);
    let numbers = Numbers::Count { found: needed.into(), allowed: found.into() };
    check.require_numbers(Rule::Room, subject, found >= needed, numbers);
}

/// The accelerators of all endpoints on the offer stay within its `maxInstances`, and do not become more where it is sold out.
fn limit<F: Facts>(check: &mut Check<'_, F>, subject: &str, asked: &Asked<'_>, others: &[&Endpoint], needed: u32) {
    let here = others.iter().filter(|one| one.offer == asked.offer.name);
    let held: u64 = here.map(|one| u64::from(one.replicas) * u64::from(one.accelerator.count)).sum();
    let found = held.saturating_add(u64::from(needed) * u64::from(asked.size.accelerators));
    let own = asked.own.map_or(0, |own| u64::from(own.replicas) * u64::from(own.accelerator.count));
    let most = asked.offer.max_instances.map(|most| u64::from(most) * u64::from(asked.offer.accelerators()));
    let Some(allowed) = most.into_iter().chain(asked.offer.sold_out.then_some(held + own)).min() else { return };
    check.require_numbers(Rule::MaxInstances, subject, found <= allowed, Numbers::Count { found, allowed });
}

/// Replicas that need room on the offer's nodes; those of the endpoint that are bound elsewhere stay there.
fn needed(asked: &Asked<'_>) -> Option<u32> {
    let own = asked.own.filter(|own| own.resources == asked.size.resources);
    let elsewhere = own.map_or(0, |own| {
        let here = |node: &str| usable(asked.target, asked.offer).any(|usable| usable.name == node);
        own.bound.iter().filter(|(node, _)| !here(node)).map(|(_, pods)| *pods).sum()
    });
    Some(asked.replicas.saturating_sub(elsewhere)).filter(|needed| *needed > 0)
}

/// The nodes that take replicas of an offer.
pub(crate) fn usable<'a>(target: &'a Target, offer: &'a Offer) -> impl Iterator<Item = &'a Node> {
    let membership = Membership::of(&target.cloud, offer);
    target.nodes.iter().flatten().filter(move |node| membership.takes(node))
}

/// Replicas that fit in the worst way of laying the pods that are not bound yet, as far as it is found; no more than
/// `enough` are counted.
fn room(asked: &Asked<'_>, others: &[&Endpoint], enough: u32) -> u32 {
    let spaces = spaces(asked);
    let all: Vec<Loose> = others.iter().filter(|one| one.unbound() > 0).map(|one| loose(asked, one)).collect();
    let slots = worst(&spaces, all, &asked.size, enough.into());
    u32::try_from(slots.min(enough.into())).unwrap_or(enough)
}

/// The bit of an offer. Offers beyond the 64th have none, and their pods block no other offer.
fn bit(index: usize) -> u64 {
    u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or(0)
}

/// The pods of another endpoint as they count here: accelerators of another resource do not, and pods of an offer that is
/// gone may be on any node.
fn loose(asked: &Asked<'_>, one: &Endpoint) -> Loose {
    let offer = asked.target.offers.iter().enumerate().find(|(_, offer)| offer.name == one.offer);
    let competes = offer.is_none_or(|(_, offer)| offer.resource_name == asked.offer.resource_name);
    Loose {
        size: Size { accelerators: if competes { one.accelerator.count } else { 0 }, resources: one.resources },
        offers: offer.map_or(if asked.target.nodes.is_some() { u64::MAX } else { 0 }, |(index, _)| bit(index)),
        count: one.unbound(),
    }
}

/// The nodes of the offer and those that may be added, each with its number.
fn spaces(asked: &Asked<'_>) -> BTreeMap<Space, u32> {
    let (target, offer) = (asked.target, asked.offer);
    let memberships: Vec<Membership<'_>> =
        target.offers.iter().map(|offer| Membership::of(&target.cloud, offer)).collect();
    let open = |node: &Node| {
        let open = memberships.iter().enumerate().filter(|(_, membership)| membership.takes(node));
        open.fold(0, |bits, (index, _)| bits | bit(index))
    };
    let mut spaces = BTreeMap::new();
    for node in usable(target, offer) {
        let returned = asked.own.and_then(|own| Some((own, own.bound.get(&node.name)?)));
        let (devices, resources) = returned.map_or((0, Resources::default()), |(own, pods)| {
            (own.accelerator.count.saturating_mul(*pods), own.resources.times(*pods))
        });
        let accelerators = free_devices(offer, node, devices);
        let space = Space { accelerators, free: Some(node.free.plus(&resources)), offers: open(node) };
        *spaces.entry(space).or_insert(0) += 1;
    }
    let added = addable(target, offer);
    if added > 0 {
        let own = target.offers.iter().position(|one| one.name == offer.name).map_or(0, bit);
        let space = Space { accelerators: offer.accelerators(), free: None, offers: own };
        let copies = spaces.entry(space).or_insert(0_u32);
        *copies = copies.saturating_add(added);
    }
    spaces
}

/// Instances that may still be added.
fn addable(target: &Target, offer: &Offer) -> u32 {
    let Some(nodes) = &target.nodes else { return offer.max_instances.unwrap_or(u32::MAX) };
    if !offer.autoscaled {
        return 0;
    }
    let Some(most) = offer.max_instances else { return u32::MAX };
    let cloud = Cloud::called(&target.cloud);
    let said: Vec<Said> = nodes.iter().map(|node| Said::by(cloud, &node.labels)).collect();
    most.saturating_sub(Members::sort(cloud, offer, nodes, &said).belonging)
}
