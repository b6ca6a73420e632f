//! Refusals in the form of Google's APIs.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::rules;
use crate::cloud::Reply;
use crate::rules::Rule;

/// Media type of all answers.
pub const MEDIA: &str = "application/json; charset=UTF-8";

/// A refusal ([`rules::ENVELOPE`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VertexFault {
    pub status: StatusCode,
    /// Name of the google.rpc.Code.
    pub code: &'static str,
    pub message: String,
    pub rule: &'static Rule,
}

impl VertexFault {
    pub fn new(status: u16, code: &'static str, rule: &'static Rule, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code, message: message.into(), rule }
    }

    pub fn invalid(rule: &'static Rule, message: impl Into<String>) -> Self {
        Self::new(400, "INVALID_ARGUMENT", rule, message)
    }

    pub fn precondition(rule: &'static Rule, message: impl Into<String>) -> Self {
        Self::new(400, "FAILED_PRECONDITION", rule, message)
    }

    /// A missing resource ([`rules::NOT_FOUND`]).
    pub fn missing(name: &str) -> Self {
        Self::new(404, "NOT_FOUND", &rules::NOT_FOUND, format!("The resource {name} is not found."))
    }

    /// An id that exists ([`rules::TAKEN`]).
    pub fn taken(name: &str) -> Self {
        Self::new(409, "ALREADY_EXISTS", &rules::TAKEN, format!("The resource {name} already exists."))
    }

    pub fn reply(&self) -> Reply {
        let error = json!({"code": self.status.as_u16(), "message": self.message, "status": self.code});
        Reply::new(self.status, MEDIA, json!({"error": error}).to_string()).by(self.rule)
    }
}

pub type Answer = Result<Value, VertexFault>;
