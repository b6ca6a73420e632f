//! Messages and events about a deployment.

use std::fmt;

use roadstead_model::{CapacityType, MicroDollars};

use crate::words::{at_cost, count, per_hour};

/// Message of a deployment's condition, beside the sentences about its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentMessage<'a> {
    /// It is being deleted.
    Deleting,
    /// Suspended, with 0 replicas wanted and none running.
    SuspendedAtZero,
    /// Suspended before it was placed, with so many wanted replicas.
    SuspendedUnplaced(u32),
    /// Suspended, with parts of its spec not applied.
    SuspendedEdit(&'a [String]),
    /// Suspended, with a ready endpoint.
    SuspendedReady,
    /// Suspended, with an endpoint that is not ready.
    SuspendedUnready {
        /// Reason of the endpoint's condition.
        reason: &'a str,
        /// Message of the endpoint's condition.
        message: &'a str,
    },
    /// Suspended, with an endpoint that has not observed its newest spec.
    SuspendedRollingOut,
    /// Its endpoint has not observed its newest spec.
    RollingOut,
    /// Progress of its replacement.
    Replacement {
        /// Name of the endpoint that is to take over.
        endpoint: &'a str,
        /// Reason of that endpoint's condition.
        reason: &'a str,
        /// Message of that endpoint's condition.
        message: &'a str,
    },
    /// Its standby answers.
    StandbyReady(PlaceSummary<'a>),
    /// Its standby does not answer.
    StandbyUnready {
        /// Name of the endpoint.
        endpoint: &'a str,
        /// Reason of that endpoint's condition.
        reason: &'a str,
        /// Message of that endpoint's condition.
        message: &'a str,
    },
    /// Its standby is created later.
    StandbyLater,
    /// There is no gateway that could send requests to a standby.
    StandbyWithoutGateway,
    /// Cost of its endpoints, and its budget.
    Cost {
        /// Cost of all replicas.
        cost: MicroDollars,
        /// The budget.
        budget: MicroDollars,
    },
    /// The price of an endpoint is unknown.
    CostUnknown(MicroDollars),
}

impl fmt::Display for DeploymentMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deleting => f.write_str("removing its endpoints"),
            Self::SuspendedAtZero => f.write_str("suspended; no replicas are wanted, and none run"),
            Self::SuspendedUnplaced(wanted) => write!(
                f,
                "suspended with {} wanted and 0 running; set spec.suspend to false to place it",
                count(*wanted, "replica")
            ),
            Self::SuspendedEdit(waiting) => write!(
                f,
                "suspended; changes of this generation wait until spec.suspend is false: {}",
                waiting.join(", ")
            ),
            Self::SuspendedReady => f.write_str("suspended; the running endpoint stays"),
            Self::SuspendedUnready { reason, message } => write!(f, "suspended; {reason}: {message}"),
            Self::SuspendedRollingOut => f.write_str("suspended; finishing the rollout that started before"),
            Self::RollingOut => f.write_str("rolling out the newest spec"),
            Self::Replacement { endpoint, reason, message } => {
                write!(f, "replacement {endpoint}: {reason}: {message}")
            }
            Self::StandbyReady(place) => write!(f, "{place}; it receives requests while no serving endpoint answers"),
            Self::StandbyUnready { endpoint, reason, message } => write!(f, "standby {endpoint}: {reason}: {message}"),
            Self::StandbyLater => f.write_str("the standby is created when all replicas serve"),
            Self::StandbyWithoutGateway => f.write_str(
                "a standby needs a gateway, and this installation has none; install the chart roadstead-gateway",
            ),
            Self::Cost { cost, budget } => write!(f, "costs ${cost}/h, budget ${budget}/h"),
            Self::CostUnknown(budget) => write!(f, "the price of an endpoint is unknown, budget ${budget}/h"),
        }
    }
}

/// Place of an endpoint, as the condition `Placed` and events name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceSummary<'a> {
    /// Number of replicas.
    pub replicas: u32,
    /// Name of the shape.
    pub shape: &'a str,
    /// The target.
    pub target: &'a str,
    /// Its cloud.
    pub cloud: &'a str,
    /// Its region.
    pub region: &'a str,
    /// The offer.
    pub offer: &'a str,
    /// The capacity type.
    pub capacity_type: CapacityType,
    /// Cost of all replicas; `None` is unknown.
    pub cost: Option<MicroDollars>,
}

impl fmt::Display for PlaceSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { replicas, shape, target, cloud, region, offer, capacity_type, cost } = self;
        write!(
            f,
            "{} of shape {shape} on {target} ({cloud} {region}), offer {offer}, {capacity_type}, {}",
            count(*replicas, "replica"),
            at_cost(*cost)
        )
    }
}

