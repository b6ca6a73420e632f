//! Reasons as data: the names and numbers that decided, gathered for the few candidates that are reported.

use roadstead_model::{
    Amount, Choice, Comparison, Deployment, FreeAccelerators, Instances, Lack, Limit, Members, MicroDollars, Mismatch,
    MissingAccelerator, Objective, Offer, Preferred, Reason, Refusal, RegionRule, Rejection, Remarks, Resources,
    Shortage, Size, Target, TargetState, Throughput, Unsupported, Unusable, first_untolerated, free_devices,
};

use crate::candidates::{Judged, Judgement, Question, last_refusal};
use crate::capacity::Own;
use crate::cost::preference;
use crate::entry::Entry;
use crate::room::Room;

/// So many causes that leave nodes out are named.
const MAX_CAUSES: usize = 3;

/// The first part of a request that the target cannot do.
fn unsupported(question: &Question, target: &Target) -> Option<Unsupported> {
    let (deployment, can) = (question.deployment, &target.capabilities);
    Some(match can.lacks(&question.demand())? {
        Lack::Engine => {
            Unsupported::Engine { engine: deployment.engine.clone(), engines: can.engines.clone().unwrap_or_default() }
        }
        Lack::Source => Unsupported::Source {
            source: deployment.source.clone().unwrap_or_default(),
            sources: can.sources.clone().unwrap_or_default(),
        },
        Lack::Settings => Unsupported::Settings {
            ignored: can.ignores(&deployment.settings).collect(),
            target_type: can.own_server.clone()?,
        },
        Lack::Replicas { most } => Unsupported::Replicas { wanted: question.replicas, most },
        Lack::ScaleToZero => Unsupported::ScaleToZero,
        Lack::UpdateInPlace => Unsupported::UpdateInPlace,
    })
}

/// The reason that a rejected candidate was rejected.
pub(crate) fn rejection(question: &Question, judged: &Judged) -> Option<Rejection> {
    let (deployment, entry, shape) = (question.deployment, judged.entry, judged.shape);
    Some(match (judged.judgement.reason(), judged.offer) {
        (Reason::CapacityTypeNotAllowed, Some(offer)) => capacity_type(deployment, offer.capacity_type),
        (Reason::AcceleratorMissing, Some(offer)) => {
            let (instance, wanted) = (offer.accelerator.clone()?, shape.accelerator.count);
            Rejection::AcceleratorMissing(if wanted > instance.count {
                MissingAccelerator::TooFew { instance, wanted }
            } else {
                MissingAccelerator::PartOfInstance { instance, wanted }
            })
        }
        (Reason::AcceleratorMissing, None) => Rejection::AcceleratorMissing(MissingAccelerator::NoOffer {
            kind: shape.accelerator.kind.clone(),
            offered: entry.target.offers.iter().filter_map(Offer::kind).map(ToOwned::to_owned).collect(),
        }),
        (Reason::OverBudget, _) => Rejection::OverBudget { cost: judged.cost.hourly.ok(), budget: question.budget },
        (Reason::PriceUnknown, _) => {
            Rejection::PriceUnknown { cause: judged.cost.hourly.err()?, budget: question.budget }
        }
        (Reason::Exhausted, _) => Rejection::Exhausted(refusal(question, judged)),
        (Reason::InsufficientCapacity, _) => Rejection::InsufficientCapacity(shortage(question, judged)),
        (reason, _) => return forbidden(question, entry, reason),
    })
}

