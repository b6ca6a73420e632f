//! The service as calls see it: limits, errors and paths.
//!
//! Sources: Baseten's description of its interface (basetenlabs/baseten-go), baseten 0.13.1, and docs.baseten.co, reference/management-api. The
//! form of refusals is documented for 429 alone: see docs/providers/baseten.md.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::{CallEffect, ErrorEnvelope, Pace, RestCall, ServiceProfile, class_of_status};
use roadstead_runtime::rate::RateLimit;
use serde::{Deserialize, Serialize};

/// Name of the service in metrics.
pub const NAME: &str = "baseten";
/// Name of the service in messages.
pub const TITLE: &str = "Baseten";

/// The type of API key that every operation needs, as Baseten names it.
pub const KEY_TYPE: &str = "WORKSPACE_MANAGE_ALL";

/// Every operation of the driver, as metrics name it.
pub const OPERATIONS: [&str; 23] = [
    "teams",
    "find",
    "list",
    "get",
    "deployments",
    "config",
    "logs",
    "prices",
    "prepare",
    "upload",
    "create",
    "deploy",
    "deleteDeployment",
    "scale",
    "activate",
    "deactivate",
    "delete",
    "keys",
    "createKey",
    "deleteKey",
    "secrets",
    "upsertSecret",
    "deleteSecret",
];

/// Starts, of which the service takes 20 in a minute. Stops have a pace of their own, which is the same.
const STARTS: Pace =
    Pace { operations: &["activate"], rate: RateLimit { burst: 10, interval: Duration::from_secs(6) } };
/// Listings, of which the service takes 100 in a second. Configs have a pace of their own, which is the same.
const LISTINGS: Pace =
    Pace { operations: &["deployments"], rate: RateLimit { burst: 50, interval: Duration::from_millis(20) } };

const _: () = assert!(STARTS.most_in(Duration::from_mins(1)) <= 20);
const _: () = assert!(LISTINGS.most_in(Duration::from_secs(1)) <= 100);

/// The management API.
pub const PROFILE: ServiceProfile = ServiceProfile {
    name: NAME,
    title: TITLE,
    deadline: Duration::from_secs(20),
    // A listing has no pages: ten thousand models are 4 MB.
    max_answer_bytes: 32 * 1024 * 1024,
    paces: &[
        STARTS,
        Pace { operations: &["deactivate"], ..STARTS },
        LISTINGS,
        Pace { operations: &["config"], ..LISTINGS },
    ],
    request_id: "x-request-id",
    read_error,
    rights: &[(KEY_TYPE, &OPERATIONS)],
    class,
};

/// The object store of uploads.
pub const STORE: ServiceProfile = ServiceProfile {
    name: NAME,
    title: "Baseten's object store",
    deadline: Duration::from_secs(20),
    max_answer_bytes: 64 * 1024,
    paces: &[],
    request_id: "x-amz-request-id",
    read_error: read_store_error,
    rights: &[],
    // The credentials were issued a moment ago for this object: another attempt gets others.
    class: |_, _| ErrorClass::Transient,
};

#[derive(Deserialize)]
struct BasetenError {
    error: String,
    #[serde(default)]
    retry_after: Option<u64>,
}

/// Begin of the code of a refusal that says how long to wait.
const WAIT: &str = "retry after ";

fn read_error(_: &HeaderMap, body: &[u8]) -> Option<ErrorEnvelope> {
    let BasetenError { error, retry_after } = serde_json::from_slice(body).ok()?;
    let code = retry_after.map(|seconds| format!("{WAIT}{seconds} s")).unwrap_or_default();
    Some(ErrorEnvelope { code, message: error })
}

fn read_store_error(_: &HeaderMap, body: &[u8]) -> Option<ErrorEnvelope> {
    let text = std::str::from_utf8(body).ok()?;
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
    };
    Some(ErrorEnvelope { code: element("Code")?, message: element("Message").unwrap_or_default() })
}

