//! The choice itself: equal to brute force, whatever the order of the input, and never worse for a lower price.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::random::{any_world, cases, fleet_of};
use common::*;
use proptest::prelude::*;
use roadstead_explain::render_text;
use roadstead_model::catalogue::{jurisdictions_of, locate};
use roadstead_model::*;
use roadstead_planner::*;

/// A place that would do, found by trying everything; the smallest is the one to choose.
#[derive(Debug, Clone)]
struct Place {
    target: String,
    offer: String,
    shape: String,
    /// Adjusted objective as a fraction, if it is known.
    adjusted: Option<(u128, u128)>,
    shape_index: usize,
    preference: usize,
}

impl Place {
    fn is_better_than(&self, other: &Self) -> bool {
        let rank = |place: &Self| (place.shape_index, place.preference, place.target.clone(), place.offer.clone());
        match (self.adjusted, other.adjusted) {
            (Some((a, per_a)), Some((b, per_b))) if a * per_b != b * per_a => a * per_b < b * per_a,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            _ => rank(self) < rank(other),
        }
    }
}

fn allowed(target: &Target, deployment: &Deployment) -> bool {
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
}

/// A node as brute force sees it: free accelerators, free memory (`None` is without bound).
type Bin = (u32, Option<u64>, Vec<String>);

/// A pod that is decided and not bound: accelerators, memory, offer.
type Pod = (u32, u64, String);

fn bins_of(target: &Target, offer: &Offer, pods: usize) -> Vec<Bin> {
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
        (_, None) => pods + 3,
    };
    let mut sharing = vec![offer.name.clone()];
    if target.nodes.is_some() {
        sharing.push("gone".into());
    }
    bins.extend(std::iter::repeat_n((offer.accelerators(), None, sharing), more));
    bins
}

fn slots(bins: &[Bin], accelerators: u32, memory: u64) -> u32 {
    let one = |(free, free_memory, _): &Bin| {
        let by_memory = free_memory
            .and_then(|free| free.checked_div(memory))
            .map_or(u32::MAX, |slots| u32::try_from(slots).unwrap());
        (free / accelerators).min(by_memory)
    };
    bins.iter().map(one).sum()
}

