//! Provisioned throughput.
//!
//! An endpoint is a number of model units of a model that Bedrock knows, bought without commitment: it is billed by the hour from its
//! creation until it is deleted. The target says which model has the weights that a deployment names. Units cannot be changed, so another
//! number of them is another endpoint.

mod calls;
mod driver;
mod form;
mod listing;
mod observed;
mod wire;

pub use driver::{BedrockThroughput, throughput_capabilities};
