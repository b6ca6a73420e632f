//! Sentences about what is waited for.

use roadstead_model::{ReplacementBudget, Shifting, Wait};

use crate::nowhere;
use crate::words::count;

/// A sentence about something that has to happen before more can be done.
#[must_use]
pub fn wait(wait: &Wait) -> String {
    match wait {
        Wait::Inventory { targets, overdue } => inventory(*targets, overdue),
        Wait::Feasible => "waiting for a feasible place".to_owned(),
        Wait::ReplacementLimit { budget, under_way, limit } => {
            let (number, of) = (count(*under_way, "replacement"), replacements_of(budget));
            format!("waiting for its turn: {number} in progress{of}, the limit is {limit}")
        }
        Wait::HubContact { endpoint } => {
            format!("no target answers, so the hub is presumed cut off: {endpoint} stays until a target answers")
        }
        Wait::Readiness { endpoint } => format!("waiting for {endpoint} to become ready"),
        Wait::Verification { endpoint } => format!("waiting for a gateway to verify {endpoint}"),
        Wait::Shift { endpoint, step: Shifting { percent, until } } => {
            format!("{endpoint} takes {percent} % of the requests until {until}")
        }
        Wait::Publication { endpoint } => format!("waiting for the address of {endpoint} to be published"),
        Wait::DrainDeadline { endpoint, deadline } => {
            format!("waiting for the drain of {endpoint} to end at {deadline}")
        }
        Wait::Successor { endpoint } => format!("waiting for another endpoint to serve before {endpoint} is removed"),
        Wait::LowerPriority { target, offer, held_by, others } => {
            let holders = holders(held_by, *others);
            format!(
                "deployments of lower priority use offer {offer} on {target} ({holders}); Roadstead does not preempt them"
            )
        }
        Wait::Removal { endpoint, target } => format!("waiting for {target} to confirm the removal of {endpoint}"),
        Wait::Target { target } => format!("waiting for target {target} to become usable"),
        Wait::StandbyPlace { replicas, nowhere: None } => format!(
            "no place for a standby of {}: every target shares a failure domain with a serving endpoint",
            count(*replicas, "replica")
        ),
        Wait::StandbyPlace { replicas, nowhere: Some(nowhere) } => format!(
            "no place for a standby of {} in another failure domain: {}",
            count(*replicas, "replica"),
            nowhere::sentence(nowhere)
        ),
    }
}

/// The replacements of a budget, after `in progress`.
fn replacements_of(budget: &ReplacementBudget) -> String {
    match budget {
        ReplacementBudget::Fleet => String::new(),
        ReplacementBudget::Namespace { namespace } => format!(" in namespace {namespace}"),
        ReplacementBudget::Destination { target } => format!(" to target {target}"),
    }
}

/// Targets whose inventory has not been received.
pub(crate) fn inventory(targets: u32, overdue: &[String]) -> String {
    let waiting = format!("waiting for the inventory of {}", count(targets, "target"));
    if overdue.is_empty() {
        return waiting;
    }
    let them = if overdue.len() == 1 { "it" } else { "them" };
    format!(
        "{waiting}; no answer for more than a minute from {}: restore the connection, or annotate the ModelDeployment with \
         roadstead.dev/place-without={} to place without {them}",
        overdue.join(", "),
        overdue.join(",")
    )
}

fn holders(names: &[String], others: u32) -> String {
    let names = names.join(", ");
    if others == 0 {
        return names;
    }
    let and = if names.is_empty() { "" } else { " and " };
    format!("{names}{and}{} in other namespaces", count(others, "deployment"))
}
