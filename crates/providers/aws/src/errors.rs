//! Errors of the JSON services, and the class of each code.

use http::{HeaderMap, StatusCode};
use roadstead_provider::ErrorClass;
use roadstead_rest::{ErrorEnvelope, class_of_status};
use serde::Deserialize;

/// Header that names the error, where the body does not.
const ERROR_TYPE: &str = "x-amzn-errortype";

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "__type", alias = "code", default)]
    type_: String,
    #[serde(alias = "Message", default)]
    message: String,
}

/// Reads an error of a service with the protocol JSON 1.0 or 1.1.
#[must_use]
pub fn read_json_error(headers: &HeaderMap, body: &[u8]) -> Option<ErrorEnvelope> {
    let body: Body = serde_json::from_slice(body).ok()?;
    let header = headers.get(ERROR_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let code = if body.type_.is_empty() { header } else { &body.type_ };
    // The name has a namespace before it, and in headers an address after it.
    let code = code.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default();
    (!code.is_empty()).then(|| ErrorEnvelope { code: code.to_owned(), message: body.message })
}

/// Codes by which a service refuses the credentials or a right.
const UNAUTHORIZED: [&str; 14] = [
    "AccessDenied",
    "AccessDeniedException",
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "OptInRequired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Codes by which a service asks to slow down (aws-runtime, retries/classifiers.rs). `ResourceLimitExceeded` is a quota.
const THROTTLED: [&str; 9] = [
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "PriorRequestNotComplete",
];

/// Class of an error: by its code, which says more than its status.
#[must_use]
pub fn class(status: StatusCode, error: &ErrorEnvelope) -> ErrorClass {
    match error.code.as_str() {
        code if UNAUTHORIZED.contains(&code) => ErrorClass::Unauthorized,
        code if THROTTLED.contains(&code) => ErrorClass::Throttled { after: None },
        "ResourceLimitExceeded" | "ServiceQuotaExceededException" => ErrorClass::QuotaExceeded,
        "ResourceNotFound" | "ResourceNotFoundException" => ErrorClass::NotFound,
        "ResourceInUse" | "ResourceInUseException" | "ConflictException" | "ResourceAlreadyExists" => {
            ErrorClass::Conflict
        }
        "InternalFailure" | "InternalServerError" | "ServiceUnavailable" | "RequestTimeout" | "RequestExpired" => {
            ErrorClass::Transient
        }
        _ => class_of_status(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_found_in_the_body_or_in_the_header() {
        let mut headers = HeaderMap::new();
        let body = br#"{"__type": "com.amazonaws.sagemaker#ValidationException", "message": "no"}"#;
        assert_eq!(read_json_error(&headers, body).unwrap().code, "ValidationException");
        assert_eq!(
            read_json_error(&headers, br#"{"__type": "Throttling", "Message": "slow"}"#).unwrap().message,
            "slow"
        );
        assert_eq!(read_json_error(&headers, b"{}"), None, "an object without a code is no error of AWS");
        assert_eq!(read_json_error(&headers, b"<html>"), None);
        headers.insert(ERROR_TYPE, "AccessDeniedException:http://internal.amazon.com/".parse().unwrap());
        assert_eq!(read_json_error(&headers, br#"{"message": "no"}"#).unwrap().code, "AccessDeniedException");
    }

    #[test]
    fn a_code_decides_before_the_status() {
        let class = |code: &str| {
            super::class(StatusCode::BAD_REQUEST, &ErrorEnvelope { code: code.to_owned(), message: String::new() })
        };
        for (code, expected) in [
            ("AccessDeniedException", ErrorClass::Unauthorized),
            ("ExpiredTokenException", ErrorClass::Unauthorized),
            ("ThrottlingException", ErrorClass::Throttled { after: None }),
            ("ResourceLimitExceeded", ErrorClass::QuotaExceeded),
            ("ResourceNotFound", ErrorClass::NotFound),
            ("ResourceInUse", ErrorClass::Conflict),
            ("InternalFailure", ErrorClass::Transient),
            ("ValidationException", ErrorClass::Invalid),
        ] {
            assert_eq!(class(code), expected, "{code}");
        }
    }
}
