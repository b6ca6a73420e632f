//! Upload of an archive to the object store, with the credentials that the service issues for it.

use std::sync::Arc;

use http::{HeaderValue, Method};
use roadstead_aws::{AwsCredentials, CredentialSettings, CredentialSource, LongLivedKey, Signed};
use roadstead_provider::{ErrorClass, ProviderError, Redacted};
use roadstead_rest::{BaseUrl, CallEffect, Insecure, RestCall, ServiceContext, Transport};

use crate::service::STORE;
use crate::wire::{Prepared, UploadKey};

/// Uploads an archive to where the service wants it, and returns its key there.
///
/// # Errors
/// `Transient` where the service names no such place, or the upload fails.
pub async fn upload(
    context: &ServiceContext,
    stand_in: Option<&BaseUrl>,
    transport: &Transport,
    prepared: Prepared,
    archive: Vec<u8>,
) -> Result<String, ProviderError> {
    let Prepared { creds, s3_bucket, s3_key, s3_region } = prepared;
    let plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/=".contains(&byte))
    };
    // They become parts of an address.
    if !plain(&s3_key) || [&s3_bucket, &s3_region].iter().any(|text| !plain(text) || text.contains('/')) {
        let message = "Baseten names no usable place for the upload of an archive";
        return Err(ProviderError::new(ErrorClass::Transient, message));
    }
    let (base, path) = if let Some(base) = stand_in {
        (base.clone(), format!("/{s3_bucket}/{s3_key}"))
    } else {
        let host = format!("https://{s3_bucket}.s3.{s3_region}.amazonaws.com");
        let base = BaseUrl::parse(&host, Insecure::Refused);
        (base.map_err(|error| ProviderError::new(ErrorClass::Transient, error))?, format!("/{s3_key}"))
    };
    let client = context.client(STORE, base, transport, Arc::new(signed(creds, s3_region, context)));
    let call = RestCall::new("upload", CallEffect::Writes, Method::PUT, path)
        .header(http::header::CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
    client.call(RestCall { body: archive.into(), ..call }).await?;
    Ok(s3_key)
}

fn signed(creds: UploadKey, region: String, context: &ServiceContext) -> Signed {
    let key =
        LongLivedKey { id: creds.id, secret: Redacted::new(creds.secret), session: Some(Redacted::new(creds.token)) };
    let settings = CredentialSettings { source: CredentialSource::Key(key), role: None, region, endpoint: None };
    Signed::new(Arc::new(AwsCredentials::new(settings, context.clock)), "s3")
}
