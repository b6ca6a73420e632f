//! Azure OpenAI: one target is one account.
//!
//! An endpoint is a deployment of a model of Azure's catalog in that account: the service has the weights and runs the server. Requests name
//! the deployment as their model. The target says which model of the catalog has the weights that a deployment names; no other model is
//! ever put in its place.
//!
//! `form` says what the deployment should be, `state` what is there and what is due, `observed` the report to the core, `terms` what the
//! quotas allow; all of them are pure. `calls` makes the calls, `driver` has their order.

mod calls;
mod driver;
mod failure;
mod form;
mod listing;
mod observed;
mod operations;
mod ownership;
mod place;
mod state;
mod terms;
mod wire;

pub use driver::AzureOpenAi;
pub use observed::probe;
pub use operations::{ACTIONS, DATA_ACTIONS, LIST_MODELS, OPERATIONS};
pub use ownership::tags;
pub use place::{CatalogModel, CognitiveAccess, CognitivePlace, TRAFFIC_SCOPE, capabilities};
