//! The choice itself: equal to brute force, whatever the order of the input, and never worse for a lower price.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::brute::{allowed, cost, holds, rate, refused};
use common::random::{any_world, cases, fleet_of};
use common::*;
use proptest::prelude::*;
use roadstead_explain::render_text;
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
