//! Sentences about a whole plan.

use roadstead_model::{Finding, MicroDollars, Nowhere, PartSummary, Placed, Plan, Summary, Wait};

use crate::findings::finding;
use crate::nowhere;
use crate::verdicts::rejection;
use crate::waits::{inventory, wait};
use crate::words::{at_cost, count};

/// The sum of a plan, and what it waits for; or what to do, where waiting does not help.
#[must_use]
pub fn account(plan: &Plan) -> String {
    let summary = summary(&plan.summary);
    let waits = plan.waits.iter().map(|waited| match waited {
        Wait::Feasible if !plan.report.time_can_help => "edit the rules, the budget or a target".to_owned(),
        waited => wait(waited),
    });
    let waits: Vec<String> = waits.filter(|wait| !summary.contains(wait.as_str())).collect();
    if waits.is_empty() { summary } else { format!("{summary}; {}", waits.join("; ")) }
}

/// The sum of a plan.
#[must_use]
pub fn summary(summary: &Summary) -> String {
    match summary {
        Summary::ScaledToZero => "no replicas are wanted".to_owned(),
        Summary::CannotStayEmpty { endpoint, target } => {
            format!(
                "no replicas are wanted; the operator deletes {endpoint}, because {target} cannot keep it without replicas"
            )
        }
        Summary::GivesUpItsPlace { endpoint, target } => {
            format!("no replicas are wanted; the operator deletes {endpoint}, because {target} violates the rules")
        }
        Summary::KeepsItsPlace { endpoint, target } => {
            format!("no replicas are wanted; {endpoint} keeps its place on {target}")
        }
        Summary::AwaitsInventory { targets, overdue } => inventory(*targets, overdue),
        Summary::Placed(placed) => self::placed(placed),
        Summary::Nowhere(nowhere) => nowhere::sentence(nowhere),
        Summary::Adopts { endpoint, target, ready_replicas, replicas } => {
            format!(
                "adopts {endpoint}, which runs on {target} with {ready_replicas} of {} ready",
                count(*replicas, "replica")
            )
        }
        Summary::Suspended => "spec.suspend is true: no decisions; the running endpoint stays".to_owned(),
        Summary::Stays { replicas, shape, target, offer, hourly_cost, findings } => {
            let (replicas, cost) = (count(*replicas, "replica"), at_cost(*hourly_cost));
            let found = findings.iter().map(|one| format!("; {}: {}", one.reason().as_str(), finding(one)));
            format!("{replicas} of {shape} on {target}, offer {offer}, {cost}{}", found.collect::<String>())
        }
        Summary::Divided { parts, placed, wanted, nowhere } => {
            self::parts(parts, placed.as_ref(), *wanted, nowhere.as_ref())
        }
        Summary::IsReplaced { endpoint, target, by, to } => {
            format!("{by} on {to} replaces {endpoint} on {target}")
        }
        Summary::AwaitsItsTurn { endpoint, target, why } => {
            format!("{} until its turn", stays(endpoint, target, why.as_ref()))
        }
        Summary::Replaces { endpoint, target, why, placed } => {
            format!("{} by {}", is_replaced(endpoint, target, why.as_ref()), self::placed(placed))
        }
        Summary::Promotes { endpoint, target, why, standby, to } => {
            format!("{} by {standby} on {to}, which stood by", is_replaced(endpoint, target, why.as_ref()))
        }
        Summary::RemovesFirst { endpoint, target, why } => {
            format!("{}; it is removed before its replacement is created", is_replaced(endpoint, target, why.as_ref()))
        }
        Summary::CannotRemoveFirst { endpoint, target, why } => {
            format!(
                "{}, because {target} cannot confirm its removal and migration.order is RemoveThenReplace",
                stays(endpoint, target, why.as_ref())
            )
        }
        Summary::AwaitsRemoval { endpoint, target } => {
            format!("{target} has not confirmed the removal of {endpoint}; the replacement is created afterwards")
        }
        Summary::HasNoReplacement { endpoint, target, why, nowhere } => {
            format!(
                "{}, because no other place qualifies: {}",
                stays(endpoint, target, why.as_ref()),
                nowhere::sentence(nowhere)
            )
        }
    }
}

/// An endpoint that should leave its place and stays there, with the cause.
fn stays(endpoint: &str, target: &str, why: Option<&Finding>) -> String {
    match why {
        None => format!("{endpoint} stays on {target}"),
        Some(Finding::PolicyViolated(rule)) => {
            format!("{endpoint} violates the rules ({}) but stays on {target}", rejection(rule))
        }
        Some(other) => format!("{}; {endpoint} stays on {target}", finding(other)),
    }
}

/// An endpoint that is being replaced, with the cause.
fn is_replaced(endpoint: &str, target: &str, why: Option<&Finding>) -> String {
    let replaced = format!("{endpoint} on {target} is being replaced");
    match why {
        None => replaced,
        Some(Finding::PolicyViolated(rule)) => format!("{replaced} ({})", rejection(rule)),
        Some(other) => format!("{}; {replaced}", finding(other)),
    }
}

fn placed(placed: &Placed) -> String {
    if !placed.others.is_empty() || placed.replicas() < placed.wanted {
        let all = placed
            .placements()
            .map(|place| part(place.replicas, &place.shape, &place.target, &place.offer, place.hourly_cost));
        return divided(all, placed.replicas(), placed.wanted);
    }
    let place = &placed.placement;
    let rank = match placed.feasible {
        0 | 1 => format!("the only feasible place of {}", placed.candidates),
        feasible => format!("the best of {feasible} feasible places ({} in all)", placed.candidates),
    };
    format!(
        "{} of {} on {}, offer {} ({}), {}, {rank}",
        count(place.replicas, "replica"),
        place.shape,
        place.target,
        place.offer,
        place.capacity_type,
        at_cost(place.hourly_cost),
    )
}

/// Replicas that are divided over places.
fn divided(places: impl Iterator<Item = String>, replicas: u32, wanted: u32) -> String {
    let places: Vec<String> = places.collect();
    let of = if replicas == wanted {
        count(wanted, "replica")
    } else {
        format!("{replicas} of {}", count(wanted, "replica"))
    };
    format!("{of} in {}: {}", count(u32::try_from(places.len()).unwrap_or(u32::MAX), "place"), places.join(" + "))
}

fn part(replicas: u32, shape: &str, target: &str, offer: &str, cost: Option<MicroDollars>) -> String {
    format!("{replicas} of {shape} on {target}, offer {offer}, {}", at_cost(cost))
}

/// Parts that stay, new places, and why replicas have none.
fn parts(parts: &[PartSummary], placed: Option<&Placed>, wanted: u32, nowhere: Option<&Nowhere>) -> String {
    let kept = parts.iter().map(|one| part(one.replicas, &one.shape, &one.target, &one.offer, one.hourly_cost));
    let replicas = parts.iter().fold(0, |sum: u32, part| sum.saturating_add(part.replicas));
    let kept = divided(kept, replicas, wanted);
    let new = placed.map(|placed| format!("; new: {}", self::placed(placed))).unwrap_or_default();
    let lacking = nowhere.map(|nowhere| format!("; {}", nowhere::sentence(nowhere))).unwrap_or_default();
    format!("{kept}{new}{lacking}")
}
