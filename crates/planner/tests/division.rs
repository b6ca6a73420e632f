//! Replicas that are divided over places: equal to brute force, and what runs stays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use common::brute::{allowed, cost, holds, refused};
use common::random::{any_world, cases, fleet_of};
use common::*;
use proptest::prelude::*;
use roadstead_explain::render_text;
use roadstead_model::*;
use roadstead_planner::*;

/// A deployment whose replicas may be divided.
fn divisible(replicas: u32) -> Deployment {
    Deployment { replicas, divisible: true, ..deployment("m") }
}

fn spread(replicas: u32, min_domains: u32) -> Deployment {
    Deployment { spread: Some(SpreadRule { topology: Topology::Region, min_domains }), ..divisible(replicas) }
}

/// Three targets of one node each: four replicas of two accelerators fit on each. The first is the cheapest.
fn three() -> Fleet {
    let small =
        |name, cloud, region, price| Target { nodes: Some(vec![node("n1", 8)]), ..target(name, cloud, region, price) };
    fleet([
        small("a-us", "aws", "us-east-1", "10"),
        small("b-eu", "gcp", "europe-west4", "20"),
        small("c-eu", "azure", "germanywestcentral", "30"),
    ])
}

/// Places of the endpoints that a plan creates.
fn new(plan: &Plan) -> Vec<(&str, u32)> {
    all_created(plan).map(|placement| (placement.target.as_str(), placement.replicas)).collect()
}

/// Replicas that a plan wants of each endpoint that serves.
fn serving_replicas(plan: &Plan) -> BTreeMap<&str, u32> {
    let serving = plan.allocations.iter().filter(|one| one.role == Role::Serving);
    serving.map(|one| (one.target.as_str(), one.replicas)).collect()
}

/// The fleet in which everything that the plan made serves.
fn all_serve(fleet: &mut Fleet, deployment: &Deployment, at: Timestamp) {
    let names: Vec<String> = fleet.endpoints_of(&deployment.id).map(|endpoint| endpoint.name.clone()).collect();
    for name in names {
        serve(fleet, &name, at);
    }
}

/// The fleet in which `replicas` of the deployment serve.
fn divided(replicas: u32) -> Fleet {
    let mut fleet = three();
    settle(&mut fleet, &divisible(replicas), NOW);
    all_serve(&mut fleet, &divisible(replicas), NOW);
    fleet
}

const A: &str = "m-a-us-h100x2-0";
const B: &str = "m-b-eu-h100x2-1";

#[test]
fn one_place_for_all_replicas_is_taken_where_it_is_the_cheapest() {
    let plan = checked(&three(), &divisible(4), NOW);
    assert_eq!(new(&plan), [("a-us", 4)]);
    assert_eq!(plan.decision, Decision::InitialPlacement);
}

#[test]
fn replicas_that_no_place_holds_are_divided_the_cheapest_place_first() {
    let plan = checked(&three(), &divisible(6), NOW);
    assert_eq!(new(&plan), [("a-us", 4), ("b-eu", 2)]);
    assert_eq!(plan.allocations.iter().map(|one| one.weight).collect::<Vec<_>>(), [4, 2]);
    let undivided = checked(&three(), &Deployment { divisible: false, ..divisible(6) }, NOW);
    assert_eq!(undivided.decision, Decision::NoFeasiblePlacement);
}

#[test]
fn as_many_replicas_as_possible_are_placed_and_the_rest_waits() {
    let mut fleet = three();
    let plan = settle(&mut fleet, &divisible(14), NOW);
    assert_eq!(new(&plan), [("a-us", 4), ("b-eu", 4), ("c-eu", 4)]);
    assert!(plan.waits.contains(&Wait::Feasible), "{}", render_text(&plan));
    all_serve(&mut fleet, &divisible(14), NOW);
    let waiting = settle(&mut fleet, &divisible(14), NOW.plus(10));
    assert_eq!((waiting.decision, new(&waiting)), (Decision::PartlyPlaced, vec![]), "{}", render_text(&waiting));
    change_target(&mut fleet, "c-eu", |target| target.nodes.as_mut().unwrap().push(node("n2", 8)));
    let grown = settle(&mut fleet, &divisible(14), NOW.plus(20));
    assert_eq!(serving_replicas(&grown)["c-eu"], 6, "{}", render_text(&grown));
    assert_eq!((grown.decision, new(&grown)), (Decision::Scaled, vec![]));
}

