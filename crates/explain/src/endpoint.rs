//! Messages and events about an endpoint.

use std::fmt;

use crate::words::{count, named};

/// Maximum number of fields that the message about admission names.
const MAX_FIELDS: usize = 8;

/// Time limit of an endpoint's start, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartLimit {
    /// Limit of the engine's start.
    pub startup: i32,
    /// Time in which nodes may be added.
    pub provision: Option<i32>,
}

impl fmt::Display for StartLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.startup.saturating_add(self.provision.unwrap_or(0));
        write!(f, "{all} s (startupTimeoutSeconds {}", self.startup)?;
        if let Some(provision) = self.provision {
            write!(f, " + provisionTimeoutSeconds {provision}")?;
        }
        f.write_str(")")
    }
}

/// Message of an endpoint's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointMessage<'a> {
    /// Its target is unusable.
    TargetUnusable {
        /// The target.
        target: &'a str,
        /// A `CamelCase` reason.
        reason: &'a str,
    },
    /// Its target is unusable, and it answers.
    Isolated {
        /// The target.
        target: &'a str,
        /// A `CamelCase` reason.
        reason: &'a str,
    },
    /// Neither its target nor it answers.
    TargetLost {
        /// The target.
        target: &'a str,
        /// A `CamelCase` reason.
        reason: &'a str,
    },
    /// Neither its target nor any other one answers.
    HubIsolated {
        /// The target.
        target: &'a str,
    },
    /// Its target does not exist.
    TargetMissing(&'a str),
    /// Its deployment does not exist.
    DeploymentMissing {
        /// Name of the deployment.
        name: &'a str,
        /// UID of the deployment.
        uid: &'a str,
    },
    /// Its deployment is being deleted.
    DeploymentDeleting(&'a str),
    /// It drains, and its target does not have it any more.
    GoneWhileDraining(&'a str),
    /// A rule forbids its target.
    TargetForbidden {
        /// The target.
        target: &'a str,
        /// A `CamelCase` reason.
        rule: &'a str,
    },
    /// A Secret of the deployment does not exist.
    SecretMissing {
        /// Namespace of the Secret.
        namespace: &'a str,
        /// Name of the Secret.
        name: &'a str,
    },
    /// A Secret of the deployment lacks a key.
    SecretKeyMissing {
        /// Namespace of the Secret.
        namespace: &'a str,
        /// Name of the Secret.
        name: &'a str,
        /// The missing key.
        key: &'a str,
    },
    /// The Secrets of the deployment are too large.
    SecretsTooLarge {
        /// Maximum of all Secrets together, in KiB.
        limit: usize,
        /// Namespace of the Secrets.
        namespace: &'a str,
        /// The Secret with which they exceed the limit.
        name: &'a str,
    },
    /// A Secret of somebody else has the name of the endpoint's key Secret.
    KeyNameTaken {
        /// Namespace of the Secret.
        namespace: &'a str,
        /// Name of the Secret.
        name: &'a str,
    },
    /// The endpoint's key Secret has no valid key.
    KeyInvalid {
        /// Namespace of the Secret.
        namespace: &'a str,
        /// Name of the Secret.
        name: &'a str,
        /// Field of the key.
        field: &'a str,
    },
    /// The target accepted the endpoint, and does not show it.
    NotListed,
    /// It has no replicas by request.
    ScaledToZero,
    /// It answers.
    Answers {
        /// Number of ready replicas.
        replicas: u32,
        /// Its address.
        url: &'a str,
    },
    /// It answers gateways, and not the hub.
    AtGateways {
        /// Its address.
        url: &'a str,
        /// Failure of the hub's probe.
        why: &'a str,
    },
    /// Gateways do not reach it.
    NotAtGateways {
        /// Its address.
        url: &'a str,
    },
    /// Gateways cannot mint its token.
    WithoutToken {
        /// Its address.
        url: &'a str,
    },
    /// No gateway has said whether it answers.
    AwaitingGateways {
        /// Its address.
        url: &'a str,
    },
    /// It takes no new request before an update that restarts its last replica.
    Interrupting {
        /// Its target.
        target: &'a str,
        /// End of the wait for requests in flight.
        deadline: &'a str,
    },
    /// It answers without its key.
    NotProtected,
    /// Its Service has no address.
    NoAddress,
    /// It did not answer in time.
    StartupTimeout {
        /// The limit.
        limit: StartLimit,
        /// Reason of the missing step.
        reason: &'a str,
        /// Message of the missing step.
        message: &'a str,
    },
    /// Admission on its target changes fields of its objects.
    ChangedByAdmission {
        /// The target.
        target: &'a str,
        /// The fields.
        fields: &'a [String],
    },
    /// Its target is connected to another cluster than the one that runs it.
    OtherCluster(&'a str),
}

impl fmt::Display for EndpointMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TargetUnusable { target, reason } => {
                write!(f, "target {target} is unusable ({reason}); see its status")
            }
            Self::Isolated { target, reason } => write!(
                f,
                "target {target} is unusable ({reason}), but the endpoint answers; it stays, and nothing is changed there"
            ),
            Self::TargetLost { target, reason } => {
                write!(f, "target {target} is unusable ({reason}), and the endpoint does not answer")
            }
            Self::HubIsolated { target } => write!(
                f,
                "no target answers, {target} included, so the hub is presumed cut off; nothing is replaced. Check the network \
                 of the hub"
            ),
            Self::TargetMissing(target) => {
                write!(
                    f,
                    "target {target} does not exist, so the state of the endpoint is unknown; create the target again"
                )
            }
            Self::DeploymentMissing { name, uid } => {
                write!(f, "ModelDeployment {name} (UID {uid}) of this endpoint does not exist")
            }
            Self::DeploymentDeleting(name) => write!(f, "ModelDeployment {name} of this endpoint is being deleted"),
            Self::GoneWhileDraining(target) => {
                write!(f, "the endpoint drains and is no longer on target {target}; it is not created again")
            }
            Self::TargetForbidden { target, rule } => {
                write!(f, "the rules of the ModelDeployment no longer allow target {target}: {rule}")
            }
            Self::SecretMissing { namespace, name } => {
                write!(f, "Secret {namespace}/{name} of the deployment does not exist; create it")
            }
            Self::SecretKeyMissing { namespace, name, key } => {
                write!(f, "Secret {namespace}/{name} has no key {key:?}, which the deployment needs; add it")
            }
            Self::SecretsTooLarge { limit, namespace, name } => write!(
                f,
                "the Secrets of the deployment exceed {limit} KiB in total (limit passed at {namespace}/{name}); use smaller ones"
            ),
            Self::KeyNameTaken { namespace, name } => write!(
                f,
                "Secret {namespace}/{name} has the name of the endpoint's key Secret but does not belong to Roadstead; copy it \
                 to another name and delete it"
            ),
            Self::KeyInvalid { namespace, name, field } => write!(
                f,
                "Secret {namespace}/{name} has no valid API key in {field:?}; delete it, and the operator recreates it"
            ),
            Self::NotListed => f.write_str("the target has not listed the new endpoint"),
            Self::ScaledToZero => f.write_str("no replicas are wanted; address and key stay"),
            Self::Answers { replicas: 1, url } => write!(f, "1 replica answers at {url}"),
            Self::Answers { replicas, url } => write!(f, "{} answer at {url}", count(*replicas, "replica")),
            Self::AtGateways { url, why } => {
                write!(f, "the gateways reach {url} and the hub does not ({why}); nothing is replaced")
            }
            Self::NotAtGateways { url } => write!(
                f,
                "no gateway reaches {url}, so callers do not get there; check sourceRanges, firewalls and name resolution"
            ),
            Self::WithoutToken { url } => write!(
                f,
                "the gateways cannot mint the token for {url}, so they send it no request; give their pods an identity with the right \
                 to call it. Their logs name the cause"
            ),
            Self::AwaitingGateways { url } => {
                write!(f, "waiting for a gateway to reach {url}; check that gateways run and reach the hub")
            }
            Self::Interrupting { target, deadline } => write!(
                f,
                "{target} has no spare accelerator, so the update restarts the last replica; it takes no new request and restarts \
                 when none is in flight, at {deadline} at the latest. Other endpoints serve meanwhile; if there is none, callers get 503"
            ),
            Self::NotProtected => {
                f.write_str("the endpoint answers /v1/models without the key; the engine must check the key")
            }
            Self::NoAddress => f.write_str("the target has assigned no address to the endpoint"),
            Self::StartupTimeout { limit, reason, message } => {
                write!(f, "no answer from its address within {limit}; {reason}: {message}")
            }
            Self::ChangedByAdmission { target, fields } => write!(
                f,
                "a webhook or policy on target {target} changes these fields, and the operator accepts the changed values: {}; if a \
                 value is wrong, correct the webhook or policy",
                named(fields, MAX_FIELDS)
            ),
            Self::OtherCluster(target) => {
                write!(
                    f,
                    "target {target} now points to another place than the one that runs this endpoint; restore its credentials"
                )
            }
        }
    }
}

