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
            format!("waits for its turn: {} in progress, the limit is {limit}", count(*under_way, "replacement"))
        }
        Wait::Readiness { endpoint } => format!("waits until {endpoint} is ready"),
        Wait::Publication { endpoint } => format!("waits until the address of {endpoint} is published"),
        Wait::DrainDeadline { endpoint, deadline } => format!("{endpoint} drains until {deadline}"),
        Wait::Successor { endpoint } => format!("{endpoint} stays until another endpoint serves"),
        Wait::LowerPriority { target, offer, held_by, others } => {
            let holders = holders(held_by, *others);
            format!("offer {offer} on {target} is in use by lower priority, which is not preempted: {holders}")
        }
        Wait::Target { target } => format!("waits until target {target} is usable"),
    }
}

/// Targets whose inventory has not been received.
pub(crate) fn inventory(targets: u32, overdue: &[String]) -> String {
    let waiting = format!("waiting for the inventory of {}", count(targets, "target"));
    if overdue.is_empty() {
        return waiting;
    }
    format!(
        "{waiting}; no answer for more than a minute from {}: restore the connection, or place without them with the \
         annotation roadstead.dev/place-without",
        overdue.join(", ")
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
