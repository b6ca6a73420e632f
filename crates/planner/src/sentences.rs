//! Sentences that say why, with the names and numbers that decided it.

use std::collections::BTreeSet;

use roadstead_explain::{self as explain, cores, count, gibibytes, list, no_nodes, per_hour};
use roadstead_model::{
    CapacityType, Deployment, LabelSelector, Labels, Members, MicroDollars, Objective, Offer, Reason, Resources, Size,
    TargetState, deciding_price, first_untolerated, free_devices,
};

use crate::candidates::{Judged, Judgement, Question, last_refusal};
use crate::capacity::Own;
use crate::cost::preference;
use crate::entry::Entry;
use crate::room::Room;

/// Why a rejected candidate was rejected.
pub(crate) fn rejection(question: &Question, judged: &Judged) -> String {
    let (deployment, entry, shape) = (question.deployment, judged.entry, judged.shape);
    let reason = judged.judgement.reason();
    let why = match (reason, judged.offer) {
        (Reason::CapacityTypeNotAllowed, Some(offer)) => capacity_type(deployment, offer.capacity_type),
        (Reason::AcceleratorMissing, Some(offer)) => {
            format!("an instance has {}, a replica wants {}", offer.accelerator, shape.accelerator.count)
        }
        (Reason::AcceleratorMissing, None) => no_such_accelerator(entry, &shape.accelerator.kind),
        (Reason::OverBudget, _) => over_budget(deployment, judged.cost),
        (Reason::PriceUnknown, _) => {
            format!("its price is unknown, and there is a budget of {}", per_hour(deployment.max_hourly_cost))
        }
        (Reason::Exhausted, _) => refusal(question, judged),
        (Reason::InsufficientCapacity, _) => judged
            .entry
            .room_of(judged.offer_name())
            .map_or_else(String::new, |room| shortage(&room, &judged.size(question.deployment), deployment, judged)),
        _ => forbidden(deployment, entry, reason),
    };
    match judged.cost {
        Some(cost) if would_cost(reason) => format!("{why}; it would cost ${cost}/h"),
        _ => why,
    }
}

/// Reasons after which the cost is still worth a word: rules that exclude a place whatever it costs.
const fn would_cost(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::SelectorMismatch
            | Reason::CloudNotAllowed
            | Reason::RegionDenied
            | Reason::JurisdictionUnknown
            | Reason::JurisdictionNotAllowed
            | Reason::CapacityTypeNotAllowed
            | Reason::ProviderUnsupported
            | Reason::TaintNotTolerated
    )
}

/// What about a target forbids it.
pub(crate) fn forbidden(deployment: &Deployment, entry: &Entry, reason: Reason) -> String {
    let (target, rules) = (&entry.target, &deployment.rules);
    match reason {
        Reason::NamespaceNotAllowed => {
            format!("target {} does not let namespace {} in", target.name, deployment.id.namespace)
        }
        Reason::SelectorMismatch => mismatch(&rules.target_selector, &target.labels),
        Reason::CloudNotAllowed => {
            format!("cloud {} is not among {}", target.cloud, list(rules.clouds.iter().flatten()))
        }
        Reason::RegionDenied => region(deployment, &target.region),
        Reason::JurisdictionUnknown => format!(
            "nobody knows in which jurisdiction region {} of cloud {} is: the target needs spec.location",
            target.region, target.cloud
        ),
        Reason::JurisdictionNotAllowed => jurisdiction(deployment, entry),
        Reason::ProviderUnsupported => format!(
            "the target cannot run engine {}, only {}",
            deployment.engine,
            list(target.engines.iter().flatten())
        ),
        Reason::TaintNotTolerated => first_untolerated(&target.taints, &rules.target_tolerations)
            .map_or_else(String::new, |taint| {
                format!("taint {}={}:{:?} is not tolerated", taint.key, taint.value, taint.effect)
            }),
        Reason::TargetNotReady => not_ready(&target.state),
        _ => String::new(),
    }
}

/// That a capacity type is not in the list.
pub(crate) fn capacity_type(deployment: &Deployment, found: CapacityType) -> String {
    format!("capacity type {found} is not among {}", list(&deployment.rules.capacity_types))
}

/// By how much a cost is over the budget.
pub(crate) fn over_budget(deployment: &Deployment, cost: Option<MicroDollars>) -> String {
    format!("costs {}, over the budget of {}", per_hour(cost), per_hour(deployment.max_hourly_cost))
}

/// Why a target cannot be used.
pub(crate) fn not_ready(state: &TargetState) -> String {
    match state {
        TargetState::Ready => "inventory not received; skipped because of roadstead.dev/place-without".to_owned(),
        TargetState::NotReady { reason, since, .. } | TargetState::Invalid { reason, since, .. } => {
            format!("the target cannot be used since {since} ({reason})")
        }
    }
}

