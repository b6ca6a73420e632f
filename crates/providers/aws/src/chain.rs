//! HTTP of aws-config over the operator's own stack, so that there is one TLS in the process.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use roadstead_rest::Transport;

/// Longer answers are not read: credentials are short.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// Codes of a source that refuses nobody, and cannot answer now: STS says so with status 400.
const BUSY: [&str; 4] = ["Throttling", "SlowDown", "RequestLimitExceeded", "IDPCommunicationError"];

/// The connections that aws-config uses.
#[derive(Clone)]
pub struct ChainHttp {
    transport: Transport,
    /// The last request got no answer, or one that decides nothing.
    outage: Arc<AtomicBool>,
}

impl ChainHttp {
    /// Over these connections.
    pub fn new(transport: Transport) -> Self {
        Self { transport, outage: Arc::default() }
    }

    /// Forgets what former requests saw.
    pub fn begin(&self) {
        self.outage.store(false, Ordering::Relaxed);
    }

    /// True if the source that was asked last did not answer, or answered that it cannot serve now.
    pub fn saw_outage(&self) -> bool {
        self.outage.load(Ordering::Relaxed)
    }

    async fn exchange(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (parts, body) = request.into_parts();
        let body = body.bytes().map(Bytes::copy_from_slice).unwrap_or_default();
        self.outage.store(true, Ordering::Relaxed);
        let response = self.transport.send(http::Request::from_parts(parts, body)).await;
        let (parts, body) = response.map_err(|error| ConnectorError::io(error.into()))?.into_parts();
        let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(ConnectorError::io)?.to_bytes();
        self.outage.store(decides_nothing(parts.status, &body), Ordering::Relaxed);
        let response = http::Response::from_parts(parts, SdkBody::from(body));
        HttpResponse::try_from(response).map_err(|error| ConnectorError::user(error.into()))
    }
}

/// True for an answer that says nothing about the credentials.
fn decides_nothing(status: StatusCode, body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || (status.is_client_error() && BUSY.iter().any(|code| text.contains(code)))
}

impl fmt::Debug for ChainHttp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainHttp")
    }
}

impl HttpConnector for ChainHttp {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().exchange(request))
    }
}

impl HttpClient for ChainHttp {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
