//! The sentences of Roadstead: decisions and their reasons as text for people.
//!
//! Everything that the planner says comes as data; this is the only place where a sentence is made of it.

mod nodes;
mod text;
mod waits;
mod words;

pub use nodes::{excess, left_out, no_nodes, unknown_product};
pub use text::render_text;
pub use waits::wait;
pub use words::{cores, count, gibibytes, list, per_hour};
