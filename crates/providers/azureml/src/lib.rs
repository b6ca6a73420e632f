//! Azure Machine Learning: one target is one workspace.
//!
//! An endpoint is three things there: the version of an environment (image and routes), the online endpoint with its address and keys,
//! and the deployment in it, which alone is billed. Another form is another deployment beside the former one: it takes the traffic once it
//! is up, and then the former one goes. `form` says what they should be, `state` what is there and what is due, `observed` the report to
//! the core; all three are pure. `calls` makes the calls, `driver` puts them in an order that leaves no billed part without a record, and
//! `claim` says which hub uses the workspace.
//!
//! Every change is an operation that ends later. Its end shows in the state of what it changes; only the cause of a failure has to be
//! asked of the operation itself, whose address the driver keeps in memory. A driver that does not know it tries once more.

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

pub use driver::AzureMl;
pub use observed::probe;
pub use operations::{ACTIONS, OPERATIONS};
pub use place::{AzureMlPlace, WorkspaceAccess, capabilities};
