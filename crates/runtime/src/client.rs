//! The client for API servers: no hidden retries, a time limit on every call, and no write without leadership.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{Either, Ready, ready};
use http::{HeaderValue, Method, Request};
use kube::client::{AuthError, Body, ClientBuilder};
use kube::{Client, Config};
use secrecy::ExposeSecret;
use tower::{BoxError, Layer, Service};

use crate::text::bounded;

/// The longest a single call may take, from the first byte sent to the last byte read.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Objects in one page of a list: kubectl's own number. A larger answer would keep the server's memory longer.
pub const PAGE: u32 = 500;

/// Why a call to an API server did not give its result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nothing came back in time; the call may or may not have had its effect.
    #[error("{call}: no answer within {} s", CALL_TIMEOUT.as_secs())]
    Timeout {
        /// The call, such as `create inferenceendpoint`.
        call: &'static str,
    },
    /// The server refused, or could not be reached.
    #[error("{call}: {}", describe(.source))]
    Kube {
        /// The call.
        call: &'static str,
        /// The client's own error.
        source: Box<kube::Error>,
    },
}

impl CallError {
    /// The HTTP status code of the server's refusal, if the server answered at all.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Kube { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Self::Timeout { .. } => None,
        }
    }

    /// The object changed since it was read, or exists already.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code() == Some(409)
    }

    /// The server says that the object is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// True if the server refuses the call because of rights, a quota, a policy or a webhook, and retrying alone does not
    /// help. Conflicts, an object that is gone, a busy server and credentials that are being renewed are none of that.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.code().is_some_and(|code| (400..=500).contains(&code) && ![401, 404, 408, 409, 410, 429].contains(&code))
    }

    /// This process does not hold the lease, so the write was not sent.
    #[must_use]
    pub fn is_not_leader(&self) -> bool {
        match self {
            Self::Kube { source, .. } => match source.as_ref() {
                kube::Error::Service(error) => error.is::<NotLeader>(),
                _ => false,
            },
            Self::Timeout { .. } => false,
        }
    }

    /// The underlying answer of the server, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Kube { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            Self::Timeout { .. } => None,
        }
    }
}

/// One sentence for people: the server's own message where it sent one, else what the transport said.
///
/// The output of a credential plugin, and an answer that is not an object, may contain a secret: neither is quoted.
pub(super) fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => bounded(&format!("{} ({} {})", status.message, status.code, status.reason)),
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => {
            "the answer is not that of a Kubernetes API server".to_owned()
        }
        other => {
            let mut text = other.to_string();
            let mut source = std::error::Error::source(other);
            while let Some(inner) = source {
                if inner.is::<AuthError>() {
                    return "no credentials: the kubeconfig's credential plugin failed".to_owned();
                }
                if let Some(trouble) = tls_error(inner).and_then(certificate_trouble) {
                    return trouble.to_owned();
                }
                let inner_text = inner.to_string();
                if !text.contains(&inner_text) {
                    text = format!("{text}: {inner_text}");
                }
                source = inner.source();
            }
            bounded(&text)
        }
    }
}

/// An error of TLS, as transports hand it on: inside an error of input, and that inside another.
fn tls_error<'a>(mut error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    while let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        error = inner;
    }
    error.downcast_ref()
}

/// Problem of a certificate of either side, the field of the kubeconfig, and the cure.
fn certificate_trouble(error: &rustls::Error) -> Option<&'static str> {
    use rustls::{AlertDescription, CertificateError, Error};
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => Some(
            "the server's certificate was issued by an authority that certificate-authority-data does not contain; put the \
             CA certificate of this cluster there",
        ),
        Error::InvalidCertificate(CertificateError::BadSignature) => Some(
            "the server's certificate was issued by another authority of the same name; put the CA certificate of this \
             cluster into certificate-authority-data",
        ),
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Some(
            "the server's certificate is for another name; correct server, or set tls-server-name to a name that the \
                 certificate has",
        ),
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            Some("the server's certificate has expired; renew it on the cluster")
        }
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            Some("the server's certificate is not valid yet; check it and the operator's clock")
        }
        Error::InvalidCertificate(CertificateError::Other(other)) => match other.0.downcast_ref()? {
            webpki::Error::CaUsedAsEndEntity => Some(
                "the server uses the certificate of an authority (CA:TRUE); give it its own certificate, \
                 issued by that authority",
            ),
            webpki::Error::UnsupportedCertVersion => Some(
                "the server's certificate is of X.509 version 1, which is not supported; issue one of version 3 with a \
                 subject alternative name",
            ),
            _ => None,
        },
        Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired,
        ) => Some("the server refuses the client's certificate; put one that it accepts into client-certificate-data"),
        _ => None,
    }
}

