//! Errors of services that give tokens (RFC 6749, section 5.2).

use http::{HeaderMap, StatusCode};
use roadstead_provider::ErrorClass;
use serde::Deserialize;

use crate::profile::{ErrorEnvelope, class_of_status};

/// Begin of the ids and the time that Entra ID appends to its sentence. They are others at each attempt, and one of them is in a header too.
/// Source: Microsoft identity platform, "Authentication and authorization error codes", handling error codes.
const TRACE: &str = "Trace ID: ";

/// Reads an error of the OAuth protocol.
#[must_use]
pub fn read_oauth_error(_: &HeaderMap, body: &[u8]) -> Option<ErrorEnvelope> {
    #[derive(Deserialize)]
    struct OauthError {
        error: String,
        #[serde(default)]
        error_description: String,
    }
    let OauthError { error, error_description } = serde_json::from_slice(body).ok()?;
    let message = error_description.split(TRACE).next().unwrap_or_default().trim_end().to_owned();
    Some(ErrorEnvelope { code: error, message })
}

/// Class of such an error: what is not for another time says that the identity is not accepted.
#[must_use]
pub fn class_of_oauth(status: StatusCode, envelope: &ErrorEnvelope) -> ErrorClass {
    match class_of_status(status) {
        class @ (ErrorClass::Transient | ErrorClass::Throttled { .. }) => class,
        _ if envelope.code == "temporarily_unavailable" => ErrorClass::Transient,
        _ => ErrorClass::Unauthorized,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_of_the_identity_unless_it_is_for_another_time() {
        let envelope = read_oauth_error(&HeaderMap::new(), br#"{"error": "invalid_grant", "error_description": "a"}"#);
        let envelope = envelope.unwrap();
        assert_eq!((envelope.code.as_str(), envelope.message.as_str()), ("invalid_grant", "a"));
        let class = |status| class_of_oauth(StatusCode::from_u16(status).unwrap(), &envelope);
        assert_eq!(class(400), ErrorClass::Unauthorized);
        assert_eq!(class(503), ErrorClass::Transient);
        assert!(matches!(class(429), ErrorClass::Throttled { .. }));
        assert_eq!(read_oauth_error(&HeaderMap::new(), b"<html>"), None);
    }

    #[test]
    fn a_refusal_of_entra_is_the_same_sentence_at_each_attempt() {
        let said = |trace: &str| {
            let sentence = "AADSTS7000215: Invalid client secret provided.";
            let body = serde_json::json!({
                "error": "invalid_client",
                "error_description": format!("{sentence} Trace ID: {trace} Correlation ID: {trace} Timestamp: 2026-12-01 10:00:00Z"),
            });
            read_oauth_error(&HeaderMap::new(), body.to_string().as_bytes()).unwrap().message
        };
        assert_eq!(said("1a2b"), "AADSTS7000215: Invalid client secret provided.");
        assert_eq!(said("1a2b"), said("3c4d"));
    }
}
