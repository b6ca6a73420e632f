//! The charts as users get them: linted, rendered and refused by the real helm, looked at by linters and by a real API
//! server, and the operator run with exactly the rights that they give it.
//!
//! Needs the tools of the test ground: those in the folder that `ROADSTEAD_TOOLS` names, else those that it builds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

mod drift;
mod gateway;
mod gateway_pod;
mod helm;
mod installation;
mod lint;
mod monitoring;
mod network;
mod operator;
mod render;
mod rights;
mod schemas;
mod server;
mod values;
mod variants;
