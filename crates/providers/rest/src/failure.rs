//! Failure of a call: its class for the core, and the service's own words for the driver.

use std::fmt;

use http::StatusCode;
use roadstead_provider::{ErrorClass, ProviderError};

use crate::profile::ErrorEnvelope;

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct RestFailure {
    /// Class and message: bounded, without secrets, with the id of the request.
    pub error: ProviderError,
    /// HTTP status; `None` where nothing was answered, and what became of the call is unknown.
    pub status: Option<StatusCode>,
    /// The error in the service's words, as far as it is one of the service's own; the message is untrusted.
    pub envelope: Option<ErrorEnvelope>,
}

impl RestFailure {
    /// A failure without an answer.
    #[must_use]
    pub fn unanswered(class: ErrorClass, message: impl fmt::Display) -> Self {
        ProviderError::new(class, message).into()
    }

    /// The service's name of the error; empty if it gave none.
    #[must_use]
    pub fn code(&self) -> &str {
        self.envelope.as_ref().map_or("", |envelope| &envelope.code)
    }

    /// The service's sentence; empty if it gave none. It is untrusted: compare it, and show [`error`](Self::error).
    #[must_use]
    pub fn message(&self) -> &str {
        self.envelope.as_ref().map_or("", |envelope| &envelope.message)
    }

    /// The same failure of another class, which the driver knows better.
    #[must_use]
    pub fn of_class(self, class: ErrorClass) -> Self {
        Self { error: ProviderError { class, ..self.error }, ..self }
    }
}

/// Words of a refusal for a missing right, without the id of the request, which is another one at each attempt; `None` for other failures.
#[must_use]
pub fn refusal(error: &ProviderError) -> Option<String> {
    let words = error.message.rsplit_once("; HTTP ").map_or(error.message.as_str(), |(words, _)| words);
    (error.class == ErrorClass::Unauthorized).then(|| words.to_owned())
}

impl From<ProviderError> for RestFailure {
    fn from(error: ProviderError) -> Self {
        Self { error, status: None, envelope: None }
    }
}

impl From<RestFailure> for ProviderError {
    fn from(failure: RestFailure) -> Self {
        failure.error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_same_at_each_attempt_and_other_failures_are_none() {
        let failed = |class, request: u32| {
            refusal(&ProviderError::new(class, format!("Example List: no; HTTP 403, request id-{request}")))
        };
        assert_eq!(failed(ErrorClass::Unauthorized, 1).as_deref(), Some("Example List: no"));
        assert_eq!(failed(ErrorClass::Unauthorized, 2), failed(ErrorClass::Unauthorized, 1));
        assert_eq!(failed(ErrorClass::Transient, 1), None);
    }
}