fn class(status: StatusCode, envelope: &ErrorEnvelope) -> ErrorClass {
    match class_of_status(status) {
        ErrorClass::Throttled { .. } => {
            let seconds = envelope.code.strip_prefix(WAIT).and_then(|rest| rest.strip_suffix(" s")?.parse().ok());
            ErrorClass::Throttled { after: seconds.map(Duration::from_secs) }
        }
        ErrorClass::Invalid => class_of_text(&envelope.message).unwrap_or(ErrorClass::Invalid),
        class => class,
    }
}

/// Class of a failure that the service tells in words alone; `None` where they mean nothing in particular.
#[must_use]
pub fn class_of_text(text: &str) -> Option<ErrorClass> {
    let text = text.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["quota"]) {
        Some(ErrorClass::QuotaExceeded)
    } else if says(&["insufficient capacity", "unable to schedule"]) {
        Some(ErrorClass::CapacityExhausted)
    } else if says(&["already exists"]) {
        Some(ErrorClass::Conflict)
    } else if says(&["instance type", "region"]) {
        // The target offers what its team does not have there: another target may.
        Some(ErrorClass::Refused)
    } else {
        None
    }
}

fn reads(operation: &'static str, path: impl Into<String>) -> RestCall {
    RestCall::new(operation, CallEffect::Reads, Method::GET, path)
}

fn writes(operation: &'static str, method: Method, path: impl Into<String>) -> RestCall {
    RestCall::new(operation, CallEffect::Writes, method, path)
}

/// Lists the teams of the key.
#[must_use]
pub fn teams() -> RestCall {
    reads("teams", "/v1/teams")
}

/// Lists the models of all teams, to find one by its name.
#[must_use]
pub fn find() -> RestCall {
    reads("find", "/v1/models")
}

/// Lists every instance type with its price.
#[must_use]
pub fn prices() -> RestCall {
    reads("prices", "/v1/instance_type_prices")
}

/// Reads a model.
#[must_use]
pub fn get(model: &str) -> RestCall {
    reads("get", format!("/v1/models/{model}"))
}

/// Deletes a model with all its deployments.
#[must_use]
pub fn delete(model: &str) -> RestCall {
    writes("delete", Method::DELETE, format!("/v1/models/{model}"))
}

/// Lists the deployments of a model.
#[must_use]
pub fn deployments(model: &str) -> RestCall {
    reads("deployments", format!("/v1/models/{model}/deployments"))
}

/// Checks what is to be created, and asks for credentials to upload its archive.
///
/// # Errors
/// `Bug` if the body cannot be written.
pub fn prepare(body: &impl Serialize) -> Result<RestCall, ProviderError> {
    writes("prepare", Method::POST, "/v1/prepare_model_upload").json(body)
}

/// Adds a deployment to a model.
///
/// # Errors
/// `Bug` if the body cannot be written.
pub fn deploy(model: &str, body: &impl Serialize) -> Result<RestCall, ProviderError> {
    writes("deploy", Method::POST, format!("/v1/models/{model}/deployments")).json(body)
}

/// Lists the API keys of the team.
#[must_use]
pub fn keys() -> RestCall {
    reads("keys", "/v1/api_keys")
}

/// Revokes an API key.
#[must_use]
pub fn delete_key(prefix: &str) -> RestCall {
    writes("deleteKey", Method::DELETE, format!("/v1/api_keys/{prefix}"))
}

/// The calls for one deployment of a model.
#[derive(Debug, Clone, Copy)]
pub struct DeploymentCalls<'a> {
    /// Id of the model.
    pub model: &'a str,
    /// Id of the deployment.
    pub deployment: &'a str,
}

impl DeploymentCalls<'_> {
    fn path(self, rest: &str) -> String {
        format!("/v1/models/{}/deployments/{}{rest}", self.model, self.deployment)
    }

    /// Reads the config.
    #[must_use]
    pub fn config(self) -> RestCall {
        reads("config", self.path("/config"))
    }

    /// Reads the logs.
    #[must_use]
    pub fn logs(self) -> RestCall {
        reads("logs", self.path("/logs"))
    }

    /// Changes the number of replicas.
    ///
    /// # Errors
    /// `Bug` if the body cannot be written.
    pub fn scale(self, body: &impl Serialize) -> Result<RestCall, ProviderError> {
        writes("scale", Method::PATCH, self.path("/autoscaling_settings")).json(body)
    }

    /// Starts a deployment without replicas.
    #[must_use]
    pub fn activate(self) -> RestCall {
        writes("activate", Method::POST, self.path("/activate"))
    }

    /// Ends all replicas.
    #[must_use]
    pub fn deactivate(self) -> RestCall {
        writes("deactivate", Method::POST, self.path("/deactivate"))
    }

    /// Deletes the deployment.
    #[must_use]
    pub fn delete(self) -> RestCall {
        writes("deleteDeployment", Method::DELETE, self.path(""))
    }
}