/// What speaks for the chosen candidate.
pub(crate) fn choice(question: &Question, judged: &Judged, feasible: usize) -> String {
    let cost = per_hour(judged.cost);
    let cheapest = match (feasible, judged.cost) {
        (0 | 1, _) => format!("costs {cost}, the only feasible place"),
        (_, None) => format!("its price is unknown, like that of all {feasible} feasible places"),
        _ => format!("costs {cost}, the best of {feasible} feasible places"),
    };
    format!("{cheapest}{}", remarks(question, judged))
}

/// What stands against a feasible candidate.
pub(crate) fn feasible(question: &Question, judged: &Judged, chosen: Option<MicroDollars>) -> String {
    let compared = match (judged.cost, chosen) {
        (Some(cost), Some(chosen)) if cost > chosen => {
            format!("costs ${cost}/h, ${}/h more than the chosen place", cost.saturating_sub(chosen))
        }
        (Some(cost), Some(chosen)) if cost < chosen => {
            format!("costs ${cost}/h, ${}/h less than the chosen place", chosen.saturating_sub(cost))
        }
        (Some(cost), Some(_)) => format!("costs ${cost}/h, the same as the chosen place"),
        (Some(cost), None) => format!("costs ${cost}/h"),
        (None, _) => "its price is unknown, so it comes last".to_owned(),
    };
    format!("{compared}{}", remarks(question, judged))
}

/// What else counts in the comparison of costs.
pub(crate) fn remarks(question: &Question, judged: &Judged) -> String {
    let deployment = question.deployment;
    let preferred = preference(deployment, &judged.entry.target).map(|(_, preferred)| {
        format!("; preferred by {} for up to {} % more", preferred.name, preferred.premium_percent)
    });
    let throughput =
        judged.shape.tokens_per_second.filter(|_| deployment.objective == Objective::CostPerMillionTokens).map(
            |tokens| {
                let per_million = judged
                    .cost
                    .map(|cost| format!(", ${} per million", per_million_tokens(cost, tokens, deployment.replicas)));
                format!("; {tokens} tokens/s from each replica{}", per_million.unwrap_or_default())
            },
        );
    let unpriced = judged
        .offer
        .filter(|offer| offer.hourly_price.is_none() && deciding_price(offer).is_some())
        .map(|_| "; reserved without a price, counted as $0.00/h".to_owned());
    [preferred, throughput, unpriced].into_iter().flatten().collect()
}

/// Dollars per million tokens, rounded up to a micro-dollar.
fn per_million_tokens(hourly: MicroDollars, tokens_per_second: u64, replicas: u32) -> MicroDollars {
    let tokens_per_hour = tokens_per_second.saturating_mul(u64::from(replicas)).saturating_mul(3_600);
    hourly.share(1_000_000, tokens_per_hour)
}

fn mismatch(selector: &LabelSelector, labels: &Labels) -> String {
    let differs = selector.match_labels.iter().find(|(key, value)| labels.get(*key) != Some(value));
    match differs {
        Some((key, wanted)) => match labels.get(key) {
            Some(found) => format!("label {key} is {found}, wanted {wanted}"),
            None => format!("there is no label {key}, wanted {wanted}"),
        },
        None => "the labels do not match the expressions of the target selector".to_owned(),
    }
}

fn region(deployment: &Deployment, region: &str) -> String {
    let rules = &deployment.rules;
    match rules.deny_regions.iter().find(|pattern| pattern.matches(region)) {
        Some(pattern) => format!("region {region} is denied by {pattern}"),
        None => format!("region {region} matches none of {}", list(rules.allow_regions.iter().flatten())),
    }
}

fn jurisdiction(deployment: &Deployment, entry: &Entry) -> String {
    let nowhere = BTreeSet::new();
    let found = entry.location.as_ref().map_or(&nowhere, |location| &location.jurisdictions);
    let wanted = list(deployment.rules.jurisdictions.iter().flatten());
    format!("region {} is in {}, wanted {wanted}", entry.target.region, list(found))
}

fn no_such_accelerator(entry: &Entry, kind: &str) -> String {
    let kinds: BTreeSet<&str> = entry.target.offers.iter().map(|offer| offer.accelerator.kind.as_str()).collect();
    if kinds.is_empty() {
        return format!("no offer has {kind}, for there is none");
    }
    format!("no offer has {kind}, only {}", list(kinds))
}

fn refusal(question: &Question, judged: &Judged) -> String {
    let size = judged.size(question.deployment);
    let recorded = judged.offer.and_then(|offer| last_refusal(question, judged.entry, offer, &size));
    match recorded {
        Some(refusal) => format!(
            "refused {} {} ({}, {}), left alone until {}",
            refusal.size.accelerators,
            judged.shape.accelerator.kind,
            refusal.reason,
            count(refusal.attempts, "time"),
            refusal.until
        ),
        None if question.refused.is_some_and(|refused| refused.is(judged)) => {
            "an endpoint of this deployment was refused there just now".to_owned()
        }
        None => "an endpoint there has pods as large that cannot be scheduled".to_owned(),
    }
}

