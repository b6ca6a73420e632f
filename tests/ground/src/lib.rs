//! Real Kubernetes clusters on one machine, for Roadstead's tests and its demo.
//!
//! `tools` builds Kubernetes once, `images` makes container images out of static binaries, `process`, `network` and `node` are
//! what a `cluster` stands on, `machine` keeps the machine below them as it was and `picture` shows whether it is, `container` and
//! `audit` are what is done to a cluster and seen of it, `gateway` is the gateway on the hub and `load` its callers, `api_server`
//! is the small form without nodes, and `unused` has addresses for what tests start themselves.

#![allow(clippy::disallowed_methods, reason = "tests and tools tell time by the machine")]

pub mod api_server;
pub mod audit;
pub mod bound;
pub mod chance;
pub mod client;
pub mod cluster;
pub mod command;
pub mod container;
pub mod envoy;
pub mod fake_node;
pub mod gateway;
pub mod ground;
pub mod images;
pub mod load;
pub mod machine;
pub mod network;
pub mod node;
pub mod objects;
pub mod packages;
pub mod picture;
pub mod process;
pub mod promql;
pub mod tools;
pub mod unused;
pub mod wait;
