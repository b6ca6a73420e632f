//! Messages and events about orphans.

use std::fmt;

use roadstead_model::{Found, MicroDollars};

use crate::words::{count, named};

/// Maximum number of orphans that an event names.
const MAX_NAMED: usize = 5;

/// Message of a target's condition `Swept`, and of the report of orphans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepMessage<'a> {
    /// The target is not ready for this reason, and has never been swept.
    NeverUnready(&'a str),
    /// No sweep has run.
    Never,
    /// The target is not ready for this reason, and was swept before.
    StaleUnready(&'a str),
    /// No sweep has completed recently.
    Stale,
}

impl fmt::Display for SweepMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverUnready(reason) => write!(f, "the target is not Ready ({reason}); its orphans are unknown"),
            Self::Never => f.write_str("the first sweep for orphans has not run; the orphans of this target are unknown"),
            Self::StaleUnready(reason) => {
                write!(f, "the target is not Ready ({reason}); the listed orphans are those of the last sweep")
            }
            Self::Stale => f.write_str(
                "no sweep for orphans has completed for some minutes; the listed orphans are those of the last sweep; see the operator's log",
            ),
        }
    }
}

/// Cause for which no orphan is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The hub lists no deployment at all.
    NoDeployments,
    /// The hub lists less than half as many deployments as before.
    FewDeployments,
    /// The hub knows less than half of this installation's endpoints.
    MostlyUnknown,
}

/// Message of a listed orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrphanMessage<'a> {
    /// Its deletion failed with this error.
    DeletionFailed(&'a str),
    /// Its labels name this other target.
    Misplaced(&'a str),
    /// No orphan is deleted.
    Held(Hold),
}

impl fmt::Display for OrphanMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeletionFailed(error) => write!(f, "deletion failed; retrying: {error}"),
            Self::Misplaced(target) => write!(
                f,
                "tagged for target {target:?}, which adopts it; if target {target:?} no longer exists, delete this endpoint manually"
            ),
            Self::Held(Hold::NoDeployments) => f.write_str(
                "orphan deletion paused: the hub lists no ModelDeployment, as after a restore from an empty backup; restore them, \
                 or delete the orphans manually",
            ),
            Self::Held(Hold::FewDeployments) => f.write_str(
                "orphan deletion paused for an hour: the hub lists less than half as many ModelDeployments as before; restore \
                 them, or delete the orphans manually",
            ),
            Self::Held(Hold::MostlyUnknown) => f.write_str(
                "orphan deletion paused: the hub knows less than half of this installation's endpoints, as after a restore from \
                 an old backup; restore them, or delete the orphans manually",
            ),
        }
    }
}

/// Note of an event about orphans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrphanEvent<'a> {
    /// New orphans, each as [`orphan`] names it.
    Appeared(&'a [String]),
    /// No orphan is left.
    Gone,
    /// The operator requested the deletion of an orphan.
    Removed {
        /// The orphan.
        found: &'a Found,
        /// Its cost; `None` is unknown.
        cost: Option<MicroDollars>,
    },
}

impl fmt::Display for OrphanEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Appeared(orphans) => write!(
                f,
                "endpoints of this installation run on this target without an InferenceEndpoint or ModelDeployment on the hub: \
                 {}; `roadstead orphans` lists all",
                named(orphans, MAX_NAMED)
            ),
            Self::Gone => f.write_str("no orphans left on this target"),
            Self::Removed { found, cost } => write!(
                f,
                "deleted orphan {} of {} (offer {}, {} for {}, created at {}): this hub has neither its record nor its \
                 ModelDeployment",
                found.name,
                found.deployment,
                found.offer,
                count(found.replicas, "replica"),
                crate::words::per_hour(*cost),
                found.created_at
            ),
        }
    }
}

/// An orphan in an event: name, deployment and cost.
#[must_use]
pub fn orphan(name: &str, deployment: &str, cost: Option<MicroDollars>) -> String {
    format!("{name} (of {deployment}, {})", crate::words::per_hour(cost))
}
