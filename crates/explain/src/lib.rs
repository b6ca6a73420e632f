//! The sentences of Roadstead: decisions and their reasons as text for people.
//!
//! The planner and the controllers hand over data; only this crate makes sentences of it. A status, an event and the JSON
//! output of a command therefore use the same words. The messages of the controllers are here too, because they quote
//! the planner's, and because one crate without Kubernetes types can list them all (`tests/golden/sentences.md`).

pub mod deployment;
pub mod endpoint;
mod findings;
mod hosted;
mod moves;
mod nodes;
mod nowhere;
pub mod operator;
pub mod orphans;
mod summary;
pub mod target;
mod text;
mod verdicts;
mod violations;
mod waits;
mod words;

pub use deployment::{DeploymentEvent, DeploymentMessage, PlaceSummary};
pub use endpoint::{EndpointEvent, EndpointMessage, StartLimit};
pub use findings::finding;
pub use hosted::{HostedMessage, hosted_model};
pub use moves::{EndpointAt, MoveMessage};
pub use nodes::{excess, left_out, no_nodes, unknown_product};
pub use operator::OperatorMessage;
pub use orphans::{Hold, OrphanEvent, OrphanMessage, SweepMessage};
pub use summary::{account, summary};
pub use target::{GoogleKeyFault, RefusedSize, TargetMessage};
pub use text::render_text;
pub use verdicts::{rejection, verdict};
pub use violations::violation;
pub use waits::wait;
pub use words::per_hour;
