//! Deployments as a company of many teams has them: small and large models, with and without rules.

use std::collections::{BTreeMap, BTreeSet};

use roadstead_model::{
    Accelerator, CapacityType, Decided, Deployment, DeploymentId, LabelSelector, MicroDollars, Objective, Pattern,
    Preference, Resources, Rules, Shape, Timestamp,
};

use crate::NOW;
use crate::random::Random;
use crate::targets::labels;

const GIB: u64 = 1 << 30;

/// A way to run a model of some size: accelerators, and tokens a second.
type Way = (&'static str, u32, u64);

/// Models by size, the frequent ones first: percent of all, the ways to run one, and memory in GiB.
const MODELS: [(u32, &[Way], u64); 4] = [
    (40, &[("L4", 1, 900), ("A10G", 1, 1_000), ("L40S", 1, 1_900), ("A10", 1, 950)], 24),
    (30, &[("A100-80GB", 1, 2_400), ("H100", 1, 4_100), ("L40S", 2, 2_900), ("A100", 2, 3_100)], 64),
    (22, &[("H100", 2, 3_600), ("H200", 1, 2_700), ("A100-80GB", 2, 1_900), ("MI300X", 1, 2_600)], 160),
    (8, &[("H100", 8, 6_200), ("H200", 8, 8_100), ("B200", 4, 8_800), ("MI300X", 8, 7_900)], 640),
];

/// So many deployments, in the order in which they are planned.
pub fn deployments(count: usize, seed: u64) -> Vec<Deployment> {
    let mut random = Random::new(seed);
    let mut all: Vec<Deployment> = (0..count).map(|index| deployment(index, &mut random)).collect();
    all.sort_by_key(Deployment::queue_key);
    all
}

fn deployment(index: usize, random: &mut Random) -> Deployment {
    let namespace = format!("team-{}", random.below(40));
    let (ways, memory) = model(random);
    let shapes = shapes(ways, random);
    let largest = shapes.iter().map(|shape| shape.accelerator.count).max().unwrap_or(1);
    let replicas = match random.below(10) {
        0..=3 => 1,
        4..=6 => 2,
        7..=8 => random.between(3, 4),
        _ => random.between(5, 8),
    };
    let budget = u64::from(replicas) * u64::from(largest) * u64::from(random.between(2, 9));
    Deployment {
        namespace_labels: labels(&[
            ("kubernetes.io/metadata.name", &namespace),
            ("models", if random.chance(30) { "large" } else { "any" }),
        ]),
        id: DeploymentId { namespace, name: format!("model-{index}") },
        uid: format!("00000000-0000-4000-8000-{index:012}"),
        generation: 1,
        decided: Decided::default(),
        priority: if random.chance(10) { 100 } else { 0 },
        created_at: Timestamp(NOW.0 - i64::from(random.below(86_400))),
        engine: "vllm".to_owned(),
        source: Some("hf".to_owned()),
        settings: BTreeMap::new(),
        replicas,
        resources: Resources {
            cpu_millis: u64::from(largest) * 4_000,
            memory_bytes: memory * GIB,
            ephemeral_storage_bytes: memory * 2 * GIB,
        },
        shapes,
        rules: rules(random),
        objective: if random.chance(20) { Objective::CostPerMillionTokens } else { Objective::HourlyCost },
        max_hourly_cost: random.chance(25).then_some(MicroDollars(budget * 1_000_000)),
        hosted_ceiling: MicroDollars::ZERO,
        drain_timeout_seconds: 120,
        failover_after_seconds: Some(60),
        place_without: BTreeSet::new(),
        failback: None,
        move_to: None,
        removes_first: false,
        divisible: false,
        spread: None,
        standby_replicas: 0,
        suspended: false,
    }
}

fn model(random: &mut Random) -> (&'static [Way], u64) {
    let mut at = random.below(100);
    for (percent, ways, memory) in MODELS {
        if at < percent {
            return (ways, memory);
        }
        at -= percent;
    }
    (MODELS[0].1, MODELS[0].2)
}

/// One to three of the ways to run a model.
fn shapes(ways: &[Way], random: &mut Random) -> Vec<Shape> {
    let mut ways = ways.to_vec();
    random.shuffle(&mut ways);
    ways.truncate(random.between(1, 3) as usize);
    ways.into_iter()
        .map(|(kind, count, tokens)| Shape {
            name: format!("{kind}x{count}").to_lowercase(),
            accelerator: Accelerator { kind: kind.to_owned(), count },
            tokens_per_second: Some(tokens),
        })
        .collect()
}

fn rules(random: &mut Random) -> Rules {
    let pattern = |text: &str| Pattern::parse(text).unwrap();
    let jurisdictions = match random.below(100) {
        0..=34 => Some("EU"),
        35..=44 => Some("US"),
        _ => None,
    };
    let mut capacity_types = BTreeSet::from([CapacityType::Reserved, CapacityType::OnDemand]);
    if random.chance(25) {
        capacity_types.insert(CapacityType::Spot);
    }
    Rules {
        target_selector: LabelSelector {
            match_labels: if random.chance(10) { labels(&[("env", "prod")]) } else { BTreeMap::new() },
            match_expressions: Vec::new(),
        },
        clouds: random.chance(15).then(|| BTreeSet::from(["aws".to_owned(), "gcp".to_owned(), "azure".to_owned()])),
        allow_regions: random.chance(5).then(|| vec![pattern("eu*"), pattern("us-*"), pattern("west*")]),
        deny_regions: if random.chance(10) { vec![pattern("ap-*"), pattern("sa-*")] } else { Vec::new() },
        prefer: if random.chance(15) { preferences() } else { Vec::new() },
        jurisdictions: jurisdictions.map(|name| BTreeSet::from([name.to_owned()])),
        capacity_types,
        target_tolerations: Vec::new(),
    }
}

fn preferences() -> Vec<Preference> {
    vec![
        Preference {
            name: "home".to_owned(),
            cloud: Some("aws".to_owned()),
            region: Pattern::parse("eu-*").ok(),
            premium_percent: 15,
        },
        Preference { name: "partner".to_owned(), cloud: Some("gcp".to_owned()), region: None, premium_percent: 5 },
    ]
}
