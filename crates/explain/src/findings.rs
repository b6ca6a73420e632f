//! Sentences about the place of an endpoint that stays.

use roadstead_model::{Finding, LackOfRoom, OfferTrouble, Outage, OverBudget, SpecChange, TargetTrouble, Unaffordable};

use crate::verdicts::{labelled, limit, over_budget, rejection, settings, unusable};
use crate::words::{count, per_hour};

/// A finding about the place of an endpoint that stays.
#[must_use]
pub fn finding(finding: &Finding) -> String {
    match finding {
        Finding::PolicyViolated(rule) => format!("{}: {}", rule.reason().as_str(), rejection(rule)),
        Finding::SpecChanged(change) => spec_change(change),
        Finding::TargetEvicted { target, taint } => {
            format!("taint {} evicts endpoints from target {target}", labelled(taint))
        }
        Finding::MoveRequested { to } => format!("a move to target {to} is requested"),
        Finding::FailedBack { to, since } => {
            format!("target {to}, which a failover left, is usable again since {since}")
        }
        Finding::TargetLost(Outage { endpoint, target, since, until }) => {
            format!(
                "neither target {target} nor endpoint {endpoint} has answered since {since}; tolerated until {until}"
            )
        }
        Finding::EndpointFailing(Outage { endpoint, target, since, until }) => {
            format!("endpoint {endpoint} on {target} has not answered since {since}; tolerated until {until}")
        }
        Finding::TargetNotReady(TargetTrouble::Gone { target }) => format!("target {target} no longer exists"),
        Finding::TargetNotReady(TargetTrouble::Unusable(why)) => unusable(why),
        Finding::OverBudget(OverBudget::AsItIs { cost, budget }) => over_budget(*cost, *budget),
        Finding::OverBudget(OverBudget::Grown(growth)) | Finding::PriceUnknown(growth) => unaffordable(growth),
        Finding::InsufficientCapacity(lack) => lack_of_room(lack),
        Finding::OfferGone(OfferTrouble::Gone { target, offer }) => {
            format!("target {target} no longer has offer {offer}")
        }
        Finding::OfferGone(OfferTrouble::Smaller { target, offer, instances, allowed, held }) => {
            format!(
                "offer {offer} on {target}: maxInstances {instances} allows {allowed} accelerators, {held} are in use"
            )
        }
        Finding::ProviderUnsupported { target, wanted, most, held } => format!(
            "target {target} runs at most {} per endpoint, {wanted} are wanted; the endpoint stays at {} until another place \
             can run all {wanted}",
            count(*most, "replica"),
            count(*held, "replica")
        ),
        Finding::StartupTimeout { ended } => {
            format!("no answer before the start-up timeout at {ended}")
        }
    }
}

fn spec_change(change: &SpecChange) -> String {
    match change {
        SpecChange::ShapeGone { shape } => format!("shape {shape} was removed"),
        SpecChange::Accelerator { shape, wanted, found } => {
            format!("shape {shape} now needs {wanted}; the endpoint has {found}")
        }
        SpecChange::Engine { wanted, found } => format!("the spec asks for engine {wanted}; the endpoint runs {found}"),
        SpecChange::Settings { target, ignored } => {
            format!("the spec changed, and target {target} ignores its {}", settings(ignored))
        }
        SpecChange::InPlace { target } => {
            format!("the spec changed, and target {target} cannot update an endpoint in place")
        }
    }
}

/// More replicas are wanted than the budget allows.
fn unaffordable(growth: &Unaffordable) -> String {
    let (wanted, held, budget) =
        (count(growth.wanted, "replica"), count(growth.held, "replica"), per_hour(growth.budget));
    let costs = match growth.cost {
        Some(cost) => format!("{wanted} would cost {}, budget {budget}", per_hour(Some(cost))),
        None => format!("the price of {wanted} is unknown, budget {budget}"),
    };
    format!("{costs}; the endpoint stays at {held}")
}

fn lack_of_room(lack: &LackOfRoom) -> String {
    match lack {
        LackOfRoom::Growth { replicas, target, offer, limit: scarce, held } => {
            let what = replicas.map_or_else(|| "the wanted resources".to_owned(), |wanted| count(wanted, "replica"));
            let why = scarce.as_ref().map_or_else(String::new, |scarce| format!(" ({})", limit(scarce)));
            let held = count(*held, "replica");
            let room =
                replicas.map_or_else(|| "has room for them".to_owned(), |wanted| format!("can run all {wanted}"));
            format!(
                "{what} do not fit on {target}, offer {offer}{why}; the endpoint stays at {held} until a place {room}"
            )
        }
        LackOfRoom::Unschedulable { target, bound, replicas } => {
            format!("only {bound} of {} could be scheduled on {target}", count(*replicas, "replica"))
        }
    }
}
