//! Rights and secrets: the operator uses exactly its granted rights, and leaks no secret.
//!
//! The operator is a process of its own with the rights that are shipped; its hub and its member are real API servers
//! that write down every request. There is no kubelet: the test says how pods are, and answers for the model.
//!
//! Needs the tools of the test ground and nothing else; a missing one fails the tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

mod canaries;
mod engine;
mod events;
mod logs;
mod operator;
mod rights;
mod run;
mod world;
