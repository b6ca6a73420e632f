//! Failover: its rules in a deployment's spec, and the health of an endpoint.

use roadstead_model::MicroDollars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hosted::HostedFallback;
use super::limits;

/// Replacement of an endpoint that does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failover {
    /// Automatic: an endpoint that does not answer for tolerationSeconds is replaced on another target. Disabled: it stays.
    #[serde(default)]
    pub policy: FailoverPolicy,
    /// Time in seconds from the first failed probe of an unbroken run until the replacement is requested.
    #[serde(default = "default_toleration")]
    #[schemars(range(min = 10, max = 86400))]
    pub toleration_seconds: i32,
    /// Return to the target that a failover left.
    #[serde(default)]
    pub failback: Failback,
    /// Endpoint that stands by.
    #[serde(default)]
    pub standby: Standby,
    /// Models of hosted vendors that take requests while no endpoint answers, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = limits::HOSTED_FALLBACKS),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["target"])
    )]
    pub hosted: Vec<HostedFallback>,
}

impl Failover {
    /// Sum of the ceilings of hosted models per hour; an unreadable one counts nothing, and validation refuses it.
    #[must_use]
    pub fn hosted_ceiling(&self) -> MicroDollars {
        let ceilings = self.hosted.iter().filter_map(|hosted| hosted.max_hourly_cost.known());
        ceilings.fold(MicroDollars::ZERO, MicroDollars::saturating_add)
    }
}

/// A further endpoint that receives requests only while no serving endpoint answers, with a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Standby {
    /// Replicas that stand by in another failure domain: another region, or what placement.spread.topology names. They are
    /// billed like others, and count toward the budget. 0: none.
    #[serde(default)]
    #[schemars(range(min = 0, max = limits::REPLICAS))]
    pub replicas: i32,
}

/// Return to the target that a failover left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failback {
    /// Never: the deployment stays where it is. `WhenCheaper`: it returns if the former target costs less. Always: it returns.
    #[serde(default)]
    pub policy: FailbackPolicy,
    /// Time in seconds for which the former target must have been Ready, counted from the failover at the earliest.
    #[serde(default = "default_stabilization")]
    #[schemars(range(min = 10, max = 604_800))]
    pub stabilization_seconds: i32,
}

const fn default_stabilization() -> i32 {
    1800
}

impl Default for Failback {
    fn default() -> Self {
        Self { policy: FailbackPolicy::default(), stabilization_seconds: default_stabilization() }
    }
}

/// Policy of failback.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FailbackPolicy {
    /// The deployment stays where it is.
    #[default]
    Never,
    /// The deployment returns if the former target costs less, preferences counted.
    WhenCheaper,
    /// The deployment returns.
    Always,
}

const fn default_toleration() -> i32 {
    60
}

impl Default for Failover {
    fn default() -> Self {
        Self {
            policy: FailoverPolicy::default(),
            toleration_seconds: default_toleration(),
            failback: Failback::default(),
            standby: Standby::default(),
            hosted: Vec::new(),
        }
    }
}

/// Policy of failover.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FailoverPolicy {
    /// An endpoint that fails for longer than the toleration is replaced.
    #[default]
    Automatic,
    /// Nothing is replaced because it fails.
    Disabled,
}

/// Witness by whose word an endpoint's health was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Witness {
    /// The operator's own probe.
    Probe,
    /// The gateways.
    Gateways,
}

impl Witness {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "Probe",
            Self::Gateways => "Gateways",
        }
    }
}

/// Health of an endpoint, by its target's API and its own answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Health {
    /// The target's API and the endpoint answer.
    Healthy,
    /// The target's API answers, the endpoint does not.
    Failing,
    /// The target's API does not answer, the endpoint does.
    Isolated,
    /// Neither answers.
    Lost,
    /// One of the two could not be asked.
    Unknown,
}

impl Health {
    /// True if the endpoint does not answer its probe.
    #[must_use]
    pub const fn is_failing(self) -> bool {
        matches!(self, Self::Failing | Self::Lost)
    }
}
