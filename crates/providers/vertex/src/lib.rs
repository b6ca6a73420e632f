//! Vertex AI: one target is one project in one location.
//!
//! An endpoint is three things there: a model (image, command line and environment), the endpoint with its address, and the model
//! that is deployed in it, which alone is billed. `form` says what they should be, `state` what is there and what is due, `observed`
//! the report to the core; all three are pure. `calls` makes the calls, `driver` puts them in an order that leaves no billed part
//! without a record, and `claim` says which hub uses the project and location.
//!
//! Everything but a change of labels is an operation that ends later. The driver waits for the short ones within a call, and finds
//! the long ones again in the list of an endpoint's operations: none is kept in memory.

mod calls;
mod claim;
mod driver;
mod failure;
mod form;
mod listing;
mod observed;
mod operations;
mod ownership;
mod place;
mod state;
mod wire;

pub use driver::VertexAi;
pub use form::accelerator;
pub use observed::probe;
pub use operations::{OPERATIONS, PERMISSIONS, PROJECTS};
pub use ownership::{EndpointMark, labels};
pub use place::{ProjectAccess, VertexPlace, capabilities};
