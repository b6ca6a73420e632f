//! Custom model import of Amazon Bedrock: one target is one account in one region.
//!
//! An endpoint is a model that a job imports from S3. It has no machines of its own: Bedrock starts copies when requests come, ends
//! them when none has come for five minutes, and bills model units in windows of five minutes. So a probe that asked the model would
//! keep a copy running: the driver asks the control plane instead. `form` says what a model should be, `ownership` has its tags,
//! `observed` the report to the core; all three are pure. `calls` makes the calls, `driver` has their order.
//!
//! Jobs cannot be deleted, and their names cannot be used again: each import has a number of its own, and a tag says which failed
//! one is done with.

mod calls;
mod driver;
mod form;
mod listing;
mod observed;
mod operations;
mod ownership;
mod place;
mod wire;

pub use driver::Bedrock;
pub use operations::{ACTIONS, GET_RESOURCES, OPERATIONS};
pub use ownership::tags;
pub use place::{BedrockAccess, BedrockPlace, capabilities};
