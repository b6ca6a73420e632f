//! Decide, assume, observe: the planner with its memory, behind one interface for controllers and simulators.
//!
//! ```text
//! observe(fact) ──▶ known state ──▶ decide(deployment) ──▶ plan, checked, assumed
//!                        ▲                                        │
//!                        └──── answered, ended ◀──── its writes ──┘
//! ```
//!
//! The effect of a plan on an endpoint is assumed from the decision on, laid over whatever is observed of the endpoint
//! meanwhile, and ends with the answer to that write: the room that one deployment was promised is not promised to
//! another one because a watch still shows the past.

mod engine;
mod flight;
mod removed;

pub use engine::{Engine, Listing, Sound, Unsound};
