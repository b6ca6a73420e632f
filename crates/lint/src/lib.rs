//! Checks a finished plan from facts alone, before it is carried out.
//!
//! It recomputes rules, room, cost and budget in its own way and shares nothing with the planner but data types and
//! arithmetic: Cargo keeps it from the planner's code. It never refuses what a right planner decides, for each of its
//! conditions is necessary; tests break each rule of the planner in turn and see that it is found.

mod allocations;
mod budget;
mod check;
mod places;
mod room;
mod steps;
mod worst;

pub use check::check;
