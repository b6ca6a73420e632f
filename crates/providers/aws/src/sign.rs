//! Signatures (`SigV4`) of whole requests.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::Request;
use http::header::{CONTENT_TYPE, HOST};
use roadstead_provider::{ErrorClass, ProviderError};
use roadstead_rest::Authorize;

use crate::credentials::AwsCredentials;

/// Header that names the operation.
const TARGET: &str = "x-amz-target";

/// Signs requests to one service.
pub struct Signed {
    credentials: Arc<AwsCredentials>,
    service: &'static str,
}

impl Signed {
    /// Signatures for the service of this name, such as `sagemaker`.
    #[must_use]
    pub const fn new(credentials: Arc<AwsCredentials>, service: &'static str) -> Self {
        Self { credentials, service }
    }
}

#[async_trait]
impl Authorize for Signed {
    async fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), ProviderError> {
        let bug = |what: &dyn std::fmt::Display| {
            ProviderError::new(ErrorClass::Bug, format!("the request cannot be signed: {what}"))
        };
        let identity = self.credentials.current().await?.into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.credentials.region())
            .name(self.service)
            .time(self.credentials.now())
            .settings(settings)
            .build()
            .map_err(|error| bug(&error))?
            .into();
        let (method, uri) = (request.method().to_string(), request.uri().to_string());
        let signed = [HOST.as_str(), CONTENT_TYPE.as_str(), TARGET];
        let headers = signed.into_iter().filter_map(|name| Some((name, request.headers().get(name)?.to_str().ok()?)));
        let signable = SignableRequest::new(&method, &uri, headers, SignableBody::Bytes(request.body()))
            .map_err(|error| bug(&error))?;
        let (instructions, _) = sign(signable, &params).map_err(|error| bug(&error))?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }

    fn conceal(&self, text: &str) -> String {
        self.credentials.conceal(text)
    }
}
