//! Description of a service: its limits, and the form and meaning of its errors.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use roadstead_provider::ErrorClass;

use crate::pace::Pace;

/// Longer pauses that a service asks for are cut to this one.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Constants of one service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceProfile {
    /// Name in metrics, such as `sagemaker`.
    pub name: &'static str,
    /// Name in messages, such as `SageMaker`.
    pub title: &'static str,
    /// Longest time of one call: its turn, its credentials, and everything from the connection to the last byte.
    pub deadline: Duration,
    /// Bytes of a longer answer are not read.
    pub max_answer_bytes: usize,
    /// Rates that the service allows.
    pub paces: &'static [Pace],
    /// Header of the request's id in an answer, in lower case.
    pub request_id: &'static str,
    /// Reads the error in the body of an answer; `None` if it is not an error of this service.
    pub read_error: fn(&HeaderMap, &[u8]) -> Option<ErrorEnvelope>,
    /// Rights at the service, each with the operations that need it; empty where its own refusals name the right.
    pub rights: &'static [(&'static str, &'static [&'static str])],
    /// Class of an error with this status; most services need only [`class_of_status`].
    pub class: fn(StatusCode, &ErrorEnvelope) -> ErrorClass,
}

impl ServiceProfile {
    /// The right that an operation needs.
    #[must_use]
    pub fn right(&self, operation: &str) -> Option<&'static str> {
        let (right, _) = self.rights.iter().find(|(_, operations)| operations.contains(&operation))?;
        Some(right)
    }
}

/// An error in the words of its service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorEnvelope {
    /// The service's name of the error, such as `ThrottlingException`; empty if it has none.
    pub code: String,
    /// The service's sentence; untrusted.
    pub message: String,
}

/// Class of a failure by its HTTP status alone.
#[must_use]
pub fn class_of_status(status: StatusCode) -> ErrorClass {
    match status.as_u16() {
        401 | 403 => ErrorClass::Unauthorized,
        402 => ErrorClass::Refused,
        404 => ErrorClass::NotFound,
        409 => ErrorClass::Conflict,
        429 => ErrorClass::Throttled { after: None },
        400..=407 | 410..=424 | 426..=499 => ErrorClass::Invalid,
        _ => ErrorClass::Transient,
    }
}

/// Pause in seconds that an answer asks for. A date is not read: it depends on the service's clock.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_the_class_that_decides_what_is_done() {
        let class = |status| class_of_status(StatusCode::from_u16(status).unwrap());
        for (status, expected) in [
            (301, ErrorClass::Transient),
            (400, ErrorClass::Invalid),
            (401, ErrorClass::Unauthorized),
            (402, ErrorClass::Refused),
            (403, ErrorClass::Unauthorized),
            (404, ErrorClass::NotFound),
            (408, ErrorClass::Transient),
            (409, ErrorClass::Conflict),
            (422, ErrorClass::Invalid),
            (425, ErrorClass::Transient),
            (429, ErrorClass::Throttled { after: None }),
            (500, ErrorClass::Transient),
            (503, ErrorClass::Transient),
        ] {
            assert_eq!(class(status), expected, "{status}");
        }
    }

    #[test]
    fn a_pause_is_read_in_seconds_and_bounded() {
        let pause = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(pause("7"), Some(Duration::from_secs(7)));
        assert_eq!(pause("999999999"), Some(LONGEST_PAUSE));
        assert_eq!(pause("Tue, 01 Dec 2026 00:00:00 GMT"), None);
        assert_eq!(pause("-1"), None);
    }
}