/// Note of an event about an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointEvent<'a> {
    /// Its address, or an answer from there, is overdue.
    Overdue {
        /// Message of its condition.
        message: &'a str,
        /// Seconds since its replicas were ready.
        seconds: i64,
    },
    /// Its target confirmed its removal.
    Removed {
        /// The endpoint.
        name: &'a str,
        /// Its target.
        target: &'a str,
        /// Its former cost, such as `$1.00/h`.
        cost: &'a str,
    },
    /// Its removal failed.
    RemovalDelayed {
        /// The endpoint.
        name: &'a str,
        /// Its target.
        target: &'a str,
        /// Its cost, such as `$1.00/h`.
        cost: &'a str,
        /// The provider's message.
        error: &'a str,
    },
    /// An administrator released its record.
    Abandoned {
        /// The annotation that demanded it.
        annotation: &'a str,
        /// Its target.
        target: &'a str,
    },
}

impl fmt::Display for EndpointEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overdue { message, seconds } => {
                write!(f, "{message}; the replicas have been ready for {seconds} s")
            }
            Self::Removed { name, target, cost } => {
                write!(f, "endpoint {name} removed from {target}; {cost} is no longer billed")
            }
            Self::RemovalDelayed { name, target, cost, error } => write!(
                f,
                "cannot remove endpoint {name} from {target}; it may still be billed ({cost}); retrying: {error}"
            ),
            Self::Abandoned { annotation, target } => {
                write!(f, "record released by annotation {annotation}; target {target} has not confirmed the removal")
            }
        }
    }
}
