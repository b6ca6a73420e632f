//! Whose things are: the sweep for orphans, what belongs to another installation, and which nodes belong to an offer. By the
//! operator as its own process, on real API servers: a hub and a member.
//!
//! There are no kubelets and no controllers: what the operator asks for stands there, and nothing else happens. Needs the
//! tools of the test ground; a missing one fails the tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

mod driver;
mod installation;
mod nodes;
mod operator;
mod stage;
mod sweep;
