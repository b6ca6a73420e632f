//! `roadstead gateway`: the process beside Envoy. It reads routes from the hub, keeps Envoy's files, and tells the operator
//! what Envoy has applied and what is still in flight.
//!
//! Decisions are in the crate `roadstead-gateway`, which turns routes into files; here are the effects. One task each: the
//! watch of routes ([`source`]) by the client of the hub ([`hub`]), their tokens ([`tokens`]), the ceilings of hosted models ([`hosted`]), the addresses of endpoints ([`addresses`]), the files ([`keeper`]), the endpoints that are
//! verified ([`verify`]), those that answer ([`sight`]), the reports to the hub ([`report`]), the logs ([`log`]) and the HTTP listener ([`server`]).

pub mod addresses;
pub mod admin;
pub mod disk;
pub mod hosted;
pub mod hub;
pub mod keeper;
pub mod log;
pub mod metrics;
pub mod report;
pub mod saved;
pub mod server;
pub mod sight;
pub mod socket;
pub mod source;
pub mod tokens;
pub mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

use roadstead_gateway::Route;

/// The routes of all deployments by the UID of the deployment.
pub type Routes = Arc<BTreeMap<String, Route>>;
