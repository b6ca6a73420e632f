//! Speaks with the simulated cloud: JSON over HTTP, bounded in time and size, and no write without the lease.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cloud::CloudAddress;
use crate::cloud::wire::CallRefusal;
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_runtime::client::{CALL_TIMEOUT, NotLeader, WriteGate};

/// Longer answers are not read.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// A client of the cloud.
#[derive(Clone)]
pub struct CloudClient {
    address: CloudAddress,
    gate: WriteGate,
    http: Client<HttpConnector, Full<Bytes>>,
}

impl CloudClient {
    /// A client of the cloud at `address` that writes only while `gate` lets it.
    pub fn new(address: CloudAddress, gate: WriteGate) -> Self {
        Self { address, gate, http: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Address of the cloud.
    pub fn address(&self) -> &CloudAddress {
        &self.address
    }

    /// Reads something of the endpoint `name`; `None` if the cloud says that this endpoint is not there.
    pub async fn find<T: DeserializeOwned>(&self, path: &str, name: &str) -> Result<Option<T>, ProviderError> {
        match self.call(Method::GET, path, Bytes::new(), CALL_TIMEOUT).await {
            Ok(value) => Ok(Some(value)),
            Err(CallFailure { missing: Some(missing), .. }) if missing == name => Ok(None),
            Err(failure) => Err(failure.error),
        }
    }

    /// Reads something that the cloud may take `wait` to answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, wait: Duration) -> Result<T, ProviderError> {
        Ok(self.call(Method::GET, path, Bytes::new(), CALL_TIMEOUT + wait).await?)
    }

    /// Puts something.
    pub async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ProviderError> {
        self.send(Method::PUT, path, body).await
    }

    /// Sends something.
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ProviderError> {
        if !(self.gate)() {
            return Err(ProviderError::new(ErrorClass::Transient, NotLeader));
        }
        let body = serde_json::to_vec(body).map_err(|error| ProviderError::new(ErrorClass::Bug, error))?;
        Ok(self.call(method, path, body.into(), CALL_TIMEOUT).await?)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<T, CallFailure> {
        let url = self.address.url(path);
        let what = format!("{method} {url}");
        let request = Request::builder()
            .method(method)
            .uri(url)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| CallFailure::new(ErrorClass::Bug, format!("{what}: {error}")))?;
        let transient = |error: &dyn std::fmt::Display| {
            CallFailure::new(ErrorClass::Transient, format!("the simulated cloud: {what}: {error}"))
        };
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| transient(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
            let body = body.map_err(|error| transient(&error))?.to_bytes();
            Ok::<_, CallFailure>((status, body))
        };
        let (status, body) = tokio::time::timeout(limit, exchange)
            .await
            .map_err(|_| transient(&format!("no answer within {} s", limit.as_secs())))??;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(|error| transient(&error));
        }
        match serde_json::from_slice::<CallRefusal>(&body) {
            Ok(refusal) => {
                let failure = CallFailure::new(class(&refusal), refusal.message);
                Err(CallFailure { missing: refusal.missing, ..failure })
            }
            // Not the cloud itself speaks: whatever the code says, it proves nothing.
            Err(_) => Err(transient(&status)),
        }
    }
}

/// A failed call, and the endpoint that the cloud said is not there.
struct CallFailure {
    error: ProviderError,
    missing: Option<String>,
}

impl CallFailure {
    fn new(class: ErrorClass, message: impl std::fmt::Display) -> Self {
        Self { error: ProviderError::new(class, message), missing: None }
    }
}

impl From<CallFailure> for ProviderError {
    fn from(failure: CallFailure) -> Self {
        failure.error
    }
}

fn class(refusal: &CallRefusal) -> ErrorClass {
    match refusal.class.as_str() {
        "Throttled" => ErrorClass::Throttled {
            after: refusal.retry_after_seconds.map(|seconds| Duration::from_secs(seconds.into())),
        },
        "CapacityExhausted" => ErrorClass::CapacityExhausted,
        "QuotaExceeded" => ErrorClass::QuotaExceeded,
        "Invalid" => ErrorClass::Invalid,
        "Refused" => ErrorClass::Refused,
        "Unauthorized" => ErrorClass::Unauthorized,
        "NotFound" => ErrorClass::NotFound,
        "Conflict" => ErrorClass::Conflict,
        _ => ErrorClass::Transient,
    }
}
