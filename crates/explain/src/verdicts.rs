//! Sentences about candidates.

use std::collections::BTreeSet;

use roadstead_model::{
    Amount, Candidate, Choice, Comparison, EngineSetting, FreeAccelerators, Instances, Limit, MicroDollars, Mismatch,
    MissingAccelerator, Reason, Refusal, RegionRule, Rejection, Remarks, Shortage, Taint, Unpriced, Unsupported,
    Unusable, Verdict,
};

use crate::nodes::{excess, left_out, no_nodes};
use crate::words::{cores, count, count_of, gibibytes, list, per_hour, unpriced};

/// The verdict on a candidate.
#[must_use]
pub fn verdict(candidate: &Candidate) -> String {
    match &candidate.verdict {
        Verdict::Chosen(choice) => self::choice(choice),
        Verdict::Feasible(comparison) => self::comparison(comparison),
        Verdict::Rejected(rejection) => match candidate.hourly_cost {
            Some(cost) if would_cost(rejection.reason()) => {
                format!("{}; it would cost ${cost}/h", self::rejection(rejection))
            }
            _ => self::rejection(rejection),
        },
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

fn choice(choice: &Choice) -> String {
    let remarks = &choice.remarks;
    if let Some((replicas, wanted)) = choice.share {
        let cost = per_hour(choice.cost);
        return format!("gets {replicas} of {} for {cost}{}", count(wanted, "replica"), self::remarks(remarks));
    }
    let per_million = remarks.charged_per_million.map(|price| format!("${price} per million tokens"));
    let cost = per_million.unwrap_or_else(|| per_hour(choice.cost));
    let cheapest = match (choice.best_of, choice.cost.or(remarks.charged_per_million), remarks.unpriced) {
        (None, ..) => format!("stays at {cost}; a lower price elsewhere does not move a running endpoint"),
        (Some(0 | 1), ..) => format!("costs {cost}, the only feasible place"),
        (Some(feasible), Some(_), _) => format!("costs {cost}, the best of {feasible} feasible places"),
        (Some(feasible), None, None | Some(Unpriced::Missing)) => {
            format!("price unknown, as for all {feasible} feasible places")
        }
        (Some(feasible), None, cause) => {
            format!("{}; the cost of all {feasible} feasible places is unknown", unpriced(cause))
        }
    };
    format!("{cheapest}{}", self::remarks(remarks))
}

fn comparison(comparison: &Comparison) -> String {
    let compared = match (comparison.cost, comparison.chosen) {
        (Some(cost), Some(chosen)) if cost > chosen => {
            format!("costs ${cost}/h, ${}/h more than the chosen place", cost.saturating_sub(chosen))
        }
        (Some(cost), Some(chosen)) if cost < chosen => {
            format!("costs ${cost}/h, ${}/h less than the chosen place", chosen.saturating_sub(cost))
        }
        (Some(cost), Some(_)) => format!("costs ${cost}/h, the same as the chosen place"),
        (Some(cost), None) => format!("costs ${cost}/h"),
        (None, _) => match comparison.remarks.charged_per_million {
            Some(price) => format!("costs ${price} per million tokens"),
            None => format!("{}, so it ranks last", unpriced(comparison.remarks.unpriced)),
        },
    };
    format!("{compared}{}", remarks(&comparison.remarks))
}

/// Further facts that count in the comparison of costs.
fn remarks(remarks: &Remarks) -> String {
    let preferred = remarks.preferred.as_ref().map(|preferred| {
        format!(
            "; matches the preference {}, which may cost up to {} % more",
            preferred.name, preferred.premium_percent
        )
    });
    let throughput = remarks.throughput.map(|throughput| {
        let per_million =
            throughput.per_million.map(|cost| format!(", ${cost} per million tokens")).unwrap_or_default();
        format!("; {} tokens/s per replica{per_million}", throughput.tokens_per_second)
    });
    let unpriced = remarks.reserved_without_price.then(|| "; reserved without a price, counted as $0.00/h".to_owned());
    [preferred, throughput, unpriced].into_iter().flatten().collect()
}

/// The rule that a candidate breaks, or what it lacks.
#[must_use]
pub fn rejection(rejection: &Rejection) -> String {
    match rejection {
        Rejection::NamespaceNotAllowed { target, namespace } => {
            format!("target {target} does not allow namespace {namespace}")
        }
        Rejection::SelectorMismatch(mismatch) => self::mismatch(mismatch),
        Rejection::CloudNotAllowed { cloud, allowed } => {
            format!("cloud {cloud} is not allowed (allowed: {})", list(allowed))
        }
        Rejection::RegionDenied { region, by: RegionRule::Denied(pattern) } => {
            format!("region {region} is denied by pattern {pattern}")
        }
        Rejection::RegionDenied { region, by: RegionRule::NotAllowed(patterns) } => {
            format!("region {region} matches no allowed pattern ({})", list(patterns))
        }
        Rejection::JurisdictionUnknown { region, cloud } => {
            format!("jurisdiction of {region} ({cloud}) is unknown; set spec.location")
        }
        Rejection::JurisdictionNotAllowed { region, found, wanted } => {
            format!("region {region} is in {}; allowed jurisdictions: {}", list(found), list(wanted))
        }
        Rejection::AcceleratorMissing(missing) => missing_accelerator(missing),
        Rejection::CapacityTypeNotAllowed { found, allowed } => {
            format!("capacity type {found} is not allowed (allowed: {})", list(allowed))
        }
        Rejection::ProviderUnsupported(unsupported) => self::unsupported(unsupported),
        Rejection::TaintNotTolerated(taint) => format!("taint {} is not tolerated", labelled(taint)),
        Rejection::OverBudget { cost, budget } => over_budget(*cost, *budget),
        Rejection::PriceUnknown { cause, budget } => {
            format!("{}, budget {}", unpriced(Some(*cause)), per_hour(*budget))
        }
        Rejection::TargetNotReady(unusable) => self::unusable(unusable),
        Rejection::EndpointFailing => "the endpoint that is replaced fails on this target".to_owned(),
        Rejection::Exhausted(refusal) => self::refusal(refusal),
        Rejection::InsufficientCapacity(shortage) => self::shortage(shortage),
    }
}

/// A taint as kubectl writes it.
pub(crate) fn labelled(taint: &Taint) -> String {
    let Taint { key, value, effect } = taint;
    if value.is_empty() { format!("{key}:{effect:?}") } else { format!("{key}={value}:{effect:?}") }
}

/// The amount by which a cost is over the budget.
pub(crate) fn over_budget(cost: Option<MicroDollars>, budget: Option<MicroDollars>) -> String {
    format!("costs {}, budget {}", per_hour(cost), per_hour(budget))
}

/// The reason that a target cannot be used.
pub(crate) fn unusable(unusable: &Unusable) -> String {
    match unusable {
        Unusable::WithoutInventory => {
            "inventory not received; skipped because of roadstead.dev/place-without".to_owned()
        }
        Unusable::Since { since, reason } => format!("target unusable since {since} ({reason})"),
    }
}

fn mismatch(mismatch: &Mismatch) -> String {
    match mismatch {
        Mismatch::Label { key, wanted, found: Some(found) } => format!("label {key} is {found}, wanted {wanted}"),
        Mismatch::Label { key, wanted, found: None } => format!("label {key} is missing, wanted {wanted}"),
        Mismatch::Expression => "the labels do not match the expressions of the target selector".to_owned(),
    }
}

fn missing_accelerator(missing: &MissingAccelerator) -> String {
    match missing {
        MissingAccelerator::TooFew { instance, wanted } => {
            format!("an instance has {instance}, a replica needs {wanted}")
        }
        MissingAccelerator::PartOfInstance { instance, wanted } => format!(
            "a replica would pay for a whole instance with {} {} and use {wanted}; add a shape with {}",
            instance.count, instance.kind, instance.count
        ),
        MissingAccelerator::NoOffer { kind, offered } if offered.is_empty() => {
            format!("no offer has {kind}: the target offers no accelerators")
        }
        MissingAccelerator::NoOffer { kind, offered } => format!("no offer has {kind}; offered: {}", list(offered)),
    }
}

fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Recorded { accelerators, kind, reason, attempts, until } => {
            let row = if *attempts > 1 { format!(", {attempts} times in a row") } else { String::new() };
            format!(
                "this offer refused a replica with {accelerators} {kind} ({reason}{row}); the operator does not retry it \
                 before {until}"
            )
        }
        Refusal::InThisPlan => "this offer refused an endpoint of this deployment in this pass".to_owned(),
        Refusal::Unschedulable => "pods of this size already wait for a node of this offer".to_owned(),
    }
}

