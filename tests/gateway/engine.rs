//! An engine that does what a test wants of it, and counts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use serde_json::json;
use tokio::net::TcpListener;

/// The model that each engine lists, as the route of the deployment `llama` has it.
const MODEL: &str = "llama-model";

/// Bytes of a body that it takes if it takes little.
pub const LITTLE: usize = 4096;

/// Conduct of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Conduct {
    /// Answers at once.
    Serves,
    /// Is full: 429.
    Full,
    /// Fails: 503.
    Fails,
    /// Answers nothing at all.
    Hangs,
    /// Fails its health checks.
    Sick,
    /// Refuses bodies of more than [`LITTLE`] bytes: 413.
    TakesLittle,
}

/// An engine in this process.
#[derive(Default)]
pub struct Engine {
    conduct: AtomicU8,
    /// Requests that were answered or are being answered, health checks left out.
    pub requests: AtomicU64,
    /// Requests in flight.
    pub active: AtomicU64,
    /// Headers of the last request.
    pub headers: Mutex<BTreeMap<String, String>>,
}

impl Engine {
    /// Starts one at a free port of `127.0.0.1`.
    pub async fn start() -> (Arc<Self>, SocketAddr) {
        let engine = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&engine));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (engine, address)
    }

    /// Changes what it does.
    pub fn set(&self, conduct: Conduct) {
        self.conduct.store(conduct as u8, Ordering::SeqCst);
    }

    /// Number of requests so far.
    pub fn count(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// A header of the last request.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.lock().unwrap().get(name).cloned()
    }
}

async fn answer(State(engine): State<Arc<Engine>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if path == "/health" {
        let is_sick = engine.conduct.load(Ordering::SeqCst) == Conduct::Sick as u8;
        return if is_sick { StatusCode::SERVICE_UNAVAILABLE.into_response() } else { "ok".into_response() };
    }
    engine.requests.fetch_add(1, Ordering::SeqCst);
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    *engine.headers.lock().unwrap() =
        request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let body = axum::body::to_bytes(request.into_body(), 64 << 20).await.unwrap_or_default();
    match engine.conduct.load(Ordering::SeqCst) {
        full if full == Conduct::Full as u8 => StatusCode::TOO_MANY_REQUESTS.into_response(),
        fails if fails == Conduct::Fails as u8 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        hangs if hangs == Conduct::Hangs as u8 => std::future::pending().await,
        little if little == Conduct::TakesLittle as u8 && body.len() > LITTLE => {
            StatusCode::PAYLOAD_TOO_LARGE.into_response()
        }
        _ if path == "/v1/models" => axum::Json(json!({"path": path, "data": [{"id": MODEL}]})).into_response(),
        _ if String::from_utf8_lossy(&body).contains("\"stream\":true") => stream(&engine),
        _ if path == "/v1/scalar" => axum::Json(7).into_response(),
        _ if path == "/v1/large" => axum::Json(json!({"data": "x".repeat(1 << 20)})).into_response(),
        _ => {
            let usage = json!({"prompt_tokens": 9, "completion_tokens": 3});
            axum::Json(json!({"path": path, "bytes": body.len(), "usage": usage})).into_response()
        }
    }
}

/// Twenty events in two seconds; the last but one states the usage.
fn stream(engine: &Arc<Engine>) -> Response {
    let in_flight = InFlight::begin(engine);
    let events = futures::stream::iter(0..20).then(move |number| {
        let _ = &in_flight;
        async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let event = match number {
                19 => "[DONE]".to_owned(),
                18 => json!({"usage": {"prompt_tokens": 9, "completion_tokens": 20}}).to_string(),
                _ => number.to_string(),
            };
            let event = format!("data: {event}\n\n");
            Ok::<_, std::convert::Infallible>(event)
        }
    });
    ([("content-type", "text/event-stream")], Body::from_stream(events)).into_response()
}

struct InFlight(Arc<Engine>);

impl InFlight {
    fn begin(engine: &Arc<Engine>) -> Self {
        engine.active.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(engine))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::SeqCst);
    }
}
