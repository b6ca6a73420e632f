//! Translation between the hub's objects and the planner's data. Nothing here decides.
//!
//! `deployment`, `target` and `endpoint` translate objects for the planner; `capacity` translates its findings for a status;
//! `refusal` translates both ways. Times, amounts and offers, which drivers need too, are in [`roadstead_api::planning`].

mod capacity;
mod deployment;
mod endpoint;
mod refusal;
mod target;

pub use self::capacity::capacity;
pub use self::deployment::{deployment, deployment_id, queue_key};
pub use self::endpoint::{endpoint, endpoint_key};
pub use self::refusal::{exhausted, exhausted_status};
pub use self::target::{offer_there, target};
