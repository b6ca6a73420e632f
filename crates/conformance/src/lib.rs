//! The cases that every driver passes.
//!
//! A driver brings a [`Fixture`]: places of its kind behind a [`Way`](faults::Way) that injects faults. The
//! cases in [`cases`] know no driver. What a place cannot do by its capabilities is checked as a verdict before anything
//! is asked. Some cases need an [`Oddity`] of the service: a fixture whose places cannot play it says why, and that case is
//! counted as ignored, by name. On a real service, which has no faults on request, the calm cases run.

mod budget;
pub mod cases;
mod cold;
mod edits;
pub mod faults;
mod fixture;
mod oddities;
pub mod oddity;
mod refusals;
pub mod request;
mod scarcity;
mod stage;
mod strangers;
mod verdict;

pub use self::cases::{CASES, Case};
pub use self::fixture::{CallBudget, Conduct, Fixture, Habits, MANY, Place, Tempo};
pub use self::oddity::Oddity;
pub use self::stage::{HUB, connect};
