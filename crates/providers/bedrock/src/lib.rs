//! Amazon Bedrock: one target is one account in one region, and one of two ways to serve.
//!
//! `imports` imports weights of one's own, and `throughput` buys units of a model that Bedrock knows. In both, `form` says what an
//! endpoint should be and `observed` has the report to the core, which are pure like `ownership` with the tags; `calls` makes the calls, and
//! `driver` has their order.

mod calls;
mod failure;
mod hub;
mod imports;
mod operations;
mod ownership;
mod place;
mod throughput;
mod wire;

pub use imports::{Bedrock, ImportSettings, import_capabilities};
pub use operations::{GET_RESOURCES, IMPORT_ACTIONS, IMPORT_OPERATIONS, THROUGHPUT_ACTIONS, THROUGHPUT_OPERATIONS};
pub use ownership::tags;
pub use place::{BedrockAccess, BedrockPlace};
pub use throughput::{BedrockThroughput, throughput_capabilities};
