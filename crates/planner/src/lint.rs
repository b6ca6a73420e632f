//! Checks a finished plan against the hard rules, independently of how it was made.

use std::fmt;

use crate::deployment::Deployment;
use crate::fleet::Fleet;
use crate::plan::Plan;

/// A hard rule that a plan breaks. Such a plan must not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What it is about: an endpoint or a target.
    pub subject: String,
    /// A sentence that says which rule and how.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.message)
    }
}

/// Checks `plan`, made for `deployment` against `fleet`; empty if it breaks no hard rule.
#[must_use]
pub fn lint(_fleet: &Fleet, _deployment: &Deployment, _plan: &Plan) -> Vec<Violation> {
    Vec::new()
}
