//! The sentences of Roadstead: decisions and their reasons as text for people.
//!
//! Everything that the planner says comes as data; this is the only place where a sentence is made of it.

mod findings;
mod nodes;
mod summary;
mod text;
mod verdicts;
mod violations;
mod waits;
mod words;

pub use findings::finding;
pub use nodes::{excess, left_out, no_nodes, unknown_product};
pub use summary::{account, summary};
pub use text::render_text;
pub use verdicts::{rejection, verdict};
pub use violations::violation;
pub use waits::wait;
