//! Refusals in the form of Azure Resource Manager.

use axum::http::StatusCode;
use serde_json::json;

use super::rules;
use crate::cloud::{Reply, Scripted};
use crate::rules::Rule;

/// Media type of all answers.
pub const MEDIA: &str = "application/json; charset=utf-8";

/// The refusal of an operation by a script.
pub fn scripted(operation: &str, scripted: &Scripted) -> Reply {
    match scripted {
        Scripted::Error { status, code, message } => {
            let body = json!({"error": {"code": code, "message": message}});
            Reply::new(*status, MEDIA, body.to_string()).by(&rules::ENVELOPE)
        }
        Scripted::Throttle { after_seconds } => {
            let message = format!("The request {operation} is being throttled.");
            let reply = ArmFault::new(429, "TooManyRequests", &rules::THROTTLED, message).reply();
            match after_seconds {
                Some(after) => reply.with("retry-after", after.to_string()),
                None => reply,
            }
        }
        Scripted::Deny => {
            let message = format!("The client does not have authorization to perform action '{operation}' over scope.");
            ArmFault::new(403, "AuthorizationFailed", &rules::DENIED, message).reply()
        }
    }
}

/// A refusal ([`rules::ENVELOPE`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmFault {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
    pub rule: &'static Rule,
}

impl ArmFault {
    pub fn new(status: u16, code: &'static str, rule: &'static Rule, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code, message: message.into(), rule }
    }

    pub fn invalid(rule: &'static Rule, message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", rule, message)
    }

    pub fn conflict(rule: &'static Rule, message: impl Into<String>) -> Self {
        Self::new(409, "Conflict", rule, message)
    }

    /// A missing resource: its type with its name, below a resource group ([`rules::NOT_FOUND`]).
    pub fn missing(resource: &str, group: &str) -> Self {
        let message = format!("The Resource '{resource}' under resource group '{group}' was not found.");
        Self::new(404, "ResourceNotFound", &rules::NOT_FOUND, message)
    }

    pub fn reply(&self) -> Reply {
        let body = json!({"error": {"code": self.code, "message": self.message}});
        Reply::new(self.status, MEDIA, body.to_string()).by(self.rule)
    }
}
