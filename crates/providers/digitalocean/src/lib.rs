//! `DigitalOcean` Dedicated Inference: one team in one region is a place.
//!
//! An endpoint is an instance with one model of the service's list. The service has no tags and returns nothing else that an operator may
//! write, so the name of an instance holds its marks (`marks`). `calls` makes the calls, `wire` has what comes back; `form` (the wanted
//! instance), `catalogue` (models and prices) and `observed` (the report to the core) are pure; `driver` has the order of calls, `listing`
//! the inventory, and `tokens` the keys, which the service issues.

mod calls;
mod catalogue;
mod driver;
mod form;
mod listing;
mod marks;
mod observed;
mod operations;
mod place;
mod tokens;
mod wire;

pub use self::driver::DedicatedInference;
pub use self::form::DedicatedForm;
pub use self::operations::{OPERATIONS, SCOPES, SERVICE};
pub use self::place::{DedicatedAccess, DedicatedAddresses, DedicatedPlace, probe};