#[test]
fn a_division_stays_as_it_is_although_a_place_for_all_comes() {
    let mut fleet = divided(6);
    change_target(&mut fleet, "a-us", |target| target.nodes.as_mut().unwrap().push(node("n2", 8)));
    let plan = checked(&fleet, &divisible(6), NOW.plus(60));
    assert_eq!(plan.decision, Decision::Unchanged, "{}", render_text(&plan));
    assert!(plan.actions.iter().all(|action| matches!(action, Action::Keep(_))));
}

#[test]
fn more_replicas_grow_in_place_where_that_is_cheapest() {
    let mut fleet = divided(2);
    let grown = settle(&mut fleet, &divisible(4), NOW.plus(60));
    assert_eq!((new(&grown), serving_replicas(&grown)), (vec![], BTreeMap::from([("a-us", 4)])));
    let mut fleet = divided(2);
    let plan = settle(&mut fleet, &divisible(7), NOW.plus(60));
    assert_eq!((new(&plan), serving_replicas(&plan)["a-us"]), (vec![("b-eu", 3)], 4), "{}", render_text(&plan));
}

#[test]
fn fewer_replicas_leave_the_dearest_place_first() {
    let mut fleet = divided(6);
    let fewer = settle(&mut fleet, &divisible(5), NOW.plus(60));
    assert_eq!(serving_replicas(&fewer), BTreeMap::from([("a-us", 4), ("b-eu", 1)]));
    all_serve(&mut fleet, &divisible(5), NOW.plus(60));
    let few = settle(&mut fleet, &divisible(3), NOW.plus(90));
    assert_eq!(serving_replicas(&few), BTreeMap::from([("a-us", 3)]), "{}", render_text(&few));
    let drains = few.actions.iter().any(|action| matches!(action, Action::Drain { endpoint, .. } if endpoint == B));
    assert!(drains, "{}", render_text(&few));
}

#[test]
fn what_serves_does_not_shrink_for_what_does_not() {
    let mut fleet = divided(6);
    change(&mut fleet, A, |endpoint| endpoint.ready = false);
    let plan = checked(&fleet, &divisible(5), NOW.plus(60));
    assert_eq!(serving_replicas(&plan), BTreeMap::from([("a-us", 3), ("b-eu", 2)]), "{}", render_text(&plan));
}

#[test]
fn scaled_to_zero_one_endpoint_keeps_its_place() {
    let mut fleet = divided(6);
    let zero = settle(&mut fleet, &divisible(0), NOW.plus(60));
    assert_eq!(zero.decision, Decision::ScaledToZero);
    assert_eq!(serving_replicas(&zero), BTreeMap::from([("a-us", 0)]), "{}", render_text(&zero));
    gone(&mut fleet, B);
    let again = settle(&mut fleet, &divisible(2), NOW.plus(600));
    assert_eq!(
        (new(&again), serving_replicas(&again)),
        (vec![], BTreeMap::from([("a-us", 2)])),
        "{}",
        render_text(&again)
    );
}

/// The fleet in which this endpoint fails for longer than its toleration, after `NOW`.
fn failing(mut fleet: Fleet, name: &str) -> Fleet {
    change(&mut fleet, name, |endpoint| {
        endpoint.ready = false;
        endpoint.health = Health::Failing;
        endpoint.failing_since = Some(NOW);
        endpoint.failed_at = Some(NOW.plus(61));
    });
    fleet
}

#[test]
fn a_part_that_fails_is_replaced_and_the_others_stay() {
    let mut fleet = failing(divided(6), B);
    let plan = settle(&mut fleet, &divisible(6), NOW.plus(62));
    assert_eq!((plan.decision, new(&plan)), (Decision::EndpointFailing, vec![("c-eu", 2)]), "{}", render_text(&plan));
    let replacement = "m-c-eu-h100x2-2";
    serve(&mut fleet, replacement, NOW.plus(90));
    let done = settle(&mut fleet, &divisible(6), NOW.plus(95));
    assert_eq!(serving_replicas(&done), BTreeMap::from([("a-us", 4), ("c-eu", 2)]), "{}", render_text(&done));
}

