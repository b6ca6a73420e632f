//! The operator's reports about itself: logs, metrics, liveness and readiness.

pub mod figures;
pub mod json;
pub mod logging;
pub mod metered;
pub mod metrics;
pub mod process;
pub mod server;
