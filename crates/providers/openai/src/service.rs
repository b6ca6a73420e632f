//! The service as calls see it.
//!
//! Source: <https://github.com/openai/openai-openapi>, `GET /models` and `ErrorResponse`. Other vendors return parts of that error,
//! so everything but the message is optional.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use roadstead_provider::ErrorClass;
use roadstead_rest::{CallEffect, ErrorEnvelope, Pace, RestCall, ServiceProfile, class_of_status};
use roadstead_runtime::rate::RateLimit;
use serde::Deserialize;

/// Name of the service in metrics.
pub const NAME: &str = "openaicompatible";

/// Every operation of the driver, as metrics name it.
pub const OPERATIONS: [&str; 1] = ["models"];

/// A hosted vendor.
pub const PROFILE: ServiceProfile = ServiceProfile {
    name: NAME,
    title: "hosted vendor",
    deadline: Duration::from_secs(10),
    max_answer_bytes: 8 * 1024 * 1024,
    paces: &[Pace { operations: &[], rate: RateLimit { burst: 10, interval: Duration::from_secs(1) } }],
    request_id: "x-request-id",
    read_error,
    rights: &[],
    class,
};

#[derive(Deserialize)]
#[serde(untagged)]
enum VendorError {
    Envelope { error: Detail },
    Plain { message: String },
}

#[derive(Deserialize)]
struct Detail {
    message: String,
    #[serde(default)]
    code: Option<serde_json::Value>,
}

fn read_error(_: &HeaderMap, body: &[u8]) -> Option<ErrorEnvelope> {
    Some(match serde_json::from_slice(body).ok()? {
        VendorError::Envelope { error: Detail { message, code } } => {
            let code = code.and_then(|code| code.as_str().map(ToOwned::to_owned)).unwrap_or_default();
            ErrorEnvelope { code, message }
        }
        VendorError::Plain { message } => ErrorEnvelope { code: String::new(), message },
    })
}

fn class(status: StatusCode, _: &ErrorEnvelope) -> ErrorClass {
    class_of_status(status)
}

/// Lists the vendor's models: the cheapest question that needs the key.
#[must_use]
pub fn models() -> RestCall {
    RestCall::new("models", CallEffect::Reads, Method::GET, "/models")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_several_vendors_are_read() {
        for (body, code, message) in [
            (
                r#"{"error": {"message": "Incorrect API key provided", "type": "a", "param": null, "code": "invalid_api_key"}}"#,
                "invalid_api_key",
                "Incorrect API key provided",
            ),
            (r#"{"error": {"message": "no", "code": 401}}"#, "", "no"),
            (r#"{"message": "Unauthorized", "request_id": "a"}"#, "", "Unauthorized"),
        ] {
            let read = read_error(&HeaderMap::new(), body.as_bytes()).unwrap();
            assert_eq!((read.code.as_str(), read.message.as_str()), (code, message));
        }
        assert_eq!(read_error(&HeaderMap::new(), b"<html>"), None);
    }
}