/// The rule about a target that has this reason; `None` where it is not about a target.
pub(crate) fn forbidden(question: &Question, entry: &Entry, reason: Reason) -> Option<Rejection> {
    let deployment = question.deployment;
    let (target, rules) = (&entry.target, &deployment.rules);
    Some(match reason {
        Reason::NamespaceNotAllowed => {
            Rejection::NamespaceNotAllowed { target: target.name.clone(), namespace: deployment.id.namespace.clone() }
        }
        Reason::SelectorMismatch => Rejection::SelectorMismatch(mismatch(deployment, entry)),
        Reason::CloudNotAllowed => Rejection::CloudNotAllowed {
            cloud: target.cloud.clone(),
            allowed: rules.clouds.clone().unwrap_or_default(),
        },
        Reason::RegionDenied => {
            Rejection::RegionDenied { region: target.region.clone(), by: region_rule(deployment, &target.region) }
        }
        Reason::JurisdictionUnknown => {
            Rejection::JurisdictionUnknown { region: target.region.clone(), cloud: target.cloud.clone() }
        }
        Reason::JurisdictionNotAllowed => Rejection::JurisdictionNotAllowed {
            region: target.region.clone(),
            found: entry.location.as_ref().map(|location| location.jurisdictions.clone()).unwrap_or_default(),
            wanted: rules.jurisdictions.clone().unwrap_or_default(),
        },
        Reason::ProviderUnsupported => Rejection::ProviderUnsupported(unsupported(question, target)?),
        Reason::TaintNotTolerated => {
            Rejection::TaintNotTolerated(first_untolerated(&target.taints, &rules.target_tolerations)?.clone())
        }
        Reason::TargetNotReady => Rejection::TargetNotReady(unusable(&target.state)),
        Reason::EndpointFailing => Rejection::EndpointFailing,
        _ => return None,
    })
}

/// A capacity type that is not in the list.
pub(crate) fn capacity_type(deployment: &Deployment, found: roadstead_model::CapacityType) -> Rejection {
    Rejection::CapacityTypeNotAllowed { found, allowed: deployment.rules.capacity_types.clone() }
}

/// The reason that a target cannot be used for anything new.
pub(crate) fn unusable(state: &TargetState) -> Unusable {
    match state {
        TargetState::Ready => Unusable::WithoutInventory,
        TargetState::NotReady { reason, since, .. } | TargetState::Invalid { reason, since, .. } => {
            Unusable::Since { since: *since, reason: reason.clone() }
        }
    }
}

/// Facts that speak for the chosen candidate, of so many that are feasible.
pub(crate) fn choice(question: &Question, judged: &Judged, feasible: u32) -> Choice {
    Choice { cost: judged.cost.hourly.ok(), best_of: Some(feasible), share: None, remarks: remarks(question, judged) }
}

/// Facts against a feasible candidate, compared with one that costs `chosen`.
pub(crate) fn comparison(question: &Question, judged: &Judged, chosen: Option<MicroDollars>) -> Comparison {
    Comparison { cost: judged.cost.hourly.ok(), chosen, remarks: remarks(question, judged) }
}

/// Further facts that count in the comparison of costs.
pub(crate) fn remarks(question: &Question, judged: &Judged) -> Remarks {
    let deployment = question.deployment;
    let by_tokens = deployment.objective == Objective::CostPerMillionTokens;
    let charged_per_million = judged.cost.per_million.filter(|_| by_tokens);
    let hourly = judged.cost.hourly;
    let tokens = judged.shape.tokens_per_second.filter(|_| by_tokens && charged_per_million.is_none());
    Remarks {
        preferred: preference(deployment, &judged.entry.target).map(|(_, preferred)| Preferred {
            name: preferred.name.clone(),
            premium_percent: preferred.premium_percent,
        }),
        throughput: tokens.map(|tokens_per_second| Throughput {
            tokens_per_second,
            per_million: hourly.ok().map(|cost| per_million_tokens(cost, tokens_per_second, question.replicas)),
        }),
        charged_per_million,
        unpriced: hourly.err(),
        reserved_without_price: hourly.is_ok() && judged.offer.is_some_and(|offer| offer.price.is_none()),
    }
}

/// Dollars per million tokens, rounded up to a micro-dollar.
fn per_million_tokens(hourly: MicroDollars, tokens_per_second: u64, replicas: u32) -> MicroDollars {
    let tokens_per_hour = tokens_per_second.saturating_mul(u64::from(replicas)).saturating_mul(3_600);
    hourly.share(1_000_000, tokens_per_hour)
}

fn mismatch(deployment: &Deployment, entry: &Entry) -> Mismatch {
    let labels = &entry.target.labels;
    let wanted = &deployment.rules.target_selector.match_labels;
    let differs = wanted.iter().find(|(key, value)| labels.get(*key) != Some(value));
    differs.map_or(Mismatch::Expression, |(key, wanted)| Mismatch::Label {
        key: key.clone(),
        wanted: wanted.clone(),
        found: labels.get(key).cloned(),
    })
}

fn region_rule(deployment: &Deployment, region: &str) -> RegionRule {
    let rules = &deployment.rules;
    match rules.deny_regions.iter().find(|pattern| pattern.matches(region)) {
        Some(pattern) => RegionRule::Denied(pattern.clone()),
        None => RegionRule::NotAllowed(rules.allow_regions.clone().unwrap_or_default()),
    }
}

