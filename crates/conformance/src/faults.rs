//! The connection to a place: a proxy that breaks calls on request, never at random.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Larger bodies are refused.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// A kind of call, as far as faults tell calls apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Asks for the place's identity.
    Identify,
    /// Claims the place.
    Claim,
    /// Lists endpoints or what they share; may wait for news.
    List,
    /// A stream of changes.
    Watch,
    /// Reads one thing.
    Read,
    /// Creates something.
    Create,
    /// Changes something.
    Update,
    /// Deletes something.
    Delete,
}

/// Calls that are answered at once. A listing is among them: where a place has no record of its claim, the endpoints tell it.
pub const ASKED: [Call; 7] =
    [Call::Identify, Call::Claim, Call::List, Call::Read, Call::Create, Call::Update, Call::Delete];

/// Something that goes wrong until it is mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// These calls are refused and have no effect.
    Refused {
        /// The calls.
        calls: &'static [Call],
        /// The refusal.
        refusal: InjectedRefusal,
    },
    /// The next such call has its effect, and its answer is lost.
    AnswerLost(Call),
    /// Something else answers these calls, which have no effect.
    Garbled {
        /// The calls.
        calls: &'static [Call],
        /// The answer.
        answer: Garbled,
    },
    /// The address leads to another place of the same kind.
    OtherPlace,
    /// Listings and streams show nothing newer.
    ListingsLag,
}

/// An answer that is none of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Garbled {
    /// A page of HTML with this status, as a proxy gives it.
    Html(u16),
    /// An answer that breaks off.
    Cut,
}

/// A refusal of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InjectedRefusal {
    /// Asks to slow down, for so long where it names a time.
    Throttled(Option<Duration>),
    /// Does not accept the credentials.
    Unauthorized,
    /// Does not accept the credentials any more: their time is over, or they were taken back.
    Expired,
    /// Fails.
    Unavailable,
    /// Finds fault with the request, and repeats this text from it.
    Echo(String),
}

/// The service behind the proxy, in its own words.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// The kind of a request.
    fn call(&self, request: &Parts) -> Call;

    /// A refusal as the service words it.
    fn refusal(&self, refusal: &InjectedRefusal) -> Response;

    /// The answer to [`Call::Identify`] of another place than the one that gave `answer`.
    fn of_another_place(&self, answer: Bytes) -> Bytes;

    /// Passes a request on.
    async fn send(&self, parts: Parts, body: Bytes) -> anyhow::Result<Response>;
}

struct Shared {
    service: Box<dyn Service>,
    fault: Mutex<Option<Fault>>,
    lagging: watch::Sender<bool>,
    calls: AtomicUsize,
}

/// A proxy that listens until it is dropped.
pub struct Way {
    /// The address where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    server: AbortHandle,
}

impl Drop for Way {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Way {
    /// Opens a way to `service`, without faults.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn to(service: impl Service) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("no port for the proxy")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            service: Box::new(service),
            fault: Mutex::new(None),
            lagging: watch::Sender::new(false),
            calls: AtomicUsize::default(),
        });
        let app = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { address, shared, server: server.abort_handle() })
    }

    /// Number of calls so far, without listings and streams, which go on by themselves.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// Sets the fault; `None` mends everything.
    pub fn set(&self, fault: Option<Fault>) {
        self.shared.lagging.send_replace(fault == Some(Fault::ListingsLag));
        *self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }
}

/// A fault that hits one call.
enum CallFault {
    Refused(InjectedRefusal),
    Garbled(Garbled),
    AnswerLost,
    OtherPlace,
}

impl Shared {
    fn hit(&self, call: Call) -> Option<CallFault> {
        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match fault.clone() {
            Some(Fault::Refused { calls, refusal }) if calls.contains(&call) => Some(CallFault::Refused(refusal)),
            Some(Fault::Garbled { calls, answer }) if calls.contains(&call) => Some(CallFault::Garbled(answer)),
            Some(Fault::AnswerLost(lost)) if lost == call => {
                *fault = None;
                Some(CallFault::AnswerLost)
            }
            Some(Fault::OtherPlace) if call == Call::Identify => Some(CallFault::OtherPlace),
            _ => None,
        }
    }

    /// Waits until listings lag no more.
    async fn news(&self) {
        // The sender lives as long as this does.
        let _ = self.lagging.subscribe().wait_for(|lagging| !lagging).await;
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    // A task of its own: a call that was sent has its effect although its sender is gone.
    let call = tokio::spawn(async move { handle(shared, request).await });
    match call.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

async fn handle(shared: Arc<Shared>, request: Request) -> anyhow::Result<Response> {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY_BYTES).await?;
    let call = shared.service.call(&parts);
    if !matches!(call, Call::List | Call::Watch) {
        shared.calls.fetch_add(1, Ordering::Relaxed);
    }
    let hit = shared.hit(call);
    match &hit {
        Some(CallFault::Refused(refusal)) => return Ok(shared.service.refusal(refusal)),
        Some(CallFault::Garbled(Garbled::Cut)) => return Ok(lost()),
        Some(CallFault::Garbled(Garbled::Html(status))) => return Ok(page(*status)?),
        _ => {}
    }
    parts.headers.remove(http::header::HOST);
    parts.headers.remove(http::header::CONTENT_LENGTH);
    let response = shared.service.send(parts, body).await?;
    match (hit, call) {
        (Some(CallFault::AnswerLost), _) => Ok(lost()),
        (Some(CallFault::OtherPlace), _) => {
            let (head, body) = response.into_parts();
            let body = shared.service.of_another_place(to_bytes(body, MAX_BODY_BYTES).await?);
            let mut response = (head.status, body).into_response();
            response
                .headers_mut()
                .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
            Ok(response)
        }
        (_, Call::List) => {
            shared.news().await;
            Ok(response)
        }
        (_, Call::Watch) => Ok(response.map(|body| {
            Body::from_stream(body.into_data_stream().then(move |chunk| {
                let shared = Arc::clone(&shared);
                async move {
                    shared.news().await;
                    chunk
                }
            }))
        })),
        _ => Ok(response),
    }
}

/// A page of HTML, as a proxy before the service gives it.
fn page(status: u16) -> http::Result<Response> {
    let body = Body::from("<html><body><h1>The service is not here</h1></body></html>");
    http::Response::builder().status(status).header(http::header::CONTENT_TYPE, "text/html").body(body)
}

/// An answer that breaks off: the caller cannot know what became of its call.
fn lost() -> Response {
    let broken = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("the answer is lost"))]);
    Response::new(Body::from_stream(broken))
}
