//! What kube leaves open: calls with limits, caches that show our own writes, a ranked work queue, leadership, events.

pub mod budget;
pub mod cache;
pub mod client;
pub mod events;
pub mod lease;
pub mod panics;
pub mod patch;
pub mod queue;
pub mod text;
pub mod watch;
pub mod workers;
