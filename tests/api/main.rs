//! The API as a real server sees it: definitions that it accepts, defaults, rules, and what kubectl shows.
//!
//! Needs the tools of the test ground and nothing else; a missing one fails the tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

mod admission;
mod cases;
mod definitions;
mod kubectl;
mod member;
mod nulls;
mod server;
mod status;
mod validate;
