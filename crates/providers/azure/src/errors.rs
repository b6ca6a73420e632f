//! Errors of Azure Resource Manager and its resource providers.

use http::{HeaderMap, StatusCode};
use roadstead_provider::ErrorClass;
use roadstead_rest::{ErrorEnvelope, class_of_status};
use serde::Deserialize;

#[derive(Deserialize)]
struct ArmRefusal {
    error: ArmError,
}

#[derive(Deserialize)]
struct ArmError {
    code: String,
    #[serde(default)]
    message: String,
}

/// Reads the error in a body.
#[must_use]
pub fn read_arm_error(_: &HeaderMap, body: &[u8]) -> Option<ErrorEnvelope> {
    let ArmRefusal { error: ArmError { code, message } } = serde_json::from_slice(body).ok()?;
    Some(ErrorEnvelope { code, message })
}

/// Codes of what is missing above a resource: they say nothing of the resource itself.
const ABOVE: [&str; 3] = ["ParentResourceNotFound", "ResourceGroupNotFound", "SubscriptionNotFound"];

/// Class of an error.
#[must_use]
pub fn class(status: StatusCode, envelope: &ErrorEnvelope) -> ErrorClass {
    let ErrorEnvelope { code, message } = envelope;
    if let Some(class) = exhausted(code, message) {
        return class;
    }
    match class_of_status(status) {
        ErrorClass::NotFound if ABOVE.contains(&code.as_str()) => ErrorClass::Transient,
        // A resource provider answers 429 also where another change of the same resource is under way.
        ErrorClass::Throttled { .. } if code == "RetryableErrorDueToAnotherOperation" => ErrorClass::Conflict,
        // Another change in the same account: the service asks for a later try.
        ErrorClass::Conflict if code == "RequestConflict" => ErrorClass::Transient,
        class => class,
    }
}

/// Class of a quota or of a lack of machines, by code and words. Azure ML has one code for both (`OutOfQuota`).
#[must_use]
pub fn exhausted(code: &str, message: &str) -> Option<ErrorClass> {
    let told = |words: &[&str]| words.iter().any(|words| message.contains(words));
    if ["InsufficientCapacity", "OutOfCapacity"].contains(&code)
        || told(&["lack of Azure Machine Learning capacity", "not enough capacity"])
    {
        Some(ErrorClass::CapacityExhausted)
    } else if ["InsufficientQuota", "OutOfQuota", "QuotaExceeded"].contains(&code) || told(&["Not enough quota"]) {
        Some(ErrorClass::QuotaExceeded)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_class_of_its_status_and_where_that_is_not_enough_of_its_code_and_words() {
        let capacity = "The specified VM Size failed to provision due to a lack of Azure Machine Learning capacity.";
        let quota = "error detail: {\"errors\":{\"VmSize\":[\"Not enough quota available for Standard_F4s_v2\"]}}";
        for (status, code, message, expected) in [
            (400, "BadRequest", "", ErrorClass::Invalid),
            (400, "BadRequest", quota, ErrorClass::QuotaExceeded),
            (400, "InsufficientQuota", "", ErrorClass::QuotaExceeded),
            (400, "OutOfQuota", capacity, ErrorClass::CapacityExhausted),
            (400, "OutOfQuota", "", ErrorClass::QuotaExceeded),
            (401, "ExpiredAuthenticationToken", "", ErrorClass::Unauthorized),
            (403, "AuthorizationFailed", "", ErrorClass::Unauthorized),
            (404, "ResourceNotFound", "", ErrorClass::NotFound),
            (404, "ResourceGroupNotFound", "", ErrorClass::Transient),
            (409, "Conflict", "", ErrorClass::Conflict),
            (400, "InsufficientCapacity", "", ErrorClass::CapacityExhausted),
            (409, "RequestConflict", "", ErrorClass::Transient),
            (429, "TooManyRequests", "", ErrorClass::Throttled { after: None }),
            (429, "RetryableErrorDueToAnotherOperation", "", ErrorClass::Conflict),
            (503, "ServiceUnavailable", "", ErrorClass::Transient),
        ] {
            let body = serde_json::json!({"error": {"code": code, "message": message}}).to_string();
            let envelope = read_arm_error(&HeaderMap::new(), body.as_bytes()).unwrap();
            assert_eq!(class(StatusCode::from_u16(status).unwrap(), &envelope), expected, "{code} {message}");
        }
        assert_eq!(read_arm_error(&HeaderMap::new(), b"<html>"), None);
    }
}
