//! Pure placement decisions of Roadstead: facts in, a plan and its report out.
//!
//! Nothing here reads a clock, a file, a network or a random source, and nothing depends on the order of its
//! input: the same facts give a byte-identical plan. Prices are integers of micro-dollars.
//!
//! ```text
//! Fleet   (targets, endpoints, what was found)  --+
//! Deployment (the validated request)            --+--> plan(&fleet, &deployment, now) -> Plan
//! Timestamp (the time it is)                    --+
//! ```
//!
//! Use, for one deployment after another in the order of [`roadstead_model::QueueKey`]:
//!
//! 1. facts are put into the [`Fleet`] as they arrive: [`Fleet::upsert_target`], [`Fleet::upsert_endpoint`],
//!    [`Fleet::set_found`] and their counterparts;
//! 2. [`plan()`] decides for one deployment;
//! 3. [`Fleet::assume`] puts in what was decided at once, so that the next plan counts it; only how long a place is
//!    left alone ([`roadstead_model::Exhaust`]) is for the caller to say, as a [`roadstead_model::Exhausted`] on its target;
//! 4. it is carried out elsewhere, and the outcome comes back as facts.
//!
//! `roadstead-lint` checks a plan against the hard rules before it is carried out.

mod candidates;
mod capacity;
mod cost;
mod decide;
mod division;
mod entry;
mod fleet;
mod hub;
mod ledger;
mod reasons;
mod report;
mod room;
mod rules;
mod vendor;

pub use decide::plan;
pub use fleet::Fleet;
pub use report::candidates_on;