fn shortage(shortage: &Shortage) -> String {
    let wanted = count(shortage.wanted, "replica");
    let each = if shortage.wanted == 1 { "" } else { " each" };
    let headline = format!("room for {} of {wanted} ({}{each})", shortage.fits, shortage.accelerator);
    match &shortage.limit {
        Some(limit) => format!("{headline}: {}", self::limit(limit)),
        None => headline,
    }
}

/// The first thing of a place that alone would not do.
pub(crate) fn limit(limit: &Limit) -> String {
    let scarce = |what: &str, amount: &Amount, read: fn(u64) -> String| {
        format!("a replica requests {}{what}, the best node has {} free", read(amount.wanted), read(amount.free))
    };
    match limit {
        Limit::SoldOut { instance_type } => format!("the service has no {instance_type} available at present"),
        Limit::MaxInstances { instances, accelerators, kind, held } => {
            format!("maxInstances {instances} allows {accelerators} {kind}, {held} are in use")
        }
        Limit::Accelerators(free) => accelerators(free),
        Limit::Memory(amount) => scarce(" of memory", amount, gibibytes),
        Limit::Cpu(amount) => scarce("", amount, cores),
        Limit::EphemeralStorage(amount) => scarce(" of ephemeral storage", amount, gibibytes),
        Limit::Together => "no node has enough of all resources at once".to_owned(),
    }
}