fn fewest(bins: &mut Vec<Bin>, pods: &[Pod], accelerators: u32, memory: u64) -> u32 {
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

fn holds(target: &Target, offer: &Offer, endpoints: &[Endpoint], deployment: &Deployment, shape: &Shape) -> bool {
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
    let limit = offer.max_instances.map_or(u32::MAX, |most| (most * offer.accelerators()).saturating_sub(held) / count);
    let mut bins = bins_of(target, offer, pods.len());
    limit >= deployment.replicas && fewest(&mut bins, &pods, count, memory) >= deployment.replicas
}

fn refused(target: &Target, offer: &Offer, endpoints: &[Endpoint], deployment: &Deployment, shape: &Shape) -> bool {
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
fn rate(offer: &Offer) -> Option<Rate> {
    match &offer.price {
        None if offer.capacity_type == CapacityType::Reserved => Some(Rate::PerInstanceHour(MicroDollars::ZERO)),
        price => {
            price.as_ref().filter(|price| price.valid_until.is_none_or(|until| until > NOW)).map(|price| price.rate)
        }
    }
}

fn cost(offer: &Offer, shape: &Shape, replicas: u32) -> Option<u128> {
    let accelerators = u128::from(replicas * shape.accelerator.count);
    match rate(offer)? {
        Rate::PerInstanceHour(price) => {
            Some((u128::from(price.0) * accelerators).div_ceil(u128::from(offer.accelerators())))
        }
        Rate::PerAcceleratorHour(price) => Some(u128::from(price.0) * accelerators),
        Rate::PerMillionTokens { .. } | Rate::Unreadable => None,
    }
}

/// The objective without preferences, as a fraction: dollars an hour, or those that an hour of one token a second costs.
fn objective(offer: &Offer, shape: &Shape, deployment: &Deployment) -> Option<(u128, u128)> {
    let by_hour = cost(offer, shape, deployment.replicas);
    match (deployment.objective, rate(offer)) {
        (Objective::HourlyCost, _) => Some((by_hour?, 1)),
        (Objective::CostPerMillionTokens, Some(Rate::PerMillionTokens { input, output })) => {
            let tokens_an_hour = u128::from(deployment.replicas) * 3_600;
            Some((u128::from(input.max(output).0) * tokens_an_hour, 1_000_000))
        }
        (Objective::CostPerMillionTokens, _) => Some((by_hour?, u128::from(shape.tokens_per_second.unwrap()))),
    }
}

fn best_by_brute_force(targets: &[Target], endpoints: &[Endpoint], deployment: &Deployment) -> Option<Place> {
    let mut best: Option<Place> = None;
    for target in targets.iter().filter(|target| allowed(target, deployment)) {
        let preferred = deployment.rules.prefer.iter().position(|one| {
            one.cloud.as_ref().is_none_or(|cloud| *cloud == target.cloud)
                && one.region.as_ref().is_none_or(|region| region.matches(&target.region))
        });
        let premium = preferred.map_or(0, |index| deployment.rules.prefer[index].premium_percent);
        for offer in &target.offers {
            for (shape_index, shape) in deployment.shapes.iter().enumerate() {
                let cost = cost(offer, shape, deployment.replicas);
                let budget = deployment.max_hourly_cost.map(|budget| u128::from(budget.0));
                let affordable = budget.is_none_or(|budget| cost.is_some_and(|cost| cost <= budget));
                let fits = offer.kind() == Some(shape.accelerator.kind.as_str())
                    && shape.accelerator.count <= offer.accelerators()
                    && deployment.rules.capacity_types.contains(&offer.capacity_type)
                    && !refused(target, offer, endpoints, deployment, shape)
                    && holds(target, offer, endpoints, deployment, shape);
                if !affordable || !fits {
                    continue;
                }
                let objective = objective(offer, shape, deployment);
                let place = Place {
                    target: target.name.clone(),
                    offer: offer.name.clone(),
                    shape: shape.name.clone(),
                    adjusted: objective.map(|(cost, per)| (cost * 100, (100 + u128::from(premium)) * per)),
                    shape_index,
                    preference: preferred.unwrap_or(usize::MAX),
                };
                if best.as_ref().is_none_or(|best| place.is_better_than(best)) {
                    best = Some(place);
                }
            }
        }
    }
    best
}

fn distinct(endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    let mut endpoints = endpoints;
    endpoints.sort_by(|a, b| a.name.cmp(&b.name));
    endpoints.dedup_by(|a, b| a.name == b.name);
    endpoints
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn the_choice_is_that_of_brute_force((targets, endpoints, deployment) in any_world()) {
        let endpoints = distinct(endpoints);
        let plan = checked(&fleet_of(&targets, &endpoints), &deployment, NOW);
        let expected = best_by_brute_force(&targets, &endpoints, &deployment);
        let expected = expected.map(|place| (place.target, place.offer, place.shape));
        let found = created(&plan).map(|place| (place.target.clone(), place.offer.clone(), place.shape.clone()));
        prop_assert_eq!(found, expected, "{}", render_text(&plan));
    }

    #[test]
    fn the_order_of_the_input_never_matters(
        (targets, endpoints, deployment) in any_world(),
        turn in 0usize..6,
    ) {
        let endpoints = distinct(endpoints);
        let (mut other_targets, mut other_endpoints) = (targets.clone(), endpoints.clone());
        other_targets.reverse();
        let places = other_targets.len();
        other_targets.rotate_left(turn % places);
        for target in &mut other_targets {
            target.offers.reverse();
            target.exhausted.reverse();
            target.nodes.iter_mut().for_each(|nodes| nodes.reverse());
        }
        other_endpoints.reverse();
        let text = |targets: &[Target], endpoints: &[Endpoint]| {
            serde_json::to_string(&plan(&fleet_of(targets, endpoints), &deployment, NOW)).unwrap()
        };
        prop_assert_eq!(text(&targets, &endpoints), text(&other_targets, &other_endpoints));
    }

    #[test]
    fn a_lower_price_never_raises_the_objective(
        (targets, endpoints, deployment) in any_world(),
        which in any::<prop::sample::Index>(),
        off in 1u64..3_000_000,
    ) {
        let endpoints = distinct(endpoints);
        let mut cheaper = targets.clone();
        let offers: Vec<&mut Offer> = cheaper.iter_mut().flat_map(|target| &mut target.offers).collect();
        let count = offers.len();
        for (index, offer) in offers.into_iter().enumerate() {
            if index == which.index(count) {
                let less = |amount: MicroDollars| MicroDollars(amount.0.saturating_sub(off));
                let lower = |rate| match rate {
                    Rate::PerInstanceHour(price) => Rate::PerInstanceHour(less(price)),
                    Rate::PerAcceleratorHour(price) => Rate::PerAcceleratorHour(less(price)),
                    Rate::PerMillionTokens { input, output } => {
                        Rate::PerMillionTokens { input: less(input), output: less(output) }
                    }
                    Rate::Unreadable => Rate::Unreadable,
                };
                offer.price = offer.price.take().map(|price| Price { rate: lower(price.rate), ..price });
            }
        }
        let objective = |targets: &[Target]| {
            let plan = checked(&fleet_of(targets, &endpoints), &deployment, NOW);
            created(&plan).cloned().map(|place| adjusted(&place, targets, &deployment))
        };
        match (objective(&targets), objective(&cheaper)) {
            (Some(Some((before, per_before))), Some(Some((after, per_after)))) => {
                prop_assert!(after * per_before <= before * per_after);
            }
            (Some(Some(_)), other) => prop_assert!(false, "it was placed at a known price, now {:?}", other),
            (Some(None), after) => prop_assert!(after.is_some()),
            (None, _) => {}
        }
    }
}

/// The adjusted objective of a placement.
fn adjusted(place: &Placement, targets: &[Target], deployment: &Deployment) -> Option<(u128, u128)> {
    let target = targets.iter().find(|target| target.name == place.target).unwrap();
    let premium = deployment
        .rules
        .prefer
        .iter()
        .find(|one| {
            one.cloud.as_ref().is_none_or(|cloud| *cloud == target.cloud)
                && one.region.as_ref().is_none_or(|region| region.matches(&target.region))
        })
        .map_or(0, |one| one.premium_percent);
    let offer = target.offers.iter().find(|offer| offer.name == place.offer).unwrap();
    let objective = objective(offer, deployment.shape(&place.shape).unwrap(), deployment);
    objective.map(|(cost, per)| (cost * 100, (100 + u128::from(premium)) * per))
}