#[test]
fn an_endpoint_is_replaced_by_several_where_no_place_holds_all_of_it() {
    let mut fleet = three();
    change_target(&mut fleet, "a-us", |target| target.nodes.as_mut().unwrap().push(node("n2", 8)));
    settle(&mut fleet, &divisible(6), NOW);
    all_serve(&mut fleet, &divisible(6), NOW);
    let mut fleet = failing(fleet, A);
    let plan = settle(&mut fleet, &divisible(6), NOW.plus(62));
    assert_eq!(new(&plan), [("b-eu", 4), ("c-eu", 2)], "{}", render_text(&plan));
    serve(&mut fleet, B, NOW.plus(80));
    let half = settle(&mut fleet, &divisible(6), NOW.plus(81));
    let of_first = half.allocations.iter().find(|one| one.endpoint.as_deref() == Some(A)).unwrap();
    assert_eq!(of_first.role, Role::Serving, "half of it does not take over: {}", render_text(&half));
    serve(&mut fleet, "m-c-eu-h100x2-2", NOW.plus(90));
    let done = settle(&mut fleet, &divisible(6), NOW.plus(91));
    assert_eq!(serving_replicas(&done), BTreeMap::from([("b-eu", 4), ("c-eu", 2)]), "{}", render_text(&done));
}

#[test]
fn an_endpoint_that_serves_is_not_replaced_by_less() {
    let mut fleet = divided(6);
    change_target(&mut fleet, "c-eu", |target| target.nodes = Some(vec![node("n1", 2)]));
    change_target(&mut fleet, "a-us", |target| target.taints = vec![eviction()]);
    let plan = checked(&fleet, &divisible(6), NOW.plus(60));
    assert_eq!((plan.decision, new(&plan)), (Decision::TargetEvicted, vec![]), "{}", render_text(&plan));
}

#[test]
fn replicas_are_spread_over_domains() {
    let plan = checked(&three(), &spread(4, 2), NOW);
    assert_eq!(new(&plan), [("a-us", 3), ("b-eu", 1)]);
    let all = checked(&three(), &spread(2, 3), NOW);
    assert_eq!(new(&all), [("a-us", 1), ("b-eu", 1)], "no more domains than replicas");
}

#[test]
fn a_replica_is_held_back_for_a_domain_that_has_no_place() {
    let mut fleet = fleet([target("a-us", "aws", "us-east-1", "10")]);
    let plan = settle(&mut fleet, &spread(3, 2), NOW);
    assert_eq!(new(&plan), [("a-us", 2)], "{}", render_text(&plan));
    all_serve(&mut fleet, &spread(3, 2), NOW);
    assert_eq!(checked(&fleet, &spread(3, 2), NOW.plus(10)).decision, Decision::PartlyPlaced);
    fleet.upsert_target(target("b-eu", "gcp", "europe-west4", "20"));
    assert_eq!(new(&checked(&fleet, &spread(3, 2), NOW.plus(20))), [("b-eu", 1)]);
}

#[test]
fn a_domain_gets_its_replica_before_another_one_loses_it() {
    let mut fleet = divided(4);
    let wider = settle(&mut fleet, &spread(4, 2), NOW.plus(60));
    assert_eq!((new(&wider), serving_replicas(&wider)["a-us"]), (vec![("b-eu", 1)], 4), "{}", render_text(&wider));
    let waiting = settle(&mut fleet, &spread(4, 2), NOW.plus(65));
    assert_eq!(serving_replicas(&waiting), BTreeMap::from([("a-us", 4), ("b-eu", 1)]), "{}", render_text(&waiting));
    all_serve(&mut fleet, &spread(4, 2), NOW.plus(90));
    let done = settle(&mut fleet, &spread(4, 2), NOW.plus(100));
    assert_eq!(serving_replicas(&done), BTreeMap::from([("a-us", 3), ("b-eu", 1)]), "{}", render_text(&done));
}

#[test]
fn without_a_further_domain_all_replicas_serve_and_the_plan_says_so() {
    let mut fleet = fleet([target("a-us", "aws", "us-east-1", "10")]);
    settle(&mut fleet, &divisible(2), NOW);
    all_serve(&mut fleet, &divisible(2), NOW);
    let plan = checked(&fleet, &spread(2, 2), NOW.plus(60));
    assert_eq!((plan.decision, new(&plan)), (Decision::SpreadUnsatisfied, vec![]), "{}", render_text(&plan));
}

