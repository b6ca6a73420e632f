//! One request over a unix socket.

use std::path::Path;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
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

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketRequest {
    /// Method.
    pub method: Method,
    /// Path with query.
    pub path: String,
    /// Body in JSON; empty for none.
    pub body: String,
}

/// Sends a request, and reads an answer of at most `most` bytes.
///
/// # Errors
/// [`SocketError`].
pub async fn ask(socket: &Path, question: SocketRequest, most: usize) -> Result<(StatusCode, Bytes), SocketError> {
    let failed = |error: &dyn std::fmt::Display| SocketError::Failed(error.to_string());
    let stream = UnixStream::connect(socket).await.map_err(SocketError::Absent)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    let mut request = Request::builder().method(question.method).uri(question.path).header(http::header::HOST, "envoy");
    if !question.body.is_empty() {
        request = request.header(http::header::CONTENT_TYPE, "application/json");
    }
    let request = request.body(Full::<Bytes>::from(question.body)).map_err(|error| failed(&error))?;
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
