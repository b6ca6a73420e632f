//! Connections to services: HTTP/1.1 over rustls, kept for a short while, only to addresses that may be reached.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use roadstead_provider::address::Reach;
use roadstead_provider::stream::{Stream, open};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Time after which an idle connection is closed: shorter than services keep theirs, so that few calls meet a closed one.
const IDLE: Duration = Duration::from_secs(15);
/// Idle connections to one host.
const IDLE_CONNECTIONS: usize = 4;
/// Longer headers of an answer are not read.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// The way to a service.
#[derive(Clone)]
pub struct ServiceRoute {
    /// Certificates, in PEM, of the authorities that vouch for it; empty: those of the system.
    pub authorities: String,
    /// Addresses to which it may lead.
    pub reach: Reach,
}

/// Sends requests; a clone shares its connections.
#[derive(Clone)]
pub struct Transport {
    client: Client<ServiceConnector, Full<Bytes>>,
}

impl Transport {
    /// Connections on this way.
    #[must_use]
    pub fn new(route: ServiceRoute) -> Self {
        let client = Client::builder(TokioExecutor::new())
            // A call that a closing connection has swallowed may have had its effect.
            .retry_canceled_requests(false)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_max_buf_size(MAX_HEADER_BYTES)
            .build(ServiceConnector { route: Arc::new(route) });
        Self { client }
    }

    /// Sends one request, once. Redirects are not followed.
    ///
    /// # Errors
    /// If there is no connection, or it ends before the headers of an answer.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<hyper::body::Incoming>, Error> {
        self.client.request(request.map(Full::new)).await
    }
}

#[derive(Clone)]
struct ServiceConnector {
    route: Arc<ServiceRoute>,
}

impl tower::Service<Uri> for ServiceConnector {
    type Response = TokioIo<Wire>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Wire>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let route = Arc::clone(&self.route);
        Box::pin(async move { Ok(TokioIo::new(Wire(open(&uri, &route.authorities, route.reach).await?))) })
    }
}

/// A connection as the pool wants it.
struct Wire(Box<dyn Stream>);

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