fn accelerators(free: &FreeAccelerators) -> String {
    let offer = &free.offer;
    let here = match &free.instances {
        Instances::MayBeMade(instances) => {
            let each = offer.accelerator.as_ref().map(|accelerator| format!(" of {accelerator} each"));
            format!("the autoscaler can add {}{}", count(*instances, "instance"), each.unwrap_or_default())
        }
        Instances::NoneShown => "the target reports no nodes".to_owned(),
        Instances::None(why) => no_nodes(*why, offer),
        Instances::Nodes { free, nodes } => {
            format!("{} free on {}", count_of(*free, "accelerator"), count(*nodes, "node"))
        }
    };
    let own = free.besides_own.then(|| ", excluding this endpoint's own".to_owned());
    let added = (free.addable > 0).then(|| format!(", the autoscaler can add {}", count(free.addable, "node")));
    let unbound =
        (free.unbound > 0).then(|| format!(", {} placed but not bound to a node", count(free.unbound, "replica")));
    let causes = free.left_out.iter().map(|(cause, nodes)| format!("; {}", left_out(cause, *nodes, offer)));
    let more = (free.more_causes > 0).then(|| format!("; {}", count(free.more_causes, "more cause")));
    let excess = free.excess.map(|found| format!("; {}", excess(&found, offer)));
    [Some(here), own, added, unbound].into_iter().flatten().chain(causes).chain(more).chain(excess).collect()
}

/// Sources that a sentence names; a target may map many.
const NAMED_SOURCES: usize = 4;

/// Part of a sentence that lists what a target serves: a scheme stands for all sources that begin with it.
fn served(sources: &BTreeSet<String>) -> String {
    let shown: BTreeSet<String> = sources
        .iter()
        .take(NAMED_SOURCES)
        .map(|source| if source.contains("://") { source.clone() } else { format!("models from {source}://") })
        .collect();
    match sources.len().saturating_sub(NAMED_SOURCES) {
        0 => format!("it serves {}", list(&shown)),
        more => format!("it serves {} and {more} more", list(&shown)),
    }
}

/// The fields of a deployment's spec that have these settings.
pub(crate) fn settings(settings: &BTreeSet<EngineSetting>) -> String {
    list(settings.iter().map(|setting| match setting {
        EngineSetting::Args => "serving.args",
        EngineSetting::Env => "serving.env",
        EngineSetting::Revision => "model.revision",
    }))
}

fn unsupported(unsupported: &Unsupported) -> String {
    match unsupported {
        Unsupported::Engine { engine, engines } => {
            format!("the target cannot run engine {engine}, only {}", list(engines))
        }
        Unsupported::Source { source, sources } => format!("the target does not serve {source}; {}", served(sources)),
        Unsupported::Settings { ignored, target_type } => {
            let omitted: Vec<String> = ignored.iter().map(|setting| format!("{setting:?}")).collect();
            format!(
                "the target runs a server of its own, which ignores {}: use another target, or leave this out there, with \
                 serving.overrides: [{{type: {target_type}, omit: [{}]}}]",
                settings(ignored),
                omitted.join(", "),
            )
        }
        Unsupported::Replicas { wanted, most } => {
            format!("the target runs at most {} per endpoint, {wanted} are wanted", count(*most, "replica"))
        }
        Unsupported::ScaleToZero => "the target cannot keep an endpoint without replicas".to_owned(),
        Unsupported::UpdateInPlace => "the target cannot update an endpoint in place".to_owned(),
    }
}
