//! Hosted vendors with an API like OpenAI's: chat completions and the list of models, with the manners of one vendor.

mod answers;
mod rules;
mod settings;

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use axum::http::StatusCode;
use serde_json::{Value, json};

pub use self::rules::ALL as RULES;
pub use self::settings::{KEY, MODEL, VendorManners, VendorSettings};
use crate::cloud::{Call, Cloud, Reply, Scripted, ServiceName};
use crate::faults::Fate;
use crate::rules::Rule;

const MEDIA: &str = "application/json";

/// A vendor.
pub struct HostedVendor {
    settings: VendorSettings,
    answered: AtomicU64,
}

/// An operation of the vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VendorRequest {
    Models,
    Chat,
    Unknown,
}

fn asked(call: &Call) -> VendorRequest {
    match (call.method.as_str(), call.path.as_str()) {
        ("GET", "/v1/models") => VendorRequest::Models,
        ("POST", "/v1/chat/completions") => VendorRequest::Chat,
        _ => VendorRequest::Unknown,
    }
}

impl HostedVendor {
    /// A vendor that has answered nothing.
    #[must_use]
    pub fn new(settings: VendorSettings) -> Self {
        Self { settings, answered: AtomicU64::new(0) }
    }

    fn chat(&self, call: &Call) -> Reply {
        let body = call.json().unwrap_or_default();
        if body["model"] != self.settings.model {
            let message = format!(
                "The model `{}` does not exist or you do not have access to it.",
                body["model"].as_str().unwrap_or_default()
            );
            return refused(StatusCode::NOT_FOUND, "model_not_found", &message).by(&rules::NO_MODEL);
        }
        match answers::answer(&self.settings, &body) {
            Ok(reply) => {
                self.answered.fetch_add(1, Ordering::SeqCst);
                reply
            }
            Err(refusal) => *refusal,
        }
    }

    /// The one model ([`rules::MODELS`]).
    fn models(&self) -> Reply {
        let model =
            json!({"id": self.settings.model, "object": "model", "created": 1_764_000_000, "owned_by": "vendor"});
        let body = json!({"object": "list", "data": [model]});
        Reply::new(StatusCode::OK, MEDIA, body.to_string()).by(&rules::MODELS)
    }
}

/// A refusal in OpenAI's form.
fn refused(status: StatusCode, code: &str, message: &str) -> Reply {
    let body =
        json!({"error": {"message": message, "type": "invalid_request_error", "param": Value::Null, "code": code}});
    Reply::new(status, MEDIA, body.to_string()).by(&rules::ENVELOPE)
}

#[async_trait]
impl Cloud for HostedVendor {
    fn name(&self) -> ServiceName {
        ServiceName::Hosted
    }

    fn operation(&self, call: &Call) -> String {
        let operation = match asked(call) {
            VendorRequest::Models => "models",
            VendorRequest::Chat => "chat",
            VendorRequest::Unknown => "unknown",
        };
        operation.to_owned()
    }

    async fn answer(&self, call: &Call, _operation: &str, _fate: &Fate) -> Reply {
        if call.header("authorization") != format!("Bearer {}", self.settings.key) {
            let message = "Incorrect API key provided.";
            return refused(StatusCode::UNAUTHORIZED, "invalid_api_key", message).by(&rules::KEY);
        }
        match asked(call) {
            VendorRequest::Models => self.models(),
            VendorRequest::Chat => self.chat(call),
            VendorRequest::Unknown => {
                let message = format!("Invalid URL ({} {})", call.method, call.path);
                refused(StatusCode::NOT_FOUND, "", &message).by(&rules::ROUTE)
            }
        }
    }

    fn refusal(&self, _call: &Call, _operation: &str, scripted: &Scripted) -> Reply {
        match scripted {
            Scripted::Error { status, code, message } => refused(*status, code, message),
            Scripted::Throttle { after_seconds } => {
                let message = "Rate limit reached for requests";
                let reply =
                    refused(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", message).by(&rules::THROTTLED);
                match after_seconds {
                    Some(after) => reply.with("retry-after", after.to_string()),
                    None => reply,
                }
            }
            Scripted::Deny => {
                let message = "You have insufficient permissions for this operation.";
                refused(StatusCode::FORBIDDEN, "insufficient_permissions", message).by(&rules::SCOPES)
            }
        }
    }

    /// Requests that were answered, which are billed.
    fn state(&self) -> Value {
        json!({"answered": self.answered.load(Ordering::SeqCst)})
    }

    fn rules(&self) -> &'static [&'static Rule] {
        RULES
    }
}
