//! Sentences about what is waited for.

use roadstead_model::Wait;

use crate::words::count;

/// A sentence about something that has to happen before more can be done.
#[must_use]
pub fn wait(wait: &Wait) -> String {
    match wait {
        Wait::Inventory { targets, overdue } => inventory(*targets, overdue),
        Wait::Feasible => "waits for a feasible place".to_owned(),
        Wait::ReplacementLimit { under_way, limit } => {
            format!("waits for its turn: {under_way} replacements are under way in the fleet, the limit is {limit}")
        }
        Wait::Readiness { endpoint } => format!("waits until {endpoint} is ready"),
        Wait::Publication { endpoint } => format!("waits until the address of {endpoint} is published"),
        Wait::DrainDeadline { endpoint, .. } => format!("{endpoint} drains and goes at its deadline"),
        Wait::Successor { endpoint } => format!("{endpoint} stays until another endpoint serves"),
        Wait::LowerPriority { target, offer, held_by, others } => {
            let holders = holders(held_by, *others);
            format!("offer {offer} on {target} is held by lower priority, which is never preempted: {holders}")
        }
        Wait::Target { target } => format!("waits until target {target} can be used again"),
    }
}

/// Targets whose inventory has not been received.
pub(crate) fn inventory(targets: u32, overdue: &[String]) -> String {
    let waiting = format!("waiting for the inventory of {}", count(targets, "target"));
    if overdue.is_empty() {
        return waiting;
    }
    format!(
        "{waiting}; no answer for more than a minute from {}: mend the connection, or place without it by the annotation \
         roadstead.dev/place-without",
        overdue.join(", ")
    )
}

fn holders(names: &[String], others: u32) -> String {
    let names = names.join(", ");
    if others == 0 {
        return names;
    }
    let and = if names.is_empty() { "" } else { " and " };
    format!("{names}{and}{} not named here", count(others, "deployment"))
}
