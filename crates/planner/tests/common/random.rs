//! Random fleets and deployments, small enough to be enumerated.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use roadstead_model::*;
use roadstead_planner::*;

use super::*;

/// So many cases, unless the environment variable `PROPTEST_CASES` asks for more. Failures are not kept in
/// files: a case that failed becomes a test of its own.
pub fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: asked.unwrap_or(usual), failure_persistence: None, ..ProptestConfig::default() }
}

pub const CLOUDS: [(&str, &str); 5] = [
    ("aws", "us-east-1"),
    ("aws", "eu-west-2"),
    ("gcp", "europe-west4"),
    ("azure", "germanywestcentral"),
    ("metal", "cellar"),
];

/// A price in any unit, mostly of an instance for an hour; a few are unreadable, and a few have expired.
pub fn any_price() -> impl Strategy<Value = Option<Price>> {
    let amount = || (1u64..12).prop_map(|dollars| MicroDollars(dollars * 1_000_001));
    let rate = prop_oneof![
        8 => amount().prop_map(Rate::PerInstanceHour),
        2 => amount().prop_map(|price| Rate::PerAcceleratorHour(MicroDollars(price.0 / 4))),
        2 => (amount(), amount()).prop_map(|(input, output)| Rate::PerMillionTokens { input, output }),
        1 => Just(Rate::Unreadable),
    ];
    let until = option::weighted(0.2, (-1i64..3).prop_map(|seconds| Timestamp(NOW.0 + seconds)));
    let price = (rate, until).prop_map(|(rate, valid_until)| Price { valid_until, ..Price::of_spec(rate) });
    option::weighted(0.9, price)
}

pub fn any_capacity_type() -> impl Strategy<Value = CapacityType> {
    prop_oneof![
        4 => Just(CapacityType::OnDemand),
        2 => Just(CapacityType::Reserved),
        1 => Just(CapacityType::Spot)
    ]
}

/// An offer. Its strategy is on the heap, because several of them in a world would fill a test's stack.
pub fn any_offer(name: &'static str) -> BoxedStrategy<Offer> {
    (
        prop_oneof![4 => Just("H100"), 1 => Just("L4")],
        1u32..9,
        any_capacity_type(),
        any_price(),
        option::of(0u32..4),
        (any::<bool>(), prop_oneof![6 => Just(false), 1 => Just(true)]),
        option::weighted(0.3, 0u8..2),
    )
        .prop_map(move |(kind, count, capacity_type, price, max_instances, (autoscaled, sold_out), pool)| Offer {
            accelerator: Some(accelerator(kind, count)),
            capacity_type,
            price,
            max_instances,
            sold_out,
            autoscaled,
            node_selector: pool.map_or_else(LabelSelector::default, |pool| selector(&[("pool", &pool.to_string())])),
            ..offer(name, "")
        })
        .boxed()
}

pub fn any_node(name: &'static str) -> impl Strategy<Value = Node> {
    (0u8..2, 0u32..9, 0u64..5, prop::bool::weighted(0.9), prop::bool::weighted(0.1)).prop_map(
        move |(pool, free, memory, schedulable, tainted)| {
            let taint = Taint { key: "t".into(), value: String::new(), effect: Effect::NoSchedule };
            Node {
                labels: labels(&[("pool", &pool.to_string())]),
                schedulable,
                taints: if tainted { vec![taint] } else { vec![] },
                free: Resources { memory_bytes: memory * GIB, ..node(name, free).free },
                ..node(name, free)
            }
        },
    )
}

fn any_exhausted() -> impl Strategy<Value = Exhausted> {
    (prop_oneof![Just("a"), Just("b")], 1u32..5, 0u64..3, -1i64..2, option::weighted(0.3, Just(id("m")))).prop_map(
        |(offer, accelerators, memory, until, only_for)| Exhausted {
            offer: offer.into(),
            size: Size { accelerators, resources: Resources { memory_bytes: memory * GIB, ..Resources::default() } },
            only_for,
            generation: 0,
            until: Timestamp(NOW.0 + until),
            attempts: 1,
            reason: "CapacityExhausted".into(),
        },
    )
}

/// A target of any kind; nearly always one that can be used.
pub fn any_target(name: &'static str) -> impl Strategy<Value = Target> {
    let nodes = option::weighted(0.8, vec![any_node("n1"), any_node("n2")]);
    let place = (0..CLOUDS.len(), prop::bool::weighted(0.9), prop::bool::weighted(0.9), 0u8..10, 0u8..20);
    (place, (any_offer("a"), option::of(any_offer("b"))), nodes, vec(any_exhausted(), 0..2)).prop_map(
        move |((place, allowed, ready, tainted, engine), (first, second), nodes, exhausted)| {
            let (cloud, region) = CLOUDS[place];
            let taint = Taint { key: "t".into(), value: String::new(), effect: Effect::NoPlacement };
            Target {
                labels: labels(&[("cloud", cloud)]),
                state: if ready { TargetState::Ready } else { not_ready(NOW) },
                allowed_namespaces: allowed.then(LabelSelector::default),
                taints: if tainted == 0 { vec![taint] } else { vec![] },
                offers: std::iter::once(first).chain(second).collect(),
                nodes,
                exhausted,
                capabilities: Capabilities {
                    engines: (engine < 2).then(|| BTreeSet::from(["custom".to_owned()])),
                    own_server: (engine > 16).then(|| "Bedrock".to_owned()),
                    ..Capabilities::default()
                },
                ..target(name, cloud, region, "")
            }
        },
    )
}

