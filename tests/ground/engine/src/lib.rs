//! A stand-in for vLLM: the same command line and HTTP interface without a model.
//!
//! It answers completions by repeating the question, at a settable speed, and can be told to start slowly, to fail or
//! to hang ([`config::Fault`]). The program `roadstead-engine` serves it at a port; the fakes of managed services answer
//! requests from its router ([`server::Engine::router`]) in their own process.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

mod completion;
pub mod config;
mod metrics;
pub mod server;
#[cfg(test)]
mod server_tests;
