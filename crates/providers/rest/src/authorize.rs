//! Proof of the caller's identity: a token in a header, or a signature over the whole request.

use async_trait::async_trait;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use roadstead_provider::{ErrorClass, ProviderError, Redacted};

/// Credentials of a service.
///
/// They are asked before each call, and renew themselves before they expire; how long that may take is part of the call's
/// deadline.
#[async_trait]
pub trait Authorize: Send + Sync {
    /// Adds the proof of the caller's identity to a request that is complete otherwise.
    ///
    /// # Errors
    /// `Unauthorized` where there are no usable credentials, `Transient` where they cannot be renewed now.
    async fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), ProviderError>;

    /// Takes the credentials out of a text of the service, which knows them.
    fn conceal(&self, text: &str) -> String;
}

/// A token that is sent as `Authorization: Bearer …`.
#[derive(Debug, Clone)]
pub struct Bearer {
    token: Redacted,
}

impl Bearer {
    /// Credentials of this token.
    #[must_use]
    pub const fn new(token: Redacted) -> Self {
        Self { token }
    }
}

#[async_trait]
impl Authorize for Bearer {
    async fn authorize(&self, request: &mut Request<Bytes>) -> Result<(), ProviderError> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.token.expose())).map_err(|_| {
            ProviderError::new(ErrorClass::Unauthorized, "the token has characters that no header may have")
        })?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        Ok(())
    }

    fn conceal(&self, text: &str) -> String {
        self.token.conceal(text)
    }
}

/// Nobody's credentials: services that give tokens want none.
pub struct NoCredentials;

#[async_trait]
impl Authorize for NoCredentials {
    async fn authorize(&self, _: &mut Request<Bytes>) -> Result<(), ProviderError> {
        Ok(())
    }

    fn conceal(&self, text: &str) -> String {
        text.to_owned()
    }
}