pub fn any_rules() -> impl Strategy<Value = Rules> {
    let clouds = option::weighted(0.2, btree_set(prop_oneof![Just("aws".to_owned()), Just("gcp".to_owned())], 1..3));
    let jurisdictions =
        option::weighted(0.3, btree_set(prop_oneof![Just("EU".to_owned()), Just("US".to_owned())], 1..3));
    let deny = prop_oneof![3 => Just(vec![]), 1 => Just(vec![pattern("us-*")])];
    let allow = option::weighted(0.2, Just(vec![pattern("e*"), pattern("us-east-1")]));
    let prefer = vec((0..CLOUDS.len(), any::<bool>(), 0u32..40), 0..3);
    let selects = prop_oneof![4 => Just(vec![]), 1 => Just(vec![("cloud", "aws")])];
    (clouds, jurisdictions, deny, allow, prefer, selects, any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |(clouds, jurisdictions, deny_regions, allow_regions, prefer, selects, spot, tolerant)| Rules {
            target_selector: selector(&selects),
            clouds,
            allow_regions,
            deny_regions,
            prefer: prefer
                .into_iter()
                .enumerate()
                .map(|(index, (place, whole_cloud, premium_percent))| Preference {
                    name: format!("p{index}"),
                    cloud: Some(CLOUDS[place].0.to_owned()),
                    region: (!whole_cloud).then(|| pattern(CLOUDS[place].1)),
                    premium_percent,
                })
                .collect(),
            jurisdictions,
            capacity_types: if spot {
                BTreeSet::from([CapacityType::Spot, CapacityType::OnDemand, CapacityType::Reserved])
            } else {
                BTreeSet::from([CapacityType::OnDemand, CapacityType::Reserved])
            },
            target_tolerations: if tolerant {
                vec![Toleration { operator: TolerationOperator::Exists, ..Toleration::default() }]
            } else {
                vec![]
            },
        },
    )
}

pub fn any_shapes() -> impl Strategy<Value = Vec<Shape>> {
    let shape = (prop_oneof![4 => Just("H100"), 1 => Just("L4")], 1u32..5, 1u64..4);
    vec(shape, 1..3).prop_map(|shapes| {
        let named = shapes.into_iter().enumerate();
        named
            .map(|(index, (kind, count, tokens))| Shape {
                tokens_per_second: Some(tokens * 1_000),
                ..shape_of(index, kind, count)
            })
            .collect()
    })
}

fn shape_of(index: usize, kind: &str, count: u32) -> Shape {
    shape(&format!("s{index}"), kind, count)
}

/// A deployment `m` of at most three replicas.
pub fn any_deployment() -> impl Strategy<Value = Deployment> {
    let objective = prop_oneof![Just(Objective::HourlyCost), Just(Objective::CostPerMillionTokens)];
    let budget = option::weighted(0.3, (1u64..20).prop_map(|dollars| MicroDollars(dollars * 1_000_000)));
    let settings = prop_oneof![
        4 => Just(BTreeMap::new()),
        1 => Just(BTreeMap::from([(EngineSetting::Args, BTreeSet::new())])),
        1 => Just(BTreeMap::from([(EngineSetting::Env, BTreeSet::from(["Bedrock".to_owned()]))])),
    ];
    (any_rules(), any_shapes(), 1u32..4, 0u64..3, objective, budget, settings).prop_map(
        |(rules, shapes, replicas, memory, objective, max_hourly_cost, settings)| Deployment {
            rules,
            shapes,
            replicas,
            settings,
            resources: Resources { memory_bytes: memory * GIB, ..Resources::default() },
            objective,
            max_hourly_cost,
            ..deployment("m")
        },
    )
}

/// Endpoints of others that hold room and are not bound yet.
pub fn any_neighbour() -> impl Strategy<Value = Endpoint> {
    let place = (prop_oneof![Just("t0"), Just("t1"), Just("t2")], prop_oneof![Just("a"), Just("b"), Just("gone")]);
    (place, 1u32..4, 0u64..3, 1u32..3, 0u32..1_000, prop::bool::weighted(0.1)).prop_map(
        |((target, offer), count, memory, replicas, number, unschedulable)| {
            let placement = Placement {
                target: target.into(),
                offer: offer.into(),
                shape: "s".into(),
                accelerator: accelerator("H100", count),
                capacity_type: CapacityType::OnDemand,
                slot: 0,
                replicas,
                replica_cost: None,
                hourly_cost: None,
            };
            let other = Deployment {
                resources: Resources { memory_bytes: memory * GIB, ..Resources::default() },
                ..deployment(&format!("other-{number}"))
            };
            Endpoint {
                unschedulable,
                ever_ready: true,
                outdated: false,
                bound: BTreeMap::new(),
                ..Endpoint::planned(format!("other-{number}"), &other, &placement, None, NOW)
            }
        },
    )
}

/// Targets `t0` to `t2`.
pub fn any_targets() -> impl Strategy<Value = Vec<Target>> {
    (any_target("t0"), any_target("t1"), option::of(any_target("t2")))
        .prop_map(|(first, second, third)| [Some(first), Some(second), third].into_iter().flatten().collect())
}

/// Everything that a plan of `m` depends on.
pub fn any_world() -> impl Strategy<Value = (Vec<Target>, Vec<Endpoint>, Deployment)> {
    (any_targets(), vec(any_neighbour(), 0..3), any_deployment())
}

/// A fleet of targets and endpoints.
pub fn fleet_of(targets: &[Target], endpoints: &[Endpoint]) -> Fleet {
    let mut fleet = fleet(targets.iter().cloned());
    for endpoint in endpoints {
        fleet.upsert_endpoint(endpoint.clone());
    }
    fleet
}
