//! The result of one look at an endpoint.

use super::heard::Heard;
use roadstead_api::v1alpha1::ExternalId;
use roadstead_provider::{Present, ProviderError};

/// Observation of an endpoint.
pub enum Seen {
    /// Its target cannot be asked.
    TargetNotReady {
        /// The reason; the message is in the target's own status, because it changes with every attempt.
        reason: &'static str,
        /// The endpoint's own answer, if it was asked.
        answer: Heard,
        /// No target answers: the hub is presumed to be cut off.
        hub_isolated: bool,
    },
    /// There is no such target any more.
    TargetGone,
    /// Something that it is made from is not there.
    InputMissing {
        /// A `CamelCase` reason.
        reason: &'static str,
        /// The missing input.
        message: String,
    },
    /// It may not be created there.
    Forbidden {
        /// Why.
        message: String,
    },
    /// Something that is not ours has its name.
    Foreign {
        /// The problem.
        message: String,
    },
    /// The provider refused or did not answer.
    Failed {
        /// The error.
        error: ProviderError,
        /// Identity of an endpoint that was made before that.
        made: Option<ExternalId>,
        /// The existing part of the endpoint, if it was observed: it may run and be billed.
        there: Option<Box<Present>>,
        /// The endpoint's own answer, if it was asked.
        answer: Heard,
    },
    /// It is there.
    Present {
        /// As the provider shows it.
        present: Box<Present>,
        /// Its answer, if it was asked.
        answer: Heard,
    },
}