/// Runs one call under [`CALL_TIMEOUT`] and names it in the error.
///
/// # Errors
/// [`CallError`] when the server refuses, cannot be reached or does not answer in time.
pub async fn call<T>(name: &'static str, future: impl Future<Output = kube::Result<T>>) -> Result<T, CallError> {
    match tokio::time::timeout(CALL_TIMEOUT, future).await {
        Err(_) => Err(CallError::Timeout { call: name }),
        Ok(Err(source)) => Err(CallError::Kube { call: name, source: Box::new(source) }),
        Ok(Ok(value)) => Ok(value),
    }
}

/// The same as [`call`], with "not found" as `None`.
///
/// # Errors
/// [`CallError`] for everything but a 404.
pub async fn call_opt<T>(
    name: &'static str,
    future: impl Future<Output = kube::Result<T>>,
) -> Result<Option<T>, CallError> {
    match call(name, future).await {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Says whether this process may write now.
pub type WriteGate = Arc<dyn Fn() -> bool + Send + Sync>;

/// A write was stopped before it was sent, because the lease is not held.
#[derive(Debug, thiserror::Error)]
#[error("not the leader (or the lease is about to expire): the write was not sent")]
pub struct NotLeader;

/// Builds a client for `config` that never retries by itself and refuses every writing request while `gate` says no.
///
/// kube's default client repeats any request, creates included, up to fifteen times. Here the work queue retries, after
/// reading the current state.
///
/// # Errors
/// If the TLS or credential settings of `config` cannot be used.
pub fn client(mut config: Config, gate: WriteGate) -> kube::Result<Client> {
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    // kube panics if a token is invalid in a header.
    if let Some(token) = &config.auth_info.token {
        HeaderValue::from_str(token.expose_secret())
            .map_err(|error| kube::Error::Auth(AuthError::InvalidBearerToken(error)))?;
    }
    Ok(ClientBuilder::try_from(config)?.with_layer(&GateLayer { gate }).build())
}

/// Stops writes while the gate is closed.
pub struct GateLayer {
    /// Gate for writes.
    pub gate: WriteGate,
}

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated { inner, gate: Arc::clone(&self.gate) }
    }
}

/// A client service that lets reads through and stops writes while the gate is closed.
pub struct Gated<S> {
    inner: S,
    gate: WriteGate,
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Error = BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<S::Future, Ready<Result<S::Response, BoxError>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        if reads || (self.gate)() {
            Either::Left(self.inner.call(request))
        } else {
            Either::Right(ready(Err(NotLeader.into())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_cannot_be_read_is_not_quoted() {
        let error = serde_json::from_str::<u32>("\"canary\"").unwrap_err();
        assert!(error.to_string().contains("canary"));
        let error = CallError::Kube { call: "get secret", source: Box::new(kube::Error::SerdeError(error)) };
        assert_eq!(error.to_string(), "get secret: the answer is not that of a Kubernetes API server");
        let error = String::from_utf8(b"canary\xff".to_vec()).unwrap_err();
        let error = CallError::Kube { call: "get secret", source: Box::new(kube::Error::FromUtf8(error)) };
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn what_a_credential_plugin_printed_is_not_quoted() {
        let error = kube::Error::Auth(kube::client::AuthError::AuthExec("canary".to_owned()));
        let error = kube::Error::Service(error.into());
        let error = CallError::Kube { call: "get", source: Box::new(error) };
        assert!(error.to_string().contains("no credentials") && !error.to_string().contains("canary"), "{error}");
    }

    #[tokio::test]
    async fn a_token_that_no_header_can_hold_gives_no_client_and_no_panic() {
        let mut config = Config::new("https://10.0.0.1".parse().unwrap());
        config.auth_info.token = Some("canary\ncanary".to_owned().into());
        let error = client(config, Arc::new(|| false)).map(drop).unwrap_err().to_string();
        assert!(error.contains("token") && !error.contains("canary"), "{error}");
    }

    #[test]
    fn trouble_with_a_certificate_names_the_field_and_the_cure() {
        use rustls::{AlertDescription, CertificateError, Error, OtherError};
        let other = |error| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))));
        for (trouble, told) in [
            (Error::InvalidCertificate(CertificateError::UnknownIssuer), "certificate-authority-data"),
            (Error::InvalidCertificate(CertificateError::BadSignature), "another authority of the same name"),
            (Error::InvalidCertificate(CertificateError::NotValidForName), "tls-server-name"),
            (Error::InvalidCertificate(CertificateError::Expired), "renew it on the cluster"),
            (other(webpki::Error::CaUsedAsEndEntity), "CA:TRUE"),
            (other(webpki::Error::UnsupportedCertVersion), "version 1"),
            (Error::AlertReceived(AlertDescription::CertificateRequired), "client-certificate-data"),
        ] {
            // As tokio-rustls and hyper-rustls wrap it.
            let error = kube::Error::Service(std::io::Error::other(std::io::Error::other(trouble)).into());
            let error = CallError::Kube { call: "get namespace kube-system", source: Box::new(error) }.to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
