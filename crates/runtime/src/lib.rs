//! The controller runtime, beyond kube: calls with limits, caches that show our own writes, a ranked work queue, leadership, events; and
//! the clock.

pub mod aside;
pub mod budget;
pub mod cache;
pub mod client;
pub mod clock;
pub mod events;
pub mod kept;
pub mod lease;
pub mod meter;
pub mod panics;
pub mod patch;
pub mod queue;
pub mod rate;
pub mod text;
pub mod watch;
pub mod workers;