/// What a place lacks to hold all replicas.
fn shortage(room: &Room, size: &Size, deployment: &Deployment, judged: &Judged) -> String {
    let fits = if let Judgement::Fits(fits) = judged.judgement { fits } else { 0 };
    let wanted = deployment.replicas;
    let kind = &judged.shape.accelerator.kind;
    let headline = format!("wanted {} of {} {kind}, largest fit is {fits}", count(wanted, "slot"), size.accelerators);
    format!("{headline} ({})", limiting(room, size, None, wanted))
}

/// What limits a place: the first thing that alone would not do.
pub(crate) fn limiting(room: &Room, size: &Size, own: Option<Own>, wanted: u32) -> String {
    let kind = &room.offer.accelerator.kind;
    if room.limit(size, own) < wanted {
        let held = room.held();
        let most = room.offer.max_instances.unwrap_or(u32::MAX);
        let all = u64::from(most) * u64::from(room.offer.accelerator.count);
        return format!("maxInstances {most}: {all} {kind}, {held} of them held");
    }
    let bare = Size { accelerators: size.accelerators, resources: Resources::default() };
    if room.slots(&bare, own, wanted) < wanted {
        return accelerators(room, own);
    }
    let asked = &size.resources;
    let best = |of: fn(&Resources) -> u64| room.nodes().map(|node| of(&node.free)).max().unwrap_or(0);
    let alone = |resources| room.slots(&Size { resources, ..*size }, own, wanted) < wanted;
    if alone(Resources { memory_bytes: asked.memory_bytes, ..Resources::default() }) {
        let most = best(|free| free.memory_bytes);
        return format!(
            "memory: {} wanted per replica, {} free on the best node",
            gibibytes(asked.memory_bytes),
            gibibytes(most)
        );
    }
    if alone(Resources { cpu_millis: asked.cpu_millis, ..Resources::default() }) {
        let most = best(|free| free.cpu_millis);
        return format!("CPU: {} wanted per replica, {} free on the best node", cores(asked.cpu_millis), cores(most));
    }
    if alone(Resources { ephemeral_storage_bytes: asked.ephemeral_storage_bytes, ..Resources::default() }) {
        let most = best(|free| free.ephemeral_storage_bytes);
        return format!(
            "ephemeral storage: {} wanted per replica, {} free on the best node",
            gibibytes(asked.ephemeral_storage_bytes),
            gibibytes(most)
        );
    }
    "no nodes have enough of everything at once".to_owned()
}

fn accelerators(room: &Room, own: Option<Own>) -> String {
    let here = match &room.nodes.members {
        None => format!("{} of {} each", count(room.addable().unwrap_or(u32::MAX), "instance"), room.offer.accelerator),
        Some(members) => on_nodes(room, members),
    };
    let own = own.map(|_| " besides its own".to_owned());
    let left_out = room.nodes.members.as_ref().map(|members| left_out(room.offer, members));
    let added = room
        .addable()
        .filter(|added| *added > 0 && room.nodes.members.is_some())
        .map(|added| format!(", {} may be added", count(added, "node")));
    let assumed = room.unbound();
    let assumed = (assumed > 0).then(|| format!(", {} decided and not bound yet", count(assumed, "replica")));
    [Some(here), own, added, assumed, left_out].into_iter().flatten().collect()
}

/// What is free on the nodes of an offer, or why it has none.
fn on_nodes(room: &Room, members: &Members) -> String {
    let offer = room.offer;
    if members.seen == 0 {
        return "the target shows no nodes".to_owned();
    }
    if let Some(none) = members.no_nodes() {
        return no_nodes(none, offer);
    }
    let nodes = u32::try_from(room.nodes().count()).unwrap_or(u32::MAX);
    let free: u64 = room.nodes().map(|node| u64::from(free_devices(offer, node, 0))).sum();
    format!("{free} free accelerators on {}", count(nodes, "node"))
}

/// The causes that leave most nodes out, as sentences of their own.
fn left_out(offer: &Offer, members: &Members) -> String {
    const LIMIT: usize = 3;
    let causes = members.causes();
    let more = causes.len().saturating_sub(LIMIT);
    let more = (more > 0).then(|| format!("; {} more", count(u32::try_from(more).unwrap_or(u32::MAX), "cause")));
    let told = causes.iter().take(LIMIT).map(|(cause, nodes)| format!("; {}", explain::left_out(cause, *nodes, offer)));
    let excess = members.excess.map(|excess| format!("; {}", explain::excess(&excess, offer)));
    told.chain(more).chain(excess).collect()
}
