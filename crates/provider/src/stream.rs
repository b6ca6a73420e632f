//! A connection to an endpoint's address, plain or by TLS.

use std::io;
use std::sync::{Arc, OnceLock};

use http::Uri;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::address::{Reach, connect};

/// Bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects to the host of `uri`, if `reach` lets it; by TLS where its scheme is https, trusting the `authorities` in PEM,
/// or those of the system where there are none.
///
/// # Errors
/// `InvalidInput` where the scheme or an authority is no good; else what connecting said.
pub async fn open(uri: &Uri, authorities: &str, reach: Reach) -> io::Result<Box<dyn Stream>> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidInput, what);
    let by_tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        other => return Err(invalid(format!("scheme {} is neither http nor https", other.unwrap_or("(none)")))),
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(if by_tls { 443 } else { 80 });
    let stream = connect(&host, port, reach).await?;
    if !by_tls {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(host).map_err(|error| invalid(error.to_string()))?;
    let trust = if authorities.is_empty() { system()? } else { trusting(authorities.as_bytes())? };
    Ok(Box::new(TlsConnector::from(trust).connect(name, stream).await?))
}

/// Trust in the authorities of the system, which are read once.
fn system() -> io::Result<Arc<ClientConfig>> {
    static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(known) = SYSTEM.get() {
        return Ok(Arc::clone(known));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = config(roots)?;
    Ok(Arc::clone(SYSTEM.get_or_init(|| config)))
}

/// Trust in the authorities in this PEM alone.
fn trusting(pem: &[u8]) -> io::Result<Arc<ClientConfig>> {
    let damaged =
        |error: &dyn std::fmt::Display| io::Error::new(io::ErrorKind::InvalidInput, format!("its authority: {error}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.map_err(|error| damaged(&error))?).map_err(|error| damaged(&error))?;
    }
    config(roots)
}

fn config(roots: RootCertStore) -> io::Result<Arc<ClientConfig>> {
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(ring).with_safe_default_protocol_versions();
    let versions = versions.map_err(io::Error::other)?;
    Ok(Arc::new(versions.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
pub(crate) mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// The authority of the certificate for 127.0.0.1.
    pub const AUTHORITY: &str = include_str!("../../../tests/pki/authority.crt");

    /// A server that answers every request by TLS with this body.
    pub async fn serve_by_tls(body: String) -> String {
        let read =
            |name: &str| std::fs::read(format!("{}/../../tests/pki/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let chain = CertificateDer::pem_slice_iter(&read("loopback.crt")).collect::<Result<_, _>>().unwrap();
        let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(&read("other.key")).unwrap();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let versions = rustls::ServerConfig::builder_with_provider(ring).with_safe_default_protocol_versions().unwrap();
        let config = versions.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        format!("https://{address}")
    }
}
