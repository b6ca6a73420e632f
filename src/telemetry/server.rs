//! One HTTP listener: `/livez`, `/readyz` and `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::metrics::Metrics;

/// Readiness gates that are still closed.
#[derive(Clone)]
pub struct ProcessReadiness {
    missing: Arc<Mutex<BTreeMap<&'static str, Option<String>>>>,
}

impl ProcessReadiness {
    /// Ready once each of `parts` has been said to be.
    #[must_use]
    pub fn new(parts: &[&'static str]) -> Self {
        Self { missing: Arc::new(Mutex::new(parts.iter().map(|part| (*part, None)).collect())) }
    }

    /// Says that `part` is ready.
    pub fn ready(&self, part: &'static str) {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).remove(part);
    }

    /// Says why `part` is not ready.
    pub fn refused(&self, part: &'static str, why: String) {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).insert(part, Some(why));
    }

    fn missing(&self) -> Vec<String> {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        let words = |(part, why): (&&'static str, &Option<String>)| match why {
            Some(why) => format!("{part} ({why})"),
            None => (*part).to_owned(),
        };
        missing.iter().map(words).collect()
    }
}

/// Answers on `listener` until `stop` resolves.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    readiness: ProcessReadiness,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let app = Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(show).with_state(metrics));
    axum::serve(listener, app).with_graceful_shutdown(stop).await
}

async fn ready(State(readiness): State<ProcessReadiness>) -> Response {
    let missing = readiness.missing();
    if missing.is_empty() {
        "ok".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}", missing.join(", "))).into_response()
    }
}

async fn show(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.encode() {
        Ok(text) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use roadstead_runtime::clock::Clock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_names_what_is_missing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let readiness = ProcessReadiness::new(&["hub", "installation id"]);
        let server = tokio::spawn(serve(
            listener,
            Arc::new(Metrics::new(Clock::system())),
            readiness.clone(),
            std::future::pending(),
        ));
        let answer = ask(address, "/readyz").await;
        assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("not ready: hub, installation id"), "{answer}");
        readiness.ready("hub");
        readiness.refused("installation id", "it is another".to_owned());
        let answer = ask(address, "/readyz").await;
        assert!(answer.ends_with("not ready: installation id (it is another)"), "{answer}");
        readiness.ready("installation id");
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(ask(address, "/livez").await.starts_with("HTTP/1.1 200"));
        assert!(ask(address, "/metrics").await.contains("# EOF"));
        server.abort();
    }
}
