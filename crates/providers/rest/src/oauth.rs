//! Errors of services that give tokens (RFC 6749, section 5.2).

use http::{HeaderMap, StatusCode};
use roadstead_provider::ErrorClass;
use serde::Deserialize;

use crate::profile::{ErrorEnvelope, class_of_status};

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
    Some(ErrorEnvelope { code: error, message: error_description })
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
}
