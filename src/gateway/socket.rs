//! One request over a unix socket.

use std::path::Path;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Nobody listens on the socket.
    #[error("{0}")]
    Absent(std::io::Error),
    /// Another error.
    #[error("{0}")]
    Failed(String),
}

/// Sends a request without a body, and reads an answer of at most `most` bytes.
///
/// # Errors
/// [`SocketError`].
pub async fn ask(socket: &Path, method: Method, path: &str, most: usize) -> Result<(StatusCode, Bytes), SocketError> {
    let failed = |error: &dyn std::fmt::Display| SocketError::Failed(error.to_string());
    let stream = UnixStream::connect(socket).await.map_err(SocketError::Absent)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, "envoy")
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(&error))?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), most).collect().await.map_err(|error| failed(&error))?;
        Ok((status, body.to_bytes()))
    };
    // The connection does its work while it is polled; its own end says nothing that the answer does not.
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(answer);
    let mut open = true;
    loop {
        tokio::select! {
            answer = &mut answer => return answer,
            _ = &mut connection, if open => open = false,
        }
    }
}