#[test]
fn a_budget_bounds_all_parts_together() {
    // On one accelerator of eight, a replica of two costs a quarter: $2.50, $5.00 and $7.50.
    let budget = Deployment { max_hourly_cost: Some(dollars("16")), ..divisible(6) };
    assert_eq!(new(&checked(&three(), &budget, NOW)), [("a-us", 4), ("b-eu", 1)]);
}

#[test]
fn a_division_outlives_the_gateway() {
    let fleet = divided(6);
    let published = |name: &str, replicas| (name.to_owned(), Published { role: Role::Serving, replicas });
    let decided = Decided { allocations: [published(A, 4), published(B, 2)].into(), ..Decided::default() };
    let without = Deployment { divisible: false, decided, ..divisible(6) };
    let plan = checked(&fleet, &without, NOW.plus(60));
    assert!(plan.actions.iter().all(|action| matches!(action, Action::Keep(_))), "{}", render_text(&plan));
}

/// A way to place some of the replicas: so many at one candidate.
#[derive(Debug, Clone)]
struct Place {
    target: String,
    offer: String,
    shape: String,
    domain: (String, String),
    /// Largest number of replicas that fit.
    most: u32,
    /// Cost of one replica, and the same divided by (1 + premium) in millionths.
    price: Option<(u128, u128)>,
    /// Tokens per second of one replica; 1 where cost by the hour is compared.
    tokens: u128,
}

/// A sum of costs by a sum of throughputs; less is better.
#[derive(Debug, Clone, Copy)]
struct Ratio {
    cost: u128,
    tokens: u128,
}

