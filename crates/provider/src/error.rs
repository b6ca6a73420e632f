//! The classes of failure. The class decides what happens next; the text is for people.

use std::fmt;
use std::time::Duration;

use roadstead_runtime::text::bounded;

/// Class of the failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Passes by itself: repeated with backoff.
    Transient,
    /// The provider asks to slow down.
    Throttled {
        /// Requested pause.
        after: Option<Duration>,
    },
    /// The place has no room: the deployment is planned elsewhere.
    CapacityExhausted,
    /// The account may use no more: the deployment is planned elsewhere.
    QuotaExceeded,
    /// The request can never succeed as it is: the user must change something.
    Invalid,
    /// A rule of the place refuses it, such as a policy: the deployment is planned elsewhere.
    Refused,
    /// The credentials are refused.
    Unauthorized,
    /// The object, or its container, does not exist.
    NotFound,
    /// Somebody else's thing has the name.
    Conflict,
    /// A defect of Roadstead.
    Bug,
}

impl ErrorClass {
    /// The names of all classes.
    pub const NAMES: [&'static str; 10] = [
        "Transient",
        "Throttled",
        "CapacityExhausted",
        "QuotaExceeded",
        "Invalid",
        "Refused",
        "Unauthorized",
        "NotFound",
        "Conflict",
        "Bug",
    ];

    /// The class in `CamelCase`, as in `status.lastError.class` and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "Transient",
            Self::Throttled { .. } => "Throttled",
            Self::CapacityExhausted => "CapacityExhausted",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::Invalid => "Invalid",
            Self::Refused => "Refused",
            Self::Unauthorized => "Unauthorized",
            Self::NotFound => "NotFound",
            Self::Conflict => "Conflict",
            Self::Bug => "Bug",
        }
    }
}

/// A provider's failure: its class, and a bounded message without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// Class of the failure.
    pub class: ErrorClass,
    /// A sentence for people.
    pub message: String,
}

impl ProviderError {
    /// An error of `class`; the message is bounded here.
    #[must_use]
    pub fn new(class: ErrorClass, message: impl fmt::Display) -> Self {
        Self { class, message: bounded(&message.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The class that is declared after this one: a new one does not compile until it is added here.
    fn next(class: ErrorClass) -> Option<ErrorClass> {
        match class {
            ErrorClass::Transient => Some(ErrorClass::Throttled { after: None }),
            ErrorClass::Throttled { .. } => Some(ErrorClass::CapacityExhausted),
            ErrorClass::CapacityExhausted => Some(ErrorClass::QuotaExceeded),
            ErrorClass::QuotaExceeded => Some(ErrorClass::Invalid),
            ErrorClass::Invalid => Some(ErrorClass::Refused),
            ErrorClass::Refused => Some(ErrorClass::Unauthorized),
            ErrorClass::Unauthorized => Some(ErrorClass::NotFound),
            ErrorClass::NotFound => Some(ErrorClass::Conflict),
            ErrorClass::Conflict => Some(ErrorClass::Bug),
            ErrorClass::Bug => None,
        }
    }

    #[test]
    fn every_class_is_among_the_names() {
        let all = std::iter::successors(Some(ErrorClass::Transient), |class| next(*class));
        assert_eq!(all.map(ErrorClass::as_str).collect::<Vec<_>>(), ErrorClass::NAMES);
    }
}
