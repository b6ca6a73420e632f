//! Checks a finished plan from facts alone, before it is carried out.
//!
//! It recomputes rules, room, cost and budget in its own way and shares nothing with the planner but data types and
//! arithmetic: Cargo keeps it from the planner's code. It never refuses what a right planner decides, for each of its
//! conditions is necessary; tests break each rule of the planner in turn and see that it is found.

mod allocations;
mod budget;
mod check;
mod division;
mod failover;
mod places;
mod room;
mod standby;
mod steps;
mod worst;

use roadstead_model::{Action, Deployment, Facts, Plan, Violation};

use self::check::Check;

/// Checks `plan`, made for `deployment` from `facts`; empty if it keeps every rule.
///
/// The facts must be those that the plan was made from: before anything of it is assumed.
#[must_use]
pub fn check<F: Facts>(facts: &F, deployment: &Deployment, plan: &Plan) -> Vec<Violation> {
    let mut check = Check::new(facts, deployment, plan);
    steps::subjects(&mut check);
    steps::removals(&mut check);
    steps::creations(&mut check);
    steps::suspension(&mut check);
    allocations::check(&mut check);
    division::check(&mut check);
    for action in &plan.actions {
        match action {
            Action::Create { placement, replaces, stands_by, reason } => {
                steps::inventory(&mut check, placement, replaces.as_deref());
                places::new(&mut check, placement, *stands_by);
                if *stands_by {
                    standby::created(&mut check, placement);
                }
                failover::check(&mut check, replaces.as_deref(), *reason);
            }
            Action::Promote { endpoint, replaces, reason } => {
                standby::promoted(&mut check, endpoint, replaces);
                failover::check(&mut check, Some(replaces), *reason);
            }
            Action::Keep(keep) => places::kept(&mut check, keep),
            Action::Adopt { found, .. } => steps::adoption(&mut check, found),
            Action::Drain { endpoint, deadline, .. } => steps::drain(&mut check, endpoint, *deadline),
            Action::Delete { endpoint, exhaust, .. } => steps::refusal(&mut check, endpoint, exhaust.as_ref()),
        }
    }
    check.into_violations()
}
