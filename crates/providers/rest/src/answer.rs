//! Answer to a call that succeeded.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use roadstead_provider::ErrorClass;
use serde::de::DeserializeOwned;

use crate::failure::RestFailure;

/// A bounded answer of a service.
#[derive(Debug, Clone)]
pub struct RestAnswer {
    /// The service and the operation, for messages.
    pub what: String,
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl RestAnswer {
    /// Reads the body as JSON.
    ///
    /// # Errors
    /// `Transient` where it is not what was expected. The message quotes nothing of the body, which may hold secrets.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, RestFailure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let Self { what, status, .. } = self;
            let place = format!("line {}, column {}", error.line(), error.column());
            let message = format!("{what}: the answer {} has an unexpected form at {place}", status.as_u16());
            RestFailure { status: Some(*status), ..RestFailure::unanswered(ErrorClass::Transient, message) }
        })
    }
}
