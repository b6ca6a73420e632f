//! Decides for one deployment.

use crate::deployment::Deployment;
use crate::fleet::Fleet;
use crate::plan::{Decision, Plan, Wait};
use crate::report::Report;
use crate::time::Timestamp;

/// Decides what is to become of `deployment`, given `fleet` and the time.
#[must_use]
pub fn plan(_fleet: &Fleet, deployment: &Deployment, now: Timestamp) -> Plan {
    Plan {
        deployment: deployment.id.clone(),
        decided_at: now,
        actions: Vec::new(),
        decision: Decision::NoFeasiblePlacement,
        message: String::new(),
        waits: vec![Wait::Feasible],
        report: Report::default(),
        recheck_at: None,
    }
}
