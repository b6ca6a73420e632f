//! Targets that look like those of real clouds: instances and prices from `data/`, nodes partly in use.

use std::collections::BTreeMap;

use roadstead_model::{
    Accelerator, Capabilities, CapacityType, Contact, Effect, Exhausted, Inventory, LabelSelector, Labels,
    MicroDollars, Node, Offer, Price, Resources, Size, Taint, Target, TargetState, Timestamp, Toleration,
    TolerationOperator, catalogue::accelerator,
};

use crate::NOW;
use crate::random::Random;

/// Offers of one target.
pub const OFFERS: usize = 8;

const GIB: u64 = 1 << 30;

/// One instance type of a cloud.
#[derive(Debug, Clone)]
struct Instance {
    cloud: &'static str,
    name: &'static str,
    accelerator: Accelerator,
    resource_name: &'static str,
    size: Resources,
    on_demand: MicroDollars,
    spot: Option<MicroDollars>,
}

/// A cloud's region, and the percents of the listed price that are paid there.
type Region = (&'static str, &'static str, u64);

fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| line.split(',').collect())
}

fn instances() -> Vec<Instance> {
    let dollars = |text: &str| MicroDollars::parse(text).unwrap();
    rows(include_str!("../../data/instances.csv"))
        .map(|row| Instance {
            cloud: row[0],
            name: row[1],
            accelerator: Accelerator { kind: row[2].to_owned(), count: row[3].parse().unwrap() },
            resource_name: accelerator(row[2]).unwrap().resource_name,
            size: Resources {
                cpu_millis: row[4].parse::<u64>().unwrap() * 1_000,
                memory_bytes: row[5].parse::<u64>().unwrap() * GIB,
                ephemeral_storage_bytes: 4_000 * GIB,
            },
            on_demand: dollars(row[6]),
            spot: (!row[7].is_empty()).then(|| dollars(row[7])),
        })
        .collect()
}

fn regions() -> Vec<Region> {
    rows(include_str!("../../data/regions.csv")).map(|row| (row[0], row[1], row[2].parse().unwrap())).collect()
}

/// So many targets of [`OFFERS`] offers each. Every region is used once before one is used again.
pub fn targets(count: usize, seed: u64) -> Vec<Target> {
    let (instances, mut regions) = (instances(), regions());
    let mut random = Random::new(seed);
    random.shuffle(&mut regions);
    (0..count)
        .map(|index| {
            let (cloud, region, percent) = regions[index % regions.len()];
            let name = format!("{cloud}-{region}-{}", index / regions.len());
            target(name, (cloud, region, percent), &instances, &mut random)
        })
        .collect()
}

fn target(name: String, (cloud, region, percent): Region, instances: &[Instance], random: &mut Random) -> Target {
    let mut sold: Vec<(&Instance, CapacityType)> = instances
        .iter()
        .filter(|instance| instance.cloud == cloud)
        .flat_map(|instance| {
            let types = [CapacityType::OnDemand, CapacityType::Reserved, CapacityType::Spot];
            let types = types.into_iter().filter(|kind| *kind != CapacityType::Spot || instance.spot.is_some());
            types.map(move |kind| (instance, kind))
        })
        .collect();
    random.shuffle(&mut sold);
    sold.truncate(OFFERS);
    assert_eq!(sold.len(), OFFERS, "cloud {cloud} has too few instances");
    let offers: Vec<Offer> =
        sold.iter().map(|(instance, kind)| offer(&name, instance, *kind, percent, random)).collect();
    // One in four is a service without nodes, where only the number of instances limits.
    let nodes = (!random.chance(25)).then(|| {
        let of_offer = |(offer, (instance, _)): (&Offer, &(&Instance, CapacityType))| nodes(offer, instance, random);
        offers.iter().zip(&sold).flat_map(of_offer).collect()
    });
    let environment = if random.chance(60) { "prod" } else { "dev" };
    Target {
        cloud: cloud.to_owned(),
        region: region.to_owned(),
        location: None,
        labels: labels(&[("env", environment), ("tier", *random.one_of(&["a", "b", "c"]))]),
        state: if random.chance(97) { TargetState::Ready } else { not_ready() },
        ready_since: Some(Timestamp(0)),
        contact: Contact::Answers,
        in_cluster: false,
        allowed_namespaces: Some(if random.chance(10) {
            LabelSelector { match_labels: labels(&[("models", "large")]), match_expressions: Vec::new() }
        } else {
            LabelSelector::default()
        }),
        taints: if random.chance(4) { vec![taint("maintenance", Effect::NoPlacement)] } else { Vec::new() },
        exhausted: exhausted(&offers, random),
        offers,
        nodes,
        inventory: Inventory::Answered,
        capabilities: Capabilities::default(),
        name,
    }
}

