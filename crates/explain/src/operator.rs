//! Messages about the operator itself, in conditions of the objects that it cannot reconcile and in its log.

use std::fmt;

/// Obstacle to the operator's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorMessage<'a> {
    /// It panicked.
    Panicked,
    /// Its plan breaks hard rules.
    Unsound(&'a str),
    /// The hub refuses a write.
    WriteRefused {
        /// The write.
        verb: &'a str,
        /// Kind and name of the object.
        object: &'a str,
        /// The hub's answer.
        answer: &'a str,
    },
    /// The hub refuses a read with this answer.
    ReadRefused(&'a str),
    /// An object changed between a read and a write.
    Stale(&'a str),
    /// The system returned no random bytes.
    NoRandomBytes(&'a str),
    /// Endpoints of another installation are on the hub.
    OtherInstallation {
        /// An endpoint of the other installation.
        endpoint: &'a str,
        /// Name of that endpoint's Deployment.
        deployment: &'a str,
        /// Id of the other installation, if its record has it.
        theirs: Option<&'a str>,
        /// Id of this operator.
        ours: &'a str,
        /// Label of an installation's id.
        label: &'a str,
    },
}

impl fmt::Display for OperatorMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked => f.write_str(
                "internal error: the operator failed on this object and retries; running endpoints stay. Report the \
                 operator's log to its maintainers",
            ),
            Self::Unsound(violations) => write!(
                f,
                "internal error: the plan breaks a hard rule, so the operator does not execute it; running endpoints stay. \
                 Report this to its maintainers: {violations}"
            ),
            Self::WriteRefused { verb, object, answer } => write!(f, "the hub refuses to {verb} {object}: {answer}"),
            Self::ReadRefused(answer) => write!(f, "a request to the hub failed: {answer}"),
            Self::Stale(object) => write!(f, "{object} has changed since it was read; retrying"),
            Self::NoRandomBytes(error) => write!(f, "the system returned no random bytes for an API key: {error}"),
            Self::OtherInstallation { endpoint, theirs: Some(theirs), ours, .. } => write!(
                f,
                "InferenceEndpoint {endpoint} belongs to installation {theirs:?}; this operator is {ours:?} and does no \
                 work while such endpoints exist. Set installId back to {theirs:?}. To change the id on purpose, delete \
                 all ModelDeployments under {theirs:?} first and wait until they are gone"
            ),
            Self::OtherInstallation { endpoint, deployment, theirs: None, ours, label } => write!(
                f,
                "InferenceEndpoint {endpoint} belongs to another installation, which its record does not name; this \
                 operator is {ours:?} and does no work while such endpoints exist. Read the label {label} of Deployment \
                 {deployment} on its target's cluster, and set installId back to that id. To change the id on purpose, \
                 delete all ModelDeployments under the former id first and wait until they are gone"
            ),
        }
    }
}

/// An obstacle at the hub, with the cure.
#[must_use]
pub fn with_hub_cure(obstacle: &str) -> String {
    format!(
        "{obstacle}; the operator retries; correct the quota, the admission policy or the operator's rights on the hub"
    )
}