impl Ord for Ratio {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.cost * other.tokens).cmp(&(other.cost * self.tokens))
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ratio {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ratio {}

/// All candidates that hold a replica.
fn places(targets: &[Target], endpoints: &[Endpoint], deployment: &Deployment) -> Vec<Place> {
    let mut places = Vec::new();
    for target in targets.iter().filter(|target| allowed(target, deployment)) {
        let premium = deployment.rules.prefer.iter().find(|one| {
            one.cloud.as_ref().is_none_or(|cloud| *cloud == target.cloud)
                && one.region.as_ref().is_none_or(|region| region.matches(&target.region))
        });
        let premium = premium.map_or(0, |one| u128::from(one.premium_percent));
        for offer in &target.offers {
            for shape in &deployment.shapes {
                let of = |replicas| Deployment { replicas, ..deployment.clone() };
                let suits = offer.kind() == Some(shape.accelerator.kind.as_str())
                    && shape.accelerator.count <= offer.accelerators()
                    && deployment.rules.capacity_types.contains(&offer.capacity_type)
                    && !refused(target, offer, endpoints, deployment, shape);
                let fits = |replicas: &u32| holds(target, offer, endpoints, &of(*replicas), shape);
                let most = if suits { (1..=deployment.replicas).rev().find(fits).unwrap_or(0) } else { 0 };
                places.push(Place {
                    target: target.name.clone(),
                    offer: offer.name.clone(),
                    shape: shape.name.clone(),
                    domain: (target.cloud.clone(), target.region.clone()),
                    most,
                    price: cost(offer, shape, 1).map(|one| (one, one * 1_000_000 * 100 / (100 + premium))),
                    tokens: match deployment.objective {
                        Objective::HourlyCost => 1,
                        Objective::CostPerMillionTokens => shape.tokens_per_second.unwrap().into(),
                    },
                });
            }
        }
    }
    places.retain(|place| place.most > 0);
    places
}

/// Value of a division: less is better.
type Value = (std::cmp::Reverse<u32>, u32, Ratio, usize);

fn value(division: &[(Place, u32)], objective: Objective) -> Value {
    let replicas = division.iter().map(|(_, replicas)| replicas).sum();
    let unknown = division.iter().filter(|(place, _)| place.price.is_none()).map(|(_, replicas)| replicas).sum();
    let priced =
        || division.iter().filter_map(|(place, replicas)| Some((place, place.price?.1, u128::from(*replicas))));
    let cost = priced().map(|(_, one, replicas)| one * replicas).sum();
    let tokens = match objective {
        Objective::HourlyCost => 1,
        Objective::CostPerMillionTokens => {
            priced().map(|(place, _, replicas)| place.tokens * replicas).sum::<u128>().max(1)
        }
    };
    (std::cmp::Reverse(replicas), unknown, Ratio { cost, tokens }, division.len())
}

/// True if a division is allowed: places that share nodes exclude each other, the budget holds, and a replica is held back
/// for each domain that is lacking.
fn is_allowed(targets: &[Target], division: &[(Place, u32)], deployment: &Deployment) -> bool {
    let replicas: u32 = division.iter().map(|(_, replicas)| replicas).sum();
    let spent =
        division.iter().try_fold(0, |sum, (place, replicas)| Some(sum + place.price?.0 * u128::from(*replicas)));
    let budget = deployment.max_hourly_cost.is_none_or(|budget| spent.is_some_and(|spent| spent <= budget.0.into()));
    let domains: BTreeSet<_> = division.iter().map(|(place, _)| &place.domain).collect();
    let wanted = deployment.spread.map_or(0, |spread| spread.min_domains.min(deployment.replicas));
    let lacking = wanted.saturating_sub(u32::try_from(domains.len()).unwrap());
    let alone = |(index, (one, _)): (usize, &(Place, u32))| {
        division.iter().skip(index + 1).all(|(other, _)| one.target != other.target || !share(targets, one, other))
    };
    budget && replicas + lacking <= deployment.replicas && division.iter().enumerate().all(alone)
}

/// True if two offers are the same, or may use the same node.
fn share(targets: &[Target], one: &Place, other: &Place) -> bool {
    let target = targets.iter().find(|target| target.name == one.target).unwrap();
    let offer = |name: &str| target.offers.iter().find(|offer| offer.name == name).unwrap();
    let usable = |name: &str, node: &Node| {
        node.schedulable && node.taints.is_empty() && offer(name).node_selector.matches(&node.labels)
    };
    let free = |name: &str, node: &Node| {
        node.free_accelerators["nvidia.com/gpu"] + offer(name).accelerators()
            > node.allocatable_accelerators["nvidia.com/gpu"]
    };
    let takes = |name: &str, node: &Node| usable(name, node) && free(name, node);
    one.offer == other.offer
        || target.nodes.iter().flatten().any(|node| {
            usable(&one.offer, node)
                && usable(&other.offer, node)
                && (takes(&one.offer, node) || takes(&other.offer, node))
        })
}

fn best_by_brute_force(targets: &[Target], endpoints: &[Endpoint], deployment: &Deployment) -> Option<Value> {
    let mut divisions: Vec<Vec<(Place, u32)>> = vec![Vec::new()];
    for place in places(targets, endpoints, deployment) {
        let more: Vec<_> = divisions
            .iter()
            .flat_map(|division| {
                let left = deployment.replicas - division.iter().map(|(_, replicas)| replicas).sum::<u32>();
                let place = place.clone();
                (1..=place.most.min(left))
                    .map(move |replicas| [division.as_slice(), &[(place.clone(), replicas)]].concat())
            })
            .collect();
        divisions.extend(more);
    }
    let allowed = divisions.iter().filter(|division| !division.is_empty() && is_allowed(targets, division, deployment));
    allowed.map(|division| value(division, deployment.objective)).min()
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_division_is_that_of_brute_force(
        (targets, endpoints, deployment) in any_world(),
        replicas in 1u32..5,
        min_domains in 0u32..4,
        objective in prop_oneof![Just(Objective::HourlyCost), Just(Objective::CostPerMillionTokens)],
    ) {
        let mut endpoints = endpoints;
        endpoints.sort_by(|a, b| a.name.cmp(&b.name));
        endpoints.dedup_by(|a, b| a.name == b.name);
        let spread = (min_domains > 0).then_some(SpreadRule { topology: Topology::Region, min_domains });
        let deployment = Deployment { replicas, divisible: true, spread, objective, ..deployment };
        let plan = checked(&fleet_of(&targets, &endpoints), &deployment, NOW);
        let all = places(&targets, &endpoints, &deployment);
        let found: Vec<(Place, u32)> = all_created(&plan)
            .map(|made| {
                let is = |place: &&Place| {
                    (&place.target, &place.offer, &place.shape) == (&made.target, &made.offer, &made.shape)
                };
                (all.iter().find(is).expect("a place that holds a replica").clone(), made.replicas)
            })
            .collect();
        let found = (!found.is_empty()).then(|| value(&found, objective));
        prop_assert_eq!(found, best_by_brute_force(&targets, &endpoints, &deployment), "{}", render_text(&plan));
    }
}
