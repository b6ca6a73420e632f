//! The charts as users get them: linted, rendered and refused by the real helm, and what was rendered looked at.
//!
//! Needs helm alone: the one in the folder that `ROADSTEAD_TOOLS` names, else the one that the test ground builds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod drift;
mod helm;
mod render;
mod rights;
mod values;
