//! What the operator tells about itself: logs, metrics, and whether it lives and is ready.

pub mod figures;
pub mod json;
pub mod logging;
pub mod metrics;
pub mod process;
pub mod server;
