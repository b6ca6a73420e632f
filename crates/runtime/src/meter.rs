//! Counters of controllers.

use std::time::Duration;

use super::queue::Counts;

/// Counts the work of controllers, each under its name.
pub trait Meter: Send + Sync + 'static {
    /// The most objects that `controller` may work on at once.
    fn max_concurrent_reconciles(&self, controller: &'static str, limit: usize);
    /// The objects that wait for `controller`, and what happened to its queue since the last call.
    fn queue(&self, controller: &'static str, depth: usize, counts: Counts);
    /// `controller` begins to work on an object.
    fn worker_started(&self, controller: &'static str);
    /// `controller` no longer works on an object.
    fn worker_ended(&self, controller: &'static str);
    /// A try of `controller` panicked.
    fn reconcile_panicked(&self, controller: &'static str);
    /// A try of `controller` ended with `result` after `time`.
    fn reconciled(&self, controller: &'static str, result: &'static str, time: Duration);
}
