//! Pure placement decisions of Roadstead: facts in, a plan and its report out.
//!
//! Nothing here reads a clock, a file, a network or a random source, and nothing depends on the order of its
//! input: the same facts give a byte-identical plan. Prices are integers of micro-dollars.
//!
//! ```text
//! Fleet   (targets, endpoints, what was found)  --+
//! Deployment (the validated request)            --+--> plan(&fleet, &deployment, now) -> Plan
//! Timestamp (the time it is)                    --+        lint(&fleet, &deployment, &plan) -> Vec<Violation>
//! ```
//!
//! How it is used, one deployment after another in the order of [`QueueKey`]:
//!
//! 1. facts are put into the [`Fleet`] as they arrive: [`Fleet::upsert_target`], [`Fleet::upsert_endpoint`],
//!    [`Fleet::set_found`] and their counterparts;
//! 2. [`plan()`] decides for one deployment;
//! 3. [`Fleet::assume`] puts in what was decided at once, so that the next plan counts it; only how long a place is
//!    left alone ([`Exhaust`]) is for the caller to say, as an [`Exhausted`] on its target;
//! 4. it is carried out elsewhere, and the outcome comes back as facts.
//!
//! [`lint()`] checks a plan against the hard rules before it is carried out, and [`render_text`] shows it to people.
//! What is known of regions and accelerators without asking anybody is in [`catalogue`].

mod candidates;
mod capacity;
pub mod catalogue;
mod cost;
mod decide;
mod deployment;
mod endpoint;
mod explain;
mod fleet;
mod labels;
mod ledger;
mod lint;
mod membership;
mod money;
mod pattern;
mod plan;
mod report;
mod resources;
mod rules;
mod taints;
mod target;
mod time;

pub use cost::cost_of_found;
pub use decide::{MAX_REPLACEMENTS, plan};
pub use deployment::{Deployment, DeploymentId, Objective, Preference, QueueKey, Rules, Shape};
pub use endpoint::{Endpoint, EndpointKey, EndpointState, Failure, FailureKind, Found, Runs};
pub use fleet::Fleet;
pub use labels::{LabelSelector, Labels, Operator, Requirement};
pub use lint::{Violation, lint};
pub use membership::{Excess, Label, LeftOut, Members, Membership, free_devices};
pub use money::{MicroDollars, MoneyError};
pub use pattern::{Pattern, PatternError};
pub use plan::{Action, Decision, Exhaust, Finding, FindingReason, Keep, Placement, Plan, PodFields, Removal, Wait};
pub use report::{Candidate, LargestFit, MAX_CANDIDATES, Reason, Report, Verdict, candidates_on, render_text};
pub use resources::{Accelerator, Resources, Size};
pub use taints::{Effect, Taint, Toleration, TolerationOperator, first_untolerated};
pub use target::{CapacityType, Exhausted, Inventory, Location, Node, Offer, Target, TargetState};
pub use time::Timestamp;
