//! Amazon Bedrock: one target is one account in one region, and one of two ways to serve.
//!
//! `imports` imports weights of one's own, and `throughput` buys units of a model that Bedrock knows. In both, `form` says what an
//! endpoint should be and `observed` what the place shows of it; `calls` makes the calls, and `driver` has their order. What they share
//! of this is beside them: `form`, the report to the core in `observed`, and the tags in `ownership`. All of these are pure.

mod calls;
mod failure;
mod form;
mod hub;
mod imports;
mod observed;
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