fn refusal(question: &Question, judged: &Judged) -> Refusal {
    let size = judged.size(question.deployment);
    let recorded = judged.offer.and_then(|offer| last_refusal(question, judged.entry, offer, &size));
    match recorded {
        Some(refusal) => Refusal::Recorded {
            accelerators: refusal.size.accelerators,
            kind: judged.shape.accelerator.kind.clone(),
            reason: refusal.reason.clone(),
            attempts: refusal.attempts,
            until: refusal.until,
        },
        None if question.refused.is_some_and(|refused| refused.is(judged)) => Refusal::InThisPlan,
        None => Refusal::Unschedulable,
    }
}

fn shortage(question: &Question, judged: &Judged) -> Shortage {
    let room = judged.entry.room_of(judged.offer_name());
    Shortage {
        wanted: question.replicas,
        accelerator: judged.shape.accelerator.clone(),
        fits: if let Judgement::Fits(fits) = judged.judgement { fits } else { 0 },
        limit: room.map(|room| limit(&room, &judged.size(question.deployment), None, question.replicas)),
    }
}

/// The first thing of a place that alone would not do.
pub(crate) fn limit(room: &Room, size: &Size, own: Option<Own>, wanted: u32) -> Limit {
    if room.limit(size, own) < wanted {
        if room.offer.sold_out {
            return Limit::SoldOut { instance_type: room.offer.instance_type.clone() };
        }
        let instances = room.offer.max_instances.unwrap_or(u32::MAX);
        return Limit::MaxInstances {
            instances,
            accelerators: u64::from(instances) * u64::from(room.offer.accelerators()),
            kind: room.offer.kind().unwrap_or_default().to_owned(),
            held: room.held(),
        };
    }
    let bare = Size { accelerators: size.accelerators, resources: Resources::default() };
    if room.slots(&bare, own, wanted) < wanted {
        return Limit::Accelerators(Box::new(accelerators(room, own)));
    }
    let asked = &size.resources;
    let amount = |of: fn(&Resources) -> u64| Amount {
        wanted: of(asked),
        free: room.nodes().map(|node| of(&node.free)).max().unwrap_or(0),
    };
    let alone = |resources| room.slots(&Size { resources, ..*size }, own, wanted) < wanted;
    if alone(Resources { memory_bytes: asked.memory_bytes, ..Resources::default() }) {
        return Limit::Memory(amount(|resources| resources.memory_bytes));
    }
    if alone(Resources { cpu_millis: asked.cpu_millis, ..Resources::default() }) {
        return Limit::Cpu(amount(|resources| resources.cpu_millis));
    }
    if alone(Resources { ephemeral_storage_bytes: asked.ephemeral_storage_bytes, ..Resources::default() }) {
        return Limit::EphemeralStorage(amount(|resources| resources.ephemeral_storage_bytes));
    }
    Limit::Together
}

fn accelerators(room: &Room, own: Option<Own>) -> FreeAccelerators {
    let members = room.nodes.members.as_ref();
    let causes = members.map(Members::causes).unwrap_or_default();
    FreeAccelerators {
        offer: room.offer.clone(),
        instances: instances(room),
        besides_own: own.is_some(),
        addable: if members.is_some() { room.addable().unwrap_or(0) } else { 0 },
        unbound: room.unbound(),
        more_causes: u32::try_from(causes.len().saturating_sub(MAX_CAUSES)).unwrap_or(u32::MAX),
        left_out: causes.into_iter().take(MAX_CAUSES).map(|(cause, nodes)| (cause.clone(), nodes)).collect(),
        excess: members.and_then(|members| members.excess),
    }
}

/// The instances of an offer, or the reason that it has none.
fn instances(room: &Room) -> Instances {
    let Some(members) = &room.nodes.members else {
        return Instances::MayBeMade(room.addable().unwrap_or(u32::MAX));
    };
    if members.seen == 0 {
        return Instances::NoneShown;
    }
    if let Some(why) = members.no_nodes() {
        return Instances::None(why);
    }
    Instances::Nodes {
        free: room.nodes().map(|node| u64::from(free_devices(room.offer, node, 0))).sum(),
        nodes: u32::try_from(room.nodes().count()).unwrap_or(u32::MAX),
    }
}