fn offer(target: &str, instance: &Instance, kind: CapacityType, percent: u64, random: &mut Random) -> Offer {
    let listed = match kind {
        CapacityType::OnDemand => Some(instance.on_demand),
        CapacityType::Spot => instance.spot,
        CapacityType::Reserved => random.chance(50).then(|| instance.on_demand.share(60, 100)),
    };
    let name = format!("{}-{}", instance.name, kind.as_str()).to_lowercase().replace(['.', '_'], "-");
    Offer {
        instance_type: instance.name.to_owned(),
        accelerator: Some(instance.accelerator.clone()),
        capacity_type: kind,
        price: listed.map(|price| Price::per_instance_hour(price.share(percent, 100))),
        max_instances: Some(random.between(6, 20)),
        sold_out: false,
        autoscaled: random.chance(30),
        resource_name: instance.resource_name.to_owned(),
        node_selector: LabelSelector {
            match_labels: labels(&[("cloud.example.com/pool", &format!("{target}.{name}"))]),
            match_expressions: Vec::new(),
        },
        node_tolerations: vec![Toleration {
            key: Some(instance.resource_name.to_owned()),
            operator: TolerationOperator::Exists,
            ..Toleration::default()
        }],
        name,
    }
}

/// The nodes of an offer: a third empty, a third in use by others in part, the rest full; a few cordoned.
fn nodes(offer: &Offer, instance: &Instance, random: &mut Random) -> Vec<Node> {
    (0..random.between(4, 12))
        .map(|index| {
            let count = offer.accelerators();
            let used = match random.below(3) {
                0 => 0,
                1 => random.below(count),
                _ => count,
            };
            let mut node = fresh_node(offer, instance.size, index);
            node.schedulable = random.chance(97);
            node.free_accelerators.insert(offer.resource_name.clone(), count - used);
            node.free = taken(instance.size, used, count);
            node
        })
        .collect()
}

/// An empty node of an offer, as an autoscaler adds one.
pub fn fresh_node(offer: &Offer, size: Resources, index: u32) -> Node {
    let name = format!("{}-{index}", offer.name);
    let mut labels = offer.node_selector.match_labels.clone();
    labels.insert("kubernetes.io/hostname".to_owned(), name.clone());
    labels.insert("node.kubernetes.io/instance-type".to_owned(), offer.instance_type.clone());
    Node {
        labels,
        taints: vec![taint(&offer.resource_name, Effect::NoSchedule)],
        schedulable: true,
        allocatable_accelerators: BTreeMap::from([(offer.resource_name.clone(), offer.accelerators())]),
        free_accelerators: BTreeMap::from([(offer.resource_name.clone(), offer.accelerators())]),
        free: size,
        name,
    }
}

/// The rest of a node with `used` of `count` accelerators in use, with their share of the other resources.
fn taken(size: Resources, used: u32, count: u32) -> Resources {
    let left = |amount: u64| amount / u64::from(count) * u64::from(count - used);
    Resources {
        cpu_millis: left(size.cpu_millis),
        memory_bytes: left(size.memory_bytes),
        ephemeral_storage_bytes: left(size.ephemeral_storage_bytes),
    }
}

fn exhausted(offers: &[Offer], random: &mut Random) -> Vec<Exhausted> {
    if random.chance(85) {
        return Vec::new();
    }
    let offer = random.one_of(offers);
    vec![Exhausted {
        offer: offer.name.clone(),
        size: Size { accelerators: offer.accelerators(), resources: Resources::default() },
        only_for: None,
        generation: 0,
        until: NOW.plus(600),
        attempts: 2,
        reason: "CapacityExhausted".to_owned(),
    }]
}

fn not_ready() -> TargetState {
    TargetState::NotReady {
        reason: "Unreachable".to_owned(),
        message: "the API server does not answer".to_owned(),
        since: NOW,
    }
}

fn taint(key: &str, effect: Effect) -> Taint {
    Taint { key: key.to_owned(), value: String::new(), effect }
}

/// Labels from pairs.
pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