/// The places of a deployment's endpoints: those that serve, those that are to take over, and those that stand by.
#[must_use]
pub fn places<'a>(
    serving: impl IntoIterator<Item = PlaceSummary<'a>>,
    replacements: impl IntoIterator<Item = PlaceSummary<'a>>,
    standby: impl IntoIterator<Item = PlaceSummary<'a>>,
) -> String {
    let serving = serving.into_iter().map(|place| place.to_string());
    let replacements = replacements.into_iter().map(|place| format!("replacement: {place}"));
    let standby = standby.into_iter().map(|place| format!("standby: {place}"));
    serving.chain(replacements).chain(standby).collect::<Vec<_>>().join("; ")
}

/// A missing part of the spec: another number of replicas.
#[must_use]
pub fn replicas_differ(wanted: i32, kept: i32) -> String {
    format!("replicas ({wanted} wanted, {kept} kept)")
}

/// A missing part of the spec: a removed shape, or a different accelerator of it.
#[must_use]
pub fn shape_differs(shape: &str, removed: bool) -> String {
    if removed { format!("shape {shape}") } else { format!("accelerator of shape {shape}") }
}

/// Note of an event about a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentEvent<'a> {
    /// It has a place.
    Placed {
        /// The place.
        place: PlaceSummary<'a>,
        /// Decision and reason of the choice.
        why: &'a str,
    },
    /// A running endpoint was adopted.
    Adopted(PlaceSummary<'a>),
    /// The gateway knows no caller of it.
    NoCallers {
        /// Namespace of the Secret.
        namespace: &'a str,
        /// The Secret with the callers' keys.
        secret: &'a str,
    },
    /// A replacement was placed.
    Moving {
        /// Former target.
        from: &'a str,
        /// Former cost.
        paid: Option<MicroDollars>,
        /// New place.
        place: PlaceSummary<'a>,
        /// Decision and reason.
        why: &'a str,
    },
    /// A replacement took over.
    Moved {
        /// Former target.
        from: &'a str,
        /// New target.
        to: &'a str,
        /// Former cost.
        was: Option<MicroDollars>,
        /// New cost.
        is: Option<MicroDollars>,
        /// The former endpoint and the end of its drain, in RFC 3339.
        drains: Option<(&'a str, &'a str)>,
    },
    /// The number of replicas changed in place.
    Scaled {
        /// Former number.
        from: u32,
        /// New number.
        to: u32,
        /// The target.
        target: &'a str,
        /// Former cost.
        was: Option<MicroDollars>,
        /// New cost.
        is: Option<MicroDollars>,
    },
    /// An endpoint was deleted before it served.
    Withdrawn {
        /// The endpoint.
        endpoint: &'a str,
        /// Its target.
        target: &'a str,
        /// Decision and reason.
        why: &'a str,
    },
}

impl fmt::Display for DeploymentEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Placed { place, why } => write!(f, "placed {place}; {why}"),
            Self::NoCallers { namespace, secret } => write!(
                f,
                "Secret {namespace}/{secret} does not exist or has no usable key, so the gateway answers every caller with \
                 401; write an entry with a key of 16 to 512 visible ASCII characters for each caller"
            ),
            Self::Adopted(place) => write!(f, "adopted the running endpoint: {place}"),
            Self::Moving { from, paid, place, why } => {
                let PlaceSummary { replicas, shape, target, cloud, region, offer, capacity_type, cost } = place;
                write!(
                    f,
                    "moving from {from} ({}) to {target} ({}): {} of shape {shape}, {cloud} {region}, offer {offer}, \
                     {capacity_type}; cause: {why}",
                    per_hour(*paid),
                    per_hour(*cost),
                    count(*replicas, "replica")
                )
            }
            Self::Moved { from, to, was, is, drains } => {
                write!(f, "moved from {from} to {to}: {} instead of {}", per_hour(*is), per_hour(*was))?;
                match drains {
                    Some((endpoint, until)) => write!(f, "; {endpoint} drains until {until}"),
                    None => Ok(()),
                }
            }
            Self::Scaled { from, to, target, was, is } => write!(
                f,
                "scaled from {from} to {} on {target}: {} instead of {}",
                count(*to, "replica"),
                per_hour(*is),
                per_hour(*was)
            ),
            Self::Withdrawn { endpoint, target, why } => write!(f, "withdrew endpoint {endpoint} from {target}; {why}"),
        }
    }
}

/// An endpoint that is being removed: name, target and cost.
#[must_use]
pub fn releasing(endpoint: &str, target: &str, cost: Option<MicroDollars>) -> String {
    format!("{endpoint} on {target} ({})", per_hour(cost))
}

/// The time for which an object was not ready, behind the message of its recovery.
#[must_use]
pub fn downtime(seconds: i64, reason: &str) -> String {
    format!(" (was not ready for {seconds} s, last {reason})")
}
