//! HTTP of aws-config over the operator's own stack, so that there is one TLS in the process.

use std::fmt;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use roadstead_rest::Transport;

/// Longer answers are not read: credentials are short.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// The connections that aws-config uses.
#[derive(Clone)]
pub struct ChainHttp {
    transport: Transport,
}

impl ChainHttp {
    /// Over these connections.
    pub fn new(transport: Transport) -> Self {
        Self { transport }
    }

    async fn exchange(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (parts, body) = request.into_parts();
        let body = body.bytes().map(Bytes::copy_from_slice).unwrap_or_default();
        let response = self.transport.send(http::Request::from_parts(parts, body)).await;
        let (parts, body) = response.map_err(|error| ConnectorError::io(error.into()))?.into_parts();
        let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(ConnectorError::io)?.to_bytes();
        let response = http::Response::from_parts(parts, SdkBody::from(body));
        HttpResponse::try_from(response).map_err(|error| ConnectorError::user(error.into()))
    }
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
