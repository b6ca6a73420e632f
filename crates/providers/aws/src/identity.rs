//! STS: the account that the credentials belong to.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::{CallEffect, ErrorEnvelope, RestCall, RestClient, ServiceProfile};

use crate::errors::class;

/// The one operation; every identity may call it.
pub const IDENTITY_OPERATION: &str = "GetCallerIdentity";
/// Digits of an account's id.
const ACCOUNT_DIGITS: usize = 12;

/// STS as a service.
#[must_use]
pub const fn sts_profile(deadline: Duration) -> ServiceProfile {
    ServiceProfile {
        name: "sts",
        title: "STS",
        deadline,
        max_answer_bytes: 64 * 1024,
        paces: &[],
        request_id: "x-amzn-requestid",
        read_error,
        rights: &[],
        class,
    }
}

/// The account of the caller: twelve digits.
///
/// # Errors
/// The failure of the call; `Transient` where the answer names no account.
pub async fn caller_account(sts: &RestClient) -> Result<String, ProviderError> {
    let call = RestCall::new(IDENTITY_OPERATION, CallEffect::Reads, Method::POST, "/");
    let call = call.header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let body = format!("Action={IDENTITY_OPERATION}&Version=2011-06-15");
    let answer = sts.call(RestCall { body: body.into(), ..call }).await?;
    let account = element(&answer.body, "Account").filter(|account| is_account(account));
    account.ok_or_else(|| {
        ProviderError::new(ErrorClass::Transient, format!("{}: the answer names no account", answer.what))
    })
}

fn is_account(text: &str) -> bool {
    text.len() == ACCOUNT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads an error of the query protocol.
fn read_error(_: &HeaderMap, body: &[u8]) -> Option<ErrorEnvelope> {
    let code = element(body, "Code").filter(|code| !code.is_empty())?;
    Some(ErrorEnvelope { code, message: element(body, "Message").unwrap_or_default() })
}

/// Text of the first element of this name. The two answers that are read have no attributes, comments or nested elements
/// of the same name.
fn element(body: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (inside, _) = rest.split_once(&format!("</{name}>"))?;
    Some(inside.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_and_errors_are_read_from_xml() {
        let body = b"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:x</Arn>\
            <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
        assert_eq!(element(body, "Account").as_deref(), Some("123456789012"));
        let refused =
            b"<ErrorResponse><Error><Code>ExpiredToken</Code><Message>it is over</Message></Error></ErrorResponse>";
        let envelope = read_error(&HeaderMap::new(), refused).unwrap();
        assert_eq!((envelope.code.as_str(), envelope.message.as_str()), ("ExpiredToken", "it is over"));
        assert_eq!(read_error(&HeaderMap::new(), b"<html><body>no</body></html>"), None);
    }

    #[test]
    fn an_account_has_twelve_digits() {
        assert!(is_account("123456789012"));
        assert!(!is_account("12345678901") && !is_account("12345678901a") && !is_account("../456789012"));
    }
}
