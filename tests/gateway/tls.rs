//! Callers' connections over TLS: the certificate of a mounted Secret, and its renewal.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::caller::Caller;
use crate::engine::Engine;
use crate::rig::{Rig, endpoint, route};

fn pki(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/pki", name].iter().collect()
}

/// A Secret of type `kubernetes.io/tls` as kubelet mounts it: its files are links into a folder that is exchanged whole.
struct Mount {
    folder: TempDir,
    version: u32,
}

impl Mount {
    fn new(certificate: &str, key: &str) -> Self {
        let mut mount = Self { folder: TempDir::new().unwrap(), version: 0 };
        mount.put(certificate, key);
        for file in ["tls.crt", "tls.key"] {
            symlink(format!("..data/{file}"), mount.folder.path().join(file)).unwrap();
        }
        mount
    }

    fn put(&mut self, certificate: &str, key: &str) {
        let at = |name: &str| self.folder.path().join(name);
        let (former, next) = (format!("..v{}", self.version), format!("..v{}", self.version + 1));
        std::fs::create_dir(at(&next)).unwrap();
        std::fs::copy(pki(certificate), at(&next).join("tls.crt")).unwrap();
        std::fs::copy(pki(key), at(&next).join("tls.key")).unwrap();
        symlink(&next, at("..data_tmp")).unwrap();
        std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
        if self.version > 0 {
            std::fs::remove_dir_all(at(&former)).unwrap();
        }
        self.version += 1;
    }
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(pki(name)).unwrap()
}

/// A connection of a caller who trusts the tests' authority.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    certificate: CertificateDer<'static>,
}

impl Connection {
    async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let mut authorities = RootCertStore::empty();
        authorities.add(certificate("authority.crt"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(authorities)
            .with_no_client_auth();
        let stream = TcpStream::connect(address).await?;
        let stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("127.0.0.1")?, stream).await?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap();
        let certificate = certificates[0].clone().into_owned();
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, certificate })
    }

    /// Sends a request; returns the status and the whole body.
    async fn ask(&mut self, body: &Value) -> (StatusCode, String) {
        let request = Request::post("/team-a/llama/v1/chat/completions")
            .header("host", "127.0.0.1")
            .header("authorization", "Bearer key-of-alice")
            .header("content-type", "application/json")
            .body(Full::from(body.to_string()))
            .unwrap();
        let answer = self.sender.send_request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        (head.status, String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned())
    }
}

#[tokio::test]
async fn a_renewed_certificate_serves_new_connections_and_cuts_no_open_one() {
    let mut mount = Mount::new("loopback.crt", "other.key");
    let folder = format!("--tls={}", mount.folder.path().display());
    let rig = Rig::start(&[&folder]).await;
    let (_, address) = Engine::start().await;
    rig.apply(&route("llama", vec![endpoint("llama-a", address)])).await;

    let mut open = Connection::open(rig.address).await.unwrap();
    assert_eq!(open.certificate, certificate("loopback.crt"));
    assert_eq!(open.ask(&json!({})).await.0, StatusCode::OK);
    assert!(Caller::new(rig.address, Some("key-of-alice")).try_post("/", &json!({})).await.is_err(), "plain HTTP");

    let mut streaming = Connection::open(rig.address).await.unwrap();
    let stream = tokio::spawn(async move { streaming.ask(&json!({"stream": true})).await });
    mount.put("loopback-renewed.crt", "client.key");
    let renewed = certificate("loopback-renewed.crt");
    let serves_renewed = async |rig: &Rig| {
        let mut new = Connection::open(rig.address).await.unwrap();
        assert_eq!(new.ask(&json!({})).await.0, StatusCode::OK, "no handshake and no request fails meanwhile");
        new.certificate == renewed
    };
    rig.until("new connections have the renewed certificate", serves_renewed).await;

    assert_eq!(open.ask(&json!({})).await.0, StatusCode::OK, "the open connection serves on");
    let (status, events) = stream.await.unwrap();
    assert!(status == StatusCode::OK && events.ends_with("data: [DONE]\n\n"), "{status}: {events}");
}
