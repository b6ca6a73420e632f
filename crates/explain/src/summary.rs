//! Sentences about a whole plan.

use roadstead_model::{Finding, Nowhere, Placed, Plan, Summary, Wait};

use crate::findings::finding;
use crate::waits::{inventory, wait};
use crate::words::{count, per_hour};

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
            format!("no replicas are wanted; {endpoint} is deleted, because {target} cannot keep it without replicas")
        }
        Summary::GivesUpItsPlace { endpoint, target } => {
            format!("no replicas are wanted; {endpoint} is deleted, because the rules forbid {target}")
        }
        Summary::KeepsItsPlace { endpoint, target } => {
            format!("no replicas are wanted; {endpoint} keeps its place on {target}")
        }
        Summary::AwaitsInventory { targets, overdue } => inventory(*targets, overdue),
        Summary::Placed(placed) => self::placed(placed),
        Summary::Nowhere(nowhere) => self::nowhere(nowhere),
        Summary::Adopts { endpoint, target, ready_replicas, replicas } => {
            format!(
                "adopts {endpoint}, which runs on {target} with {ready_replicas} of {} ready",
                count(*replicas, "replica")
            )
        }
        Summary::Suspended => "spec.suspend is true: no decisions; the running endpoint stays".to_owned(),
        Summary::Stays { replicas, shape, target, offer, hourly_cost, findings } => {
            let (replicas, cost) = (count(*replicas, "replica"), per_hour(*hourly_cost));
            let found = findings.iter().map(|one| format!("; {}: {}", one.reason().as_str(), finding(one)));
            format!("{replicas} of {shape} on {target}, offer {offer}, for {cost}{}", found.collect::<String>())
        }
        Summary::IsReplaced { endpoint, target, by, to } => {
            format!("{by} on {to} replaces {endpoint} on {target}")
        }
        Summary::AwaitsItsTurn { endpoint, target, why } => {
            format!("{}; {endpoint} stays on {target} until its turn", because(why.as_ref()))
        }
        Summary::Replaces { endpoint, target, why, placed } => {
            format!("{}; replaces {endpoint} on {target}: {}", because(why.as_ref()), self::placed(placed))
        }
        Summary::HasNoReplacement { endpoint, target, why, nowhere } => {
            format!("{}; {endpoint} stays on {target}: {}", because(why.as_ref()), self::nowhere(nowhere))
        }
    }
}

fn because(why: Option<&Finding>) -> String {
    why.map(finding).unwrap_or_default()
}

fn placed(placed: &Placed) -> String {
    let place = &placed.placement;
    let rank = match placed.feasible {
        0 | 1 => format!("the only feasible candidate of {}", placed.candidates),
        feasible => format!("the best of {feasible} feasible candidates ({} in all)", placed.candidates),
    };
    format!(
        "{} of {} on {}, offer {} ({}), for {}, {rank}",
        count(place.replicas, "replica"),
        place.shape,
        place.target,
        place.offer,
        place.capacity_type,
        per_hour(place.hourly_cost),
    )
}

fn nowhere(nowhere: &Nowhere) -> String {
    match nowhere {
        Nowhere::NoTarget => "no targets exist".to_owned(),
        Nowhere::NoneForNamespace { namespace, targets: 1 } => {
            format!("the only target does not allow namespace {namespace}")
        }
        Nowhere::NoneForNamespace { namespace, targets } => {
            format!("none of the {targets} targets allows namespace {namespace}")
        }
        Nowhere::AllRejected { replicas, candidates, reasons, largest_fit } => {
            let reasons: Vec<String> =
                reasons.iter().map(|(reason, number)| format!("{number} {}", reason.as_str())).collect();
            let largest = largest_fit.as_ref().map_or_else(String::new, |fit| {
                let fits = count(fit.replicas, "replica");
                format!("; the largest fit is {fits} of {} on {}, offer {}", fit.shape, fit.target, fit.offer)
            });
            format!(
                "no place for {} among {}: {}{largest}",
                count(*replicas, "replica"),
                count(*candidates, "candidate"),
                reasons.join(", ")
            )
        }
    }
}
