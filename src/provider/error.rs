//! The classes of failure. The class decides what happens next; the text is for people.

use std::fmt;
use std::time::Duration;

use super::kubernetes::refusal;
use crate::kube_ext::client::CallError;
use crate::text::{bounded, bounded_with};

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// Passes by itself: repeated with backoff.
    Transient,
    /// The provider asks to slow down.
    Throttled {
        /// How long it asks to wait.
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
    /// The thing, or what it stands in, is not there.
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

    /// The class in `CamelCase`, as it stands in `status.lastError.class` and in metrics.
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
    /// What kind of failure it was.
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

impl From<CallError> for ProviderError {
    fn from(error: CallError) -> Self {
        let class = class_of(&error);
        let refused = matches!(class, ErrorClass::Refused | ErrorClass::QuotaExceeded);
        match error.status().filter(|_| refused) {
            Some(status) => Self::new(class, bounded_with(&error.to_string(), refusal::cure(&status.message))),
            None => Self::new(class, &error),
        }
    }
}

/// The class of an API server's refusal, by its status code and reason.
fn class_of(error: &CallError) -> ErrorClass {
    let Some(status) = error.status() else {
        return ErrorClass::Transient;
    };
    let retry_after = status.details.as_ref().map(|details| details.retry_after_seconds).filter(|after| *after > 0);
    if let Some(class) = refusal::class_of_object(status.code, &status.message) {
        return class;
    }
    match status.code {
        401 | 403 => ErrorClass::Unauthorized,
        404 => ErrorClass::NotFound,
        400 | 413 | 422 => ErrorClass::Invalid,
        429 => ErrorClass::Throttled { after: retry_after.map(|after| Duration::from_secs(u64::from(after))) },
        // A 409 too: it was changed or made in between, and the next look shows by whom.
        _ => ErrorClass::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn refused(code: u16, message: &str) -> ErrorClass {
        let status = Status { code, message: message.to_owned(), ..Status::default() };
        class_of(&CallError::Kube { call: "get", source: Box::new(kube::Error::Api(Box::new(status))) })
    }

    /// The class that is declared after this one: a new one does not compile until it stands here.
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

    #[test]
    fn the_status_code_decides_the_class() {
        assert_eq!(refused(401, "Unauthorized"), ErrorClass::Unauthorized);
        assert_eq!(refused(403, "pods is forbidden: User cannot list"), ErrorClass::Unauthorized);
        assert_eq!(refused(403, "forbidden: exceeded quota: gpus, requested: 8"), ErrorClass::QuotaExceeded);
        assert_eq!(refused(400, "admission webhook \"w\" denied the request: no"), ErrorClass::Refused);
        assert_eq!(refused(422, "spec.replicas: Invalid value"), ErrorClass::Invalid);
        assert_eq!(refused(429, "slow down"), ErrorClass::Throttled { after: None });
        assert_eq!(refused(503, "etcd"), ErrorClass::Transient);
        assert_eq!(refused(409, "the object has been modified"), ErrorClass::Transient);
        assert_eq!(class_of(&CallError::Timeout { call: "get" }), ErrorClass::Transient);
    }
}
