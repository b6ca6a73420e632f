//! Custom model import.
//!
//! An endpoint is a model that a job imports from S3. It has no machines of its own: Bedrock starts copies when requests come, ends
//! them when none has come for five minutes, and bills model units in windows of five minutes. So a probe that asked the model would
//! keep a copy running: the driver asks the control plane instead.
//!
//! Jobs cannot be deleted, and their names cannot be used again: each import has a number of its own, and a tag says which failed
//! one is done with.

mod calls;
mod driver;
mod form;
mod listing;
mod observed;
mod settings;
mod wire;

pub use driver::Bedrock;
pub use settings::{ImportSettings, import_capabilities};
