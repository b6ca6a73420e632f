//! Amazon SageMaker: one target is one account in one region.
//!
//! An endpoint is three things there: a model (image and environment), an endpoint configuration (instance type) and the
//! endpoint itself, which alone is billed. `form` says what they should be, `launch` what the engine is started with, `state`
//! what is there and what is due; all three are pure. `service` makes the calls, `driver` puts them in an order that leaves no
//! billed part without a record, `listing` keeps the inventory, and `claim` says which hub uses the account and region.
//!
//! The names of operations are in `operations`, and the policy that allows them in `deploy/providers/sagemaker`.

mod claim;
mod driver;
mod failure;
mod form;
mod launch;
mod listing;
mod observed;
mod operations;
mod ownership;
mod place;
mod service;
mod state;
mod wire;

pub use driver::SageMaker;
pub use observed::probe;
pub use operations::{ACTIONS, GET_RESOURCES, OPERATIONS};
pub use place::{AccountAccess, SageMakerPlace, capabilities};
