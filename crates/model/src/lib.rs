//! Plain data and arithmetic of Roadstead: what is asked for, what there is, what was decided and why.
//!
//! Nothing here decides, acts or makes sentences for people, and nothing reads a clock, a file, a network or a random
//! source. Prices are integers of micro-dollars; time is an argument. What is known of regions and accelerators without
//! asking anybody is in [`catalogue`].

mod allocation;
mod capabilities;
pub mod catalogue;
mod cost;
mod deployment;
mod endpoint;
mod engine_setting;
mod facts;
mod finding;
mod identity;
mod labels;
mod limits;
mod membership;
mod money;
mod offer;
mod pattern;
mod placement;
mod plan;
mod planned;
mod price;
mod report;
mod resources;
mod summary;
mod taints;
mod target;
mod time;
mod verdict;
mod violation;

pub use allocation::{Allocation, Decided, MAX_PUBLISHED, Phase, Published, Role};
pub use capabilities::{Capabilities, Demand, Lack};
pub use cost::{cost_of_found, cost_per_million_tokens, hourly_cost};
pub use deployment::{Deployment, Failback, Objective, Preference, QueueKey, Rules, Shape, SpreadRule, Topology};
pub use endpoint::{Endpoint, EndpointState, Failure, FailureKind, Found, Health, Runs, Shifting};
pub use engine_setting::EngineSetting;
pub use facts::Facts;
pub use finding::{
    Finding, FindingReason, LackOfRoom, OfferTrouble, Outage, OverBudget, SpecChange, TargetTrouble, Unaffordable,
};
pub use identity::{DeploymentId, EndpointKey};
pub use labels::{LabelSelector, Labels, Operator, Requirement};
pub use limits::{DEFAULT_MAX_REPLACEMENTS, ReplacementBudget, ReplacementLimits};
pub use membership::{Cloud, Excess, Label, LeftOut, Members, Membership, NoNodes, Said, free_devices};
pub use money::{MicroDollars, MoneyError};
pub use offer::{CapacityType, Offer};
pub use pattern::{Pattern, PatternError};
pub use placement::Placement;
pub use plan::{Action, Decision, Exhaust, Keep, Plan, PodFields, Removal, Wait};
pub use price::{Price, PriceSource, Rate, Unpriced};
pub use report::{Candidate, LargestFit, MAX_CANDIDATES, Report};
pub use resources::{Accelerator, Resources, Size};
pub use summary::{Nowhere, PartSummary, Placed, Summary};
pub use taints::{Effect, Taint, Toleration, TolerationOperator, first_evicting, first_untolerated};
pub use target::{Contact, Exhausted, Inventory, Location, Node, Target, TargetState};
pub use time::Timestamp;
pub use verdict::{
    Amount, Choice, Comparison, FreeAccelerators, Instances, Limit, Mismatch, MissingAccelerator, Preferred, Reason,
    Refusal, RegionRule, Rejection, Remarks, Shortage, Throughput, Unsupported, Unusable, Verdict,
};
pub use violation::{Numbers, Rule, Severity, Violation};
