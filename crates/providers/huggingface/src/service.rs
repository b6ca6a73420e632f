//! The service as calls see it: limits, errors and paths.
//!
//! Source of paths and bodies: `huggingface_hub` 2.4.0, `hf_api.py` and `_inference_endpoints.py`. The form of errors and the rate of
//! calls are not documented: see docs/providers/huggingface.md.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::{
    CallEffect, ErrorEnvelope, Pace, RestCall, RestClient, RestFailure, ServiceProfile, class_of_status,
};
use roadstead_runtime::rate::RateLimit;
use serde::{Deserialize, Serialize};

use crate::view::HubView;

/// Name of the service in metrics.
pub const NAME: &str = "huggingface";

/// The permission of a token that every operation but `whoami` needs, as `whoami` of the Hub names it.
pub const PERMISSION: &str = "inference.endpoints.write";

/// Every operation of the driver, as metrics name it.
pub const OPERATIONS: [&str; 9] =
    ["whoami", "get", "list", "create", "update", "pause", "resume", "delete", "hardware"];

/// The control plane and the Hub.
pub const PROFILE: ServiceProfile = ServiceProfile {
    name: NAME,
    title: "Hugging Face",
    deadline: Duration::from_secs(20),
    // A listing has no pages: ten thousand endpoints with their records are 30 MB.
    max_answer_bytes: 64 * 1024 * 1024,
    // Not documented: as at other services without a published rate.
    paces: &[Pace { operations: &[], rate: RateLimit { burst: 20, interval: Duration::from_millis(50) } }],
    request_id: "x-request-id",
    read_error,
    rights: &[(PERMISSION, &OPERATIONS)],
    class,
};

#[derive(Deserialize)]
struct HubError {
    error: String,
}

fn read_error(_: &HeaderMap, body: &[u8]) -> Option<ErrorEnvelope> {
    let HubError { error } = serde_json::from_slice(body).ok()?;
    Some(ErrorEnvelope { code: String::new(), message: error })
}

fn class(status: StatusCode, envelope: &ErrorEnvelope) -> ErrorClass {
    if status != StatusCode::BAD_REQUEST {
        return class_of_status(status);
    }
    class_of_text(&envelope.message).unwrap_or(ErrorClass::Invalid)
}

/// Class of a failure that the service tells in words alone; `None` where they mean nothing in particular.
#[must_use]
pub fn class_of_text(text: &str) -> Option<ErrorClass> {
    let text = text.to_lowercase();
    if text.contains("quota") {
        Some(ErrorClass::QuotaExceeded)
    } else if text.contains("hardware capacity") {
        Some(ErrorClass::CapacityExhausted)
    } else if text.contains("instance compute") && text.contains("not found") {
        // The target offers hardware that its region does not have: another target may.
        Some(ErrorClass::Refused)
    } else {
        None
    }
}

/// True if an endpoint is already what it was to become.
#[must_use]
pub fn is_done_already(failure: &RestFailure) -> bool {
    let words = failure.message().to_lowercase();
    failure.status == Some(StatusCode::BAD_REQUEST)
        && ["already running", "already paused"].iter().any(|said| words.contains(said))
}

/// The calls for the endpoints of one namespace. Names and namespaces are plain words.
#[derive(Debug, Clone)]
pub struct HubPaths {
    namespace: String,
}

impl HubPaths {
    /// The calls for `namespace`.
    #[must_use]
    pub fn of(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned() }
    }

    fn path(&self, rest: &str) -> String {
        format!("/endpoint/{}{rest}", self.namespace)
    }

    /// Reads one endpoint.
    #[must_use]
    pub fn get(&self, name: &str) -> RestCall {
        RestCall::new("get", CallEffect::Reads, Method::GET, self.path(&format!("/{name}")))
    }

    /// Lists all endpoints.
    #[must_use]
    pub fn list(&self) -> RestCall {
        RestCall::new("list", CallEffect::Reads, Method::GET, self.path(""))
    }

    /// Creates an endpoint.
    ///
    /// # Errors
    /// `Bug` if the body cannot be written.
    pub fn create(&self, body: &impl Serialize) -> Result<RestCall, ProviderError> {
        RestCall::new("create", CallEffect::Writes, Method::POST, self.path("")).json(body)
    }

    /// Changes an endpoint.
    ///
    /// # Errors
    /// `Bug` if the body cannot be written.
    pub fn update(&self, name: &str, body: &impl Serialize) -> Result<RestCall, ProviderError> {
        RestCall::new("update", CallEffect::Writes, Method::PUT, self.path(&format!("/{name}"))).json(body)
    }

    /// Pauses an endpoint: it costs nothing, uses no quota, and keeps its name.
    #[must_use]
    pub fn pause(&self, name: &str) -> RestCall {
        RestCall::new("pause", CallEffect::Writes, Method::POST, self.path(&format!("/{name}/pause")))
    }

    /// Resumes a paused endpoint.
    #[must_use]
    pub fn resume(&self, name: &str) -> RestCall {
        RestCall::new("resume", CallEffect::Writes, Method::POST, self.path(&format!("/{name}/resume")))
    }

    /// Deletes an endpoint.
    #[must_use]
    pub fn delete(&self, name: &str) -> RestCall {
        RestCall::new("delete", CallEffect::Writes, Method::DELETE, self.path(&format!("/{name}")))
    }

    /// Lists hardware with prices, availability and the namespace's quota.
    #[must_use]
    pub fn hardware(&self) -> RestCall {
        RestCall::new("hardware", CallEffect::Reads, Method::GET, format!("/provider/{}", self.namespace))
    }
}

/// Asks the Hub whose token this is.
#[must_use]
pub fn whoami() -> RestCall {
    RestCall::new("whoami", CallEffect::Reads, Method::GET, "/api/whoami-v2")
}

#[derive(Deserialize)]
struct Items {
    items: Vec<HubView>,
}

/// All endpoints of a namespace.
///
/// # Errors
/// The failure of the call.
pub async fn all(client: &RestClient, paths: &HubPaths) -> Result<Vec<HubView>, RestFailure> {
    Ok(client.call(paths.list()).await?.json::<Items>()?.items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_class_that_decides_what_is_done() {
        for (status, text, expected) in [
            (400, "Instance compute 'Gpu' - 'c6i' - 'x1' in 'aws' - 'us-east-1' not found", ErrorClass::Refused),
            (400, "Quota exceeded: nvidia-l4", ErrorClass::QuotaExceeded),
            (400, "missing field `type`", ErrorClass::Invalid),
            (401, "Invalid credentials", ErrorClass::Unauthorized),
            (404, "Endpoint a not found", ErrorClass::NotFound),
            (409, "Endpoint a already exists", ErrorClass::Conflict),
            (500, "Internal Server Error", ErrorClass::Transient),
        ] {
            let body = serde_json::json!({"error": text}).to_string();
            let envelope = read_error(&HeaderMap::new(), body.as_bytes()).unwrap();
            assert_eq!(class(StatusCode::from_u16(status).unwrap(), &envelope), expected, "{text}");
        }
        assert_eq!(read_error(&HeaderMap::new(), b"<html>"), None);
    }
}