/// The calls for one team.
#[derive(Debug, Clone, Copy)]
pub struct TeamCalls<'a>(pub &'a str);

impl TeamCalls<'_> {
    fn path(self, rest: &str) -> String {
        format!("/v1/teams/{}{rest}", self.0)
    }

    /// Lists the models.
    #[must_use]
    pub fn list(self) -> RestCall {
        reads("list", self.path("/models"))
    }

    /// Creates a model.
    ///
    /// # Errors
    /// `Bug` if the body cannot be written.
    pub fn create(self, body: &impl Serialize) -> Result<RestCall, ProviderError> {
        writes("create", Method::POST, self.path("/models")).json(body)
    }

    /// Issues an API key.
    ///
    /// # Errors
    /// `Bug` if the body cannot be written.
    pub fn create_key(self, body: &impl Serialize) -> Result<RestCall, ProviderError> {
        writes("createKey", Method::POST, self.path("/api_keys")).json(body)
    }

    /// Lists the secrets.
    #[must_use]
    pub fn secrets(self) -> RestCall {
        reads("secrets", self.path("/secrets"))
    }

    /// Writes a secret.
    ///
    /// # Errors
    /// `Bug` if the body cannot be written.
    pub fn upsert_secret(self, body: &impl Serialize) -> Result<RestCall, ProviderError> {
        writes("upsertSecret", Method::POST, self.path("/secrets")).json(body)
    }

    /// Deletes a secret.
    #[must_use]
    pub fn delete_secret(self, name: &str) -> RestCall {
        writes("deleteSecret", Method::DELETE, self.path(&format!("/secrets/{name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_class_that_decides_what_is_done() {
        let wait = ErrorClass::Throttled { after: Some(Duration::from_secs(37)) };
        for (status, body, expected) in [
            (400, r#"{"error": "config.base_image.image: field required"}"#, ErrorClass::Invalid),
            (400, r#"{"error": "a model with the name e already exists in this team"}"#, ErrorClass::Conflict),
            (400, r#"{"error": "instance type Z9 does not exist"}"#, ErrorClass::Refused),
            (400, r#"{"error": "Unable to schedule H100 in eu-west"}"#, ErrorClass::CapacityExhausted),
            (400, r#"{"error": "the quota of H100 is used up"}"#, ErrorClass::QuotaExceeded),
            (401, r#"{"error": "Invalid API key"}"#, ErrorClass::Unauthorized),
            (402, r#"{"error": "unpaid"}"#, ErrorClass::Refused),
            (404, r#"{"error": "model not found"}"#, ErrorClass::NotFound),
            (429, r#"{"error": "Rate limit exceeded", "retry_after": 37}"#, wait),
            (429, r#"{"error": "Rate limit exceeded"}"#, ErrorClass::Throttled { after: None }),
            (500, r#"{"error": "Internal Server Error"}"#, ErrorClass::Transient),
        ] {
            let envelope = read_error(&HeaderMap::new(), body.as_bytes()).unwrap();
            assert_eq!(class(StatusCode::from_u16(status).unwrap(), &envelope), expected, "{body}");
        }
        assert_eq!(read_error(&HeaderMap::new(), b"<html>"), None);
    }

    #[test]
    fn the_store_answers_in_xml() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        let expected = ErrorEnvelope { code: "AccessDenied".to_owned(), message: "Access Denied".to_owned() };
        assert_eq!(read_store_error(&HeaderMap::new(), body), Some(expected));
        assert_eq!(read_store_error(&HeaderMap::new(), b"<html>"), None);
    }
}
