//! The gateway: the real Envoy beside `roadstead gateway`, which reads routes from a real API server. Callers and engines
//! are in this process, on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "tests tell time by the machine")]

mod asking;
mod azure_openai;
mod bedrock;
mod caller;
mod engine;
mod failures;
mod files;
mod google;
mod guarded;
mod hosted;
mod hub;
mod keys;
mod limits;
mod models;
mod moves;
mod operator;
mod outage;
mod replicas;
mod rig;
mod routing;
mod services;
mod tls;
mod tokens;
mod witness;
