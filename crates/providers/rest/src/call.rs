//! One call to a service, as plain data.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use roadstead_provider::{ErrorClass, ProviderError};
use serde::Serialize;

/// Effect of a call at the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEffect {
    /// It changes nothing.
    Reads,
    /// It creates, changes or deletes something: it is sent only while the process leads.
    Writes,
}

/// One call.
#[derive(Debug, Clone)]
pub struct RestCall {
    /// The service's name of the operation, such as `CreateEndpoint`; a label of metrics, so one of a small fixed set.
    pub operation: &'static str,
    /// Effect at the service.
    pub effect: CallEffect,
    /// HTTP method.
    pub method: Method,
    /// Path and query below the base address, beginning with a slash and percent-encoded.
    pub path: String,
    /// Headers beside those of the credentials.
    pub headers: HeaderMap,
    /// Body; empty where there is none.
    pub body: Bytes,
}

impl RestCall {
    /// A call without a body.
    #[must_use]
    pub fn new(operation: &'static str, effect: CallEffect, method: Method, path: impl Into<String>) -> Self {
        Self { operation, effect, method, path: path.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// The same with this header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same with this body as JSON.
    ///
    /// # Errors
    /// `Bug` if the body cannot be written as JSON.
    pub fn json(self, body: &impl Serialize) -> Result<Self, ProviderError> {
        self.json_as(HeaderValue::from_static("application/json"), body)
    }

    /// The same with this body as JSON of another content type.
    ///
    /// # Errors
    /// `Bug` if the body cannot be written as JSON.
    pub fn json_as(self, content_type: HeaderValue, body: &impl Serialize) -> Result<Self, ProviderError> {
        // The error of a writer may quote a value.
        let bug = |_| ProviderError::new(ErrorClass::Bug, format!("the body of {} cannot be written", self.operation));
        let body = serde_json::to_vec(body).map_err(bug)?;
        let call = self.header(http::header::CONTENT_TYPE, content_type);
        Ok(Self { body: body.into(), ..call })
    }
}

/// A text as a value of a query or of a form, percent-encoded.
#[must_use]
pub fn encoded(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_encoded() {
        assert_eq!(encoded("a=\"b\" c"), "a%3D%22b%22%20c");
    }
}
