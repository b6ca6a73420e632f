//! Errors of Google's APIs: a status of google.rpc in JSON (<https://google.aip.dev/193>).

use http::{HeaderMap, StatusCode};
use roadstead_provider::ErrorClass;
use roadstead_rest::{ErrorEnvelope, class_of_status};
use serde::Deserialize;

#[derive(Deserialize)]
struct GoogleRefusal {
    error: RpcStatus,
}

#[derive(Deserialize)]
struct RpcStatus {
    #[serde(default)]
    message: String,
    status: String,
}

/// Reads the error in a body.
#[must_use]
pub fn read_google_error(_: &HeaderMap, body: &[u8]) -> Option<ErrorEnvelope> {
    let GoogleRefusal { error: RpcStatus { message, status } } = serde_json::from_slice(body).ok()?;
    Some(ErrorEnvelope { code: status, message })
}

/// Class of an error.
#[must_use]
pub fn class(status: StatusCode, envelope: &ErrorEnvelope) -> ErrorClass {
    match envelope.code.as_str() {
        "INVALID_ARGUMENT" | "OUT_OF_RANGE" => ErrorClass::Invalid,
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => ErrorClass::Unauthorized,
        "NOT_FOUND" => ErrorClass::NotFound,
        "ALREADY_EXISTS" => ErrorClass::Conflict,
        "RESOURCE_EXHAUSTED" => exhausted(&envelope.message).unwrap_or(ErrorClass::Throttled { after: None }),
        // The state of the resource does not allow it now, or another change came first.
        "FAILED_PRECONDITION" | "ABORTED" => ErrorClass::Transient,
        _ => class_of_status(status),
    }
}

/// Class of an exhausted resource by its words, which alone tell a quota and a lack of machines from too many calls.
#[must_use]
pub fn exhausted(message: &str) -> Option<ErrorClass> {
    if message.contains("quota metrics exceed") {
        Some(ErrorClass::QuotaExceeded)
    } else if message.contains("out of capacity") {
        Some(ErrorClass::CapacityExhausted)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_class_of_its_code_and_where_that_is_not_enough_of_its_words() {
        let quota =
            "The following quota metrics exceed quota limits: aiplatform.googleapis.com/custom_model_serving_l4_gpus";
        let capacity = "Unable to submit request because the service is temporarily out of capacity. Try again later.";
        for (status, code, message, expected) in [
            (400, "INVALID_ARGUMENT", "", ErrorClass::Invalid),
            (400, "FAILED_PRECONDITION", "The endpoint is not empty.", ErrorClass::Transient),
            (401, "UNAUTHENTICATED", "", ErrorClass::Unauthorized),
            (403, "PERMISSION_DENIED", "", ErrorClass::Unauthorized),
            (404, "NOT_FOUND", "", ErrorClass::NotFound),
            (409, "ALREADY_EXISTS", "", ErrorClass::Conflict),
            (409, "ABORTED", "", ErrorClass::Transient),
            (429, "RESOURCE_EXHAUSTED", quota, ErrorClass::QuotaExceeded),
            (429, "RESOURCE_EXHAUSTED", capacity, ErrorClass::CapacityExhausted),
            (429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric", ErrorClass::Throttled { after: None }),
            (503, "UNAVAILABLE", "", ErrorClass::Transient),
        ] {
            let body = serde_json::json!({"error": {"code": status, "message": message, "status": code}}).to_string();
            let envelope = read_google_error(&HeaderMap::new(), body.as_bytes()).unwrap();
            assert_eq!(class(StatusCode::from_u16(status).unwrap(), &envelope), expected, "{code} {message}");
        }
        assert_eq!(read_google_error(&HeaderMap::new(), b"<html>"), None);
    }
}
