//! A proxy in front of the hub or of the cloud that records every write on the tape and lets one go wrong.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use roadstead_ground::bound::signal;
use serde_json::Value;

use super::tape::{Step, Tape};
use super::weather::{self, Call, Weather, refusal};

/// Larger bodies do not come.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// Destination of the calls.
#[derive(Clone)]
pub enum Upstream {
    /// To an API server, as its administrator.
    Hub(kube::Client),
    /// To plain HTTP at this address.
    Cloud(SocketAddr, HttpClient<HttpConnector, axum::body::Body>),
}

impl Upstream {
    /// Plain HTTP at `address`.
    pub fn cloud(address: SocketAddr) -> Self {
        Self::Cloud(address, HttpClient::builder(TokioExecutor::new()).build_http())
    }

    async fn send(&self, mut parts: Parts, body: Bytes) -> anyhow::Result<Response> {
        parts.headers.remove(header::HOST);
        parts.headers.remove(header::CONTENT_LENGTH);
        match self {
            Self::Hub(client) => {
                let request = Request::from_parts(parts, kube::client::Body::from(body.to_vec()));
                Ok(client.send(request).await?.map(Body::new))
            }
            Self::Cloud(address, client) => {
                let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
                parts.uri = format!("http://{address}{path}").parse()?;
                Ok(client.request(Request::from_parts(parts, Body::from(body))).await?.map(Body::new))
            }
        }
    }
}

/// A proxy that listens until the runtime ends.
pub struct Proxy {
    /// Address of the listener.
    pub address: SocketAddr,
}

struct Shared {
    upstream: Upstream,
    tape: Arc<Tape>,
    weather: Arc<Weather>,
    /// The process to kill; 0 is none.
    operator: Arc<AtomicU32>,
}

impl Proxy {
    /// Starts one in front of `upstream`.
    pub async fn start(
        upstream: Upstream,
        tape: Arc<Tape>,
        weather: Arc<Weather>,
        operator: Arc<AtomicU32>,
    ) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let app = Router::new().fallback(pass).with_state(Arc::new(Shared { upstream, tape, weather, operator }));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address })
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    // A task of its own: a call that was sent goes on when its sender is gone, and is recorded.
    let call = tokio::spawn(async move { handle(&shared, request).await });
    call.await.unwrap_or_else(|error| (StatusCode::BAD_GATEWAY, error.to_string()).into_response())
}

async fn handle(shared: &Shared, request: Request) -> Response {
    shared.tape.called();
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return StatusCode::BAD_REQUEST.into_response() };
    if parts.method == Method::GET {
        shared.tape.read(parts.uri.path());
    }
    let Some(path) = recorded(&parts, &body) else { return forward(shared, parts, body).await };
    let (number, step) = shared.tape.begin(parts.method.as_str(), path);
    if step == Step::Kill {
        return shared.kill().await;
    }
    let response = forward(shared, parts, body).await;
    shared.tape.end(number, response.status().as_u16());
    match step {
        Step::ForwardAndKill => shared.kill().await,
        // An answer that says nothing about what became of the call.
        Step::ForwardAndDeny => refusal(504, None),
        Step::Forward | Step::Kill => response,
    }
}

async fn forward(shared: &Shared, mut parts: Parts, body: Bytes) -> Response {
    let call = Call::of(&parts);
    let weather = &shared.weather;
    if let Some(refusal) = weather.refusal(&call) {
        return refusal;
    }
    if call.writes() {
        weather.passage(&call).await;
    }
    let past = weather.bend(&call, &mut parts);
    let response = match past.as_ref().unwrap_or(&shared.upstream).send(parts, body).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    tokio::time::sleep(weather.delay(&call)).await;
    if !call.writes() {
        weather.passage(&call).await;
    }
    if call.watches() && response.status() == StatusCode::OK {
        return response.map(|body| weather::watched(body, call, Arc::clone(weather)));
    }
    response
}

impl Shared {
    /// Kills the operator; nobody is left to be answered.
    async fn kill(&self) -> Response {
        let pid = self.operator.swap(0, Ordering::SeqCst);
        if pid != 0 {
            signal(pid, "KILL");
        }
        std::future::pending().await
    }
}

/// The path under which a write is recorded; `None` for reads, and for what is written without being asked for: events,
/// leases, and the look at a place that tells it how to behave and whose it is.
fn recorded(parts: &Parts, body: &[u8]) -> Option<String> {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return None;
    }
    let path = parts.uri.path();
    let look = path.starts_with("/places/") && !path.contains("/endpoints");
    if look || path.contains("/events") || path.contains("/leases") {
        return None;
    }
    if parts.method != Method::POST {
        return Some(path.to_owned());
    }
    let created: Value = serde_json::from_slice(body).unwrap_or_default();
    let name = created.pointer("/metadata/name").or_else(|| created.pointer("/name")).and_then(Value::as_str);
    Some(format!("{path}/{}", name.unwrap_or("?")))
}
