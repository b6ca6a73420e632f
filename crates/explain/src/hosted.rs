//! Messages about the hosted models of a deployment.

use std::fmt;

/// Message about the hosted models that a deployment names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostedMessage<'a> {
    /// No gateway could send requests to one.
    NoGateway,
    /// There is no target of this name.
    TargetMissing {
        /// The target.
        target: &'a str,
    },
    /// The target is no hosted vendor.
    NoVendor {
        /// The target.
        target: &'a str,
    },
    /// The operator was built without the driver.
    DriverMissing,
    /// The target does not offer the model.
    ModelNotOffered {
        /// The target.
        target: &'a str,
        /// The model.
        model: &'a str,
        /// Models that it offers.
        offered: &'a [String],
    },
    /// A price of the model is no amount.
    PriceUnknown {
        /// The target.
        target: &'a str,
        /// The model.
        model: &'a str,
    },
    /// A rule of the deployment or of the target keeps its requests away.
    Forbidden {
        /// The target.
        target: &'a str,
        /// The rule, in a sentence.
        rule: &'a str,
    },
    /// The key of the vendor cannot be read.
    NoKey {
        /// The target.
        target: &'a str,
        /// The cause, in a sentence.
        cause: &'a str,
    },
    /// These take requests.
    Serving(&'a [String]),
    /// These have reached their ceilings of cost.
    CeilingReached(&'a [String]),
    /// These would take requests.
    StandBy(&'a [String]),
    /// None can take requests; the reasons, in sentences.
    Unavailable(&'a [String]),
}

impl fmt::Display for HostedMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGateway => f.write_str(
                "a hosted model needs a gateway, and this installation has none; install the chart roadstead-gateway",
            ),
            Self::TargetMissing { target } => {
                write!(f, "target {target} does not exist; create it, or correct spec.failover.hosted")
            }
            Self::NoVendor { target } => {
                write!(
                    f,
                    "target {target} is not of type OpenAICompatible; name one of that type in spec.failover.hosted"
                )
            }
            Self::DriverMissing => f.write_str(
                "this operator was built without the driver for type OpenAICompatible; build it with the feature \
                 openai-compatible",
            ),
            Self::ModelNotOffered { target, model, offered } => {
                write!(f, "target {target} does not offer model {model}; it offers {}", offered.join(", "))
            }
            Self::PriceUnknown { target, model } => {
                write!(f, "the price of model {model} at target {target} is not an amount; correct it in the target")
            }
            Self::Forbidden { target, rule } => write!(f, "target {target}: {rule}"),
            Self::NoKey { target, cause } => write!(f, "target {target}: {cause}"),
            Self::Serving(models) => {
                write!(f, "answering requests that no endpoint of this deployment answers: {}", models.join(", "))
            }
            Self::CeilingReached(models) => {
                write!(
                    f,
                    "closed until the next hour begins, because the ceiling of cost is reached: {}",
                    models.join(", ")
                )
            }
            Self::StandBy(models) => {
                write!(f, "standing by for requests that no endpoint answers: {}", models.join(", "))
            }
            Self::Unavailable(causes) => f.write_str(&causes.join("; ")),
        }
    }
}

/// Name of a hosted model in a sentence.
#[must_use]
pub fn hosted_model(model: &str, target: &str) -> String {
    format!("model {model} of {target}")
}
